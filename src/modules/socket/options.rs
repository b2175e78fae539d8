//! `setoption`: one table says what there is.

use std::ffi::{c_int, CStr};

use super::handle::Handle;
use super::system;
use crate::lua::{ffi, Error, Lua, Outcome, Returns};

/// Registry field of the function that packs tables.
pub const STRUCTURE: &CStr = c"eco.socket.structure";

/// What an option's value looks like in Lua and to the kernel.
#[derive(Clone, Copy)]
enum Kind {
    Boolean,
    Integer,
    /// The name of a network interface.
    Device,
    /// A table: `helpers.lua` makes the C structure of it.
    Structure,
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
    option(b"ip_add_membership", IP, libc::IP_ADD_MEMBERSHIP, Kind::Structure),
    option(b"ip_drop_membership", IP, libc::IP_DROP_MEMBERSHIP, Kind::Structure),
    option(b"ipv6_v6only", IPV6, libc::IPV6_V6ONLY, Kind::Boolean),
    option(b"ipv6_add_membership", IPV6, libc::IPV6_ADD_MEMBERSHIP, Kind::Structure),
    option(b"ipv6_drop_membership", IPV6, libc::IPV6_DROP_MEMBERSHIP, Kind::Structure),
    option(b"netlink_add_membership", libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, Kind::Integer),
    option(b"netlink_drop_membership", libc::SOL_NETLINK, libc::NETLINK_DROP_MEMBERSHIP, Kind::Integer),
    option(b"packet_add_membership", libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, Kind::Structure),
    option(b"packet_drop_membership", libc::SOL_PACKET, libc::PACKET_DROP_MEMBERSHIP, Kind::Structure),
];

fn find(name: &[u8]) -> Option<&'static SocketOption> {
    OPTIONS.iter().find(|option| option.name == name)
}

/// `s:setoption(name, value)`
pub fn setoption(lua: Lua, handle: &Handle) -> Outcome {
    let name = lua.string(2)?;
    let Some(option) = find(name) else {
        return Err(unsupported(lua, name));
    };
    let number;
    let value: &[u8] = match option.kind {
        Kind::Boolean => {
            lua.expect(3, ffi::LUA_TBOOLEAN)?;
            number = c_int::from(lua.to_bool(3)).to_ne_bytes();
            &number
        }
        Kind::Integer => {
            number = lua.int(3)?.to_ne_bytes();
            &number
        }
        Kind::Device => {
            let name = lua.string(3)?;
            if name.len() >= libc::IF_NAMESIZE {
                return Err(Error::argument(3, "ifname too long"));
            }
            name
        }
        Kind::Structure => {
            lua.expect(3, ffi::LUA_TTABLE)?;
            lua.get_field(ffi::LUA_REGISTRYINDEX, STRUCTURE);
            lua.push_value(2);
            lua.push_value(3);
            lua.call(2, 2);
            let Some(structure) = lua.bytes(-2) else {
                return Ok(Returns(2));
            };
            structure
        }
    };
    match system::set_option(handle.fd(), option.level, option.number, value) {
        Ok(()) => {
            lua.push_bool(true);
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
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

#[cfg(test)]
mod tests {
    #[test]
    fn structures_are_as_packed() {
        assert_eq!(size_of::<libc::ip_mreq>(), 4 + 4);
        assert_eq!(size_of::<libc::ipv6_mreq>(), 16 + 4);
        assert_eq!(size_of::<libc::packet_mreq>(), 4 + 2 + 2 + 8);
    }
}
