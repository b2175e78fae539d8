//! The scheduler of one Lua state: it resumes coroutines, and nobody else does.
//!
//! Invariants:
//!
//! - A coroutine is resumed once per wait. The mark that `park` leaves on its
//!   stack tells whether it still is where it parked; a wait that somebody
//!   else ended is dropped silently: `coroutine.close`, which is ours for
//!   that, says so at once; others are found before the loop waits for them,
//!   and before the records of coroutines grow to twice as many.
//! - Waking only queues. Coroutines run from the loop, or inside `eco.run`.
//! - No `RefCell` is borrowed across a Lua call that may raise.
//! - Functions keep a pointer to the runtime, so it outlives its finaliser: it
//!   is shut down then, and refuses. Lua frees its memory when nothing runs.
#![allow(unsafe_code)]

mod alarms;
mod attention;
mod contained;
mod ended;
mod failure;
mod interrupt;
mod listing;
mod running;
mod waiting;

use std::cell::{Cell, RefCell, UnsafeCell};
use std::ffi::{c_int, CStr};
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::timerfd::TimerFd;

use crate::abi::{
    monotonic, Abi, Callback, Cause, Clock, Core, Nanoseconds, Slot, CLOSED, CLOSING, NO_TASK,
    REGISTRY_KEY, VERSION,
};
use crate::core::notifier::Notifier;
use crate::core::pool::Pool;
use crate::core::reactor::Reactor;
use crate::core::ready::Ready;
use crate::core::signals::LoopSignals;
use crate::core::tasks::{Found, Task, Tasks, EXPLICIT, GAVE_WAY, NO_TIMER, OWNED, PARKED, QUEUED};
use crate::core::ticker::Ticker;
use crate::core::timers::{Positions, Timers};
use crate::lua::{ffi, Error, Functions, Lua, Outcome, Returns, State, UserData};
use attention::Dump;
#[cfg(feature = "time")]
pub(crate) use running::is_new;
use running::{condition, has_yielded, push_thread_of, Condition};
pub use waiting::Home;

/// Non-blocking operations a coroutine may do in one go (`Core::spend`).
const BUDGET: u32 = 64;
/// Coroutines measured by one reading of the clock, at most.
const GROUP: u32 = 16;
/// Watchdog limit until a script sets another.
const WATCHDOG: Nanoseconds = 5_000_000_000;
/// Marks an alarm in a queue entry or a timer's owner.
const ALARM: u32 = 1 << 31;
/// Numbers of the scheduler's own fds in the reactor.
const INTERRUPT: u32 = 0;
const WALL: u32 = 1;
const NOTIFIED: u32 = 2;
/// Fewer records than that are not worth a thought.
const MANY: u32 = 1024;
/// The callback in slot `n` is for the fd added with number `WATCH + n`.
const WATCH: u32 = 16;

/// A queued task or alarm, and the generation that was meant.
#[derive(Clone, Copy)]
struct Entry {
    /// Records never move, so this needs no look-up. No address of one is odd:
    /// those are the indexes of alarms.
    task: *const Task,
    generation: u32,
}

impl Entry {
    /// An alarm that there is not.
    const NONE: Entry = Entry {
        task: ptr::without_provenance(usize::MAX),
        generation: 0,
    };

    #[inline(always)]
    fn of_task(task: &Task) -> Entry {
        Entry {
            task,
            generation: task.generation.get(),
        }
    }

    fn of_alarm(index: u32, generation: u32) -> Entry {
        Entry {
            task: ptr::without_provenance((index as usize) << 1 | 1),
            generation,
        }
    }

    /// The task, or else the index of the alarm.
    #[inline(always)]
    fn task<'a>(self) -> Result<&'a Task, u32> {
        let address = self.task.addr();
        if address & 1 == 0 {
            // SAFETY: entries are in the queue of the runtime whose record it is;
            // records stay where they are as long as any is queued.
            Ok(unsafe { &*self.task })
        } else {
            Err((address >> 1) as u32)
        }
    }

    /// The task that was meant, if it still is what is meant.
    fn meant<'a>(self) -> Option<&'a Task> {
        self.task()
            .ok()
            .filter(|task| task.generation.get() == self.generation)
    }

    /// False for one that is void by now.
    fn is_meant(self) -> bool {
        self.task().is_err() || self.meant().is_some()
    }
}

/// What becomes of a callback.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// A time on that clock.
    Time(Clock),
    /// That fd is readable.
    Readable(c_int),
}

struct AlarmSlot {
    /// Null in a free slot.
    place: *const Slot,
    callback: Callback,
    generation: u32,
    /// Place in the heap; next free slot in a free one.
    position: u32,
    occasion: Occasion,
    /// Is to be queued when there is room.
    late: bool,
}

impl AlarmSlot {
    /// Set for a time that keeps the loop going.
    fn is_armed(&self) -> bool {
        let clock = match self.occasion {
            Occasion::Time(clock) => clock,
            Occasion::Readable(_) => return false,
        };
        !self.place.is_null() && clock != Clock::Idle
    }
}

/// The scheduler.
#[repr(C)]
pub struct Runtime {
    /// Its version changes when the state closes.
    abi: UnsafeCell<Abi>,
    tasks: Tasks,
    ready: Ready<Entry>,
    /// Something found no place in it.
    late: Cell<bool>,
    timers: RefCell<Timers>,
    wall_timers: RefCell<Timers>,
    wall_fd: RefCell<Option<TimerFd>>,
    alarms: RefCell<Vec<AlarmSlot>>,
    free_alarm: Cell<u32>,
    /// Alarms that were set for a time and have not gone off.
    armed: Cell<u32>,
    /// Timers that do not keep the loop going.
    idle_timers: Cell<usize>,
    /// Writers to wake once the readers of the same fds have run: task and
    /// number of the wait that was meant.
    deferred: RefCell<Vec<(u32, u32)>>,
    reactor: RefCell<Reactor>,
    pool: RefCell<Option<Pool>>,
    /// Where tokens report, once there was one.
    notifier: RefCell<Option<Notifier>>,
    /// The task resumed last. It counts as long as its thread is the one that
    /// runs; null before the first.
    current: Cell<*const Task>,
    /// The coroutine that `eco.run` did not start and the loop has resumed, while
    /// it runs.
    foreign: Cell<State>,
    /// Operations the current task may still do before it lets others run.
    budget: Cell<u32>,
    found: RefCell<Found>,
    /// Memory for whoever reads next: see [`Runtime::spare`].
    spare: RefCell<Vec<u8>>,
    /// Where SIGINT is noticed while a loop runs.
    signals: RefCell<Option<LoopSignals>>,
    /// When SIGINT came that the loop does not know of yet; 0 for none.
    interrupted: Cell<Nanoseconds>,
    /// Nothing here ends the process: see [`Runtime::contain`].
    contained: Cell<bool>,
    /// No loop goes on. Set by any thread.
    canceled: AtomicBool,
    /// When the coroutine that runs was told; 0 before.
    struck: Cell<Nanoseconds>,
    /// An error nobody caught is being reported.
    failing: Cell<bool>,
    /// Blocking turns since the last sweep.
    swept: Cell<u32>,
    /// Records that the last sweep left in use.
    left: Cell<u32>,
    /// Since when few of many records are in use, 0 when they are not.
    sparse: Cell<Nanoseconds>,
    /// Most records in use since the table of threads was made.
    peak: Cell<u32>,
    /// How often records were freed: what was known of those not in use is void.
    shrunk: Cell<u32>,
    /// The last number of a wait given out.
    wait: Cell<u32>,
    /// The task whose operation is being polled.
    polling: Cell<u32>,
    /// Coroutines started by `eco.run` and not finished.
    count: Cell<u32>,
    /// Tasks that wait for fds, and other reasons besides timers to stay in the loop.
    holds: Cell<c_int>,
    /// `eco.unloop()` was called.
    stop: Cell<bool>,
    /// It was, for the innermost loop alone.
    inner: Cell<bool>,
    /// An explicit loop was stopped: the interpreter's own does not start.
    quit: Cell<bool>,
    depth: Cell<u32>,
    watchdog: Cell<Nanoseconds>,
    /// Has the watchdog look at a coroutine while it runs, as long as the loop does.
    ticker: RefCell<Option<Ticker>>,
    /// `since` when that was told of.
    told: Cell<Nanoseconds>,
    dump: Dump,
    /// When a coroutine last gave control back, or the loop woke up: what the
    /// next one is measured from.
    since: Cell<Nanoseconds>,
    /// Registry anchor of the table from threads to task indexes.
    threads: c_int,
    panic_hook: Cell<c_int>,
    pub child_hook: Cell<c_int>,
    /// The process that owns the reactor: a forked child starts anew.
    pub process: Cell<u32>,
}

/// The runtime as Lua owns it: never dropped, see [`Runtime::shut_down`].
#[repr(transparent)]
struct Owned(ManuallyDrop<Runtime>);

impl UserData for Owned {
    const NAME: &'static CStr = c"struct eco_runtime *";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _lua: Lua) {
        self.0.shut_down();
    }
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
    /// The state's core, made at first use. May raise.
    pub fn open(lua: Lua) -> Result<Core, Error> {
        lua.get_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
        let existing = lua.to_userdata(-1).cast::<Abi>();
        lua.pop(1);
        if !existing.is_null() {
            // SAFETY: the field holds a core, which starts with its version.
            return match unsafe { (*existing).version } {
                // SAFETY: as above.
                VERSION => Ok(unsafe { Core::from_table(existing) }),
                CLOSED => Err(CLOSING.into()),
                _ => Err("two different versions of eco are loaded".into()),
            };
        }
        lua.push_table(0, 0);
        let threads = lua.reference();
        let slot = lua.reserve::<Owned>(0, ptr::null());
        let runtime = slot.fill(Owned(ManuallyDrop::new(Runtime {
            abi: UnsafeCell::new(crate::core::table::TABLE),
            tasks: Tasks::new(),
            ready: Ready::new(Entry::NONE),
            late: Cell::new(false),
            timers: RefCell::default(),
            wall_timers: RefCell::default(),
            wall_fd: RefCell::new(None),
            alarms: RefCell::default(),
            free_alarm: Cell::new(NO_TIMER),
            armed: Cell::new(0),
            idle_timers: Cell::new(0),
            deferred: RefCell::default(),
            reactor: RefCell::default(),
            pool: RefCell::new(None),
            notifier: RefCell::new(None),
            current: Cell::new(ptr::null()),
            foreign: Cell::new(ptr::null_mut()),
            budget: Cell::new(BUDGET),
            spare: RefCell::default(),
            found: RefCell::default(),
            signals: RefCell::new(None),
            interrupted: Cell::new(0),
            contained: Cell::new(false),
            canceled: AtomicBool::new(false),
            struck: Cell::new(0),
            failing: Cell::new(false),
            swept: Cell::new(0),
            left: Cell::new(0),
            sparse: Cell::new(0),
            peak: Cell::new(0),
            shrunk: Cell::new(0),
            wait: Cell::new(1),
            polling: Cell::new(NO_TASK),
            count: Cell::new(0),
            holds: Cell::new(0),
            stop: Cell::new(false),
            inner: Cell::new(false),
            quit: Cell::new(false),
            depth: Cell::new(0),
            watchdog: Cell::new(WATCHDOG),
            ticker: RefCell::new(None),
            told: Cell::new(0),
            dump: Dump::default(),
            since: Cell::new(0),
            threads,
            panic_hook: Cell::new(ffi::LUA_NOREF),
            child_hook: Cell::new(ffi::LUA_NOREF),
            process: Cell::new(std::process::id()),
        })));
        let table = runtime.0.abi.get();
        ended::wrap_close(lua, table.cast());
        // SAFETY: the runtime starts with its table.
        Ok(unsafe { Core::from_table(table) })
    }

    /// The state closes: gives everything back, and refuses from now on.
    /// Finalisers of older values still call our functions.
    fn shut_down(&self) {
        // SAFETY: the table is only read through raw pointers, a field at a time.
        unsafe { (*self.abi.get()).version = CLOSED };
        self.current.set(ptr::null());
        self.signals.take();
        self.ticker.take();
        self.dump.event.store(-1, Ordering::SeqCst);
        self.pool.take();
        self.notifier.take();
        self.wall_fd.take();
        self.reactor.take();
        self.timers.take();
        self.wall_timers.take();
        self.alarms.take();
        self.deferred.take();
        self.spare.take();
        self.found.take();
        self.ready.free();
        self.tasks.free();
        self.count.set(0);
        self.armed.set(0);
    }

    pub fn is_closed(&self) -> bool {
        // SAFETY: as in `shut_down`.
        unsafe { (*self.abi.get()).version == CLOSED }
    }

    /// Starts a coroutine of the function below `arguments` values on top and
    /// leaves the thread in their place. May raise.
    pub fn spawn(&self, lua: Lua, arguments: c_int) {
        self.refuse_when_closed(lua);
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
        self.begin(lua, index, arguments);
    }

    /// The same for the thread on top, which is new and has its function.
    /// May raise.
    pub fn spawn_thread(&self, lua: Lua) {
        let index = self.task_of_top(lua);
        let task = self.tasks.get(index);
        if !task.has(OWNED) {
            task.set(OWNED);
            self.count.set(self.count.get() + 1);
        }
        self.begin(lua, index, 0);
    }

    /// Resumes a new coroutine, in the middle of whatever runs.
    fn begin(&self, lua: Lua, index: u32, arguments: c_int) {
        let outer = (self.current.get(), self.budget.get(), self.since.replace(0));
        let shrunk = self.shrunk.get();
        self.resume_apart(lua, self.tasks.get(index), arguments);
        self.budget.set(outer.1);
        self.since.set(outer.2);
        let current = if shrunk == self.shrunk.get() {
            outer.0
        } else {
            ptr::null()
        };
        self.current.set(current);
    }

    /// `eco.yield()`: to the tail of the ready queue.
    pub fn yield_now(&self, lua: Lua) -> Outcome {
        if let Some(task) = self.tasks.at(self.current.get()) {
            let state = task.state.get();
            // Whether this one may yield, `lua_yield` finds out: a queue entry
            // for a wait that never began is void.
            if task.thread.get() == lua.state()
                && state & (PARKED | QUEUED) == 0
                && self.ready.push(Entry::of_task(task))
            {
                task.state.set(state | PARKED | GAVE_WAY | QUEUED);
                Runtime::push_mark(lua, task);
                return Ok(Returns::YIELD);
            }
        }
        self.yield_otherwise(lua)
    }

    /// The same for a coroutine that is not ours, or is queued already, and when
    /// the queue is full.
    #[cold]
    #[inline(never)]
    fn yield_otherwise(&self, lua: Lua) -> Outcome {
        if !lua.is_yieldable() {
            return Err(lua.cannot_yield());
        }
        let task = self.tasks.get(self.running_task(lua));
        if task.has(PARKED) {
            self.abandon(task.index);
        }
        self.leave_mark(lua, task);
        self.enqueue_task(task);
        Ok(Returns::YIELD)
    }

    /// `eco.sleep(delay)`.
    pub fn sleep(&self, lua: Lua, delay: Nanoseconds) -> Outcome {
        if !lua.is_yieldable() {
            return Err(lua.cannot_yield());
        }
        let index = self.running_task(lua);
        let task = self.tasks.get(index);
        if task.has(PARKED) {
            self.abandon(index);
        }
        let now = monotonic();
        self.tasks.begin_wait(index, now);
        if !self.set_timer(index, now, delay) {
            self.drop_foreign(lua, index);
            return Err(lua.out_of_memory());
        }
        self.leave_mark(lua, task);
        Ok(Returns::YIELD)
    }

    /// `eco._resume(co)`: queues the thread at stack index 1. May raise.
    pub fn resume_later(&self, lua: Lua, thread: State) -> Result<(), Error> {
        if !has_yielded(thread) && condition(thread) == Condition::Dead {
            return Err("cannot resume dead coroutine".into());
        }
        if let Some(task) = self.found.borrow().get(thread) {
            self.resume_task(task);
            return Ok(());
        }
        lua.push_value(1);
        let task = self.tasks.get(self.task_of_top(lua));
        lua.pop(1);
        let threads = self.count.get() as usize;
        self.found.borrow_mut().put(task, threads);
        self.resume_task(task);
        Ok(())
    }

    #[inline(always)]
    fn resume_task(&self, task: &Task) {
        task.set(EXPLICIT);
        task.add_cause(Cause::WAKE);
        self.enqueue_task(task);
    }

    /// Number of live coroutines started by `eco.run`, and of timers that will
    /// start one.
    pub fn count(&self, lua: Lua) -> u32 {
        self.sweep(lua);
        self.count.get() + self.armed.get()
    }

    /// Pushes an array of the coroutines and returns its length. May raise.
    pub fn push_all(&self, lua: Lua) -> i64 {
        let count = self.count(lua);
        lua.push_table(count as c_int, 0);
        let mut length = 0;
        for (_, task) in self.tasks.iter() {
            if task.has(OWNED) {
                length += 1;
                push_thread_of(lua, task.thread.get());
                lua.raw_set_index(-2, length);
            }
        }
        length
    }

    /// The alarms that are set for a time of their own, from slot `start` on:
    /// what the first of them calls, and the slot after it.
    pub fn next_armed(&self, start: usize) -> Option<(Callback, usize)> {
        let alarms = self.alarms.borrow();
        let rest = alarms.get(start..)?;
        let at = rest.iter().position(AlarmSlot::is_armed)?;
        Some((rest[at].callback, start + at + 1))
    }

    /// `eco.unloop()`; `inner` for a loop that is to end alone.
    pub fn unloop(&self, inner: bool) {
        self.stop.set(true);
        self.inner.set(inner);
        self.ready.shift();
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
        for (index, task) in self.tasks.iter() {
            self.abandon(index);
            if condition(task.thread.get()) != Condition::Active {
                self.remove(lua, index);
            } else if task.has(OWNED) {
                // Still on the C stack: stays anchored, no longer counts.
                task.clear(OWNED);
                self.count.set(self.count.get() - 1);
            }
        }
        self.ready.clear();
        self.deferred.borrow_mut().clear();
        self.timers.borrow_mut().clear();
        self.wall_timers.borrow_mut().clear();
        *self.wall_fd.borrow_mut() = None;
        if let Some(pool) = self.pool.borrow_mut().take() {
            pool.forget();
        }
        if let Some(notifier) = self.notifier.borrow_mut().take() {
            notifier.forget();
        }
        // Before anything is removed from it: the parent goes on using it.
        *self.reactor.borrow_mut() = Reactor::default();
        // Timers are not inherited.
        self.ticker.take();
        if self.signals.take().is_some() {
            // Without a descriptor left, SIGINT does what it did before the loop.
            let _ = self.listen();
        }
        self.reopen_dump();
        // A borrow in the head of the loop would last as long as that.
        let count = self.alarms.borrow().len();
        for index in 0..count {
            if !self.alarms.borrow()[index].place.is_null() {
                self.free_alarm(index as u32);
            }
        }
        self.holds.set(0);
        self.set_watchdog(WATCHDOG);
        self.process.set(std::process::id());
    }
}
