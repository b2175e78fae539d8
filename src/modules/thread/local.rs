//! What belongs to one process.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;
use std::ops::Deref;

use crate::abi::Core;

/// A share in what several threads have: a forked child has nobody to share it with,
/// locks may be held there for ever, and its parent frees it.
pub struct Local<T> {
    core: Core,
    process: u32,
    value: ManuallyDrop<T>,
}

impl<T> Local<T> {
    pub fn new(core: Core, value: T) -> Local<T> {
        Local {
            core,
            process: core.process(),
            value: ManuallyDrop::new(value),
        }
    }

    pub fn core(&self) -> Core {
        self.core
    }

    /// Whether this is a forked child.
    pub fn is_forked(&self) -> bool {
        self.process != self.core.process()
    }
}

impl<T> Deref for Local<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for Local<T> {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // SAFETY: used by nobody after this.
            unsafe { ManuallyDrop::drop(&mut self.value) };
        }
    }
}
