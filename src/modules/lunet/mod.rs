//! `lunet` and its modules: another system's calls on our scheduler and sockets.
//!
//! What scripts see is made in the Lua files: `lunet_waits.lua` parks and resumes
//! coroutines, the others stand on it. Native are handles, which are nothing but
//! themselves, and the work on files, which runs on the core's pool.

mod fs;

use std::ffi::CStr;

use crate::abi::Core;
use crate::lua::{function, Functions, Lua, Outcome, Returns, UserData};
use crate::{functions, lua_source};

const FUNCTIONS: Functions = functions! {
    handle: function(handle),
    open: function(fs::open),
    close: function(fs::close),
    read: function(fs::read),
    write: function(fs::write),
    stat: function(fs::stat),
    scan: function(fs::scan),
};

/// What a script holds of a socket.
struct Handle;

impl UserData for Handle {
    const NAME: &'static CStr = c"lunet handle";
    const METHODS: Functions = Functions::NONE;
}

/// `handle()` -> a value that equals nothing but itself.
fn handle(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    lua.reserve::<Handle>(0, core.pointer()).fill(Handle);
    Ok(Returns(1))
}

/// Opens `lunet.internal.waits`. May raise.
pub fn open_waits(lua: Lua) -> Outcome {
    let core = Core::open(lua, "lunet")?;
    lua.push_chunk(c"=lunet", lua_source!("lunet_waits.lua"));
    lua.push_module(FUNCTIONS, core.pointer());
    lua.push_chunk(c"=lunet", lua_source!("uv_errors.lua"));
    lua.call(0, 1);
    lua.call(2, 1);
    Ok(Returns(1))
}

/// Opens a module that is a chunk of Lua over `lunet.internal.waits`. May raise.
fn above(lua: Lua, name: &CStr, source: &str) -> Outcome {
    lua.push_chunk(name, source);
    lua.require(c"lunet.internal.waits");
    lua.call(1, 1);
    Ok(Returns(1))
}

/// Opens `lunet`. May raise.
pub fn open(lua: Lua) -> Outcome {
    above(lua, c"=lunet", lua_source!("lunet.lua"))
}

/// Opens `lunet.socket`. May raise.
pub fn open_socket(lua: Lua) -> Outcome {
    above(lua, c"=lunet.socket", lua_source!("lunet_socket.lua"))
}

/// Opens `lunet.udp`. May raise.
pub fn open_udp(lua: Lua) -> Outcome {
    above(lua, c"=lunet.udp", lua_source!("lunet_udp.lua"))
}

/// Opens `lunet.fs`. May raise.
pub fn open_fs(lua: Lua) -> Outcome {
    above(lua, c"=lunet.fs", lua_source!("lunet_fs.lua"))
}

/// Opens `lunet.signal`. May raise.
pub fn open_signal(lua: Lua) -> Outcome {
    above(lua, c"=lunet.signal", lua_source!("lunet_signal.lua"))
}

/// Opens `lunet.db`. May raise.
pub fn open_db(lua: Lua) -> Outcome {
    above(lua, c"=lunet.db", lua_source!("lunet_db.lua"))
}

/// Opens `lunet.internal.launcher`: what the program `lunet` calls. May raise.
pub fn open_launcher(lua: Lua) -> Outcome {
    above(lua, c"=lunet", lua_source!("lunet_launcher.lua"))
}

/// Opens `lunet.internal.trace`: wraps what parks and resumes. May raise.
pub fn open_trace(lua: Lua) -> Outcome {
    lua.push_chunk(c"=lunet", lua_source!("lunet_trace.lua"));
    lua.call(0, 1);
    Ok(Returns(1))
}
