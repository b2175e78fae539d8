//! What a handler is told of a request. What needs memory of our own is done
//! before Lua is asked for anything; pushing is one protected call.

use std::ffi::c_int;
use std::mem::take;

use super::pump::Pump;
use super::texts::{begin_text, end_text, take_text};
use crate::http::body::Framing;
use crate::http::request::{self, Request};
use crate::http::{percent, target};
use crate::lua::{Error, Lua};

/// All a request is made of.
struct Parts<'a> {
    request: &'a Request<'a>,
    headers: &'a [httparse::Header<'a>],
    /// Decoded path; the same slice as `raw_path` when there was nothing to decode.
    path: &'a [u8],
    query: &'a [u8],
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
    let mut room = request::slots();
    let outcome = match request::parse(&head, &mut room) {
        Err(status) => Ok(Some(status)),
        Ok((request, _)) if too_large(request.framing, pump.settings.max_body as u64) => {
            Ok(Some(413))
        }
        Ok((request, headers)) => {
            if let Some(mut exchange) = pump.exchange() {
                exchange.begin(&request);
            }
            push_parts(lua, &request, headers, &mut decoded).map(|()| None)
        }
    };
    head.clear();
    decoded.clear();
    if let Some(mut exchange) = pump.exchange() {
        exchange.received = head;
        exchange.out = decoded;
    }
    outcome
}

/// Decode what is encoded, then push the table. May raise.
fn push_parts(
    lua: Lua,
    request: &Request,
    headers: &[httparse::Header],
    decoded: &mut Vec<u8>,
) -> Result<(), Error> {
    let (mut path, query) = target::split(request.target);
    let mut start = 0;
    if path.contains(&b'%') {
        percent::unescape(path, decoded);
        start = decoded.len();
    }
    decode_pairs(query, decoded);
    let (decoded_path, pairs) = decoded.split_at_checked(start).unwrap_or((b"", b""));
    if start > 0 {
        path = decoded_path;
    }
    let parts = Parts {
        request,
        headers,
        path,
        query,
        pairs,
    };
    lua.protect(1, &parts, push_values)
}

fn too_large(framing: Framing, limit: u64) -> bool {
    matches!(framing, Framing::Length(length) if length > limit)
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
    let target = parts.request.target;
    lua.push_table(0, 8);
    lua.set_bytes(1, c"method", parts.request.method);
    lua.push_bytes(target);
    if parts.path.as_ptr() == target.as_ptr() && parts.path.len() == target.len() {
        lua.push_value(2);
    } else {
        lua.push_bytes(parts.path);
    }
    lua.set_field(1, c"path");
    lua.set_field(1, c"raw_path");
    lua.set_bytes(1, c"query_string", parts.query);

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
        lua.push_bytes(header.value);
        lua.raw_set(2);
    }
    lua.set_field(1, c"headers");
    lua.set_integer(1, c"major_version", 1);
    lua.set_integer(1, c"minor_version", i64::from(parts.request.minor));
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
