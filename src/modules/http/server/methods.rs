//! Native methods of connections; `methods.lua` builds the others on them.

use super::connection::{idle, Connection};
use super::exchange::Part;
use super::pump::Goal;
use crate::http::fields::Malformed;
use crate::http::multipart::Multipart;
use crate::http::text::put;
use crate::lua::{ffi, Lua, Outcome, Returns};

#[cold]
fn head_sent() -> Outcome {
    Err("http head has been sent".into())
}

/// Ends with nothing, or the error that the text was malformed.
fn done(result: Result<(), Malformed>) -> Outcome {
    match result {
        Ok(()) => Ok(Returns(0)),
        Err(Malformed) => Err("invalid http header".into()),
    }
}

/// Ends with `true`.
fn yes(lua: Lua) -> Outcome {
    lua.push_bool(true);
    Ok(Returns(1))
}

/// `con:add_header(name, value)`
pub fn add_header(lua: Lua, connection: &Connection) -> Outcome {
    let name = lua.string(2)?;
    let value = if lua.is_none_or_nil(3) {
        None
    } else {
        Some(lua.string(3)?)
    };
    let Some(mut exchange) = connection.exchange() else {
        return idle();
    };
    if exchange.response.built {
        return head_sent();
    }
    match value {
        Some(value) => done(exchange.response.set(name, value)),
        None => {
            exchange.response.remove(name);
            Ok(Returns(0))
        }
    }
}

/// `con:set_status(code [, reason])`
pub fn set_status(lua: Lua, connection: &Connection) -> Outcome {
    let code = lua.integer(2)?;
    let reason = lua.string_or(3, b"")?;
    {
        let Some(mut exchange) = connection.exchange() else {
            return idle();
        };
        if exchange.response.built {
            return head_sent();
        }
        exchange.response.code = code;
        if !reason.is_empty() && exchange.response.set_reason(reason).is_err() {
            return done(Err(Malformed));
        }
    }
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
    {
        let Some(mut guard) = connection.exchange() else {
            return idle();
        };
        let exchange = &mut **guard;
        exchange.build(&connection.settings);
        if exchange.response.begin_piece(length, &mut exchange.out) {
            for index in 2..=top {
                put(&mut exchange.out, lua.to_bytes(index));
            }
            exchange.response.end_piece(&mut exchange.out);
        }
    }
    yes(lua)
}

/// `con:flush()`
pub fn flush(lua: Lua, connection: &Connection) -> Outcome {
    {
        let Some(mut exchange) = connection.exchange() else {
            return idle();
        };
        exchange.build(&connection.settings);
    }
    connection.start(lua, Goal::Flush, 0)
}

/// `con:discard_body()`
pub fn discard_body(lua: Lua, connection: &Connection) -> Outcome {
    connection.start(lua, Goal::Discard, 0)
}

/// `read_body(con, count, timeout)`: at most `count` bytes, timeout in ns.
pub fn read_body(lua: Lua, connection: &Connection) -> Outcome {
    let want = lua.integer(2)?;
    {
        let Some(mut exchange) = connection.exchange() else {
            return idle();
        };
        exchange.ready = usize::try_from(want).unwrap_or(usize::MAX);
    }
    connection.start(lua, Goal::Body, lua.to_integer(3).unwrap_or(0))
}

/// `remaining(con)`: body bytes left to read.
pub fn remaining(lua: Lua, connection: &Connection) -> Outcome {
    let left = connection
        .exchange()
        .map_or(0, |exchange| exchange.remaining());
    lua.push_integer(left.min(i64::MAX as u64) as i64);
    Ok(Returns(1))
}

/// `start_form(con, content_type)`: whether it names a form.
pub fn start_form(lua: Lua, connection: &Connection) -> Outcome {
    let form = Multipart::new(lua.string(2)?);
    let found = form.is_some();
    if let Some(mut exchange) = connection.exchange() {
        exchange.close |= found;
        exchange.form = form;
    }
    lua.push_bool(found);
    Ok(Returns(1))
}

/// `next_part(con, timeout)`: `'header', name, value`, `'body', data, done` or `'end'`.
pub fn next_part(lua: Lua, connection: &Connection) -> Outcome {
    connection.start(lua, Goal::Form, lua.to_integer(2).unwrap_or(0))
}

/// Push a part of the form; body of a protected call.
pub fn push_part(lua: Lua, (received, part): &(&[u8], Part)) {
    let slice = |(start, end): (usize, usize)| received.get(start..end).unwrap_or(b"");
    match *part {
        Part::Header(name, value) => {
            lua.push_str("header");
            lua.push_bytes(slice(name));
            lua.push_bytes(slice(value));
        }
        Part::Body(data, done) => {
            lua.push_str("body");
            lua.push_bytes(slice(data));
            if done {
                lua.push_bool(true);
            }
        }
        Part::End => lua.push_str("end"),
        Part::Failed(why) => {
            lua.push_nil();
            lua.push_str(why);
        }
    }
}

/// `describe(con)`: code, reason, header lines, buffered bytes, whether the head
/// was built, whether the body is chunked, minor version, whether a form was begun.
pub fn describe(lua: Lua, connection: &Connection) -> Outcome {
    let (code, built, chunked, minor, formed, reason, headers, data) = {
        let Some(exchange) = connection.exchange() else {
            return Ok(Returns(0));
        };
        let response = &exchange.response;
        (
            response.code,
            response.built,
            response.chunked,
            exchange.minor,
            exchange.form.is_some(),
            response.reason.clone(),
            response.headers.clone(),
            exchange.out.clone(),
        )
    };
    lua.push_integer(code);
    for text in [&reason, &headers, &data] {
        lua.try_push_bytes(text)?;
    }
    drop((reason, headers, data));
    lua.push_bool(built);
    lua.push_bool(chunked);
    lua.push_integer(i64::from(minor));
    lua.push_bool(formed);
    Ok(Returns(8))
}

/// `begin_piece(con, length)`: announces bytes that go to the stream directly;
/// false when there must be none.
pub fn begin_piece(lua: Lua, connection: &Connection) -> Outcome {
    let length = lua.integer(2)?.max(0) as u64;
    let expected = {
        let Some(mut guard) = connection.exchange() else {
            return idle();
        };
        let exchange = &mut **guard;
        exchange.build(&connection.settings);
        exchange.response.begin_piece(length, &mut exchange.out)
    };
    lua.push_bool(expected);
    Ok(Returns(1))
}

/// `end_piece(con, complete)`
pub fn end_piece(lua: Lua, connection: &Connection) -> Outcome {
    let complete = lua.to_bool(2);
    if let Some(mut guard) = connection.exchange() {
        let exchange = &mut **guard;
        exchange.response.end_piece(&mut exchange.out);
        exchange.broken |= !complete;
    }
    Ok(Returns(0))
}
