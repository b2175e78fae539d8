//! The one room where raw Lua stack code lives: a thin typed layer over
//! `mlua::ffi`.
//!
//! Invariants the rest of the crate relies on:
//!
//! - A Lua API call that may raise leaves the current Rust function by
//!   `longjmp`. Code that makes one must not own anything with a destructor
//!   at that moment. Methods below say "may raise" where that applies.
//! - A function called by Lua returns an [`Outcome`]. Errors travel as values
//!   and are raised by the trampoline, after everything local was dropped.
//! - Yielding is the trampoline's last act, asked for by [`Returns::YIELD`].
//!
//! Stack indexes are trusted: a function may use `LUA_MINSTACK` (20) slots
//! without asking, more after [`Lua::ensure`].
#![allow(unsafe_code)]

mod arguments;
#[cfg(feature = "states")]
mod bytecode;
mod error;
pub mod ffi;
mod fields;
mod function;
mod hardware;
mod named;
pub mod options;
mod protect;
mod report;
mod seconds;
mod source;
pub mod told;
mod userdata;

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void, CStr};
use std::mem::MaybeUninit;
use std::ops::Range;

pub use error::{Error, Outcome, Returns};
pub use fields::{push_method, set_own};
pub use function::{function, CFunction};
pub use named::{Constants, Functions, Named};
pub use report::{report, text};
pub use seconds::{checked_duration, duration, Nanoseconds, FOREVER};
pub use told::Word;
pub use userdata::{field_method, method, Slot, UserData, METHODS};

/// A raw Lua thread, as the C API knows it.
pub type State = *mut ffi::lua_State;

/// The Lua thread a function was called in.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Lua {
    state: State,
}

impl Lua {
    /// Wraps a raw thread.
    ///
    /// # Safety
    ///
    /// `state` must be a live Lua thread for as long as the value is used.
    pub const unsafe fn new(state: State) -> Lua {
        Lua { state }
    }

    /// The raw thread.
    pub fn state(self) -> State {
        self.state
    }
}

/// One-line wrappers around the C function of about the same name. Sound
/// because the thread is live (see [`Lua::new`]), indexes are trusted (see the
/// module) and no frame here owns anything when Lua raises.
macro_rules! wrap {
    ($($(#[$doc:meta])* $name:ident($l:ident $(; $($arg:ident: $type:ty),*)?) $(-> $ret:ty)? = { $($body:tt)* };)*) => {
        impl Lua {
            $(
                $(#[$doc])*
                pub fn $name(self $(, $($arg: $type),*)?) $(-> $ret)? {
                    let $l = self.state;
                    // SAFETY: as stated at the macro.
                    unsafe { $($body)* }
                }
            )*
        }
    };
}

wrap! {
    /// Number of values in the current frame.
    top(l) -> c_int = { ffi::lua_gettop(l) };
    /// Sets the number of values in the current frame.
    set_top(l; index: c_int) = { ffi::lua_settop(l, index) };
    /// Removes the `count` topmost values.
    pop(l; count: c_int) = { ffi::lua_settop(l, -count - 1) };
    /// Turns a relative index into one that stays right when values are pushed.
    absolute(l; index: c_int) -> c_int = { ffi::lua_absindex(l, index) };
    /// Makes room for `count` more values; false when Lua's limit is reached.
    /// Does not raise.
    ensure(l; count: c_int) -> bool = { ffi::lua_checkstack(l, count) != 0 };
    /// Pushes a copy of the value at `index`.
    push_value(l; index: c_int) = { ffi::lua_pushvalue(l, index) };
    /// Moves the top value to `index`.
    insert(l; index: c_int) = { ffi::lua_rotate(l, index, 1) };
    /// Removes the value at `index`.
    remove(l; index: c_int) = { ffi::lua_rotate(l, index, -1); ffi::lua_settop(l, -2) };
    /// Pops the top value into `index`.
    replace(l; index: c_int) = { ffi::lua_copy(l, -1, index); ffi::lua_settop(l, -2) };
    /// Pushes nil.
    push_nil(l) = { ffi::lua_pushnil(l) };
    /// Pushes a boolean.
    push_bool(l; value: bool) = { ffi::lua_pushboolean(l, c_int::from(value)) };
    /// Pushes an integer.
    push_integer(l; value: i64) = { ffi::lua_pushinteger(l, value) };
    /// Pushes a float.
    push_number(l; value: f64) = { ffi::lua_pushnumber(l, value) };
    /// Pushes a pointer as light userdata.
    push_pointer(l; value: *const c_void) = { ffi::lua_pushlightuserdata(l, value.cast_mut()) };
    /// Pushes the running thread; true when it is the main one.
    push_thread(l) -> bool = { ffi::lua_pushthread(l) != 0 };
    /// Pushes a new thread of the same state. May raise.
    push_new_thread(l) -> Lua = { Lua::new(ffi::lua_newthread(l)) };
    /// Pushes the registry-wide table of globals' field `name`. May raise.
    push_global(l; name: &CStr) = { ffi::lua_getglobal(l, name.as_ptr()); };
    /// Pops a value into the global `name`. May raise.
    set_global(l; name: &CStr) = { ffi::lua_setglobal(l, name.as_ptr()) };
    /// Pushes a new table with room for `array` and `hash` entries. May raise.
    push_table(l; array: c_int, hash: c_int) = { ffi::lua_createtable(l, array, hash) };
    /// Type tag of the value at `index` (`LUA_TNIL` …, `LUA_TNONE`).
    type_of(l; index: c_int) -> c_int = { ffi::lua_type(l, index) };
    /// Replaces the value at `index` by its text, as `tostring` gives it. May raise.
    to_text(l; index: c_int) = { let index = ffi::lua_absindex(l, index); ffi::luaL_tolstring(l, index, std::ptr::null_mut()); ffi::lua_copy(l, -1, index); ffi::lua_settop(l, -2) };
    /// True for nil and for no value at all.
    is_none_or_nil(l; index: c_int) -> bool = { ffi::lua_type(l, index) <= ffi::LUA_TNIL };
    /// True for an integer (not for floats or strings).
    is_integer(l; index: c_int) -> bool = { ffi::lua_isinteger(l, index) != 0 };
    /// Truth value as Lua sees it.
    to_bool(l; index: c_int) -> bool = { ffi::lua_toboolean(l, index) != 0 };
    /// Address of a table, thread, function or userdata, for comparison only.
    to_address(l; index: c_int) -> *const c_void = { ffi::lua_topointer(l, index) };
    /// Block of a full userdata or value of a light one; null otherwise.
    to_userdata(l; index: c_int) -> *mut c_void = { ffi::lua_touserdata(l, index) };
    /// The thread at `index`, or null.
    to_thread(l; index: c_int) -> State = { ffi::lua_tothread(l, index) };
    /// Pushes `table[name]` and returns its type. May run metamethods and raise.
    get_field(l; table: c_int, name: &CStr) -> c_int = { ffi::lua_getfield(l, table, name.as_ptr()) };
    /// Pops a value into `table[name]`. May raise.
    set_field(l; table: c_int, name: &CStr) = { ffi::lua_setfield(l, table, name.as_ptr()) };
    /// Replaces the key on top by `table[key]`, without metamethods.
    raw_get(l; table: c_int) -> c_int = { ffi::lua_rawget(l, table) };
    /// Pops value and key into `table[key]`, without metamethods. May raise.
    raw_set(l; table: c_int) = { ffi::lua_rawset(l, table) };
    /// Pushes `table[index]`, without metamethods.
    raw_get_index(l; table: c_int, index: i64) -> c_int = { ffi::lua_rawgeti(l, table, index) };
    /// Pops a value into `table[index]`, without metamethods. May raise.
    raw_set_index(l; table: c_int, index: i64) = { ffi::lua_rawseti(l, table, index) };
    /// Length without metamethods.
    raw_len(l; index: c_int) -> usize = { ffi::lua_rawlen(l, index) as usize };
    /// Pops a key, pushes the next key and value; false at the end. May raise.
    next(l; table: c_int) -> bool = { ffi::lua_next(l, table) != 0 };
    /// Pushes user value `slot` of the userdata at `index`.
    get_user_value(l; index: c_int, slot: c_int) -> c_int = { ffi::lua_getiuservalue(l, index, slot) };
    /// Pops a value into user value `slot` of the userdata at `index`.
    set_user_value(l; index: c_int, slot: c_int) = { ffi::lua_setiuservalue(l, index, slot); };
    /// Pops a table and makes it the metatable of the value at `index`.
    set_metatable(l; index: c_int) = { ffi::lua_setmetatable(l, index); };
    /// Pushes the metatable of the value at `index`; false (nothing pushed) when it has none.
    get_metatable(l; index: c_int) -> bool = { ffi::lua_getmetatable(l, index) != 0 };
    /// True when the running function may yield.
    is_yieldable(l) -> bool = { ffi::lua_isyieldable(l) != 0 };
    /// Calls the function below `arguments` values. May raise; cannot yield.
    call(l; arguments: c_int, results: c_int) = { ffi::lua_call(l, arguments, results) };
    /// Calls like [`Lua::call`]; false with the error value on top when it raised.
    try_call(l; arguments: c_int, results: c_int) -> bool = { ffi::lua_pcall(l, arguments, results, 0) == ffi::LUA_OK };
    /// Raw equality of two values.
    raw_equal(l; first: c_int, second: c_int) -> bool = { ffi::lua_rawequal(l, first, second) != 0 };
    /// Pushes a string naming the position `level` calls up (`file:line: `). May raise.
    push_where(l; level: c_int) = { ffi::luaL_where(l, level) };
    /// Replaces the two topmost numbers by their quotient, a float.
    divide(l) = { ffi::lua_arith(l, ffi::LUA_OPDIV) };
    /// Replaces the two topmost numbers by their sum.
    add(l) = { ffi::lua_arith(l, ffi::LUA_OPADD) };
    /// Concatenates the `count` topmost values. May raise.
    concat(l; count: c_int) = { ffi::lua_concat(l, count) };
    /// Pops a value and anchors it in the registry. May raise.
    reference(l) -> c_int = { ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX) };
    /// Drops an anchor made by [`Lua::reference`].
    unreference(l; anchor: c_int) = { ffi::luaL_unref(l, ffi::LUA_REGISTRYINDEX, anchor) };
    /// Pushes the value behind an anchor.
    push_reference(l; anchor: c_int) -> c_int = { ffi::lua_rawgeti(l, ffi::LUA_REGISTRYINDEX, ffi::lua_Integer::from(anchor)) };
}

impl Lua {
    /// Pushes a byte string. May raise.
    pub fn push_bytes(self, bytes: &[u8]) {
        // SAFETY: Lua copies the bytes before anything else can run; `bytes`
        // is borrowed, so nothing is lost if Lua raises.
        unsafe {
            ffi::lua_pushlstring(self.state, bytes.as_ptr().cast(), bytes.len());
        }
    }

    /// Pushes a byte string that something droppable still owns: a failure
    /// comes back as a value, so that the owner is dropped before it is raised.
    pub fn try_push_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        unsafe extern "C-unwind" fn push(state: State) -> c_int {
            // SAFETY: called by the protected call below, argument 1 is the
            // address of its `bytes`, which outlives the call.
            unsafe {
                let bytes = &*ffi::lua_touserdata(state, 1).cast::<&[u8]>();
                ffi::lua_pushlstring(state, bytes.as_ptr().cast(), bytes.len());
            }
            1
        }
        // SAFETY: the light C function and pointer need no memory; the call is
        // protected, so nothing leaves this frame by longjmp.
        let status = unsafe {
            ffi::lua_pushcfunction(self.state, push);
            ffi::lua_pushlightuserdata(self.state, std::ptr::from_ref(&bytes).cast_mut().cast());
            ffi::lua_pcall(self.state, 1, 1, 0)
        };
        if status == ffi::LUA_OK {
            Ok(())
        } else {
            Err(Error::raised())
        }
    }

    /// Pushes a part of bytes that other calls may change: they are not
    /// borrowed any more when Lua raises, or runs a finaliser. May raise.
    pub fn push_part(self, bytes: &RefCell<Vec<u8>>, range: Range<usize>) {
        let part = std::ptr::from_ref(bytes.borrow().get(range).unwrap_or_default());
        // SAFETY: Lua copies the bytes before anything else can run.
        self.push_bytes(unsafe { &*part });
    }

    /// Pushes memory of Lua's to write to while it is on the stack. May raise.
    #[allow(clippy::mut_from_ref)]
    pub fn push_room(&self, size: usize) -> &mut [MaybeUninit<u8>] {
        // SAFETY: a fresh block of that size that nobody else knows, borrowed
        // for the running call at most.
        unsafe {
            let block = ffi::lua_newuserdatauv(self.state, size, 0);
            std::slice::from_raw_parts_mut(block.cast(), size)
        }
    }

    /// The same, filled with zeros. May raise.
    #[allow(clippy::mut_from_ref)]
    pub fn push_zeros(&self, size: usize) -> &mut [u8] {
        let room = self.push_room(size);
        room.fill(MaybeUninit::new(0));
        // SAFETY: every byte was written.
        unsafe { &mut *(std::ptr::from_mut(room) as *mut [u8]) }
    }

    /// Pushes a string of `length` bytes that `fill` writes, zeros at first.
    /// The memory is Lua's all the time: may raise.
    pub fn push_filled(self, length: usize, fill: &mut dyn FnMut(&mut [u8])) {
        self.push_filled_by(length, length, fill);
    }

    /// The same in parts of `size` bytes, the last one perhaps of fewer: each
    /// is cleared when its turn comes, so that `fill` finds it in the cache.
    pub fn push_filled_by(self, length: usize, size: usize, fill: &mut dyn FnMut(&mut [u8])) {
        // SAFETY: the block is at least one byte long, ours alone and on the
        // stack until the string is made of it; nothing droppable is alive
        // when Lua raises.
        unsafe {
            let block = ffi::lua_newuserdatauv(self.state, length.max(1), 0).cast::<u8>();
            let mut done = 0;
            while done < length {
                let part = block.add(done);
                let count = size.max(1).min(length - done);
                part.write_bytes(0, count);
                fill(std::slice::from_raw_parts_mut(part, count));
                done += count;
            }
            ffi::lua_pushlstring(self.state, block.cast(), length);
        }
        self.remove(-2);
    }

    /// Pushes a string. May raise.
    pub fn push_str(self, text: &str) {
        self.push_bytes(text.as_bytes());
    }

    /// Pushes the C string at `text`, or nil when null. May raise.
    ///
    /// # Safety
    ///
    /// `text` must be null or end with NUL and live during the call.
    pub unsafe fn push_c_str(self, text: *const c_char) {
        // SAFETY: by the caller's promise.
        unsafe {
            ffi::lua_pushstring(self.state, text);
        }
    }

    /// The string at `index` without converting numbers; None for other types.
    pub fn bytes(&self, index: c_int) -> Option<&[u8]> {
        if self.type_of(index) == ffi::LUA_TSTRING {
            Some(self.to_bytes(index))
        } else {
            None
        }
    }

    /// The string or number at `index`; a number is converted in place (may
    /// raise for want of memory). Empty for other types.
    ///
    /// The bytes live as long as the value stays in this frame's slot.
    pub fn to_bytes(&self, index: c_int) -> &[u8] {
        let mut length = 0;
        // SAFETY: the slot keeps the string alive; callers do not pop it while
        // they hold the slice.
        unsafe {
            let data = ffi::lua_tolstring(self.state, index, &mut length);
            if data.is_null() {
                &[]
            } else {
                std::slice::from_raw_parts(data.cast(), length)
            }
        }
    }

    /// The value at `index` as an integer, when it is one or converts exactly.
    pub fn to_integer(self, index: c_int) -> Option<i64> {
        let mut exact = 0;
        // SAFETY: does not raise, does not allocate.
        let value = unsafe { ffi::lua_tointegerx(self.state, index, &mut exact) };
        (exact != 0).then_some(value)
    }

    /// The value at `index` as a float, numeric strings included.
    pub fn to_number(self, index: c_int) -> Option<f64> {
        let mut exact = 0;
        // SAFETY: does not raise, does not allocate.
        let value = unsafe { ffi::lua_tonumberx(self.state, index, &mut exact) };
        (exact != 0).then_some(value)
    }

    /// Pushes the number that `text` stands for in Lua; false (nothing pushed)
    /// if it is none. May raise.
    pub fn push_number_text(self, text: &[u8]) -> bool {
        let mut short = [0; 64];
        // SAFETY: both texts end with NUL and outlive the call: the short one
        // in this frame, the other as a string of Lua's on the stack.
        unsafe {
            if let Some(place) = short[..63].get_mut(..text.len()) {
                place.copy_from_slice(text);
                return ffi::lua_stringtonumber(self.state, short.as_ptr().cast())
                    == text.len() + 1;
            }
            self.push_bytes(text);
            let is_number = ffi::lua_stringtonumber(self.state, ffi::lua_tostring(self.state, -1));
            self.remove(-1 - c_int::from(is_number != 0));
            is_number != 0
        }
    }

    /// Name of the type of the value at `index`, as `type()` gives it.
    pub fn type_name(self, index: c_int) -> &'static CStr {
        // SAFETY: Lua's type names are static C strings.
        unsafe { CStr::from_ptr(ffi::luaL_typename(self.state, index)) }
    }

    /// Index of upvalue `n` (1-based) of the running function.
    pub const fn upvalue(n: c_int) -> c_int {
        ffi::lua_upvalueindex(n)
    }

    /// Sets `table[name]` to an integer. May raise.
    pub fn set_integer(self, table: c_int, name: &CStr, value: i64) {
        let table = self.absolute(table);
        self.push_integer(value);
        self.set_field(table, name);
    }

    /// Sets `table[name]` to a string. May raise.
    pub fn set_bytes(self, table: c_int, name: &CStr, value: &[u8]) {
        let table = self.absolute(table);
        self.push_bytes(value);
        self.set_field(table, name);
    }

    /// Sets `table[name]` to a boolean. May raise.
    pub fn set_bool(self, table: c_int, name: &CStr, value: bool) {
        let table = self.absolute(table);
        self.push_bool(value);
        self.set_field(table, name);
    }

    /// Compiles embedded Lua source and pushes the function. May raise; a
    /// syntax error of our own text is raised as well.
    pub fn push_chunk(self, name: &CStr, text: &str) {
        // SAFETY: text and name outlive the call, which does not raise.
        let status = unsafe {
            ffi::luaL_loadbufferx(
                self.state,
                text.as_ptr().cast(),
                text.len(),
                name.as_ptr(),
                c"t".as_ptr(),
            )
        };
        if status != ffi::LUA_OK {
            // SAFETY: lua_error does not return and nothing droppable is alive.
            unsafe { ffi::lua_error(self.state) };
        }
    }

    /// Opens the standard libraries in a fresh state. May raise.
    #[cfg(feature = "states")]
    pub fn open_libraries(self) {
        // SAFETY: a live state; may raise with nothing alive.
        unsafe { ffi::luaL_openlibs(self.state) };
    }

    /// Opens those of the libraries that every state needs. May raise.
    #[cfg(feature = "node")]
    pub fn open_few_libraries(self) {
        let each = [
            (c"_G", ffi::luaopen_base as CFunction),
            (c"package", ffi::luaopen_package),
            (c"coroutine", ffi::luaopen_coroutine),
            (c"table", ffi::luaopen_table),
            (c"string", ffi::luaopen_string),
        ];
        for (name, open) in each {
            // SAFETY: a live state and a C string; may raise with nothing alive.
            unsafe { ffi::luaL_requiref(self.state, name.as_ptr(), open, 1) };
            self.pop(1);
        }
    }

    /// A full collection. Errors of finalisers are warnings.
    #[cfg(feature = "node")]
    pub fn collect(self) {
        // SAFETY: a live state; does not raise.
        unsafe { ffi::lua_gc(self.state, ffi::LUA_GCCOLLECT) };
    }

    /// Pushes the function that a file holds; the message is on top if there is none.
    /// May raise for want of memory.
    #[cfg(feature = "node")]
    pub fn load_file(self, name: &CStr) -> Result<(), Error> {
        // SAFETY: the name outlives the call; may raise with nothing alive.
        let status = unsafe { ffi::luaL_loadfilex(self.state, name.as_ptr(), std::ptr::null()) };
        if status == ffi::LUA_OK {
            Ok(())
        } else {
            Err(Error::raised())
        }
    }

    /// Calls `require(name)` and pushes its result. May raise.
    pub fn require(self, name: &CStr) {
        self.push_global(c"require");
        // SAFETY: the name is a C string; may raise, nothing droppable alive.
        unsafe {
            ffi::lua_pushstring(self.state, name.as_ptr());
        }
        self.call(1, 1);
    }

    /// Moves the `count` topmost values to another thread of the same state,
    /// which must have room for them.
    pub fn move_to(self, other: Lua, count: c_int) {
        // SAFETY: both threads are live and belong to one state; the caller
        // made room with `ensure`.
        unsafe { ffi::lua_xmove(self.state, other.state, count) }
    }
}
