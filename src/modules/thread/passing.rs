//! What goes to other states and comes from them: messages, ends of channels,
//! handles of threads, errors.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::{c_int, CStr};

use super::channel::Channel;
use super::handle::Handle;
use crate::abi::{Core, FAILURE};
use crate::functions;
use crate::lua::{ffi, function, Error, Functions, Lua, Outcome, Returns};
use crate::states::thread::{self, copy, Failure};
use crate::states::{codec, Message};

/// States of one process trust each other.
const OPTIONS: codec::Options = codec::Options {
    by_name: true,
    ..codec::Options::DEFAULT
};

/// Registry field: userdata by the address of what it stands for, weakly, so
/// that what comes twice is the same object.
const KNOWN: &CStr = c"eco.thread.known";
/// Registry field: the metatable of errors.
const ERROR: &CStr = c"eco.thread.error";

/// Makes what the others here need. May raise.
pub fn prepare(lua: Lua, core: Core) {
    lua.share::<Channel>(core.pointer());
    lua.share::<Handle>(core.pointer());
    lua.push_table(0, 0);
    lua.push_table(0, 1);
    lua.set_bytes(-1, c"__mode", b"v");
    lua.set_metatable(-2);
    lua.set_field(ffi::LUA_REGISTRYINDEX, KNOWN);
    const METHODS: Functions = functions! { __tostring: function(error_text) };
    lua.push_module(METHODS, core.pointer());
    lua.set_bytes(-1, c"__name", ERROR.to_bytes());
    lua.set_field(ffi::LUA_REGISTRYINDEX, ERROR);
}

/// Pushes the metatable of errors. May raise.
pub fn push_error_type(lua: Lua) {
    lua.get_field(ffi::LUA_REGISTRYINDEX, ERROR);
}

/// `tostring(err)`.
fn error_text(lua: Lua) -> Outcome {
    lua.set_top(1);
    lua.expect(1, ffi::LUA_TTABLE)?;
    lua.push_bytes(b"message");
    lua.raw_get(1);
    if lua.type_of(-1) != ffi::LUA_TSTRING {
        lua.push_bytes(ERROR.to_bytes());
    }
    Ok(Returns(1))
}

/// Pushes the userdata that stands for what is at an address; false, and
/// nothing is pushed, when there is none. May raise.
pub fn push_known(lua: Lua, address: *const ()) -> bool {
    lua.get_field(ffi::LUA_REGISTRYINDEX, KNOWN);
    lua.push_pointer(address.cast());
    let found = lua.raw_get(-2) == ffi::LUA_TUSERDATA;
    lua.remove(-2);
    if !found {
        lua.pop(1);
    }
    found
}

/// The userdata on top stands for that from now on. May raise.
pub fn make_known(lua: Lua, address: *const ()) {
    lua.get_field(ffi::LUA_REGISTRYINDEX, KNOWN);
    lua.push_pointer(address.cast());
    lua.push_value(-3);
    lua.raw_set(-3);
    lua.pop(1);
}

/// Pushes the values of a message; gives their number.
pub fn push_message(lua: Lua, message: &Message) -> Result<c_int, Error> {
    codec::decode(lua, message, &OPTIONS)
}

/// Makes a message of `count` values from stack index `first` on.
pub fn message(lua: Lua, first: c_int, count: c_int) -> Result<Message, Error> {
    codec::encode(lua, first, count, &OPTIONS)
}

/// Pushes what `join` gives; the number of values.
pub fn push_outcome(lua: Lua, outcome: &thread::Outcome) -> Result<c_int, Error> {
    match outcome {
        thread::Outcome::Returned(message) => push_message(lua, message),
        thread::Outcome::Failed(failure) => push_failure(lua, failure).map(|()| 2),
    }
}

/// Pushes nil and an error object.
fn push_failure(lua: Lua, failure: &Failure) -> Result<(), Error> {
    lua.protect(2, failure, |lua, failure| {
        lua.push_nil();
        lua.push_table(0, 4);
        lua.set_bytes(-1, c"message", &failure.message);
        lua.set_bytes(-1, c"traceback", &failure.traceback);
        push_error_type(lua);
        lua.set_metatable(-2);
    })?;
    let table = lua.top();
    // An error value that cannot be had is left out.
    if let Some(Ok(1)) = failure.value.as_ref().map(|value| push_message(lua, value)) {
        lua.push_bytes(b"value");
        lua.insert(-2);
        lua.raw_set(table);
    }
    lua.set_top(table);
    Ok(())
}

/// Takes the error value and traceback that the core has kept, if any.
pub fn take_failure(lua: Lua) -> Option<Failure> {
    let found = RefCell::new(None);
    let copied = lua.protect(1, &found, |lua, found| {
        lua.get_field(ffi::LUA_REGISTRYINDEX, FAILURE);
        if lua.raw_get_index(1, 3) == ffi::LUA_TNIL {
            return;
        }
        lua.raw_get_index(1, 2);
        lua.raw_get_index(1, 1);
        lua.push_value(-1);
        lua.error_to_text();
        found.replace(Some(Failure {
            message: copy(lua.to_bytes(-1)),
            traceback: copy(lua.bytes(-3).unwrap_or_default()),
            value: None,
        }));
        // The value alone is the result.
        lua.pop(1);
        lua.insert(1);
    });
    if copied.is_err() {
        return Some(Failure::new("not enough memory"));
    }
    let mut failure = found.into_inner()?;
    let value = lua.top();
    if lua.type_of(value) > ffi::LUA_TNIL && lua.type_of(value) != ffi::LUA_TSTRING {
        // One that cannot be sent is left out.
        failure.value = message(lua, value, 1).ok();
    }
    Some(failure)
}
