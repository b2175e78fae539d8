//! What the scheduler knows of each coroutine, for `eco.tasks`. Nothing is noted for it but when a wait began.
#![allow(unsafe_code)]

use super::running::push_thread_of;
use super::{Occasion, Runtime};
use crate::abi::{monotonic, wall_clock, Clock, Interest, Nanoseconds};
use crate::core::tasks::{Task, EXPECTED, NO_TIMER, PARKED, QUEUED};
use crate::lua::Lua;

impl Runtime {
    /// Pushes an array with a table for each coroutine and returns its length. Times
    /// are in nanoseconds. May raise.
    pub fn push_tasks(&self, lua: Lua) -> i64 {
        let count = self.count(lua);
        lua.push_table(count as i32, 0);
        let now = monotonic();
        let mut length = 0;
        for (_, task) in self.tasks.iter() {
            lua.push_table(0, 10);
            push_thread_of(lua, task.thread.get());
            lua.set_field(-2, c"thread");
            self.describe(lua, task, now);
            length += 1;
            lua.raw_set_index(-2, length);
        }
        length
    }

    /// Sets fields of the table on top.
    fn describe(&self, lua: Lua, task: &Task, now: Nanoseconds) {
        let is_parked = task.has(PARKED) && Runtime::still_parked(task);
        let sleeps = task.timer.get() != NO_TIMER;
        let state: &[u8] = if !is_parked && !task.has(QUEUED) {
            b"suspended"
        } else if task.has(QUEUED) || task.operation.get().is_null() && !sleeps {
            b"ready"
        } else {
            b"waiting"
        };
        lua.set_bytes(-1, c"state", state);
        if state != b"waiting" {
            return;
        }
        lua.set_integer(-1, c"waited", self.tasks.waited(task.index, now));
        if sleeps {
            let deadline = self.timers.borrow().deadline(task.timer.get());
            lua.set_integer(-1, c"timeout", (deadline.unwrap_or(now) - now).max(0));
        }
        let fd = task.fd.get();
        if fd >= 0 {
            lua.set_integer(-1, c"fd", i64::from(fd));
            let waits = |direction| self.reactor.borrow_mut().waiter(fd, direction) == task.index;
            let events: &[u8] = match (waits(Interest::READ), waits(Interest::WRITE)) {
                (true, true) => b"rw",
                (false, _) => b"w",
                _ => b"r",
            };
            lua.set_bytes(-1, c"events", events);
            lua.set_bytes(-1, c"waits", b"fd");
        } else if task.operation.get().is_null() {
            lua.set_bytes(-1, c"waits", b"timer");
        } else if task.has(EXPECTED) {
            lua.set_bytes(-1, c"waits", b"pool");
        }
    }

    /// How long until the alarm in a slot that [`Runtime::next_armed`] found goes off.
    pub fn until_armed(&self, slot: usize) -> Nanoseconds {
        let slot = &self.alarms.borrow()[slot];
        let (deadline, now) = match slot.occasion {
            Occasion::Time(Clock::Wall) => (
                self.wall_timers.borrow().deadline(slot.position),
                wall_clock(),
            ),
            _ => (self.timers.borrow().deadline(slot.position), monotonic()),
        };
        (deadline.unwrap_or(now) - now).max(0)
    }
}
