//! Functions: from a safe Rust function to one that Lua can call.

use std::ffi::c_int;

use super::error::finish;
use super::{ffi, Lua, Outcome, State};

/// A function Lua can call, made by [`function`] or [`super::method`].
pub type CFunction = unsafe extern "C-unwind" fn(State) -> c_int;

/// Runs the body of a function; in builds that unwind, a panic becomes a Lua
/// error, so that a test sees it (shipped builds abort).
pub(super) fn guard(body: impl FnOnce() -> Outcome) -> Outcome {
    #[cfg(panic = "unwind")]
    {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(body))
            .unwrap_or_else(|_| Err(super::Error::from("internal error: a panic was caught")))
    }
    #[cfg(not(panic = "unwind"))]
    body()
}

/// Makes a C function of a Rust function that captures nothing.
pub const fn function<F>(_: F) -> CFunction
where
    F: Fn(Lua) -> Outcome + Copy,
{
    const { assert!(size_of::<F>() == 0, "functions cannot capture") };
    unsafe extern "C-unwind" fn call<F: Fn(Lua) -> Outcome + Copy>(state: State) -> c_int {
        // SAFETY: F has no size, so any aligned pointer is one. Lua called us
        // with a live thread, and `finish` runs when nothing is left to drop.
        unsafe {
            let body = std::ptr::NonNull::<F>::dangling().read();
            finish(state, guard(|| body(Lua::new(state))))
        }
    }
    call::<F>
}

impl Lua {
    /// Pushes a function with the core's pointer as upvalue 1. May raise.
    pub fn push_function(self, function: CFunction, core: *const std::ffi::c_void) {
        self.push_pointer(core);
        // SAFETY: one value is on the stack for the one upvalue.
        unsafe { ffi::lua_pushcclosure(self.state, function, 1) }
    }

    /// Pushes a function that captures the `upvalues` topmost values. May raise.
    pub fn push_closure(self, function: CFunction, upvalues: c_int) {
        // SAFETY: the caller pushed that many values.
        unsafe { ffi::lua_pushcclosure(self.state, function, upvalues) }
    }
}
