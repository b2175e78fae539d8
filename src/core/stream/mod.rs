//! Readers and writers of a stream: buffered, non-blocking, over an fd or over
//! the functions of another module (TLS).
//!
//! What the two share: the fd, cancelling and closing, and the last failure.
//! A stream is the first field of its owner, and begins with the header of the
//! owner's attempt: the core's table knows both by the stream's address.
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

use crate::abi::attempt::{Try, Waiting};
use crate::abi::{Core, Interest, Operation, WANTS_READ, WANTS_WRITE};
use crate::core::runtime::Home;
use crate::lua::{Error, Lua, Outcome, Returns};

/// The common part.
#[repr(C)]
pub struct Stream {
    pub waiting: Waiting<Home>,
    direction: Interest,
    fd: Cell<c_int>,
    closed: Cell<bool>,
    /// Text or number of the last failure.
    failure_text: Cell<*const c_char>,
    failure: Cell<Errno>,
}

impl Stream {
    /// The stream of a `T`, of `fd` in one direction.
    pub fn new<T: Operation>(core: Core, direction: Interest, fd: c_int) -> Stream {
        Stream {
            waiting: Waiting::new::<T>(Home::of(core)),
            direction,
            fd: Cell::new(fd),
            closed: Cell::new(false),
            failure_text: Cell::new(ptr::null()),
            failure: Cell::new(Errno::UnknownErrno),
        }
    }

    /// The fd, -1 once it is closed.
    pub fn fd(&self) -> c_int {
        self.fd.get()
    }

    /// Refuses a second waiter, for the direction of the stream.
    pub fn check_idle(&self) -> Result<(), Error> {
        self.check_idle_for(self.direction)
    }

    /// The same for other directions.
    pub fn check_idle_for(&self, interest: Interest) -> Result<(), Error> {
        crate::abi::idle(self.busy_for(interest))
    }

    /// The same as a code, for the core's table.
    pub fn busy(&self) -> c_int {
        self.busy_for(self.direction)
    }

    fn busy_for(&self, interest: Interest) -> c_int {
        let Waiting { host, parked, .. } = &self.waiting;
        host.busy(parked, self.fd(), interest)
    }

    /// Ends a call that nothing was tried in with `nil, message`. May raise.
    pub fn refuse(&self, lua: Lua, message: &str) -> Outcome {
        lua.push_nil();
        lua.push_str(message);
        Ok(self.waiting.host.settle(lua, 2, true))
    }

    /// After a system call: its result, None when it was interrupted; else a
    /// negative error number or what it waits for.
    fn result(&self, result: isize) -> Option<isize> {
        if result >= 0 {
            return Some(result);
        }
        match Errno::last() {
            Errno::EINTR => None,
            Errno::EAGAIN => {
                self.waiting.host.drained(self.fd(), self.direction);
                Some(self.blocked())
            }
            errno => Some(self.note(-(errno as c_int), ptr::null())),
        }
    }

    /// The code for blocking in the stream's own direction.
    fn blocked(&self) -> isize {
        (if self.direction == Interest::READ {
            WANTS_READ
        } else {
            WANTS_WRITE
        }) as isize
    }

    /// Takes the result of a function of the stream, and keeps why it failed.
    fn note(&self, result: c_int, text: *const c_char) -> isize {
        if result >= 0 || result == WANTS_READ || result == WANTS_WRITE {
            return result as isize;
        }
        if result == -libc::EAGAIN {
            return self.blocked();
        }
        self.failure_text.set(text);
        self.failure.set(Errno::from_raw(-result));
        result as isize
    }

    /// What a result that is no count means for the attempt. May raise.
    fn stopped(&self, lua: Lua, result: isize) -> Try {
        match result as c_int {
            WANTS_READ => Try::Again(Interest::READ),
            WANTS_WRITE => Try::Again(Interest::WRITE),
            _ => {
                lua.push_nil();
                self.push_error(lua);
                Try::Done(2)
            }
        }
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
    fn push_end(&self, lua: Lua) -> Try {
        lua.push_nil();
        let is_socket = socket_option(self.fd(), libc::SO_TYPE).is_some();
        lua.push_str(if is_socket { "closed" } else { "eof" });
        Try::Done(2)
    }

    /// True after `__close`.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Withdraws the wait: the owner is being collected.
    pub fn forget(&self) {
        self.waiting.host.forget(&self.waiting.parked);
    }

    /// Wakes whoever waits in the stream's direction with `canceled`, be it by
    /// an operation of another module.
    pub fn cancel(&self) {
        let host = self.waiting.host;
        host.wake(&self.waiting.parked, crate::abi::Cause::CANCEL);
        host.cancel_waiter(self.fd(), self.direction);
    }

    /// Cancels and lets go of the fd.
    pub fn close(&self) {
        self.cancel();
        self.fd.set(-1);
    }

    /// Cancels and refuses further requests; the fd stays.
    pub fn end(&self) -> Outcome {
        self.cancel();
        self.closed.set(true);
        Ok(Returns(0))
    }
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
