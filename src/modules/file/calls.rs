//! System calls on plain fd numbers and on paths as Lua holds them, with the
//! scripts' idea of who owns what.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void, CStr};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;

/// A script's fd number for the length of one system call: a number that is no
/// open fd makes the call fail, nothing worse.
pub fn borrow<'a>(fd: c_int) -> Result<BorrowedFd<'a>, Errno> {
    if fd < 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: not -1, and used as a number only.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// close(2). An interrupted close has closed the fd all the same.
pub fn close(fd: c_int) -> Result<(), Errno> {
    // SAFETY: the script says that it owns the number.
    match Errno::result(unsafe { libc::close(fd) }) {
        Err(Errno::EINTR) | Ok(_) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// read(2): the bytes read.
pub fn read(fd: c_int, into: &mut [MaybeUninit<u8>]) -> Result<&[u8], Errno> {
    // SAFETY: writes at most that many bytes, and that many of them are read.
    unsafe {
        let count = Errno::result(libc::read(fd, into.as_mut_ptr().cast(), into.len()))?;
        Ok(std::slice::from_raw_parts(
            into.as_ptr().cast(),
            count as usize,
        ))
    }
}

/// readlink(2): the target, cut to the room there is.
pub fn readlink<'a>(path: &CStr, into: &'a mut [MaybeUninit<u8>]) -> Result<&'a [u8], Errno> {
    // SAFETY: writes at most that many bytes, and that many of them are read.
    unsafe {
        let count = Errno::result(libc::readlink(
            path.as_ptr(),
            into.as_mut_ptr().cast(),
            into.len(),
        ))?;
        Ok(std::slice::from_raw_parts(
            into.as_ptr().cast(),
            count as usize,
        ))
    }
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
pub unsafe extern "C" fn sync(_: *mut c_void) {
    nix::unistd::sync();
}

/// It has no context to free.
pub unsafe extern "C" fn release(_: *mut c_void) {}
