//! `luv`: another system's fibers, files, sockets, processes and threads, on our
//! scheduler and modules.
//!
//! What scripts see is made in the Lua files. Native are the queue of fibers that
//! are ready, the codec, and the work on files, which runs on the core's pool.

mod fiber;
mod fs;
mod machine;

use std::ffi::CStr;

use crate::abi::Core;
use crate::lua::{ffi, function, Functions, Lua, Outcome, Returns};
use crate::states::codec::{self, Options, Problem};
use crate::{functions, lua_source};

const FUNCTIONS: Functions = functions! {
    encode: function(encode),
    decode: function(decode),
    settle: function(settle),
    open: function(fs::open),
    close: function(fs::close),
    read: function(fs::read),
    write: function(fs::write),
    stat: function(fs::stat),
    lstat: function(fs::lstat),
    fstat: function(fs::fstat),
    readdir: function(fs::readdir),
    unlink: function(fs::unlink),
    rmdir: function(fs::rmdir),
    mkdir: function(fs::mkdir),
    rename: function(fs::rename),
    link: function(fs::link),
    symlink: function(fs::symlink),
    readlink: function(fs::readlink),
    chmod: function(fs::chmod),
    chown: function(fs::chown),
    utime: function(fs::utime),
    sync: function(fs::sync),
    truncate: function(fs::truncate),
    copy: function(fs::copy),
    shutdown: function(machine::shutdown),
    cwd: function(machine::cwd),
    chdir: function(machine::chdir),
    hrtime: function(machine::hrtime),
    interfaces: function(machine::interfaces),
};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "luv")?;
    lua.push_module(FUNCTIONS, core.pointer());
    fiber::set_functions(lua, core);
    let native = lua.top();
    // Each part adds to what the parts share.
    lua.push_table(0, 16);
    lua.push_value(native);
    lua.set_field(-2, c"native");
    lua.push_chunk(c"=luv", lua_source!("uv_errors.lua"));
    lua.call(0, 2);
    lua.set_field(-3, c"number");
    lua.set_field(-2, c"text");
    part(lua, c"=luv", lua_source!("luv_states.lua"));
    part(lua, c"=luv", lua_source!("luv_fs.lua"));
    part(lua, c"=luv", lua_source!("luv_streams.lua"));
    part(lua, c"=luv", lua_source!("luv_machine.lua"));
    part(lua, c"=luv", lua_source!("luv_modules.lua"));
    lua.get_field(-1, c"luv");
    Ok(Returns(1))
}

/// Runs a chunk with the table on top, which stays. May raise.
fn part(lua: Lua, name: &CStr, source: &str) {
    lua.push_chunk(name, source);
    lua.push_value(-2);
    lua.call(1, 0);
}

/// `encode(...)` -> string.
fn encode(lua: Lua) -> Outcome {
    let message = codec::encode(lua, 1, lua.top(), &Options::DEFAULT)?;
    // What threads share does not fit into a string.
    if !message.objects.is_empty() {
        return Err(Problem::Userdata.into());
    }
    lua.try_push_bytes(&message.bytes)?;
    Ok(Returns(1))
}

/// `decode(string)` -> values.
fn decode(lua: Lua) -> Outcome {
    lua.expect(1, ffi::LUA_TSTRING)?;
    let bytes = lua.to_bytes(1);
    codec::decode_bytes(lua, bytes, &Options::DEFAULT).map(Returns)
}

/// `settle(...)` -> its arguments: ends a call that may have returned at once, fair
/// to others.
fn settle(lua: Lua) -> Outcome {
    Core::of(lua).settle(lua, Returns(lua.top()))
}
