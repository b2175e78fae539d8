//! Making sockets: `socket`, `socketpair`, `open_tun`, as objects and raw.

use std::ffi::c_int;

use nix::errno::Errno;

use super::handle::{Handle, USER_VALUES};
use super::{object, options, system};
use crate::core::Core;
use crate::lua::{ffi, Error, Lua, Outcome, Returns};

/// Family, type and protocol: the first arguments of every constructor.
fn arguments(lua: Lua) -> Result<(c_int, c_int, c_int), Error> {
    Ok((lua.int(1)?, lua.int(2)?, lua.integer_or(3, 0)? as c_int))
}

/// `socket(family, type [, protocol])` of the raw module.
pub fn socket_raw(lua: Lua) -> Outcome {
    let (family, kind, protocol) = arguments(lua)?;
    match new(lua, family, kind, protocol) {
        Ok(_) => Ok(Returns(1)),
        Err(errno) => lua.fail_errno(errno),
    }
}

/// Pushes a raw socket. May raise.
fn new<'a>(lua: Lua, family: c_int, kind: c_int, protocol: c_int) -> Result<&'a Handle, Errno> {
    let core = Core::of(lua);
    let slot = lua.reserve::<Handle>(USER_VALUES, core.pointer());
    Ok(slot.fill(Handle::new(core, system::socket(family, kind, protocol)?, family)))
}

/// `socket(family, type [, protocol [, options]])`
pub fn socket(lua: Lua) -> Outcome {
    let (family, kind, protocol) = arguments(lua)?;
    lua.set_top(4);
    match new(lua, family, kind, protocol) {
        Ok(handle) => finish(lua, handle, false),
        Err(errno) => lua.fail_errno(errno),
    }
}

/// Applies the options at index 4 and makes an object of the handle on top.
fn finish(lua: Lua, handle: &Handle, listener: bool) -> Outcome {
    if options::apply(lua, handle, 4, listener)? {
        object::push(lua, handle);
        return Ok(Returns(1));
    }
    handle.close_now();
    Ok(Returns(2))
}

/// `options(sock, table)`, for the helpers: the options of listeners. True,
/// or nil and a message.
pub fn listener_options(lua: Lua, handle: &Handle) -> Outcome {
    if options::apply(lua, handle, 2, true)? {
        lua.push_bool(true);
        return Ok(Returns(1));
    }
    Ok(Returns(2))
}

/// Pushes two raw sockets. May raise.
fn pair<'a>(lua: Lua, family: c_int, kind: c_int, protocol: c_int) -> Result<[&'a Handle; 2], Errno> {
    let core = Core::of(lua);
    // Both exist before either owns a descriptor.
    let first = lua.reserve::<Handle>(USER_VALUES, core.pointer()).fill(Handle::new(core, -1, family));
    let second = lua.reserve::<Handle>(USER_VALUES, core.pointer()).fill(Handle::new(core, -1, family));
    let fds = system::socketpair(family, kind, protocol)?;
    first.own(fds[0]);
    second.own(fds[1]);
    Ok([first, second])
}

/// `socketpair(family, type [, protocol])` of the raw module.
pub fn socketpair_raw(lua: Lua) -> Outcome {
    let (family, kind, protocol) = arguments(lua)?;
    match pair(lua, family, kind, protocol) {
        Ok(_) => Ok(Returns(2)),
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `socketpair(family, type [, protocol [, options]])`
pub fn socketpair(lua: Lua) -> Outcome {
    let (family, kind, protocol) = arguments(lua)?;
    lua.set_top(4);
    match pair(lua, family, kind, protocol) {
        Ok(handles) => {
            for handle in handles {
                if !options::apply(lua, handle, 4, false)? {
                    handles.iter().for_each(|handle| handle.close_now());
                    return Ok(Returns(2));
                }
            }
            object::push(lua, handles[1]);
            lua.insert(-2);
            object::push(lua, handles[0]);
            lua.insert(-2);
            Ok(Returns(2))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// The device argument.
fn device(lua: Lua) -> Result<[u8; libc::IF_NAMESIZE], Error> {
    let mut name = [0; libc::IF_NAMESIZE];
    let given = lua.string_or(1, b"")?;
    match name[..libc::IF_NAMESIZE - 1].get_mut(..given.len()) {
        Some(room) => room.copy_from_slice(given),
        None => return Err(Error::argument(1, "device name too long")),
    }
    Ok(name)
}

fn push_device(lua: Lua, name: &[u8]) {
    lua.push_bytes(name.split(|&byte| byte == 0).next().unwrap_or_default());
}

/// `open_tun([device [, flags]])` of the raw module -> fd, name.
pub fn open_tun_raw(lua: Lua) -> Outcome {
    let mut name = device(lua)?;
    let flags = lua.integer_or(2, i64::from(libc::IFF_TUN | libc::IFF_NO_PI))?;
    match system::open_tun(&mut name, flags as u16) {
        Ok(fd) => {
            Core::of(lua).fd_reset(fd);
            lua.push_integer(i64::from(fd));
            push_device(lua, &name);
            Ok(Returns(2))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `open_tun([device [, options]])` -> object, name.
pub fn open_tun(lua: Lua) -> Outcome {
    let mut name = device(lua)?;
    lua.set_top(2);
    let flags = tun_flags(lua)?;
    let core = Core::of(lua);
    let slot = lua.reserve::<Handle>(USER_VALUES, core.pointer());
    match system::open_tun(&mut name, flags as u16) {
        Ok(fd) => {
            let tun = slot.fill(Handle::new(core, fd, libc::AF_UNSPEC));
            object::push_tun(lua, tun);
            push_device(lua, &name);
            Ok(Returns(2))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// The flags that the option table at index 2 asks for.
fn tun_flags(lua: Lua) -> Result<c_int, Error> {
    let mut flags = 0;
    if !lua.is_none_or_nil(2) {
        lua.expect(2, ffi::LUA_TTABLE)?;
        let mut has = |name, flag| {
            lua.get_field(2, name);
            let set = lua.to_bool(-1);
            lua.pop(1);
            if set {
                flags |= flag;
            }
            set
        };
        if !has(c"tun", libc::IFF_TUN) {
            has(c"tap", libc::IFF_TAP);
        }
        has(c"no_pi", libc::IFF_NO_PI);
    }
    Ok(if flags == 0 { libc::IFF_TUN | libc::IFF_NO_PI } else { flags })
}
