//! SIGINT while a coroutine runs: one that does not give control back to the
//! loop, which would end then, gets an error instead.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use super::Runtime;
use crate::abi::{monotonic, Nanoseconds, REGISTRY_KEY};
use crate::core::signals::give_in;
use crate::lua::{ffi, Lua, State};

/// How long a coroutine may go on after SIGINT before it is interrupted, and
/// after which another SIGINT ends the process: it is in a C function, or in a
/// coroutine of its own.
const GRACE: Nanoseconds = 100_000_000;
const PATIENCE: Nanoseconds = 500_000_000;
/// Instructions between two looks at the clock.
const STEPS: c_int = 10_000;

impl Runtime {
    /// From the signal handler, in the thread of the runtime at `context`: SIGINT
    /// came. The loop ends when it gets to know of it; a coroutine that keeps it
    /// from that is interrupted.
    pub(super) fn interrupt(context: *const c_void) {
        // SAFETY: the runtime outlives its loops, and this is its thread.
        let runtime = unsafe { &*context.cast::<Runtime>() };
        if runtime.is_canceled() {
            return runtime.interrupt_canceled();
        }
        let now = monotonic();
        let first = runtime.interrupted.get();
        if first != 0 {
            if now - first > PATIENCE {
                give_in();
            }
            return;
        }
        runtime.interrupted.set(now);
        if let Some(task) = runtime.tasks.at(runtime.current.get()) {
            let thread = task.thread.get();
            if !thread.is_null() {
                // SAFETY: a live thread of this state; setting a hook is what Lua
                // allows a signal handler.
                unsafe { ffi::lua_sethook(thread, Some(stop), ffi::LUA_MASKCOUNT, STEPS) };
            }
        }
    }
}

/// The hook of an interrupted coroutine.
unsafe extern "C-unwind" fn stop(state: State, _: *mut ffi::lua_Debug) {
    // SAFETY: called by Lua in a live thread, whose registry holds the runtime
    // that set the hook; owns nothing when it raises.
    unsafe {
        let lua = Lua::new(state);
        lua.get_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
        let runtime = &*lua.to_userdata(-1).cast::<Runtime>();
        lua.pop(1);
        let first = runtime.interrupted.get();
        if first != 0 && monotonic() - first < GRACE {
            return;
        }
        ffi::lua_sethook(state, None, 0, 0);
        if first != 0 {
            ffi::luaL_error(state, c"interrupted!".as_ptr());
        }
    }
}
