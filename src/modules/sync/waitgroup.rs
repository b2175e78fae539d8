//! `sync.waitgroup()`: waits until a counter has been brought down to zero.

use std::cell::Cell;
use std::ffi::CStr;

use crate::abi::{Cause, Core, Step};
use crate::core::{Owner, Queue, Waiter};
use crate::functions;
use crate::lua::{function, method, Functions, Lua, Outcome, Returns, UserData, Word};
use crate::lua::{push_method, set_own};

pub struct WaitGroup {
    queue: Queue,
    counter: Cell<i64>,
}

impl WaitGroup {
    /// `waitgroup()` -> waitgroup.
    pub fn create(lua: Lua) -> Outcome {
        let core = Core::of(lua);
        lua.reserve::<WaitGroup>(0, core.pointer()).fill(WaitGroup {
            queue: Queue::new(core),
            counter: Cell::new(0),
        });
        Ok(Returns(1))
    }

    /// `wg:add(delta)`. As in the original, a negative delta that reaches zero
    /// wakes nobody; `done` does.
    fn add(lua: Lua, this: &WaitGroup) -> Outcome {
        let counter = this.counter.get().saturating_add(lua.integer(2)?);
        if counter < 0 {
            return Err("negative waitgroup counter".into());
        }
        this.counter.set(counter);
        Ok(Returns(0))
    }

    /// `wg:done()`.
    fn done(_: Lua, this: &WaitGroup) -> Outcome {
        let counter = this.counter.get() - 1;
        if counter < 0 {
            return Err("negative wait group counter".into());
        }
        this.counter.set(counter);
        if counter == 0 {
            this.queue.release_all();
        }
        Ok(Returns(0))
    }

    /// `wg:wait([timeout])` -> true, or nil and a message.
    fn wait(lua: Lua, this: &WaitGroup) -> Outcome {
        if this.counter.get() == 0 {
            lua.push_bool(true);
            return this.queue.settle(lua, 1);
        }
        lua.set_top(2);
        this.queue.wait(lua, this, 2)
    }

    fn told(lua: Lua, this: &WaitGroup) -> Outcome {
        lua.told(&[
            Word::Text(b"eco.waitgroup ("),
            Word::Number(this.counter.get()),
            Word::Text(b" to be done, "),
            Word::Number(i64::from(this.queue.count())),
            Word::Text(b" waiting)"),
        ])
    }

    /// Methods and fields.
    fn index(lua: Lua, this: &WaitGroup) -> Outcome {
        if push_method(lua, &["counter"]) == 0 {
            lua.push_integer(this.counter.get());
        }
        Ok(Returns(1))
    }
}

impl Owner for WaitGroup {
    fn poll(&self, waiter: &Waiter, lua: Lua, cause: Cause) -> Step {
        if !waiter.is_chosen() {
            return waiter.give_up(lua, cause);
        }
        lua.push_bool(true);
        waiter.finish()
    }

    /// Everybody is let go at once: there is nothing to pass on.
    fn pass_on(&self, _: &Waiter) {}
}

impl UserData for WaitGroup {
    const NAME: &'static CStr = c"eco.waitgroup";
    const METHODS: Functions = functions! {
        add: method(WaitGroup::add),
        done: method(WaitGroup::done),
        wait: method(WaitGroup::wait),
        __index: method(WaitGroup::index),
        __tostring: method(WaitGroup::told),
        __newindex: function(set_own),
    };

    fn finalise(&self, lua: Lua) {
        self.queue.clear(lua);
    }
}
