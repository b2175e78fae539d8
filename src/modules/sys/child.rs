//! Child processes that `eco` started: each is waited for by its own pid, so
//! that children of `io.popen`, of other libraries and of the script itself
//! are left to whoever started them.
//!
//! A child is anchored in the registry until it ends, whoever drops its
//! handle: none stays behind as a zombie while the loop runs. Watching it does
//! not keep the loop going; waiting for it does.
//!
//! A child that leads a process group is not waited for when it ends, but when
//! its status is collected or its handle closed: till then the number of the
//! group is no other's, and what is left of the group can be ended.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};
use std::ptr;

use nix::errno::Errno;

use super::status::push_status;
use crate::abi::{
    monotonic, Alarm, Cause, Clock, Core, Host, Interest, Nanoseconds, Parked, Step, Watch,
};
use crate::core::runtime::Home;
use crate::functions;
use crate::lua::{ffi, method, Functions, Lua, Outcome, Returns, UserData};
use crate::system::{fd, process};

/// Registry field of the table of running children, by the address of each.
const CHILDREN: &CStr = c"eco.children";

/// First and longest pause between two looks at a child that has no pidfd.
const FIRST_PAUSE: Nanoseconds = 1_000_000;
const LONGEST_PAUSE: Nanoseconds = 64_000_000;

/// Of a child whose output is not ours.
pub const NO_STREAMS: [c_int; 2] = [-1, -1];

/// What is known of a child.
#[derive(Clone, Copy)]
enum State {
    Running,
    /// Its raw wait status.
    Ended(c_int),
    /// Somebody else took the status.
    Lost,
}

/// A child process.
#[repr(C)]
pub struct Child {
    /// For a child that has a pidfd, and for one that has none.
    watch: Watch,
    alarm: Alarm,
    core: Core,
    pid: Cell<i32>,
    state: Cell<State>,
    /// The status was given to a waiter.
    collected: Cell<bool>,
    /// It leads a process group, which gets its signals.
    leads: Cell<bool>,
    /// Its handle was not closed.
    is_open: Cell<bool>,
    /// How many are about to end its group.
    guards: Cell<u32>,
    /// It has ended, but was not waited for.
    is_zombie: Cell<bool>,
    /// -1 when there is none.
    pidfd: Cell<c_int>,
    pause: Cell<Nanoseconds>,
    /// Our ends of its output, -1 once closed or handed over.
    streams: Cell<[c_int; 2]>,
    /// Operations to wake when it ends. Each removes itself before it goes.
    waiters: RefCell<Vec<*const Parked>>,
}

crate::alarm!(Child, watch);

impl Child {
    /// Pushes the record of a child about to be started: everything that may
    /// raise happens here, nothing later.
    pub fn push(lua: &Lua, core: Core) -> &Child {
        if lua.get_field(ffi::LUA_REGISTRYINDEX, CHILDREN) != ffi::LUA_TTABLE {
            lua.pop(1);
            lua.push_table(0, 1);
            lua.push_value(-1);
            lua.set_field(ffi::LUA_REGISTRYINDEX, CHILDREN);
        }
        let child = lua.reserve::<Child>(0, core.pointer()).fill(Child {
            watch: Watch::new(),
            alarm: Alarm::new(),
            core,
            pid: Cell::new(0),
            state: Cell::new(State::Lost),
            collected: Cell::new(false),
            leads: Cell::new(false),
            is_open: Cell::new(true),
            guards: Cell::new(0),
            is_zombie: Cell::new(false),
            pidfd: Cell::new(-1),
            pause: Cell::new(FIRST_PAUSE),
            streams: Cell::new(NO_STREAMS),
            waiters: RefCell::default(),
        });
        lua.push_pointer(ptr::from_ref(child).cast());
        lua.push_value(-2);
        lua.raw_set(-4);
        lua.remove(-2);
        process::keep_statuses();
        child
    }

    /// The child was started; its streams are ours from now on. Does not raise.
    pub fn begin(&self, pid: i32, streams: [c_int; 2], leads: bool) {
        self.pid.set(pid);
        self.leads.set(leads);
        self.state.set(State::Running);
        self.streams.set(streams);
        for stream in streams {
            self.core.fd_reset(stream);
        }
        if let Ok(pidfd) = process::open_pidfd(pid) {
            self.pidfd.set(pidfd);
        }
        self.look_out();
    }

    pub fn pid(&self) -> i32 {
        self.pid.get()
    }

    pub fn has_ended(&self) -> bool {
        !matches!(self.state.get(), State::Running)
    }

    /// Hands its output streams over to the caller.
    pub fn take_streams(&self) -> [c_int; 2] {
        self.streams.replace(NO_STREAMS)
    }

    /// Its output streams.
    pub fn streams(&self) -> [c_int; 2] {
        self.streams.get()
    }

    /// In a forked child: the children of the parent are no business of ours.
    pub fn forget_all(lua: Lua) {
        lua.push_nil();
        lua.set_field(ffi::LUA_REGISTRYINDEX, CHILDREN);
    }

    /// The running child with this pid.
    pub fn find(lua: &Lua, pid: i32) -> Option<&Child> {
        let mut found = None;
        if lua.get_field(ffi::LUA_REGISTRYINDEX, CHILDREN) == ffi::LUA_TTABLE {
            lua.push_nil();
            while found.is_none() && lua.next(-2) {
                found = lua.userdata::<Child>(-1).filter(|child| child.pid() == pid);
                lua.pop(1);
            }
            lua.set_top(lua.top() - c_int::from(found.is_some()));
        }
        lua.pop(1);
        found
    }

    // ---- noticing the end -----------------------------------------------------------

    /// Waits for the pidfd; without one, looks again after a while.
    fn look_out(&self) {
        let pidfd = self.pidfd.get();
        if pidfd >= 0 && self.core.watch(self, pidfd).is_ok() {
            return;
        }
        let pause = self.pause.get();
        self.pause.set((pause * 2).min(LONGEST_PAUSE));
        let _ = self.core.set_alarm(self, Clock::Idle, monotonic() + pause);
    }

    fn ready(&self, lua: Lua) {
        self.fire(lua);
    }

    fn fire(&self, lua: Lua) {
        if !self.reap(lua) {
            self.look_out();
        }
    }

    /// Takes the status if there is one; true when the child is gone. May raise.
    fn reap(&self, lua: Lua) -> bool {
        if self.has_ended() {
            return true;
        }
        let pid = self.pid.get();
        let put_off = self.leads.get() && self.is_watched();
        let status = if put_off {
            process::ended(pid)
        } else {
            process::wait_for(pid, 0).map(|found| found.map(|(_, status)| status))
        };
        match status {
            Ok(None) => return false,
            Ok(status) => {
                self.is_zombie.set(put_off);
                self.finish(lua, status);
            }
            Err(_) => self.finish(lua, None),
        }
        true
    }

    /// Whether somebody may still want to end its group.
    fn is_watched(&self) -> bool {
        self.is_open.get() || self.guards.get() > 0
    }

    /// Waits for it, if that was put off.
    fn bury(&self) {
        if self.is_zombie.replace(false) {
            // Somebody else may have done so.
            let _ = process::wait_for(self.pid.get(), 0);
        }
    }

    /// The child is gone: wakes who waits, then calls the hook. May raise.
    pub fn finish(&self, lua: Lua, status: Option<c_int>) {
        self.state.set(status.map_or(State::Lost, State::Ended));
        self.forget_pidfd();
        for waiter in &*self.waiters.borrow() {
            // SAFETY: waiters remove themselves before they go.
            self.core.wake(unsafe { &**waiter }, Cause::WAKE);
        }
        let pid = self.pid.get();
        // From here on the caller may be all that keeps it.
        self.release(lua);
        let hook = Home::of(self.core).child_hook.get();
        if let (Some(status), true) = (status, hook != ffi::LUA_NOREF) {
            lua.push_reference(hook);
            lua.push_integer(i64::from(pid));
            push_status(lua, status);
            lua.call(2, 0);
        }
    }

    fn forget_pidfd(&self) {
        self.core.clear_alarm(&self.alarm);
        self.core.unwatch(&self.watch);
        let _ = fd::close(self.pidfd.replace(-1));
    }

    /// Takes it out of the table of running children.
    pub fn release(&self, lua: Lua) {
        if lua.get_field(ffi::LUA_REGISTRYINDEX, CHILDREN) == ffi::LUA_TTABLE {
            lua.push_pointer(ptr::from_ref(self).cast());
            lua.push_nil();
            lua.raw_set(-3);
        }
        lua.pop(1);
    }

    // ---- waiting --------------------------------------------------------------------

    /// Wakes `waiter` when the child ends, and keeps the loop going till then.
    fn add_waiter(&self, waiter: &Parked) {
        if !self.has_ended() {
            self.waiters.borrow_mut().push(waiter);
            self.core.hold(1);
        }
    }

    /// Takes a waiter back; nothing happens when it is not there.
    fn remove_waiter(&self, waiter: &Parked) {
        let mut waiters = self.waiters.borrow_mut();
        if let Some(at) = waiters.iter().position(|&other| ptr::eq(other, waiter)) {
            waiters.swap_remove(at);
            self.core.hold(-1);
        }
    }

    /// Pushes `pid, status`, or `nil, message` when the status is lost; the
    /// status is collected then, unless it is to be kept. May raise.
    fn push_end(&self, lua: Lua, keep: bool) -> c_int {
        if !keep {
            self.collected.set(true);
            self.bury();
        }
        if let State::Ended(status) = self.state.get() {
            lua.push_integer(i64::from(self.pid.get()));
            push_status(lua, status);
        } else {
            lua.push_nil();
            lua.push_errno(Errno::ECHILD);
        }
        2
    }

    /// Sends a signal, unless the child is gone: its number may be another's.
    fn signal(&self, signal: c_int) -> Result<(), Errno> {
        let pid = self.pid.get();
        if self.is_zombie.get() {
            // Somebody else may have waited for it.
            process::ended(pid)?;
        } else if self.has_ended() {
            return Err(Errno::ESRCH);
        }
        process::kill(if self.leads.get() { -pid } else { pid }, signal)
    }

    /// Starts a wait of the child in argument 1. May raise.
    fn start_wait(&self, lua: Lua, timeout: Nanoseconds, keep: bool) -> Outcome {
        if self.waiters.borrow_mut().try_reserve(1).is_err() {
            return Err("not enough memory".into());
        }
        let late = self.has_ended();
        let wait = lua.reserve::<Wait>(1, self.core.pointer()).fill(Wait {
            parked: Parked::new::<Wait>(),
            core: self.core,
            child: Cell::new(self),
            late,
            keep,
        });
        lua.push_value(1);
        lua.set_user_value(-2, 1);
        let outcome = self.core.park(lua, wait, -1, Interest::NONE, timeout)?;
        if outcome == Returns::YIELD {
            self.add_waiter(&wait.parked);
        }
        Ok(outcome)
    }

    // ---- methods --------------------------------------------------------------------

    /// `wait([timeout [, keep]])` -> pid, status, which is used up unless kept.
    fn wait_method(lua: Lua, this: &Child) -> Outcome {
        let timeout = lua.wait_timeout(2, None)?;
        let keep = lua.to_bool(3);
        if this.reap(lua) && (keep || !this.collected.get()) {
            let count = this.push_end(lua, keep);
            return Ok(Host::settle(this.core, lua, count));
        }
        match timeout {
            Some(0) => {
                lua.fail("timeout")?;
                Ok(Host::settle(this.core, lua, 2))
            }
            timeout => this.start_wait(lua, timeout.unwrap_or(0), keep),
        }
    }

    /// `signal(number)`.
    fn signal_method(lua: Lua, this: &Child) -> Outcome {
        let signal = lua.int(2)?;
        lua.done(this.signal(signal))
    }

    /// `close(stdout_reader, stderr_reader)`: closes both and the pipes. Nobody
    /// wants to end what is left of a group any more.
    fn close(lua: Lua, this: &Child) -> Outcome {
        for index in [2, 3] {
            if let Some(reader) = this.core.reader_at(lua, index) {
                reader.close();
            }
        }
        this.close_streams();
        this.is_open.set(false);
        if !this.is_watched() {
            this.bury();
        }
        Ok(Returns(0))
    }

    /// `guard(begins)`: somebody is going to end its group, or is done with it.
    fn guard(lua: Lua, this: &Child) -> Outcome {
        let guards = this.guards.get();
        if lua.to_bool(2) {
            this.guards.set(guards + 1);
        } else {
            this.guards.set(guards.saturating_sub(1));
            if !this.is_watched() {
                this.bury();
            }
        }
        Ok(Returns(0))
    }

    /// Closes our ends of its output.
    fn close_streams(&self) {
        for stream in self.take_streams() {
            let _ = fd::close(stream);
            self.core.fd_reset(stream);
        }
    }
}

impl UserData for Child {
    const NAME: &'static CStr = c"eco.child";
    const METHODS: Functions = functions! {
        wait: method(Child::wait_method),
        signal: method(Child::signal_method),
        close: method(Child::close),
        guard: method(Child::guard),
    };

    fn finalise(&self, _lua: Lua) {
        self.forget_pidfd();
        self.close_streams();
        self.bury();
    }
}

/// A coroutine that waits for a child. The userdata's user value is the child.
#[repr(C)]
struct Wait {
    parked: Parked,
    core: Core,
    child: Cell<*const Child>,
    /// It came after the status was collected: there is nothing to wait for.
    late: bool,
    /// The status is for others, too.
    keep: bool,
}

crate::operation!(Wait);

impl Wait {
    fn child(&self) -> &Child {
        // SAFETY: the user value keeps the child, at least as long as the wait
        // is parked or not finalised; both are finalised in that order.
        unsafe { &*self.child.get() }
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        let child = self.child();
        if !self.late && child.has_ended() {
            self.abandon();
            return Step::Done(child.push_end(lua, self.keep));
        }
        if !cause.has(Cause::TIMEOUT) {
            return Step::Pending;
        }
        self.abandon();
        lua.push_nil();
        lua.push_str("timeout");
        Step::Done(2)
    }

    fn abandon(&self) {
        self.child().remove_waiter(&self.parked);
    }
}

impl UserData for Wait {
    const NAME: &'static CStr = c"eco.wait";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _lua: Lua) {
        self.core.forget(&self.parked);
        self.abandon();
    }
}
