//! What signals ask of a loop besides its end: the watchdog looks at a coroutine
//! while that runs, and the list of coroutines is written.
//!
//! A handler sets a hook on the coroutine that runs, which Lua allows it; the hook
//! does the work at its next instruction. A loop that runs none is woken.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::errno::Errno;

use super::failure::write_error;
use super::Runtime;
use crate::abi::{Nanoseconds, REGISTRY_KEY};
use crate::core::clock::monotonic_coarse;
use crate::core::signals::{attend_to, attends_to_ticks, TICK};
use crate::core::ticker::Ticker;
use crate::lua::{ffi, Lua, State};

/// The signal that has the list of coroutines written. Any thread handles it.
pub(super) struct Dump {
    /// 0 for none.
    signal: AtomicI32,
    /// What wakes the loop; -1 for none.
    pub event: AtomicI32,
    pub asked: AtomicBool,
}

impl Default for Dump {
    fn default() -> Dump {
        Dump {
            signal: AtomicI32::new(0),
            event: AtomicI32::new(-1),
            asked: AtomicBool::new(false),
        }
    }
}

impl Runtime {
    pub fn set_watchdog(&self, limit: Nanoseconds) {
        self.watchdog.set(limit);
        self.set_ticks();
    }

    /// Two ticks to the limit: it is noticed at most half as late again.
    fn set_ticks(&self) {
        if let Some(ticker) = &*self.ticker.borrow() {
            ticker.set(self.watchdog.get() >> 1);
        }
    }

    /// A loop begins.
    pub(super) fn start_ticking(&self) {
        if attends_to_ticks() {
            *self.ticker.borrow_mut() = Ticker::new();
            self.set_ticks();
        }
    }

    /// For how long the coroutine that runs, or the few before it, have not given
    /// control back, if that is too long and has not been told.
    fn overdue(&self) -> Option<Nanoseconds> {
        let (since, limit) = (self.since.get(), self.watchdog.get());
        let spent = monotonic_coarse() - since;
        let is_late = since != 0 && limit != 0 && spent > limit && self.told.get() != since;
        is_late.then_some(spent)
    }

    /// Has the list of coroutines written whenever `signal` comes; 0 for never.
    pub fn dump_on(&self, signal: c_int) -> Result<(), Errno> {
        let before = self.dump.signal.load(Ordering::SeqCst);
        if signal != 0 {
            attend_to(signal, true)?;
            let event = self.open_notifier()?.event();
            self.dump.event.store(event, Ordering::SeqCst);
        }
        self.dump.signal.store(signal, Ordering::SeqCst);
        if before != 0 && before != signal {
            attend_to(before, false)?;
        }
        Ok(())
    }

    /// A forked child starts anew: the descriptor was its parent's.
    pub(super) fn reopen_dump(&self) {
        self.dump.event.store(-1, Ordering::SeqCst);
        self.dump.asked.store(false, Ordering::SeqCst);
        if self.dump.signal.load(Ordering::SeqCst) != 0 {
            if let Ok(notifier) = self.open_notifier() {
                self.dump.event.store(notifier.event(), Ordering::SeqCst);
            }
        }
    }

    /// From a signal handler, of the runtime at `context`; `is_here` in its thread.
    pub(super) fn attend(context: *const c_void, signal: c_int, is_here: bool) {
        // SAFETY: the runtime outlives its loops. Only what is atomic is touched in
        // another thread.
        let runtime = unsafe { &*context.cast::<Runtime>() };
        if signal == TICK {
            if is_here && runtime.overdue().is_some() {
                runtime.hook_current();
            }
        } else if signal == runtime.dump.signal.load(Ordering::SeqCst) {
            runtime.dump.asked.store(true, Ordering::SeqCst);
            let one = 1_u64;
            // SAFETY: async-signal-safe; reads a number of its own.
            unsafe {
                let event = runtime.dump.event.load(Ordering::SeqCst);
                libc::write(event, ptr::from_ref(&one).cast(), size_of::<u64>());
            }
            if is_here {
                runtime.hook_current();
            }
        }
    }

    /// Has `look` called by the coroutine that runs, unless it has a hook.
    fn hook_current(&self) {
        let Some(task) = self.tasks.at(self.current.get()) else {
            return;
        };
        let thread = task.thread.get();
        // SAFETY: a live thread of this state; setting a hook is what Lua allows a
        // signal handler.
        unsafe {
            if !thread.is_null() && ffi::lua_gethook(thread).is_none() {
                ffi::lua_sethook(thread, Some(look), ffi::LUA_MASKCOUNT, 1);
            }
        }
    }

    /// Writes the list of coroutines if a signal has asked for it: by `eco.dump`. An
    /// error in that is told, and nothing else happens.
    pub(super) fn dump_if_asked(&self, lua: Lua) {
        if !self.dump.asked.swap(false, Ordering::SeqCst) {
            return;
        }
        lua.ensure(6);
        let top = lua.top();
        lua.get_field(ffi::LUA_REGISTRYINDEX, c"_LOADED");
        if lua.get_field(-1, c"eco") == ffi::LUA_TTABLE {
            lua.get_field(-1, c"dump");
            if !lua.try_call(0, 0) {
                lua.error_to_text();
                write_error(lua.to_bytes(-1));
            }
        }
        lua.set_top(top);
    }
}

/// The hook of a coroutine that is looked at.
unsafe extern "C-unwind" fn look(state: State, _: *mut ffi::lua_Debug) {
    // SAFETY: called by Lua in a live thread, whose registry holds the runtime
    // that set the hook; owns nothing when it raises.
    unsafe {
        let lua = Lua::new(state);
        ffi::lua_sethook(state, None, 0, 0);
        lua.get_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
        let runtime = &*lua.to_userdata(-1).cast::<Runtime>();
        lua.pop(1);
        if let Some(spent) = runtime.overdue() {
            runtime.told.set(runtime.since.get());
            runtime.report_running(lua, spent);
        }
        runtime.dump_if_asked(lua);
    }
}
