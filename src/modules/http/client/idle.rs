//! When connections that nobody uses have had their time: an alarm that calls a
//! function, and keeps no loop going.

use std::cell::Cell;
use std::ffi::{c_int, CStr};

use crate::abi::{monotonic, Alarm, Clock, Core, Nanoseconds};
use crate::functions;
use crate::lua::{method, Functions, Lua, Outcome, Returns, UserData};

pub struct Idle {
    alarm: Alarm,
    core: Core,
    /// Registry anchor of the function.
    function: c_int,
    /// What the alarm is set for.
    at: Cell<Nanoseconds>,
}

crate::alarm!(Idle);

/// `idle(function)`: it runs in a coroutine of its own.
pub fn new(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    lua.set_top(1);
    let function = lua.reference();
    lua.reserve::<Idle>(0, core.pointer()).fill(Idle {
        alarm: Alarm::new(),
        core,
        function,
        at: Cell::new(0),
    });
    Ok(Returns(1))
}

impl Idle {
    /// `within(seconds)`: the function runs then, or before.
    fn within(lua: Lua, this: &Idle) -> Outcome {
        let at = monotonic().saturating_add(this.core.timeout(lua, 2));
        if !this.alarm.0.is_set() || at < this.at.get() {
            this.at.set(at);
            // Without memory for it they are looked at when they are used.
            let _ = this.core.set_alarm(this, Clock::Idle, at);
        }
        Ok(Returns(0))
    }

    /// `clear()`: there is nothing to look at.
    fn clear(_: Lua, this: &Idle) -> Outcome {
        this.core.clear_alarm(&this.alarm);
        Ok(Returns(0))
    }

    fn fire(&self, lua: Lua) {
        lua.push_reference(self.function);
        self.core.spawn(lua, 0);
        lua.pop(1);
    }
}

impl UserData for Idle {
    const NAME: &'static CStr = c"struct http_idle *";
    const METHODS: Functions = functions! {
        within: method(Idle::within),
        clear: method(Idle::clear),
    };

    fn finalise(&self, _: Lua) {
        self.core.clear_alarm(&self.alarm);
    }
}
