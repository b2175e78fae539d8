//! Waiting for a file lock without blocking the thread: flock(2) is tried
//! again and again, at growing intervals.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;

use super::calls;
use crate::core::{duration, monotonic, Cause, Core, Interest, Nanoseconds, Parked, Step};
use crate::lua::{Functions, Lua, Outcome, Returns, UserData};

/// First and longest pause between two tries.
const FIRST_PAUSE: Nanoseconds = 1_000_000;
const LONGEST_PAUSE: Nanoseconds = 50_000_000;

/// A coroutine that wants a lock.
#[repr(C)]
struct Wait {
    parked: Parked,
    core: Core,
    /// An fd of its own for the same open file: the script may close its own
    /// meanwhile, and the number may come to mean another file.
    fd: RefCell<Option<OwnedFd>>,
    operation: c_int,
    pause: Cell<Nanoseconds>,
    /// None: for ever.
    deadline: Option<Nanoseconds>,
}

crate::operation!(Wait);

/// `flock(fd, operation [, timeout])` -> true, or `nil, message`.
pub fn flock(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    let (fd, operation) = (lua.int(1)?, lua.int(2)?);
    let timeout = if lua.is_none_or_nil(3) { None } else { Some(duration(lua.number(3)?)) };
    match calls::flock(fd, operation) {
        Ok(()) => {
            lua.push_bool(true);
            return Ok(Returns(1));
        }
        Err(Errno::EAGAIN | Errno::EINTR) => {}
        Err(errno) => return lua.fail_errno(errno),
    }
    if timeout == Some(0) {
        return lua.fail("timeout");
    }
    let wait = lua.reserve::<Wait>(0, core.pointer()).fill(Wait {
        parked: Parked::new::<Wait>(),
        core,
        fd: RefCell::new(None),
        operation,
        pause: Cell::new(FIRST_PAUSE),
        deadline: timeout.map(|timeout| monotonic().saturating_add(timeout)),
    });
    match calls::duplicate(fd) {
        Ok(copy) => *wait.fd.borrow_mut() = Some(copy),
        Err(errno) => return lua.fail_errno(errno),
    }
    core.park(lua, &wait.parked, -1, Interest::NONE, wait.next_pause())
}

impl Wait {
    /// How long to wait now: doubles each time, with up to a fifth more so that
    /// those who wait do not all try at once.
    fn next_pause(&self) -> Nanoseconds {
        let pause = self.pause.get();
        self.pause.set((pause * 2).min(LONGEST_PAUSE));
        let now = monotonic();
        let pause = pause + i64::from(now as u32 % (pause as u32 / 5));
        self.deadline.map_or(pause, |deadline| pause.min(deadline - now)).max(1)
    }

    fn poll(&self, lua: Lua, _cause: Cause) -> Step {
        let fd = self.fd.borrow().as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let problem = calls::flock(fd, self.operation).err();
        if matches!(problem, Some(Errno::EAGAIN | Errno::EINTR)) && self.deadline.is_none_or(|at| monotonic() < at) {
            self.core.restart_timeout(&self.parked, self.next_pause());
            return Step::Pending;
        }
        self.abandon();
        match problem {
            None => {
                lua.push_bool(true);
                return Step::Done(1);
            }
            Some(Errno::EAGAIN | Errno::EINTR) => {
                lua.push_nil();
                lua.push_str("timeout");
            }
            Some(errno) => {
                lua.push_nil();
                lua.push_errno(errno);
            }
        }
        Step::Done(2)
    }

    fn abandon(&self) {
        *self.fd.borrow_mut() = None;
    }
}

impl UserData for Wait {
    const NAME: &'static CStr = c"eco.flock";
    const METHODS: Functions = &[];

    fn finalise(&self, _lua: Lua) {
        self.core.forget(&self.parked);
    }
}
