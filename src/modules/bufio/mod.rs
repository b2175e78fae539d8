//! `eco.bufio`: the buffered reader of README-dialect scripts.
//!
//! A few lines of Lua over `eco.buffer` and a source's `read2b`, which is
//! where a coroutine is parked: natively, for every kind of source.

use crate::lua::{Lua, Outcome, Returns};
use crate::lua_source;

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    lua.push_chunk(c"=eco.bufio", lua_source!("bufio.lua"));
    lua.require(c"eco");
    lua.call(1, 1);
    Ok(Returns(1))
}
