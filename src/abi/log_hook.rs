//! The log level as other modules see it: what `eco.log` would drop need not
//! be put together.
//!
//! `eco.log` keeps one [`LogHook`] per Lua state, a userdata in the registry.
//! Readers share nothing but this layout with it.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;

use crate::lua::{ffi, Lua};

/// Registry field that holds the userdata.
const REGISTRY_KEY: &CStr = c"eco.log";

/// Level of debug records.
pub const DEBUG: i32 = 7;

/// What `eco.log` shows to other modules.
#[repr(C)]
struct LogHook {
    /// Records with a larger number are dropped.
    level: Cell<i32>,
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

/// For `eco.log`: shows its level to other modules. May raise.
pub fn show(lua: Lua, level: i32) {
    let room = lua.push_room(size_of::<LogHook>());
    // SAFETY: room of that size, which Lua aligns.
    unsafe {
        room.as_mut_ptr().cast::<LogHook>().write(LogHook {
            level: Cell::new(level),
        });
    }
    lua.set_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
}

/// For `eco.log`: it is not there any more.
pub fn hide(lua: Lua) {
    lua.push_nil();
    lua.set_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
}
