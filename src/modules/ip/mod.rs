//! `eco.ip`: links, addresses, neighbours, routes and rules, over `eco.nl`.
//!
//! Requests are put together and waited for in `ip.lua`; what the kernel tells
//! becomes tables in [`record`].

mod record;

use std::ffi::c_int;

use crate::lua::{function, Lua, Outcome, Returns};
use crate::lua_source;

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    lua.push_chunk(c"=eco.ip", lua_source!("ip.lua"));
    lua.push_closure(function(record::decode), 0);
    for names in record::NAMES {
        lua.push_table(0, 0);
        lua.set_constants(*names);
    }
    lua.call(1 + record::NAMES.len() as c_int, 1);
    Ok(Returns(1))
}
