//! Making raw sockets, and objects of them.

use std::ffi::c_int;

use super::handle::{Handle, USER_VALUES};
use super::object;
use crate::abi::Core;
use crate::functions;
use crate::lua::{function, Error, Functions, Lua, Outcome, Returns};
use crate::system::socket as system;

/// Constructors of the raw module.
pub const FUNCTIONS: Functions = functions! {
    socket: function(socket),
    socketpair: function(socketpair),
};

/// Pushes a handle without a descriptor: it exists before it owns one. May
/// raise.
pub fn push_handle(lua: &Lua, core: Core, family: c_int) -> &Handle {
    let slot = lua.reserve::<Handle>(USER_VALUES, core.pointer());
    slot.fill(Handle::new(core, family))
}

/// Family, type and protocol: the first arguments of every constructor.
fn arguments(lua: Lua) -> Result<(c_int, c_int, c_int), Error> {
    Ok((lua.int(1)?, lua.int(2)?, lua.int_or(3, 0)?))
}

/// `socket(family, type [, protocol])`
fn socket(lua: Lua) -> Outcome {
    let (family, kind, protocol) = arguments(lua)?;
    let handle = push_handle(&lua, Core::of(lua), family);
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
    let first = push_handle(&lua, Core::of(lua), family);
    let second = push_handle(&lua, Core::of(lua), family);
    match system::socketpair(family, kind, protocol) {
        Ok(fds) => {
            first.own(fds[0]);
            second.own(fds[1]);
            Ok(Returns(2))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `tun(request)`, for the helpers: opens a device as a `struct ifreq` says;
/// gives the descriptor and the structure as the kernel left it.
pub fn tun(lua: Lua) -> Outcome {
    let mut request = [0; system::REQUEST_SIZE];
    if let Some(given) = lua.string(1)?.first_chunk() {
        request = *given;
    }
    match system::open_tun(&mut request) {
        Ok(fd) => {
            Core::of_any(lua).fd_reset(fd);
            lua.push_integer(i64::from(fd));
            lua.push_bytes(&request);
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
    let handle = push_handle(&lua, core, libc::AF_UNSPEC);
    handle.own(fd);
    object::push_tun(lua, handle);
    Ok(Returns(1))
}
