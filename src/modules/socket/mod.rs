//! `eco.socket` and `eco.internal.socket`: sockets whose calls suspend one
//! coroutine, never the thread.
//!
//! A script's socket is a table ([`object`]) around a raw one ([`handle`]).
//! Calls that may wait live in [`incoming`] and [`outgoing`]; what is made of
//! several calls in `helpers.lua`; system calls in [`system`].

mod address;
mod constants;
mod create;
mod handle;
mod helpers;
mod incoming;
mod object;
mod options;
mod outgoing;
mod system;
mod turns;

use crate::core::Core;
use crate::lua::{ffi, function, Lua, Outcome, Returns};
use crate::lua_source;

/// Opens both modules; leaves `eco.socket`. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.socket")?;
    lua.push_chunk(c"=eco.socket", lua_source!("helpers.lua"));
    lua.push_module(create::FUNCTIONS, core.pointer());
    lua.set_functions(helpers::FUNCTIONS, core.pointer());
    lua.set_constants(-1, constants::CONSTANTS);
    object::push_methods(lua, core);
    lua.push_function(function(create::object), core.pointer());
    lua.call(4, 4);
    for field in [object::TUN, object::SOCKET, options::STRUCTURE] {
        lua.set_field(ffi::LUA_REGISTRYINDEX, field);
    }
    Ok(Returns(1))
}
