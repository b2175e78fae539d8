//! `eco.packet`: packets as tables of their fields, and byte strings from
//! fields. What the bytes mean is in [`crate::packet`].

mod build;
mod parse;

use crate::lua::{function, Lua, Outcome, Returns};
use crate::lua_source;

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    lua.push_module(build::FUNCTIONS, std::ptr::null());
    // What packets have in common is shared by all that makes them.
    lua.push_table(0, 4);
    for (name, parser) in parse::PARSERS.each() {
        lua.push_bytes(name);
        lua.push_value(-2);
        lua.push_closure(parser, 1);
        lua.raw_set(-4);
    }
    lua.push_chunk(c"=eco.packet", lua_source!("packet.lua"));
    lua.push_value(-2);
    lua.push_value(-1);
    lua.push_closure(function(parse::next), 1);
    lua.push_closure(function(parse::frame_name), 0);
    lua.call(3, 0);
    lua.pop(1);
    Ok(Returns(1))
}
