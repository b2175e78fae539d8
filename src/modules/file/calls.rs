//! System calls that `nix` does not offer for plain fd numbers.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::NixPath;

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

/// flock(2) that never blocks.
pub fn flock(fd: c_int, operation: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    Errno::result(unsafe { libc::flock(fd, operation | libc::LOCK_NB) }).map(drop)
}

/// A new fd for the same open file, closed on exec.
pub fn duplicate(fd: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only; the new fd is nobody else's.
    unsafe {
        let copy = Errno::result(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3))?;
        Ok(OwnedFd::from_raw_fd(copy))
    }
}

/// A new inotify instance: non-blocking, closed on exec.
pub fn open_inotify() -> Result<c_int, Errno> {
    // SAFETY: takes numbers only.
    Errno::result(unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) })
}

/// inotify_add_watch(2).
pub fn add_watch(fd: c_int, path: &[u8], mask: u32) -> Result<c_int, Errno> {
    // SAFETY: the path ends with NUL.
    let watch = path.with_nix_path(|path| unsafe { libc::inotify_add_watch(fd, path.as_ptr(), mask) })?;
    Errno::result(watch)
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
