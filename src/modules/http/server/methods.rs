//! Native methods of connections; `methods.lua` builds the others on them.

use std::ffi::CStr;

use super::connection::Connection;
use super::pump::Goal;
use crate::functions;
use crate::http::fields::Malformed;
use crate::http::multipart::Multipart;
use crate::http::text::put;
use crate::lua::{ffi, field_method, Functions, Lua, Outcome, Returns, UserData};

/// The field of a connection's table that holds the native part, which is also
/// what scripts see as its response.
pub const FIELD: &CStr = c"resp";

/// Methods of that table.
pub const METHODS: Functions = functions! {
    add_header: field_method(add_header),
    set_status: field_method(set_status),
    send: field_method(send),
    flush: field_method(flush),
    discard_body: field_method(discard_body),
    read_body: field_method(read_body),
    remaining: field_method(remaining),
    start_form: field_method(start_form),
    next_part: field_method(next_part),
    describe: field_method(describe),
    header_lines: field_method(header_lines),
    begin_piece: field_method(begin_piece),
    end_piece: field_method(end_piece),
    next_request: field_method(next_request),
};

impl UserData for Connection {
    const NAME: &'static CStr = c"struct http_connection *";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _: Lua) {
        self.forget();
    }
}

/// `next_request(con, ok, result)`: finishes the response to the last request
/// (`ok` and `result` are what became of its handler) and gives method, target,
/// path, query, its pairs, headers and minor version of the next one; or nothing,
/// or nil and a reason, when there is none. Never raises: an error here
/// would end the process.
fn next_request(lua: Lua, connection: &Connection) -> Outcome {
    if let Some(mut guard) = connection.pump.exchange() {
        let exchange = &mut **guard;
        let failed = !lua.to_bool(2);
        if failed && !exchange.streamed {
            exchange.answer(500, &connection.pump.settings);
        }
        let refused = lua.type_of(3) == ffi::LUA_TBOOLEAN && !lua.to_bool(3);
        exchange.broken |=
            refused || exchange.response.code == 101 || (failed && exchange.streamed);
        exchange.build(&connection.pump.settings);
        exchange.response.finish(&mut exchange.out);
    }
    match connection.start(lua, Goal::Request, 0) {
        Err(error) => match error.message() {
            Some(text) => {
                lua.push_nil();
                lua.try_push_bytes(text)?;
                Ok(Returns(2))
            }
            None => Err(error),
        },
        other => other,
    }
}

/// The error that a method was called between requests.
#[cold]
fn idle() -> Outcome {
    Err("no request is being served".into())
}

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
fn add_header(lua: Lua, connection: &Connection) -> Outcome {
    let name = lua.string(2)?;
    let value = if lua.is_none_or_nil(3) {
        None
    } else {
        Some(lua.string(3)?)
    };
    let Some(mut exchange) = connection.pump.exchange() else {
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
fn set_status(lua: Lua, connection: &Connection) -> Outcome {
    let code = lua.integer(2)?;
    let reason = lua.string_or(3, b"")?;
    {
        let Some(mut exchange) = connection.pump.exchange() else {
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
fn send(lua: Lua, connection: &Connection) -> Outcome {
    let top = lua.top();
    let mut length = 0;
    for index in 2..=top {
        if lua.type_of(index) != ffi::LUA_TSTRING {
            lua.to_text(index);
        }
        length += lua.raw_len(index) as u64;
    }
    {
        let Some(mut guard) = connection.pump.exchange() else {
            return idle();
        };
        let exchange = &mut **guard;
        exchange.build(&connection.pump.settings);
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
fn flush(lua: Lua, connection: &Connection) -> Outcome {
    {
        let Some(mut exchange) = connection.pump.exchange() else {
            return idle();
        };
        exchange.build(&connection.pump.settings);
    }
    connection.start(lua, Goal::Flush, 0)
}

/// `con:discard_body()`
fn discard_body(lua: Lua, connection: &Connection) -> Outcome {
    connection.start(lua, Goal::Discard, 0)
}

/// `read_body(con, count, timeout)`: at most `count` bytes, timeout in ns.
fn read_body(lua: Lua, connection: &Connection) -> Outcome {
    let want = lua.integer(2)?;
    {
        let Some(mut exchange) = connection.pump.exchange() else {
            return idle();
        };
        exchange.ready = usize::try_from(want).unwrap_or(usize::MAX);
    }
    connection.start(lua, Goal::Body, lua.to_integer(3).unwrap_or(0))
}

/// `remaining(con)`: body bytes left to read.
fn remaining(lua: Lua, connection: &Connection) -> Outcome {
    let left = connection
        .pump
        .exchange()
        .map_or(0, |exchange| exchange.remaining());
    lua.push_integer(left.min(i64::MAX as u64) as i64);
    Ok(Returns(1))
}

/// `start_form(con, content_type)`: whether it names a form.
fn start_form(lua: Lua, connection: &Connection) -> Outcome {
    let form = Multipart::new(lua.string(2)?);
    let found = form.is_some();
    if let Some(mut exchange) = connection.pump.exchange() {
        exchange.close |= found;
        exchange.form = form;
    }
    lua.push_bool(found);
    Ok(Returns(1))
}

/// `next_part(con, timeout)`: `'header', name, value`, `'body', data, done` or `'end'`.
fn next_part(lua: Lua, connection: &Connection) -> Outcome {
    connection.start(lua, Goal::Form, lua.to_integer(2).unwrap_or(0))
}

/// `describe(con, name)`: a field of the response as it is so far.
fn describe(lua: Lua, connection: &Connection) -> Outcome {
    let name = lua.string(2)?;
    let (value, text) = {
        let Some(exchange) = connection.pump.exchange() else {
            return Ok(Returns(0));
        };
        let response = &exchange.response;
        match name {
            b"code" => (response.code, None),
            b"status" if response.reason.is_empty() => return Ok(Returns(0)),
            b"status" => (0, Some(response.reason.clone())),
            b"data" => (0, Some(exchange.out.clone())),
            b"major_version" => (1, None),
            b"minor_version" => (i64::from(exchange.minor), None),
            b"head_sent" => {
                lua.push_bool(response.built);
                return Ok(Returns(1));
            }
            b"chunked" => {
                lua.push_bool(response.chunked);
                return Ok(Returns(1));
            }
            _ => return Ok(Returns(0)),
        }
    };
    match text {
        Some(text) => lua.try_push_bytes(&text)?,
        None => lua.push_integer(value),
    }
    Ok(Returns(1))
}

/// `header_lines(con)`: those of the response that a handler set.
fn header_lines(lua: Lua, connection: &Connection) -> Outcome {
    let lines = match connection.pump.exchange() {
        Some(exchange) => exchange.response.headers.clone(),
        None => Vec::new(),
    };
    lua.try_push_bytes(&lines)?;
    Ok(Returns(1))
}

/// `begin_piece(con, length)`: announces bytes that go to the stream directly;
/// false when there must be none.
fn begin_piece(lua: Lua, connection: &Connection) -> Outcome {
    let length = lua.integer(2)?.max(0) as u64;
    let expected = {
        let Some(mut guard) = connection.pump.exchange() else {
            return idle();
        };
        let exchange = &mut **guard;
        exchange.build(&connection.pump.settings);
        exchange.response.begin_piece(length, &mut exchange.out)
    };
    lua.push_bool(expected);
    Ok(Returns(1))
}

/// `end_piece(con, complete)`
fn end_piece(lua: Lua, connection: &Connection) -> Outcome {
    let complete = lua.to_bool(2);
    if let Some(mut guard) = connection.pump.exchange() {
        let exchange = &mut **guard;
        exchange.response.end_piece(&mut exchange.out);
        exchange.broken |= !complete;
    }
    Ok(Returns(0))
}
