//! `eco.encoding.base64`: bytes to Base64 text and back.

use crate::base64::{
    decode as from_base64, decoded_length, encode as to_base64, encoded_length, BLOCK,
};
use crate::functions;
use crate::lua::{function, Functions, Lua, Outcome, Returns};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    lua.push_module(FUNCTIONS, std::ptr::null());
    Ok(Returns(1))
}

const FUNCTIONS: Functions = functions! {
    encode: function(encode),
    decode: function(decode),
};

/// `encode(data)` -> text.
fn encode(lua: Lua) -> Outcome {
    let data = lua.string(1)?;
    let length = encoded_length(data.len()).ok_or("string too long")?;
    let mut blocks = data.chunks(BLOCK / 4 * 3);
    lua.push_filled_by(length, BLOCK, &mut |out| {
        to_base64(blocks.next().unwrap_or_default(), out);
    });
    Ok(Returns(1))
}

/// `decode(text)` -> bytes, or nil and a message.
fn decode(lua: Lua) -> Outcome {
    let text = lua.string(1)?;
    let length = decoded_length(text);
    let mut is_base64 = length.is_some();
    let mut blocks = text.chunks(BLOCK);
    lua.push_filled_by(length.unwrap_or(0), BLOCK / 4 * 3, &mut |out| {
        is_base64 &= from_base64(blocks.next().unwrap_or_default(), out);
    });
    if is_base64 {
        Ok(Returns(1))
    } else {
        lua.fail("input is malformed")
    }
}
