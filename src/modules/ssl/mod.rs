//! `eco.ssl` and `eco.internal.ssl`: TLS over any stream of the core's.
//!
//! [`context`] is what scripts configure; [`session`] one connection, whose
//! handshake suspends a coroutine and whose bytes go through a reader and a
//! writer of the core; `ssl.lua` makes clients and servers of them.

mod context;
mod session;

use std::ffi::{c_int, c_void};

use context::Context;

use crate::abi::Core;
use crate::functions;
use crate::lua::{ffi, function, Functions, Lua, Outcome, Returns};
use crate::lua_source;
use crate::tls;

const FUNCTIONS: Functions = functions! {
    context: function(context::new),
    authorities: function(context::authorities),
};

/// Opens both modules; leaves `eco.ssl`. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.ssl")?;
    lua.push_chunk(c"=eco.ssl", lua_source!("ssl.lua"));
    lua.push_module(FUNCTIONS, core.pointer());
    for (name, function) in [
        (c"read", session::read as *const c_void),
        (c"write", session::write as *const c_void),
    ] {
        lua.push_pointer(function);
        lua.set_field(-2, name);
    }
    for (name, value) in [
        (c"OK", 0),
        (c"ERROR", -1),
        (c"WANT_READ", session::WANT_READ),
        (c"WANT_WRITE", session::WANT_WRITE),
        (c"INSECURE", -4),
    ] {
        lua.set_integer(-1, name, value);
    }
    lua.set_bytes(-1, c"VERSION", tls::version().to_bytes());
    lua.set_bool(-1, c"TLS13", tls::has_tls13());
    lua.push_methods::<Context>(core.pointer());
    lua.set_field(-2, c"context_methods");
    lua.call(1, 1);
    Ok(Returns(1))
}

/// Pushes nil and a message. May raise.
fn refused(lua: Lua, message: &[u8]) -> c_int {
    lua.push_nil();
    lua.push_bytes(message);
    2
}

/// Whether the value at `index` is a table.
fn is_table(lua: Lua, index: c_int) -> bool {
    lua.type_of(index) == ffi::LUA_TTABLE
}
