//! `eco.socket` and `eco.internal.socket`: sockets whose calls suspend one
//! coroutine, never the thread.
//!
//! A script's socket is a table ([`object`]) around a raw one ([`handle`]).
//! Calls that may wait live in [`incoming`] and [`outgoing`]; whatever is made
//! of several calls in `helpers.lua`; system calls in [`system`].

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
use crate::lua::{ffi, function, method, Functions, Lua, Outcome, Returns};
use handle::Handle;

/// What the raw module has besides [`helpers`].
const RAW: Functions = &[
    (c"socket", function(create::socket_raw)),
    (c"socketpair", function(create::socketpair_raw)),
    (c"open_tun", function(create::open_tun_raw)),
];

/// What the module puts in front of it.
const FUNCTIONS: Functions = &[
    (c"socket", function(create::socket)),
    (c"socketpair", function(create::socketpair)),
    (c"open_tun", function(create::open_tun)),
];

/// Opens both modules; leaves `eco.socket`. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.socket")?;
    lua.push_module(RAW, core.pointer());
    lua.set_functions(helpers::FUNCTIONS, core.pointer());
    lua.set_constants(-1, constants::COMMON);
    lua.set_constants(-1, constants::FURTHER);
    lua.push_module(FUNCTIONS, core.pointer());
    lua.set_constants(-1, constants::COMMON);
    // Stack: raw module, module
    lua.push_table(0, 1);
    lua.push_value(-3);
    lua.set_field(-2, c"__index");
    lua.set_metatable(-2);
    lua.push_chunk(c"=eco.socket", include_str!("helpers.lua"));
    lua.push_value(-2);
    object::open(lua, core);
    lua.push_pointer(core.pointer());
    lua.push_metatable::<Handle>(core.pointer());
    lua.push_closure(method(create::listener_options), 2);
    lua.call(3, 0);
    // `require 'eco.internal.socket'` gives the raw module from now on.
    lua.get_field(ffi::LUA_REGISTRYINDEX, c"_LOADED");
    lua.push_value(-3);
    lua.set_field(-2, c"eco.internal.socket");
    lua.pop(1);
    Ok(Returns(1))
}
