//! `eco.nl80211`: Wi-Fi devices, over `eco.genl`.
//!
//! Requests, answers and events are in `nl80211.lua`, what needs no socket in
//! `nl80211_names.lua`; the elements that other stations send are taken apart
//! in [`elements`].

mod constants;
mod elements;

use crate::lua::{function, Lua, Outcome, Returns};
use crate::lua_source;

/// Opens `eco.internal.nl80211`. May raise.
pub fn open_internal(lua: Lua) -> Outcome {
    lua.push_chunk(c"=eco.internal.nl80211", lua_source!("nl80211_names.lua"));
    lua.push_table(0, 0);
    for group in constants::GROUPS {
        lua.set_constants(*group);
    }
    lua.call(1, 1);
    Ok(Returns(1))
}

/// Opens `eco.nl80211`. May raise.
pub fn open(lua: Lua) -> Outcome {
    lua.push_chunk(c"=eco.nl80211", lua_source!("nl80211.lua"));
    lua.require(c"eco.internal.nl80211");
    lua.push_closure(function(elements::decode), 0);
    lua.push_closure(function(text), 0);
    lua.call(3, 1);
    Ok(Returns(1))
}

/// `text(bytes)` -> a hardware address in words.
fn text(lua: Lua) -> Outcome {
    lua.push_hardware_address(lua.string(1)?);
    Ok(Returns(1))
}
