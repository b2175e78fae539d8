//! The log level as other modules see it: what `eco.log` would drop need not
//! be put together.
//!
//! `eco.log` keeps one [`LogHook`] per Lua state, at the start of a userdata
//! in the registry. Readers share nothing but this layout with it.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;

use crate::lua::{ffi, Lua};

/// Registry field that holds the userdata.
pub const REGISTRY_KEY: &CStr = c"eco.log";

/// Level of debug records.
pub const DEBUG: i32 = 7;

/// What `eco.log` shows to other modules.
#[repr(C)]
pub struct LogHook {
    /// Records with a larger number are dropped.
    pub level: Cell<i32>,
}

/// The level of this state's log, below every record when `eco.log` is not
/// loaded. Uses one stack slot; may raise for want of memory.
pub fn level(lua: Lua) -> i32 {
    lua.get_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
    // SAFETY: the field is nil or the userdata `eco.log` put there, which
    // starts with the hook and is anchored by the field itself.
    let hook = unsafe { lua.to_userdata(-1).cast::<LogHook>().as_ref() };
    let level = hook.map_or(-1, |hook| hook.level.get());
    lua.pop(1);
    level
}
