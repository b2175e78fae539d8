//! The Lua part of a state, and scripts.

#![allow(unsafe_code)]

use std::ffi::{c_int, CString};
use std::sync::Arc;

use super::context::{Begin, Context};
use super::here::{here, Here};
use super::{pack, push_native};
use crate::lua::{ffi, function, Error, Lua, Outcome, Returns};
use crate::lua_source;

/// Compiles the Lua part and pushes it, as a function. May raise.
pub fn push_source(lua: Lua) {
    lua.push_chunk(c"=node-lua", lua_source!("node.lua"));
}

/// Opens the libraries in a fresh state of a context: an anchor of the function
/// that takes events. An error value is on top if it fails.
pub fn open(lua: Lua, context: &Arc<Context>, begin: &Begin) -> Result<c_int, Error> {
    lua.protect(1, &(context, begin), |lua, (context, begin)| {
        lua.open_few_libraries();
        Here::push(lua, context, false);
        let here = lua.top();
        lua.push_global(c"package");
        lua.set_bytes(-1, c"path", &begin.path);
        lua.set_bytes(-1, c"cpath", &begin.cpath);
        lua.pop(1);
        lua.get_field(ffi::LUA_REGISTRYINDEX, c"_PRELOAD");
        lua.push_table(0, 1);
        lua.push_value(here);
        lua.push_closure(function(preloaded), 1);
        lua.set_field(-2, c"__index");
        lua.set_metatable(-2);
        lua.pop(1);
        let code = context.engine.layer.get().map_or(&b""[..], Vec::as_slice);
        if !lua.push_bytecode(code) {
            lua.raise("the Lua part cannot be loaded".into());
        }
        push_native(lua, here);
        lua.call(1, 1);
        let anchor = lua.reference();
        lua.set_top(0);
        lua.push_integer(anchor.into());
    })?;
    let anchor = lua.to_integer(-1).unwrap_or_default();
    lua.pop(1);
    Ok(anchor as c_int)
}

/// `package.preload[name]`: what the host has.
fn preloaded(lua: Lua) -> Outcome {
    let name = lua.bytes(2).unwrap_or_default();
    match here(&lua).engine.preloaded(name) {
        Some(found) => lua.push_closure(found, 0),
        None => lua.push_nil(),
    }
    Ok(Returns(1))
}

/// Pushes the script of that name, as a function. An error value is on top if it
/// cannot be loaded.
pub fn load(lua: Lua, file: &[u8]) -> Result<(), Error> {
    let Ok(name) = CString::new(file) else {
        return Err("a name has a NUL byte".into());
    };
    lua.protect(1, &name, |lua, name| {
        if let Err(error) = lua.load_file(name) {
            lua.raise(error);
        }
    })
}

/// Runs the script on top with those arguments; whether it has left something to
/// wait for. An error value is on top if the Lua part itself fails.
pub fn run(lua: Lua, anchor: c_int, words: &[Vec<u8>]) -> Result<bool, Error> {
    lua.protect_with(1, 1, &(anchor, words), |lua, (anchor, words)| {
        lua.push_reference(*anchor);
        lua.push_integer(pack::BEGIN);
        lua.push_value(1);
        let count = words.len() as c_int;
        if !lua.ensure(count + 4) {
            lua.raise("too many arguments".into());
        }
        for word in *words {
            lua.push_bytes(word);
        }
        lua.call(2 + count, 1);
        lua.remove(1);
    })?;
    let goes_on = lua.to_bool(-1);
    lua.pop(1);
    Ok(goes_on)
}

/// Ends a call with one of the libraries that contexts open when they use it.
pub fn open_library(lua: Lua, name: &[u8]) -> Outcome {
    let open = match name {
        b"io" => ffi::luaopen_io,
        b"os" => ffi::luaopen_os,
        b"math" => ffi::luaopen_math,
        b"utf8" => ffi::luaopen_utf8,
        _ => ffi::luaopen_debug,
    };
    lua.push_closure(open, 0);
    lua.call(0, 1);
    if name == b"math" {
        // As older Lua had it.
        lua.push_chunk(c"=node-lua", "local x, y = ... return x ^ y");
        lua.set_field(-2, c"pow");
    }
    Ok(Returns(1))
}

/// The coroutine at an index.
pub fn thread_at(lua: Lua, index: c_int) -> Option<Lua> {
    let state = lua.to_thread(index);
    // SAFETY: the slot keeps it alive during the call.
    (!state.is_null()).then(|| unsafe { Lua::new(state) })
}
