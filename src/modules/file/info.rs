//! What stat(2) says, as a Lua table.

use nix::sys::stat::FileStat;

use crate::lua::Lua;

/// Permissions, set-id and sticky bits.
const MODE_BITS: u32 = 0o7777;

/// Names of file types by the high bits of the mode.
const TYPES: [&str; 16] = [
    "", "FIFO", "CHR", "", "DIR", "", "BLK", "", "REG", "", "LNK", "", "SOCK", "", "", "",
];

/// Pushes the table. May raise.
pub fn push_info(lua: Lua, stat: &FileStat) {
    let mode = stat.st_mode as u32;
    let kind = TYPES.get((mode >> 12) as usize).unwrap_or(&"");
    lua.push_table(0, 14);
    lua.set_bytes(-1, c"type", kind.as_bytes());
    let values = [
        (c"mode", i64::from(mode & MODE_BITS)),
        (c"atime", stat.st_atime as i64),
        (c"mtime", stat.st_mtime as i64),
        (c"ctime", stat.st_ctime as i64),
        (c"atime_nsec", stat.st_atime_nsec as i64),
        (c"mtime_nsec", stat.st_mtime_nsec as i64),
        (c"ctime_nsec", stat.st_ctime_nsec as i64),
        (c"nlink", stat.st_nlink as i64),
        (c"uid", i64::from(stat.st_uid)),
        (c"gid", i64::from(stat.st_gid)),
        (c"size", stat.st_size as i64),
        (c"ino", stat.st_ino as i64),
        (c"dev", stat.st_dev as i64),
    ];
    lua.set_constants(-1, &values);
}
