//! Errors nobody caught, and the end of the process.
#![allow(unsafe_code)]

use std::ptr;

use super::running::push_thread_of;
use super::Runtime;
use crate::abi::{Nanoseconds, PROMPT};
use crate::core::clock::milliseconds;
use crate::lua::{ffi, Lua, State};
use crate::system::fd;

impl Runtime {
    /// Reports the coroutine that runs, and has for too long. May raise.
    pub(super) fn report_running(&self, lua: Lua, spent: Nanoseconds) {
        // SAFETY: pushes one string; nothing is alive when it raises.
        unsafe {
            ffi::lua_pushfstring(
                lua.state(),
                c"coroutine execution timeout: run too long(%I ms) without yielding/dead (>%I ms), and still runs"
                    .as_ptr(),
                milliseconds(spent),
                milliseconds(self.watchdog.get()),
            );
        }
        self.report(lua, lua.state());
    }

    /// Reports a coroutine that ran too long without yielding.
    pub(super) fn report_slow(
        &self,
        lua: Lua,
        thread: State,
        spent: Nanoseconds,
        limit: Nanoseconds,
    ) {
        lua.ensure(6);
        // SAFETY: pushes one string; may raise with nothing alive.
        unsafe {
            ffi::lua_pushfstring(
                lua.state(),
                c"coroutine execution timeout: run too long(%I ms) without yielding/dead (>%I ms)"
                    .as_ptr(),
                milliseconds(spent),
                milliseconds(limit),
            );
        }
        self.report(lua, thread);
    }

    /// A coroutine failed, its error value is on top of its stack: report it
    /// and end the process with status 1.
    pub(super) fn panic(&self, lua: Lua, thread: State) {
        lua.ensure(7);
        // The hook may do anything, also have its record dropped.
        push_thread_of(lua, thread);
        // SAFETY: the thread is dead with its error value on top, of which we
        // get a copy; a dead thread has room for one more value.
        unsafe {
            ffi::lua_checkstack(thread, 1);
            ffi::lua_pushvalue(thread, -1);
            ffi::lua_xmove(thread, lua.state(), 1);
        }
        let contained = self.contained.get();
        let goes_on = if contained {
            self.keep_failure(lua, thread);
            true
        } else {
            self.report(lua, thread) && Runtime::has_prompt(lua)
        };
        // SAFETY: runs the to-be-closed variables of the failed coroutine.
        unsafe { ffi::lua_resetthread(thread) };
        if goes_on {
            lua.pop(1);
        } else {
            self.exit(lua);
        }
    }

    /// The same for an error value on top of our own stack.
    pub(super) fn panic_with_top(&self, lua: Lua) {
        if self.contained.get() {
            return self.keep_failure(lua, lua.state());
        }
        if !self.report(lua, lua.state()) || !Runtime::has_prompt(lua) {
            self.exit(lua);
        }
    }

    /// Whether somebody types here, who goes on after an error.
    fn has_prompt(lua: Lua) -> bool {
        let found = lua.get_field(ffi::LUA_REGISTRYINDEX, PROMPT) == ffi::LUA_TFUNCTION;
        lua.pop(1);
        found
    }

    /// Passes the message on top (popped) and two tracebacks to the hook, or
    /// writes them to standard error. True when a hook says that it has dealt
    /// with it.
    pub(super) fn report(&self, lua: Lua, thread: State) -> bool {
        self.failing.set(true);
        // SAFETY: the caller keeps the thread; a string on our own stack.
        unsafe {
            lua.error_to_report(Lua::new(thread), 0);
            ffi::luaL_traceback(lua.state(), lua.state(), ptr::null(), 0);
        }
        if !self.push_panic_hook(lua) {
            for index in [-2, -1] {
                write_error(lua.to_bytes(index));
            }
            lua.pop(2);
            self.failing.set(false);
            return false;
        }
        lua.insert(-3);
        if !lua.try_call(2, 1) {
            lua.error_to_text();
            write_error(lua.to_bytes(-1));
            self.exit(lua);
        }
        let dealt_with = lua.type_of(-1) == ffi::LUA_TBOOLEAN && lua.to_bool(-1);
        lua.pop(1);
        self.failing.set(false);
        dealt_with
    }

    pub(super) fn has_panic_hook(&self, lua: Lua) -> bool {
        let found = self.push_panic_hook(lua);
        if found {
            lua.pop(1);
        }
        found
    }

    /// Pushes the hook, or the field `eco.panic_hook` of older scripts.
    pub(super) fn push_panic_hook(&self, lua: Lua) -> bool {
        if self.panic_hook.get() != ffi::LUA_NOREF {
            lua.push_reference(self.panic_hook.get());
            return true;
        }
        lua.get_field(ffi::LUA_REGISTRYINDEX, c"_LOADED");
        if lua.get_field(-1, c"eco") == ffi::LUA_TTABLE {
            lua.push_bytes(b"panic_hook");
            if lua.raw_get(-2) == ffi::LUA_TFUNCTION {
                lua.insert(-3);
                lua.pop(2);
                return true;
            }
            lua.pop(1);
        }
        lua.pop(2);
        false
    }

    /// Closes every coroutine, then the state, and ends the process: finalisers
    /// and to-be-closed variables run. Of a state that is contained, only the
    /// loop ends.
    pub(super) fn exit(&self, lua: Lua) {
        if self.contained.get() {
            return self.stop.set(true);
        }
        self.close_all(lua);
        // SAFETY: nothing of the state is touched afterwards; eco.so stays
        // mapped (it is linked with nodelete).
        unsafe {
            ffi::lua_close(main_thread(lua));
            libc::exit(1);
        }
    }
}

/// The main thread of a state.
fn main_thread(lua: Lua) -> State {
    lua.raw_get_index(ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_MAINTHREAD as i64);
    let thread = lua.to_thread(-1);
    lua.pop(1);
    thread
}

/// Writes a line to standard error.
pub(super) fn write_error(text: &[u8]) {
    fd::complain(text);
    fd::complain(b"\n");
}
