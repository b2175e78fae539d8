//! Wait statuses as Lua sees them.

use std::ffi::c_int;

use crate::lua::Lua;

/// Pushes the table that describes a raw wait status: `exited` or `signaled`
/// and a `status`; the raw number for anything else. May raise.
pub fn push_status(lua: Lua, raw: c_int) {
    lua.push_table(0, 2);
    let status = if libc::WIFEXITED(raw) {
        lua.set_bool(-1, c"exited", true);
        libc::WEXITSTATUS(raw)
    } else if libc::WIFSIGNALED(raw) {
        lua.set_bool(-1, c"signaled", true);
        libc::WTERMSIG(raw)
    } else {
        raw
    };
    lua.set_integer(-1, c"status", i64::from(status));
}

/// True when the process that reported this is gone.
pub fn has_ended(raw: c_int) -> bool {
    libc::WIFEXITED(raw) || libc::WIFSIGNALED(raw)
}
