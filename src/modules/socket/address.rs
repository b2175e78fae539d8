//! Addresses between Lua and the kernel: arguments in, tables out.

use std::ffi::c_int;

use super::system::{format_ip, interface_index, interface_name, parse_ip};
use crate::io::address::{Parts, PathError, SocketAddress};
use crate::lua::{ffi, Error, Lua};

/// Reads the address whose arguments start at `index`. False when there is no
/// such address: `nil, message` has been pushed then. May raise.
pub fn read(lua: Lua, index: c_int, family: c_int, address: &mut SocketAddress) -> Result<bool, Error> {
    *address = match family {
        libc::AF_INET => {
            let ip = literal(lua, index, family, "not a valid IPv4 address")?;
            SocketAddress::inet(&ip, lua.int(index + 1)? as u16)
        }
        libc::AF_INET6 => {
            let ip = literal(lua, index, family, "not a valid IPv6 address")?;
            SocketAddress::inet6(&ip, lua.int(index + 1)? as u16)
        }
        libc::AF_UNIX => match SocketAddress::unix(lua.string(index)?) {
            Ok(address) => address,
            Err(PathError::TooLong) => return Err(Error::argument(index, "path too long")),
            Err(PathError::HasNul) => {
                lua.fail_errno(nix::errno::Errno::EINVAL)?;
                return Ok(false);
            }
        },
        libc::AF_NETLINK => {
            let groups = lua.integer_or(index, 0)? as u32;
            let process = lua.integer_or(index + 1, 0)? as u32;
            SocketAddress::netlink(process, groups)
        }
        libc::AF_PACKET => match interface(lua, index)? {
            Some(interface) => SocketAddress::packet(interface),
            None => return Ok(false),
        },
        _ => return Err("invalid domain".into()),
    };
    Ok(true)
}

fn literal(lua: Lua, index: c_int, family: c_int, message: &'static str) -> Result<[u8; 16], Error> {
    if lua.is_none_or_nil(index) {
        return Ok([0; 16]);
    }
    parse_ip(family, lua.string(index)?).ok_or_else(|| Error::argument(index, message))
}

/// `{ifname = string, ifindex = int}`: the name counts, none means any. None
/// when there is no such interface: `nil, message` has been pushed then.
fn interface(lua: Lua, index: c_int) -> Result<Option<c_int>, Error> {
    lua.expect(index, ffi::LUA_TTABLE)?;
    lua.get_field(index, c"ifindex");
    let mut interface = lua.integer_or(-1, 0)? as c_int;
    if !lua.is_none_or_nil(-1) && interface_name(interface as u32, <[u8]>::is_empty) {
        refuse(lua, "no device with ifindex '", lua.to_bytes(-1), "'");
        return Ok(None);
    }
    lua.get_field(index, c"ifname");
    if !lua.is_none_or_nil(-1) {
        let name = lua.string(-1)?;
        interface = interface_index(name) as c_int;
        if interface == 0 {
            refuse(lua, "device '", name, "' not exists");
            return Ok(None);
        }
    }
    Ok(Some(interface))
}

/// Pushes nil and a message about `what`. May raise.
pub fn refuse(lua: Lua, before: &str, what: &[u8], after: &str) {
    lua.push_nil();
    lua.push_str(before);
    lua.push_bytes(what);
    lua.push_str(after);
    lua.concat(3);
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
