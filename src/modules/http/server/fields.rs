//! Fields of a connection: methods, the handler's own, and a few that are
//! computed when asked for.

use super::connection::{Connection, FIELDS, OPTIONS, PEER, SOCKET};
use super::texts::{put_text, take_text};
use crate::core::Core;
use crate::lua::{ffi, Error, Lua, Outcome, Returns};

/// Index in the metatable of the table of methods.
const METHODS: i64 = 1;

/// Put the table of methods where `get` finds it.
pub fn open(lua: Lua, core: Core) {
    lua.push_metatable::<Connection>(core.pointer());
    lua.push_methods::<Connection>(core.pointer());
    lua.raw_set_index(-2, METHODS);
    lua.pop(1);
}

/// `__index`
pub fn get(lua: Lua, connection: &Connection) -> Outcome {
    lua.set_top(2);
    if lua.get_user_value(1, FIELDS) == ffi::LUA_TTABLE {
        lua.push_value(2);
        if lua.raw_get(3) != ffi::LUA_TNIL {
            return Ok(Returns(1));
        }
    }
    lua.raw_get_index(Lua::upvalue(2), METHODS);
    lua.push_value(2);
    if lua.raw_get(-2) != ffi::LUA_TNIL {
        return Ok(Returns(1));
    }
    match lua.bytes(2) {
        Some(b"sock") => {
            lua.get_user_value(1, SOCKET);
        }
        Some(b"peer") => {
            lua.get_user_value(1, PEER);
        }
        Some(b"options") => {
            lua.get_user_value(1, OPTIONS);
        }
        Some(b"body_remain") => {
            let remaining = connection
                .with(|exchange| exchange.remaining())
                .unwrap_or(0);
            lua.push_integer(i64::try_from(remaining).unwrap_or(i64::MAX));
        }
        Some(b"formed") => {
            let formed = connection.with(|exchange| exchange.form.is_some());
            lua.push_bool(formed.unwrap_or(false));
        }
        Some(b"resp") => push_response(lua, connection)?,
        _ => lua.push_nil(),
    }
    Ok(Returns(1))
}

/// `__newindex`
pub fn set(lua: Lua, _: &Connection) -> Outcome {
    if lua.get_user_value(1, FIELDS) != ffi::LUA_TTABLE {
        lua.pop(1);
        lua.push_table(0, 1);
        lua.push_value(-1);
        lua.set_user_value(1, FIELDS);
    }
    lua.insert(2);
    lua.raw_set(2);
    Ok(Returns(0))
}

/// A copy of what the response is so far.
fn push_response(lua: Lua, connection: &Connection) -> Result<(), Error> {
    let (code, built, chunked, minor) = connection.with(|exchange| {
        let response = &exchange.response;
        (
            response.code,
            response.built,
            response.chunked,
            exchange.minor,
        )
    })?;
    lua.push_table(0, 8);
    let table = lua.top();
    lua.set_integer(table, c"code", code);
    lua.set_bool(table, c"head_sent", built);
    lua.set_bool(table, c"chunked", chunked);
    lua.set_integer(table, c"major_version", 1);
    lua.set_integer(table, c"minor_version", i64::from(minor));
    // Texts are copied out first: nothing may be borrowed while Lua allocates.
    let (reason, headers, data) = connection.with(|exchange| {
        let response = &exchange.response;
        let mut headers = Vec::new();
        for (name, value) in response.headers() {
            put_text(&name.to_ascii_lowercase(), &mut headers);
            put_text(value, &mut headers);
        }
        (
            response.reason().map(Vec::from),
            headers,
            exchange.out.clone(),
        )
    })?;
    lua.protect(
        3,
        &(reason, headers, data),
        |lua, (reason, headers, data)| {
            match reason {
                Some(reason) => lua.push_bytes(reason),
                None => lua.push_nil(),
            }
            lua.push_bytes(data);
            lua.push_table(0, 4);
            let mut rest = &headers[..];
            while let (Some(name), Some(value)) = (take_text(&mut rest), take_text(&mut rest)) {
                lua.push_bytes(name);
                lua.push_bytes(value);
                lua.raw_set(3);
            }
        },
    )?;
    lua.set_field(table, c"headers");
    lua.set_field(table, c"data");
    lua.set_field(table, c"status");
    Ok(())
}
