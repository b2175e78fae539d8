//! `eco.encoding.json`: JSON text from Lua values and back, with the functions
//! of lua-cjson.
//!
//! Functions of one instance share upvalues: its settings, the metatables of
//! arrays and of empty arrays, and whether it raises what goes wrong.

mod decode;
mod encode;
mod settings;

use std::ffi::{c_int, c_void, CStr};

use crate::lua::{ffi, function, Error, Functions, Lua, Outcome, Returns};
use crate::{functions, lua_source};

/// Upvalues of the functions.
const SETTINGS: c_int = Lua::upvalue(1);
const ARRAY: c_int = Lua::upvalue(2);
const EMPTY_ARRAY: c_int = Lua::upvalue(3);
const RAISES: c_int = Lua::upvalue(4);
const UPVALUES: c_int = 4;

/// Registry fields of the metatables, the same for all instances.
const ARRAY_TYPE: &CStr = c"eco.json.array";
const EMPTY_ARRAY_TYPE: &CStr = c"eco.json.empty_array";

const FUNCTIONS: Functions = functions! {
    encode: function(encode::encode),
    decode: function(decode::decode),
    new: function(new),
};

/// Opens the module, which gives nil and a message where something goes wrong.
/// May raise.
pub fn open(lua: Lua) -> Outcome {
    push_instance(lua, false)
}

/// `new([raises])` -> an instance with settings of its own.
fn new(lua: Lua) -> Outcome {
    let raises = if lua.is_none_or_nil(1) { RAISES } else { 1 };
    push_instance(lua, lua.to_bool(raises))
}

fn push_instance(lua: Lua, raises: bool) -> Outcome {
    lua.set_top(0);
    lua.push_table(0, 32);
    settings::push(lua);
    push_shared_table(lua, ARRAY_TYPE);
    push_shared_table(lua, EMPTY_ARRAY_TYPE);
    lua.push_bool(raises);
    for (name, function) in FUNCTIONS.each() {
        set_function(lua, name, function);
    }
    lua.push_value(4);
    lua.set_field(1, c"empty_array_mt");
    lua.push_value(3);
    lua.set_field(1, c"array_mt");
    lua.push_pointer(empty_array());
    lua.set_field(1, c"empty_array");
    lua.push_pointer(std::ptr::null());
    lua.set_field(1, c"null");
    settings::set_functions(lua);
    // The one that calls what may wait: a writer.
    lua.push_chunk(c"=eco.encoding.json", lua_source!("encode_to.lua"));
    lua.push_value(1);
    push_upvalues(lua);
    lua.push_closure(function(encode::pieces), UPVALUES);
    lua.call(2, 0);
    lua.set_top(1);
    Ok(Returns(1))
}

/// Pushes copies of the upvalues, which are on the stack above the module.
fn push_upvalues(lua: Lua) {
    for index in 2..2 + UPVALUES {
        lua.push_value(index);
    }
}

/// Sets a function in the module, which is at the bottom of the stack. May raise.
fn set_function(lua: Lua, name: &[u8], function: crate::lua::CFunction) {
    lua.push_bytes(name);
    push_upvalues(lua);
    lua.push_closure(function, UPVALUES);
    lua.raw_set(1);
}

fn push_shared_table(lua: Lua, name: &CStr) {
    if lua.get_field(ffi::LUA_REGISTRYINDEX, name) != ffi::LUA_TTABLE {
        lua.pop(1);
        lua.push_table(0, 0);
        lua.push_value(-1);
        lua.set_field(ffi::LUA_REGISTRYINDEX, name);
    }
}

/// What scripts know as `empty_array`: an address of ours.
fn empty_array() -> *const c_void {
    static MARK: u8 = 0;
    std::ptr::from_ref(&MARK).cast()
}

/// Ends a call that went wrong, with the message on top: raises, or gives nil
/// and the message.
fn fail(lua: Lua) -> Outcome {
    if lua.to_bool(RAISES) {
        lua.push_where(1);
        lua.insert(-2);
        lua.concat(2);
        return Err(Error::raised());
    }
    lua.push_nil();
    lua.insert(-2);
    Ok(Returns(2))
}
