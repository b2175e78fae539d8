//! Writing what the stream did not take at once, on a coroutine of its own.

use std::ffi::{c_int, CStr};
use std::rc::Rc;

use super::link::{Link, Shared, Written};
use crate::abi::attempt::{self, Attempt, Try, Waiting};
use crate::abi::{Core, Interest, Nanoseconds};
use crate::functions;
use crate::lua::{Functions, Lua, Outcome, Returns, UserData};

/// How long the stream may take nothing.
const PATIENCE: Nanoseconds = 60_000_000_000;

#[repr(C)]
pub struct Flush {
    waiting: Waiting,
    shared: Rc<Shared>,
}

crate::attempt!(Flush);

/// `link:flush()` -> true when everything is written, or nil and a message (the
/// server takes nothing for a minute: `timeout`); false when another coroutine is at it, or there is nothing to do.
pub fn flush(lua: Lua, link: &Link) -> Outcome {
    let shared = &link.shared;
    if !shared.is_stuck() {
        lua.push_bool(false);
        return Ok(Returns(1));
    }
    lua.set_top(1);
    let flush = lua.reserve::<Flush>(1, shared.core.pointer()).fill(Flush {
        waiting: Waiting::new::<Flush>(shared.core),
        shared: shared.clone(),
    });
    // The link keeps the writer.
    lua.push_value(1);
    lua.set_user_value(2, 1);
    shared.flushing.set(true);
    attempt::start(flush, lua, PATIENCE)
}

impl Attempt for Flush {
    type Host = Core;

    fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    fn fd(&self) -> c_int {
        self.shared.writer.get().map_or(-1, |writer| writer.fd())
    }

    fn direction(&self) -> Interest {
        Interest::WRITE
    }

    fn attempt(&self, lua: Lua) -> Try {
        let count = match self.shared.write() {
            Written::Blocked(direction) => return Try::Again(direction),
            Written::All => {
                lua.push_bool(true);
                1
            }
            Written::Failed => {
                lua.push_nil();
                self.shared.push_write_error(lua);
                2
            }
        };
        self.shared.flushing.set(false);
        Try::Done(count)
    }

    fn drop_request(&self) {
        self.shared.flushing.set(false);
    }
}

impl UserData for Flush {
    const NAME: &'static CStr = c"eco.mqtt.flush";
    const METHODS: Functions = functions! {};

    fn finalise(&self, _: Lua) {
        self.shared.core.forget(&self.waiting.parked);
    }
}
