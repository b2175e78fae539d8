//! Descriptors as numbers, with the scripts' idea of who owns what: a number
//! that is no open descriptor makes a call fail with EBADF, nothing worse.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;

/// The number as `nix` takes it, for the length of one system call.
pub fn borrow<'a>(fd: c_int) -> Result<BorrowedFd<'a>, Errno> {
    if fd < 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: not -1, and used as a number only.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Takes over a descriptor that a system call has just made.
#[cfg(feature = "node")]
pub fn own(fd: c_int) -> Result<OwnedFd, Errno> {
    use std::os::fd::FromRawFd;
    if fd < 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: not -1, and the caller says that nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Another descriptor for the same; closed on exec.
pub fn duplicate(fd: c_int) -> Result<OwnedFd, Errno> {
    let copy = borrow(fd)?.try_clone_to_owned();
    copy.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EBADF)))
}

/// close(2); -1 is none. An interrupted close has closed it all the same.
pub fn close(fd: c_int) -> Result<(), Errno> {
    if fd < 0 {
        return Err(Errno::EBADF);
    }
    // SAFETY: the caller says that it owns the number.
    match Errno::result(unsafe { libc::close(fd) }) {
        Err(Errno::EINTR) | Ok(_) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// read(2): the bytes read.
pub fn read(fd: c_int, into: &mut [MaybeUninit<u8>]) -> Result<&[u8], Errno> {
    // SAFETY: writes at most that many bytes.
    let count = Errno::result(unsafe { libc::read(fd, into.as_mut_ptr().cast(), into.len()) })?;
    // SAFETY: that many bytes at the front were written.
    Ok(unsafe { written(into, count as usize) })
}

/// Writes to standard error, as far as that goes.
pub fn complain(mut text: &[u8]) {
    // SAFETY: used as a number only; when it is closed, writing fails.
    let stderr = unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) };
    while !text.is_empty() {
        match nix::unistd::write(stderr, text) {
            Ok(count) => text = text.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(_) => break,
        }
    }
}

/// The front of a room that a system call wrote to.
///
/// # Safety
///
/// That many bytes were written.
pub(super) unsafe fn written(room: &[MaybeUninit<u8>], count: usize) -> &[u8] {
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(room.as_ptr().cast(), count) }
}
