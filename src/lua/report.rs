//! Errors as text: any value can be raised, and all of them are told alike.

use std::ffi::c_int;
use std::ptr;

use super::{ffi, Lua, Outcome, Returns};

impl Lua {
    /// Replaces the error value on top by its text: a string is its own, other
    /// values tell theirs through `__tostring`, if that works, or else their
    /// type. May raise for want of memory.
    pub fn error_to_text(self) {
        // SAFETY: works on the value on top and pushes a few more; calls of
        // Lua code are protected, and nothing here has a destructor.
        unsafe {
            let state = self.state;
            let value = self.absolute(-1);
            match self.type_of(value) {
                ffi::LUA_TSTRING => return,
                ffi::LUA_TNUMBER => {
                    ffi::lua_tostring(state, value);
                    return;
                }
                _ => {}
            }
            if ffi::luaL_getmetafield(state, value, c"__tostring".as_ptr()) != ffi::LUA_TNIL {
                self.push_value(value);
                if self.try_call(1, 1) && self.type_of(-1) == ffi::LUA_TSTRING {
                    return self.replace(value);
                }
                self.pop(1);
            }
            let kind = ffi::luaL_typename(state, value);
            ffi::lua_pushfstring(state, c"(error object is a %s value)".as_ptr(), kind);
            self.replace(value);
        }
    }

    /// Replaces the error value on top by its text and the traceback of
    /// `thread` from `level` on. May raise for want of memory.
    pub fn error_to_report(self, thread: Lua, level: c_int) {
        self.error_to_text();
        self.push_str("\n");
        // SAFETY: both threads live and belong to one state.
        unsafe { ffi::luaL_traceback(self.state, thread.state, ptr::null(), level) };
        self.concat(3);
    }
}

/// `text(value)`: a message handler that gives an error's text.
pub fn text(lua: Lua) -> Outcome {
    lua.set_top(1);
    lua.error_to_text();
    Ok(Returns(1))
}

/// `report(value)`: a message handler that gives text and traceback.
pub fn report(lua: Lua) -> Outcome {
    lua.set_top(1);
    lua.error_to_report(lua, 1);
    Ok(Returns(1))
}
