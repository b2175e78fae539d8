//! What the scheduler calls back from the loop: alarms when their time has
//! come, watches when their fd is readable.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_void;

use crate::lua::{Lua, State};

/// No place in the scheduler.
const NO_SLOT: u32 = u32::MAX;

/// Where the scheduler keeps a callback, while it is set.
#[repr(C)]
pub struct Slot(pub Cell<u32>);

impl Slot {
    const fn new() -> Slot {
        Slot(Cell::new(NO_SLOT))
    }

    /// True from when it is set until it is called or cleared.
    pub fn is_set(&self) -> bool {
        self.0.get() != NO_SLOT
    }

    /// It is not set any more.
    #[cfg(feature = "core")]
    pub fn free(&self) {
        self.0.set(NO_SLOT);
    }
}

/// The alarm of a [`Fires`].
#[repr(C)]
pub struct Alarm(pub Slot);

impl Alarm {
    /// One that is not set.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Alarm {
        Alarm(Slot::new())
    }
}

/// The watch of a [`Watches`].
#[repr(C)]
pub struct Watch(pub Slot);

impl Watch {
    /// One that is not set.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Watch {
        Watch(Slot::new())
    }
}

/// A function of the owner of an alarm or a watch. May raise.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Callback {
    pub function: unsafe extern "C-unwind" fn(owner: *const c_void, state: State),
    /// A pointer to the whole owner.
    pub owner: *const c_void,
}

impl Callback {
    /// Of an alarm.
    pub fn fire<T: Fires>(owner: &T) -> Callback {
        Callback {
            function: fire::<T>,
            owner: std::ptr::from_ref(owner).cast(),
        }
    }

    /// The owner, if this is of the alarm of a `T`.
    #[cfg(feature = "core")]
    pub fn fires<T: Fires>(&self) -> Option<*const T> {
        type Function = unsafe extern "C-unwind" fn(*const c_void, State);
        std::ptr::fn_addr_eq(self.function, fire::<T> as Function).then_some(self.owner.cast())
    }

    /// Of a watch.
    pub fn ready<T: Watches>(owner: &T) -> Callback {
        unsafe extern "C-unwind" fn call<T: Watches>(owner: *const c_void, state: State) {
            // SAFETY: as in `fire`.
            let (owner, lua) = unsafe { (&*owner.cast::<T>(), Lua::new(state)) };
            owner.ready(lua);
        }
        Callback {
            function: call::<T>,
            owner: std::ptr::from_ref(owner).cast(),
        }
    }
}

unsafe extern "C-unwind" fn fire<T: Fires>(owner: *const c_void, state: State) {
    // SAFETY: the owner is live while its alarm is set (contract of the trait);
    // the scheduler passes its own live thread.
    let (owner, lua) = unsafe { (&*owner.cast::<T>(), Lua::new(state)) };
    owner.fire(lua);
}

/// Something an alarm wakes up.
///
/// # Safety
///
/// Values live in userdata that is kept reachable while the alarm is set, and
/// clear it before they go. [`crate::alarm`] implements it for such types.
pub unsafe trait Fires: 'static {
    fn alarm(&self) -> &Alarm;
    /// The alarm went off; it is not set any more. May raise.
    fn fire(&self, lua: Lua);
}

/// Something that is told when an fd is readable.
///
/// # Safety
///
/// As for [`Fires`].
pub unsafe trait Watches: 'static {
    fn watch(&self) -> &Watch;
    /// The fd was readable; it is not watched any more. May raise.
    fn ready(&self, lua: Lua);
}

/// Implements [`Fires`] for a type with the field `alarm`, by its inherent
/// method `fire`; with `watch`, [`Watches`] by `watch` and `ready`, too. The type
/// keeps their promises.
#[macro_export]
macro_rules! alarm {
    ($type:ty) => {
        #[allow(unsafe_code)]
        // SAFETY: userdata that clears its alarm when it is finalised.
        unsafe impl $crate::abi::Fires for $type {
            fn alarm(&self) -> &$crate::abi::Alarm {
                &self.alarm
            }
            fn fire(&self, lua: $crate::lua::Lua) {
                <$type>::fire(self, lua);
            }
        }
    };
    ($type:ty, watch) => {
        $crate::alarm!($type);
        #[allow(unsafe_code)]
        // SAFETY: userdata that ends its watch when it is finalised.
        unsafe impl $crate::abi::Watches for $type {
            fn watch(&self) -> &$crate::abi::Watch {
                &self.watch
            }
            fn ready(&self, lua: $crate::lua::Lua) {
                <$type>::ready(self, lua);
            }
        }
    };
}
