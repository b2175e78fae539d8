//! Prints how many times a second a table of 10 000 mixed values is written and read: by the codec of messages between Lua
//! states, or as Lua source, by `string.format('%q')` and `load`.
//!
//!     cargo run --profile fast --example messages --features interpreter,states -- codec|source SECONDS
#![allow(unsafe_code)]

use lua_eco::lua::{function, Lua, Outcome, Returns};
use lua_eco::states::codec::{self, Options};

fn encode(lua: Lua) -> Outcome {
    let message = codec::encode(lua, 1, 1, &Options::DEFAULT)?;
    lua.try_push_bytes(&message.bytes)?;
    Ok(Returns(1))
}

fn decode(lua: Lua) -> Outcome {
    let count = codec::decode_bytes(lua, lua.string(1)?, &Options::DEFAULT)?;
    Ok(Returns(count))
}

fn main() -> mlua::Result<()> {
    let lua = mlua::Lua::new();
    // SAFETY: functions for Lua, which own nothing when it raises.
    let (encode, decode) = unsafe {
        (
            lua.create_c_function(function(encode))?,
            lua.create_c_function(function(decode))?,
        )
    };
    let globals = lua.globals();
    globals.set("encode", encode)?;
    globals.set("decode", decode)?;
    let mut arguments = std::env::args().skip(1);
    globals.set("what", arguments.next())?;
    globals.set("seconds", arguments.next())?;
    lua.load(include_str!("../lua/messages.lua")).exec()
}
