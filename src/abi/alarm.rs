//! Alarms: timers that call a function from the loop.
#![allow(unsafe_code)]

use std::cell::Cell;

use crate::lua::{Lua, State};

/// A timer that calls `fire` from the loop. Lives in userdata; whoever owns it
/// keeps the userdata reachable while it is set, and clears it before it goes.
#[repr(C)]
pub struct Alarm {
    /// Called from the loop's thread; may raise.
    pub fire: unsafe extern "C-unwind" fn(*const Alarm, State),
    /// Slot in the scheduler, `u32::MAX` when not set.
    pub slot: Cell<u32>,
}

impl Alarm {
    /// An alarm that is not set.
    pub const fn new(fire: unsafe extern "C-unwind" fn(*const Alarm, State)) -> Alarm {
        Alarm {
            fire,
            slot: Cell::new(u32::MAX),
        }
    }

    /// The alarm in the first field of a type made ready by [`crate::alarm`].
    pub const fn of<T: Fires>() -> Alarm {
        Alarm::new(fire::<T>)
    }

    /// True from `set_alarm` until it fires or is cleared.
    pub fn is_set(&self) -> bool {
        self.slot.get() != u32::MAX
    }
}

/// Something an alarm wakes up.
///
/// # Safety
///
/// The type is `#[repr(C)]` and its first field is its [`Alarm`]. Use
/// [`crate::alarm`] to implement it.
pub unsafe trait Fires: 'static {
    /// The alarm went off; it is not set any more. May raise.
    fn fire(&self, lua: Lua);
}

unsafe extern "C-unwind" fn fire<T: Fires>(alarm: *const Alarm, state: State) {
    // SAFETY: the alarm is the first field of a live T (trait contract); the
    // scheduler passes its own live thread.
    let (this, lua) = unsafe { (&*alarm.cast::<T>(), Lua::new(state)) };
    this.fire(lua);
}

/// Implements [`Fires`] for a `#[repr(C)]` type whose first field is
/// `alarm: Alarm`, by its inherent `fire` method.
#[macro_export]
macro_rules! alarm {
    ($type:ty) => {
        const _: () = assert!(
            std::mem::offset_of!($type, alarm) == 0,
            "the alarm comes first"
        );
        #[allow(unsafe_code)]
        // SAFETY: the alarm is the first field (checked above); types with
        // alarms live in userdata, which does not move.
        unsafe impl $crate::abi::Fires for $type {
            fn fire(&self, lua: $crate::lua::Lua) {
                <$type>::fire(self, lua);
            }
        }
    };
}
