//! `eco.mysql`, `lunet.mysql`: a client of MySQL and MariaDB.
//!
//! What a script sees is made in Lua: sessions in `mysql.lua`, what every server
//! has in common in `database.lua`, what every database in `sql.lua`. Packets are
//! read and written by a [`link`], which coroutines wait on; the protocol is in
//! [`crate::mysql`].

mod link;
mod values;

use crate::abi::Core;
use crate::lua::{function, Functions, Lua, Outcome, Returns};
use crate::modules::sql::faces;
use crate::mysql::password;
use crate::{functions, lua_source};

const FUNCTIONS: Functions = functions! {
    link: function(link::new),
    native: function(native),
    caching_sha2: function(caching_sha2),
};

/// Opens `eco.mysql`. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.mysql")?;
    lua.push_chunk(c"=eco.mysql", lua_source!("mysql.lua"));
    lua.push_module(FUNCTIONS, core.pointer());
    lua.push_chunk(c"=eco.mysql", lua_source!("sql.lua"));
    lua.push_chunk(c"=eco.mysql", lua_source!("database.lua"));
    lua.call(3, 1);
    Ok(Returns(1))
}

/// Opens `lunet.mysql`. May raise.
pub fn open_lunet(lua: Lua) -> Outcome {
    let source = lua_source!("mysql_lunet.lua");
    faces::open_lunet(
        lua,
        c"=lunet.mysql",
        source,
        c"eco.mysql",
        Some(lua_source!("lunet_options.lua")),
    )
}

/// Opens `lunet.mysql_tx`. May raise.
pub fn open_transactions(lua: Lua) -> Outcome {
    let source = lua_source!("mysql_tx.lua");
    faces::open_transactions(lua, c"=lunet.mysql_tx", source, c"lunet.mysql")
}

/// `native(password, salt)` -> what proves the password.
fn native(lua: Lua) -> Outcome {
    lua.push_bytes(&password::native(lua.string(1)?, lua.string(2)?));
    Ok(Returns(1))
}

/// `caching_sha2(password, salt)` -> what proves the password.
fn caching_sha2(lua: Lua) -> Outcome {
    lua.push_bytes(&password::caching_sha2(lua.string(1)?, lua.string(2)?));
    Ok(Returns(1))
}
