//! `eco.file`: files, folders, locks, inotify. `eco.internal.file` holds the
//! plain functions and constants; `eco.file` adds what yields and its objects,
//! and falls through to it.

mod constants;
mod folder;
mod info;
mod names;
mod sync;

use std::ffi::{c_int, CStr};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, AT_FDCWD};
use nix::sys::stat::{self, FileStat, Mode};
use nix::sys::statvfs;
use nix::unistd::{self, AccessFlags, Whence};

use crate::abi::{fair, Core, Reader};
use crate::core::runtime::{Home, Runtime};
use crate::functions;
use crate::lua::{function, Error, Functions, Lua, Outcome, Returns};
use crate::lua_source;
use crate::system::{fd, file as calls};

/// Most bytes `read` takes at once, but from files, which are as long as they are.
const LARGEST_READ: i64 = 1 << 20;

/// Longest target of a link, and one more.
const LONGEST_PATH: usize = 4096;

/// Opens `eco.internal.file`.
pub fn open_internal(lua: Lua) -> Outcome {
    let core = Runtime::open(lua)?;
    lua.push_module(FUNCTIONS, core.pointer());
    set_on_path(lua, core);
    lua.set_constants(constants::FILES);
    lua.set_constants(constants::EVENTS);
    lua.push_chunk(c"=eco.file", lua_source!("events.lua"));
    lua.push_value(-2);
    lua.call(1, 0);
    Ok(Returns(1))
}

/// Opens `eco.file`.
pub fn open(lua: Lua) -> Outcome {
    let core = Runtime::open(lua)?;
    lua.push_chunk(c"=eco.file", lua_source!("file.lua"));
    lua.require(c"eco");
    lua.require(c"eco.internal.file");
    lua.push_module(PARTS, core.pointer());
    lua.call(3, 1);
    Ok(Returns(1))
}

const FUNCTIONS: Functions = functions! {
    open: function(open_file),
    close: function(close),
    read: function(fair(read)),
    write: function(fair(write)),
    lseek: function(lseek),
    access: function(fair(access)),
    readlink: function(fair(readlink)),
    fstat: function(fair(fstat)),
    statvfs: function(fair(file_system)),
    dirname: function(dirname),
    basename: function(basename),
    flock: function(fair(flock)),
    dir: function(folder::Folder::iterate),
    sync: function(sync::sync),
    inotify_init: function(inotify_init),
    inotify_add_watch: function(inotify_add_watch),
    inotify_rm_watch: function(inotify_rm_watch),
};

/// What `file.lua` builds on.
const PARTS: Functions = functions! {
    turn: function(fair(turn)),
    open: function(open_object),
    close: function(close_object),
    expect: function(expect),
    seek: function(lseek),
    flock: function(fair(try_lock)),
};

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

/// Ends with a new fd, or `nil, message`.
fn opened(lua: Lua, result: Result<i32, Errno>) -> Outcome {
    if let Ok(fd) = result {
        Core::of_any(lua).fd_reset(fd);
    }
    integer(lua, result.map(i64::from))
}

/// Ends with an info table, or `nil, message`.
#[inline(never)]
fn described(lua: Lua, result: Result<FileStat, Errno>) -> Outcome {
    match result {
        Ok(stat) => {
            info::push_info(lua, &stat);
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// Argument `index` as permissions.
fn mode(lua: Lua, index: c_int, default: u32) -> Result<Mode, Error> {
    let bits = lua.bits_or(index, default)?;
    if bits > info::MODE_BITS {
        return Err(Error::argument(index, "invalid mode"));
    }
    Ok(Mode::from_bits_retain(bits as _))
}

/// Opens the file that the arguments name.
fn try_open(lua: Lua) -> Result<Result<i32, Errno>, Error> {
    let (flags, mode) = (lua.int_or(2, 0)?, mode(lua, 3, 0)?);
    Ok(calls::open(lua.c_string(1)?, flags, mode.bits() as _))
}

/// `open(path [, flags [, mode]])` -> fd. Never waits.
fn open_file(lua: Lua) -> Outcome {
    opened(lua, try_open(lua)?)
}

/// `turn()`: a part of a call that lets others run, now and then.
fn turn(_: Lua) -> Outcome {
    Ok(Returns(0))
}

/// `open(path, flags, mode)` of an object -> fd; or nil, a message, and whether
/// it may work later.
fn open_object(lua: Lua) -> Outcome {
    let result = try_open(lua)?;
    let Err(errno) = result else {
        return opened(lua, result);
    };
    let later = calls::may_open_later(lua.c_string(1)?, errno);
    lua.fail_errno(errno)?;
    lua.push_bool(later);
    Ok(Returns(3))
}

/// `expect(fd)`: a FIFO that was opened for reading is at its end until somebody
/// writes. Its reader waits for that instead.
fn expect(lua: Lua) -> Outcome {
    let fd = lua.int(1)?;
    if fd::borrow(fd)
        .and_then(stat::fstat)
        .is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFIFO)
    {
        Home::of(Core::of(lua)).expect(fd);
    }
    Ok(Returns(0))
}

/// `close(fd)`.
fn close(lua: Lua) -> Outcome {
    let fd = lua.int(1)?;
    let closed = fd::close(fd);
    Core::of_any(lua).fd_reset(fd);
    lua.done(closed)
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
    let (fd, size) = (lua.int(1)?, lua.integer(2)?);
    if size <= 0 {
        return Err(Error::argument(2, "must be greater than 0"));
    }
    let mut most = LARGEST_READ;
    if size > most {
        let length = fd::borrow(fd)
            .and_then(stat::fstat)
            .map(|stat| stat.st_size);
        most = most.max(length.unwrap_or(0) as i64);
    }
    let room = lua.push_room(size.min(most) as usize);
    match fd::read(fd, room) {
        Ok(bytes) => {
            lua.push_bytes(bytes);
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `write(fd, data)` -> count: one write(2).
fn write(lua: Lua) -> Outcome {
    let fd = lua.int(1)?;
    let data = lua.string(2)?;
    let written = fd::borrow(fd).and_then(|fd| unistd::write(fd, data));
    integer(lua, written.map(|count| count as i64))
}

/// lseek(2).
fn seek(fd: i32, offset: i64, whence: c_int) -> Result<i64, Errno> {
    let whence = match whence {
        libc::SEEK_SET => Whence::SeekSet,
        libc::SEEK_CUR => Whence::SeekCur,
        libc::SEEK_END => Whence::SeekEnd,
        _ => return Err(Errno::EINVAL),
    };
    unistd::lseek64(fd::borrow(fd)?, offset, whence)
}

/// `lseek(fd, offset, whence)` -> offset from the start; `seek(...)` of an
/// object also takes its reader, whose buffer is dropped, and its offsets count
/// from what the script has read, not from what was read ahead.
fn lseek(lua: Lua) -> Outcome {
    let (fd, mut offset, whence) = (lua.int(1)?, lua.integer(2)?, lua.int(3)?);
    let reader = Core::of(lua).reader_at(lua, 4);
    let ahead = reader.map_or(0, Reader::buffered);
    if whence == libc::SEEK_CUR {
        offset = offset.wrapping_sub(ahead as i64);
    }
    let moved = seek(fd, offset, whence);
    if let (Ok(_), Some(reader)) = (moved, reader) {
        reader.consume(ahead);
    }
    integer(lua, moved)
}

/// `access(path [, mode])`: every letter of `mode` must hold.
fn access(lua: Lua) -> Outcome {
    let mut wanted = 0;
    for letter in lua.string_or(2, b"")? {
        wanted |= match letter {
            b'x' => libc::X_OK,
            b'w' => libc::W_OK,
            b'r' => libc::R_OK,
            _ => 0,
        };
    }
    let wanted = AccessFlags::from_bits_retain(wanted);
    lua.push_bool(match lua.c_string(1) {
        Ok(path) => unistd::access(path, wanted).is_ok(),
        Err(error) => {
            error.errno().ok_or(error)?;
            false
        }
    });
    Ok(Returns(1))
}

/// `readlink(path)` -> target.
fn readlink(lua: Lua) -> Outcome {
    let path = lua.c_string(1)?;
    match calls::readlink(path, lua.push_room(LONGEST_PATH)) {
        Ok(target) => {
            lua.push_bytes(target);
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `fstat(fd)` -> info.
fn fstat(lua: Lua) -> Outcome {
    described(lua, fd::borrow(lua.int(1)?).and_then(stat::fstat))
}

/// `statvfs(path)` -> total, available, used, in KiB.
fn file_system(lua: Lua) -> Outcome {
    match statvfs::statvfs(lua.c_string(1)?) {
        Ok(found) => {
            let used = found.blocks().saturating_sub(found.blocks_free());
            for blocks in [found.blocks(), found.blocks_available(), used] {
                lua.push_integer((blocks as u64 * found.fragment_size() as u64) as i64);
                lua.push_integer(1024);
                lua.divide();
            }
            Ok(Returns(3))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// What [`on_path`] does, by its second upvalue, and the names in that order.
const STAT: i64 = 0;
const LSTAT: i64 = 1;
const MKDIR: i64 = 2;
const CHMOD: i64 = 3;
const ON_PATH: [&CStr; 5] = [c"stat", c"lstat", c"mkdir", c"chmod", c"chown"];

/// Sets the functions that [`on_path`] stands for in the table on top. May raise.
fn set_on_path(lua: Lua, core: Core) {
    for (operation, name) in ON_PATH.iter().enumerate() {
        lua.push_pointer(core.pointer());
        lua.push_integer(operation as i64);
        lua.push_closure(function(fair(on_path)), 2);
        lua.set_field(-2, name);
    }
}

/// `stat(path)`, `lstat(path)` -> info; `mkdir(path [, mode])`,
/// `chmod(path, mode)`, `chown(path [, uid [, gid]])` -> true.
fn on_path(lua: Lua) -> Outcome {
    let path = lua.c_string(1)?;
    let operation = lua.to_integer(Lua::upvalue(2)).unwrap_or(STAT);
    if operation == STAT || operation == LSTAT {
        let flags = if operation == STAT {
            AtFlags::empty()
        } else {
            AtFlags::AT_SYMLINK_NOFOLLOW
        };
        return described(lua, stat::fstatat(AT_FDCWD, path, flags));
    }
    if operation == CHMOD {
        lua.integer(2)?;
    }
    let changed = match operation {
        MKDIR => unistd::mkdir(path, mode(lua, 2, 0o777)?),
        CHMOD => calls::chmod(path, mode(lua, 2, 0)?.bits() as u32),
        _ => calls::chown(path, lua.bits_or(2, u32::MAX)?, lua.bits_or(3, u32::MAX)?),
    };
    lua.done(changed)
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

/// `flock(fd, operation)` of an object -> true, or nil, a message, and whether
/// somebody else holds the lock.
fn try_lock(lua: Lua) -> Outcome {
    match calls::flock(lua.int(1)?, lua.int(2)?) {
        Err(Errno::EAGAIN | Errno::EINTR) => {
            lua.fail("timeout")?;
            lua.push_bool(true);
            Ok(Returns(3))
        }
        result => lua.done(result),
    }
}

/// `inotify_init()` -> fd.
fn inotify_init(lua: Lua) -> Outcome {
    opened(lua, calls::open_inotify())
}

/// `inotify_add_watch(fd, path, mask)` -> watch descriptor.
fn inotify_add_watch(lua: Lua) -> Outcome {
    let (fd, mask) = (lua.int(1)?, lua.bits_or(3, 0)?);
    integer(
        lua,
        calls::add_watch(fd, lua.c_string(2)?, mask).map(i64::from),
    )
}

/// `inotify_rm_watch(fd, watch)`.
fn inotify_rm_watch(lua: Lua) -> Outcome {
    lua.done(calls::remove_watch(lua.int(1)?, lua.int(2)?))
}
