//! Rust values owned by Lua: typed userdata with methods, `__gc`, `__close`.
//!
//! A value is only ever borrowed shared (`&T`): Lua code, finalisers included,
//! may come back to the same object while one of its methods runs, so state
//! that changes sits in `Cell` or `RefCell`.

use std::ffi::{c_int, c_void, CStr};
use std::marker::PhantomData;

use super::error::finish;
use super::function::guard;
use super::{ffi, CFunction, Error, Functions, Lua, Outcome, State};

/// Where a metatable keeps the methods, for an `__index` of the type's own.
pub const METHODS: i64 = 1;

/// What the metatable of a type is made of.
struct Type {
    name: &'static CStr,
    finalise: CFunction,
    methods: Functions,
}

/// A type whose values Lua can own.
pub trait UserData: Sized + 'static {
    /// Name of the type, as error messages and `tostring` show it.
    const NAME: &'static CStr;
    /// Functions found by `object:name()`; those whose names begin with `__`
    /// are metamethods (all but `__gc` and `__name`).
    const METHODS: Functions;
    /// Called once before the value is dropped by the collector.
    fn finalise(&self, _lua: Lua) {}
}

/// A block Lua has already allocated for a `T`, not yet visible as one.
///
/// Getting the block first means that what the value owns (a file descriptor,
/// say) is never held while Lua may still run out of memory.
#[must_use]
pub struct Slot<T> {
    lua: Lua,
    block: *mut T,
    value: PhantomData<T>,
}

impl<T: UserData> Slot<T> {
    /// Makes the block a `T`; the userdata is on top of the stack.
    pub fn fill<'a>(self, value: T) -> &'a T {
        // SAFETY: the block is fresh, big enough and aligned (checked in
        // `reserve`), and lies on top of the stack above its metatable.
        // Setting a metatable allocates nothing, so nothing raises here.
        unsafe {
            self.block.write(value);
            ffi::lua_rotate(self.lua.state, -2, 1);
            ffi::lua_setmetatable(self.lua.state, -2);
            &*self.block
        }
    }
}

impl Lua {
    /// Allocates a block for a `T` with `user_values` Lua values beside it.
    /// May raise. Leaves metatable and block on the stack until `fill`.
    pub fn reserve<T: UserData>(self, user_values: c_int, core: *const c_void) -> Slot<T> {
        const { assert!(align_of::<T>() <= 8, "Lua aligns userdata to 8 bytes") };
        self.push_metatable::<T>(core);
        // SAFETY: asks Lua for a block; raises when out of memory, with
        // nothing droppable alive.
        let block = unsafe { ffi::lua_newuserdatauv(self.state, size_of::<T>(), user_values) };
        Slot {
            lua: self,
            block: block.cast(),
            value: PhantomData,
        }
    }

    /// Pushes the metatable of `T`, made at first use. May raise.
    pub fn push_metatable<T: UserData>(self, core: *const c_void) {
        let made = const {
            &Type {
                name: T::NAME,
                finalise: finalise::<T>,
                methods: T::METHODS,
            }
        };
        self.push_type(made, core);
    }

    /// Pushes the metatable of a type; each function in it gets the core's
    /// pointer as upvalue 1 and the metatable as upvalue 2. It enters the
    /// registry when it is complete: memory may run out at any step. May raise.
    #[inline(never)]
    fn push_type(self, made: &Type, core: *const c_void) {
        if self.get_field(ffi::LUA_REGISTRYINDEX, made.name) == ffi::LUA_TTABLE {
            return;
        }
        self.pop(1);
        self.push_table(1, 4);
        let table = self.top();
        self.push_table(0, made.methods.values.len() as c_int);
        self.push_value(-1);
        self.raw_set_index(table, METHODS);
        self.set_field(table, c"__index");
        // SAFETY: a C string that Lua copies; may raise, nothing is alive.
        unsafe { self.push_c_str(made.name.as_ptr()) };
        self.set_field(table, c"__name");
        self.set_method(table, b"__gc", made.finalise, core);
        for (name, function) in made.methods.each() {
            self.set_method(table, name, function, core);
        }
        self.push_value(table);
        self.set_field(ffi::LUA_REGISTRYINDEX, made.name);
    }

    /// Adds one of them, see [`UserData::METHODS`]. May raise.
    #[inline(never)]
    fn set_method(self, table: c_int, name: &[u8], function: CFunction, core: *const c_void) {
        self.raw_get_index(table, METHODS);
        self.push_bytes(name);
        self.push_pointer(core);
        self.push_value(table);
        self.push_closure(function, 2);
        self.raw_set(if name.starts_with(b"__") { table } else { -3 });
        self.set_top(table);
    }

    /// Pushes the table of `T`'s methods, each checking its receiver. May raise.
    pub fn push_methods<T: UserData>(self, core: *const c_void) {
        self.push_metatable::<T>(core);
        self.raw_get_index(-1, METHODS);
        self.remove(-2);
    }

    /// Pushes a table of functions made by [`field_method`], for tables that
    /// keep a `T` in `field`. May raise.
    pub fn push_field_methods<T: UserData>(
        self,
        field: &CStr,
        functions: Functions,
        core: *const c_void,
    ) {
        self.push_table(0, functions.values.len() as c_int);
        for (name, function) in functions.each() {
            self.push_bytes(name);
            self.push_field_method::<T>(field, function, core);
            self.raw_set(-3);
        }
    }

    /// Pushes one such function. May raise.
    pub fn push_field_method<T: UserData>(
        self,
        field: &CStr,
        function: CFunction,
        core: *const c_void,
    ) {
        self.push_pointer(core);
        self.push_metatable::<T>(core);
        self.push_bytes(field.to_bytes());
        self.push_closure(function, 3);
    }

    /// The `T` at `index`, or None for anything else.
    pub fn userdata<'a, T: UserData>(self, index: c_int) -> Option<&'a T> {
        // SAFETY: only blocks filled with a `T` carry the metatable that the
        // registry holds under its name; the caller keeps the value reachable.
        unsafe {
            let block = ffi::luaL_testudata(self.state, index, T::NAME.as_ptr());
            block.cast::<T>().as_ref()
        }
    }

    /// Argument `index` as a `T`.
    pub fn expect_userdata<'a, T: UserData>(self, index: c_int) -> Result<&'a T, Error> {
        self.userdata(index)
            .ok_or_else(|| Error::wrong_type(index, T::NAME))
    }
}

/// True when argument 1 carries the metatable in upvalue 2.
unsafe fn is_receiver(state: State) -> bool {
    // SAFETY: plain stack reads; pushes one value and pops it.
    unsafe {
        if ffi::lua_getmetatable(state, 1) == 0 {
            return false;
        }
        let same = ffi::lua_rawequal(state, -1, Lua::upvalue(2));
        ffi::lua_settop(state, -2);
        same != 0
    }
}

/// The block of the receiver, argument 1; raises when that is not `name`.
unsafe fn receiver(state: State, name: &'static CStr) -> *mut c_void {
    // SAFETY: Lua called us with a live thread; nothing droppable is alive.
    unsafe {
        if !is_receiver(state) {
            Lua::new(state).raise(Error::wrong_type(1, name));
        }
        ffi::lua_touserdata(state, 1)
    }
}

/// The same for a table with the receiver in the field that upvalue 3 names,
/// which takes its place.
unsafe fn field_receiver(state: State, name: &'static CStr) -> *mut c_void {
    // SAFETY: raw access to a table neither raises nor runs Lua code.
    unsafe {
        if ffi::lua_type(state, 1) == ffi::LUA_TTABLE {
            ffi::lua_pushvalue(state, Lua::upvalue(3));
            ffi::lua_rawget(state, 1);
            ffi::lua_copy(state, -1, 1);
            ffi::lua_settop(state, -2);
        }
        receiver(state, name)
    }
}

/// Makes a C function of a method of a table that keeps a `T` in the field
/// named by upvalue 3: slot 1 holds that `T` when `body` runs.
pub const fn field_method<T, F>(_: F) -> CFunction
where
    T: UserData,
    F: Fn(Lua, &T) -> Outcome + Copy,
{
    const { assert!(size_of::<F>() == 0, "methods cannot capture") };
    unsafe extern "C-unwind" fn call<T, F>(state: State) -> c_int
    where
        T: UserData,
        F: Fn(Lua, &T) -> Outcome + Copy,
    {
        // SAFETY: as in `method`.
        unsafe {
            let body = std::ptr::NonNull::<F>::dangling().read();
            let this = &*field_receiver(state, T::NAME).cast::<T>();
            finish(state, guard(|| body(Lua::new(state), this)))
        }
    }
    call::<T, F>
}

/// Makes a C function of a method: argument 1 is checked to be a `T`.
pub const fn method<T, F>(_: F) -> CFunction
where
    T: UserData,
    F: Fn(Lua, &T) -> Outcome + Copy,
{
    const { assert!(size_of::<F>() == 0, "methods cannot capture") };
    unsafe extern "C-unwind" fn call<T, F>(state: State) -> c_int
    where
        T: UserData,
        F: Fn(Lua, &T) -> Outcome + Copy,
    {
        // SAFETY: F has no size. The receiver carries T's metatable, so its
        // block holds a T, and slot 1 keeps it alive during the call.
        unsafe {
            let body = std::ptr::NonNull::<F>::dangling().read();
            let this = &*receiver(state, T::NAME).cast::<T>();
            finish(state, guard(|| body(Lua::new(state), this)))
        }
    }
    call::<T, F>
}

/// `__gc`: finalises and drops the value, once.
unsafe extern "C-unwind" fn finalise<T: UserData>(state: State) -> c_int {
    // SAFETY: called by the collector with a filled block, or by a script that
    // got hold of the metamethod; the receiver check covers the second case.
    // Without its metatable the block is no `T` any more: it cannot be
    // finalised twice.
    unsafe {
        if is_receiver(state) {
            let block = ffi::lua_touserdata(state, 1).cast::<T>();
            (*block).finalise(Lua::new(state));
            ffi::lua_pushnil(state);
            ffi::lua_setmetatable(state, 1);
            block.drop_in_place();
        }
    }
    0
}
