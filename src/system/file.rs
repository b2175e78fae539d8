//! Files by their paths, folders, locks, inotify.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_void, CStr};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag};
use nix::sys::stat::{fstat, fstatat, stat, FileStat, Mode};

use super::fd;

/// Opens a regular file for reading, and tells what it is; None for anything else,
/// which is not opened: doing that to a device or a pipe may have effects.
pub fn open_regular(path: &CStr) -> Result<Option<(OwnedFd, FileStat)>, Errno> {
    let regular = |stat: &FileStat| stat.st_mode & libc::S_IFMT == libc::S_IFREG;
    if !regular(&stat(path)?) {
        return Ok(None);
    }
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let fd = fcntl::open(path, flags, Mode::empty())?;
    // The name may stand for something else by now.
    let found = fstat(&fd)?;
    Ok(regular(&found).then_some((fd, found)))
}

/// open(2) that never waits: for the other end of a FIFO, a carrier, a lease.
/// The descriptor blocks all the same, unless the flags say otherwise.
pub fn open(path: &CStr, flags: c_int, mode: c_int) -> Result<c_int, Errno> {
    // SAFETY: the path ends with NUL, the rest are numbers.
    unsafe {
        let fd = Errno::result(libc::open(path.as_ptr(), flags | libc::O_NONBLOCK, mode))?;
        if flags & libc::O_NONBLOCK == 0 {
            libc::fcntl(fd, libc::F_SETFL, flags);
        }
        Ok(fd)
    }
}

/// Whether it may be opened later, after it could not be opened for `errno`: a
/// FIFO that nobody reads, or a leased file.
pub fn may_open_later(path: &CStr, errno: Errno) -> bool {
    let is_fifo = |stat: FileStat| stat.st_mode & libc::S_IFMT == libc::S_IFIFO;
    match errno {
        Errno::EAGAIN => true,
        Errno::ENXIO => stat(path).is_ok_and(is_fifo),
        _ => false,
    }
}

/// sendfile(2) from one file to the next, both at their offsets: bytes copied, 0
/// at the end.
pub fn copy(from: c_int, to: c_int) -> Result<u64, Errno> {
    // SAFETY: takes numbers only; null stands for the offsets.
    let count = unsafe { libc::sendfile(to, from, ptr::null_mut(), 1 << 30) };
    Errno::result(count).map(|count| count as u64)
}

/// readlink(2): the target, cut to the room there is.
pub fn readlink<'a>(path: &CStr, into: &'a mut [MaybeUninit<u8>]) -> Result<&'a [u8], Errno> {
    // SAFETY: writes at most that many bytes; the path ends with NUL.
    let count = unsafe { libc::readlink(path.as_ptr(), into.as_mut_ptr().cast(), into.len()) };
    let count = Errno::result(count)?;
    // SAFETY: that many bytes at the front were written.
    Ok(unsafe { fd::written(into, count as usize) })
}

/// chown(2); an id of -1 leaves it.
pub fn chown(path: &CStr, uid: u32, gid: u32) -> Result<(), Errno> {
    // SAFETY: the path ends with NUL.
    Errno::result(unsafe { libc::chown(path.as_ptr(), uid, gid) }).map(drop)
}

/// chmod(2).
pub fn chmod(path: &CStr, mode: u32) -> Result<(), Errno> {
    // SAFETY: the path ends with NUL.
    Errno::result(unsafe { libc::chmod(path.as_ptr(), mode as _) }).map(drop)
}

/// flock(2) that never blocks.
pub fn flock(fd: c_int, operation: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    Errno::result(unsafe { libc::flock(fd, operation | libc::LOCK_NB) }).map(drop)
}

/// A new inotify instance: non-blocking, closed on exec.
pub fn open_inotify() -> Result<c_int, Errno> {
    // SAFETY: takes numbers only.
    Errno::result(unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) })
}

/// inotify_add_watch(2).
pub fn add_watch(fd: c_int, path: &CStr, mask: u32) -> Result<c_int, Errno> {
    // SAFETY: the path ends with NUL.
    Errno::result(unsafe { libc::inotify_add_watch(fd, path.as_ptr(), mask) })
}

/// inotify_rm_watch(2).
pub fn remove_watch(fd: c_int, watch: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    Errno::result(unsafe { libc::inotify_rm_watch(fd, watch) }).map(drop)
}

/// sync(2), for the core's pool.
pub extern "C" fn sync(_: *mut c_void) {
    nix::unistd::sync();
}

/// It has no context to free.
pub extern "C" fn release(_: *mut c_void) {}

/// The entries of a folder, in the order of the file system, without `.` and `..`: of
/// each a byte as in `d_type`, the name, and NUL.
#[cfg(any(feature = "lunet", feature = "luv"))]
pub fn scan(path: &CStr) -> Result<Vec<u8>, Errno> {
    let folder = Folder::empty();
    folder.open(path)?;
    let mut entries = Vec::new();
    Errno::clear();
    while let Some((kind, name)) = folder.entry() {
        let name = name.to_bytes_with_nul();
        entries.try_reserve(name.len() + 1).or(Err(Errno::ENOMEM))?;
        entries.push(kind);
        entries.extend_from_slice(name);
        Errno::clear();
    }
    match Errno::last_raw() {
        0 => Ok(entries),
        errno => Err(Errno::from_raw(errno)),
    }
}

/// Room for the longest name of an entry and its NUL.
pub type NameRoom = [u8; 256];

/// An open folder; closed when it is dropped.
pub struct Folder(Cell<*mut libc::DIR>);

impl Folder {
    /// A folder that has no entries left.
    pub const fn empty() -> Folder {
        Folder(Cell::new(ptr::null_mut()))
    }

    /// opendir(3).
    pub fn open(&self, path: &CStr) -> Result<(), Errno> {
        self.close();
        // SAFETY: the path ends with NUL.
        self.0.set(unsafe { libc::opendir(path.as_ptr()) });
        if self.0.get().is_null() {
            return Err(Errno::last());
        }
        Ok(())
    }

    /// readdir(3), without `.` and `..`: the type of the next entry, as far as the
    /// file system tells it, and its name, which lives until the next call.
    fn entry(&self) -> Option<(u8, &CStr)> {
        let dir = self.0.get();
        while !dir.is_null() {
            // SAFETY: an open folder of ours; the entry lives until the next call, and
            // its name ends with NUL.
            let (kind, name) = unsafe {
                let entry = libc::readdir(dir).as_ref()?;
                (entry.d_type, CStr::from_ptr(entry.d_name.as_ptr()))
            };
            if name != c"." && name != c".." {
                return Some((kind, name));
            }
        }
        None
    }

    /// The next entry that still exists: its name, copied to `room`, and what
    /// stat(2) says; a dangling link, or one of a cycle, stands for itself.
    pub fn next<'a>(&self, room: &'a mut NameRoom) -> Option<(&'a CStr, FileStat)> {
        let stat = loop {
            let (_, name) = self.entry()?;
            // SAFETY: it is open.
            let fd = fd::borrow(unsafe { libc::dirfd(self.0.get()) }).ok()?;
            let stat = match fstatat(fd, name, AtFlags::empty()) {
                Err(Errno::ENOENT | Errno::ELOOP) => {
                    fstatat(fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)
                }
                other => other,
            };
            let name = name.to_bytes_with_nul();
            if let (Ok(stat), Some(place)) = (stat, room.get_mut(..name.len())) {
                place.copy_from_slice(name);
                break stat;
            }
        };
        Some((CStr::from_bytes_until_nul(room).ok()?, stat))
    }

    /// closedir(3).
    pub fn close(&self) {
        let dir = self.0.replace(ptr::null_mut());
        if !dir.is_null() {
            // SAFETY: open, and nobody uses it from here on.
            unsafe { libc::closedir(dir) };
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.close();
    }
}
