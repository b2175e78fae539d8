//! `eco.file`: files, folders, locks, inotify. `eco.internal.file` holds the
//! plain functions and constants; `eco.file` adds what yields and its objects,
//! and falls through to it.

mod calls;
mod constants;
mod folder;
mod info;
mod inotify;
mod lock;
mod names;
mod sync;

use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::{self, OFlag, AT_FDCWD};
use nix::sys::stat::{self, fchmodat, FchmodatFlags, FileStat, Mode};
use nix::sys::statvfs;
use nix::unistd::{self, AccessFlags, Gid, Uid, UnlinkatFlags, Whence};

use crate::core::runtime::Runtime;
use crate::core::Core;
use crate::lua::{function, Error, Functions, Lua, Outcome, Returns};
use crate::modules::constants::set_constants;

/// Most bytes `read` takes at once.
const LARGEST_READ: usize = 1 << 20;

/// Opens `eco.internal.file`.
pub fn open_internal(lua: Lua) -> Outcome {
    let core = Runtime::open(lua)?;
    lua.push_module(FUNCTIONS, core.pointer());
    for constants in [constants::FILES, constants::EVENTS] {
        set_constants(lua, constants);
    }
    lua.set_integer(-1, c"SKIP", 1);
    Ok(Returns(1))
}

/// Opens `eco.file`.
pub fn open(lua: Lua) -> Outcome {
    let core = Runtime::open(lua)?;
    lua.push_chunk(c"=eco.file", include_str!("file.lua"));
    lua.require(c"eco");
    lua.require(c"eco.internal.file");
    lua.push_module(PARTS, core.pointer());
    lua.call(3, 1);
    Ok(Returns(1))
}

const FUNCTIONS: Functions = &[
    (c"open", function(open_file)),
    (c"close", function(close)),
    (c"read", function(read)),
    (c"write", function(write)),
    (c"lseek", function(lseek)),
    (c"access", function(access)),
    (c"readlink", function(readlink)),
    (c"stat", function(stat_path)),
    (c"lstat", function(lstat)),
    (c"fstat", function(fstat)),
    (c"statvfs", function(file_system)),
    (c"chown", function(chown)),
    (c"chmod", function(chmod)),
    (c"mkdir", function(mkdir)),
    (c"rmdir", function(rmdir)),
    (c"unlink", function(unlink)),
    (c"rename", function(rename)),
    (c"dirname", function(dirname)),
    (c"basename", function(basename)),
    (c"flock", function(flock)),
    (c"dir", function(folder::Folder::iterate)),
    (c"sync", function(sync::sync)),
    (c"inotify_init", function(inotify_init)),
    (c"inotify_add_watch", function(inotify_add_watch)),
    (c"inotify_rm_watch", function(inotify_rm_watch)),
    (c"inotify_parse_event", function(inotify_parse_event)),
];

/// What `file.lua` builds on.
const PARTS: Functions = &[
    (c"close", function(close_object)),
    (c"seek", function(seek_object)),
    (c"flock", function(lock::flock)),
];

/// Ends with true, or `nil, message`.
fn done(lua: Lua, result: Result<(), Errno>) -> Outcome {
    match result {
        Ok(()) => {
            lua.push_bool(true);
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// Ends with an integer, or `nil, message`.
fn integer(lua: Lua, result: Result<i64, Errno>) -> Outcome {
    match result {
        Ok(value) => {
            lua.push_integer(value);
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// Ends with an info table, or `nil, message`.
fn described(lua: Lua, result: Result<FileStat, Errno>) -> Outcome {
    match result {
        Ok(stat) => {
            info::push_info(lua, &stat);
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `open(path [, flags [, mode]])` -> fd.
fn open_file(lua: Lua) -> Outcome {
    let flags = OFlag::from_bits_retain(lua.integer_or(2, 0)? as _);
    let mode = Mode::from_bits_truncate(lua.integer_or(3, 0)? as _);
    let opened = fcntl::open(lua.string(1)?, flags, mode).map(IntoRawFd::into_raw_fd);
    if let Ok(fd) = opened {
        Core::of(lua).fd_reset(fd);
    }
    integer(lua, opened.map(i64::from))
}

/// `close(fd)`.
fn close(lua: Lua) -> Outcome {
    let fd = lua.int(1)?;
    let closed = calls::close(fd);
    Core::of(lua).fd_reset(fd);
    done(lua, closed)
}

/// `close(fd, reader, writer)` of an object: ends what waits on them.
fn close_object(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    if let Some(reader) = core.reader_at(lua, 2) {
        reader.close();
    }
    if let Some(writer) = core.writer_at(lua, 3) {
        writer.close();
    }
    close(lua)
}

/// `read(fd, size)` -> bytes, `''` at the end: one read(2).
fn read(lua: Lua) -> Outcome {
    let fd = lua.int(1)?;
    let size = match usize::try_from(lua.integer(2)?) {
        Ok(size) if size > 0 => size.min(LARGEST_READ),
        _ => return Err(Error::argument(2, "must be greater than 0")),
    };
    let mut bytes = vec![0; size];
    match calls::borrow(fd).and_then(|fd| unistd::read(fd, &mut bytes)) {
        Ok(count) => {
            lua.try_push_bytes(bytes.get(..count).unwrap_or_default())?;
            Ok(Returns(1))
        }
        Err(errno) => {
            drop(bytes);
            lua.fail_errno(errno)
        }
    }
}

/// `write(fd, data)` -> count: one write(2).
fn write(lua: Lua) -> Outcome {
    let fd = lua.int(1)?;
    let data = lua.string(2)?;
    let written = calls::borrow(fd).and_then(|fd| unistd::write(fd, data));
    integer(lua, written.map(|count| count as i64))
}

/// lseek(2).
fn seek(fd: i32, offset: i64, whence: i64) -> Result<i64, Errno> {
    let whence = match whence as i32 {
        libc::SEEK_SET => Whence::SeekSet,
        libc::SEEK_CUR => Whence::SeekCur,
        libc::SEEK_END => Whence::SeekEnd,
        _ => return Err(Errno::EINVAL),
    };
    unistd::lseek64(calls::borrow(fd)?, offset, whence)
}

/// `lseek(fd, offset, whence)` -> offset from the start.
fn lseek(lua: Lua) -> Outcome {
    let (fd, offset, whence) = (lua.int(1)?, lua.integer(2)?, lua.integer(3)?);
    integer(lua, seek(fd, offset, whence))
}

/// `seek(fd, offset, whence, reader)`: the reader's buffer is dropped, and
/// offsets count from what the script has read, not from what was read ahead.
fn seek_object(lua: Lua) -> Outcome {
    let (fd, mut offset, whence) = (lua.int(1)?, lua.integer(2)?, lua.integer(3)?);
    let reader = Core::of(lua).reader_at(lua, 4);
    let ahead = reader.map_or(0, |reader| reader.buffered().len());
    if whence == i64::from(libc::SEEK_CUR) {
        offset = offset.saturating_sub(ahead as i64);
    }
    let moved = seek(fd, offset, whence);
    if let (Ok(_), Some(reader)) = (moved, reader) {
        reader.consume(ahead);
    }
    integer(lua, moved)
}

/// `access(path [, mode])`: every letter of `mode` must hold.
fn access(lua: Lua) -> Outcome {
    let mut wanted = AccessFlags::F_OK;
    for letter in lua.string_or(2, b"")? {
        wanted |= match letter {
            b'x' => AccessFlags::X_OK,
            b'w' => AccessFlags::W_OK,
            b'r' => AccessFlags::R_OK,
            _ => AccessFlags::F_OK,
        };
    }
    let allowed = unistd::access(lua.string(1)?, wanted).is_ok();
    lua.push_bool(allowed);
    Ok(Returns(1))
}

/// `readlink(path)` -> target.
fn readlink(lua: Lua) -> Outcome {
    match fcntl::readlink(lua.string(1)?).map(OsStringExt::into_vec) {
        Ok(target) => {
            lua.try_push_bytes(&target)?;
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `stat(path)` -> info.
fn stat_path(lua: Lua) -> Outcome {
    described(lua, stat::stat(lua.string(1)?))
}

/// `lstat(path)` -> info of a link itself.
fn lstat(lua: Lua) -> Outcome {
    described(lua, stat::lstat(lua.string(1)?))
}

/// `fstat(fd)` -> info.
fn fstat(lua: Lua) -> Outcome {
    let fd = lua.int(1)?;
    described(lua, calls::borrow(fd).and_then(stat::fstat))
}

/// `statvfs(path)` -> total, available, used, in KiB.
fn file_system(lua: Lua) -> Outcome {
    match statvfs::statvfs(lua.string(1)?) {
        Ok(found) => {
            let unit = found.fragment_size() as f64 / 1024.0;
            let used = found.blocks().saturating_sub(found.blocks_free());
            lua.push_number(found.blocks() as f64 * unit);
            lua.push_number(found.blocks_available() as f64 * unit);
            lua.push_number(used as f64 * unit);
            Ok(Returns(3))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `chown(path [, uid [, gid]])`.
fn chown(lua: Lua) -> Outcome {
    let id = |index| -> Result<Option<u32>, Error> {
        if lua.is_none_or_nil(index) {
            return Ok(None);
        }
        lua.integer(index).map(|id| Some(id as u32))
    };
    let (uid, gid) = (id(2)?.map(Uid::from_raw), id(3)?.map(Gid::from_raw));
    done(lua, unistd::chown(lua.string(1)?, uid, gid))
}

/// The mode argument at `index`, or `default`.
fn mode(lua: Lua, index: i32, default: i64) -> Result<Mode, Error> {
    match u32::try_from(lua.integer_or(index, default)?) {
        Ok(mode) => Ok(Mode::from_bits_truncate(mode as _)),
        Err(_) => Err(Error::argument(index, "invalid mode")),
    }
}

/// `chmod(path, mode)`.
fn chmod(lua: Lua) -> Outcome {
    lua.integer(2)?;
    let mode = mode(lua, 2, 0)?;
    done(lua, fchmodat(AT_FDCWD, lua.string(1)?, mode, FchmodatFlags::FollowSymlink))
}

/// `mkdir(path [, mode])`.
fn mkdir(lua: Lua) -> Outcome {
    let mode = mode(lua, 2, 0o777)?;
    done(lua, unistd::mkdir(lua.string(1)?, mode))
}

/// `rmdir(path)`.
fn rmdir(lua: Lua) -> Outcome {
    done(lua, unistd::unlinkat(AT_FDCWD, lua.string(1)?, UnlinkatFlags::RemoveDir))
}

/// `unlink(path)`.
fn unlink(lua: Lua) -> Outcome {
    done(lua, unistd::unlink(lua.string(1)?))
}

/// `rename(from, to)`.
fn rename(lua: Lua) -> Outcome {
    done(lua, fcntl::renameat(AT_FDCWD, lua.string(1)?, AT_FDCWD, lua.string(2)?))
}

/// `dirname(path)`.
fn dirname(lua: Lua) -> Outcome {
    lua.push_bytes(names::dirname(lua.string(1)?));
    Ok(Returns(1))
}

/// `basename(path)`.
fn basename(lua: Lua) -> Outcome {
    lua.push_bytes(names::basename(lua.string(1)?));
    Ok(Returns(1))
}

/// `flock(fd, operation)` -> true, or nil and an error number; never waits.
fn flock(lua: Lua) -> Outcome {
    match calls::flock(lua.int(1)?, lua.int(2)?) {
        Ok(()) => {
            lua.push_bool(true);
            Ok(Returns(1))
        }
        Err(errno) => {
            lua.push_nil();
            lua.push_integer(errno as i64);
            Ok(Returns(2))
        }
    }
}

/// `inotify_init()` -> fd.
fn inotify_init(lua: Lua) -> Outcome {
    let opened = calls::open_inotify();
    if let Ok(fd) = opened {
        Core::of(lua).fd_reset(fd);
    }
    integer(lua, opened.map(i64::from))
}

/// `inotify_add_watch(fd, path, mask)` -> watch descriptor.
fn inotify_add_watch(lua: Lua) -> Outcome {
    let (fd, mask) = (lua.int(1)?, lua.integer(3)? as u32);
    integer(lua, calls::add_watch(fd, lua.string(2)?, mask).map(i64::from))
}

/// `inotify_rm_watch(fd, watch)`.
fn inotify_rm_watch(lua: Lua) -> Outcome {
    done(lua, calls::remove_watch(lua.int(1)?, lua.int(2)?))
}

/// `inotify_parse_event(bytes)` -> array of `{ wd, mask [, name] }`.
fn inotify_parse_event(lua: Lua) -> Outcome {
    let mut bytes = lua.string(1)?;
    lua.push_table(4, 0);
    let mut count = 0;
    while !bytes.is_empty() {
        let Some((event, rest)) = inotify::next_event(bytes) else {
            return Err(Error::argument(1, "invalid inotify event buffer"));
        };
        bytes = rest;
        lua.push_table(0, 3);
        lua.set_integer(-1, c"wd", i64::from(event.watch));
        lua.set_integer(-1, c"mask", i64::from(event.mask));
        if !event.name.is_empty() {
            lua.set_bytes(-1, c"name", event.name);
        }
        count += 1;
        lua.raw_set_index(-2, count);
    }
    Ok(Returns(1))
}
