//! `eco.hash.hmac`: keyed digests (RFC 2104) over the digest module that the
//! caller passes, so that no digest is in two packages.

use crate::lua::{function, Lua, Outcome, Returns};
use crate::lua_source;

/// The block of MD5, SHA-1 and SHA-256.
const BLOCK: usize = 64;

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    lua.push_chunk(c"=eco.hash.hmac", lua_source!("hmac.lua"));
    lua.push_closure(function(pad), 0);
    lua.call(1, 1);
    Ok(Returns(1))
}

/// From Lua: `pad(key, byte)` -> a block of the key, mixed with the byte.
fn pad(lua: Lua) -> Outcome {
    let (key, byte) = (lua.string(1)?, lua.int(2)? as u8);
    lua.push_filled(BLOCK, &mut |block| {
        for (place, key) in block.iter_mut().zip(key) {
            *place = *key;
        }
        for place in block {
            *place ^= byte;
        }
    });
    Ok(Returns(1))
}
