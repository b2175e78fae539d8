//! What the codes of the table's functions say.

use std::ffi::c_int;

use nix::errno::Errno;

use super::table::{OBJECT_BUSY, OUTSIDE_COROUTINE, READ_BUSY, WRITE_BUSY};
use crate::lua::{Error, Lua, Outcome};

/// What a code says about who waits already; None for other codes.
pub(super) fn busy_text(code: c_int) -> Option<&'static str> {
    Some(match code {
        READ_BUSY => "another coroutine is already waiting for read on this file descriptor",
        WRITE_BUSY => "another coroutine is already waiting for write on this file descriptor",
        OBJECT_BUSY => "another coroutine is already waiting on this I/O object",
        _ => return None,
    })
}

/// Who waits already, as an error.
pub fn idle(code: c_int) -> Result<(), Error> {
    busy_text(code).map_or(Ok(()), |text| Err(text.into()))
}

/// Why a coroutine could not be parked: `nil, message` for errors of the
/// system, an error for misuse.
pub(super) fn refuse(lua: Lua, code: c_int) -> Outcome {
    if code == OUTSIDE_COROUTINE {
        return Err(lua.cannot_yield());
    }
    idle(code)?;
    if code == -libc::ENOMEM {
        return Err(lua.out_of_memory());
    }
    lua.fail_errno(Errno::from_raw(-code))
}
