//! Work on files: made by the pool, while the coroutine waits.
//!
//! Every function yields; then come its results, or nil and a message.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::sync::Arc;

use crate::abi::{offload, Offloaded, Step};
use crate::lua::{Error, Lua, Outcome};
use crate::system::job::{self, Found, Job, Task};

impl Offloaded for Arc<Job<Task>> {
    const NAME: &'static CStr = c"lunet job";

    /// May raise: the job stays with the userdata.
    fn finish(&self, lua: Lua) -> Step {
        match self.result() {
            None => Step::Pending,
            Some(Ok(found)) => Step::Done(push(lua, found)),
            Some(Err(errno)) => {
                lua.push_nil();
                lua.push_errno(*errno);
                Step::Done(2)
            }
        }
    }
}

/// Has a job done that `make` describes. May raise.
fn begin(lua: Lua, make: fn(Lua) -> Result<Task, Error>) -> Outcome {
    let make = || {
        let job = Job::new(make(lua)?);
        let shared = job.share();
        Ok((job, shared))
    };
    // SAFETY: the job is made for other threads, and holds itself until it is released.
    unsafe { offload(lua, make, job::run::<Task>, job::release::<Task>) }
}

/// A copy of a byte string that outlives the call.
fn copy(lua: Lua, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())
        .map_err(|_| lua.out_of_memory())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

fn path(lua: Lua) -> Result<Vec<u8>, Error> {
    copy(lua, lua.c_string(1)?.to_bytes_with_nul())
}

/// `open(path, flags, mode)` -> descriptor.
pub fn open(lua: Lua) -> Outcome {
    begin(lua, |lua| {
        let flags = lua.int(2)? | libc::O_CLOEXEC | libc::O_NOCTTY;
        Ok(Task::Open(path(lua)?, flags, lua.int(3)?))
    })
}

/// `close(fd)` -> nothing.
pub fn close(lua: Lua) -> Outcome {
    begin(lua, |lua| Ok(Task::Close(lua.int(1)?)))
}

/// `read(fd, count)` -> bytes, none at the end.
pub fn read(lua: Lua) -> Outcome {
    begin(lua, |lua| {
        let length = lua.within(2, 0, isize::MAX as i64)?;
        Ok(Task::Read(lua.int(1)?, length as usize))
    })
}

/// `write(fd, data)` -> number of bytes.
pub fn write(lua: Lua) -> Outcome {
    begin(lua, |lua| {
        Ok(Task::Write(lua.int(1)?, copy(lua, lua.string(2)?)?))
    })
}

/// `stat(path)` -> table.
pub fn stat(lua: Lua) -> Outcome {
    begin(lua, |lua| path(lua).map(Task::Stat))
}

/// `scan(path)` -> array of `{ name, type }`.
pub fn scan(lua: Lua) -> Outcome {
    begin(lua, |lua| path(lua).map(Task::Scan))
}

/// Pushes what was found, and tells how many values that is. May raise.
fn push(lua: Lua, found: &Found) -> i32 {
    match found {
        Found::Nothing => return 0,
        Found::Number(number) => lua.push_integer(*number as i64),
        Found::Bytes(bytes) => lua.push_bytes(bytes),
        Found::Stat(stat) => {
            lua.push_table(0, 16);
            let values = [
                stat.st_dev as i64,
                i64::from(stat.st_mode),
                stat.st_nlink as i64,
                i64::from(stat.st_uid),
                i64::from(stat.st_gid),
                stat.st_rdev as i64,
                stat.st_ino as i64,
                stat.st_size as i64,
                stat.st_blksize as i64,
                stat.st_blocks as i64,
                // What only other systems have.
                0,
                0,
                stat.st_atime as i64,
                stat.st_mtime as i64,
                stat.st_ctime as i64,
                // Not in stat(2).
                stat.st_ctime as i64,
            ];
            for (name, value) in FIELDS.iter().zip(values) {
                lua.set_integer(-1, name, value);
            }
        }
        Found::Entries(entries) => {
            lua.push_table(0, 0);
            let each = entries.split_inclusive(|byte| *byte == 0);
            for (index, entry) in (1..).zip(each) {
                let [kind, name @ .., 0] = entry else {
                    continue;
                };
                lua.push_table(0, 2);
                lua.set_bytes(-1, c"name", name);
                lua.set_bytes(-1, c"type", kind_name(*kind).as_bytes());
                lua.raw_set_index(-2, index);
            }
        }
    }
    1
}

/// Fields of stat, in the order of their values above.
const FIELDS: [&CStr; 16] = [
    c"dev",
    c"mode",
    c"nlink",
    c"uid",
    c"gid",
    c"rdev",
    c"ino",
    c"size",
    c"blksize",
    c"blocks",
    c"flags",
    c"gen",
    c"atim",
    c"mtim",
    c"ctim",
    c"birthtim",
];

fn kind_name(kind: u8) -> &'static str {
    match kind {
        libc::DT_REG => "file",
        libc::DT_DIR => "dir",
        libc::DT_LNK => "link",
        libc::DT_FIFO => "fifo",
        libc::DT_SOCK => "socket",
        libc::DT_CHR => "char",
        libc::DT_BLK => "block",
        _ => "unknown",
    }
}
