//! The socket object: a table with the fields `sock` (the raw socket), `rd`,
//! `wr` and `mutex`, whose methods find the raw socket in it.

use std::ffi::CStr;

use super::handle::{self, Handle};
use super::{incoming, outgoing};
use crate::abi::{Core, ReaderMethod};
use crate::functions;
use crate::lua::{ffi, field_method, Functions, Lua, Outcome};

/// Registry fields of the metatables, which `helpers.lua` makes.
pub const SOCKET: &CStr = c"eco.socket.object";
pub const TUN: &CStr = c"eco.socket.tun";

/// Pushes tables of the methods of sockets and of TUN devices. May raise.
pub fn push_methods(lua: Lua, core: Core) {
    for count in [METHODS.values.len(), STREAM_METHODS] {
        let methods = METHODS.first(count);
        lua.push_field_methods::<Handle>(c"sock", methods, core.pointer());
    }
}

/// Replaces the handle on top of the stack by an object around it. May raise.
pub fn push(lua: Lua, handle: &Handle) {
    wrap(lua, handle, SOCKET);
}

/// The same for the handle of a TUN device.
pub fn push_tun(lua: Lua, handle: &Handle) {
    wrap(lua, handle, TUN);
}

fn wrap(lua: Lua, handle: &Handle, metatable: &CStr) {
    lua.push_table(0, 4);
    handle.make_streams(lua, -2);
    lua.set_field(-3, c"wr");
    lua.set_field(-2, c"rd");
    for name in [c"sock", c"mutex"] {
        lua.push_value(-2);
        lua.set_field(-2, name);
    }
    lua.get_field(ffi::LUA_REGISTRYINDEX, metatable);
    lua.set_metatable(-2);
    lua.remove(-2);
}

/// How many of the methods TUN devices have.
const STREAM_METHODS: usize = 10;

const METHODS: Functions = functions! {
    read: field_method(read),
    recv: field_method(read),
    readfull: field_method(read_full),
    readuntil: field_method(read_until),
    read2b: field_method(read_to_buffer),
    send: field_method(outgoing::send),
    write: field_method(outgoing::send),
    getfd: field_method(handle::getfd),
    closed: field_method(handle::closed),
    close: field_method(handle::close),
    // Those of real sockets only.
    recvfull: field_method(read_full),
    accept: field_method(incoming::accept_object),
    recvfrom: field_method(incoming::recvfrom),
    sendto: field_method(outgoing::sendto),
    getsockname: field_method(handle::getsockname),
    getpeername: field_method(handle::getpeername),
    shutdown: field_method(handle::shutdown),
};

fn read(lua: Lua, handle: &Handle) -> Outcome {
    read_with(lua, handle, ReaderMethod::Read)
}

fn read_full(lua: Lua, handle: &Handle) -> Outcome {
    read_with(lua, handle, ReaderMethod::ReadFull)
}

fn read_until(lua: Lua, handle: &Handle) -> Outcome {
    read_with(lua, handle, ReaderMethod::ReadUntil)
}

fn read_to_buffer(lua: Lua, handle: &Handle) -> Outcome {
    read_with(lua, handle, ReaderMethod::ReadToBuffer)
}

/// Leaves reading to the reader.
fn read_with(lua: Lua, handle: &Handle, method: ReaderMethod) -> Outcome {
    match handle.streams() {
        Some((reader, _)) => reader.call(lua, method, 2),
        None => handle.fail(lua, nix::errno::Errno::EBADF),
    }
}
