//! What stat(2) says, as a Lua table.

use nix::sys::stat::{FileStat, SFlag};

use crate::lua::Lua;

/// Permissions, set-id and sticky bits.
const MODE_BITS: u32 = 0o7777;

fn type_name(mode: u32) -> &'static str {
    match SFlag::from_bits_truncate(mode as _) & SFlag::S_IFMT {
        SFlag::S_IFREG => "REG",
        SFlag::S_IFDIR => "DIR",
        SFlag::S_IFLNK => "LNK",
        SFlag::S_IFCHR => "CHR",
        SFlag::S_IFBLK => "BLK",
        SFlag::S_IFIFO => "FIFO",
        SFlag::S_IFSOCK => "SOCK",
        _ => "",
    }
}

/// Pushes the table. May raise.
pub fn push_info(lua: Lua, stat: &FileStat) {
    lua.push_table(0, 14);
    lua.set_bytes(-1, c"type", type_name(stat.st_mode as u32).as_bytes());
    for (name, value) in [
        (c"mode", i64::from(stat.st_mode as u32 & MODE_BITS)),
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
    ] {
        lua.set_integer(-1, name, value);
    }
}
