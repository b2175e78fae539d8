//! What a handler is told of a request: method and path at once, the rest when it
//! is asked for, from the head that the table keeps.

use std::ffi::CStr;
use std::mem::take;

use super::super::push_name;
use super::pump::Pump;
use crate::http::body::Framing;
use crate::http::request::{self, Request};
use crate::http::target;
use crate::lua::{ffi, Error, Lua, Outcome, Returns};

/// Registry field of the metatable of requests.
const METATABLE: &CStr = c"eco.http.request";

/// Index of the head in the table of a request.
const HEAD: i64 = 1;

/// What is pushed at once.
struct Parts<'a> {
    request: &'a Request<'a>,
    head: &'a [u8],
    /// In its normal form.
    path: &'a [u8],
    /// Length of the body, when there is one.
    body: u64,
}

/// `set_request_metatable(metatable)`, for the Lua side.
pub fn set_metatable(lua: Lua) -> Outcome {
    lua.set_top(1);
    lua.set_field(ffi::LUA_REGISTRYINDEX, METATABLE);
    Ok(Returns(0))
}

/// Push the table for the head in the exchange's received bytes, and the length of
/// its body or nil; gives a status instead (and pushes nothing) when the request is
/// to be refused. May raise.
pub fn push(pump: &Pump, lua: Lua) -> Result<Option<u16>, Error> {
    // Nothing runs between here and the end that could take the exchange away.
    let (mut head, mut decoded) = match pump.exchange() {
        Some(mut exchange) => (take(&mut exchange.received), take(&mut exchange.out)),
        None => return Ok(Some(500)),
    };
    let outcome = push_head(pump, lua, &head, &mut decoded);
    head.clear();
    decoded.clear();
    if let Some(mut exchange) = pump.exchange() {
        exchange.received = head;
        exchange.out = decoded;
    }
    outcome
}

fn push_head(
    pump: &Pump,
    lua: Lua,
    head: &[u8],
    decoded: &mut Vec<u8>,
) -> Result<Option<u16>, Error> {
    let request = match request::parse(head) {
        Ok(request) => request,
        Err(status) => return Ok(Some(status)),
    };
    if matches!(request.framing, Framing::Length(length) if length > pump.settings.max_body as u64)
    {
        return Ok(Some(413));
    }
    let mut path = request.target.path;
    if !target::is_normal(path) {
        if !target::normalise(path, decoded) {
            return Ok(Some(403));
        }
        path = decoded;
    }
    let body = match pump.exchange() {
        Some(mut exchange) => {
            exchange.begin(&request);
            exchange.remaining()
        }
        None => 0,
    };
    let parts = Parts {
        request: &request,
        head,
        path,
        body,
    };
    lua.protect(2, &parts, push_values).map(|()| None)
}

/// Body of the protected call: owns nothing.
fn push_values(lua: Lua, parts: &Parts) {
    lua.push_table(0, 4);
    lua.set_bytes(1, c"method", parts.request.method);
    lua.set_bytes(1, c"path", parts.path);
    lua.push_bytes(parts.head);
    lua.raw_set_index(1, HEAD);
    lua.get_field(ffi::LUA_REGISTRYINDEX, METATABLE);
    lua.set_metatable(1);
    if parts.body > 0 {
        lua.push_integer(parts.body.min(i64::MAX as u64) as i64);
    }
}

/// `complete(req)`: fills in what the head says besides.
pub fn complete(lua: Lua) -> Outcome {
    lua.expect(1, ffi::LUA_TTABLE)?;
    lua.set_top(1);
    lua.raw_get_index(1, HEAD);
    // Nothing here has a destructor: Lua may raise.
    let Ok(request) = request::parse(lua.bytes(2).unwrap_or(b"")) else {
        return Ok(Returns(0));
    };
    lua.set_bytes(1, c"raw_path", request.raw_target);
    lua.set_bytes(1, c"query_string", request.target.query);
    lua.set_integer(1, c"major_version", 1);
    lua.set_integer(1, c"minor_version", i64::from(request.minor));
    lua.push_table(0, 8);
    for (name, value) in request.fields.flatten() {
        push_name(lua, name);
        // The target tells the host when it has one.
        lua.push_bytes(match request.target.authority {
            Some(authority) if name.eq_ignore_ascii_case(b"host") => authority,
            _ => value,
        });
        lua.raw_set(3);
    }
    lua.set_field(1, c"headers");
    Ok(Returns(0))
}
