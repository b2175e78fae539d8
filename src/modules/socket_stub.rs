//! `eco.internal.socket` before `eco.socket` was loaded: loads it, for it
//! holds both. Lua looks for the inner module in `eco.so`, so this lives here.

use crate::lua::{Error, Lua, Outcome, Returns};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    lua.require(c"eco.socket");
    if !lua.get_metatable(-1) {
        return Err(Error::from("eco.socket is not lua-eco's"));
    }
    lua.get_field(-1, c"__index");
    Ok(Returns(1))
}
