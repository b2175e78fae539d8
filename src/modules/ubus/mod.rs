//! `eco.ubus`: OpenWrt's message bus, over the core without I/O of the crate `ubus`.
//!
//! A connection is a table whose field `ctx` is native. One coroutine, in Lua, waits on it for the daemon and starts one
//! for each call, event and notification; whoever asks something is parked until that coroutine has read the answer.

mod ask;
mod bus;
mod serve;
pub mod values;

use std::ffi::c_int;

use ubus::Status;

use self::bus::Bus;
use crate::abi::Core;
use crate::lua::{field_method, function, Constants, Functions, Lua, Outcome, Returns};
use crate::system::user;
use crate::{constants, functions, lua_source};

const CONSTANTS: Constants = constants! {
    STATUS_OK = 0; STATUS_INVALID_COMMAND = 1; STATUS_INVALID_ARGUMENT = 2; STATUS_METHOD_NOT_FOUND = 3;
    STATUS_NOT_FOUND = 4; STATUS_NO_DATA = 5; STATUS_PERMISSION_DENIED = 6; STATUS_TIMEOUT = 7;
    STATUS_NOT_SUPPORTED = 8; STATUS_UNKNOWN_ERROR = 9; STATUS_CONNECTION_FAILED = 10;
    ARRAY = 1; TABLE = 2; STRING = 3; INT64 = 4; INT32 = 5; INT16 = 6; INT8 = 7; BOOLEAN = 7; DOUBLE = 8;
};

const FUNCTIONS: Functions = functions! { strerror: function(strerror) };

/// Methods of a connection's table.
const METHODS: Functions = functions! {
    call: field_method(unless_closed(ask::call)),
    call_fd: field_method(unless_closed(ask::call_fd)),
    send: field_method(unless_closed(ask::send)),
    reply: field_method(unless_closed(ask::reply)),
    listen: field_method(unless_closed(ask::listen)),
    subscribe: field_method(unless_closed(ask::subscribe)),
    unsubscribe: field_method(unless_closed(ask::unsubscribe)),
    notify: field_method(unless_closed(ask::notify)),
    objects: field_method(unless_closed(ask::objects)),
    signatures: field_method(unless_closed(ask::signatures)),
    take_fd: field_method(unless_closed(serve::take_fd)),
    reply_fd: field_method(unless_closed(serve::reply_fd)),
};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.ubus")?.pointer();
    lua.push_module(FUNCTIONS, core);
    lua.set_constants(CONSTANTS);
    lua.push_chunk(c"=eco.ubus", lua_source!("ubus.lua"));
    lua.push_value(-2);
    lua.push_field_methods::<Bus>(c"ctx", METHODS, core);
    lua.push_field_methods::<Bus>(c"ctx", bus::INTERNAL, core);
    lua.push_function(function(bus::open), core);
    lua.push_bool(user::is_root());
    lua.require(c"eco");
    lua.call(6, 0);
    Ok(Returns(1))
}

/// A method that gives nothing once its connection is closed.
const fn unless_closed<F>(body: F) -> impl Fn(Lua, &Bus) -> Outcome + Copy
where
    F: Fn(Lua, &Bus) -> Outcome + Copy,
{
    move |lua, bus| match bus.shared.is_closed() {
        true => Ok(Returns(0)),
        false => body(lua, bus),
    }
}

/// `ctx:notify(…)`
fn ctx_notify(lua: Lua, bus: &Bus) -> Outcome {
    match bus.shared.is_closed() {
        true => lua.fail("closed"),
        false => ask::notify(lua, bus),
    }
}

/// `ctx:unsubscribe(…)`
fn ctx_unsubscribe(lua: Lua, bus: &Bus) -> Outcome {
    match bus.shared.is_closed() {
        true => lua.fail("closed"),
        false => ask::unsubscribe(lua, bus),
    }
}

/// `strerror(code)`
fn strerror(lua: Lua) -> Outcome {
    push_status(lua, lua.integer(1)?);
    Ok(Returns(1))
}

/// Pushes the text of a status. May raise.
fn push_status(lua: Lua, code: i64) {
    let known = c_int::try_from(code)
        .ok()
        .and_then(|code| Status(code).text());
    match known {
        Some(text) => lua.push_str(text),
        None => {
            lua.push_str("Unknown error: ");
            lua.push_integer(code);
            lua.concat(2);
        }
    }
}
