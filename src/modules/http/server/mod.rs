//! Module `eco.http.server`: an HTTP/1.1 server. Protocol code (`head`, `body`,
//! `response`, `multipart` …) is pure; `connection` is what Lua sees, `pump`
//! what moves the bytes, `driver.lua` the loops around them.

pub mod body;
pub mod conditional;
mod connection;
pub mod date;
mod exchange;
mod fields;
mod files;
mod form;
pub mod head;
mod methods;
pub mod mime;
pub mod multipart;
mod pump;
mod request;
pub mod response;
mod settings;
pub mod status;
pub mod target;
mod texts;

use connection::Connection;
use settings::{Settings, Shared};

use crate::core::{log_hook, Core};
use crate::lua::{ffi, function, method, Lua, Outcome, Returns};

/// Pushes the module's table.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.http.server")?;
    fields::open(lua, core);
    lua.push_table(0, 64);
    for (code, name) in status::all() {
        lua.push_str("STATUS_");
        lua.push_str(name);
        lua.concat(2);
        lua.push_integer(i64::from(code));
        lua.raw_set(-3);
    }
    lua.push_chunk(c"=eco.http.server", include_str!("driver.lua"));
    lua.require(c"eco");
    lua.require(c"eco.socket");
    lua.require(c"eco.log");
    lua.push_function(function(debugging), core.pointer());
    lua.push_function(function(connection::new), core.pointer());
    lua.push_pointer(core.pointer());
    lua.push_metatable::<Connection>(core.pointer());
    lua.push_closure(method(connection::next), 2);
    lua.push_function(function(new_settings), core.pointer());
    lua.call(7, 1);
    lua.set_field(-2, c"listen");
    Ok(Returns(1))
}

/// `debugging()`, for the driver: whether debug lines are logged at all.
fn debugging(lua: Lua) -> Outcome {
    lua.push_bool(log_hook::level(lua) >= log_hook::DEBUG);
    Ok(Returns(1))
}

/// `settings(options)`, for the driver.
fn new_settings(lua: Lua) -> Outcome {
    lua.expect(1, ffi::LUA_TTABLE)?;
    lua.get_field(1, c"ssl");
    let plain = !lua.to_bool(-1);
    let settings = Settings::read(lua, 1, plain)?;
    let slot = lua.reserve::<Shared>(0, Core::of(lua).pointer());
    slot.fill(Shared(settings.into()));
    Ok(Returns(1))
}
