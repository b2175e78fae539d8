//! Whose turn it is to send on a stream: a lock with a first-come queue.
//!
//! Invariant: a queued operation is live. It leaves the queue when it gets its
//! turn, when its wait ends otherwise, and before it is collected.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;

/// An operation that waits for its turn. It is in one queue at most.
pub trait InTurn {
    /// The next one in the queue: for the queue only.
    fn next(&self) -> &Cell<*const Self>;
    /// It is its turn, until it passes that on.
    fn grant(&self);
}

/// The lock of one stream.
pub struct Turns<T> {
    taken: Cell<bool>,
    first: Cell<*const T>,
    last: Cell<*const T>,
}

impl<T: InTurn> Turns<T> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Turns<T> {
        Turns {
            taken: Cell::new(false),
            first: Cell::new(ptr::null()),
            last: Cell::new(ptr::null()),
        }
    }

    pub fn is_taken(&self) -> bool {
        self.taken.get()
    }

    /// Takes the lock; false when somebody has it.
    pub fn take(&self) -> bool {
        !self.taken.replace(true)
    }

    /// Joins the queue.
    pub fn join(&self, operation: &T) {
        operation.next().set(ptr::null());
        // SAFETY: queued operations are live.
        match unsafe { self.last.replace(operation).as_ref() } {
            Some(last) => last.next().set(operation),
            None => self.first.set(operation),
        }
    }

    /// Leaves the queue.
    pub fn leave(&self, operation: &T) {
        let mut before: Option<&T> = None;
        let mut at = self.first.get();
        // SAFETY: queued operations are live.
        while let Some(queued) = unsafe { at.as_ref() } {
            if ptr::eq(queued, operation) {
                match before {
                    Some(before) => before.next().set(queued.next().get()),
                    None => self.first.set(queued.next().get()),
                }
                if self.last.get() == at {
                    self.last.set(before.map_or(ptr::null(), ptr::from_ref));
                }
                return;
            }
            before = Some(queued);
            at = queued.next().get();
        }
    }

    /// Gives the lock up: to the first in the queue, which stays its holder
    /// until it gives it up in turn.
    pub fn pass_on(&self) {
        // SAFETY: queued operations are live.
        match unsafe { self.first.get().as_ref() } {
            Some(next) => {
                self.first.set(next.next().get());
                if self.first.get().is_null() {
                    self.last.set(ptr::null());
                }
                next.grant();
            }
            None => self.taken.set(false),
        }
    }
}
