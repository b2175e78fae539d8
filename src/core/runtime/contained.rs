//! States that are part of a larger program: an error nobody caught ends the
//! loop and is kept for the owner, and another thread may end the loop.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::Ordering;

use super::running::push_thread_of;
use super::waiting::hand_out;
use super::Runtime;
use crate::abi::{monotonic, Nanoseconds, Token, FAILURE, NO_TASK, REGISTRY_KEY};
use crate::core::signals;
use crate::lua::{ffi, Lua, State};

/// How long a coroutine may go on after the loop was canceled.
const GRACE: Nanoseconds = 100_000_000;
/// Instructions between two looks at the clock.
const STEPS: c_int = 10_000;

impl Runtime {
    /// From now on nothing of this state ends the process. May raise, before
    /// anything has changed.
    pub fn contain(&self, lua: Lua) {
        // There is room for all that `keep` sets.
        lua.push_table(3, 0);
        lua.set_field(ffi::LUA_REGISTRYINDEX, FAILURE);
        self.contained.set(true);
    }

    /// A token that stops the loop.
    pub fn stopper(&self, token: &mut MaybeUninit<Token>) -> c_int {
        let made = self
            .open_notifier()
            .and_then(|notifier| notifier.token(NO_TASK, 0));
        hand_out(made, token)
    }

    /// From any thread, while the state lives: no loop of it goes on, and the
    /// coroutine that keeps it from ending gets an error. One that sleeps is
    /// woken by a `stopper`.
    pub fn cancel(&self) {
        self.canceled.store(true, Ordering::SeqCst);
        signals::interrupt_loop(ptr::from_ref(self).cast());
    }

    pub(super) fn is_canceled(&self) -> bool {
        self.canceled.load(Ordering::Relaxed)
    }

    /// The process that waits and threads of this state belong to.
    pub fn process(&self) -> u32 {
        self.process.get()
    }

    /// After `cancel`, also in the signal handler: interrupts what runs.
    pub(super) fn interrupt_canceled(&self) {
        self.stop.set(true);
        if self.struck.get() == 0 {
            self.struck.set(monotonic());
        }
        if let Some(task) = self.tasks.at(self.current.get()) {
            let thread = task.thread.get();
            if !thread.is_null() {
                // SAFETY: as in `interrupt`. A hook that is set goes on counting.
                unsafe {
                    if ffi::lua_gethookcount(thread) == 0 {
                        ffi::lua_sethook(thread, Some(end), ffi::LUA_MASKCOUNT, STEPS);
                    }
                }
            }
        }
    }

    /// A coroutine failed, its error value is on top: unless a hook of the
    /// script's own says that it has dealt with it, keeps the first such value and
    /// its traceback in the registry and ends the loop. Pops the value.
    pub(super) fn keep_failure(&self, lua: Lua, thread: State) {
        lua.ensure(8);
        // SAFETY: the hook of a canceled coroutine has done its work.
        unsafe { ffi::lua_sethook(thread, None, 0, 0) };
        if self.has_panic_hook(lua) {
            lua.push_value(-1);
            if self.report(lua, thread) {
                return lua.pop(1);
            }
        }
        self.stop.set(true);
        // SAFETY: a light C function and values that exist; the call is
        // protected, since there may be no memory for the traceback.
        unsafe {
            ffi::lua_pushcfunction(lua.state(), keep);
            lua.insert(-2);
            push_thread_of(lua, thread);
            if ffi::lua_pcall(lua.state(), 2, 0, 0) != ffi::LUA_OK {
                lua.pop(1);
            }
        }
    }

    /// Closes every coroutine: to-be-closed variables run.
    pub(super) fn close_all(&self, lua: Lua) {
        // What closes may end other coroutines, and start new ones: those are
        // left to the state. Records never move, and only their number is kept.
        for index in 0..self.tasks.len() {
            let thread = self.tasks.get(index).thread.get();
            // SAFETY: the table of threads keeps the thread alive, our own stack
            // while it is closed; errors in closing methods are ignored.
            unsafe {
                if !thread.is_null() && ffi::lua_status(thread) == ffi::LUA_YIELD {
                    push_thread_of(lua, thread);
                    ffi::lua_sethook(thread, None, 0, 0);
                    ffi::lua_resetthread(thread);
                    lua.pop(1);
                }
            }
        }
    }
}

/// `keep(value, thread)`.
unsafe extern "C-unwind" fn keep(state: State) -> c_int {
    // SAFETY: called by `keep_failure` with a live thread; owns nothing when it
    // raises.
    unsafe {
        let lua = Lua::new(state);
        lua.get_field(ffi::LUA_REGISTRYINDEX, FAILURE);
        if lua.raw_get_index(3, 3) != ffi::LUA_TNIL {
            return 0;
        }
        lua.push_value(1);
        lua.raw_set_index(3, 1);
        lua.push_bool(true);
        lua.raw_set_index(3, 3);
        ffi::luaL_traceback(state, lua.to_thread(2), ptr::null(), 0);
        lua.raw_set_index(3, 2);
    }
    0
}

/// The hook of a coroutine that keeps a canceled loop from ending: from then on
/// whatever it does fails, so that catching the error does not help it.
unsafe extern "C-unwind" fn end(state: State, _: *mut ffi::lua_Debug) {
    // SAFETY: called by Lua in a live thread, whose registry holds the runtime
    // that set the hook; owns nothing when it raises.
    unsafe {
        let lua = Lua::new(state);
        lua.get_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
        let runtime = &*lua.to_userdata(-1).cast::<Runtime>();
        lua.pop(1);
        if monotonic() - runtime.struck.get() < GRACE {
            return;
        }
        ffi::lua_sethook(state, Some(end), ffi::LUA_MASKCOUNT, 1);
        ffi::luaL_error(state, c"canceled".as_ptr());
    }
}
