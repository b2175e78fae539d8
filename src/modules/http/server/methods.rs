//! Methods that prepare a response or read a request body.

use super::connection::Connection;
use super::exchange::Exchange;
use super::pump::Goal;
use super::response::Malformed;
use crate::core::duration;
use crate::lua::{ffi, Error, Lua, Outcome, Returns};

const HEAD_SENT: &str = "http head has been sent";

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Error {
        "invalid http header".into()
    }
}

/// Ends with `true`.
fn yes(lua: Lua) -> Outcome {
    lua.push_bool(true);
    Ok(Returns(1))
}

/// Run `body` on a response whose head is still open.
fn open_head(
    connection: &Connection,
    body: impl FnOnce(&mut Exchange) -> Result<(), Malformed>,
) -> Result<(), Error> {
    connection.with(|exchange| {
        if exchange.response.built {
            return Err(HEAD_SENT.into());
        }
        body(exchange).map_err(Error::from)
    })?
}

/// A timeout argument in nanoseconds; absent or not positive means none.
pub fn timeout(lua: Lua, index: std::ffi::c_int) -> i64 {
    lua.to_number(index).map_or(0, duration)
}

/// `con:add_header(name, value)`
pub fn add_header(lua: Lua, connection: &Connection) -> Outcome {
    let name = lua.string(2)?;
    if lua.is_none_or_nil(3) {
        open_head(connection, |exchange| {
            exchange.response.remove(name);
            Ok(())
        })?;
    } else {
        let value = lua.string(3)?;
        open_head(connection, |exchange| exchange.response.set(name, value))?;
    }
    Ok(Returns(0))
}

/// `con:set_status(code [, reason])`
pub fn set_status(lua: Lua, connection: &Connection) -> Outcome {
    let code = lua.integer(2)?;
    let reason = if lua.is_none_or_nil(3) {
        None
    } else {
        Some(lua.string(3)?)
    };
    open_head(connection, |exchange| {
        exchange.response.code = code;
        reason.map_or(Ok(()), |reason| exchange.response.set_reason(reason))
    })?;
    yes(lua)
}

/// `con:send(...)`
pub fn send(lua: Lua, connection: &Connection) -> Outcome {
    let top = lua.top();
    let mut length = 0;
    for index in 2..=top {
        if lua.type_of(index) != ffi::LUA_TSTRING {
            lua.to_text(index);
        }
        length += lua.raw_len(index) as u64;
    }
    connection.with(|exchange| {
        exchange.build(&connection.settings);
        if exchange.response.begin_piece(length, &mut exchange.out) {
            for index in 2..=top {
                exchange.out.extend_from_slice(lua.to_bytes(index));
            }
            exchange.response.end_piece(&mut exchange.out);
        }
    })?;
    yes(lua)
}

/// `con:flush()`
pub fn flush(lua: Lua, connection: &Connection) -> Outcome {
    connection.with(|exchange| exchange.build(&connection.settings))?;
    connection.start(lua, Goal::Flush, 0)
}

/// `con:send_error(code [, reason [, content]])`
pub fn send_error(lua: Lua, connection: &Connection) -> Outcome {
    lua.set_top(4);
    if lua.type_of(2) != ffi::LUA_TNUMBER {
        lua.to_text(2);
        lua.push_str("invalid code: ");
        lua.push_value(2);
        lua.concat(2);
        return Err(Error::Raised);
    }
    let code = lua.integer(2)?;
    let reason = if lua.is_none_or_nil(3) {
        None
    } else {
        Some(lua.string(3)?)
    };
    let content = if lua.is_none_or_nil(4) {
        None
    } else {
        Some(lua.string(4)?)
    };
    open_head(connection, |exchange| {
        prepare_error(exchange, code, reason)?;
        if content.is_none() {
            exchange.response.set_number(b"content-length", 0);
        }
        Ok(())
    })?;
    connection.with(|exchange| {
        exchange.build(&connection.settings);
        exchange.piece(content.unwrap_or(b""));
    })?;
    yes(lua)
}

fn prepare_error(
    exchange: &mut Exchange,
    code: i64,
    reason: Option<&[u8]>,
) -> Result<(), Malformed> {
    exchange.response.code = code;
    if let Some(reason) = reason {
        exchange.response.set_reason(reason)?;
    }
    exchange.response.set(b"connection", b"close")
}

/// `con:redirect(code, location)`
pub fn redirect(lua: Lua, connection: &Connection) -> Outcome {
    let code = match lua.to_integer(2) {
        Some(code @ 300..=308) if lua.type_of(2) == ffi::LUA_TNUMBER => code,
        _ => return Err("assertion failed!".into()),
    };
    let location = lua.string(3)?;
    open_head(connection, |exchange| {
        exchange.response.set(b"location", location)?;
        prepare_error(exchange, code, None)?;
        exchange.response.set_number(b"content-length", 0);
        Ok(())
    })?;
    connection.with(|exchange| exchange.build(&connection.settings))?;
    yes(lua)
}

/// `con:read_body([count [, timeout]])`
pub fn read_body(lua: Lua, connection: &Connection) -> Outcome {
    let left = connection.with(|exchange| exchange.remaining())?;
    let count = lua.integer_or(2, i64::MAX)?;
    if left == 0 {
        lua.push_str("");
        return Ok(Returns(1));
    }
    if count <= 0 {
        return Err("size must be greater than 0".into());
    }
    connection.start(lua, Goal::Body(count as u64), timeout(lua, 3))
}

/// `con:discard_body()`
pub fn discard_body(lua: Lua, connection: &Connection) -> Outcome {
    connection.start(lua, Goal::Discard, 0)
}
