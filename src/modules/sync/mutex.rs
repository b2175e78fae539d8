//! `sync.mutex()`: unlocking hands the mutex to the coroutine that has waited
//! longest; it is never free while somebody waits.

use std::cell::Cell;
use std::ffi::CStr;

use crate::abi::{Cause, Core, Step};
use crate::core::{Owner, Queue, Waiter};
use crate::functions;
use crate::lua::{function, method, Functions, Lua, Outcome, Returns, UserData, Word};
use crate::lua::{push_method, set_own};

pub struct Mutex {
    queue: Queue,
    locked: Cell<bool>,
}

impl Mutex {
    /// `mutex()` -> mutex.
    pub fn create(lua: Lua) -> Outcome {
        let core = Core::of(lua);
        lua.reserve::<Mutex>(0, core.pointer()).fill(Mutex {
            queue: Queue::new(core),
            locked: Cell::new(false),
        });
        Ok(Returns(1))
    }

    /// `m:lock([timeout])` -> true, or nil and a message.
    fn lock(lua: Lua, this: &Mutex) -> Outcome {
        if !this.locked.replace(true) {
            lua.push_bool(true);
            return this.queue.settle(lua, 1);
        }
        lua.set_top(2);
        let outcome = this.queue.wait(lua, this, 2);
        // Parking ends an earlier wait of this coroutine that somebody cut
        // short; if the mutex had been handed to that one, it is free now.
        if outcome.is_ok() && !this.locked.replace(true) {
            this.queue.choose_newest();
        }
        outcome
    }

    /// `m:unlock()`.
    fn unlock(_: Lua, this: &Mutex) -> Outcome {
        if !this.locked.get() {
            return Err("unlock of unlocked mutex".into());
        }
        this.hand_over();
        Ok(Returns(0))
    }

    /// Gives the mutex to the next waiter, or frees it.
    fn hand_over(&self) {
        self.locked.set(self.queue.choose().is_some());
    }

    fn told(lua: Lua, this: &Mutex) -> Outcome {
        lua.told(&[
            Word::Text(if this.locked.get() {
                b"eco.mutex (locked, "
            } else {
                b"eco.mutex (free, "
            }),
            Word::Number(i64::from(this.queue.count())),
            Word::Text(b" waiting)"),
        ])
    }

    /// Methods and fields.
    fn index(lua: Lua, this: &Mutex) -> Outcome {
        match push_method(lua, &["locked", "nwaiters"]) {
            0 => lua.push_bool(this.locked.get()),
            1 => lua.push_integer(i64::from(this.queue.count())),
            _ => {}
        }
        Ok(Returns(1))
    }
}

impl Owner for Mutex {
    fn poll(&self, waiter: &Waiter, lua: Lua, cause: Cause) -> Step {
        if !waiter.is_chosen() {
            return waiter.give_up(lua, cause);
        }
        lua.push_bool(true);
        waiter.finish()
    }

    fn pass_on(&self, _: &Waiter) {
        self.hand_over();
    }
}

impl UserData for Mutex {
    const NAME: &'static CStr = c"eco.mutex";
    const METHODS: Functions = functions! {
        lock: method(Mutex::lock),
        unlock: method(Mutex::unlock),
        __index: method(Mutex::index),
        __tostring: method(Mutex::told),
        __newindex: function(set_own),
    };

    fn finalise(&self, lua: Lua) {
        self.queue.clear(lua);
    }
}
