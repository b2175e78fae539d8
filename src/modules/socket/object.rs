//! The socket object: a table with the fields `sock` (the raw socket), `rd`,
//! `wr` and `mutex`, whose methods find the raw socket in it.

use std::ffi::CStr;

use super::handle::{self, Handle, Tun};
use super::options::setoption;
use super::{incoming, outgoing};
use crate::core::abi::Reader;
use crate::core::{Core, ReaderMethod};
use crate::lua::{ffi, field_method, Functions, Lua, Outcome, UserData};

/// Registry fields of the metatables.
const SOCKET: &CStr = c"eco.socket.object";
const TUN: &CStr = c"eco.socket.tun";

/// Makes the metatables; pushes the methods of sockets, for more to be added.
/// May raise.
pub fn open(lua: Lua, core: Core) {
    make::<Tun>(lua, core, TUN, TUN_METHODS);
    lua.pop(1);
    make::<Handle>(lua, core, SOCKET, METHODS);
}

fn make<T: UserData>(lua: Lua, core: Core, key: &CStr, methods: Functions) {
    lua.push_table(0, 2);
    lua.push_field_methods::<T>(c"sock", methods, core.pointer());
    lua.get_field(-1, c"close");
    lua.set_field(-3, c"__close");
    lua.push_value(-1);
    lua.set_field(-3, c"__index");
    lua.insert(-2);
    lua.set_field(ffi::LUA_REGISTRYINDEX, key);
}

/// Replaces the handle on top of the stack by an object around it. May raise.
pub fn push(lua: Lua, handle: &Handle) {
    wrap(lua, handle, SOCKET);
}

/// The same for a TUN device.
pub fn push_tun(lua: Lua, tun: &Tun) {
    wrap(lua, tun.handle(), TUN);
}

fn wrap(lua: Lua, handle: &Handle, metatable: &CStr) {
    lua.push_table(0, 4);
    handle.make_streams(lua, -2);
    lua.set_field(-3, c"wr");
    lua.set_field(-2, c"rd");
    lua.push_value(-2);
    lua.set_field(-2, c"sock");
    lua.push_value(-2);
    lua.set_field(-2, c"mutex");
    lua.get_field(ffi::LUA_REGISTRYINDEX, metatable);
    lua.set_metatable(-2);
    lua.remove(-2);
}

/// Methods whose receiver's raw socket is of either type.
macro_rules! stream_methods {
    ($this:ident: $type:ty => $handle:expr; $($more:tt)*) => {
        &[
            (c"read", field_method(|lua: Lua, $this: &$type| read(lua, $handle, ReaderMethod::Read))),
            (c"recv", field_method(|lua: Lua, $this: &$type| read(lua, $handle, ReaderMethod::Read))),
            (c"readfull", field_method(|lua: Lua, $this: &$type| read(lua, $handle, ReaderMethod::ReadFull))),
            (c"readuntil", field_method(|lua: Lua, $this: &$type| read(lua, $handle, ReaderMethod::ReadUntil))),
            (c"send", field_method(|lua: Lua, $this: &$type| outgoing::send(lua, $handle))),
            (c"write", field_method(|lua: Lua, $this: &$type| outgoing::send(lua, $handle))),
            (c"getfd", field_method(|lua: Lua, $this: &$type| handle::getfd(lua, $handle))),
            (c"closed", field_method(|lua: Lua, $this: &$type| handle::closed(lua, $handle))),
            (c"close", field_method(|lua: Lua, $this: &$type| handle::close(lua, $handle))),
            $($more)*
        ]
    };
}

const TUN_METHODS: Functions = stream_methods!(this: Tun => this.handle(););

const METHODS: Functions = stream_methods!(this: Handle => this;
    (c"recvfull", field_method(|lua: Lua, this: &Handle| read(lua, this, ReaderMethod::ReadFull))),
    (c"accept", field_method(incoming::accept_object)),
    (c"recvfrom", field_method(incoming::recvfrom)),
    (c"sendto", field_method(outgoing::sendto)),
    (c"sendfile", field_method(outgoing::sendfile)),
    (c"setoption", field_method(setoption)),
    (c"getsockname", field_method(handle::getsockname)),
    (c"getpeername", field_method(handle::getpeername)),
);

/// Leaves reading to the reader.
fn read(lua: Lua, handle: &Handle, method: ReaderMethod) -> Outcome {
    match handle.streams() {
        Some((reader, _)) => Reader::call(reader, lua, method, 2),
        None => lua.fail_errno(nix::errno::Errno::EBADF),
    }
}
