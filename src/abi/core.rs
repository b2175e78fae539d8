//! [`Core`]: the safe face of the table.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use nix::errno::Errno;

use super::operation::NO_TASK;
use super::table::{
    Abi, CLOSED, CLOSING, OBJECT_BUSY, OUTSIDE_COROUTINE, RAISED, READ_BUSY, REGISTRY_KEY, VERSION,
    WRITE_BUSY,
};
use super::{Alarm, Cause, Clock, Interest, Nanoseconds, Parked, WorkFunction};
use crate::lua::{ffi, Error, Lua, Outcome, Returns};

/// The scheduler of the state a function runs in.
#[derive(Clone, Copy)]
pub struct Core(pub(super) *const Abi);

/// Each wrapper below calls through the table: sound because a `Core` is only
/// made from a live state's core, and the objects passed are borrowed live.
macro_rules! through {
    ($self:ident.$name:ident($($arg:expr),*)) => {{
        // SAFETY: as stated at the macro.
        unsafe { ((*$self.0).$name)($self.0 $(, $arg)*) }
    }};
}
pub(super) use through;

impl Core {
    /// The core of a function registered with [`Core::pointer`] as upvalue 1.
    /// Raises an error when the state is closing, so it comes before anything
    /// that would be lost then.
    pub fn of(lua: Lua) -> Core {
        let core = Core::of_any(lua);
        // SAFETY: the memory of the core is there until the state is gone.
        if unsafe { (*core.0).version } == CLOSED {
            lua.raise(CLOSING.into());
        }
        core
    }

    /// The same, also in a state that is closing.
    pub fn of_any(lua: Lua) -> Core {
        Core(lua.to_userdata(Lua::upvalue(1)).cast())
    }

    /// A core from its table.
    ///
    /// # Safety
    ///
    /// `table` is the table of a live state's core.
    pub const unsafe fn from_table(table: *const Abi) -> Core {
        Core(table)
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
            return Ok(Core(table));
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
        self.0.cast()
    }

    /// Parks the running coroutine on `operation`, as the last thing a blocking
    /// call does: waits for `interest` on `fd` (-1 for none), at most `timeout`
    /// ns (0 = for ever). May raise.
    ///
    /// Ends with a yield, with `nil, message` when the fd cannot be waited
    /// for, or with an error when yielding is impossible or the fd is busy.
    pub fn park(
        self,
        lua: Lua,
        operation: &Parked,
        fd: c_int,
        interest: Interest,
        timeout: Nanoseconds,
    ) -> Outcome {
        match through!(self.park(lua.state(), operation, fd, interest, timeout)) {
            0 => Ok(Returns::YIELD),
            OUTSIDE_COROUTINE => Err("attempt to yield from outside a coroutine".into()),
            code if code > 0 => idle(code).map(|()| Returns(0)),
            errno => lua.fail_errno(Errno::from_raw(-errno)),
        }
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
    pub unsafe fn offload(
        self,
        lua: Lua,
        operation: &Parked,
        run: WorkFunction,
        release: WorkFunction,
        context: *mut c_void,
    ) -> Outcome {
        match through!(self.offload(lua.state(), operation, run, release, context)) {
            0 => Ok(Returns::YIELD),
            RAISED => Err(Error::raised()),
            OUTSIDE_COROUTINE => Err("attempt to yield from outside a coroutine".into()),
            errno => lua.fail_errno(Errno::from_raw(-errno)),
        }
    }

    /// The timeout argument of stream operations at `index`: here, so that
    /// modules need no arithmetic with floats, large where there is no unit for it.
    pub fn timeout(self, lua: Lua, index: c_int) -> Nanoseconds {
        through!(self.timeout(lua.state(), index))
    }

    /// Restarts the parked operation's timeout; 0 removes it.
    pub fn restart_timeout(self, operation: &Parked, timeout: Nanoseconds) {
        through!(self.restart_timeout(operation, timeout));
    }

    /// From inside a poll: goes on to wait for `interest` on `fd` (-1 for none).
    pub fn change_interest(
        self,
        operation: &Parked,
        fd: c_int,
        interest: Interest,
    ) -> Result<(), Errno> {
        match through!(self.change_interest(operation, fd, interest)) {
            0 => Ok(()),
            errno => Err(Errno::from_raw(-errno)),
        }
    }

    /// Queues the parked operation for a poll, unless it is queued already.
    pub fn wake(self, operation: &Parked, cause: Cause) {
        if operation.task.get() != NO_TASK {
            through!(self.wake(operation, cause));
        }
    }

    /// Withdraws an operation whose owner goes away; nobody is resumed.
    pub fn forget(self, operation: &Parked) {
        if operation.task.get() != NO_TASK {
            through!(self.forget(operation));
        }
    }

    /// True while a coroutine really waits on the operation.
    pub fn is_parked(self, operation: &Parked) -> bool {
        operation.task.get() != NO_TASK && through!(self.is_parked(operation))
    }

    /// True when some coroutine waits for any of `interest` on `fd`.
    pub fn is_busy(self, fd: c_int, interest: Interest) -> bool {
        through!(self.is_busy(fd, interest))
    }

    /// Refuses a second waiter per handle and per direction of an fd.
    pub fn check_idle(
        self,
        operation: &Parked,
        fd: c_int,
        interest: Interest,
    ) -> Result<(), Error> {
        idle(self.busy(operation, fd, interest))
    }

    /// The same as a code, 0 when idle.
    pub(crate) fn busy(self, operation: &Parked, fd: c_int, interest: Interest) -> c_int {
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

    /// False when the reactor knows that a try would block: nothing happened
    /// on the fd since [`Core::drained`].
    pub fn may_be_ready(self, fd: c_int, interest: Interest) -> bool {
        through!(self.may_be_ready(fd, interest))
    }

    /// Notes that the fd has nothing more to give in this direction.
    pub fn drained(self, fd: c_int, interest: Interest) {
        through!(self.drained(fd, interest));
    }

    /// Forgets what was known about an fd number: it was opened or closed.
    pub fn fd_reset(self, fd: c_int) {
        through!(self.fd_reset(fd));
    }

    /// Counts one non-blocking operation of the running coroutine; true when
    /// it has had its share and should let others run first.
    pub fn spend(self, lua: Lua) -> bool {
        through!(self.spend(lua.state()))
    }

    /// Starts a coroutine of the function below `arguments` values, as
    /// `eco.run` does; leaves the thread in their place. May raise.
    pub fn spawn(self, lua: Lua, arguments: c_int) {
        through!(self.spawn(lua.state(), arguments));
    }

    /// Runs the interpreter's own loop, unless an explicit one was stopped.
    pub fn main_loop(self, lua: Lua) -> Result<(), Errno> {
        match through!(self.main_loop(lua.state())) {
            0 => Ok(()),
            errno => Err(Errno::from_raw(-errno)),
        }
    }

    /// Sets or moves an alarm to `at` on `clock`.
    pub fn set_alarm(self, alarm: &Alarm, clock: Clock, at: Nanoseconds) -> Result<(), Errno> {
        match through!(self.set_alarm(alarm, clock, at)) {
            0 => Ok(()),
            errno => Err(Errno::from_raw(-errno)),
        }
    }

    /// Clears an alarm; nothing happens when it is not set.
    pub fn clear_alarm(self, alarm: &Alarm) {
        if alarm.is_set() {
            through!(self.clear_alarm(alarm));
        }
    }

    /// Adds to the count of things that keep the loop going though no
    /// coroutine waits for an fd or a timer.
    pub fn hold(self, change: c_int) {
        through!(self.hold(change));
    }
}

/// Who waits already, as an error.
pub(super) fn idle(code: c_int) -> Result<(), Error> {
    Err(match code {
        0 => return Ok(()),
        READ_BUSY => "another coroutine is already waiting for read on this file descriptor",
        WRITE_BUSY => "another coroutine is already waiting for write on this file descriptor",
        _ => "another coroutine is already waiting on this I/O object",
    }
    .into())
}
