//! Module `eco.http.server`: an HTTP/1.1 server. The protocol is in
//! [`crate::http`]; `connection` is what Lua sees, `pump` what moves the bytes,
//! `driver.lua` the loops around them.

mod connection;
mod exchange;
mod methods;
mod pump;
mod request;
mod settings;

use connection::Connection;

use crate::abi::{log_hook, Core};
use crate::functions;
use crate::http::status;
use crate::lua::{function, report, Functions, Lua, Outcome, Returns};
use crate::lua_source;

/// What the Lua side is built on, besides the native methods.
const NATIVE: Functions = functions! {
    debugging: function(debugging),
    report: function(report),
    connection: function(connection::new),
    settings: function(settings::new),
    complete: function(request::complete),
    set_request_metatable: function(request::set_metatable),
};

/// Pushes the module's table.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.http.server")?;
    lua.push_table(0, 64);
    for (code, name) in status::all() {
        lua.push_str("STATUS_");
        lua.push_bytes(name);
        lua.concat(2);
        lua.push_integer(code);
        lua.raw_set(-3);
    }
    lua.push_chunk(c"=eco.http.server", lua_source!("driver.lua"));
    lua.push_module(NATIVE, core.pointer());
    lua.push_field_methods::<Connection>(methods::FIELD, methods::METHODS, core.pointer());
    lua.push_chunk(c"=eco.http.server", lua_source!("methods.lua"));
    for argument in [-3, -3] {
        lua.push_value(argument);
    }
    lua.push_metatable::<Connection>(core.pointer());
    lua.call(3, 0);
    lua.call(2, 2);
    lua.set_field(-3, c"serve");
    lua.set_field(-2, c"listen");
    Ok(Returns(1))
}

/// `debugging()`, for the driver: whether debug lines are logged at all.
fn debugging(lua: Lua) -> Outcome {
    lua.push_bool(log_hook::level(lua) >= log_hook::DEBUG);
    Ok(Returns(1))
}
