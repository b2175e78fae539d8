//! `file.sync`: sync(2) can take seconds on flash, so in a coroutine it runs on
//! the core's pool.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ptr;

use crate::abi::{offload, Offloaded};
use crate::lua::{Lua, Outcome, Returns};
use crate::system::file as calls;

struct Sync;

impl Offloaded for Sync {
    const NAME: &'static CStr = c"eco.filesync";
}

/// `sync()`.
pub fn sync(lua: Lua) -> Outcome {
    if lua.is_yieldable() {
        let make = || Ok((Sync, ptr::null_mut()));
        // SAFETY: the work touches nothing of ours.
        return unsafe { offload(lua, make, calls::sync, calls::release) };
    }
    nix::unistd::sync();
    Ok(Returns(0))
}
