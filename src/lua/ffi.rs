//! The Lua C API, with calls that cannot unwind.
//!
//! Lua is C: it leaves a frame by `longjmp`, never by unwinding. The same
//! functions as `mlua::ffi` declares, but as `extern "C"`: no landing pads are
//! made for them, 600 to 2000 bytes a module. What is not declared
//! here comes from `mlua::ffi`.
#![allow(unsafe_code, non_snake_case, missing_docs)]

use std::ffi::{c_char, c_int, c_void};

pub use mlua::ffi::*;

unsafe extern "C" {
    pub fn luaL_argerror(state: *mut lua_State, arg: c_int, extramsg: *const c_char) -> c_int;
    pub fn luaL_error(state: *mut lua_State, fmt: *const c_char, ...) -> c_int;
    pub fn luaL_getmetafield(state: *mut lua_State, obj: c_int, e: *const c_char) -> c_int;
    pub fn luaL_loadbufferx(
        state: *mut lua_State,
        buff: *const c_char,
        sz: usize,
        name: *const c_char,
        mode: *const c_char,
    ) -> c_int;
    pub fn luaL_loadfilex(
        state: *mut lua_State,
        filename: *const c_char,
        mode: *const c_char,
    ) -> c_int;
    pub fn luaL_newstate() -> *mut lua_State;
    pub fn luaL_openlibs(state: *mut lua_State);
    pub fn luaL_ref(state: *mut lua_State, t: c_int) -> c_int;
    pub fn luaL_testudata(state: *mut lua_State, ud: c_int, tname: *const c_char) -> *mut c_void;
    pub fn luaL_tolstring(state: *mut lua_State, idx: c_int, len: *mut usize) -> *const c_char;
    pub fn luaL_traceback(
        state: *mut lua_State,
        L1: *mut lua_State,
        msg: *const c_char,
        level: c_int,
    );
    pub fn lua_arith(state: *mut lua_State, op: c_int);
    pub fn luaL_unref(state: *mut lua_State, t: c_int, r#ref: c_int);
    pub fn luaL_where(state: *mut lua_State, lvl: c_int);
    pub fn lua_absindex(state: *mut lua_State, idx: c_int) -> c_int;
    pub fn lua_checkstack(state: *mut lua_State, sz: c_int) -> c_int;
    pub fn lua_close(state: *mut lua_State);
    pub fn lua_concat(state: *mut lua_State, n: c_int);
    pub fn lua_copy(state: *mut lua_State, fromidx: c_int, toidx: c_int);
    pub fn lua_createtable(state: *mut lua_State, narr: c_int, nrec: c_int);
    pub fn lua_gc(state: *mut lua_State, what: c_int, ...) -> c_int;
    pub fn lua_getfield(state: *mut lua_State, idx: c_int, k: *const c_char) -> c_int;
    pub fn lua_getglobal(state: *mut lua_State, name: *const c_char) -> c_int;
    pub fn lua_getiuservalue(state: *mut lua_State, idx: c_int, n: c_int) -> c_int;
    pub fn lua_getmetatable(state: *mut lua_State, objindex: c_int) -> c_int;
    pub fn lua_getstack(state: *mut lua_State, level: c_int, ar: *mut lua_Debug) -> c_int;
    pub fn lua_gettop(state: *mut lua_State) -> c_int;
    pub fn lua_isinteger(state: *mut lua_State, idx: c_int) -> c_int;
    pub fn lua_isyieldable(state: *mut lua_State) -> c_int;
    pub fn lua_newthread(state: *mut lua_State) -> *mut lua_State;
    pub fn lua_newuserdatauv(state: *mut lua_State, sz: usize, nuvalue: c_int) -> *mut c_void;
    pub fn lua_next(state: *mut lua_State, idx: c_int) -> c_int;
    pub fn lua_pushboolean(state: *mut lua_State, b: c_int);
    pub fn lua_pushcclosure(state: *mut lua_State, f: lua_CFunction, n: c_int);
    pub fn lua_pushfstring(state: *mut lua_State, fmt: *const c_char, ...) -> *const c_char;
    pub fn lua_pushinteger(state: *mut lua_State, n: lua_Integer);
    pub fn lua_pushlightuserdata(state: *mut lua_State, p: *mut c_void);
    pub fn lua_pushlstring(state: *mut lua_State, s: *const c_char, len: usize) -> *const c_char;
    pub fn lua_pushnil(state: *mut lua_State);
    pub fn lua_pushnumber(state: *mut lua_State, n: lua_Number);
    pub fn lua_pushstring(state: *mut lua_State, s: *const c_char) -> *const c_char;
    pub fn lua_pushthread(state: *mut lua_State) -> c_int;
    pub fn lua_pushvalue(state: *mut lua_State, idx: c_int);
    pub fn lua_rawequal(state: *mut lua_State, idx1: c_int, idx2: c_int) -> c_int;
    pub fn lua_rawget(state: *mut lua_State, idx: c_int) -> c_int;
    pub fn lua_rawgeti(state: *mut lua_State, idx: c_int, n: lua_Integer) -> c_int;
    pub fn lua_rawset(state: *mut lua_State, idx: c_int);
    pub fn lua_rawseti(state: *mut lua_State, idx: c_int, n: lua_Integer);
    pub fn lua_resetthread(state: *mut lua_State) -> c_int;
    pub fn lua_resume(
        state: *mut lua_State,
        from: *mut lua_State,
        narg: c_int,
        nres: *mut c_int,
    ) -> c_int;
    pub fn lua_rotate(state: *mut lua_State, idx: c_int, n: c_int);
    pub fn lua_setfield(state: *mut lua_State, idx: c_int, k: *const c_char);
    pub fn lua_setglobal(state: *mut lua_State, name: *const c_char);
    pub fn lua_setiuservalue(state: *mut lua_State, idx: c_int, n: c_int) -> c_int;
    pub fn lua_setmetatable(state: *mut lua_State, objindex: c_int) -> c_int;
    pub fn lua_settop(state: *mut lua_State, idx: c_int);
    pub fn lua_status(state: *mut lua_State) -> c_int;
    pub fn lua_toboolean(state: *mut lua_State, idx: c_int) -> c_int;
    pub fn lua_tointegerx(state: *mut lua_State, idx: c_int, isnum: *mut c_int) -> lua_Integer;
    pub fn lua_tolstring(state: *mut lua_State, idx: c_int, len: *mut usize) -> *const c_char;
    pub fn lua_tonumberx(state: *mut lua_State, idx: c_int, isnum: *mut c_int) -> lua_Number;
    pub fn lua_topointer(state: *mut lua_State, idx: c_int) -> *const c_void;
    pub fn lua_tothread(state: *mut lua_State, idx: c_int) -> *mut lua_State;
    pub fn lua_touserdata(state: *mut lua_State, idx: c_int) -> *mut c_void;
    pub fn lua_type(state: *mut lua_State, idx: c_int) -> c_int;
    pub fn lua_xmove(from: *mut lua_State, to: *mut lua_State, n: c_int);

    pub fn lua_dump(
        state: *mut lua_State,
        writer: lua_Writer,
        data: *mut c_void,
        strip: c_int,
    ) -> c_int;
    pub fn lua_getinfo(state: *mut lua_State, what: *const c_char, ar: *mut lua_Debug) -> c_int;
    pub fn lua_getupvalue(state: *mut lua_State, idx: c_int, n: c_int) -> *const c_char;
    pub fn lua_iscfunction(state: *mut lua_State, idx: c_int) -> c_int;
    pub fn lua_setupvalue(state: *mut lua_State, idx: c_int, n: c_int) -> *const c_char;
    pub fn lua_upvalueid(state: *mut lua_State, idx: c_int, n: c_int) -> *mut c_void;
    pub fn lua_upvaluejoin(state: *mut lua_State, idx1: c_int, n1: c_int, idx2: c_int, n2: c_int);

    pub fn lua_error(state: *mut lua_State) -> !;
    #[link_name = "lua_rawlen"]
    fn raw_length(state: *mut lua_State, idx: c_int) -> lua_Unsigned;
    pub fn lua_callk(
        state: *mut lua_State,
        nargs: c_int,
        nresults: c_int,
        ctx: lua_KContext,
        k: Option<lua_KFunction>,
    );
    pub fn lua_pcallk(
        state: *mut lua_State,
        nargs: c_int,
        nresults: c_int,
        errfunc: c_int,
        ctx: lua_KContext,
        k: Option<lua_KFunction>,
    ) -> c_int;
    pub fn lua_yieldk(
        state: *mut lua_State,
        nresults: c_int,
        ctx: lua_KContext,
        k: Option<lua_KFunction>,
    ) -> c_int;
}

macro_rules! short {
    ($($name:ident($state:ident $(, $arg:ident: $type:ty)*) $(-> $result:ty)? = $call:expr;)*) => {
        $(
            /// # Safety
            ///
            /// As in C.
            pub unsafe fn $name($state: *mut lua_State $(, $arg: $type)*) $(-> $result)? {
                // SAFETY: by the caller's promise.
                unsafe { $call }
            }
        )*
    };
}

short! {
    lua_call(state, arguments: c_int, results: c_int) = lua_callk(state, arguments, results, 0, None);
    lua_pcall(state, arguments: c_int, results: c_int, handler: c_int) -> c_int = lua_pcallk(state, arguments, results, handler, 0, None);
    lua_yield(state, results: c_int) -> c_int = lua_yieldk(state, results, 0, None);
    lua_pushcfunction(state, function: lua_CFunction) = lua_pushcclosure(state, function, 0);
    lua_rawlen(state, index: c_int) -> usize = raw_length(state, index) as usize;
    lua_tostring(state, index: c_int) -> *const c_char = lua_tolstring(state, index, std::ptr::null_mut());
    luaL_typename(state, index: c_int) -> *const c_char = lua_typename(state, lua_type(state, index));
}
