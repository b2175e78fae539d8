//! The loop: resuming coroutines and polling what they wait for.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::AsRawFd;
use std::ptr;

use nix::errno::Errno;

use super::failure::write_error;
use super::{Entry, Runtime, ALARM, BUDGET, GROUP, INTERRUPT, NOTIFIED, WALL, WATCH};
use crate::abi::{monotonic, poll_header, Cause, Step, NO_TASK};
use crate::core::clock::monotonic_coarse;
use crate::core::notifier::Notifier;
use crate::core::reactor::{Event, Events};
use crate::core::signals::LoopSignals;
use crate::core::tasks::{Task, EXPLICIT, NO_TIMER, OWNED, QUEUED};
use crate::lua::{ffi, Lua, Outcome, Returns, State};

impl Runtime {
    // A yield leaves C frames by `longjmp`, after which the processor predicts
    // every return up to the loop wrongly. So from `turns` down to `lua_resume`
    // all is inlined and the unusual is called; this is worth a third.

    /// Resumes a task with the `arguments` values on top of its stack.
    #[inline(always)]
    pub(super) fn resume(&self, lua: Lua, task: &Task, arguments: c_int) {
        let thread = task.thread.get();
        self.current.set(task);
        self.running.set(thread);
        self.budget.set(BUDGET);
        if self.since.get() == 0 {
            self.since.set(monotonic_coarse());
        }
        let mut results = 0;
        // SAFETY: the thread is suspended or fresh and kept alive by the table
        // of threads; errors in it come back as a status.
        let status = unsafe { ffi::lua_resume(thread, lua.state(), arguments, &mut results) };
        let group = self.unmeasured.get();
        self.group[group % GROUP].set(task);
        if group < GROUP - 1 && !self.ready.is_empty() {
            self.unmeasured.set(group + 1);
        } else {
            self.measure(lua, group + 1);
        }
        if status != ffi::LUA_YIELD {
            self.finish(lua, task.index, status);
        } else if results > 0 {
            // SAFETY: drops what a bare `coroutine.yield(...)` passed.
            unsafe { ffi::lua_settop(thread, -results - 1) };
        }
    }

    /// `resume` for callers off the hot path, who share one copy of its code.
    #[inline(never)]
    pub(super) fn resume_apart(&self, lua: Lua, task: &Task, arguments: c_int) {
        self.resume(lua, task, arguments);
    }

    /// Reads the clock for the watchdog. Coroutines that run one after the
    /// other are measured in groups, since a reading costs as much as a
    /// tenth of the switch: all members of a slow group are reported.
    #[inline(never)]
    pub(super) fn measure(&self, lua: Lua, members: usize) {
        self.unmeasured.set(0);
        let limit = self.watchdog.get();
        if limit == 0 {
            self.since.set(0);
            return;
        }
        let now = monotonic_coarse();
        let since = self.since.replace(now);
        if now - since <= limit || since == 0 {
            return;
        }
        for member in &self.group[..members] {
            if let Some(task) = self.tasks.at(member.get()) {
                if !task.thread.get().is_null() {
                    self.report_slow(lua, task.thread.get(), now - since, limit);
                }
            }
        }
    }

    /// A task returned or failed.
    #[inline(never)]
    pub(super) fn finish(&self, lua: Lua, index: u32, status: c_int) {
        let thread = self.tasks.get(index).thread.get();
        if status != ffi::LUA_OK {
            self.panic(lua, thread);
        }
        // SAFETY: drops the results, so that a kept thread keeps nothing.
        unsafe { ffi::lua_settop(thread, 0) };
        self.remove(lua, index);
    }

    /// Runs a queue entry.
    #[inline(always)]
    pub(super) fn run(&self, lua: Lua, entry: Entry) {
        let Some(task) = self.tasks.at(entry.task) else {
            return self.run_alarm(lua, entry);
        };
        if task.generation.get() != entry.generation {
            return;
        }
        let index = task.index;
        let flags = task.flags.get();
        task.flags.set(flags & !(QUEUED | EXPLICIT));
        let mut results = 0;
        if task.mark.get() != 0 && Runtime::still_parked(task) {
            if !task.operation.get().is_null() {
                match self.poll(lua, index) {
                    Some(count) => results = count,
                    None => return,
                }
            } else if task.timer.get() == NO_TIMER {
                task.mark.set(0);
                if task.kept.get() != 0 {
                    results = Runtime::take_kept(task);
                }
            } else {
                self.detach(index);
            }
        } else if !Runtime::waits_bare(task, flags)
            && !self.is_due(lua, index, flags & EXPLICIT != 0)
        {
            return;
        }
        task.cause.set(0);
        if flags & OWNED != 0 {
            self.resume(lua, task, results);
        } else {
            self.resume_foreign(lua, index, results);
        }
    }

    /// Uncovers the results that a settled call left under its mark.
    #[inline(never)]
    fn take_kept(task: &Task) -> c_int {
        // SAFETY: the thread is suspended where `settle` parked it, with the
        // mark on top.
        unsafe { ffi::lua_settop(task.thread.get(), -2) };
        c_int::from(task.kept.replace(0))
    }

    #[inline(never)]
    pub(super) fn run_alarm(&self, lua: Lua, entry: Entry) {
        let index = entry.alarm;
        let due = {
            let slot = &self.alarms.borrow()[index as usize];
            slot.generation == entry.generation && !slot.place.is_null()
        };
        if due {
            let callback = self.free_alarm(index);
            // SAFETY: cleared callbacks have another generation, so this one is
            // live; its owner keeps itself reachable while it is set.
            unsafe { (callback.function)(callback.owner, lua.state()) };
        }
    }

    /// Polls a task's operation; when it is done, the results are on the task's
    /// stack and their number is returned.
    #[inline(never)]
    pub(super) fn poll(&self, lua: Lua, index: u32) -> Option<c_int> {
        let task = self.tasks.get(index);
        let cause = u32::from(task.cause.replace(0));
        // What is ready wins over a timeout or cancellation of the same turn.
        let ready = cause & !(Cause::TIMEOUT.0 | Cause::CANCEL.0);
        self.polling.set(index);
        let mut step = Step::Pending;
        for cause in [ready, cause & !ready] {
            if cause != 0 && step == Step::Pending {
                // SAFETY: the frame that parked is intact (the caller checked),
                // and it keeps the operation alive.
                step = unsafe { poll_header(task.operation.get(), lua.state(), Cause(cause)) };
            }
        }
        self.polling.set(NO_TASK);
        match step {
            Step::Pending => None,
            Step::Done(count) => {
                self.detach(index);
                Some(hand_over(lua, task.thread.get(), count))
            }
        }
    }

    /// True after a bare `coroutine.yield()` that `eco._resume` is to end.
    #[inline(always)]
    pub(super) fn waits_bare(task: &Task, flags: u8) -> bool {
        task.mark.get() == 0 && flags & EXPLICIT != 0 && has_yielded(task.thread.get())
    }

    /// Whether to resume a queued task that does not wait where the scheduler
    /// parked it: yes after a bare yield, if somebody asked for it.
    #[inline(never)]
    pub(super) fn is_due(&self, lua: Lua, index: u32, explicit: bool) -> bool {
        let task = self.tasks.get(index);
        if task.mark.get() != 0 {
            self.abandon(index);
        }
        match condition(task.thread.get()) {
            Condition::Dead => self.remove(lua, index),
            Condition::Suspended if explicit => return true,
            // It runs already, or waits for something else by now.
            _ => self.drop_foreign(lua, index),
        }
        false
    }

    /// Resumes a coroutine that `eco.run` did not start. It leaves our records
    /// first: it may never come back to us.
    #[inline(never)]
    pub(super) fn resume_foreign(&self, lua: Lua, index: u32, results: c_int) {
        let thread = self.tasks.get(index).thread.get();
        push_thread_of(lua, thread);
        self.remove(lua, index);
        self.budget.set(BUDGET);
        self.running.set(thread);
        let mut count = 0;
        // SAFETY: suspended, and kept alive by our own stack.
        let status = unsafe { ffi::lua_resume(thread, lua.state(), results, &mut count) };
        match status {
            // SAFETY: drops what was yielded or returned to nobody.
            ffi::LUA_OK | ffi::LUA_YIELD => unsafe { ffi::lua_settop(thread, -count - 1) },
            _ => self.panic(lua, thread),
        }
        lua.pop(1);
    }

    /// A wake-up came too late: a coroutine that is not ours is forgotten.
    pub(super) fn drop_foreign(&self, lua: Lua, index: u32) {
        let task = self.tasks.get(index);
        if !task.has(OWNED) && condition(task.thread.get()) != Condition::Active {
            self.remove(lua, index);
        }
    }

    /// `eco.loop()`. Ends with true, or `nil, message`.
    pub fn run_loop(&self, lua: Lua) -> Outcome {
        self.stop.set(false);
        self.quit.set(false);
        let outcome = self.enter(lua);
        if self.stop.get() && lua.is_yieldable() {
            self.quit.set(true);
        }
        match outcome {
            Ok(()) => {
                lua.push_bool(true);
                Ok(Returns(1))
            }
            Err(errno) => lua.fail_errno(errno),
        }
    }

    /// The interpreter's own loop, with SIGINT noticed from the start: first
    /// starts a coroutine of the function below `arguments` values, unless that
    /// is negative. Not entered when an explicit loop was stopped.
    pub fn run_main_loop(&self, lua: Lua, arguments: c_int) -> Result<(), Errno> {
        self.stop.set(false);
        if arguments >= 0 {
            self.listen()?;
            self.depth.set(self.depth.get() + 1);
            self.spawn(lua, arguments);
            lua.pop(1);
            self.depth.set(self.depth.get() - 1);
            self.stop.set(false);
        }
        if self.quit.get() {
            return Ok(());
        }
        self.enter(lua)
    }

    pub(super) fn enter(&self, lua: Lua) -> Result<(), Errno> {
        lua.ensure(20);
        if self.signals.borrow().is_none() {
            self.listen()?;
        }
        self.depth.set(self.depth.get() + 1);
        let outer = (self.current.replace(ptr::null()), self.budget.get());
        let shrunk = self.shrunk.get();
        self.since.set(0);
        let top = lua.top();
        let mut failure = Ok(());
        loop {
            // An error value of the turns before lies on top of the stack.
            let failed = lua.top() - top;
            // SAFETY: light values only; the call is protected, so errors of
            // polls and alarms come back as a status.
            let status = unsafe {
                ffi::lua_pushcfunction(lua.state(), turns);
                ffi::lua_pushlightuserdata(lua.state(), ptr::from_ref(self).cast_mut().cast());
                ffi::lua_pushlightuserdata(lua.state(), ptr::from_mut(&mut failure).cast());
                ffi::lua_rotate(lua.state(), top + 1, 3);
                ffi::lua_pcall(lua.state(), 2 + failed, 0, 0)
            };
            if status == ffi::LUA_OK {
                break;
            }
            if self.failing.get() {
                // Not even the report of an error fits into memory.
                write_error(lua.to_bytes(-1));
                self.exit(lua);
            }
        }
        let current = if shrunk == self.shrunk.get() {
            outer.0
        } else {
            ptr::null()
        };
        self.current.set(current);
        self.budget.set(outer.1);
        self.depth.set(self.depth.get() - 1);
        if self.depth.get() == 0 {
            if let Some(signals) = self.signals.take() {
                let event = signals.event().as_raw_fd();
                self.reactor.borrow_mut().remove_internal(event);
            }
        } else if self.stop.get() {
            self.quit.set(true);
        }
        failure
    }

    /// Has SIGINT noticed, until the outermost loop ends.
    pub(super) fn listen(&self) -> Result<(), Errno> {
        self.interrupted.set(0);
        let signals = LoopSignals::install(Runtime::interrupt, ptr::from_ref(self).cast())?;
        let event = signals.event().as_raw_fd();
        self.reactor.borrow_mut().add_internal(event, INTERRUPT)?;
        *self.signals.borrow_mut() = Some(signals);
        Ok(())
    }

    /// An error left the loop's turns. One from a poll (out of memory) fails
    /// that operation; any other is nobody's to catch.
    pub(super) fn recover(&self, lua: Lua) {
        let index = self.polling.replace(NO_TASK);
        if index == NO_TASK {
            self.panic_with_top(lua);
            return;
        }
        let thread = self.tasks.get(index).thread.get();
        self.abandon(index);
        lua.push_nil();
        lua.insert(-2);
        let results = hand_over(lua, thread, 2);
        let task = self.tasks.get(index);
        if task.has(OWNED) {
            self.resume_apart(lua, task, results);
        } else {
            self.resume_foreign(lua, index, results);
        }
    }

    /// One turn after the other until there is nothing left to do.
    pub(super) fn turns(&self, lua: Lua) -> Result<(), Errno> {
        let mut events = Events::new();
        let mut turn = 0_u32;
        loop {
            turn = turn.wrapping_add(1);
            self.expire();
            if self.late.get() {
                self.queue_late();
            }
            loop {
                self.pass(lua);
                // Nothing to wait for, so nothing to look at between the passes.
                if turn.is_multiple_of(256) || !self.only_ready() {
                    break;
                }
                turn += 1;
            }
            if self.stop.get() {
                return Ok(());
            }
            self.wake_deferred();
            if self.ready.is_empty() {
                self.tidy(lua);
            }
            let waiting = self.reactor.borrow().waiting > 0
                || self.holds.get() > 0
                || !self.wall_timers.borrow().is_empty();
            let ready = !self.ready.is_empty() || self.late.get();
            let next = self.timers.borrow().next_deadline();
            if !waiting && !ready && self.timers.borrow().len() <= self.idle_timers.get() {
                return Ok(());
            }
            let timeout = match next {
                _ if ready => {
                    // Nothing to poll for but SIGINT, now and then.
                    if !waiting && !turn.is_multiple_of(256) {
                        continue;
                    }
                    Some(0)
                }
                Some(deadline) => Some((deadline - monotonic()).max(0)),
                None => None,
            };
            if self.unmeasured.get() > 0 {
                self.measure(lua, self.unmeasured.get());
            }
            self.reactor.borrow_mut().wait(timeout, &mut events)?;
            self.since.set(0);
            if self.dispatch(&events) {
                self.stop.set(true);
                return Ok(());
            }
        }
    }

    /// True when the ready queue is all there is.
    #[inline(always)]
    fn only_ready(&self) -> bool {
        !self.ready.is_empty()
            && !self.late.get()
            && !self.stop.get()
            && self.reactor.borrow().waiting == 0
            && self.timers.borrow().is_empty()
            && self.holds.get() == 0
            && self.wall_timers.borrow().is_empty()
            && self.deferred.borrow().is_empty()
    }

    /// Queues tasks and alarms whose time has come.
    pub(super) fn expire(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = monotonic();
        loop {
            let owner = self.timers.borrow_mut().take_expired(now, self);
            match owner {
                Some(owner) if owner & ALARM != 0 => self.enqueue_alarm(owner & !ALARM),
                Some(owner) => self.wake_task(owner, Cause::TIMEOUT),
                None => break,
            }
        }
    }

    /// Runs what is queued now; what is queued meanwhile waits for the next pass.
    #[inline(always)]
    pub(super) fn pass(&self, lua: Lua) {
        let mut left = self.ready.len();
        while left > 0 && !self.stop.get() {
            let Some(entry) = self.ready.pop() else {
                break;
            };
            self.run(lua, entry);
            left -= 1;
        }
    }

    /// Queues the waiters of a batch of events; true when SIGINT came. A reader
    /// runs before the writer of the same fd is woken, so that it can cancel it.
    pub(super) fn dispatch(&self, events: &Events) -> bool {
        let mut interrupted = false;
        for index in 0..events.len() {
            let event = self.reactor.borrow_mut().event(events, index);
            match event {
                Event::Ready { reader, writer } => {
                    self.wake_task(reader, Cause::READY);
                    if reader == NO_TASK || writer == NO_TASK {
                        self.wake_task(writer, Cause::READY);
                    } else if reader != writer {
                        let wait = self.tasks.get(writer).mark.get();
                        let mut deferred = self.deferred.borrow_mut();
                        if deferred.try_reserve(1).is_ok() {
                            deferred.push((writer, wait));
                        } else {
                            self.wake_task(writer, Cause::READY);
                        }
                    }
                }
                Event::Internal(INTERRUPT) => {
                    interrupted = true;
                    if let Some(signals) = &*self.signals.borrow() {
                        signals.clear();
                    }
                    self.interrupted.set(0);
                }
                Event::Internal(WALL) => self.expire_wall(),
                Event::Internal(NOTIFIED) => self.collect_notified(),
                Event::Internal(number) => self.enqueue_alarm(number - WATCH),
            }
        }
        interrupted
    }

    /// Wakes the deferred writers that still wait.
    pub(super) fn wake_deferred(&self) {
        for (writer, wait) in self.deferred.borrow_mut().drain(..) {
            if self.tasks.get(writer).mark.get() == wait {
                self.wake_task(writer, Cause::READY);
            }
        }
    }

    /// Wakes the operations whose waits other threads have ended.
    pub(super) fn collect_notified(&self) {
        loop {
            let ended = self.notifier.borrow().as_ref().and_then(Notifier::take);
            let Some((index, mark)) = ended else { break };
            if self
                .tasks
                .find(index)
                .is_some_and(|task| task.mark.get() == mark)
            {
                self.wake_task(index, Cause::WAKE);
            }
        }
    }
}

/// Pushes a thread of the same state.
pub(super) fn push_thread_of(lua: Lua, thread: State) {
    // SAFETY: the thread is live (callers hold it anchored); one slot is moved.
    unsafe {
        ffi::lua_checkstack(thread, 1);
        ffi::lua_pushthread(thread);
        ffi::lua_xmove(thread, lua.state(), 1);
    }
}

/// Moves `count` results to a suspended thread; drops them when it has no room.
pub(super) fn hand_over(lua: Lua, thread: State, count: c_int) -> c_int {
    if count == 0 {
        return 0;
    }
    // SAFETY: the thread is live; `lua_checkstack` reports failure, no raise.
    unsafe {
        if ffi::lua_checkstack(thread, count) == 0 {
            lua.pop(count);
            return 0;
        }
        ffi::lua_xmove(lua.state(), thread, count);
    }
    count
}

/// Whether a thread was never resumed and has nothing but its function.
#[cfg(feature = "time")]
pub(crate) fn is_new(thread: State) -> bool {
    // SAFETY: callers hold the thread anchored; only its state is read.
    condition(thread) == Condition::Suspended
        && unsafe { ffi::lua_status(thread) == ffi::LUA_OK && ffi::lua_gettop(thread) == 1 }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    /// Yielded, or not started yet.
    Suspended,
    /// Running, or waiting for a coroutine it resumed.
    Active,
    Dead,
}

/// True after a yield.
#[inline(always)]
pub(super) fn has_yielded(thread: State) -> bool {
    // SAFETY: callers hold the thread anchored; only its state is read.
    unsafe { ffi::lua_status(thread) == ffi::LUA_YIELD }
}

#[inline(never)]
pub(super) fn condition(thread: State) -> Condition {
    // SAFETY: callers hold the thread anchored; only its state is read.
    unsafe {
        let mut frame = std::mem::zeroed();
        match ffi::lua_status(thread) {
            ffi::LUA_YIELD => Condition::Suspended,
            ffi::LUA_OK if ffi::lua_getstack(thread, 0, &mut frame) != 0 => Condition::Active,
            ffi::LUA_OK if ffi::lua_gettop(thread) > 0 => Condition::Suspended,
            _ => Condition::Dead,
        }
    }
}

/// Body of the loop's protected call.
unsafe extern "C-unwind" fn turns(state: State) -> c_int {
    // SAFETY: `enter` passes a live runtime and the place for its result.
    unsafe {
        let runtime = &*ffi::lua_touserdata(state, 1).cast::<Runtime>();
        let failure = ffi::lua_touserdata(state, 2).cast::<Result<(), Errno>>();
        let lua = Lua::new(state);
        if lua.top() > 2 {
            runtime.recover(lua);
        }
        *failure = runtime.turns(lua);
    }
    0
}
