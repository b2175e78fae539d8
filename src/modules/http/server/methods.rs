//! Native methods of connections; `methods.lua` builds the others on them.

use std::ffi::CStr;

use nix::errno::Errno;
use nix::sys::stat::FileStat;

use super::connection::Connection;
use super::exchange::{Exchange, File};
use super::pump::Goal;
use super::settings::Settings;
use crate::functions;
use crate::http::conditions::{self, Answer, Conditions};
use crate::http::date;
use crate::http::fields::Malformed;
use crate::http::multipart::Multipart;
use crate::http::response::TooLong;
use crate::http::text::{put, put_hex, put_number};
use crate::lua::{ffi, field_method, Functions, Lua, Outcome, Returns, UserData};
use crate::system::file::open_regular;

/// The field of a connection's table that holds the native part, which is also
/// what scripts see as its response.
pub const FIELD: &CStr = c"resp";

/// What framing adds to a piece at most.
const CHUNK: usize = 32;

/// Methods of that table.
pub const METHODS: Functions = functions! {
    add_header: field_method(add_header),
    set_status: field_method(set_status),
    send: field_method(send),
    flush: field_method(flush),
    discard_body: field_method(discard_body),
    set_reason: field_method(set_reason),
    read_body: field_method(read_body),
    remaining: field_method(remaining),
    start_form: field_method(start_form),
    next_part: field_method(next_part),
    describe: field_method(describe),
    header_lines: field_method(header_lines),
    open_file: field_method(open_file),
    answer_file: field_method(answer_file),
    send_opened: field_method(send_opened),
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
/// (`ok` and `result` are what became of its handler) and gives the next one; or
/// nothing, or nil and a reason, when there is none.
fn next_request(lua: Lua, connection: &Connection) -> Outcome {
    if let Some(mut guard) = connection.pump.exchange() {
        let exchange = &mut **guard;
        let failed = !lua.to_bool(2);
        exchange.file = None;
        if failed && !exchange.streamed {
            exchange.answer(500, &connection.pump.settings);
        }
        let refused = lua.type_of(3) == ffi::LUA_TBOOLEAN && !lua.to_bool(3);
        exchange.broken |=
            refused || exchange.response.code == 101 || (failed && exchange.streamed);
        exchange.finish(&connection.pump.settings);
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

#[cold]
fn too_long() -> Outcome {
    Err("body longer than content-length".into())
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
    let code = lua.within(2, 100, 999)? as u16;
    let reason = lua.string_or(3, b"")?;
    {
        let Some(mut exchange) = connection.pump.exchange() else {
            return idle();
        };
        if exchange.response.built {
            return head_sent();
        }
        if !reason.is_empty() && exchange.response.set_reason(reason).is_err() {
            return done(Err(Malformed));
        }
        exchange.response.code = code;
    }
    yes(lua)
}

/// `set_reason(con, reason)`: the reason text alone; nil for that of the code.
fn set_reason(lua: Lua, connection: &Connection) -> Outcome {
    let reason = lua.string_or(2, b"")?;
    match connection.pump.exchange() {
        None => idle(),
        Some(exchange) if exchange.response.built => head_sent(),
        Some(mut exchange) => done(exchange.response.set_reason(reason)),
    }
}

/// `con:send(...)`
fn send(lua: Lua, connection: &Connection) -> Outcome {
    let top = lua.top();
    let mut length = 0;
    for index in 2..=top {
        if lua.type_of(index) != ffi::LUA_TSTRING {
            lua.to_text(index);
        }
        length += lua.raw_len(index);
    }
    {
        let Some(mut guard) = connection.pump.exchange() else {
            return idle();
        };
        let exchange = &mut **guard;
        exchange.build(&connection.pump.settings);
        if exchange.out.try_reserve(length + CHUNK).is_err() {
            return Err("not enough memory".into());
        }
        let sent = exchange.streamed;
        match exchange
            .response
            .begin_piece(length as u64, sent, &mut exchange.out)
        {
            Err(TooLong) => return too_long(),
            Ok(false) => {}
            Ok(true) => {
                for index in 2..=top {
                    put(&mut exchange.out, lua.to_bytes(index));
                }
                exchange.response.end_piece(&mut exchange.out);
            }
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
        if exchange.response.check_length().is_err() {
            return too_long();
        }
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

/// `next_part(con, timeout)`: `'header', { name, value }`, `'body', { data, done }` or `'end'`.
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
            b"code" => (i64::from(response.code), None),
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
        Some(exchange) => {
            let mut lines = exchange.response.headers.clone();
            if let Some(length) = exchange.response.length {
                put(&mut lines, b"Content-Length: ");
                put_number(&mut lines, length);
            }
            lines
        }
        None => Vec::new(),
    };
    lua.try_push_bytes(&lines)?;
    Ok(Returns(1))
}

/// `open_file(con, path, count, offset)`: opens a regular file to be sent, at most
/// `count` bytes from `offset`. True, or nil, why not, and the status that tells it.
fn open_file(lua: Lua, connection: &Connection) -> Outcome {
    let path = lua.c_string(2)?;
    let count = lua.integer_or(3, i64::MAX)?.max(0) as u64;
    let offset = lua.integer_or(4, 0)?.max(0);
    let (status, errno) = match open_regular(path) {
        Ok(Some((fd, stat))) => {
            let Some(mut exchange) = connection.pump.exchange() else {
                return idle();
            };
            let size = stat.st_size.max(0) as u64;
            exchange.file = Some(File {
                tag: entity_tag(&stat),
                fd,
                offset,
                left: count.min(size.saturating_sub(offset as u64)),
                size,
                modified: stat.st_mtime as i64,
            });
            drop(exchange);
            return yes(lua);
        }
        Ok(None) => (403, None),
        Err(errno) => (
            match errno {
                Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG | Errno::ELOOP => 404,
                Errno::EACCES | Errno::EPERM => 403,
                _ => 500,
            },
            Some(errno),
        ),
    };
    lua.push_nil();
    match errno {
        Some(errno) => lua.push_errno(errno),
        None => lua.push_str("forbidden"),
    }
    lua.push_integer(status);
    Ok(Returns(3))
}

/// A strong tag: it changes with the file, its size and the instant of its last
/// change.
fn entity_tag(stat: &FileStat) -> Vec<u8> {
    let mut tag = b"\"".to_vec();
    for (value, end) in [
        (stat.st_ino as u64, b'-'),
        (stat.st_size as u64, b'-'),
        (stat.st_mtime as u64, b'.'),
        (stat.st_mtime_nsec as u64, b'"'),
    ] {
        put_hex(&mut tag, value);
        tag.push(end);
    }
    tag
}

/// The fields of a request that `answer_file` looks at, in the order it does.
const CONDITIONS: [&CStr; 6] = [
    c"if-match",
    c"if-unmodified-since",
    c"if-none-match",
    c"if-modified-since",
    c"if-range",
    c"range",
];

/// `answer_file(con, headers, head_only)`: prepares the head of the answer to a
/// request for the opened file; false when none of it is to be sent.
fn answer_file(lua: Lua, connection: &Connection) -> Outcome {
    lua.expect(2, ffi::LUA_TTABLE)?;
    let head_only = lua.to_bool(3);
    lua.set_top(3);
    for name in CONDITIONS {
        lua.get_field(2, name);
    }
    let send = {
        let Some(mut guard) = connection.pump.exchange() else {
            return idle();
        };
        let Exchange { response, file, .. } = &mut **guard;
        let Some(file) = file else {
            return idle();
        };
        let conditions = Conditions {
            if_match: lua.bytes(4),
            if_unmodified_since: lua.bytes(5),
            if_none_match: lua.bytes(6),
            if_modified_since: lua.bytes(7),
            if_range: lua.bytes(8),
            range: lua.bytes(9),
        };
        let known = conditions::File {
            etag: &file.tag,
            modified: file.modified,
            size: file.size,
        };
        let answer = conditions.decide(&known, head_only, Settings::now());
        let mut range = b"bytes ".to_vec();
        let (code, length) = match answer {
            Answer::Whole => (200, Some(file.size)),
            Answer::NotModified => (304, None),
            Answer::Failed => (412, Some(0)),
            Answer::Unsatisfiable => {
                put(&mut range, b"*");
                (416, Some(0))
            }
            Answer::Part { first, count } => {
                put_number(&mut range, first);
                put(&mut range, b"-");
                put_number(&mut range, first + count - 1);
                file.offset = first as i64;
                file.left = count;
                (206, Some(count))
            }
        };
        if matches!(code, 206 | 416) {
            put(&mut range, b"/");
            put_number(&mut range, file.size);
            done(response.set(b"content-range", &range))?;
        }
        response.code = code;
        response.length = length;
        done(response.set(b"etag", &file.tag))?;
        done(response.set(b"last-modified", &date::format(file.modified)))?;
        done(response.set(b"accept-ranges", b"bytes"))?;
        matches!(code, 200 | 206)
    };
    lua.push_bool(send);
    Ok(Returns(1))
}

/// `send_opened(con)`: what is buffered, and the opened file behind it.
fn send_opened(lua: Lua, connection: &Connection) -> Outcome {
    {
        let Some(mut guard) = connection.pump.exchange() else {
            return idle();
        };
        let exchange = &mut **guard;
        exchange.build(&connection.pump.settings);
        let length = exchange.file.as_ref().map_or(0, |file| file.left);
        // The head leaves before the file does.
        match exchange
            .response
            .begin_piece(length, true, &mut exchange.out)
        {
            Err(TooLong) => {
                exchange.file = None;
                return too_long();
            }
            Ok(true) => {}
            Ok(false) => exchange.file = None,
        }
    }
    connection.start(lua, Goal::File, 0)
}
