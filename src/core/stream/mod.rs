//! What readers and writers of a stream share: the fd, the one wait there may
//! be for it, cancelling and closing, and the last failure.
//!
//! A stream is the first field of its owner, and the owner's operation: the
//! core's table knows both by the stream's address.
#![allow(unsafe_code)]

mod buffer;
mod reader;
mod wait;
mod writer;

pub use buffer::Buffer;
pub use reader::Reader;
pub use wait::{is_ready, Io};
pub use writer::Writer;

use std::cell::Cell;
use std::ffi::{c_char, c_int};
use std::ptr;

use nix::errno::Errno;

use crate::abi::{Cause, Core, Interest, Nanoseconds, Parked, Step};
use crate::core::runtime::Runtime;
use crate::lua::{Error, Lua, Outcome, Returns};

/// `-EAGAIN`: the attempt would block.
pub const AGAIN: isize = -(libc::EAGAIN as isize);

/// The common part.
#[repr(C)]
pub struct Stream {
    pub parked: Parked,
    pub core: Core,
    direction: Interest,
    pub fd: Cell<c_int>,
    closed: Cell<bool>,
    /// The request is for readiness alone.
    only_waits: Cell<bool>,
    timeout: Cell<Nanoseconds>,
    /// Text or number of the last failure.
    failure_text: Cell<*const c_char>,
    failure: Cell<Errno>,
}

/// What one step of a request came to.
pub enum Turn {
    /// Finished: that many results were pushed.
    Done(c_int),
    /// A count of bytes that were moved, or a negative error number.
    Moved(isize),
}

/// The direction's own part of a stream.
pub trait Transfer {
    /// Moves the request on by at most one system call. May raise.
    fn step(&self, lua: Lua) -> Turn;
    /// It is about to wait.
    fn pause(&self) {}
    /// The request ends without having been finished.
    fn abandon(&self) {}
}

impl Stream {
    /// A stream of `fd` in one direction.
    pub fn new(parked: Parked, core: Core, direction: Interest, fd: c_int) -> Stream {
        Stream {
            parked,
            core,
            direction,
            fd: Cell::new(fd),
            closed: Cell::new(false),
            only_waits: Cell::new(true),
            timeout: Cell::new(0),
            failure_text: Cell::new(ptr::null()),
            failure: Cell::new(Errno::UnknownErrno),
        }
    }

    /// Refuses a second waiter.
    pub fn check_idle(&self) -> Result<(), Error> {
        self.core
            .check_idle(&self.parked, self.fd.get(), self.direction)
    }

    /// The same as a code, for the core's table.
    pub fn busy(&self) -> c_int {
        self.core.busy(&self.parked, self.fd.get(), self.direction)
    }

    /// Starts a request, as the last act of a call.
    pub fn start(
        &self,
        lua: Lua,
        transfer: &dyn Transfer,
        only_waits: bool,
        timeout: Nanoseconds,
    ) -> Outcome {
        let core = self.core;
        self.only_waits.set(only_waits);
        self.timeout.set(timeout);
        if !only_waits && core.spend(lua) {
            let outcome = core.park(lua, &self.parked, -1, Interest::NONE, 0)?;
            core.wake(&self.parked, Cause::WAKE);
            return Ok(outcome);
        }
        if let (Step::Done(count), _) = self.advance(lua, transfer) {
            return Ok(Returns(count));
        }
        let parked = core.park(lua, &self.parked, self.fd.get(), self.direction, timeout);
        if !matches!(parked, Ok(Returns::YIELD)) {
            transfer.abandon();
        }
        parked
    }

    /// The owner's poll.
    pub fn poll(&self, lua: Lua, cause: Cause, transfer: &dyn Transfer) -> Step {
        if cause.has(Cause::CANCEL) || self.fd.get() < 0 {
            transfer.abandon();
            return failed(lua, "canceled");
        }
        if cause.has(Cause::TIMEOUT) {
            transfer.abandon();
            return failed(lua, "timeout");
        }
        let woken = cause.has(Cause::WAKE);
        if woken && self.only_waits.get() {
            lua.push_bool(true);
            return Step::Done(1);
        }
        let (step, moved) = self.advance(lua, transfer);
        if step != Step::Pending {
            return step;
        }
        if woken {
            // It may not have waited for the fd yet (see `start`).
            let waits = self
                .core
                .change_interest(&self.parked, self.fd.get(), self.direction);
            if let Err(errno) = waits {
                transfer.abandon();
                lua.push_nil();
                lua.push_errno(errno);
                return Step::Done(2);
            }
        }
        if moved || woken {
            self.core.restart_timeout(&self.parked, self.timeout.get());
        }
        Step::Pending
    }

    /// Moves the request on until it is done or would block; then, whether any
    /// bytes were moved. May raise.
    fn advance(&self, lua: Lua, transfer: &dyn Transfer) -> (Step, bool) {
        let mut moved = false;
        loop {
            match transfer.step(lua) {
                Turn::Done(count) => return (Step::Done(count), moved),
                Turn::Moved(AGAIN) => {
                    transfer.pause();
                    return (Step::Pending, moved);
                }
                Turn::Moved(count) if count >= 0 => moved = true,
                Turn::Moved(_) => {
                    transfer.abandon();
                    lua.push_nil();
                    self.push_error(lua);
                    return (Step::Done(2), moved);
                }
            }
        }
    }

    /// After a system call: its result, None when it was interrupted, or a
    /// negative error number.
    pub fn result(&self, result: isize) -> Option<isize> {
        if result >= 0 {
            return Some(result);
        }
        match Errno::last() {
            Errno::EINTR => None,
            Errno::EAGAIN => {
                self.core.drained(self.fd.get(), self.direction);
                Some(AGAIN)
            }
            errno => Some(self.note(-(errno as c_int), ptr::null())),
        }
    }

    /// Keeps why an attempt failed, if it did.
    pub fn note(&self, result: c_int, text: *const c_char) -> isize {
        let result = result as isize;
        if result < 0 && result != AGAIN {
            self.failure_text.set(text);
            self.failure.set(Errno::from_raw(-result as c_int));
        }
        result
    }

    /// Pushes the text of the last failure. May raise.
    pub fn push_error(&self, lua: Lua) {
        if self.failure_text.get().is_null() {
            lua.push_errno(self.failure.get());
        } else {
            // SAFETY: functions of streams give static or context-owned texts.
            unsafe { lua.push_c_str(self.failure_text.get()) };
        }
    }

    /// Pushes what the end of the stream is called. May raise.
    pub fn push_end(&self, lua: Lua) -> Turn {
        lua.push_nil();
        let is_socket = socket_option(self.fd.get(), libc::SO_TYPE).is_some();
        lua.push_str(if is_socket { "closed" } else { "eof" });
        Turn::Done(2)
    }

    /// True after `__close`.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Withdraws the wait: the owner is being collected.
    pub fn forget(&self) {
        self.core.forget(&self.parked);
    }

    /// Wakes the waiting coroutine with `canceled`.
    pub fn cancel(&self) {
        self.core.wake(&self.parked, Cause::CANCEL);
    }

    /// Cancels and lets go of the fd.
    pub fn close(&self) {
        self.cancel();
        // Operations of other modules wait on their own account.
        Runtime::of(self.core).cancel_waiter(self.fd.replace(-1), self.direction);
    }

    /// Cancels and refuses further requests; the fd stays.
    pub fn end(&self) -> Outcome {
        self.cancel();
        self.closed.set(true);
        Ok(Returns(0))
    }
}

/// Finishes a poll with `nil, message`.
fn failed(lua: Lua, message: &str) -> Step {
    lua.push_nil();
    lua.push_str(message);
    Step::Done(2)
}

/// An integer socket option at SOL_SOCKET; None for what is no socket.
pub fn socket_option(fd: c_int, option: c_int) -> Option<c_int> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: value and length are locals of the size stated.
    let result = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            option,
            ptr::from_mut(&mut value).cast(),
            &mut length,
        )
    };
    (result == 0).then_some(value)
}
