//! Waiting for a file lock without blocking the thread: flock(2) is tried
//! again and again, at growing intervals.

use std::cell::Cell;
use std::ffi::{c_int, CStr};

use nix::errno::Errno;

use super::calls;
use crate::core::{monotonic, Cause, Core, Interest, Nanoseconds, Parked, Step};
use crate::io::wait_timeout;
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
    fd: Cell<c_int>,
    operation: c_int,
    pause: Cell<Nanoseconds>,
    deadline: Nanoseconds,
}

crate::operation!(Wait);

/// `flock(fd, operation [, timeout])` -> true, or `nil, message`.
pub fn flock(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    let (fd, operation) = (lua.int(1)?, lua.int(2)?);
    let timeout = wait_timeout(lua, 3, None)?;
    let problem = calls::flock(fd, operation).err();
    if timeout == Some(0) || !is_busy(problem) {
        return Ok(Returns(push_result(lua, problem)));
    }
    let wait = lua.reserve::<Wait>(0, core.pointer()).fill(Wait {
        parked: Parked::new::<Wait>(),
        core,
        fd: Cell::new(-1),
        operation,
        pause: Cell::new(FIRST_PAUSE),
        deadline: timeout.map_or(Nanoseconds::MAX, |timeout| {
            monotonic().saturating_add(timeout)
        }),
    });
    match calls::duplicate(fd) {
        Ok(copy) => wait.fd.set(copy),
        Err(errno) => return lua.fail_errno(errno),
    }
    core.park(lua, &wait.parked, -1, Interest::NONE, wait.next_pause())
}

/// True when somebody else holds the lock.
fn is_busy(problem: Option<Errno>) -> bool {
    matches!(problem, Some(Errno::EAGAIN | Errno::EINTR))
}

/// Pushes true, or nil and a message. May raise.
fn push_result(lua: Lua, problem: Option<Errno>) -> c_int {
    let Some(errno) = problem else {
        lua.push_bool(true);
        return 1;
    };
    lua.push_nil();
    if is_busy(problem) {
        lua.push_str("timeout");
    } else {
        lua.push_errno(errno);
    }
    2
}

impl Wait {
    /// How long to wait now: doubles each time, with up to a fifth more so that
    /// those who wait do not all try at once.
    fn next_pause(&self) -> Nanoseconds {
        let pause = self.pause.get();
        self.pause.set((pause * 2).min(LONGEST_PAUSE));
        let now = monotonic();
        let pause = pause + i64::from(now as u32 % (pause as u32 / 5));
        pause.min(self.deadline - now).max(1)
    }

    fn poll(&self, lua: Lua, _cause: Cause) -> Step {
        let problem = calls::flock(self.fd.get(), self.operation).err();
        if is_busy(problem) && monotonic() < self.deadline {
            self.core.restart_timeout(&self.parked, self.next_pause());
            return Step::Pending;
        }
        self.abandon();
        Step::Done(push_result(lua, problem))
    }

    fn abandon(&self) {
        calls::close_own(self.fd.replace(-1));
    }
}

impl UserData for Wait {
    const NAME: &'static CStr = c"eco.flock";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _lua: Lua) {
        self.core.forget(&self.parked);
        self.abandon();
    }
}
