//! [`Core`]: the safe face of the table.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

use nix::errno::Errno;

use super::attempt::Host;
use super::codes::{idle, refuse};
use super::operation::NO_TASK;
use super::table::{Abi, Table, CLOSED, CLOSING, RAISED, REGISTRY_KEY, VERSION};
use super::{
    Alarm, Callback, Cause, Clock, Fires, Interest, Nanoseconds, Operation, Parked, Token, Watch,
    Watches, WorkFunction,
};
use crate::lua::{ffi, Error, Lua, Outcome, Returns};

/// The scheduler of the state a function runs in.
#[derive(Clone, Copy)]
pub struct Core(pub(super) Table);

impl Core {
    /// The core of a function registered with [`Core::pointer`] as upvalue 1.
    /// Raises an error when the state is closing, so it comes before anything
    /// that would be lost then.
    pub fn of(lua: Lua) -> Core {
        let core = Core::of_any(lua);
        // SAFETY: the memory of the core is there until the state is gone.
        if unsafe { (*core.0 .0).version } == CLOSED {
            lua.raise(CLOSING.into());
        }
        core
    }

    /// The same, also in a state that is closing.
    pub fn of_any(lua: Lua) -> Core {
        Core(Table(lua.to_userdata(Lua::upvalue(1)).cast()))
    }

    /// A core from its table.
    ///
    /// # Safety
    ///
    /// `table` is the table of a live state's core.
    pub const unsafe fn from_table(table: *const Abi) -> Core {
        Core(Table(table))
    }

    /// Loads `eco` if need be and returns its core. For `luaopen_…` of other
    /// modules; may raise.
    pub fn open(lua: Lua, module: &str) -> Result<Core, Error> {
        lua.require(c"eco");
        lua.get_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
        let table = lua.to_userdata(-1).cast::<Abi>();
        lua.pop(2);
        // SAFETY: the field holds the userdata eco.so put there, which starts
        // with the version in every version.
        let found = unsafe { table.as_ref() }.map_or(0, |abi| abi.version);
        if found == VERSION {
            return Ok(Core(Table(table)));
        }
        if found == CLOSED {
            return Err(CLOSING.into());
        }
        lua.push_str(module);
        lua.push_str(" and eco come from different versions of lua-eco: update both");
        lua.concat(2);
        Err(Error::raised())
    }

    /// The pointer to register functions and userdata with.
    pub fn pointer(self) -> *const c_void {
        self.0 .0.cast()
    }

    /// Runs `run(context)` on the pool and parks the running coroutine until
    /// it is done, when the operation is polled with [`Cause::WAKE`].
    ///
    /// The context is the pool's from now on: `release(context)` is called
    /// once, whatever happens: after `run`, or instead of it when this fails or
    /// the state closes before its turn. Both may have returned long before the
    /// poll: an operation that wants the results shares the context. One that
    /// ends earlier leaves the work running.
    ///
    /// # Safety
    ///
    /// Both functions may be called with `context` on another thread, at any
    /// time from now on.
    pub unsafe fn offload<T: Operation>(
        self,
        lua: Lua,
        operation: &T,
        run: WorkFunction,
        release: WorkFunction,
        context: *mut c_void,
    ) -> Outcome {
        let operation = std::ptr::from_ref(operation).cast();
        match self.0.offload(lua, operation, run, release, context) {
            0 => Ok(Returns::YIELD),
            RAISED => Err(Error::raised()),
            code => refuse(lua, code),
        }
    }

    /// A token that ends the wait of `operation`, which is parked, from any thread.
    pub fn token(self, operation: &Parked) -> Result<Token, Errno> {
        let mut token = MaybeUninit::uninit();
        done(self.0.token(operation, &mut token))?;
        // SAFETY: it was written, since the function gave 0.
        Ok(unsafe { token.assume_init() })
    }

    /// From now on nothing of the state ends the process: see [`FAILURE`]. May
    /// raise.
    ///
    /// [`FAILURE`]: super::FAILURE
    pub fn contain(self, lua: Lua) {
        self.0.contain(lua);
    }

    /// A token that stops the loop of this state.
    pub fn stopper(self) -> Result<Token, Errno> {
        let mut token = MaybeUninit::uninit();
        done(self.0.stopper(&mut token))?;
        // SAFETY: it was written, since the function gave 0.
        Ok(unsafe { token.assume_init() })
    }

    /// Ends the loops of this state for good, whatever runs in them.
    ///
    /// # Safety
    ///
    /// May be called by any thread, but not after the state has begun to close.
    pub unsafe fn cancel(self) {
        self.0.cancel();
    }

    /// The process that the state's waits and threads belong to: another one in
    /// a forked child that has started anew.
    pub fn process(self) -> u32 {
        self.0.process()
    }

    /// The timeout argument of stream operations at `index`: here, so that
    /// modules need no arithmetic with floats, large where there is no unit for it.
    pub fn timeout(self, lua: Lua, index: c_int) -> Nanoseconds {
        self.0.timeout(lua, index)
    }

    /// Ends a call that never waits and has pushed its results: fair to others
    /// even when it is called in a loop. May raise for want of memory.
    pub fn settle(self, lua: Lua, returns: Returns) -> Outcome {
        Ok(self.0.settle(lua, returns.0, false))
    }

    /// Withdraws an operation whose owner goes away; nobody is resumed.
    pub fn forget(self, operation: &Parked) {
        if operation.task.get() != NO_TASK {
            self.0.forget(operation);
        }
    }

    /// True while a coroutine really waits on the operation.
    pub fn is_parked(self, operation: &Parked) -> bool {
        operation.task.get() != NO_TASK && self.0.is_parked(operation)
    }

    /// Refuses a second waiter per handle and per direction of an fd.
    pub fn check_idle(
        self,
        operation: &Parked,
        fd: c_int,
        interest: Interest,
    ) -> Result<(), Error> {
        idle(self.0.busy(operation, fd, interest))
    }

    /// False when the reactor knows that a try would block: nothing happened
    /// on the fd since [`Core::drained`].
    pub fn may_be_ready(self, fd: c_int, interest: Interest) -> bool {
        self.0.may_be_ready(fd, interest)
    }

    /// Notes that the fd has nothing more to give in this direction.
    pub fn drained(self, fd: c_int, interest: Interest) {
        self.0.drained(fd, interest);
    }

    /// Forgets what was known about an fd number: it was opened or closed.
    pub fn fd_reset(self, fd: c_int) {
        self.0.fd_reset(fd);
    }

    /// Starts a coroutine of the function below `arguments` values, as
    /// `eco.run` does; leaves the thread in their place. May raise.
    pub fn spawn(self, lua: Lua, arguments: c_int) {
        self.0.spawn(lua, arguments);
    }

    /// Runs the interpreter's own loop, unless an explicit one was stopped; it
    /// begins with the function below `arguments` values, if not negative.
    pub fn main_loop(self, lua: Lua, arguments: c_int) -> Result<(), Errno> {
        done(self.0.main_loop(lua, arguments))
    }

    /// Sets or moves the owner's alarm to `at` on `clock`.
    pub fn set_alarm<T: Fires>(
        self,
        owner: &T,
        clock: Clock,
        at: Nanoseconds,
    ) -> Result<(), Errno> {
        done(
            self.0
                .set_alarm(owner.alarm(), Callback::fire(owner), clock, at),
        )
    }

    /// Clears an alarm; nothing happens when it is not set.
    pub fn clear_alarm(self, alarm: &Alarm) {
        if alarm.0.is_set() {
            self.0.clear_alarm(alarm);
        }
    }

    /// Tells the owner once when `fd` is readable. This does not keep the loop
    /// going, and ends by [`Core::unwatch`] before the fd is closed.
    pub fn watch<T: Watches>(self, owner: &T, fd: c_int) -> Result<(), Errno> {
        done(self.0.watch(owner.watch(), Callback::ready(owner), fd))
    }

    /// Ends a watch; nothing happens when there is none.
    pub fn unwatch(self, watch: &Watch) {
        if watch.0.is_set() {
            self.0.unwatch(watch);
        }
    }

    /// Adds to the count of things that keep the loop going though no
    /// coroutine waits for an fd or a timer.
    pub fn hold(self, change: c_int) {
        self.0.hold(change);
    }
}

impl Host for Core {
    unsafe fn park_raw(
        self,
        lua: Lua,
        operation: *const Parked,
        fd: c_int,
        interest: Interest,
        timeout: Nanoseconds,
    ) -> c_int {
        self.0.park(lua, operation, fd, interest, timeout)
    }

    fn can_wait(self, fd: c_int) -> bool {
        self.0.can_wait(fd)
    }

    fn change_interest(self, operation: &Parked, fd: c_int, interest: Interest) -> c_int {
        self.0.change_interest(operation, fd, interest)
    }

    fn restart_timeout(self, operation: &Parked, timeout: Nanoseconds) {
        self.0.restart_timeout(operation, timeout);
    }

    fn wake(self, operation: &Parked, cause: Cause) {
        if operation.task.get() != NO_TASK {
            self.0.wake(operation, cause);
        }
    }

    fn settle(self, lua: Lua, count: c_int) -> Returns {
        self.0.settle(lua, count, true)
    }
}

/// Makes a function that never waits fair: one that calls it in a loop lets
/// others run, too. Not for what gives a bare descriptor away: a coroutine that
/// is closed meanwhile would lose it.
pub const fn fair<F>(body: F) -> impl Fn(Lua) -> Outcome + Copy
where
    F: Fn(Lua) -> Outcome + Copy,
{
    move |lua| settled(lua, body(lua))
}

#[inline(never)]
fn settled(lua: Lua, outcome: Outcome) -> Outcome {
    // Also from a finaliser while the state closes, which never yields.
    Core::of_any(lua).settle(lua, outcome?)
}

/// The result of a function that gives 0 or a negative error number.
fn done(code: c_int) -> Result<(), Errno> {
    match code {
        0 => Ok(()),
        errno => Err(Errno::from_raw(-errno)),
    }
}
