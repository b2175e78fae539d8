//! What lunet calls a driver: two modules over ours.

use std::ffi::CStr;

use crate::lua::{Lua, Outcome, Returns};
use crate::lua_source;

/// Opens `lunet.NAME` (the name of the chunk `source` after `=`) over `driver`; `more` is what `source` gets besides.
/// May raise.
pub fn open_lunet(
    lua: Lua,
    chunk: &'static CStr,
    source: &'static str,
    driver: &'static CStr,
    more: Option<&'static str>,
) -> Outcome {
    let before = lua.top();
    lua.push_chunk(chunk, source);
    lua.require(c"lunet.internal.waits");
    lua.require(driver);
    lua.push_chunk(chunk, lua_source!("sql_lunet.lua"));
    if let Some(more) = more {
        lua.push_chunk(chunk, more);
    }
    lua.call(lua.top() - before - 1, 1);
    Ok(Returns(1))
}

/// Opens `lunet.NAME_tx` over `lunet.NAME`. May raise.
pub fn open_transactions(
    lua: Lua,
    chunk: &'static CStr,
    source: &'static str,
    module: &'static CStr,
) -> Outcome {
    lua.push_chunk(chunk, source);
    lua.require(module);
    lua.push_chunk(chunk, lua_source!("sql_tx.lua"));
    lua.call(2, 1);
    Ok(Returns(1))
}
