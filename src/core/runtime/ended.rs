//! Coroutines that ended while the scheduler thought that they wait.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr;

use super::running::{condition, has_yielded, push_thread_of, Condition};
use super::{Home, Runtime, ALARM, MANY};
use crate::abi::{Core, Nanoseconds, REGISTRY_KEY};
use crate::core::clock::monotonic_coarse;
use crate::core::tasks::{NO_TIMER, OWNED, PARKED};
use crate::lua::{ffi, function, Error, Lua, Outcome, Returns, State};

/// A loop with no more coroutines than that looks at each before it waits.
const FEW: u32 = 16;
/// How long there is room to spare before memory is given back: who gives it
/// back too early asks for it again.
const PATIENCE: Nanoseconds = 1_000_000_000;
/// Records looked at to guess how many are of no use.
const SAMPLE: u32 = 64;

/// Puts the runtime on top in the registry, and [`close`] in the place of
/// `coroutine.close`. May raise, before it has done either.
pub(super) fn wrap_close(lua: Lua, core: *const c_void) {
    let runtime = lua.top();
    lua.get_field(ffi::LUA_REGISTRYINDEX, c"_LOADED");
    let found = lua.get_field(-1, c"coroutine") == ffi::LUA_TTABLE
        && lua.get_field(-1, c"close") == ffi::LUA_TFUNCTION;
    // The loaded modules, the library, its function.
    lua.set_top(runtime + 3);
    lua.push_pointer(core);
    lua.push_value(runtime + 3);
    lua.push_closure(function(close), 2);
    lua.push_value(runtime);
    lua.set_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
    if found {
        // The name is a string already, and there is a place for it.
        lua.set_field(runtime + 2, c"close");
    }
    lua.set_top(runtime - 1);
}

/// `coroutine.close(co)`: as before, and the scheduler hears of it at once.
fn close(lua: Lua) -> Outcome {
    let thread = lua.to_thread(1);
    if thread.is_null() {
        return Err(Error::wrong_type(1, c"coroutine"));
    }
    lua.set_top(1);
    Home::of(Core::of_any(lua)).close(lua, thread)
}

/// Whether few of many places are in use.
fn is_sparse(used: u32, all: u32) -> bool {
    all > MANY && used < all / 4
}

fn collector(lua: Lua, what: c_int) -> c_int {
    // SAFETY: these need no argument, allocate nothing and do not raise.
    unsafe { ffi::lua_gc(lua.state(), what) }
}

impl Runtime {
    /// Closes the thread in slot 1, by the function in upvalue 2.
    fn close(&self, lua: Lua, thread: State) -> Outcome {
        let known = self.record(lua, thread);
        let polled = known.is_some() && known == Some(self.polling.get());
        if thread == lua.state() || polled {
            return Err("cannot close a running coroutine".into());
        }
        if condition(thread) == Condition::Active {
            return Err("cannot close a normal coroutine".into());
        }
        if let Some(index) = known {
            // Before anything is closed: what it waits for lies on its stack.
            self.abandon(index);
        }
        lua.push_value(Lua::upvalue(2));
        lua.push_value(1);
        lua.call(1, ffi::LUA_MULTRET);
        // What it closed may have done anything.
        if let Some(index) = self.record(lua, thread) {
            self.abandon(index);
            self.remove(lua, index);
        }
        if is_sparse(self.tasks.used(), self.peak.get()) {
            self.shrink_threads(lua);
        }
        Ok(Returns(lua.top() - 1))
    }

    /// The record of the thread in slot 1, if there is one.
    fn record(&self, lua: Lua, thread: State) -> Option<u32> {
        if self.is_closed() {
            return None;
        }
        lua.push_reference(self.threads);
        lua.push_value(1);
        let found = lua.raw_get(-2) == ffi::LUA_TNUMBER;
        let index = lua.to_integer(-1).unwrap_or(0) as u32;
        lua.pop(2);
        debug_assert!(!found || self.tasks.get(index).thread.get() == thread);
        found.then_some(index)
    }

    /// Drops what is left of coroutines that ended without us: by a foreign
    /// `coroutine.resume`, or closed by the C API. Nothing waits for them.
    #[inline(never)]
    pub(super) fn sweep(&self, lua: Lua) {
        let mut left = self.tasks.used();
        let mut index = 0;
        while left > 0 && index < self.tasks.len() {
            let task = self.tasks.get(index);
            let thread = task.thread.get();
            if !thread.is_null() {
                left -= 1;
                let departed = task.has(PARKED) && !Runtime::still_parked(task);
                if departed {
                    self.abandon(index);
                }
                if has_yielded(thread) {
                    if departed && !task.has(OWNED) {
                        self.remove(lua, index);
                    }
                } else if condition(thread) == Condition::Dead {
                    self.abandon(index);
                    self.remove(lua, index);
                }
            }
            index += 1;
        }
        self.swept.set(0);
        self.left.set(self.tasks.used());
    }

    /// Before there are twice as many records: whether a look at some finds
    /// that they are of no use any more.
    #[inline(never)]
    pub(super) fn sweep_if_worthwhile(&self, lua: Lua) {
        let used = self.tasks.used();
        if used < MANY.max(self.left.get() * 2) {
            return;
        }
        let ended = (0..SAMPLE).filter(|sample| {
            let task = self.tasks.get(used / SAMPLE * sample);
            let thread = task.thread.get();
            !thread.is_null()
                && (task.has(PARKED) && !Runtime::still_parked(task)
                    || !has_yielded(thread) && condition(thread) == Condition::Dead)
        });
        if ended.count() > SAMPLE as usize / 8 {
            self.sweep(lua);
        } else {
            self.left.set(used);
        }
    }

    /// Nothing is ready: makes sure that the loop waits for nobody who has
    /// ended, and gives back what a crowd of coroutines has left.
    #[inline(never)]
    pub(super) fn tidy(&self, lua: Lua) {
        loop {
            let owner = self.timers.borrow().next_owner();
            match owner {
                Some(owner)
                    if owner & ALARM == 0 && !Runtime::still_parked(self.tasks.get(owner)) =>
                {
                    self.release_waiter(owner);
                }
                _ => break,
            }
        }
        let (used, all) = (self.tasks.used(), self.tasks.len());
        self.swept.set(self.swept.get() + 1);
        if self.swept.get() >= all || used <= FEW && all <= MANY {
            self.sweep(lua);
        }
        let alarms = self.alarms.borrow().len() as u32;
        if !is_sparse(used, all) && !is_sparse(self.armed.get(), alarms) {
            self.sparse.set(0);
            return;
        }
        let (now, since) = (monotonic_coarse(), self.sparse.get());
        if since == 0 {
            self.sparse.set(now);
        } else if now - since > PATIENCE && self.ready.is_empty() {
            self.sparse.set(now);
            self.shrink(lua);
        }
    }

    /// Gives memory back. Nothing is queued, measured or being polled: whoever
    /// still knows a record that is not in use compares the count first.
    #[inline(never)]
    fn shrink(&self, lua: Lua) {
        self.shrink_threads(lua);
        self.shrink_alarms();
        if self.tasks.has_spare_block() {
            self.shrunk.set(self.shrunk.get().wrapping_add(1));
            self.current.set(ptr::null());
            self.found.take();
            self.ready.free();
            self.tasks.shrink();
        }
    }

    /// Makes the table of threads anew: Lua's tables do not shrink.
    #[inline(never)]
    fn shrink_threads(&self, lua: Lua) {
        self.peak.set(self.tasks.used());
        // No finaliser adds to it meanwhile.
        let running = collector(lua, ffi::LUA_GCISRUNNING) != 0;
        collector(lua, ffi::LUA_GCSTOP);
        let copied = lua.protect(1, self, |lua, this| {
            lua.push_table(0, this.tasks.used() as c_int);
            for (index, task) in this.tasks.iter() {
                push_thread_of(lua, task.thread.get());
                lua.push_integer(i64::from(index));
                lua.raw_set(-3);
            }
        });
        if running {
            collector(lua, ffi::LUA_GCRESTART);
        }
        match copied {
            Ok(()) => lua.raw_set_index(ffi::LUA_REGISTRYINDEX, i64::from(self.threads)),
            // There is no memory for it now.
            Err(_) => lua.pop(1),
        }
    }

    /// Frees the slots behind the last alarm that is set.
    fn shrink_alarms(&self) {
        let mut alarms = self.alarms.borrow_mut();
        while alarms.last().is_some_and(|slot| slot.place.is_null()) {
            alarms.pop();
        }
        let length = alarms.len();
        alarms.shrink_to(length * 2);
        let mut next = NO_TIMER;
        for (index, slot) in alarms.iter_mut().enumerate().rev() {
            if slot.place.is_null() {
                slot.position = next;
                next = index as u32;
            }
        }
        self.free_alarm.set(next);
    }
}
