//! The context that a function runs in.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;
use std::sync::Arc;

use super::context::Context;
use crate::lua::{ffi, Functions, Lua, UserData};

/// Upvalue 1 of every function that asks.
pub struct Here {
    /// A counted reference, null when the state closes.
    context: Cell<*const Context>,
    process: u32,
    is_host: bool,
}

/// Registry field that keeps it until the state closes.
const HERE: &CStr = c"node-lua.here";

impl Here {
    /// Pushes what stands for that context. May raise.
    pub fn push(lua: Lua, context: &Arc<Context>, is_host: bool) {
        lua.reserve::<Here>(0, ptr::null()).fill(Here {
            context: Cell::new(Arc::into_raw(Arc::clone(context))),
            process: std::process::id(),
            is_host,
        });
        lua.push_value(-1);
        lua.set_field(ffi::LUA_REGISTRYINDEX, HERE);
    }
}

/// The context of the running function. Raises when its state closes, so it comes
/// before anything that would be lost then.
pub fn here(lua: &Lua) -> &Context {
    // SAFETY: upvalue 1 of functions that call this is a `Here`, whose memory is
    // there until all finalisers have run; what it points to is, until it is null,
    // and that happens when no function of the state runs but finalisers.
    unsafe {
        let here = lua.to_userdata(Lua::upvalue(1)).cast::<Here>().as_ref();
        match here.and_then(|here| here.context.get().as_ref()) {
            Some(context) => context,
            None => lua.raise("the context is closing".into()),
        }
    }
}

/// The same, counted.
pub fn share(lua: &Lua) -> Arc<Context> {
    let context = ptr::from_ref(here(lua));
    // SAFETY: it came from an `Arc`, which is alive.
    unsafe {
        Arc::increment_strong_count(context);
        Arc::from_raw(context)
    }
}

impl UserData for Here {
    const NAME: &'static CStr = c"node-lua context";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _lua: Lua) {
        let context = self.context.replace(ptr::null());
        // A forked child has no threads of its parent's, and leaves all to it.
        if context.is_null() || self.process != std::process::id() {
            return;
        }
        // SAFETY: the reference that `push` made.
        let context = unsafe { Arc::from_raw(context) };
        if self.is_host {
            context.retire();
            context.engine.stop();
        }
    }
}

/// Adds functions to the table on top, each with the `Here` at `index`. May raise.
pub fn set_functions(lua: Lua, index: std::ffi::c_int, functions: Functions) {
    let index = lua.absolute(index);
    for (name, function) in functions.each() {
        lua.push_bytes(name);
        lua.push_value(index);
        lua.push_closure(function, 1);
        lua.raw_set(-3);
    }
}
