//! `eco.io`: waiting for an fd that somebody else reads and writes.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, CStr};

use super::{Stream, Transfer, Turn, AGAIN};
use crate::abi::{Cause, Core, Interest, Parked, Step};
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

/// The io object; the stream is its operation.
#[repr(C)]
pub struct Io {
    stream: Stream,
    interest: Cell<Interest>,
}

crate::operation!(Io, stream.parked);

impl Io {
    /// Pushes an io object for `fd`. May raise.
    pub fn push(lua: Lua, core: Core, fd: c_int) {
        let parked = Parked::new::<Io>();
        lua.reserve::<Io>(0, core.pointer()).fill(Io {
            stream: Stream::new(parked, core, Interest::NONE, fd),
            interest: Cell::new(Interest::NONE),
        });
    }

    fn is_ready(&self) -> bool {
        is_ready(self.stream.fd.get(), self.interest.get())
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        self.stream.poll(lua, cause, self)
    }

    fn abandon(&self) {}

    /// `io:wait(events [, timeout])`. Yields even when the fd is ready.
    fn wait(lua: Lua, this: &Io) -> Outcome {
        let bits = lua.integer(2)?;
        if bits <= 0 || bits & !i64::from(Interest::BOTH.0) != 0 {
            return Err(Error::argument(2, "invalid"));
        }
        let Stream {
            parked, core, fd, ..
        } = &this.stream;
        let (fd, interest) = (fd.get(), Interest(bits as u32));
        core.check_idle(parked, fd, interest)?;
        if this.stream.is_closed() {
            return lua.fail("closed");
        }
        this.interest.set(interest);
        let outcome = core.park(lua, parked, fd, interest, lua.stream_timeout(3))?;
        if outcome == Returns::YIELD && this.is_ready() {
            core.wake(parked, Cause::READY);
        }
        Ok(outcome)
    }

    fn cancel(_: Lua, this: &Io) -> Outcome {
        this.stream.cancel();
        Ok(Returns(0))
    }

    fn close(_: Lua, this: &Io) -> Outcome {
        this.stream.end()
    }
}

impl Transfer for Io {
    fn step(&self, lua: Lua) -> Turn {
        if !self.is_ready() {
            return Turn::Moved(AGAIN);
        }
        lua.push_bool(true);
        Turn::Done(1)
    }
}

impl UserData for Io {
    const NAME: &'static CStr = c"struct eco_io *";
    const METHODS: Functions = functions! {
        wait: method(Io::wait),
        cancel: method(Io::cancel),
        __close: method(Io::close),
    };

    fn finalise(&self, _lua: Lua) {
        self.stream.forget();
    }
}
