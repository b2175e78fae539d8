//! `eco.mqtt`: an MQTT client.
//!
//! What a script sees is made in `mqtt.lua`: clients, their options and events,
//! connecting and connecting again. Packets are read, answered and written by a
//! [`link`], which coroutines wait on; the protocol is in [`crate::mqtt`].

mod flush;
mod link;
mod properties;
mod publish;
mod receive;

use crate::abi::Core;
use crate::functions;
use crate::lua::{function, Functions, Lua, Outcome, Returns};
use crate::lua_source;
use crate::mqtt::topic;

/// What the script is made with.
const FUNCTIONS: Functions = functions! {
    link: function(link::new),
    is_name: function(is_name),
    is_filter: function(is_filter),
    settle: function(settle),
};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.mqtt")?;
    lua.push_chunk(c"=eco.mqtt", lua_source!("mqtt.lua"));
    lua.push_module(FUNCTIONS, core.pointer());
    lua.call(1, 1);
    Ok(Returns(1))
}

/// `settle(...)` -> its arguments: ends a call that returns at once, fair to others.
fn settle(lua: Lua) -> Outcome {
    Core::of(lua).settle(lua, Returns(lua.top()))
}

/// `is_name(text)` -> whether it is a topic to publish to.
fn is_name(lua: Lua) -> Outcome {
    lua.push_bool(topic::is_name(lua.bytes(1).unwrap_or_default()));
    Ok(Returns(1))
}

/// `is_filter(text)` -> whether it is a topic to subscribe to.
fn is_filter(lua: Lua) -> Outcome {
    lua.push_bool(topic::is_filter(lua.bytes(1).unwrap_or_default()));
    Ok(Returns(1))
}
