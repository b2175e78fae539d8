//! `eco.cli`: the options of a script, described once and parsed by that.
//!
//! Tables in, a table out: Lua says it shortest, so the module is Lua source
//! inside its shared object. It asks nothing of the scheduler.

use crate::lua::{Lua, Outcome, Returns};
use crate::lua_source;

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    lua.push_chunk(c"=eco.cli", lua_source!("parse.lua"));
    lua.call(0, 1);
    Ok(Returns(1))
}
