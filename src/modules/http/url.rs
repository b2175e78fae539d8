//! Module `eco.http.url`: splitting URLs and percent-encoding, for Lua.

use std::ffi::c_void;

use crate::functions;
use crate::http::{percent, url};
use crate::lua::{function, Functions, Lua, Outcome, Returns};

const FUNCTIONS: Functions = functions! {
    escape: function(|lua| convert(lua, percent::escape, 3)),
    unescape: function(|lua| convert(lua, percent::unescape, 1)),
    parse: function(parse_url),
};

/// Pushes the module's table.
pub fn open(lua: Lua) -> Outcome {
    lua.push_module(FUNCTIONS, std::ptr::null::<c_void>());
    Ok(Returns(1))
}

/// Converted text, at most so many times as long, and the number of replacements.
fn convert(lua: Lua, with: fn(&[u8], &mut Vec<u8>) -> usize, longer: usize) -> Outcome {
    let count = {
        let input = lua.string(1)?;
        let mut out = Vec::new();
        if out
            .try_reserve_exact(input.len().saturating_mul(longer))
            .is_err()
        {
            return Err(lua.out_of_memory());
        }
        let count = with(input, &mut out);
        lua.try_push_bytes(&out)?;
        count
    };
    lua.push_integer(count as i64);
    Ok(Returns(2))
}

fn parse_url(lua: Lua) -> Outcome {
    if !lua.to_bool(1) {
        return lua.fail("invalid url");
    }
    // Borrowed parts only: nothing is lost when Lua runs out of memory below.
    let Some(parts) = url::parse(lua.string(1)?) else {
        return lua.fail("invalid url");
    };
    lua.push_table(0, 8);
    let texts = [
        (c"scheme", Some(parts.scheme)),
        (c"user", parts.user),
        (c"password", parts.password),
        (c"host", Some(parts.host)),
        (c"params", parts.params),
        (c"query", parts.query),
        (c"frag", parts.fragment),
        (
            c"path",
            Some(if parts.path.is_empty() {
                b"/"
            } else {
                parts.path
            }),
        ),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            lua.set_bytes(-1, name, text);
        }
    }
    if let Some(port) = parts.port {
        lua.set_integer(-1, c"port", port);
    }
    if parts.rest.starts_with(b"/") {
        lua.push_bytes(parts.rest);
    } else {
        lua.push_str("/");
        lua.push_bytes(parts.rest);
        lua.concat(2);
    }
    lua.set_field(-2, c"raw_path");
    Ok(Returns(1))
}
