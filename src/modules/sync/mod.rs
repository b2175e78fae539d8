//! `eco.sync`: condition variable, waitgroup and mutex, all in memory.

mod condition;
mod mutex;
mod waitgroup;

use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::{IntoRawFd, OwnedFd};

use crate::abi::Core;
use crate::core::runtime::Runtime;
use crate::functions;
use crate::lua::{function, Functions, Lua, Outcome, Returns};
use condition::Condition;
use mutex::Mutex;
use waitgroup::WaitGroup;

const FUNCTIONS: Functions = functions! {
    cond: function(Condition::create),
    mutex: function(Mutex::create),
    waitgroup: function(WaitGroup::create),
};

const INTERNAL_FUNCTIONS: Functions = functions! { eventfd: function(eventfd) };

/// Opens `eco.sync`. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Runtime::open(lua)?;
    lua.push_module(FUNCTIONS, core.pointer());
    Ok(Returns(1))
}

/// Opens `eco.internal.sync`. May raise.
pub fn open_internal(lua: Lua) -> Outcome {
    let core = Runtime::open(lua)?;
    lua.push_module(INTERNAL_FUNCTIONS, core.pointer());
    Ok(Returns(1))
}

/// `eventfd(initval [, semaphore])` -> fd, or nil and a message.
fn eventfd(lua: Lua) -> Outcome {
    let value = lua.within(1, 0, u32::MAX.into())? as u32;
    let mut flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    if lua.to_bool(2) {
        flags |= EfdFlags::EFD_SEMAPHORE;
    }
    match EventFd::from_value_and_flags(value, flags) {
        Ok(event) => {
            let fd = OwnedFd::from(event).into_raw_fd();
            Core::of_any(lua).fd_reset(fd);
            lua.push_integer(i64::from(fd));
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}
