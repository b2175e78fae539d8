//! `con:read_formdata`: the events of a multipart body, one per call.

use std::ffi::c_int;

use super::connection::Connection;
use super::methods::timeout;
use super::multipart::Multipart;
use super::pump::{Goal, Kind, Part};
use crate::lua::{ffi, Error, Lua, Outcome};

/// `con:read_formdata(req [, timeout])`
pub fn read_formdata(lua: Lua, connection: &Connection) -> Outcome {
    lua.set_top(3);
    if !connection.with(|exchange| exchange.form.is_some())? {
        lua.expect(2, ffi::LUA_TTABLE)?;
        lua.get_field(2, c"method");
        if lua.bytes(-1) != Some(b"POST") {
            return lua.fail("not allowed method");
        }
        lua.get_field(2, c"headers");
        lua.expect(-1, ffi::LUA_TTABLE)?;
        lua.get_field(-1, c"content-type");
        let Some(form) = lua.bytes(-1).and_then(Multipart::new) else {
            return lua.fail("bad request");
        };
        connection.with(|exchange| {
            exchange.form = Some(form);
            exchange.close = true;
        })?;
    }
    connection.start(lua, Goal::Form, timeout(lua, 3))
}

/// Push one event of the form. May raise.
pub fn deliver(connection: &Connection, lua: Lua, part: Part) -> Result<c_int, Error> {
    let received = connection.with(|exchange| std::mem::take(&mut exchange.received))?;
    let slice = |(start, end): (usize, usize)| received.get(start..end).unwrap_or(b"");
    let result = match part.kind {
        Kind::Header(name, value) => {
            let name = slice(name).to_ascii_lowercase();
            lua.protect(2, &(&name[..], slice(value)), |lua, (name, value)| {
                lua.push_str("header");
                lua.push_table(2, 0);
                lua.push_bytes(name);
                lua.raw_set_index(2, 1);
                lua.push_bytes(value);
                lua.raw_set_index(2, 2);
            })
        }
        Kind::Body(data, done) => lua.protect(2, &(slice(data), done), |lua, (data, done)| {
            lua.push_str("body");
            lua.push_table(2, 0);
            lua.push_bytes(data);
            lua.raw_set_index(2, 1);
            if *done {
                lua.push_bool(true);
                lua.raw_set_index(2, 2);
            }
        }),
        Kind::End => lua.protect(2, &(), |lua, ()| {
            lua.push_str("end");
            lua.push_nil();
        }),
        Kind::Failed(why) => lua.protect(2, &why, |lua, why| {
            lua.push_nil();
            lua.push_str(why);
        }),
    };
    connection.put_back(received, if result.is_ok() { part.used } else { 0 });
    result.map(|()| {
        if matches!(part.kind, Kind::End) {
            lua.pop(1);
            1
        } else {
            2
        }
    })
}
