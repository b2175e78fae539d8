//! What a handler is told of a request. What needs memory of our own is done
//! before Lua is asked for anything; pushing is one protected call.

use std::ffi::c_int;
use std::mem::take;

use super::pump::Pump;
use super::texts::{begin_text, end_text, take_text};
use crate::http::body::Framing;
use crate::http::request::{self, slots, Request};
use crate::http::{percent, target};
use crate::lua::{Error, Lua};

/// Most heads have no more lines than this; room for more is made when needed.
const FEW: usize = 24;

/// All a request is made of.
struct Parts<'a> {
    request: &'a Request<'a>,
    headers: &'a [httparse::Header<'a>],
    /// Normal path; the same slice as that of the target when it is its own.
    path: &'a [u8],
    /// Decoded names and values, as `texts` keeps them.
    pairs: &'a [u8],
}

/// Push the table for the head in the exchange's received bytes; gives a status
/// instead (and pushes nothing) when the request is to be refused. May raise.
pub fn push(pump: &Pump, lua: Lua) -> Result<Option<u16>, Error> {
    // Nothing runs between here and the end that could take the exchange away.
    let (mut head, mut decoded) = match pump.exchange() {
        Some(mut exchange) => (take(&mut exchange.received), take(&mut exchange.out)),
        None => return Ok(Some(500)),
    };
    lower_names(&mut head);
    let mut outcome = push_head(pump, lua, &head, &mut slots::<FEW>(), &mut decoded);
    if let Ok(Some(431)) = outcome {
        outcome = push_long_head(pump, lua, &head, &mut decoded);
    }
    head.clear();
    decoded.clear();
    if let Some(mut exchange) = pump.exchange() {
        exchange.received = head;
        exchange.out = decoded;
    }
    outcome
}

#[cold]
#[inline(never)]
fn push_long_head(
    pump: &Pump,
    lua: Lua,
    head: &[u8],
    decoded: &mut Vec<u8>,
) -> Result<Option<u16>, Error> {
    push_head(
        pump,
        lua,
        head,
        &mut slots::<{ request::HEADERS }>(),
        decoded,
    )
}

fn push_head<'b>(
    pump: &Pump,
    lua: Lua,
    head: &'b [u8],
    slots: &mut [httparse::Header<'b>],
    decoded: &mut Vec<u8>,
) -> Result<Option<u16>, Error> {
    let (request, headers) = match request::parse(head, slots) {
        Ok(parsed) => parsed,
        Err(status) => return Ok(Some(status)),
    };
    if matches!(request.framing, Framing::Length(length) if length > pump.settings.max_body as u64)
    {
        return Ok(Some(413));
    }
    let mut path = request.target.path;
    let mut start = 0;
    if !target::is_normal(path) {
        if !target::normalise(path, decoded) {
            return Ok(Some(403));
        }
        start = decoded.len();
    }
    decode_pairs(request.target.query, decoded);
    let (normal, pairs) = decoded.split_at_checked(start).unwrap_or((b"", b""));
    if start > 0 {
        path = normal;
    }
    if let Some(mut exchange) = pump.exchange() {
        exchange.begin(&request);
    }
    let parts = Parts {
        request: &request,
        headers,
        path,
        pairs,
    };
    lua.protect(1, &parts, push_values).map(|()| None)
}

/// Header names are looked up in lower case.
fn lower_names(head: &mut [u8]) {
    for line in head.split_mut(|&byte| byte == b'\n').skip(1) {
        for byte in line.iter_mut().take_while(|byte| **byte != b':') {
            byte.make_ascii_lowercase();
        }
    }
}

/// Append every name and value of a query, decoded.
fn decode_pairs(query: &[u8], out: &mut Vec<u8>) {
    for (name, value) in target::pairs(query) {
        for text in [name, value] {
            let start = begin_text(out);
            percent::unescape(text, out);
            end_text(start, out);
        }
    }
}

/// Body of the protected call: owns nothing.
fn push_values(lua: Lua, parts: &Parts) {
    let request = parts.request;
    lua.push_table(0, 9);
    lua.set_bytes(1, c"method", request.method);
    lua.push_bytes(request.raw_target);
    if parts.path.len() == request.raw_target.len() && parts.path == request.raw_target {
        lua.push_value(2);
    } else {
        lua.push_bytes(parts.path);
    }
    lua.set_field(1, c"path");
    lua.set_field(1, c"raw_path");
    lua.set_bytes(1, c"query_string", request.target.query);

    lua.push_table(0, 0);
    let mut pairs = parts.pairs;
    while let (Some(name), Some(value)) = (take_text(&mut pairs), take_text(&mut pairs)) {
        lua.push_bytes(name);
        lua.push_bytes(value);
        lua.raw_set(2);
    }
    lua.set_field(1, c"query");

    lua.push_table(0, parts.headers.len() as c_int);
    for header in parts.headers {
        lua.push_str(header.name);
        // The target tells the host when it has one.
        lua.push_bytes(match request.target.authority {
            Some(authority) if header.name == "host" => authority,
            _ => header.value,
        });
        lua.raw_set(2);
    }
    lua.set_field(1, c"headers");
    lua.push_table(0, 0);
    lua.set_field(1, c"form");
    lua.set_integer(1, c"major_version", 1);
    lua.set_integer(1, c"minor_version", i64::from(request.minor));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lowered_and_values_kept() {
        let mut head = b"GET /A HTTP/1.1\r\nHost: A:B\r\nX-Y:Z\r\n\r\n".to_vec();
        lower_names(&mut head);
        assert_eq!(head, b"GET /A HTTP/1.1\r\nhost: A:B\r\nx-y:Z\r\n\r\n");
    }

    #[test]
    fn pairs_survive() {
        let mut out = Vec::new();
        decode_pairs(b"a%20b=c%3d&d=", &mut out);
        let mut rest = &out[..];
        let texts: Vec<_> = std::iter::from_fn(|| take_text(&mut rest)).collect();
        assert_eq!(texts, [&b"a b"[..], b"c=", b"d", b""]);
    }
}
