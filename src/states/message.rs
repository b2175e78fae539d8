//! What passes from one Lua state to another: bytes, and objects that both
//! states then share.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void, CStr};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::sync::Arc;

use crate::lua::{ffi, Lua, State, UserData};

/// Lua values on their way.
#[derive(Debug, Default)]
pub struct Message {
    pub bytes: Vec<u8>,
    /// What the bytes refer to by its place.
    pub objects: Vec<Shared>,
}

/// A thing that several states, in several threads, have at a time.
pub trait Share: Send + Sync + Sized + 'static {
    /// Its name in words.
    const NAME: &'static CStr;
    /// Pushes what scripts of that state see of it. May raise: what this
    /// clones belongs to Lua before it calls Lua again ([`Lua::reserve`]).
    fn push(this: &Arc<Self>, lua: Lua);
}

/// A userdata that stands for such a thing: see [`Lua::share`].
pub trait Shareable: UserData {
    /// The thing; None when this one does not pass, as it is closed.
    fn shared(&self) -> Option<Shared>;
}

/// A counted handle of such a thing, of whatever module it is: the layout is
/// that of C, and functions of the module that made it do the work.
#[repr(C)]
pub struct Shared {
    data: NonNull<c_void>,
    table: &'static Table,
}

/// What can be done with one.
#[repr(C)]
struct Table {
    name: *const c_char,
    push: unsafe extern "C-unwind" fn(NonNull<c_void>, State),
    retain: unsafe extern "C-unwind" fn(NonNull<c_void>),
    release: unsafe extern "C-unwind" fn(NonNull<c_void>),
}

// SAFETY: the name is a static C string.
unsafe impl Sync for Table {}

// SAFETY: it stands for an `Arc` of what is `Send` and `Sync`.
unsafe impl Send for Shared {}
// SAFETY: likewise.
unsafe impl Sync for Shared {}

struct TableOf<T>(std::marker::PhantomData<T>);

impl<T: Share> TableOf<T> {
    const TABLE: &'static Table = &Table {
        name: T::NAME.as_ptr(),
        push: push::<T>,
        retain: retain::<T>,
        release: release::<T>,
    };
}

/// The one table of a type: a constant may have several addresses.
#[inline(never)]
fn table<T: Share>() -> &'static Table {
    TableOf::<T>::TABLE
}

unsafe extern "C-unwind" fn push<T: Share>(data: NonNull<c_void>, state: State) {
    // SAFETY: the caller holds the handle, which `Shared::new` made of an
    // `Arc<T>`, and a live thread. Nothing is dropped here, and so nothing lost
    // when `push` raises.
    unsafe {
        let this = ManuallyDrop::new(Arc::from_raw(data.cast::<T>().as_ptr()));
        T::push(&this, Lua::new(state));
    }
}

unsafe extern "C-unwind" fn retain<T: Share>(data: NonNull<c_void>) {
    // SAFETY: as above.
    unsafe { Arc::increment_strong_count(data.cast::<T>().as_ptr()) }
}

unsafe extern "C-unwind" fn release<T: Share>(data: NonNull<c_void>) {
    // SAFETY: as above; the handle goes away.
    unsafe { Arc::decrement_strong_count(data.cast::<T>().as_ptr()) }
}

impl Shared {
    /// A handle of that thing.
    pub fn new<T: Share>(thing: Arc<T>) -> Shared {
        // SAFETY: an `Arc` is never null.
        let data = unsafe { NonNull::new_unchecked(Arc::into_raw(thing).cast_mut()) };
        Shared {
            data: data.cast(),
            table: table::<T>(),
        }
    }

    /// The thing, if it is of that type.
    pub fn get<T: Share>(&self) -> Option<&T> {
        let is_one = std::ptr::eq(self.table, table::<T>());
        // SAFETY: the table is of this type alone, and the handle is alive as long as
        // it is borrowed.
        is_one.then(|| unsafe { self.data.cast::<T>().as_ref() })
    }

    /// The name of its type.
    pub fn name(&self) -> &'static CStr {
        // SAFETY: a static C string.
        unsafe { CStr::from_ptr(self.table.name) }
    }

    /// Pushes what scripts of that state see of it. May raise.
    pub fn push(&self, lua: Lua) {
        // SAFETY: the handle is alive.
        unsafe { (self.table.push)(self.data, lua.state()) }
    }
}

impl Clone for Shared {
    fn clone(&self) -> Shared {
        // SAFETY: the handle is alive.
        unsafe { (self.table.retain)(self.data) };
        Shared { ..*self }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the handle is alive, and this is its end.
        unsafe { (self.table.release)(self.data) }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name().to_string_lossy())
    }
}

/// Registry field of the table of types that pass, by their metatables.
const TYPES: &CStr = c"eco.shareable";

/// Gives the handle of a userdata's thing; false when there is none.
type GetShared = unsafe extern "C-unwind" fn(*const c_void, *mut MaybeUninit<Shared>) -> bool;

/// What the registry holds of a type.
#[repr(C)]
struct Type {
    get: GetShared,
}

unsafe extern "C-unwind" fn get<T: Shareable>(
    block: *const c_void,
    place: *mut MaybeUninit<Shared>,
) -> bool {
    // SAFETY: the block carries the metatable of a `T`; the place is the caller's.
    let (this, place) = unsafe { (&*block.cast::<T>(), &mut *place) };
    this.shared().map(|shared| place.write(shared)).is_some()
}

struct TypeOf<T>(std::marker::PhantomData<T>);

impl<T: Shareable> TypeOf<T> {
    const TYPE: &'static Type = &Type { get: get::<T> };
}

impl Lua {
    /// From now on values of that type pass to other states. May raise.
    pub fn share<T: Shareable>(self, core: *const c_void) {
        if self.get_field(ffi::LUA_REGISTRYINDEX, TYPES) != ffi::LUA_TTABLE {
            self.pop(1);
            self.push_table(0, 1);
            self.push_value(-1);
            self.set_field(ffi::LUA_REGISTRYINDEX, TYPES);
        }
        self.push_metatable::<T>(core);
        self.push_pointer(std::ptr::from_ref(TypeOf::<T>::TYPE).cast());
        self.raw_set(-3);
        self.pop(1);
    }

    /// The handle of the userdata at `index`, if it is of such a type. May raise
    /// before there is one.
    pub(super) fn shared_at(self, index: c_int) -> Option<Shared> {
        let block = self.to_userdata(index);
        if self.type_of(index) != ffi::LUA_TUSERDATA || !self.get_metatable(index) {
            return None;
        }
        if self.get_field(ffi::LUA_REGISTRYINDEX, TYPES) != ffi::LUA_TTABLE {
            self.pop(2);
            return None;
        }
        self.insert(-2);
        self.raw_get(-2);
        let found = self.to_userdata(-1).cast_const().cast::<Type>();
        self.pop(2);
        let mut place = MaybeUninit::uninit();
        // SAFETY: only `share` puts pointers there, each to what is static; the
        // block carries the metatable, so it is one of that type.
        unsafe {
            let found = found.as_ref()?;
            ((found.get)(block, &mut place)).then(|| place.assume_init())
        }
    }
}
