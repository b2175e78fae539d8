//! Making raw sockets, and objects of them.

use std::ffi::c_int;

use super::handle::{Handle, USER_VALUES};
use super::{object, system};
use crate::core::Core;
use crate::lua::{function, Error, Functions, Lua, Outcome, Returns};

/// Constructors of the raw module.
pub const FUNCTIONS: Functions = &[
    (c"socket", function(socket)),
    (c"socketpair", function(socketpair)),
    (c"open_tun", function(open_tun)),
];

/// Pushes a handle without a descriptor: it exists before it owns one. May
/// raise.
pub fn push_handle<'a>(lua: Lua, core: Core, family: c_int) -> &'a Handle {
    let slot = lua.reserve::<Handle>(USER_VALUES, core.pointer());
    slot.fill(Handle::new(core, family))
}

/// Family, type and protocol: the first arguments of every constructor.
fn arguments(lua: Lua) -> Result<(c_int, c_int, c_int), Error> {
    Ok((lua.int(1)?, lua.int(2)?, lua.integer_or(3, 0)? as c_int))
}

/// `socket(family, type [, protocol])`
fn socket(lua: Lua) -> Outcome {
    let (family, kind, protocol) = arguments(lua)?;
    let handle = push_handle(lua, Core::of(lua), family);
    match system::socket(family, kind, protocol) {
        Ok(fd) => {
            handle.own(fd);
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `socketpair(family, type [, protocol])`
fn socketpair(lua: Lua) -> Outcome {
    let (family, kind, protocol) = arguments(lua)?;
    let first = push_handle(lua, Core::of(lua), family);
    let second = push_handle(lua, Core::of(lua), family);
    match system::socketpair(family, kind, protocol) {
        Ok(fds) => {
            first.own(fds[0]);
            second.own(fds[1]);
            Ok(Returns(2))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `open_tun([device [, flags]])` -> fd, name.
fn open_tun(lua: Lua) -> Outcome {
    let mut name = [0; libc::IF_NAMESIZE];
    let given = lua.string_or(1, b"")?;
    if given.len() >= libc::IF_NAMESIZE {
        return Err(Error::argument(1, "device name too long"));
    }
    name[..given.len()].copy_from_slice(given);
    let flags = lua.integer_or(2, i64::from(libc::IFF_TUN | libc::IFF_NO_PI))?;
    match system::open_tun(&mut name, flags as u16) {
        Ok(fd) => {
            Core::of(lua).fd_reset(fd);
            lua.push_integer(i64::from(fd));
            lua.push_bytes(system::until_nul(&name));
            Ok(Returns(2))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `object(sock)`, for the helpers: an object around a raw socket, or around
/// the descriptor of a TUN device.
pub fn object(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    if let Some(handle) = lua.userdata::<Handle>(1) {
        lua.set_top(1);
        object::push(lua, handle);
        return Ok(Returns(1));
    }
    let fd = lua.int(1)?;
    let handle = push_handle(lua, core, libc::AF_UNSPEC);
    handle.own(fd);
    object::push_tun(lua, handle);
    Ok(Returns(1))
}
