//! `bit`: operations on 32 bits, as LuaJIT has them. Numbers count modulo 2^32,
//! results are signed.

use crate::functions;
use crate::lua::{function, Error, Functions, Lua, Outcome, Returns};

const FUNCTIONS: Functions = functions! {
    tobit: function(|lua: Lua| one(lua, |value| value)),
    bnot: function(|lua: Lua| one(lua, |value| !value)),
    bswap: function(|lua: Lua| one(lua, u32::swap_bytes)),
    band: function(|lua: Lua| all(lua, |a, b| a & b)),
    bor: function(|lua: Lua| all(lua, |a, b| a | b)),
    bxor: function(|lua: Lua| all(lua, |a, b| a ^ b)),
    // The count is taken modulo 32.
    lshift: function(|lua: Lua| shift(lua, u32::wrapping_shl)),
    rshift: function(|lua: Lua| shift(lua, u32::wrapping_shr)),
    arshift: function(|lua: Lua| shift(lua, |value, count| (value as i32).wrapping_shr(count) as u32)),
    rol: function(|lua: Lua| shift(lua, |value, count| value.rotate_left(count & 31))),
    ror: function(|lua: Lua| shift(lua, |value, count| value.rotate_right(count & 31))),
    tohex: function(tohex),
};

/// Opens the module, which becomes a global as well. May raise.
pub fn open(lua: Lua) -> Outcome {
    super::set_table_new(lua);
    lua.push_module(FUNCTIONS, std::ptr::null());
    lua.push_value(-1);
    lua.set_global(c"bit");
    Ok(Returns(1))
}

fn number(lua: Lua, index: i32) -> Result<u32, Error> {
    Ok(lua.integer(index)? as u32)
}

fn give(lua: Lua, value: u32) -> Outcome {
    lua.push_integer((value as i32).into());
    Ok(Returns(1))
}

fn one(lua: Lua, body: fn(u32) -> u32) -> Outcome {
    let value = number(lua, 1)?;
    give(lua, body(value))
}

fn all(lua: Lua, body: fn(u32, u32) -> u32) -> Outcome {
    let mut value = number(lua, 1)?;
    for index in 2..=lua.top() {
        value = body(value, number(lua, index)?);
    }
    give(lua, value)
}

fn shift(lua: Lua, body: fn(u32, u32) -> u32) -> Outcome {
    let (value, count) = (number(lua, 1)?, number(lua, 2)?);
    give(lua, body(value, count))
}

/// `tohex(x [, n])` -> n digits, 8 unless given; upper case for a negative n.
fn tohex(lua: Lua) -> Outcome {
    let value = number(lua, 1)?;
    let wanted = lua.integer_or(2, 8)?;
    let digits: &[u8; 16] = if wanted < 0 {
        b"0123456789ABCDEF"
    } else {
        b"0123456789abcdef"
    };
    let count = wanted.unsigned_abs().min(8) as usize;
    let mut text = [0; 8];
    for (place, byte) in text.iter_mut().rev().enumerate() {
        *byte = digits[(value >> (4 * place)) as usize & 15];
    }
    lua.push_bytes(text.get(8 - count..).unwrap_or_default());
    Ok(Returns(1))
}
