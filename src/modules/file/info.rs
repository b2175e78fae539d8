//! What stat(2) says, as a Lua table.

use std::ffi::CStr;

use nix::sys::stat::FileStat;

use crate::lua::Lua;

/// Permissions, set-id and sticky bits.
pub const MODE_BITS: u32 = 0o7777;

/// Names of file types by the high bits of the mode.
const TYPES: [&str; 16] = [
    "", "FIFO", "CHR", "", "DIR", "", "BLK", "", "REG", "", "LNK", "", "SOCK", "", "", "",
];

/// The other fields, in the order of their values below.
const NAMES: [&CStr; 13] = [
    c"mode",
    c"atime",
    c"mtime",
    c"ctime",
    c"atime_nsec",
    c"mtime_nsec",
    c"ctime_nsec",
    c"nlink",
    c"uid",
    c"gid",
    c"size",
    c"ino",
    c"dev",
];

/// Pushes the table. May raise.
pub fn push_info(lua: Lua, stat: &FileStat) {
    let mode = stat.st_mode as u32;
    let kind = TYPES.get((mode >> 12) as usize).unwrap_or(&"");
    lua.push_table(0, 14);
    lua.set_bytes(-1, c"type", kind.as_bytes());
    let values = [
        i64::from(mode & MODE_BITS),
        stat.st_atime as i64,
        stat.st_mtime as i64,
        stat.st_ctime as i64,
        stat.st_atime_nsec as i64,
        stat.st_mtime_nsec as i64,
        stat.st_ctime_nsec as i64,
        stat.st_nlink as i64,
        i64::from(stat.st_uid),
        i64::from(stat.st_gid),
        stat.st_size as i64,
        stat.st_ino as i64,
        stat.st_dev as i64,
    ];
    for (name, value) in NAMES.iter().zip(values) {
        lua.set_integer(-1, name, value);
    }
}
