//! Calls that the pool makes while their coroutines wait.
#![allow(unsafe_code)]

use std::ffi::{c_void, CStr};

use super::{Cause, Core, Operation, Parked, Step, WorkFunction};
use crate::lua::{Error, Functions, Lua, Outcome, UserData};

/// What is kept of a call while the pool makes it.
pub trait Offloaded: Sized + 'static {
    /// Name of the userdata that keeps it.
    const NAME: &'static CStr;

    /// Pushes the results, which are none unless it says otherwise. May raise.
    fn finish(&self, _lua: Lua) -> Step {
        Step::Done(0)
    }
}

/// A coroutine that waits for the pool.
#[repr(C)]
struct Wait<T> {
    parked: Parked,
    core: Core,
    call: T,
}

// SAFETY: the header is the first field, and the value lives in a userdata, which
// does not move.
unsafe impl<T: Offloaded> Operation for Wait<T> {
    fn poll(&self, lua: Lua, _cause: Cause) -> Step {
        self.call.finish(lua)
    }
}

impl<T: Offloaded> UserData for Wait<T> {
    const NAME: &'static CStr = T::NAME;
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _lua: Lua) {
        self.core.forget(&self.parked);
    }
}

/// Parks the running coroutine until the pool has made a call: [`Core::offload`]
/// with what `make` gives, which is kept, and the context. May raise.
///
/// # Safety
///
/// As for [`Core::offload`].
pub unsafe fn offload<T: Offloaded>(
    lua: Lua,
    make: impl FnOnce() -> Result<(T, *mut c_void), Error>,
    run: WorkFunction,
    release: WorkFunction,
) -> Outcome {
    let core = Core::of(lua);
    // The block first: nothing of the call is alive when Lua has no memory for it.
    let slot = lua.reserve::<Wait<T>>(0, core.pointer());
    let (call, context) = make()?;
    let wait = slot.fill(Wait {
        parked: Parked::new::<Wait<T>>(),
        core,
        call,
    });
    // SAFETY: by the caller's promise.
    unsafe { core.offload(lua, wait, run, release, context) }
}
