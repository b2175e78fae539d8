//! Rows on their way to a script.

use std::cell::{Cell, RefCell};

use super::exchange::Look;
use crate::lua::Lua;

/// Rows to be pushed, and how far that came.
pub struct Batch<'a, L, K> {
    pub link: &'a L,
    pub received: &'a [u8],
    pub kinds: &'a [K],
    pub taken: Cell<usize>,
    pub malformed: Cell<bool>,
}

/// Takes rows that `received` begins with: `push` adds them to what the script will be told, as the body of a protected
/// call. The kinds of their columns are in `kinds`.
pub fn take<L, K>(
    lua: Lua,
    link: &L,
    kinds: &RefCell<Vec<K>>,
    received: &[u8],
    malformed: Look,
    push: fn(Lua, &Batch<L, K>),
) -> Look {
    let known = kinds.take();
    let batch = Batch {
        link,
        received,
        kinds: &known,
        taken: Cell::new(0),
        malformed: Cell::new(false),
    };
    let pushed = lua.protect(0, &batch, push);
    let (taken, is_malformed) = (batch.taken.get(), batch.malformed.get());
    kinds.replace(known);
    match pushed {
        Err(error) => error.into(),
        Ok(()) if is_malformed => malformed,
        Ok(()) => Look::Took(taken),
    }
}
