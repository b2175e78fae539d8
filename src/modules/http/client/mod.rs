//! Module `eco.http.client`: an HTTP/1.1 client. The protocol is in [`crate::http`];
//! `link` is what moves the bytes of one connection, `client.lua` what resolves,
//! connects, follows and keeps connections.

mod idle;
mod link;

use link::Link;

use crate::abi::{fair, Core};
use crate::functions;
use crate::http::url;
use crate::lua::{function, Functions, Lua, Outcome, Returns};
use crate::lua_source;
use crate::system::random;

/// What the Lua side is built on, besides the methods of links.
const NATIVE: Functions = functions! {
    link: function(link::new),
    idle: function(idle::new),
    split: function(fair(split)),
    random: function(fair(random_bytes)),
};

/// Pushes the module's table.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.http.client")?;
    lua.push_chunk(c"=eco.http.client", lua_source!("client.lua"));
    lua.push_module(NATIVE, core.pointer());
    lua.push_methods::<Link>(core.pointer());
    lua.call(2, 1);
    Ok(Returns(1))
}

/// `split(url)`: scheme, host, port or nil, what is sent as target, user, password; or
/// nothing.
fn split(lua: Lua) -> Outcome {
    let Some(parts) = url::parse(lua.string(1)?) else {
        return Ok(Returns(0));
    };
    if parts.port.is_some_and(|port| port > 65535) {
        return Ok(Returns(0));
    }
    lua.push_bytes(parts.scheme);
    lua.push_bytes(parts.host);
    match parts.port {
        Some(port) => lua.push_integer(port),
        None => lua.push_nil(),
    }
    let fragment = parts.fragment.map_or(0, |fragment| fragment.len() + 1);
    let sent = parts.rest.len().saturating_sub(fragment);
    lua.push_str(if parts.rest.first() == Some(&b'/') {
        ""
    } else {
        "/"
    });
    lua.push_bytes(parts.rest.get(..sent).unwrap_or(b""));
    lua.concat(2);
    for part in [parts.user, parts.password] {
        match part {
            Some(part) => lua.push_bytes(part),
            None => lua.push_nil(),
        }
    }
    Ok(Returns(6))
}

/// `random(count)`: that many bytes, at most 64.
fn random_bytes(lua: Lua) -> Outcome {
    let mut room = [0; 64];
    let bytes = room
        .get_mut(..lua.within(1, 0, 64)? as usize)
        .unwrap_or_default();
    random::fill(bytes);
    lua.push_bytes(bytes);
    Ok(Returns(1))
}
