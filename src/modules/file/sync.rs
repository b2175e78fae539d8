//! `file.sync`: sync(2) can take seconds on flash, so in a coroutine it runs on
//! the core's pool.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ptr;

use crate::abi::{Cause, Core, Parked, Step};
use crate::lua::{Functions, Lua, Outcome, Returns, UserData};
use crate::system::file as calls;

/// A coroutine that waits for it.
#[repr(C)]
struct Wait {
    parked: Parked,
    core: Core,
}

crate::operation!(Wait);

/// `sync()`.
pub fn sync(lua: Lua) -> Outcome {
    if lua.is_yieldable() {
        let core = Core::of(lua);
        let wait = lua.reserve::<Wait>(0, core.pointer()).fill(Wait {
            parked: Parked::new::<Wait>(),
            core,
        });
        // SAFETY: the work touches nothing of ours.
        let outcome =
            unsafe { core.offload(lua, wait, calls::sync, calls::release, ptr::null_mut()) }?;
        if outcome == Returns::YIELD {
            return Ok(outcome);
        }
    }
    nix::unistd::sync();
    Ok(Returns(0))
}

impl Wait {
    fn poll(&self, _lua: Lua, _cause: Cause) -> Step {
        Step::Done(0)
    }

    fn abandon(&self) {}
}

impl UserData for Wait {
    const NAME: &'static CStr = c"eco.filesync";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _lua: Lua) {
        self.core.forget(&self.parked);
    }
}
