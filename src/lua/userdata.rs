//! Rust values owned by Lua: typed userdata with methods, `__gc`, `__close`.
//!
//! A value is only ever borrowed shared (`&T`): Lua code, finalisers included,
//! may come back to the same object while one of its methods runs, so state
//! that changes sits in `Cell` or `RefCell`.
//!
//! Only the collector ends a value. Scripts do not get at metatables
//! (`__metatable`); with the debug library they do, and a `__gc` called by hand
//! does nothing. What a finaliser of theirs still sees of a value that was
//! collected before it answers every use with an error.

use std::ffi::{c_int, c_void, CStr};
use std::marker::PhantomData;

use super::error::finish;
use super::function::guard;
use super::{ffi, function, CFunction, Error, Functions, Lua, Outcome, Returns, State};

/// Where a metatable keeps the methods, for an `__index` of the type's own.
pub const METHODS: i64 = 1;
/// Where it keeps the metatable that a value gets when it was finalised; places
/// after [`METHODS`] are for types of their own ways.
const DEAD: i64 = 0;

/// Registry field of that metatable.
const DEAD_TYPE: &CStr = c"eco.dead";

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
pub struct Slot<'a, T> {
    lua: &'a Lua,
    block: *mut T,
    value: PhantomData<T>,
}

impl<'a, T: UserData> Slot<'a, T> {
    /// Makes the block a `T`; the userdata is on top of the stack. The value
    /// is borrowed as from [`Lua::userdata`].
    pub fn fill(self, value: T) -> &'a T {
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
    pub fn reserve<T: UserData>(&self, user_values: c_int, core: *const c_void) -> Slot<'_, T> {
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
        self.push_dead_type();
        self.push_closed_table(made.name);
        let table = self.top();
        self.insert(-2);
        self.raw_set_index(table - 1, DEAD);
        let table = self.top();
        self.push_table(0, made.methods.values.len() as c_int);
        self.push_value(-1);
        self.raw_set_index(table, METHODS);
        self.set_field(table, c"__index");
        self.set_method(table, b"__gc", made.finalise, core);
        for (name, function) in made.methods.each() {
            self.set_method(table, name, function, core);
        }
        self.push_value(table);
        self.set_field(ffi::LUA_REGISTRYINDEX, made.name);
    }

    /// Pushes a metatable with a name, which `getmetatable` hides. May raise.
    fn push_closed_table(self, name: &CStr) {
        self.push_table(2, 8);
        // SAFETY: a C string that Lua copies; may raise, nothing is alive.
        unsafe { self.push_c_str(name.as_ptr()) };
        self.set_field(-2, c"__name");
        self.set_bool(-1, c"__metatable", false);
    }

    /// Pushes the metatable of what was finalised. May raise.
    fn push_dead_type(self) {
        if self.get_field(ffi::LUA_REGISTRYINDEX, DEAD_TYPE) == ffi::LUA_TTABLE {
            return;
        }
        self.pop(1);
        self.push_closed_table(c"finalised object");
        for event in [c"__index", c"__newindex", c"__call"] {
            self.push_closure(function(dead), 0);
            self.set_field(-2, event);
        }
        self.push_closure(function(nothing), 0);
        self.set_field(-2, c"__close");
        self.push_value(-1);
        self.set_field(ffi::LUA_REGISTRYINDEX, DEAD_TYPE);
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

    /// The `T` at `index`, or None for anything else. Good for the running
    /// call, as long as its slot, or what else the script cannot reach, keeps
    /// the value: only the collector ends one.
    pub fn userdata<T: UserData>(&self, index: c_int) -> Option<&T> {
        // SAFETY: only blocks filled with a `T` carry the metatable that the
        // registry holds under its name.
        unsafe {
            let block = ffi::luaL_testudata(self.state, index, T::NAME.as_ptr());
            block.cast::<T>().as_ref()
        }
    }

    /// Argument `index` as a `T`.
    pub fn expect_userdata<T: UserData>(&self, index: c_int) -> Result<&T, Error> {
        self.userdata(index)
            .ok_or_else(|| Error::wrong_type(index, T::NAME))
    }
}

/// Any use of what was finalised.
fn dead(_: Lua) -> Outcome {
    Err("the object was collected".into())
}

/// Closing it again.
fn nothing(_: Lua) -> Outcome {
    Ok(Returns(0))
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

/// True when the collector called the running function, and not a script.
fn called_by_collector(state: State) -> bool {
    // SAFETY: asks about the running function and who called it; pushes nothing.
    unsafe {
        let mut frame: ffi::lua_Debug = std::mem::zeroed();
        // While finalisers run, Lua 5.4.4 and later refuse this question
        // (-1), earlier ones say that the collector stands still (0). Those
        // mark as "called by __gc" the function that was interrupted, not the
        // finaliser; the function that closes a state is not on the list.
        let level = match ffi::lua_gc(state, ffi::LUA_GCISRUNNING) {
            -1 => 0,
            0 => 1,
            _ => return false,
        };
        if ffi::lua_getstack(state, level, &mut frame) == 0 {
            return true;
        }
        ffi::lua_getinfo(state, c"n".as_ptr(), &mut frame) != 0
            && !frame.name.is_null()
            && CStr::from_ptr(frame.name) == c"__gc"
            && CStr::from_ptr(frame.namewhat) == c"metamethod"
    }
}

/// `__gc`: finalises and drops the value, once.
unsafe extern "C-unwind" fn finalise<T: UserData>(state: State) -> c_int {
    if !called_by_collector(state) {
        return 0;
    }
    // SAFETY: called by the collector with a filled block, its first time: the
    // metatable of a `T` says so. It is replaced before the value is dropped.
    unsafe {
        if is_receiver(state) {
            let block = ffi::lua_touserdata(state, 1).cast::<T>();
            (*block).finalise(Lua::new(state));
            ffi::lua_rawgeti(state, Lua::upvalue(2), DEAD);
            ffi::lua_setmetatable(state, 1);
            block.drop_in_place();
        }
    }
    0
}
