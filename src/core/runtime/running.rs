//! The loop: resuming coroutines and polling what they wait for.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::Ordering;

use nix::errno::Errno;

use super::failure::write_error;
use super::{Entry, Runtime, ALARM, BUDGET, GROUP, INTERRUPT, NOTIFIED, WALL, WATCH};
use crate::abi::{monotonic, poll_header, Cause, Nanoseconds, Step, NO_TASK};
use crate::core::clock::monotonic_coarse;
use crate::core::reactor::{Event, Events};
use crate::core::signals::{LoopSignals, Notice};
use crate::core::tasks::{Task, EXPLICIT, NO_TIMER, OWNED, PARKED, QUEUED};
use crate::lua::{ffi, Lua, Outcome, State};

impl Runtime {
    // A yield leaves C frames by `longjmp`, after which the processor predicts
    // every return up to the loop wrongly. So from `turns` down to `lua_resume`
    // all is inlined and the unusual is called; this is worth a third.

    /// Resumes a task with the `arguments` values on top of its stack.
    #[inline(always)]
    pub(super) fn resume(&self, lua: Lua, task: &Task, arguments: c_int) {
        let thread = task.thread.get();
        self.current.set(task);
        self.budget.set(BUDGET);
        let mut results = MaybeUninit::<c_int>::uninit();
        // SAFETY: the thread is suspended or fresh and kept alive by the table
        // of threads; errors in it come back as a status.
        let status =
            unsafe { ffi::lua_resume(thread, lua.state(), arguments, results.as_mut_ptr()) };
        if status != ffi::LUA_YIELD {
            return self.finish(lua, task.index, status);
        }
        // SAFETY: it is set when a thread has yielded.
        let results = unsafe { results.assume_init() };
        if results > 0 {
            // SAFETY: drops what a bare `coroutine.yield(...)` passed.
            unsafe { ffi::lua_settop(thread, -results - 1) };
        }
    }

    /// `resume` for callers off the hot path, who share one copy of its code.
    /// What runs in the middle of another coroutine is measured as a part of that,
    /// unless nothing else is ready.
    #[inline(never)]
    pub(super) fn resume_apart(&self, lua: Lua, task: &Task, arguments: c_int) {
        self.begin_measuring();
        let entry = Entry::of_task(task);
        self.resume(lua, task, arguments);
        if self.ready.is_empty() {
            if let Some(spent) = self.measure() {
                self.report_member(lua, entry, spent);
            }
        }
    }

    /// Reads the clock for the watchdog, if that has not been done.
    #[inline(always)]
    fn begin_measuring(&self) {
        if self.since.get() == 0 {
            self.since.set(monotonic_coarse());
        }
    }

    /// Coroutines that run one after the other are measured in groups, since a
    /// reading of the clock costs as much as a tenth of the switch: all members of
    /// a slow group are reported.
    #[inline(never)]
    fn measure_taken(&self, lua: Lua) {
        if let Some(spent) = self.measure() {
            self.report_taken(lua, spent);
        }
        self.ready.forget();
    }

    #[cold]
    #[inline(never)]
    fn report_taken(&self, lua: Lua, spent: Nanoseconds) {
        let mut members = [Entry::NONE; GROUP as usize];
        let count = self.ready.known(&mut members);
        for member in &members[..count] {
            self.report_member(lua, *member, spent);
        }
    }

    /// Reads the clock; more than the limit since it was read before, if it is.
    fn measure(&self) -> Option<Nanoseconds> {
        let now = monotonic_coarse();
        let since = self.since.replace(now);
        let limit = self.watchdog.get();
        (now - since > limit && since != 0 && limit != 0).then(|| now - since)
    }

    #[cold]
    fn report_member(&self, lua: Lua, member: Entry, spent: Nanoseconds) {
        if let Some(task) = member.meant() {
            self.report_slow(lua, task.thread.get(), spent, self.watchdog.get());
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
        let task = match entry.task() {
            Ok(task) => task,
            Err(alarm) => return self.run_alarm(lua, alarm, entry.generation),
        };
        if task.generation.get() != entry.generation {
            return;
        }
        let state = task.state.get();
        let mut results = 0;
        if state == Task::ITS_TURN && Runtime::still_parked(task)
            || state == Task::RESUMED && has_yielded(task.thread.get())
        {
            task.state.set(OWNED);
        } else {
            match self.finish_wait(lua, task) {
                Some(count) => results = count,
                None => return,
            }
        }
        self.resume(lua, task, results);
    }

    /// Ends the wait of a task whose turn it is, if it ends; then the results that
    /// lie on its stack. None as well when it is not for us to resume.
    #[inline(never)]
    fn finish_wait(&self, lua: Lua, task: &Task) -> Option<c_int> {
        let index = task.index;
        let state = task.state.get();
        task.clear(QUEUED | EXPLICIT);
        let mut results = 0;
        if state & PARKED != 0 && Runtime::still_parked(task) {
            if !task.operation.get().is_null() {
                let Some(count) = self.poll(lua, index) else {
                    // It did not run.
                    self.ready.forget_last();
                    return None;
                };
                results = count;
            } else if task.timer.get() == NO_TIMER {
                results = task.kept();
                task.unpark();
                if results > 0 {
                    // SAFETY: the thread is suspended where `settle` parked it, with
                    // the mark on top and the results below.
                    unsafe { ffi::lua_settop(task.thread.get(), -2) };
                }
            } else {
                self.detach(index);
            }
        } else if !self.is_due(lua, index, state & EXPLICIT != 0) {
            return None;
        }
        task.take_causes();
        if state & OWNED == 0 {
            self.resume_foreign(lua, index, results);
            return None;
        }
        Some(results)
    }

    #[inline(never)]
    pub(super) fn run_alarm(&self, lua: Lua, index: u32, generation: u32) {
        let due = {
            let slot = &self.alarms.borrow()[index as usize];
            slot.generation == generation && !slot.place.is_null()
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
        let cause = task.take_causes();
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

    /// Whether to resume a queued task that does not wait where the scheduler
    /// parked it: yes after a bare yield, if somebody asked for it.
    #[inline(never)]
    pub(super) fn is_due(&self, lua: Lua, index: u32, explicit: bool) -> bool {
        let task = self.tasks.get(index);
        if task.has(PARKED) {
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
        let outer = self.foreign.replace(thread);
        let mut count = 0;
        // SAFETY: suspended, and kept alive by our own stack.
        let status = unsafe { ffi::lua_resume(thread, lua.state(), results, &mut count) };
        self.foreign.set(outer);
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
        if self.inner.replace(false) {
            self.stop.set(false);
        }
        lua.done(outcome)
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
            let waits = has_yielded(lua.to_thread(-1));
            lua.pop(1);
            self.depth.set(self.depth.get() - 1);
            if !self.stop.replace(false) && waits {
                // The loop that it stopped was to end alone.
                self.quit.set(false);
            }
        }
        if self.quit.get() {
            return Ok(());
        }
        let outcome = self.enter(lua);
        if self.contained.get() {
            self.close_all(lua);
        }
        outcome
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
        self.ready.forget();
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
                failure = Err(Errno::ENOMEM);
                break;
            }
        }
        let current = if shrunk == self.shrunk.get() {
            outer.0
        } else {
            ptr::null()
        };
        self.current.set(current);
        if self.is_canceled() {
            // The signal may have come when this one was not the current.
            self.interrupt_canceled();
        }
        self.ready.shift();
        self.budget.set(outer.1);
        self.depth.set(self.depth.get() - 1);
        if self.depth.get() == 0 {
            self.ticker.take();
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
        let notice = Notice {
            interrupt: Runtime::interrupt,
            attend: Runtime::attend,
        };
        let signals = LoopSignals::install(notice, ptr::from_ref(self).cast())?;
        let event = signals.event().as_raw_fd();
        self.reactor.borrow_mut().add_internal(event, INTERRUPT)?;
        *self.signals.borrow_mut() = Some(signals);
        self.start_ticking();
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
        if self.is_canceled() {
            return Ok(());
        }
        loop {
            turn = turn.wrapping_add(1);
            self.expire();
            self.collect_notified();
            if self.late.get() {
                self.queue_late();
                self.dump_if_asked(lua);
            }
            while !self.stop.get() {
                self.pass(lua);
                // Nothing to wait for, so nothing to look at between the passes.
                if turn.is_multiple_of(256) || !self.only_ready() {
                    break;
                }
                turn += 1;
            }
            if self.stop.get() || self.is_canceled() {
                return Ok(());
            }
            self.wake_deferred();
            if self.ready.is_empty() {
                self.tidy(lua);
            }
            let waiting = self.holds.get() > 0 || !self.wall_timers.borrow().is_empty();
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
            if self.ready.taken() > 0 {
                self.measure_taken(lua);
            }
            self.sleep_until(timeout, &mut events)?;
            self.since.set(0);
            if self.dispatch(&events) {
                self.stop.set(true);
                self.inner.set(false);
                return Ok(());
            }
        }
    }

    /// Waits for events; while that takes time, other threads wake it.
    #[inline(never)]
    fn sleep_until(&self, timeout: Option<Nanoseconds>, events: &mut Events) -> Result<(), Errno> {
        let notifier = self.notifier.borrow();
        let dozes = match &*notifier {
            Some(notifier) if timeout != Some(0) => notifier.doze(),
            notifier => notifier.is_none(),
        };
        let timeout = if dozes { timeout } else { Some(0) };
        let waited = self.reactor.borrow_mut().wait(timeout, events);
        if let Some(notifier) = notifier.as_ref().filter(|_| dozes) {
            notifier.rouse();
        }
        waited
    }

    /// True when the ready queue is all there is. Writers that were deferred do
    /// not count: they wait no more, or for an fd.
    #[inline(always)]
    fn only_ready(&self) -> bool {
        // SAFETY: nobody borrows the timers while the loop looks at them.
        unsafe {
            !self.ready.is_empty()
                && self.holds.get() == 0
                && !self.late.get()
                && (*self.timers.as_ptr()).is_empty()
                && (*self.wall_timers.as_ptr()).is_empty()
        }
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
        self.begin_measuring();
        for _ in 0..self.ready.begin() {
            // SAFETY: there are as many, until that is shifted.
            let entry = unsafe { self.ready.take() };
            self.run(lua, entry);
            if self.ready.shifted() {
                // It was full, we are to stop, or a loop inside has run.
                return;
            }
            if self.ready.is_at(GROUP) {
                self.measure_taken(lua);
            }
        }
        if self.ready.is_empty() {
            self.measure_taken(lua);
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
                        let wait = self.tasks.get(writer).wait.get();
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
                // What was ended is collected at the beginning of the turn.
                Event::Internal(NOTIFIED) => {
                    if let Some(notifier) = &*self.notifier.borrow() {
                        notifier.clear();
                    }
                    if self.dump.asked.load(Ordering::Relaxed) {
                        self.late.set(true);
                    }
                }
                Event::Internal(number) => self.enqueue_alarm(number - WATCH),
            }
        }
        interrupted
    }

    /// Wakes the deferred writers that still wait.
    pub(super) fn wake_deferred(&self) {
        for (writer, wait) in self.deferred.borrow_mut().drain(..) {
            if self.tasks.get(writer).wait.get() == wait {
                self.wake_task(writer, Cause::READY);
            }
        }
    }

    /// Wakes the operations whose waits other threads have ended.
    pub(super) fn collect_notified(&self) {
        loop {
            let ended = match &*self.notifier.borrow() {
                Some(notifier) if notifier.has_some() => notifier.take(),
                _ => None,
            };
            let Some((index, wait)) = ended else { break };
            if index == NO_TASK {
                self.stop.set(true);
            } else if self
                .tasks
                .find(index)
                .is_some_and(|task| task.wait.get() == wait)
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
