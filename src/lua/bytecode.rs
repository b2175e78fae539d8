//! Lua functions taken apart and put together: bytecode and upvalues.

use std::ffi::{c_int, c_void};

use super::{ffi, Lua, State};

/// Takes a piece of bytecode; false ends the dump.
type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

impl Lua {
    /// True for a function that is none of Lua's own.
    pub fn is_c_function(self, index: c_int) -> bool {
        // SAFETY: a live thread; does not raise.
        unsafe { ffi::lua_iscfunction(self.state, index) != 0 }
    }

    /// How many upvalues the function at `index` has.
    pub fn upvalue_count(self, index: c_int) -> u8 {
        self.push_value(index);
        // SAFETY: `>u` pops the function and fills in one number; a structure
        // of numbers and pointers may be zero.
        unsafe {
            let mut about: ffi::lua_Debug = std::mem::zeroed();
            ffi::lua_getinfo(self.state, c">u".as_ptr(), &mut about);
            about.nups
        }
    }

    /// Gives the bytecode of the Lua function on top to `sink`, piece by piece,
    /// perhaps without what only debugging needs; false when that refused one.
    /// `sink` must not touch Lua.
    pub fn dump(self, is_stripped: bool, mut sink: Sink<'_>) -> bool {
        unsafe extern "C-unwind" fn write(
            _: State,
            data: *const c_void,
            length: usize,
            sink: *mut c_void,
        ) -> c_int {
            // SAFETY: Lua passes what `lua_dump` got, and a piece of that length.
            let (sink, piece) = unsafe {
                let piece = std::slice::from_raw_parts(data.cast(), length);
                (&mut *sink.cast::<Sink<'_>>(), piece)
            };
            c_int::from(!sink(piece))
        }
        let sink = std::ptr::from_mut(&mut sink).cast();
        // SAFETY: `write` gets the sink, which outlives the call; does not raise.
        unsafe { ffi::lua_dump(self.state, write, sink, c_int::from(is_stripped)) == 0 }
    }

    /// Pushes the function of some bytecode; false (nothing pushed) when it is
    /// cut off or of another Lua. Lua does not check more than that.
    pub fn push_bytecode(self, code: &[u8]) -> bool {
        // SAFETY: the text outlives the call, which does not raise.
        let status = unsafe {
            ffi::luaL_loadbufferx(
                self.state,
                code.as_ptr().cast(),
                code.len(),
                c"=?".as_ptr(),
                c"b".as_ptr(),
            )
        };
        if status != ffi::LUA_OK {
            self.pop(1);
        }
        status == ffi::LUA_OK
    }

    /// Pushes upvalue `n` of the function at `index`; false (nothing pushed)
    /// when it has no such.
    pub fn push_upvalue_of(self, index: c_int, n: u8) -> bool {
        // SAFETY: a live thread; does not raise.
        unsafe { !ffi::lua_getupvalue(self.state, index, n.into()).is_null() }
    }

    /// Pops a value into upvalue `n` of the function at `index`, which has it.
    pub fn set_upvalue_of(self, index: c_int, n: u8) {
        // SAFETY: a live thread; does not raise.
        unsafe {
            ffi::lua_setupvalue(self.state, index, n.into());
        }
    }

    /// What tells the variable behind upvalue `n` of the function at `index`
    /// from others; null when it has no such.
    pub fn upvalue_id(self, index: c_int, n: u8) -> *const c_void {
        // SAFETY: a live thread; does not raise.
        unsafe { ffi::lua_upvalueid(self.state, index, n.into()) }
    }

    /// Makes an upvalue of the Lua function at one index the same variable as
    /// one of another; false when there are no such.
    pub fn join_upvalues(self, to: (c_int, u8), from: (c_int, u8)) -> bool {
        let exists = |(index, n): (c_int, u8)| {
            self.type_of(index) == ffi::LUA_TFUNCTION
                && !self.is_c_function(index)
                && (1..=self.upvalue_count(index)).contains(&n)
        };
        if !exists(to) || !exists(from) {
            return false;
        }
        // SAFETY: two Lua functions which have those upvalues.
        unsafe {
            ffi::lua_upvaluejoin(self.state, to.0, to.1.into(), from.0, from.1.into());
        }
        true
    }
}
