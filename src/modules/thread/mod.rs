//! `eco.thread`: Lua states in threads of their own, and channels between them.
//! The states are the business of [`crate::states`].

mod body;
mod channel;
mod handle;
mod local;
mod passing;
mod wait;

use crate::abi::Core;
use crate::functions;
use crate::lua::{function, Lua, Outcome, Returns};
use crate::lua_source;

const FUNCTIONS: crate::lua::Functions = functions! {
    spawn: function(handle::spawn),
    self: function(handle::own),
    channel: function(channel::create),
    cores: function(cores),
};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.thread")?;
    handle::Threads::open(lua, core, None);
    passing::prepare(lua, core);
    lua.push_module(FUNCTIONS, core.pointer());
    // Adds `pool`.
    lua.push_chunk(c"=eco.thread", lua_source!("thread.lua"));
    lua.push_value(-2);
    passing::push_error_type(lua);
    lua.call(2, 0);
    Ok(Returns(1))
}

/// `cores()` -> how many threads run at a time.
fn cores(lua: Lua) -> Outcome {
    lua.push_integer(crate::system::thread::cores() as i64);
    Ok(Returns(1))
}

/// Ends a call that has pushed `count` results, fair to others. May raise.
fn settle(lua: Lua, core: Core, count: std::ffi::c_int) -> Outcome {
    use crate::abi::Host;
    Ok(Host::settle(core, lua, count))
}

/// The same with `nil, message`.
fn refuse(lua: Lua, core: Core, message: &str) -> Outcome {
    lua.push_nil();
    lua.push_str(message);
    settle(lua, core, 2)
}
