//! `eco.io`: waiting for an fd that somebody else reads and writes.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, CStr};

use super::Stream;
use crate::abi::attempt::{self, Attempt, Try, Waiting};
use crate::abi::{Core, Interest};
use crate::core::runtime::Home;
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

/// The io object; its header is the stream's.
#[repr(C)]
pub struct Io {
    stream: Stream,
    interest: Cell<Interest>,
}

crate::attempt!(Io, stream.waiting);

impl Io {
    /// Pushes an io object for `fd`. May raise.
    pub fn push(lua: Lua, core: Core, fd: c_int) {
        lua.reserve::<Io>(0, core.pointer()).fill(Io {
            stream: Stream::new::<Io>(core, Interest::NONE, fd),
            interest: Cell::new(Interest::NONE),
        });
    }

    /// `io:wait(events [, timeout])`. Yields even when the fd is ready.
    fn wait(lua: Lua, this: &Io) -> Outcome {
        let bits = lua.integer(2)?;
        if bits <= 0 || bits & !i64::from(Interest::BOTH.0) != 0 {
            return Err(Error::argument(2, "invalid"));
        }
        let interest = Interest(bits as u32);
        this.stream.check_idle_for(interest)?;
        if this.stream.is_closed() {
            return this.stream.refuse(lua, "closed");
        }
        this.interest.set(interest);
        attempt::start_later(this, lua, lua.stream_timeout(3))
    }

    fn cancel(_: Lua, this: &Io) -> Outcome {
        this.stream.cancel();
        Ok(Returns(0))
    }

    fn close(_: Lua, this: &Io) -> Outcome {
        this.stream.end()
    }
}

impl Attempt for Io {
    type Host = Home;

    fn waiting(&self) -> &Waiting<Home> {
        &self.stream.waiting
    }

    fn fd(&self) -> c_int {
        self.stream.fd()
    }

    fn direction(&self) -> Interest {
        self.interest.get()
    }

    fn attempt(&self, lua: Lua) -> Try {
        let interest = self.interest.get();
        if !is_ready(self.stream.fd(), interest) {
            return Try::Again(interest);
        }
        lua.push_bool(true);
        Try::Done(1)
    }

    fn ends_when_woken(&self) -> bool {
        true
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
