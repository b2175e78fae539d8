//! Addresses between Lua and the kernel: arguments in, tables out.

use std::ffi::c_int;

use crate::lua::{ffi, Error, Lua, Outcome, Returns};
use crate::system::address::{Parts, PathError, SocketAddress};
use crate::system::socket::{format_ip, interface_index, interface_name, parse_ip};

/// Reads the address whose arguments start at `index`. Nothing is returned
/// to Lua then; when there is no such address, `nil, message`. May raise.
pub fn read(lua: Lua, index: c_int, family: c_int, address: &mut SocketAddress) -> Outcome {
    match family {
        libc::AF_INET | libc::AF_INET6 => {
            let mut ip = [0; 16];
            if !lua.is_none_or_nil(index) && !parse_ip(family, lua.string(index)?, &mut ip) {
                let is_four = family == libc::AF_INET;
                let message = if is_four {
                    "not a valid IPv4 address"
                } else {
                    "not a valid IPv6 address"
                };
                return Err(Error::argument(index, message));
            }
            let port = lua.within(index + 1, 0, u16::MAX.into())?;
            address.set_inet(family, &ip, port as u16);
        }
        libc::AF_UNIX => match address.set_unix(lua.string(index)?) {
            Ok(()) => {}
            Err(PathError::TooLong) => return Err(Error::argument(index, "path too long")),
            Err(PathError::HasNul) => return lua.fail_errno(nix::errno::Errno::EINVAL),
        },
        libc::AF_NETLINK => {
            let groups = lua.bits_or(index, 0)?;
            address.set_netlink(lua.bits_or(index + 1, 0)?, groups);
        }
        libc::AF_PACKET => return interface(lua, index, address),
        _ => return Err("invalid domain".into()),
    }
    Ok(Returns(0))
}

/// `{ifname = string, ifindex = int}`: the name counts, none means any.
#[inline(never)]
fn interface(lua: Lua, index: c_int, address: &mut SocketAddress) -> Outcome {
    lua.expect(index, ffi::LUA_TTABLE)?;
    let mut interface = 0;
    lua.get_field(index, c"ifindex");
    if !lua.is_none_or_nil(-1) {
        interface = lua
            .to_integer(-1)
            .and_then(|value| c_int::try_from(value).ok())
            .ok_or_else(|| Error::argument(index, "ifindex out of range"))?;
        if interface_name(interface as u32, <[u8]>::is_empty) {
            return refuse(lua, "no device with ifindex '", "'");
        }
    }
    lua.get_field(index, c"ifname");
    if !lua.is_none_or_nil(-1) {
        interface = interface_index(lua.to_bytes(-1)) as c_int;
        if interface == 0 {
            return refuse(lua, "device '", "' not exists");
        }
    }
    address.set_packet(interface);
    Ok(Returns(0))
}

/// `nil` and a message about the value on top of the stack. May raise.
fn refuse(lua: Lua, before: &str, after: &str) -> Outcome {
    lua.push_nil();
    lua.push_str(before);
    lua.push_value(-3);
    lua.push_str(after);
    lua.concat(3);
    Ok(Returns(2))
}

/// Pushes the table of an address. May raise.
pub fn push(lua: Lua, address: &SocketAddress) {
    lua.push_table(0, 3);
    lua.set_integer(-1, c"family", i64::from(address.family()));
    match address.parts() {
        Parts::Inet { ip, port } => internet(lua, libc::AF_INET, ip, port),
        Parts::Inet6 { ip, port } => internet(lua, libc::AF_INET6, ip, port),
        Parts::Unix(path) => lua.set_bytes(-1, c"path", path),
        Parts::Netlink { process } => lua.set_integer(-1, c"pid", i64::from(process)),
        Parts::Packet { interface } => {
            lua.set_integer(-1, c"ifindex", i64::from(interface));
            interface_name(interface as u32, |name| {
                if !name.is_empty() {
                    lua.set_bytes(-1, c"ifname", name);
                }
            });
        }
        Parts::Other(_) => {}
    }
}

fn internet(lua: Lua, family: c_int, ip: &[u8; 16], port: u16) {
    format_ip(family, ip, |text| lua.set_bytes(-1, c"ipaddr", text));
    lua.set_integer(-1, c"port", i64::from(port));
}
