//! The scheduler of one Lua state: it resumes coroutines, and nobody else does.
//!
//! Invariants:
//!
//! - A coroutine is resumed once per wait. The mark that `park` leaves on its
//!   stack tells whether it still is where it parked; a wait that somebody
//!   else ended (`coroutine.resume`, `coroutine.close`) is dropped silently.
//! - Waking only queues. Coroutines run from the loop, or inside `eco.run`.
//! - No `RefCell` is borrowed across a Lua call that may raise.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::{c_int, c_void, CStr};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use nix::errno::Errno;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::abi::{self, Abi, Alarm, Core, WorkFunction};
use super::clock::{monotonic, monotonic_coarse, wall_clock};
use super::operation::{poll_header, Cause, Interest, Parked, Step, NO_TASK};
use super::reactor::{Event, Events, Reactor};
use super::signals::LoopSignals;
use super::tasks::{Found, Task, Tasks, EXPLICIT, NO_TIMER, OWNED, QUEUED};
use super::timers::{Positions, Timers};
use super::{Clock, Nanoseconds};
use crate::core::pool::Pool;
use crate::lua::{ffi, Error, Lua, Outcome, Returns, State, UserData};

/// Non-blocking operations a coroutine may do in one go (`Core::spend`).
const BUDGET: u32 = 64;
/// Coroutines measured by one reading of the clock, at most.
const GROUP: usize = 8;
/// Watchdog limit until a script sets another.
const WATCHDOG: Nanoseconds = 5_000_000_000;
/// Marks an alarm in a queue entry or a timer's owner.
const ALARM: u32 = 1 << 31;
/// Numbers of the scheduler's own fds in the reactor.
const INTERRUPT: u32 = 0;
const WALL: u32 = 1;
const POOL: u32 = 2;
/// The alarm in slot `n` watches the fd added with number `WATCH + n`.
const WATCH: u32 = 16;

/// A queued task, or an alarm by its index, and the generation that was meant.
#[derive(Clone, Copy)]
struct Entry {
    /// Null for an alarm. Records never move, so this needs no look-up.
    task: *const Task,
    generation: u32,
    alarm: u32,
}

struct AlarmSlot {
    /// Null in a free slot.
    alarm: *const Alarm,
    generation: u32,
    /// Place in the heap; next free slot in a free one.
    position: u32,
    clock: Clock,
    /// The fd it watches, -1 when it is a timer.
    fd: c_int,
    /// Does not keep the loop going.
    idle: bool,
}

/// The scheduler.
#[repr(C)]
pub struct Runtime {
    abi: Abi,
    tasks: Tasks,
    ready: RefCell<VecDeque<Entry>>,
    timers: RefCell<Timers>,
    wall_timers: RefCell<Timers>,
    wall_fd: RefCell<Option<TimerFd>>,
    alarms: RefCell<Vec<AlarmSlot>>,
    free_alarm: Cell<u32>,
    /// Timers that do not keep the loop going.
    idle_timers: Cell<usize>,
    /// Writers to wake once the readers of the same fds have run: task and
    /// mark of the wait that was meant.
    deferred: RefCell<Vec<(u32, u32)>>,
    reactor: RefCell<Reactor>,
    pool: RefCell<Option<Pool>>,
    /// The task being resumed, null outside.
    current: Cell<*const Task>,
    /// Operations the current task may still do before it lets others run.
    budget: Cell<u32>,
    found: RefCell<Found>,
    /// An error nobody caught is being reported.
    failing: Cell<bool>,
    /// Blocking turns since the last sweep.
    swept: Cell<u32>,
    /// The last mark given out.
    mark: Cell<u32>,
    /// The task whose operation is being polled.
    polling: Cell<u32>,
    /// Coroutines started by `eco.run` and not finished.
    count: Cell<u32>,
    /// Reasons to stay in the loop besides waiting tasks and timers.
    holds: Cell<c_int>,
    /// `eco.unloop()` was called.
    stop: Cell<bool>,
    /// An explicit loop was stopped: the interpreter's own does not start.
    quit: Cell<bool>,
    depth: Cell<u32>,
    watchdog: Cell<Nanoseconds>,
    /// When a coroutine last gave control back, or the loop woke up: what the
    /// next one is measured from.
    since: Cell<Nanoseconds>,
    /// Tasks that ran since that reading.
    group: [Cell<*const Task>; GROUP],
    unmeasured: Cell<usize>,
    /// Registry anchor of the table from threads to task indexes.
    threads: c_int,
    panic_hook: Cell<c_int>,
    pub child_hook: Cell<c_int>,
    /// The process that owns the reactor: a forked child starts anew.
    pub process: Cell<u32>,
}

impl UserData for Runtime {
    const NAME: &'static CStr = c"struct eco_runtime *";
    const METHODS: crate::lua::Functions = &[];
}

impl Positions for Runtime {
    fn moved(&self, owner: u32, position: u32) {
        if owner & ALARM == 0 {
            self.tasks.get(owner).timer.set(position);
        } else {
            self.alarms.borrow_mut()[(owner & !ALARM) as usize].position = position;
        }
    }
}

impl Runtime {
    /// The runtime behind a core: same state, same `eco.so`.
    pub fn of<'a>(core: Core) -> &'a Runtime {
        // SAFETY: inside eco.so every core points to the table that starts a
        // Runtime, which the registry keeps until the state closes.
        unsafe { &*core.pointer().cast::<Runtime>() }
    }

    /// The state's core, made at first use. May raise.
    pub fn open(lua: Lua) -> Result<Core, Error> {
        lua.get_field(ffi::LUA_REGISTRYINDEX, abi::REGISTRY_KEY);
        let existing = lua.to_userdata(-1).cast::<Abi>();
        lua.pop(1);
        if !existing.is_null() {
            // SAFETY: the field holds a core, which starts with its version.
            return if unsafe { (*existing).version } == abi::VERSION {
                // SAFETY: as above.
                Ok(unsafe { Core::from_table(existing) })
            } else {
                Err("two different versions of eco are loaded".into())
            };
        }
        lua.push_table(0, 0);
        let threads = lua.reference();
        let slot = lua.reserve::<Runtime>(0, ptr::null());
        let runtime = slot.fill(Runtime {
            abi: crate::core::table::TABLE,
            tasks: Tasks::new(),
            ready: RefCell::default(),
            timers: RefCell::default(),
            wall_timers: RefCell::default(),
            wall_fd: RefCell::new(None),
            alarms: RefCell::default(),
            free_alarm: Cell::new(NO_TIMER),
            idle_timers: Cell::new(0),
            deferred: RefCell::default(),
            reactor: RefCell::default(),
            pool: RefCell::new(None),
            current: Cell::new(ptr::null()),
            budget: Cell::new(BUDGET),
            found: RefCell::default(),
            failing: Cell::new(false),
            swept: Cell::new(0),
            mark: Cell::new(0),
            polling: Cell::new(NO_TASK),
            count: Cell::new(0),
            holds: Cell::new(0),
            stop: Cell::new(false),
            quit: Cell::new(false),
            depth: Cell::new(0),
            watchdog: Cell::new(WATCHDOG),
            since: Cell::new(0),
            group: [const { Cell::new(ptr::null()) }; GROUP],
            unmeasured: Cell::new(0),
            threads,
            panic_hook: Cell::new(ffi::LUA_NOREF),
            child_hook: Cell::new(ffi::LUA_NOREF),
            process: Cell::new(std::process::id()),
        });
        lua.set_field(ffi::LUA_REGISTRYINDEX, abi::REGISTRY_KEY);
        // SAFETY: the runtime starts with its table.
        Ok(unsafe { Core::from_table(&runtime.abi) })
    }

    // ---- tasks -------------------------------------------------------------

    /// The task of the running coroutine; a coroutine that `eco.run` did not
    /// start gets a record now. May raise.
    fn running_task(&self, lua: Lua) -> u32 {
        if let Some(task) = task_at(self.current.get()) {
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
    fn task_of_top(&self, lua: Lua) -> u32 {
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

    /// Adds a record for the thread below the table of threads on top.
    fn add(&self, lua: Lua, thread: State, flags: u8) -> u32 {
        lua.push_value(-2);
        lua.push_integer(i64::from(self.tasks.next_free()));
        lua.raw_set(-3);
        self.tasks.claim(thread, flags)
    }

    /// Drops a record; the thread may be collected from now on.
    fn remove(&self, lua: Lua, index: u32) {
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
    fn detach(&self, index: u32) {
        let task = self.tasks.get(index);
        if let Some(operation) = operation_at(task.operation.get()) {
            operation.task.set(NO_TASK);
        }
        task.operation.set(ptr::null());
        task.mark.set(0);
        task.cause.set(0);
        if task.timer.get() != NO_TIMER {
            self.timers.borrow_mut().remove(task.timer.get(), self);
        }
        self.leave_fd(index);
    }

    /// Ends a wait that nobody will see the result of. A queue entry for it is
    /// void from now on.
    #[inline(never)]
    fn abandon(&self, index: u32) {
        let task = self.tasks.get(index);
        let operation = task.operation.get();
        self.detach(index);
        if task.has(QUEUED) {
            task.clear(QUEUED | EXPLICIT);
            task.generation.set(task.generation.get().wrapping_add(1));
        }
        if !operation.is_null() {
            // SAFETY: an operation withdraws itself before its memory goes, so
            // one that a task still names is live.
            unsafe { ((*operation).table.abandon)(operation) };
        }
    }

    /// True when the thread still waits where `park` left it.
    fn still_parked(task: &Task) -> bool {
        let thread = task.thread.get();
        // SAFETY: the table of threads keeps the thread alive while the task
        // exists. Reading its top slot changes nothing; in an empty frame that
        // is the function's own slot. Marks never leave the frames that park,
        // so one on top means that it waits there.
        unsafe {
            // The checks of debug builds do not allow to look at that slot.
            (!cfg!(debug_assertions) || ffi::lua_gettop(thread) > 0)
                && ffi::lua_touserdata(thread, -1) as usize == task.mark.get() as usize
        }
    }

    /// Marks the running coroutine as parked by pushing the mark.
    fn leave_mark(&self, lua: Lua, task: &Task) {
        let mark = match self.mark.get().wrapping_add(1) {
            0 => 1,
            mark => mark,
        };
        self.mark.set(mark);
        task.mark.set(mark);
        lua.push_pointer(ptr::without_provenance(mark as usize));
    }

    fn enqueue(&self, index: u32) {
        let task = self.tasks.get(index);
        if !task.has(QUEUED) {
            task.set(QUEUED);
            self.ready.borrow_mut().push_back(Entry {
                task,
                generation: task.generation.get(),
                alarm: 0,
            });
        }
    }

    /// Queues a task for a poll; causes that come before it add up.
    fn wake_task(&self, index: u32, cause: Cause) {
        if index != NO_TASK {
            let task = self.tasks.get(index);
            task.cause.set(task.cause.get() | cause.0 as u8);
            self.enqueue(index);
        }
    }

    /// A task whose wait turned out to be over without us: `run` finds out
    /// whether it still lives.
    fn release_waiter(&self, index: u32) {
        self.abandon(index);
        self.enqueue(index);
    }

    // ---- what functions of the table do --------------------------------------

    pub fn park(
        &self,
        lua: Lua,
        operation: &Parked,
        fd: c_int,
        interest: Interest,
        timeout: Nanoseconds,
    ) -> c_int {
        if !lua.is_yieldable() {
            return abi::PARK_OUTSIDE_COROUTINE;
        }
        let index = self.running_task(lua);
        let task = self.tasks.get(index);
        if task.mark.get() != 0 {
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
        operation.task.set(index);
        if timeout > 0 {
            self.set_timer(index, timeout);
        }
        self.leave_mark(lua, task);
        0
    }

    fn set_timer(&self, index: u32, delay: Nanoseconds) {
        let deadline = monotonic().saturating_add(delay);
        self.timers.borrow_mut().insert(index, deadline, self);
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
        if timeout > 0 {
            self.set_timer(index, timeout);
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
    fn wait_fd(&self, index: u32, fd: c_int, interest: Interest) -> c_int {
        if let Err(errno) = self.reactor.borrow_mut().register(fd) {
            return -(errno as c_int);
        }
        if interest.wants(Interest::READ) && self.is_busy(fd, Interest::READ) {
            return abi::PARK_READ_BUSY;
        }
        if interest.wants(Interest::WRITE) && self.is_busy(fd, Interest::WRITE) {
            return abi::PARK_WRITE_BUSY;
        }
        let mut reactor = self.reactor.borrow_mut();
        reactor.set_waiter(fd, interest, index);
        reactor.waiting += 1;
        self.tasks.get(index).fd.set(fd);
        0
    }

    fn leave_fd(&self, index: u32) {
        let fd = self.tasks.get(index).fd.replace(-1);
        if fd >= 0 {
            let mut reactor = self.reactor.borrow_mut();
            reactor.clear_waiter(fd, index);
            reactor.waiting -= 1;
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
    pub fn cancel_waiter(&self, fd: c_int, direction: Interest) {
        let waiter = self.reactor.borrow_mut().waiter(fd, direction);
        if waiter != NO_TASK {
            self.leave_fd(waiter);
            self.wake_task(waiter, Cause::CANCEL);
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

    pub fn may_be_ready(&self, fd: c_int, interest: Interest) -> bool {
        self.reactor.borrow().may_be_ready(fd, interest)
    }

    pub fn drained(&self, fd: c_int, interest: Interest) {
        self.reactor.borrow_mut().drained(fd, interest);
    }

    pub fn fd_reset(&self, fd: c_int) {
        self.reactor.borrow_mut().reset(fd);
    }

    pub fn spend(&self, lua: Lua) -> bool {
        let left = self.budget.get();
        if left > 0 {
            self.budget.set(left - 1);
            return false;
        }
        lua.is_yieldable()
    }

    pub fn hold(&self, change: c_int) {
        self.holds.set(self.holds.get() + change);
    }

    /// Runs `work(context)` on the pool, then polls `operation`.
    pub fn offload(&self, lua: Lua, operation: &Parked, work: WorkFunction, context: *mut c_void) -> c_int {
        if !lua.is_yieldable() {
            return abi::PARK_OUTSIDE_COROUTINE;
        }
        if self.pool.borrow().is_none() {
            let pool = match Pool::new() {
                Ok(pool) => pool,
                Err(errno) => return -(errno as c_int),
            };
            if let Err(errno) = self.reactor.borrow_mut().add_internal(pool.event(), POOL) {
                return -(errno as c_int);
            }
            *self.pool.borrow_mut() = Some(pool);
        }
        let parked = self.park(lua, operation, -1, Interest::NONE, 0);
        if parked != 0 {
            return parked;
        }
        let index = operation.task.get();
        let generation = self.tasks.get(index).mark.get();
        let submitted = match &*self.pool.borrow() {
            Some(pool) => pool.submit(work, context, index, generation),
            None => Err(Errno::ENOMEM),
        };
        match submitted {
            Ok(()) => {
                self.hold(1);
                0
            }
            Err(errno) => {
                self.detach(index);
                -(errno as c_int)
            }
        }
    }

    // ---- alarms ----------------------------------------------------------------

    pub fn set_alarm(&self, alarm: &Alarm, clock: Clock, at: Nanoseconds) -> c_int {
        self.clear_alarm(alarm);
        if clock == Clock::Wall {
            if let Err(errno) = self.open_wall_fd() {
                return -(errno as c_int);
            }
        }
        let index = self.claim_alarm(alarm, clock, -1, false);
        if clock == Clock::Monotonic {
            self.timers.borrow_mut().insert(index | ALARM, at, self);
        } else {
            self.wall_timers.borrow_mut().insert(index | ALARM, at, self);
            self.arm_wall_fd();
        }
        0
    }

    /// Sets an alarm on the monotonic clock that does not keep the loop going.
    pub fn set_idle_alarm(&self, alarm: &Alarm, at: Nanoseconds) {
        self.clear_alarm(alarm);
        let index = self.claim_alarm(alarm, Clock::Monotonic, -1, true);
        self.idle_timers.set(self.idle_timers.get() + 1);
        self.timers.borrow_mut().insert(index | ALARM, at, self);
    }

    /// Makes an alarm go off once, when `fd` is readable; until then it does
    /// not keep the loop going. Cleared before the fd is closed.
    pub fn watch(&self, alarm: &Alarm, fd: c_int) -> Result<(), Errno> {
        self.clear_alarm(alarm);
        let index = self.claim_alarm(alarm, Clock::Monotonic, fd, false);
        let added = self.reactor.borrow_mut().add_internal(fd, WATCH + index);
        if added.is_err() {
            self.free_alarm(index);
        }
        added
    }

    fn claim_alarm(&self, alarm: &Alarm, clock: Clock, fd: c_int, idle: bool) -> u32 {
        let mut alarms = self.alarms.borrow_mut();
        let mut index = self.free_alarm.get();
        if index == NO_TIMER {
            index = alarms.len() as u32;
            alarms.push(AlarmSlot {
                alarm,
                generation: 0,
                position: NO_TIMER,
                clock,
                fd,
                idle,
            });
        } else {
            let slot = &mut alarms[index as usize];
            self.free_alarm.set(slot.position);
            *slot = AlarmSlot {
                alarm,
                generation: slot.generation,
                position: NO_TIMER,
                clock,
                fd,
                idle,
            };
        }
        alarm.slot.set(index);
        index
    }

    pub fn clear_alarm(&self, alarm: &Alarm) {
        if alarm.is_set() {
            let index = alarm.slot.get();
            let (position, clock) = {
                let slot = &self.alarms.borrow()[index as usize];
                (slot.position, slot.clock)
            };
            if position != NO_TIMER {
                let timers = match clock {
                    Clock::Monotonic => &self.timers,
                    Clock::Wall => &self.wall_timers,
                };
                timers.borrow_mut().remove(position, self);
            }
            self.free_alarm(index);
        }
    }

    /// Gives an alarm's slot back; queued entries for it are void from now on.
    fn free_alarm(&self, index: u32) -> *const Alarm {
        let mut alarms = self.alarms.borrow_mut();
        let slot = &mut alarms[index as usize];
        let alarm = slot.alarm;
        // A forked child that has not started anew shares its parent's reactor.
        if slot.fd >= 0 && self.process.get() == std::process::id() {
            self.reactor.borrow_mut().remove_internal(slot.fd);
        }
        if slot.idle {
            self.idle_timers.set(self.idle_timers.get() - 1);
        }
        slot.alarm = ptr::null();
        slot.generation = slot.generation.wrapping_add(1);
        slot.position = self.free_alarm.replace(index);
        // SAFETY: an alarm is cleared before its owner goes, so it is live.
        unsafe { (*alarm).slot.set(u32::MAX) };
        alarm
    }

    fn open_wall_fd(&self) -> Result<(), Errno> {
        if self.wall_fd.borrow().is_none() {
            let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
            let timer = TimerFd::new(ClockId::CLOCK_REALTIME, flags)?;
            let fd = timer.as_fd().as_raw_fd();
            self.reactor.borrow_mut().add_internal(fd, WALL)?;
            *self.wall_fd.borrow_mut() = Some(timer);
        }
        Ok(())
    }

    /// Points the timer fd at the soonest wall-clock alarm; it also reports
    /// when somebody sets the clock.
    fn arm_wall_fd(&self) {
        let next = self.wall_timers.borrow().next_deadline();
        if let (Some(timer), Some(at)) = (&*self.wall_fd.borrow(), next) {
            let at = std::time::Duration::from_nanos(at.max(1) as u64);
            let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
            // Cannot fail: the fd is a timer's and the time is in range.
            let _ = timer.set(Expiration::OneShot(at.into()), flags);
        }
    }

    /// Queues alarms whose date has come.
    fn expire_wall(&self) {
        if let Some(timer) = &*self.wall_fd.borrow() {
            // Reading clears the event, whether it fired or the clock was set.
            let mut count = [0; 8];
            let _ = nix::unistd::read(timer.as_fd(), &mut count);
        }
        let now = wall_clock();
        loop {
            let owner = self.wall_timers.borrow_mut().take_expired(now, self);
            match owner {
                Some(owner) => self.enqueue_alarm(owner & !ALARM),
                None => break,
            }
        }
        self.arm_wall_fd();
    }

    fn enqueue_alarm(&self, index: u32) {
        let generation = self.alarms.borrow()[index as usize].generation;
        self.ready.borrow_mut().push_back(Entry {
            task: ptr::null(),
            generation,
            alarm: index,
        });
    }

    // ---- functions of the eco module ----------------------------------------------

    /// Starts a coroutine of the function below `arguments` values on top and
    /// leaves the thread in their place. May raise.
    pub fn spawn(&self, lua: Lua, arguments: c_int) {
        lua.ensure(6);
        // SAFETY: a new thread of this state; may raise with nothing alive.
        let thread = unsafe { ffi::lua_newthread(lua.state()) };
        lua.push_reference(self.threads);
        let index = self.add(lua, thread, OWNED);
        self.count.set(self.count.get() + 1);
        lua.pop(1);
        lua.insert(-arguments - 2);
        // SAFETY: both threads are live; room for the values is asked for, a
        // refusal (over a million arguments) drops them.
        unsafe {
            if ffi::lua_checkstack(thread, arguments + 1) == 0 {
                lua.pop(arguments + 1);
                self.remove(lua, index);
                ffi::luaL_error(lua.state(), c"too many arguments".as_ptr());
            }
            ffi::lua_xmove(lua.state(), thread, arguments + 1);
        }
        let outer = (self.current.get(), self.budget.get(), self.since.replace(0));
        let unmeasured = self.unmeasured.replace(0);
        let group = self.group.each_ref().map(Cell::get);
        self.resume(lua, self.tasks.get(index), arguments);
        self.current.set(outer.0);
        self.budget.set(outer.1);
        self.since.set(outer.2);
        self.unmeasured.set(unmeasured);
        for (member, task) in self.group.iter().zip(group) {
            member.set(task);
        }
    }

    /// `eco.yield()`: to the tail of the ready queue.
    pub fn yield_now(&self, lua: Lua) -> Outcome {
        let task = match task_at(self.current.get()) {
            // Whether this one may yield, `lua_yield` finds out: a queue entry
            // for a wait that never began is void.
            Some(task) if task.thread.get() == lua.state() => task,
            _ if lua.is_yieldable() => self.tasks.get(self.running_task(lua)),
            _ => return Err("attempt to yield from outside a coroutine".into()),
        };
        if task.mark.get() != 0 {
            self.abandon(task.index);
        }
        self.leave_mark(lua, task);
        self.enqueue(task.index);
        Ok(Returns::YIELD)
    }

    /// `eco.sleep(delay)`.
    pub fn sleep(&self, lua: Lua, delay: Nanoseconds) -> Outcome {
        if !lua.is_yieldable() {
            return Err("attempt to yield from outside a coroutine".into());
        }
        let index = self.running_task(lua);
        let task = self.tasks.get(index);
        if task.mark.get() != 0 {
            self.abandon(index);
        }
        self.leave_mark(lua, task);
        self.set_timer(index, delay);
        Ok(Returns::YIELD)
    }

    /// `eco._resume(co)`: queues the thread at stack index 1. May raise.
    pub fn resume_later(&self, lua: Lua) {
        let thread = lua.to_thread(1);
        let mut index = self.found.borrow().get(thread);
        if index == NO_TASK || self.tasks.get(index).thread.get() != thread {
            lua.push_value(1);
            index = self.task_of_top(lua);
            lua.pop(1);
            self.found.borrow_mut().put(thread, index, self.count.get() as usize);
        }
        self.tasks.get(index).set(EXPLICIT);
        self.wake_task(index, Cause::WAKE);
    }

    /// Drops the records of coroutines that ended without us, by
    /// `coroutine.close` or a foreign `coroutine.resume`: nothing waits for them.
    #[inline(never)]
    fn sweep(&self, lua: Lua) {
        for index in 0..self.tasks.len() {
            let thread = self.tasks.get(index).thread.get();
            if !thread.is_null() && condition(thread) == Condition::Dead {
                self.abandon(index);
                self.remove(lua, index);
            }
        }
        self.swept.set(0);
    }

    /// Number of live coroutines started by `eco.run`.
    pub fn count(&self, lua: Lua) -> u32 {
        self.sweep(lua);
        self.count.get()
    }

    /// Pushes an array of them. May raise.
    pub fn push_all(&self, lua: Lua) {
        self.sweep(lua);
        lua.push_table(self.count.get() as c_int, 0);
        let mut length = 0;
        for (_, task) in self.tasks.iter() {
            if task.has(OWNED) {
                length += 1;
                push_thread_of(lua, task.thread.get());
                lua.raw_set_index(-2, length);
            }
        }
    }

    pub fn unloop(&self) {
        self.stop.set(true);
    }

    pub fn set_watchdog(&self, limit: Nanoseconds) {
        self.watchdog.set(limit);
    }

    /// Replaces the anchored hook by the value at `index`, nil for none. May raise.
    pub fn set_hook(lua: Lua, hook: &Cell<c_int>, index: c_int) {
        lua.unreference(hook.replace(ffi::LUA_NOREF));
        if !lua.is_none_or_nil(index) {
            lua.push_value(index);
            hook.set(lua.reference());
        }
    }

    pub fn panic_hook(&self) -> &Cell<c_int> {
        &self.panic_hook
    }

    /// `eco._init()`: a forked child forgets what its parent waited for.
    pub fn restart(&self, lua: Lua) {
        let known: Vec<u32> = self.tasks.iter().map(|(index, _)| index).collect();
        for index in known {
            self.abandon(index);
            let task = self.tasks.get(index);
            if condition(task.thread.get()) != Condition::Active {
                self.remove(lua, index);
            } else if task.has(OWNED) {
                // Still on the C stack: stays anchored, no longer counts.
                task.clear(OWNED);
                self.count.set(self.count.get() - 1);
            }
        }
        self.ready.borrow_mut().clear();
        self.deferred.borrow_mut().clear();
        self.timers.borrow_mut().clear();
        self.wall_timers.borrow_mut().clear();
        *self.wall_fd.borrow_mut() = None;
        // Its threads did not survive the fork, so it is not dropped either.
        std::mem::forget(self.pool.borrow_mut().take());
        // Before anything is removed from it: the parent goes on using it.
        *self.reactor.borrow_mut() = Reactor::default();
        for (index, _) in self.set_alarms() {
            self.free_alarm(index);
        }
        self.holds.set(0);
        self.watchdog.set(WATCHDOG);
        self.process.set(std::process::id());
    }

    fn set_alarms(&self) -> Vec<(u32, *const Alarm)> {
        self.alarms
            .borrow()
            .iter()
            .enumerate()
            .filter(|(_, slot)| !slot.alarm.is_null())
            .map(|(index, slot)| (index as u32, slot.alarm))
            .collect()
    }

    // ---- running -------------------------------------------------------------------

    // A yield leaves C frames by `longjmp`, after which the processor predicts
    // every return up to the loop wrongly. So from `turns` down to `lua_resume`
    // all is inlined and the unusual is called; this is worth a third.

    /// Resumes a task with the `arguments` values on top of its stack.
    #[inline(always)]
    fn resume(&self, lua: Lua, task: &Task, arguments: c_int) {
        let thread = task.thread.get();
        self.current.set(task);
        self.budget.set(BUDGET);
        if self.since.get() == 0 {
            self.since.set(monotonic_coarse());
        }
        let mut results = 0;
        // SAFETY: the thread is suspended or fresh and kept alive by the table
        // of threads; errors in it come back as a status.
        let status = unsafe { ffi::lua_resume(thread, lua.state(), arguments, &mut results) };
        self.current.set(ptr::null());
        let group = self.unmeasured.get();
        self.group[group].set(task);
        if task.has(QUEUED) && group < GROUP - 1 {
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

    /// Reads the clock for the watchdog. Coroutines that hand over by
    /// `eco.yield` are measured in groups, since a reading costs as much as a
    /// tenth of the switch: all members of a slow group are reported.
    #[inline(never)]
    fn measure(&self, lua: Lua, members: usize) {
        self.unmeasured.set(0);
        let limit = self.watchdog.get();
        if limit == 0 {
            return;
        }
        let now = monotonic_coarse();
        let since = self.since.replace(now);
        if now - since <= limit || since == 0 {
            return;
        }
        for member in &self.group[..members] {
            if let Some(task) = task_at(member.get()) {
                if !task.thread.get().is_null() {
                    self.report_slow(lua, task.thread.get(), now - since, limit);
                }
            }
        }
    }

    /// A task returned or failed.
    #[inline(never)]
    fn finish(&self, lua: Lua, index: u32, status: c_int) {
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
    fn run(&self, lua: Lua, entry: Entry) {
        let Some(task) = task_at(entry.task) else {
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
            } else {
                self.detach(index);
            }
        } else if !Runtime::waits_bare(task, flags) && !self.is_due(lua, index, flags & EXPLICIT != 0) {
            return;
        }
        task.cause.set(0);
        if flags & OWNED != 0 {
            self.resume(lua, task, results);
        } else {
            self.resume_foreign(lua, index, results);
        }
    }

    #[inline(never)]
    fn run_alarm(&self, lua: Lua, entry: Entry) {
        let index = entry.alarm;
        let due = {
            let slot = &self.alarms.borrow()[index as usize];
            slot.generation == entry.generation && !slot.alarm.is_null()
        };
        if due {
            let alarm = self.free_alarm(index);
            // SAFETY: cleared alarms have another generation, so this one is
            // live; its owner keeps itself reachable while it is set.
            unsafe { ((*alarm).fire)(alarm, lua.state()) };
        }
    }

    /// Polls a task's operation; when it is done, the results are on the task's
    /// stack and their number is returned.
    #[inline(never)]
    fn poll(&self, lua: Lua, index: u32) -> Option<c_int> {
        let task = self.tasks.get(index);
        let cause = u32::from(task.cause.replace(0));
        // What is ready wins over a timeout or cancellation of the same turn.
        let ready = cause & (Cause::READY.0 | Cause::WAKE.0);
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
    fn waits_bare(task: &Task, flags: u8) -> bool {
        // SAFETY: the table of threads keeps the thread alive.
        task.mark.get() == 0
            && flags & EXPLICIT != 0
            && unsafe { ffi::lua_status(task.thread.get()) } == ffi::LUA_YIELD
    }

    /// Whether to resume a queued task that does not wait where the scheduler
    /// parked it: yes after a bare yield, if somebody asked for it.
    #[inline(never)]
    fn is_due(&self, lua: Lua, index: u32, explicit: bool) -> bool {
        let task = self.tasks.get(index);
        if task.mark.get() != 0 {
            self.abandon(index);
        }
        match condition(task.thread.get()) {
            Condition::Dead => self.bury(lua, index, explicit),
            Condition::Suspended if explicit => return true,
            // It runs already, or waits for something else by now.
            _ => self.drop_foreign(lua, index),
        }
        false
    }

    /// Resumes a coroutine that `eco.run` did not start. It leaves our records
    /// first: it may never come back to us.
    #[inline(never)]
    fn resume_foreign(&self, lua: Lua, index: u32, results: c_int) {
        let thread = self.tasks.get(index).thread.get();
        push_thread_of(lua, thread);
        self.remove(lua, index);
        self.budget.set(BUDGET);
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

    /// A queued coroutine turned out dead.
    fn bury(&self, lua: Lua, index: u32, explicit: bool) {
        let thread = self.tasks.get(index).thread.get();
        push_thread_of(lua, thread);
        self.remove(lua, index);
        if explicit {
            lua.push_bytes(b"cannot resume dead coroutine");
            lua.move_to(lua_of(thread), 1);
            self.panic(lua, thread);
        }
        lua.pop(1);
    }

    /// A wake-up came too late: a coroutine that is not ours is forgotten.
    fn drop_foreign(&self, lua: Lua, index: u32) {
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

    /// The interpreter's own loop: not entered when an explicit one was stopped.
    pub fn run_main_loop(&self, lua: Lua) -> Result<(), Errno> {
        self.stop.set(false);
        if self.quit.get() {
            return Ok(());
        }
        self.enter(lua)
    }

    fn enter(&self, lua: Lua) -> Result<(), Errno> {
        lua.ensure(20);
        let signals = LoopSignals::install()?;
        let event = signals.event().as_raw_fd();
        self.reactor.borrow_mut().add_internal(event, INTERRUPT)?;
        self.depth.set(self.depth.get() + 1);
        let outer = (self.current.replace(ptr::null()), self.budget.get());
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
        self.current.set(outer.0);
        self.budget.set(outer.1);
        self.depth.set(self.depth.get() - 1);
        self.reactor.borrow_mut().remove_internal(event);
        if self.depth.get() > 0 && self.stop.get() {
            self.quit.set(true);
        }
        failure
    }

    /// An error left the loop's turns. One from a poll (out of memory) fails
    /// that operation; any other is nobody's to catch.
    fn recover(&self, lua: Lua) {
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
            self.resume(lua, task, results);
        } else {
            self.resume_foreign(lua, index, results);
        }
    }

    /// One turn after the other until there is nothing left to do.
    fn turns(&self, lua: Lua) -> Result<(), Errno> {
        let mut events = Events::new();
        let mut turn = 0_u32;
        loop {
            turn = turn.wrapping_add(1);
            self.expire();
            self.pass(lua);
            if self.stop.get() {
                return Ok(());
            }
            self.wake_deferred();
            if self.ready.borrow().is_empty() {
                self.swept.set(self.swept.get() + 1);
                if self.swept.get() >= self.tasks.len() {
                    self.sweep(lua);
                }
            }
            let waiting = self.reactor.borrow().waiting > 0
                || self.holds.get() > 0
                || !self.wall_timers.borrow().is_empty();
            let ready = !self.ready.borrow().is_empty();
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

    /// Queues tasks and alarms whose time has come.
    fn expire(&self) {
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
    fn pass(&self, lua: Lua) {
        let mut left = self.ready.borrow().len();
        while left > 0 && !self.stop.get() {
            let Some(entry) = self.ready.borrow_mut().pop_front() else { break };
            self.run(lua, entry);
            left -= 1;
        }
    }

    /// Queues the waiters of a batch of events; true when SIGINT came. A reader
    /// runs before the writer of the same fd is woken, so that it can cancel it.
    fn dispatch(&self, events: &Events) -> bool {
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
                        self.deferred.borrow_mut().push((writer, wait));
                    }
                }
                Event::Internal(INTERRUPT) => interrupted = true,
                Event::Internal(WALL) => self.expire_wall(),
                Event::Internal(POOL) => self.collect_work(),
                Event::Internal(number) => self.enqueue_alarm(number - WATCH),
            }
        }
        interrupted
    }

    /// Wakes the deferred writers that still wait.
    fn wake_deferred(&self) {
        loop {
            let next = self.deferred.borrow_mut().pop();
            let Some((writer, wait)) = next else { break };
            if self.tasks.get(writer).mark.get() == wait {
                self.wake_task(writer, Cause::READY);
            }
        }
    }

    /// Wakes the operations whose work the pool has finished.
    fn collect_work(&self) {
        loop {
            let done = match &*self.pool.borrow() {
                Some(pool) => pool.take_done(),
                None => None,
            };
            let Some((index, mark)) = done else { break };
            self.hold(-1);
            if self.tasks.get(index).mark.get() == mark {
                self.wake_task(index, Cause::WAKE);
            }
        }
    }

    // ---- errors nobody caught -----------------------------------------------------

    /// Reports a coroutine that ran too long without yielding.
    fn report_slow(&self, lua: Lua, thread: State, spent: Nanoseconds, limit: Nanoseconds) {
        lua.ensure(6);
        // SAFETY: pushes one string; may raise with nothing alive.
        unsafe {
            ffi::lua_pushfstring(
                lua.state(),
                c"coroutine execution timeout: run too long(%I ms) without yielding/dead (>%I ms)".as_ptr(),
                spent / 1_000_000,
                limit / 1_000_000,
            );
        }
        self.report(lua, thread);
    }

    /// A coroutine failed, its error value is on top of its stack: report it
    /// and end the process with status 1.
    fn panic(&self, lua: Lua, thread: State) {
        lua.ensure(6);
        // SAFETY: the thread is dead with its error value on top, of which we
        // get a copy; a dead thread has room for one more value.
        unsafe {
            ffi::lua_checkstack(thread, 1);
            ffi::lua_pushvalue(thread, -1);
            ffi::lua_xmove(thread, lua.state(), 1);
        }
        self.report(lua, thread);
        // SAFETY: runs the to-be-closed variables of the failed coroutine.
        unsafe { ffi::lua_resetthread(thread) };
        self.exit(lua);
    }

    /// The same for an error value on top of our own stack.
    fn panic_with_top(&self, lua: Lua) {
        self.report(lua, lua.state());
        self.exit(lua);
    }

    /// Passes the message on top (popped) and two tracebacks to the hook, or
    /// writes them to standard error.
    fn report(&self, lua: Lua, thread: State) {
        self.failing.set(true);
        let state = lua.state();
        // SAFETY: strings and tracebacks on our own stack; the message pointer
        // stays valid while its slot does.
        unsafe {
            let text = match lua.type_of(-1) {
                ffi::LUA_TSTRING | ffi::LUA_TNUMBER => ffi::lua_tostring(state, -1),
                _ => ptr::null(),
            };
            ffi::luaL_traceback(state, thread, text, 0);
            ffi::luaL_traceback(state, state, ptr::null(), 0);
        }
        lua.remove(-3);
        if !self.push_panic_hook(lua) {
            for index in [-2, -1] {
                write_error(lua.to_bytes(index));
            }
            lua.pop(2);
            self.failing.set(false);
            return;
        }
        lua.insert(-3);
        if !lua.try_call(2, 0) {
            write_error(lua.to_bytes(-1));
            self.exit(lua);
        }
        self.failing.set(false);
    }

    /// Pushes the hook, or the field `eco.panic_hook` of older scripts.
    fn push_panic_hook(&self, lua: Lua) -> bool {
        if self.panic_hook.get() != ffi::LUA_NOREF {
            lua.push_reference(self.panic_hook.get());
            return true;
        }
        lua.get_field(ffi::LUA_REGISTRYINDEX, c"_LOADED");
        if lua.get_field(-1, c"eco") == ffi::LUA_TTABLE {
            lua.push_bytes(b"panic_hook");
            if lua.raw_get(-2) == ffi::LUA_TFUNCTION {
                lua.insert(-3);
                lua.pop(2);
                return true;
            }
            lua.pop(1);
        }
        lua.pop(2);
        false
    }

    /// Closes every coroutine, then the state, and ends the process: finalisers
    /// and to-be-closed variables run.
    fn exit(&self, lua: Lua) {
        let suspended: Vec<State> = self
            .tasks
            .iter()
            .map(|(_, task)| task.thread.get())
            // SAFETY: the table of threads keeps each of them alive.
            .filter(|thread| unsafe { ffi::lua_status(*thread) } == ffi::LUA_YIELD)
            .collect();
        for thread in suspended {
            // SAFETY: as above; errors in closing methods are ignored.
            unsafe { ffi::lua_resetthread(thread) };
        }
        // SAFETY: nothing of the state is touched afterwards; eco.so stays
        // mapped (it is linked with nodelete).
        unsafe {
            ffi::lua_close(main_thread(lua));
        }
        std::process::exit(1);
    }
}

/// The main thread of a state.
fn main_thread(lua: Lua) -> State {
    lua.raw_get_index(ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_MAINTHREAD as i64);
    let thread = lua.to_thread(-1);
    lua.pop(1);
    thread
}

/// Writes a line to standard error.
fn write_error(text: &[u8]) {
    use std::io::Write;
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text);
    let _ = stderr.write_all(b"\n");
}

/// Pushes a thread of the same state.
fn push_thread_of(lua: Lua, thread: State) {
    // SAFETY: the thread is live (callers hold it anchored); one slot is moved.
    unsafe {
        ffi::lua_checkstack(thread, 1);
        ffi::lua_pushthread(thread);
        ffi::lua_xmove(thread, lua.state(), 1);
    }
}

/// Moves `count` results to a suspended thread; drops them when it has no room.
fn hand_over(lua: Lua, thread: State, count: c_int) -> c_int {
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    /// Yielded, or not started yet.
    Suspended,
    /// Running, or waiting for a coroutine it resumed.
    Active,
    Dead,
}

fn condition(thread: State) -> Condition {
    // SAFETY: the table of threads keeps it alive; only its state is read.
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

/// The task a queue entry or `current` names.
fn task_at<'a>(task: *const Task) -> Option<&'a Task> {
    // SAFETY: records live as long as the runtime and never move.
    unsafe { task.as_ref() }
}

fn operation_at<'a>(operation: *const Parked) -> Option<&'a Parked> {
    // SAFETY: an operation withdraws itself before its memory goes, so one that
    // a task still names is live.
    unsafe { operation.as_ref() }
}

fn lua_of(thread: State) -> Lua {
    // SAFETY: callers hold the thread anchored on their stack.
    unsafe { Lua::new(thread) }
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
