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

/// Why an option was not set.
enum Failure {
    System(Errno),
    /// `nil, message` has been pushed.
    Pushed,
}

/// Bytes for the kernel: the largest structure is `struct ipv6_mreq`.
struct Value {
    bytes: [u8; 20],
    length: usize,
}

impl Value {
    fn new(parts: &[&[u8]]) -> Value {
        let mut value = Value {
            bytes: [0; 20],
            length: 0,
        };
        for part in parts {
            value.bytes[value.length..value.length + part.len()].copy_from_slice(part);
            value.length += part.len();
        }
        value
    }

    fn integer(number: c_int) -> Value {
        Value::new(&[&number.to_ne_bytes()])
    }
}

/// Sets an option to the value at `index`.
fn set(lua: Lua, fd: c_int, option: &SocketOption, index: c_int) -> Result<Result<(), Failure>, Error> {
    let value = match option.kind {
        Kind::Boolean => {
            lua.expect(index, ffi::LUA_TBOOLEAN)?;
            Value::integer(c_int::from(lua.to_bool(index)))
        }
        Kind::Integer => Value::integer(lua.int(index)?),
        Kind::Device => {
            let name = lua.string(index)?;
            if name.len() >= libc::IF_NAMESIZE {
                return Err(Error::argument(index, "ifname too long"));
            }
            Value::new(&[name, &[0]])
        }
        Kind::Group => group(lua, index)?,
        Kind::Group6 => group6(lua, index)?,
        Kind::PacketGroup => match packet_group(lua, index)? {
            Some(value) => value,
            None => return Ok(Err(Failure::Pushed)),
        },
    };
    let done = system::set_option(fd, option.level, option.number, &value.bytes[..value.length]);
    Ok(done.map_err(Failure::System))
}

/// The string in a field of the table at `index`; None when it is nil. The
/// field's value stays on the stack.
fn field<'a>(lua: &'a Lua, index: c_int, name: &CStr) -> Result<Option<&'a [u8]>, Error> {
    if lua.get_field(index, name) == ffi::LUA_TNIL {
        return Ok(None);
    }
    lua.bytes(-1).map(Some).ok_or_else(|| Error::argument(index, "string expected in a field"))
}

fn group(lua: Lua, index: c_int) -> Result<Value, Error> {
    lua.expect(index, ffi::LUA_TTABLE)?;
    let literal = |text: &[u8]| parse_ip(libc::AF_INET, text);
    let Some(address) = field(&lua, index, c"multiaddr")?.and_then(literal) else {
        return Err(Error::argument(index, "multiaddr: not a valid IP address"));
    };
    let interface = match field(&lua, index, c"interface")? {
        None => [0; 16],
        Some(text) => literal(text).ok_or_else(|| Error::argument(index, "interface: not a valid IP address"))?,
    };
    Ok(Value::new(&[&address[..4], &interface[..4]]))
}

fn group6(lua: Lua, index: c_int) -> Result<Value, Error> {
    lua.expect(index, ffi::LUA_TTABLE)?;
    let text = field(&lua, index, c"multiaddr")?;
    let Some(address) = text.and_then(|text| parse_ip(libc::AF_INET6, text)) else {
        return Err(Error::argument(index, "multiaddr: not a valid IPv6 address"));
    };
    lua.get_field(index, c"interface");
    let interface = lua.integer_or(-1, 0)? as u32;
    Ok(Value::new(&[&address, &interface.to_ne_bytes()]))
}

fn packet_group(lua: Lua, index: c_int) -> Result<Option<Value>, Error> {
    lua.expect(index, ffi::LUA_TTABLE)?;
    lua.get_field(index, c"ifindex");
    let mut interface = lua.integer_or(-1, 0)? as u32;
    if let Some(name) = field(&lua, index, c"ifname")? {
        interface = interface_index(name);
        if interface == 0 {
            refuse(lua, "No interface found with given name '", name, "'");
            return Ok(None);
        }
    }
    lua.get_field(index, c"type");
    let kind = lua.integer_or(-1, 0)? as u16;
    let given = field(&lua, index, c"address")?.unwrap_or_default();
    let mut address = [0; 8];
    let Some(room) = address.get_mut(..given.len()) else {
        return Err(Error::argument(index, "address too long"));
    };
    room.copy_from_slice(given);
    let length = given.len() as u16;
    Ok(Some(Value::new(&[
        &interface.to_ne_bytes(),
        &kind.to_ne_bytes(),
        &length.to_ne_bytes(),
        &address,
    ])))
}

fn find(name: &[u8]) -> Option<&'static SocketOption> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// `s:setoption(name, value)`
pub fn setoption(lua: Lua, handle: &Handle) -> Outcome {
    let name = lua.string(2)?;
    let Some(option) = find(name) else {
        return Err(unsupported(name));
    };
    match set(lua, handle.fd(), option, 3)? {
        Ok(()) => {
            lua.push_bool(true);
            Ok(Returns(1))
        }
        Err(Failure::System(errno)) => lua.fail_errno(errno),
        Err(Failure::Pushed) => Ok(Returns(2)),
    }
}

/// The error about an option's name, of which it shows the beginning.
pub fn unsupported(name: &[u8]) -> Error {
    let shown = String::from_utf8_lossy(name.get(..35).unwrap_or(name));
    Error::argument(2, ["unsupported option '", &shown, "'"].concat())
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
            let done = set(lua, fd, option, lua.top()).map_err(|error| about(lua, key, error))?;
            if let Err(Failure::System(errno)) = done {
                let text = key.to_bytes();
                refuse(lua, "failed to set socket option '", text, "': ");
                lua.push_errno(errno);
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
    let (first, last) = match &error {
        Error::Type { expected, .. } => (expected.to_string_lossy(), lua.type_name(-1).to_string_lossy()),
        Error::Argument { message, .. } => (message.as_ref().into(), "".into()),
        _ => return error,
    };
    let middle = if last.is_empty() { "" } else { " expected, got " };
    Error::Message([&key.to_string_lossy(), ": ", &first, middle, &last].concat().into())
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
