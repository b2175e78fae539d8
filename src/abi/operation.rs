//! Parked operations: what a blocking call hands to the scheduler before its
//! coroutine yields.
//!
//! An operation lives inside the userdata it works on (or inside one pushed
//! for it in the yielding call's frame). While its coroutine is parked, that
//! frame keeps the userdata reachable. The scheduler checks that the frame is
//! still the one that parked before it touches the operation; an owner that is
//! collected withdraws its operations first (`Core::forget`).
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_int;

use crate::lua::{Lua, State};

/// Directions of an fd to wait for: the bits of epoll and of `eco.READ`/`WRITE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Interest(pub u32);

impl Interest {
    pub const NONE: Interest = Interest(0);
    pub const READ: Interest = Interest(libc::EPOLLIN as u32);
    pub const WRITE: Interest = Interest(libc::EPOLLOUT as u32);
    pub const BOTH: Interest = Interest(Interest::READ.0 | Interest::WRITE.0);

    /// True when any direction of `other` is wanted.
    pub fn wants(self, other: Interest) -> bool {
        self.0 & other.0 != 0
    }
}

/// Why an operation is polled: any of these, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Cause(pub u32);

impl Cause {
    /// The fd became ready.
    pub const READY: Cause = Cause(1);
    /// The timeout passed.
    pub const TIMEOUT: Cause = Cause(2);
    /// Somebody cancelled the wait.
    pub const CANCEL: Cause = Cause(4);
    /// Another coroutine woke it, `eco._resume` included.
    pub const WAKE: Cause = Cause(8);
    /// The others had their turn: go on.
    pub const TURN: Cause = Cause(16);

    pub fn has(self, other: Cause) -> bool {
        self.0 & other.0 != 0
    }
}

/// What a poll decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Not finished: stay parked on the same fd and timer.
    Pending,
    /// Finished: that many results were pushed.
    Done(c_int),
}

/// Functions of an operation, as the scheduler calls them.
#[repr(C)]
pub struct OperationTable {
    pub poll: unsafe extern "C-unwind" fn(*const Parked, State, Cause) -> c_int,
    pub abandon: unsafe extern "C-unwind" fn(*const Parked),
}

/// First field of every operation: its functions and the task parked on it.
#[repr(C)]
pub struct Parked {
    pub(crate) table: &'static OperationTable,
    /// Index of the parked task, [`NO_TASK`] when nobody is.
    pub(crate) task: Cell<u32>,
}

pub const NO_TASK: u32 = u32::MAX;
const PENDING: c_int = -1;

impl Parked {
    /// The header of an operation of type `T` nobody waits on yet.
    pub const fn new<T: Operation>() -> Parked {
        Parked {
            table: &Table::<T>::TABLE,
            task: Cell::new(NO_TASK),
        }
    }

    /// True while the scheduler holds it.
    pub fn is_held(&self) -> bool {
        self.task.get() != NO_TASK
    }
}

/// Something a coroutine can wait for.
///
/// # Safety
///
/// The type is `#[repr(C)]` and its first field is its [`Parked`] header; the
/// value does not move while parked. Use [`crate::operation`] to implement it.
pub unsafe trait Operation: 'static {
    /// Tries again. Results are pushed to `lua` and become the results of the
    /// call that parked. May raise for want of memory only.
    fn poll(&self, lua: Lua, cause: Cause) -> Step;
    /// The wait ended without a poll: its coroutine was closed, or resumed by
    /// somebody else.
    fn abandon(&self) {}
}

struct Table<T>(std::marker::PhantomData<T>);

impl<T: Operation> Table<T> {
    const TABLE: OperationTable = OperationTable {
        poll: poll::<T>,
        abandon: abandon::<T>,
    };
}

unsafe extern "C-unwind" fn poll<T: Operation>(
    header: *const Parked,
    state: State,
    cause: Cause,
) -> c_int {
    // SAFETY: the header is the first field of a live T (trait contract); the
    // scheduler passes its own live thread.
    let (operation, lua) = unsafe { (&*header.cast::<T>(), Lua::new(state)) };
    match operation.poll(lua, cause) {
        Step::Pending => PENDING,
        Step::Done(count) => count,
    }
}

unsafe extern "C-unwind" fn abandon<T: Operation>(header: *const Parked) {
    // SAFETY: as in `poll`.
    unsafe { &*header.cast::<T>() }.abandon();
}

/// Calls `poll` through the header.
///
/// # Safety
///
/// `header` belongs to a live operation, `state` is a live thread.
#[cfg(feature = "core")]
pub unsafe fn poll_header(header: *const Parked, state: State, cause: Cause) -> Step {
    // SAFETY: the table was made for the operation the header lies in.
    match unsafe { ((*header).table.poll)(header, state, cause) } {
        PENDING => Step::Pending,
        count => Step::Done(count),
    }
}

/// Implements [`Operation`] for a `#[repr(C)]` type whose first field is
/// `parked: Parked` (or begins with the one named), by its inherent `poll` and
/// `abandon` methods.
#[macro_export]
macro_rules! operation {
    ($type:ty) => {
        $crate::operation!($type, parked);
    };
    ($type:ty, $($header:ident).+) => {
        const _: () = assert!(
            std::mem::offset_of!($type, $($header).+) == 0,
            "the header comes first"
        );
        #[allow(unsafe_code)]
        // SAFETY: the header is the first field (checked above); operations
        // live in userdata, which does not move.
        unsafe impl $crate::abi::Operation for $type {
            fn poll(
                &self,
                lua: $crate::lua::Lua,
                cause: $crate::abi::Cause,
            ) -> $crate::abi::Step {
                <$type>::poll(self, lua, cause)
            }
            fn abandon(&self) {
                <$type>::abandon(self);
            }
        }
    };
}
