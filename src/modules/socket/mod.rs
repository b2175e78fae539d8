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
    lua.set_constants(-1, constants::COMMON);
    lua.set_constants(-1, constants::FURTHER);
    lua.push_table(0, 0);
    lua.set_constants(-1, constants::COMMON);
    lua.push_table(0, 1);
    lua.push_value(-3);
    lua.set_field(-2, c"__index");
    lua.set_metatable(-2);
    // Stack: chunk, raw module, module. The chunk gets copies of both.
    lua.push_value(-3);
    lua.push_value(-3);
    lua.push_value(-3);
    object::open(lua, core);
    lua.push_function(function(create::object), core.pointer());
    lua.call(4, 1);
    lua.set_field(ffi::LUA_REGISTRYINDEX, options::STRUCTURE);
    // `require 'eco.internal.socket'` gives the raw module from now on.
    lua.get_field(ffi::LUA_REGISTRYINDEX, c"_LOADED");
    lua.push_value(-3);
    lua.set_field(-2, c"eco.internal.socket");
    lua.pop(1);
    Ok(Returns(1))
}
