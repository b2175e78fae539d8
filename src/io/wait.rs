//! `eco.io`: waiting for an fd that somebody else reads and writes.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, CStr};

use super::stream::failed;
use super::stream_timeout;
use crate::core::{Cause, Core, Interest, Parked, Step};
use crate::functions;
use crate::lua::{method, Error, Functions, Lua, Outcome, Returns, UserData};

/// True when the fd is ready now for any of `interest`, or failed.
pub fn is_ready(fd: c_int, interest: Interest) -> bool {
    let mut poll = libc::pollfd {
        fd,
        events: interest.0 as libc::c_short,
        revents: 0,
    };
    // SAFETY: one local pollfd; epoll's and poll's bits are the same numbers.
    unsafe { libc::poll(&mut poll, 1, 0) > 0 }
}

/// The io object; its own operation.
#[repr(C)]
pub struct Io {
    parked: Parked,
    core: Core,
    fd: Cell<c_int>,
    interest: Cell<Interest>,
    closed: Cell<bool>,
}

crate::operation!(Io);

impl Io {
    /// Pushes an io object for `fd`. May raise.
    pub fn push<'a>(lua: Lua, core: Core, fd: c_int) -> &'a Io {
        lua.reserve::<Io>(0, core.pointer()).fill(Io {
            parked: Parked::new::<Io>(),
            core,
            fd: Cell::new(fd),
            interest: Cell::new(Interest::NONE),
            closed: Cell::new(false),
        })
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        if cause.has(Cause::CANCEL) {
            return failed(lua, "canceled");
        }
        if cause.has(Cause::TIMEOUT) {
            return failed(lua, "timeout");
        }
        if !cause.has(Cause::WAKE) && !is_ready(self.fd.get(), self.interest.get()) {
            return Step::Pending;
        }
        lua.push_bool(true);
        Step::Done(1)
    }

    fn abandon(&self) {}

    /// `io:wait(events [, timeout])`.
    fn wait(lua: Lua, this: &Io) -> Outcome {
        let bits = lua.integer(2)?;
        if bits <= 0 || bits & !i64::from(Interest::BOTH.0) != 0 {
            return Err(Error::argument(2, "invalid"));
        }
        let interest = Interest(bits as u32);
        this.core
            .check_idle(&this.parked, this.fd.get(), interest)?;
        if this.closed.get() {
            return lua.fail("closed");
        }
        this.interest.set(interest);
        let timeout = stream_timeout(lua, 3);
        let outcome = this
            .core
            .park(lua, &this.parked, this.fd.get(), interest, timeout)?;
        if outcome == Returns::YIELD && is_ready(this.fd.get(), interest) {
            this.core.wake(&this.parked, Cause::READY);
        }
        Ok(outcome)
    }

    fn cancel(_: Lua, this: &Io) -> Outcome {
        this.core.wake(&this.parked, Cause::CANCEL);
        Ok(Returns(0))
    }

    fn close(_: Lua, this: &Io) -> Outcome {
        this.core.wake(&this.parked, Cause::CANCEL);
        this.closed.set(true);
        Ok(Returns(0))
    }
}

impl UserData for Io {
    const NAME: &'static CStr = c"struct eco_io *";
    const METHODS: Functions = functions! {
        wait: method(Io::wait), cancel: method(Io::cancel),
        __close: method(Io::close),
    };

    fn finalise(&self, _lua: Lua) {
        self.core.forget(&self.parked);
    }
}
