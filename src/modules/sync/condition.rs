//! `sync.cond()`: each signal reaches one waiter, with what it carries.

use std::cell::Cell;
use std::ffi::CStr;

use crate::abi::{Cause, Core, Step};
use crate::core::{Owner, Queue, Waiter};
use crate::functions;
use crate::lua::{function, method, Functions, Lua, Outcome, Returns, UserData, Word};
use crate::lua::{push_method, set_own};

pub struct Condition {
    queue: Queue,
    closed: Cell<bool>,
}

impl Condition {
    /// `cond()` -> cond.
    pub fn create(lua: Lua) -> Outcome {
        let core = Core::of(lua);
        lua.reserve::<Condition>(0, core.pointer()).fill(Condition {
            queue: Queue::new(core),
            closed: Cell::new(false),
        });
        Ok(Returns(1))
    }

    /// `c:wait([timeout])` -> what was signalled, or nil and a message.
    fn wait(lua: Lua, this: &Condition) -> Outcome {
        if this.closed.get() {
            return this.queue.refuse(lua, "closed");
        }
        lua.set_top(2);
        this.queue.wait(lua, this, 2)
    }

    /// `c:signal([data])` -> whether a waiter was chosen.
    fn signal(lua: Lua, this: &Condition) -> Outcome {
        lua.set_top(2);
        let signalled = !this.closed.get() && this.queue.has_waiters() && this.send(lua);
        lua.push_bool(signalled);
        Ok(Returns(1))
    }

    /// Chooses a waiter for the value at index 2. The value is anchored first:
    /// that may raise, or even run a finaliser that takes the last waiter.
    fn send(&self, lua: Lua) -> bool {
        if !lua.to_bool(2) {
            return self.queue.choose().is_some();
        }
        lua.push_value(2);
        let anchor = lua.reference();
        match self.queue.choose() {
            Some(waiter) => waiter.set_value(anchor),
            None => {
                lua.unreference(anchor);
                return false;
            }
        }
        true
    }

    /// `c:broadcast()` -> number of waiters woken.
    fn broadcast(lua: Lua, this: &Condition) -> Outcome {
        let count = if this.closed.get() {
            0
        } else {
            this.queue.release_all()
        };
        lua.push_integer(i64::from(count));
        Ok(Returns(1))
    }

    /// `c:close()`.
    fn close(_: Lua, this: &Condition) -> Outcome {
        this.closed.set(true);
        this.queue.release_all();
        Ok(Returns(0))
    }

    fn told(lua: Lua, this: &Condition) -> Outcome {
        lua.told(&[
            Word::Text(b"eco.cond ("),
            Word::Number(i64::from(this.queue.count())),
            Word::Text(if this.closed.get() {
                b" waiting, closed)"
            } else {
                b" waiting)"
            }),
        ])
    }

    /// Methods, and the fields of the original. There is no eventfd behind it.
    fn index(lua: Lua, this: &Condition) -> Outcome {
        match push_method(lua, &["closed", "efd", "waiters"]) {
            0 => lua.push_bool(this.closed.get()),
            1 if !this.closed.get() => lua.push_integer(-1),
            2 => {
                lua.push_table(0, 0);
                for place in 1..=this.queue.count() {
                    lua.push_bool(true);
                    lua.raw_set_index(-2, i64::from(place));
                }
            }
            _ => {}
        }
        Ok(Returns(1))
    }
}

impl Owner for Condition {
    fn poll(&self, waiter: &Waiter, lua: Lua, cause: Cause) -> Step {
        if self.closed.get() {
            return waiter.fail(lua, "closed");
        }
        if !waiter.is_chosen() {
            return waiter.give_up(lua, cause);
        }
        if !waiter.push_value(lua) {
            lua.push_bool(true);
        }
        waiter.finish()
    }

    fn pass_on(&self, waiter: &Waiter) {
        if let Some(next) = self.queue.choose() {
            waiter.hand_value_to(next);
        }
    }
}

impl UserData for Condition {
    const NAME: &'static CStr = c"eco.cond";
    const METHODS: Functions = functions! {
        wait: method(Condition::wait),
        signal: method(Condition::signal),
        broadcast: method(Condition::broadcast),
        close: method(Condition::close),
        __index: method(Condition::index),
        __tostring: method(Condition::told),
        __newindex: function(set_own),
        __close: method(Condition::close),
    };

    fn finalise(&self, lua: Lua) {
        self.closed.set(true);
        self.queue.clear(lua);
    }
}
