//! Work on files: made by the pool, while the coroutine waits.
//!
//! Every function yields; then come its results, 0 if there are none, or nil and
//! a message.
#![allow(unsafe_code)]

use std::ffi::{c_int, CStr};
use std::sync::Arc;

use nix::sys::stat::FileStat;

use crate::abi::{offload, Offloaded, Step};
use crate::lua::{Error, Lua, Outcome};
use crate::system::action::{Action, Kind};
use crate::system::job::{self, Found, Job};

impl Offloaded for Arc<Job<Action>> {
    const NAME: &'static CStr = c"luv job";

    /// May raise: the job stays with the userdata.
    fn finish(&self, lua: Lua) -> Step {
        match self.result() {
            None => Step::Pending,
            Some(Ok(found)) => {
                push(lua, found);
                Step::Done(1)
            }
            Some(Err(errno)) => {
                lua.push_nil();
                lua.push_errno(*errno);
                Step::Done(2)
            }
        }
    }
}

/// Has the action done that `make` fills in. May raise.
fn begin(lua: Lua, kind: Kind, make: fn(Lua, &mut Action) -> Result<(), Error>) -> Outcome {
    let make = || {
        let mut action = Action::new(kind);
        make(lua, &mut action)?;
        let job = Job::new(action);
        let shared = job.share();
        Ok((job, shared))
    };
    // SAFETY: the job is made for other threads, and holds itself until it is released.
    unsafe { offload(lua, make, job::run::<Action>, job::release::<Action>) }
}

/// A copy of bytes that outlives the call.
fn copied(lua: Lua, bytes: &[u8], place: &mut Vec<u8>) -> Result<(), Error> {
    place
        .try_reserve_exact(bytes.len())
        .map_err(|_| lua.out_of_memory())?;
    place.extend_from_slice(bytes);
    Ok(())
}

fn path(lua: Lua, action: &mut Action) -> Result<(), Error> {
    copied(lua, lua.c_string(1)?.to_bytes_with_nul(), &mut action.path)
}

fn two_paths(lua: Lua, action: &mut Action) -> Result<(), Error> {
    path(lua, action)?;
    copied(lua, lua.c_string(2)?.to_bytes_with_nul(), &mut action.data)
}

fn fd(lua: Lua, action: &mut Action) -> Result<(), Error> {
    action.fd = lua.int(1)?;
    Ok(())
}

/// A path or a descriptor.
fn either(lua: Lua, action: &mut Action) -> Result<(), Error> {
    if lua.is_integer(1) {
        fd(lua, action)
    } else {
        path(lua, action)
    }
}

/// Argument 2 is a mode.
fn mode(lua: Lua, action: &mut Action) -> Result<(), Error> {
    action.numbers[0] = lua.within(2, 0, 0o7777)?;
    Ok(())
}

/// `open(path, flags, mode)` -> descriptor.
pub fn open(lua: Lua) -> Outcome {
    begin(lua, Kind::Open, |lua, action| {
        let flags = lua.int(2)? | libc::O_CLOEXEC | libc::O_NOCTTY;
        action.numbers = [flags.into(), lua.within(3, 0, 0o7777)?, 0];
        path(lua, action)
    })
}

/// `close(fd)`
pub fn close(lua: Lua) -> Outcome {
    begin(lua, Kind::Close, fd)
}

/// `read(fd, length, offset or -1)` -> bytes, none at the end.
pub fn read(lua: Lua) -> Outcome {
    begin(lua, Kind::Read, |lua, action| {
        action.numbers = [lua.within(2, 0, isize::MAX as i64)?, lua.integer(3)?, 0];
        fd(lua, action)
    })
}

/// `write(fd, data, offset or -1)` -> number of bytes.
pub fn write(lua: Lua) -> Outcome {
    begin(lua, Kind::Write, |lua, action| {
        action.numbers[0] = lua.integer(3)?;
        fd(lua, action)?;
        copied(lua, lua.string(2)?, &mut action.data)
    })
}

/// `stat(path)` -> table.
pub fn stat(lua: Lua) -> Outcome {
    begin(lua, Kind::Stat, path)
}

/// `lstat(path)` -> table.
pub fn lstat(lua: Lua) -> Outcome {
    begin(lua, Kind::StatLink, path)
}

/// `fstat(fd)` -> table.
pub fn fstat(lua: Lua) -> Outcome {
    begin(lua, Kind::StatFile, fd)
}

/// `readdir(path)` -> array of names.
pub fn readdir(lua: Lua) -> Outcome {
    begin(lua, Kind::Scan, path)
}

/// `unlink(path)`
pub fn unlink(lua: Lua) -> Outcome {
    begin(lua, Kind::Unlink, path)
}

/// `rmdir(path)`
pub fn rmdir(lua: Lua) -> Outcome {
    begin(lua, Kind::RemoveFolder, path)
}

/// `mkdir(path, mode)`
pub fn mkdir(lua: Lua) -> Outcome {
    begin(lua, Kind::MakeFolder, |lua, action| {
        mode(lua, action)?;
        path(lua, action)
    })
}

/// `rename(from, to)`
pub fn rename(lua: Lua) -> Outcome {
    begin(lua, Kind::Rename, two_paths)
}

/// `link(from, to)`
pub fn link(lua: Lua) -> Outcome {
    begin(lua, Kind::Link, two_paths)
}

/// `symlink(target, place)`
pub fn symlink(lua: Lua) -> Outcome {
    begin(lua, Kind::Symlink, two_paths)
}

/// `readlink(path)` -> target.
pub fn readlink(lua: Lua) -> Outcome {
    begin(lua, Kind::ReadLink, path)
}

/// `chmod(path or fd, mode)`
pub fn chmod(lua: Lua) -> Outcome {
    begin(lua, Kind::ChangeMode, |lua, action| {
        mode(lua, action)?;
        either(lua, action)
    })
}

/// `chown(path or fd, uid, gid)`
pub fn chown(lua: Lua) -> Outcome {
    begin(lua, Kind::ChangeOwner, |lua, action| {
        let most = u32::MAX.into();
        action.numbers = [lua.within(2, -1, most)?, lua.within(3, -1, most)?, 0];
        either(lua, action)
    })
}

/// `utime(path or fd, seconds, nanoseconds, seconds, nanoseconds)`
pub fn utime(lua: Lua) -> Outcome {
    begin(lua, Kind::ChangeTimes, |lua, action| {
        action.times = [
            (lua.integer(2)?, lua.integer(3)?),
            (lua.integer(4)?, lua.integer(5)?),
        ];
        either(lua, action)
    })
}

/// `sync(fd, 1 for data alone)`
pub fn sync(lua: Lua) -> Outcome {
    begin(lua, Kind::Sync, |lua, action| {
        action.numbers[0] = lua.integer(2)?;
        fd(lua, action)
    })
}

/// `truncate(fd, length)`
pub fn truncate(lua: Lua) -> Outcome {
    begin(lua, Kind::Truncate, |lua, action| {
        action.numbers[0] = lua.integer(2)?;
        fd(lua, action)
    })
}

/// `copy(to, from, offset or -1, length or -1)` -> number of bytes.
pub fn copy(lua: Lua) -> Outcome {
    begin(lua, Kind::Copy, |lua, action| {
        action.numbers = [lua.int(2)?.into(), lua.integer(3)?, lua.integer(4)?];
        fd(lua, action)
    })
}

/// Pushes what was found. May raise.
fn push(lua: Lua, found: &Found) {
    match found {
        Found::Nothing => lua.push_integer(0),
        Found::Number(number) => lua.push_integer(*number as i64),
        Found::Bytes(bytes) => lua.push_bytes(bytes),
        Found::Stat(stat) => push_stat(lua, stat),
        Found::Entries(entries) => {
            lua.push_table(0, 0);
            let each = entries.split_inclusive(|byte| *byte == 0);
            for (index, entry) in (1..).zip(each) {
                if let [_, name @ .., 0] = entry {
                    lua.push_bytes(name);
                    lua.raw_set_index(-2, index);
                }
            }
        }
    }
}

/// Pushes a table of what stat(2) says. May raise.
fn push_stat(lua: Lua, stat: &FileStat) {
    lua.push_table(0, 20);
    let numbers = [
        (c"dev", stat.st_dev as i64),
        (c"ino", stat.st_ino as i64),
        (c"mode", stat.st_mode as i64),
        (c"nlink", stat.st_nlink as i64),
        (c"uid", stat.st_uid as i64),
        (c"gid", stat.st_gid as i64),
        (c"rdev", stat.st_rdev as i64),
        (c"size", stat.st_size as i64),
        (c"blksize", stat.st_blksize as i64),
        (c"blocks", stat.st_blocks as i64),
        (c"atime", stat.st_atime as i64),
        (c"mtime", stat.st_mtime as i64),
        (c"ctime", stat.st_ctime as i64),
    ];
    for (name, value) in numbers {
        lua.set_integer(-1, name, value);
    }
    let kinds = [
        (c"is_file", libc::S_IFREG),
        (c"is_directory", libc::S_IFDIR),
        (c"is_character_device", libc::S_IFCHR),
        (c"is_block_device", libc::S_IFBLK),
        (c"is_fifo", libc::S_IFIFO),
        (c"is_symbolic_link", libc::S_IFLNK),
        (c"is_socket", libc::S_IFSOCK),
    ];
    let kind = stat.st_mode as u32 & libc::S_IFMT as u32;
    for (name, value) in kinds {
        lua.push_bool(kind == value as c_int as u32);
        lua.set_field(-2, name);
    }
}
