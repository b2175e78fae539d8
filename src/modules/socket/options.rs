//! `setoption`, and the option tables of constructors: one table says it all.

use std::ffi::{c_int, CStr};

use nix::errno::Errno;

use super::address::refuse;
use super::handle::Handle;
use super::system::{self, interface_index, parse_ip};
use crate::lua::{ffi, Error, Lua, Outcome, Returns};

/// What an option's value looks like in Lua and to the kernel.
#[derive(Clone, Copy)]
enum Kind {
    Boolean,
    Integer,
    /// The name of a network interface.
    Device,
    /// `{multiaddr, interface}`, both literals: `struct ip_mreq`.
    Group,
    /// `{multiaddr, interface}`, an index: `struct ipv6_mreq`.
    Group6,
    /// `{ifname, ifindex, type, address}`: `struct packet_mreq`.
    PacketGroup,
}

struct SocketOption {
    name: &'static [u8],
    level: c_int,
    number: c_int,
    kind: Kind,
}

const fn option(name: &'static [u8], level: c_int, number: c_int, kind: Kind) -> SocketOption {
    SocketOption {
        name,
        level,
        number,
        kind,
    }
}

const SOCKET: c_int = libc::SOL_SOCKET;
const IP: c_int = libc::IPPROTO_IP;
const IPV6: c_int = libc::IPPROTO_IPV6;
const TCP: c_int = libc::IPPROTO_TCP;

const OPTIONS: &[SocketOption] = &[
    option(b"reuseaddr", SOCKET, libc::SO_REUSEADDR, Kind::Boolean),
    option(b"reuseport", SOCKET, libc::SO_REUSEPORT, Kind::Boolean),
    option(b"keepalive", SOCKET, libc::SO_KEEPALIVE, Kind::Boolean),
    option(b"broadcast", SOCKET, libc::SO_BROADCAST, Kind::Boolean),
    option(b"sndbuf", SOCKET, libc::SO_SNDBUF, Kind::Integer),
    option(b"rcvbuf", SOCKET, libc::SO_RCVBUF, Kind::Integer),
    option(b"mark", SOCKET, libc::SO_MARK, Kind::Integer),
    option(b"bindtodevice", SOCKET, libc::SO_BINDTODEVICE, Kind::Device),
    option(b"tcp_keepidle", TCP, libc::TCP_KEEPIDLE, Kind::Integer),
    option(b"tcp_keepintvl", TCP, libc::TCP_KEEPINTVL, Kind::Integer),
    option(b"tcp_keepcnt", TCP, libc::TCP_KEEPCNT, Kind::Integer),
    option(b"tcp_fastopen", TCP, libc::TCP_FASTOPEN, Kind::Integer),
    option(b"tcp_nodelay", TCP, libc::TCP_NODELAY, Kind::Boolean),
    option(b"ip_add_membership", IP, libc::IP_ADD_MEMBERSHIP, Kind::Group),
    option(b"ip_drop_membership", IP, libc::IP_DROP_MEMBERSHIP, Kind::Group),
    option(b"ipv6_v6only", IPV6, libc::IPV6_V6ONLY, Kind::Boolean),
    option(b"ipv6_add_membership", IPV6, libc::IPV6_ADD_MEMBERSHIP, Kind::Group6),
    option(b"ipv6_drop_membership", IPV6, libc::IPV6_DROP_MEMBERSHIP, Kind::Group6),
    option(b"netlink_add_membership", libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, Kind::Integer),
    option(b"netlink_drop_membership", libc::SOL_NETLINK, libc::NETLINK_DROP_MEMBERSHIP, Kind::Integer),
    option(b"packet_add_membership", libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, Kind::PacketGroup),
    option(b"packet_drop_membership", libc::SOL_PACKET, libc::PACKET_DROP_MEMBERSHIP, Kind::PacketGroup),
];

/// Which sockets a key of an option table applies to; others skip it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    Inet6,
    Tcp,
}

/// Keys of option tables in the order they are applied, and their options.
type Keys = &'static [(&'static CStr, &'static [u8], Scope)];

const GENERAL: Keys = &[
    (c"reuseaddr", b"reuseaddr", Scope::All),
    (c"reuseport", b"reuseport", Scope::All),
    (c"ipv6_v6only", b"ipv6_v6only", Scope::Inet6),
    (c"mark", b"mark", Scope::All),
    (c"device", b"bindtodevice", Scope::All),
];

const LISTENER: Keys = &[
    (c"tcp_nodelay", b"tcp_nodelay", Scope::Tcp),
    (c"keepalive", b"keepalive", Scope::All),
    (c"tcp_keepidle", b"tcp_keepidle", Scope::Tcp),
    (c"tcp_keepcnt", b"tcp_keepcnt", Scope::Tcp),
    (c"tcp_keepintvl", b"tcp_keepintvl", Scope::Tcp),
    (c"tcp_fastopen", b"tcp_fastopen", Scope::Tcp),
];

/// Bytes for the kernel: the largest structure is `struct ipv6_mreq`.
#[derive(Default)]
struct Value {
    bytes: [u8; 20],
    length: usize,
}

impl Value {
    /// Appends what fits, and callers see to that.
    #[inline(never)]
    fn put(&mut self, part: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.length..self.length + part.len()) {
            room.copy_from_slice(part);
            self.length += part.len();
        }
    }

    fn put_integer(&mut self, number: c_int) {
        self.put(&number.to_ne_bytes());
    }

    fn put_short(&mut self, number: u16) {
        self.put(&number.to_ne_bytes());
    }
}

/// Sets an option to the value at `index`: 0, an error number, or -1 when
/// `nil, message` has been pushed.
fn set(lua: Lua, fd: c_int, option: &SocketOption, index: c_int) -> Result<c_int, Error> {
    let mut value = Value::default();
    match option.kind {
        Kind::Boolean => {
            lua.expect(index, ffi::LUA_TBOOLEAN)?;
            value.put_integer(c_int::from(lua.to_bool(index)));
        }
        Kind::Integer => value.put_integer(lua.int(index)?),
        Kind::Device => {
            let name = lua.string(index)?;
            if name.len() >= libc::IF_NAMESIZE {
                return Err(Error::argument(index, "ifname too long"));
            }
            value.put(name);
            value.put(&[0]);
        }
        Kind::Group => group(lua, index, &mut value)?,
        Kind::Group6 => group6(lua, index, &mut value)?,
        Kind::PacketGroup => {
            if !packet_group(lua, index, &mut value)? {
                return Ok(-1);
            }
        }
    }
    let value = value.bytes.get(..value.length).unwrap_or(&value.bytes);
    Ok(match system::set_option(fd, option.level, option.number, value) {
        Ok(()) => 0,
        Err(errno) => errno as c_int,
    })
}

/// The string in a field of the table at `index`; None when it is nil. The
/// field's value stays on the stack.
fn field<'a>(lua: &'a Lua, index: c_int, name: &CStr) -> Result<Option<&'a [u8]>, Error> {
    if lua.get_field(index, name) == ffi::LUA_TNIL {
        return Ok(None);
    }
    lua.bytes(-1).map(Some).ok_or_else(|| Error::argument(index, "string expected in a field"))
}

/// The IP literal in a field of the table at `index`; None when it is nil.
fn literal(lua: Lua, index: c_int, name: &CStr, family: c_int, message: &'static str) -> Result<Option<[u8; 16]>, Error> {
    match field(&lua, index, name)? {
        None => Ok(None),
        Some(text) => match parse_ip(family, text) {
            None => Err(Error::argument(index, message)),
            address => Ok(address),
        },
    }
}

fn group(lua: Lua, index: c_int, value: &mut Value) -> Result<(), Error> {
    const BAD: &str = "multiaddr: not a valid IP address";
    lua.expect(index, ffi::LUA_TTABLE)?;
    let address = literal(lua, index, c"multiaddr", libc::AF_INET, BAD)?;
    let address = address.ok_or_else(|| Error::argument(index, BAD))?;
    let message = "interface: not a valid IP address";
    let interface = literal(lua, index, c"interface", libc::AF_INET, message)?;
    value.put(&address[..4]);
    value.put(&interface.unwrap_or_default()[..4]);
    Ok(())
}

fn group6(lua: Lua, index: c_int, value: &mut Value) -> Result<(), Error> {
    const BAD: &str = "multiaddr: not a valid IPv6 address";
    lua.expect(index, ffi::LUA_TTABLE)?;
    let address = literal(lua, index, c"multiaddr", libc::AF_INET6, BAD)?;
    value.put(&address.ok_or_else(|| Error::argument(index, BAD))?);
    lua.get_field(index, c"interface");
    value.put_integer(lua.integer_or(-1, 0)? as c_int);
    Ok(())
}

/// False when there is no such interface: `nil, message` has been pushed.
fn packet_group(lua: Lua, index: c_int, value: &mut Value) -> Result<bool, Error> {
    lua.expect(index, ffi::LUA_TTABLE)?;
    lua.get_field(index, c"ifindex");
    let mut interface = lua.integer_or(-1, 0)? as c_int;
    if let Some(name) = field(&lua, index, c"ifname")? {
        interface = interface_index(name) as c_int;
        if interface == 0 {
            refuse(lua, "No interface found with given name '", name, "'");
            return Ok(false);
        }
    }
    lua.get_field(index, c"type");
    let kind = lua.integer_or(-1, 0)? as u16;
    let address = field(&lua, index, c"address")?.unwrap_or_default();
    let Some(rest) = [0; 8].get(address.len()..) else {
        return Err(Error::argument(index, "address too long"));
    };
    value.put_integer(interface);
    value.put_short(kind);
    value.put_short(address.len() as u16);
    value.put(address);
    value.put(rest);
    Ok(true)
}

fn find(name: &[u8]) -> Option<&'static SocketOption> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// `s:setoption(name, value)`
pub fn setoption(lua: Lua, handle: &Handle) -> Outcome {
    let name = lua.string(2)?;
    let Some(option) = find(name) else {
        return Err(unsupported(lua, name));
    };
    match set(lua, handle.fd(), option, 3)? {
        0 => {
            lua.push_bool(true);
            Ok(Returns(1))
        }
        -1 => Ok(Returns(2)),
        errno => lua.fail_errno(Errno::from_raw(errno)),
    }
}

/// The error about an option's name, of which it shows the beginning.
pub fn unsupported(lua: Lua, name: &[u8]) -> Error {
    lua.push_str("unsupported option '");
    lua.push_bytes(name.get(..35).unwrap_or(name));
    lua.push_str("'");
    lua.concat(3);
    Error::words(2)
}

/// Applies what a constructor's option table says (`listener`: the options of
/// listening sockets instead). False when one failed: `nil, message` has been
/// pushed. May raise.
pub fn apply(lua: Lua, handle: &Handle, index: c_int, listener: bool) -> Result<bool, Error> {
    if lua.is_none_or_nil(index) {
        return Ok(true);
    }
    lua.expect(index, ffi::LUA_TTABLE)?;
    let fd = handle.fd();
    let is_internet = matches!(handle.family(), libc::AF_INET | libc::AF_INET6);
    let is_stream = system::option(fd, libc::SO_TYPE) == Ok(libc::SOCK_STREAM);
    for (key, name, scope) in if listener { LISTENER } else { GENERAL } {
        let applies = match scope {
            Scope::All => true,
            Scope::Inet6 => handle.family() == libc::AF_INET6,
            Scope::Tcp => is_internet && is_stream,
        };
        let Some(option) = find(name).filter(|_| applies) else {
            continue;
        };
        if lua.get_field(index, key) != ffi::LUA_TNIL {
            let failure = set(lua, fd, option, lua.top()).map_err(|error| about(lua, key, error))?;
            if failure != 0 {
                refuse(lua, "failed to set socket option '", key.to_bytes(), "': ");
                lua.push_errno(Errno::from_raw(failure));
                lua.concat(2);
                return Ok(false);
            }
        }
        lua.pop(1);
    }
    Ok(true)
}

/// An error about the value on top of the stack, told by its key.
fn about(lua: Lua, key: &CStr, error: Error) -> Error {
    let (Some(expected), actual) = (error.expected(), lua.type_name(-1)) else {
        return error;
    };
    lua.push_where(1);
    for part in [key, c": ", expected, c" expected, got ", actual] {
        lua.push_bytes(part.to_bytes());
    }
    lua.concat(6);
    Error::raised()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_option_tables_are_options() {
        for (_, name, _) in GENERAL.iter().chain(LISTENER) {
            assert!(find(name).is_some());
        }
    }

    #[test]
    fn structures_are_the_c_librarys() {
        assert_eq!(size_of::<libc::ip_mreq>(), 4 + 4);
        assert_eq!(size_of::<libc::ipv6_mreq>(), 16 + 4);
        assert_eq!(size_of::<libc::packet_mreq>(), 4 + 2 + 2 + 8);
    }
}
