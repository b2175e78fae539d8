//! Parking coroutines, ending their waits, waking them.
#![allow(unsafe_code)]

use std::cell::{Ref, RefMut};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr;

use nix::errno::Errno;

use super::running::push_thread_of;
use super::{Entry, Runtime, NOTIFIED};
use crate::abi::attempt::Host;
use crate::abi::{
    monotonic, Cause, Core, Interest, Nanoseconds, Parked, Token, WorkFunction, CLOSING, NO_TASK,
    OBJECT_BUSY, OUTSIDE_COROUTINE, RAISED, READ_BUSY, WRITE_BUSY,
};
use crate::core::clock::monotonic_coarse;
use crate::core::notifier::Notifier;
use crate::core::pool::Work;
use crate::core::tasks::{Task, EXPECTED, EXPLICIT, LATE, NO_TIMER, OWNED, PARKED, QUEUED};
use crate::lua::{ffi, Lua, Returns, State};

/// How long a coroutine may go on calling what returns at once.
const SLICE: Nanoseconds = 5_000_000;

impl Runtime {
    /// The task of the running coroutine; a coroutine that `eco.run` did not
    /// start gets a record now. May raise.
    pub(super) fn running_task(&self, lua: Lua) -> u32 {
        if let Some(task) = self.tasks.at(self.current.get()) {
            if task.thread.get() == lua.state() {
                return task.index;
            }
        }
        lua.push_thread();
        let index = self.task_of_top(lua);
        lua.pop(1);
        index
    }

    /// The task of the thread on top of the stack, made when there is none.
    /// May raise, before anything has changed.
    pub(super) fn task_of_top(&self, lua: Lua) -> u32 {
        self.refuse_when_closed(lua);
        lua.ensure(4);
        lua.push_reference(self.threads);
        lua.push_value(-2);
        if lua.raw_get(-2) == ffi::LUA_TNUMBER {
            let index = lua.to_integer(-1).unwrap_or(0) as u32;
            lua.pop(2);
            return index;
        }
        lua.pop(1);
        let thread = lua.to_thread(-2);
        let index = self.add(lua, thread, 0);
        lua.pop(1);
        index
    }

    /// Raises an error once the state has begun to close.
    pub(super) fn refuse_when_closed(&self, lua: Lua) {
        if self.is_closed() {
            lua.raise(CLOSING.into());
        }
    }

    /// Adds a record for the thread below the table of threads on top.
    pub(super) fn add(&self, lua: Lua, thread: State, flags: u32) -> u32 {
        if self.tasks.is_full() {
            self.sweep_if_worthwhile(lua);
        }
        if self.peak.get() < self.tasks.used() {
            self.peak.set(self.tasks.used());
        }
        let Some(index) = self.tasks.next_free() else {
            lua.raise(lua.out_of_memory());
        };
        lua.push_value(-2);
        lua.push_integer(i64::from(index));
        lua.raw_set(-3);
        self.tasks.claim(index, thread, flags);
        index
    }

    /// Drops a record; the thread may be collected from now on.
    pub(super) fn remove(&self, lua: Lua, index: u32) {
        let task = self.tasks.get(index);
        if task.has(OWNED) {
            self.count.set(self.count.get() - 1);
        }
        lua.push_reference(self.threads);
        push_thread_of(lua, task.thread.get());
        lua.push_nil();
        lua.raw_set(-3);
        lua.pop(1);
        self.tasks.release(index);
    }

    /// Ends a task's wait: nothing will poll its operation any more.
    pub(super) fn detach(&self, index: u32) {
        let task = self.tasks.get(index);
        let operation = task.operation.get();
        if !operation.is_null() {
            // SAFETY: an operation withdraws itself before its memory goes, so
            // one that a task still names is live.
            unsafe { (*operation).task.set(NO_TASK) };
        }
        task.operation.set(ptr::null());
        task.wait.set(0);
        task.unpark();
        if task.has(EXPECTED) {
            task.clear(EXPECTED);
            self.hold(-1);
        }
        if task.timer.get() != NO_TIMER {
            self.timers.borrow_mut().remove(task.timer.get(), self);
        }
        self.leave_fd(index);
    }

    /// Ends a wait that nobody will see the result of. A queue entry for it is
    /// void from now on.
    #[inline(never)]
    pub(super) fn abandon(&self, index: u32) {
        let task = self.tasks.get(index);
        let operation = task.operation.get();
        self.detach(index);
        if task.has(QUEUED) {
            task.clear(QUEUED | EXPLICIT | LATE);
            task.generation.set(task.generation.get().wrapping_add(1));
        }
        if !operation.is_null() {
            // SAFETY: an operation withdraws itself before its memory goes, so
            // one that a task still names is live.
            unsafe { ((*operation).table.abandon)(operation) };
        }
    }

    /// True when the thread still waits where `park` left it.
    #[inline(always)]
    pub(super) fn still_parked(task: &Task) -> bool {
        let thread = task.thread.get();
        // SAFETY: the table of threads keeps the thread alive while the task
        // exists. Reading its top slot changes nothing; in an empty frame that
        // is the function's own slot. Marks never leave the frames that park,
        // so one on top means that it waits there.
        unsafe {
            // The checks of debug builds do not allow to look at that slot.
            (!cfg!(debug_assertions) || ffi::lua_gettop(thread) > 0)
                && ffi::lua_touserdata(thread, -1).cast_const() == ptr::from_ref(task).cast()
        }
    }

    /// Marks the running coroutine as parked: by pushing the address of its
    /// record, which no other thread is given.
    #[inline(always)]
    pub(super) fn leave_mark(&self, lua: Lua, task: &Task) {
        Runtime::push_mark(lua, task);
        task.set(PARKED);
    }

    #[inline(always)]
    pub(super) fn push_mark(lua: Lua, task: &Task) {
        lua.push_pointer(ptr::from_ref(task).cast());
    }

    pub(super) fn enqueue(&self, index: u32) {
        self.enqueue_task(self.tasks.get(index));
    }

    #[inline(always)]
    pub(super) fn enqueue_task(&self, task: &Task) {
        if !task.has(QUEUED) {
            task.set(QUEUED);
            if !self.ready.push(Entry::of_task(task)) {
                self.push_later(task);
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn push_later(&self, task: &Task) {
        if !self.push_to_full(Entry::of_task(task)) {
            // There is no memory for its place in the queue.
            task.set(LATE);
            self.late.set(true);
        }
    }

    /// Adds to a queue that is full; false when there is no memory for it.
    pub(super) fn push_to_full(&self, entry: Entry) -> bool {
        self.ready.make_room(&|entry| entry.is_meant()) && self.ready.push(entry)
    }

    /// Queues what found no place, in no order: the queue has been emptied.
    #[cold]
    #[inline(never)]
    pub(super) fn queue_late(&self) {
        self.late.set(false);
        for (_, task) in self.tasks.iter() {
            if task.has(LATE) {
                task.clear(LATE | QUEUED);
                self.enqueue_task(task);
            }
        }
        let slots = self.alarms.borrow().len();
        for index in 0..slots {
            let late = std::mem::take(&mut self.alarms.borrow_mut()[index].late);
            if late {
                self.enqueue_alarm(index as u32);
            }
        }
    }

    /// Queues a task for a poll; causes that come before it add up.
    pub(super) fn wake_task(&self, index: u32, cause: Cause) {
        if index != NO_TASK {
            let task = self.tasks.get(index);
            task.add_cause(cause);
            self.enqueue(index);
        }
    }

    /// A task whose wait turned out to be over without us: `run` finds out
    /// whether it still lives.
    pub(super) fn release_waiter(&self, index: u32) {
        self.abandon(index);
        self.enqueue(index);
    }

    /// Parks the running coroutine: 0, a code, or a negative error number.
    ///
    /// # Safety
    ///
    /// `operation` points to a whole live operation, which the frame of the
    /// call keeps, or which is forgotten before it goes.
    pub unsafe fn park(
        &self,
        lua: Lua,
        operation: *const Parked,
        fd: c_int,
        interest: Interest,
        timeout: Nanoseconds,
    ) -> c_int {
        if !lua.is_yieldable() {
            return OUTSIDE_COROUTINE;
        }
        let index = self.running_task(lua);
        let task = self.tasks.get(index);
        if task.has(PARKED) {
            self.abandon(index);
        }
        if fd >= 0 {
            let code = self.wait_fd(index, fd, interest);
            if code != 0 {
                self.drop_foreign(lua, index);
                return code;
            }
        }
        task.operation.set(operation);
        // SAFETY: by the caller's promise.
        unsafe { (*operation).task.set(index) };
        // Without a timeout the clock is not read for this.
        let now = if timeout > 0 {
            monotonic()
        } else {
            self.since.get()
        };
        self.tasks.begin_wait(index, now);
        if timeout > 0 && !self.set_timer(index, now, timeout) {
            self.detach(index);
            self.drop_foreign(lua, index);
            return -libc::ENOMEM;
        }
        // Odd, so never 0.
        self.wait.set(self.wait.get().wrapping_add(2));
        task.wait.set(self.wait.get());
        self.leave_mark(lua, task);
        0
    }

    /// False when there is no memory for it.
    #[must_use]
    pub(super) fn set_timer(&self, index: u32, now: Nanoseconds, delay: Nanoseconds) -> bool {
        let deadline = now.saturating_add(delay);
        self.timers.borrow_mut().insert(index, deadline, self)
    }

    pub fn restart_timeout(&self, operation: &Parked, timeout: Nanoseconds) {
        let index = operation.task.get();
        if index == NO_TASK {
            return;
        }
        let task = self.tasks.get(index);
        if task.timer.get() != NO_TIMER {
            self.timers.borrow_mut().remove(task.timer.get(), self);
        }
        if timeout > 0 && !self.set_timer(index, monotonic(), timeout) {
            // Better too early than never.
            self.wake_task(index, Cause::TIMEOUT);
        }
    }

    pub fn change_interest(&self, operation: &Parked, fd: c_int, interest: Interest) -> c_int {
        let index = operation.task.get();
        if index == NO_TASK {
            return 0;
        }
        self.leave_fd(index);
        if fd < 0 {
            return 0;
        }
        self.wait_fd(index, fd, interest)
    }

    /// Makes a task wait for an fd; 0, a busy code or a negative error number.
    pub(super) fn wait_fd(&self, index: u32, fd: c_int, interest: Interest) -> c_int {
        if let Err(errno) = self.reactor.borrow_mut().register(fd) {
            return -(errno as c_int);
        }
        if interest.wants(Interest::READ) && self.is_busy(fd, Interest::READ) {
            return READ_BUSY;
        }
        if interest.wants(Interest::WRITE) && self.is_busy(fd, Interest::WRITE) {
            return WRITE_BUSY;
        }
        let mut reactor = self.reactor.borrow_mut();
        reactor.set_waiter(fd, interest, index);
        self.hold(1);
        self.tasks.get(index).fd.set(fd);
        0
    }

    pub(super) fn leave_fd(&self, index: u32) {
        let fd = self.tasks.get(index).fd.replace(-1);
        if fd >= 0 {
            self.reactor.borrow_mut().clear_waiter(fd, index);
            self.hold(-1);
        }
    }

    pub fn wake(&self, operation: &Parked, cause: Cause) {
        let index = operation.task.get();
        if index != NO_TASK && cause.has(Cause::CANCEL) {
            // The fd is free for others at once: it may be about to be closed.
            self.leave_fd(index);
        }
        self.wake_task(index, cause);
    }

    /// Ends whatever wait there is for `direction` of an fd about to be closed,
    /// so that nobody is left waiting on a number that may be reused.
    pub fn cancel_waiter(&self, fd: c_int, interest: Interest) {
        for direction in [Interest::READ, Interest::WRITE] {
            let waiter = self.reactor.borrow_mut().waiter(fd, direction);
            if interest.wants(direction) && waiter != NO_TASK {
                self.leave_fd(waiter);
                self.wake_task(waiter, Cause::CANCEL);
            }
        }
    }

    pub fn forget(&self, operation: &Parked) {
        let index = operation.task.get();
        if index != NO_TASK {
            self.detach(index);
            self.enqueue(index);
        }
    }

    pub fn is_parked(&self, operation: &Parked) -> bool {
        let index = operation.task.get();
        if index == NO_TASK {
            return false;
        }
        let parked = Runtime::still_parked(self.tasks.get(index));
        if !parked {
            self.release_waiter(index);
        }
        parked
    }

    pub fn is_busy(&self, fd: c_int, direction: Interest) -> bool {
        let waiter = self.reactor.borrow_mut().waiter(fd, direction);
        if waiter == NO_TASK {
            return false;
        }
        let parked = Runtime::still_parked(self.tasks.get(waiter));
        if !parked {
            self.release_waiter(waiter);
        }
        parked
    }

    /// A buffer that readers hand on: who waits holds none, and who reads next
    /// need not ask for memory.
    pub fn spare(&self) -> RefMut<'_, Vec<u8>> {
        self.spare.borrow_mut()
    }

    pub fn may_be_ready(&self, fd: c_int, interest: Interest) -> bool {
        self.reactor.borrow().may_be_ready(fd, interest)
    }

    /// Takes an fd for not ready until something happens on it.
    #[cfg(feature = "file")]
    pub fn expect(&self, fd: c_int) {
        // One that cannot be waited for is always ready.
        let _ = self.reactor.borrow_mut().register(fd);
    }

    pub fn can_wait(&self, fd: c_int) -> bool {
        self.reactor.borrow_mut().register(fd).is_ok()
    }

    pub fn drained(&self, fd: c_int, interest: Interest) {
        self.reactor.borrow_mut().drained(fd, interest);
    }

    pub fn fd_reset(&self, fd: c_int) {
        self.reactor.borrow_mut().reset(fd);
    }

    /// Ends a call that has pushed `count` results. When the running coroutine
    /// has had its share, it yields with them and gets them after the others
    /// have run. A call that never waits does so (`waits` is false) only in a
    /// coroutine that the loop itself resumes: others do not expect it. May
    /// raise for want of memory.
    pub fn settle(&self, lua: Lua, count: c_int, waits: bool) -> Returns {
        let left = self.budget.get();
        if left > 0 {
            // A clock reading for every few: some calls take long.
            let since = self.since.get();
            let late = left.is_multiple_of(8) && since != 0 && monotonic_coarse() - since > SLICE;
            self.budget.set(if late { 0 } else { left - 1 });
            return Returns(count);
        }
        if !(waits || self.has_resumed(lua.state())) || !lua.is_yieldable() {
            return Returns(count);
        }
        lua.ensure(2);
        let index = self.running_task(lua);
        let task = self.tasks.get(index);
        if task.has(PARKED) {
            self.abandon(index);
        }
        task.keep(count);
        self.leave_mark(lua, task);
        self.enqueue_task(task);
        Returns::YIELD
    }

    /// Whether the loop itself has resumed the coroutine that runs.
    fn has_resumed(&self, thread: State) -> bool {
        let current = self.tasks.at(self.current.get());
        current.is_some_and(|task| task.thread.get() == thread) || self.foreign.get() == thread
    }

    /// Who waits already: a busy code, or 0.
    pub fn busy(&self, operation: &Parked, fd: c_int, interest: Interest) -> c_int {
        if self.is_parked(operation) {
            OBJECT_BUSY
        } else if interest.wants(Interest::READ) && self.is_busy(fd, Interest::READ) {
            READ_BUSY
        } else if interest.wants(Interest::WRITE) && self.is_busy(fd, Interest::WRITE) {
            WRITE_BUSY
        } else {
            0
        }
    }

    pub fn hold(&self, change: c_int) {
        self.holds.set(self.holds.get() + change);
    }

    /// Runs work on the pool, then polls `operation`. The work is taken in any
    /// case, so this does not raise: an error is left on the stack.
    ///
    /// # Safety
    ///
    /// As for [`Runtime::park`]; both functions may be called on another thread.
    pub unsafe fn offload(
        &self,
        lua: Lua,
        operation: *const Parked,
        run: WorkFunction,
        release: WorkFunction,
        context: *mut c_void,
    ) -> c_int {
        let work = Work {
            run,
            release,
            context,
        };
        if !lua.is_yieldable() {
            return OUTSIDE_COROUTINE;
        }
        // Parking finds the record that this makes, and does not raise.
        let known = lua.protect(0, &(self, lua), |_, (this, lua)| {
            this.running_task(*lua);
        });
        if known.is_err() {
            return RAISED;
        }
        // SAFETY: by the caller's promise.
        let parked = unsafe { self.park(lua, operation, -1, Interest::NONE, 0) };
        if parked != 0 {
            return parked;
        }
        // SAFETY: as above.
        let index = unsafe { (*operation).task.get() };
        let submitted = self.make_token(index).and_then(|token| {
            let mut pool = self.pool.borrow_mut();
            pool.get_or_insert_default().submit(work, token)
        });
        if let Err(errno) = submitted {
            self.detach(index);
            return -(errno as c_int);
        }
        0
    }

    /// A token for the wait of a parked operation: 0, or a negative error number.
    pub fn token(&self, operation: &Parked, token: &mut MaybeUninit<Token>) -> c_int {
        hand_out(self.make_token(operation.task.get()), token)
    }

    /// Where tokens report, made at first use.
    pub(super) fn open_notifier(&self) -> Result<Ref<'_, Notifier>, Errno> {
        if self.notifier.borrow().is_none() {
            let made = Notifier::new()?;
            let event = made.event();
            self.reactor.borrow_mut().add_internal(event, NOTIFIED)?;
            *self.notifier.borrow_mut() = Some(made);
        }
        Ref::filter_map(self.notifier.borrow(), Option::as_ref).map_err(|_| Errno::ENOMEM)
    }

    fn make_token(&self, index: u32) -> Result<Token, Errno> {
        if index == NO_TASK {
            return Err(Errno::EINVAL);
        }
        let task = self.tasks.get(index);
        let token = self.open_notifier()?.token(index, task.wait.get())?;
        if !task.has(EXPECTED) {
            task.set(EXPECTED);
            self.hold(1);
        }
        Ok(token)
    }
}

/// Writes a token to its place: 0, or a negative error number.
pub(super) fn hand_out(made: Result<Token, Errno>, token: &mut MaybeUninit<Token>) -> c_int {
    match made {
        Ok(made) => {
            token.write(made);
            0
        }
        Err(errno) => -(errno as c_int),
    }
}

/// The runtime of the state that an object of `eco.so` lives in.
#[derive(Clone, Copy)]
pub struct Home(*const Runtime);

impl Home {
    pub fn of(core: Core) -> Home {
        Home(core.pointer().cast())
    }
}

impl Deref for Home {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        // SAFETY: a core points to the table that starts a runtime, whose memory
        // stays until the state that the object lives in is gone.
        unsafe { &*self.0 }
    }
}

impl Host for Home {
    unsafe fn park_raw(
        self,
        lua: Lua,
        operation: *const Parked,
        fd: c_int,
        interest: Interest,
        timeout: Nanoseconds,
    ) -> c_int {
        // SAFETY: by the caller's promise.
        unsafe { (*self.0).park(lua, operation, fd, interest, timeout) }
    }

    fn can_wait(self, fd: c_int) -> bool {
        Runtime::can_wait(&self, fd)
    }

    fn change_interest(self, operation: &Parked, fd: c_int, interest: Interest) -> c_int {
        Runtime::change_interest(&self, operation, fd, interest)
    }

    fn restart_timeout(self, operation: &Parked, timeout: Nanoseconds) {
        Runtime::restart_timeout(&self, operation, timeout);
    }

    fn wake(self, operation: &Parked, cause: Cause) {
        Runtime::wake(&self, operation, cause);
    }

    fn settle(self, lua: Lua, count: c_int) -> Returns {
        Runtime::settle(&self, lua, count, true)
    }
}
