//! `eco.postgres`, `lunet.postgres`: a PostgreSQL client.
//!
//! What a script sees is made in Lua: sessions in `postgres.lua`, what every
//! server has in common in `database.lua`, what every database in `sql.lua`. Messages are read and written by a
//! [`link`], which coroutines wait on; the protocol is in [`crate::postgres`].

mod link;
mod values;

use crate::abi::Core;
use crate::lua::{function, Functions, Lua, Outcome, Returns};
use crate::modules::sql::faces;
use crate::postgres::password::{self, Challenge, Hash};
use crate::{functions, lua_source};

const FUNCTIONS: Functions = functions! {
    link: function(link::new),
    md5: function(md5),
    nonce: function(nonce),
    challenge: function(challenge),
    rounds: function(rounds),
    prove: function(prove),
};

/// Opens `eco.postgres`. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.postgres")?;
    lua.push_chunk(c"=eco.postgres", lua_source!("postgres.lua"));
    lua.push_module(FUNCTIONS, core.pointer());
    lua.push_chunk(c"=eco.postgres", lua_source!("sql.lua"));
    lua.push_chunk(c"=eco.postgres", lua_source!("database.lua"));
    lua.call(3, 1);
    Ok(Returns(1))
}

/// Opens `lunet.postgres`. May raise.
pub fn open_lunet(lua: Lua) -> Outcome {
    let source = lua_source!("postgres_lunet.lua");
    faces::open_lunet(
        lua,
        c"=lunet.postgres",
        source,
        c"eco.postgres",
        Some(lua_source!("lunet_options.lua")),
    )
}

/// Opens `lunet.postgres_tx`. May raise.
pub fn open_transactions(lua: Lua) -> Outcome {
    let source = lua_source!("postgres_tx.lua");
    faces::open_transactions(lua, c"=lunet.postgres_tx", source, c"lunet.postgres")
}

/// `md5(user, password, salt)` -> what proves the password.
fn md5(lua: Lua) -> Outcome {
    lua.push_bytes(&password::md5(
        lua.string(1)?,
        lua.string(2)?,
        lua.string(3)?,
    ));
    Ok(Returns(1))
}

/// `nonce()` -> text that nobody guesses, or nil and a message.
fn nonce(lua: Lua) -> Outcome {
    let mut bytes = [0; 18];
    if !crate::system::random::secure(&mut bytes) {
        return lua.fail("no random numbers yet");
    }
    let mut text = [0; 24];
    crate::base64::encode(&bytes, &mut text);
    lua.push_bytes(&text);
    Ok(Returns(1))
}

/// `challenge(text, nonce, password)` -> iterations, both nonces, first round;
/// or nil.
fn challenge(lua: Lua) -> Outcome {
    let read = Challenge::read(lua.string(1)?, lua.string(2)?);
    let password = lua.string(3)?;
    let Ok((challenge, first)) = read.and_then(|challenge| {
        let first = challenge.first_round(password)?;
        Ok((challenge, first))
    }) else {
        lua.push_nil();
        return Ok(Returns(1));
    };
    lua.push_integer(challenge.iterations.into());
    lua.push_bytes(challenge.nonce);
    lua.push_bytes(&first);
    Ok(Returns(3))
}

fn hash(lua: Lua, index: i32) -> Result<Hash, crate::lua::Error> {
    Hash::try_from(lua.string(index)?).map_err(|_| "not a hash".into())
}

/// `rounds(password, last, sum, count)` -> last, sum.
fn rounds(lua: Lua) -> Outcome {
    let (mut last, mut sum) = (hash(lua, 2)?, hash(lua, 3)?);
    let count = lua.within(4, 0, 65536)? as u32;
    password::rounds(lua.string(1)?, &mut last, &mut sum, count);
    lua.push_bytes(&last);
    lua.push_bytes(&sum);
    Ok(Returns(2))
}

/// `prove(key, said)` -> proof, the signature that is due.
fn prove(lua: Lua) -> Outcome {
    let (proof, signature) = password::prove(&hash(lua, 1)?, &[lua.string(2)?]);
    lua.push_bytes(&proof);
    lua.push_bytes(&signature);
    Ok(Returns(2))
}
