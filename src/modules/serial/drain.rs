//! `drain`: tcdrain(3) blocks its thread, so it runs on the core's pool.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void, CStr};

use crate::abi::{offload, Offloaded};
use crate::lua::{Lua, Outcome};
use crate::system::{file, terminal};

struct Drain;

impl Offloaded for Drain {
    const NAME: &'static CStr = c"eco.serialdrain";
}

/// `drain(fd)`: nothing, or nil and a message.
pub fn drain(lua: Lua) -> Outcome {
    let make = || {
        let fd = lua.within(1, 0, c_int::MAX.into())? as usize;
        Ok((Drain, fd as *mut c_void))
    };
    // SAFETY: the context is a number.
    unsafe { offload(lua, make, terminal::drain, file::release) }
}
