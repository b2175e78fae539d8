//! `asio`, `bit` and `table.new`: LuaAsio and what its programs use of LuaJIT.
//!
//! Light threads, connections and the loop are in `asio.lua`, on the scheduler
//! and the sockets of the other modules.

pub mod bit;

use crate::abi::Core;
use crate::functions;
use crate::lua::{ffi, function, CFunction, Functions, Lua, Outcome, Returns};
use crate::lua_source;
use crate::system::socket::original_destination;

const FUNCTIONS: Functions = functions! {
    original_dst: function(original_dst),
    settle: function(settle),
};

/// Opens `asio`, and makes `bit` and `table.new` global. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "asio")?;
    lua.require(c"bit");
    lua.push_chunk(c"=asio", lua_source!("asio.lua"));
    lua.push_module(FUNCTIONS, core.pointer());
    lua.call(1, 1);
    Ok(Returns(1))
}

const TABLE_NEW: CFunction = function(table_new);

/// Opens `table.new`. May raise.
pub fn open_table_new(lua: Lua) -> Outcome {
    lua.push_closure(TABLE_NEW, 0);
    Ok(Returns(1))
}

/// `new(elements, pairs)` -> table. What it asks for is no more than a hint, and
/// may be too much.
fn table_new(lua: Lua) -> Outcome {
    let most = 1 << 16;
    let elements = lua.integer_or(1, 0)?.clamp(0, most);
    let pairs = lua.integer_or(2, 0)?.clamp(0, most);
    lua.push_table(elements as i32, pairs as i32);
    Ok(Returns(1))
}

/// `settle(...)` -> its arguments: ends a call that returns at once, fair to others.
fn settle(lua: Lua) -> Outcome {
    Core::of(lua).settle(lua, Returns(lua.top()))
}

/// `original_dst(fd)` -> the bytes of an address, or nil.
fn original_dst(lua: Lua) -> Outcome {
    match original_destination(lua.int(1)?) {
        Ok(address) => lua.push_bytes(&address),
        Err(_) => lua.push_nil(),
    }
    Core::of(lua).settle(lua, Returns(1))
}

/// Sets the field `new` of the global `table`. May raise.
fn set_table_new(lua: Lua) {
    lua.push_global(c"table");
    if lua.type_of(-1) == ffi::LUA_TTABLE {
        lua.push_closure(TABLE_NEW, 0);
        lua.set_field(-2, c"new");
    }
    lua.pop(1);
}
