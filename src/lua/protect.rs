//! Protected calls of our own code: lets a function that owns something push
//! values, and drop what it owns before a failure is raised.

use std::ffi::c_int;

use super::{ffi, Error, Lua, State};

/// What one protected call runs.
struct Job<'a, C> {
    body: fn(Lua, &C),
    context: &'a C,
}

impl Lua {
    /// Runs `body` in a fresh frame and leaves the `results` values it pushed.
    /// When it raises, the error value is on top instead, for
    /// [`Error::raised`]. `body` itself must own nothing when it raises.
    pub fn protect<C>(self, results: c_int, context: &C, body: fn(Lua, &C)) -> Result<(), Error> {
        self.protect_with(0, results, context, body)
    }

    /// The same with the `arguments` topmost values moved to the frame.
    pub fn protect_with<C>(
        self,
        arguments: c_int,
        results: c_int,
        context: &C,
        body: fn(Lua, &C),
    ) -> Result<(), Error> {
        unsafe extern "C-unwind" fn run<C>(state: State) -> c_int {
            // SAFETY: argument 1 is the address of the job below, which
            // outlives the protected call.
            let job = unsafe { &*ffi::lua_touserdata(state, 1).cast::<Job<C>>() };
            // SAFETY: Lua called us with a live thread.
            let lua = unsafe { Lua::new(state) };
            lua.remove(1);
            (job.body)(lua, job.context);
            lua.top()
        }
        let job = Job { body, context };
        // SAFETY: the light C function and pointer need no memory; the call is
        // protected, so nothing leaves this frame by longjmp.
        let status = unsafe {
            ffi::lua_pushcfunction(self.state, run::<C>);
            ffi::lua_pushlightuserdata(self.state, std::ptr::from_ref(&job).cast_mut().cast());
            ffi::lua_rotate(self.state, -2 - arguments, 2);
            ffi::lua_pcall(self.state, 1 + arguments, results, 0)
        };
        if status == ffi::LUA_OK {
            Ok(())
        } else {
            Err(Error::raised())
        }
    }
}
