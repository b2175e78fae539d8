//! `eco.socket` and `eco.internal.socket`: sockets whose calls suspend one
//! coroutine, never the thread.
//!
//! A script's socket is a table ([`object`]) around a raw one ([`handle`]).
//! Calls that may wait live in [`incoming`] and [`outgoing`]; what is made of
//! several calls in `helpers.lua`; system calls in [`crate::system::socket`].

mod address;
mod constants;
mod create;
mod handle;
mod helpers;
mod incoming;
mod object;
mod options;
mod outgoing;

use crate::abi::Core;
use crate::lua::{ffi, field_method, function, Lua, Outcome, Returns};
use crate::lua_source;
use handle::Handle;

/// Opens both modules; leaves `eco.socket`. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.socket")?;
    lua.push_chunk(c"=eco.socket", lua_source!("helpers.lua"));
    lua.push_module(create::FUNCTIONS, core.pointer());
    lua.set_functions(helpers::FUNCTIONS, core.pointer());
    lua.set_constants(constants::CONSTANTS);
    object::push_methods(lua, core);
    lua.push_metatable::<Handle>(core.pointer());
    lua.get_field(-1, c"__index");
    lua.remove(-2);
    lua.push_function(function(create::object), core.pointer());
    lua.push_function(function(create::tun), core.pointer());
    lua.push_field_method::<Handle>(c"sock", field_method(options::set_option), core.pointer());
    lua.push_field_method::<Handle>(c"sock", field_method(outgoing::set_limit), core.pointer());
    options::push_numbers(lua);
    lua.call(9, 3);
    for field in [object::TUN, object::SOCKET] {
        lua.set_field(ffi::LUA_REGISTRYINDEX, field);
    }
    Ok(Returns(1))
}
