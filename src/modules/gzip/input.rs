//! Packed bytes that scripts hand in, until they are worked on.

use std::cell::{Cell, Ref, RefCell};

use crate::lua::{Error, Lua};

/// What was handed in, and how much of it is used.
#[derive(Default)]
pub struct Input {
    bytes: RefCell<Vec<u8>>,
    used: Cell<usize>,
}

impl Input {
    /// Adds bytes behind those that are left.
    pub fn add(&self, lua: Lua, data: &[u8]) -> Result<(), Error> {
        let failed = {
            let mut bytes = self.bytes.borrow_mut();
            bytes.drain(..self.used.take());
            let failed = bytes.try_reserve(data.len()).is_err();
            if !failed {
                bytes.extend_from_slice(data);
            }
            failed
        };
        match failed {
            true => Err(lua.out_of_memory()),
            false => Ok(()),
        }
    }

    /// What is left.
    pub fn rest(&self) -> Ref<'_, [u8]> {
        Ref::map(self.bytes.borrow(), |bytes| {
            bytes.get(self.used.get()..).unwrap_or_default()
        })
    }

    /// So many of those are used.
    pub fn take(&self, count: usize) {
        self.used.set(self.used.get() + count);
    }

    /// Nothing is left.
    pub fn clear(&self) {
        self.used.set(0);
        *self.bytes.borrow_mut() = Vec::new();
    }
}
