//! Requests to serial ports and pseudo-terminals.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use nix::errno::Errno;

use crate::system::file::flock;

/// What [`ask`] does; `serial.lua` has the same list.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Request {
    SetBreak,
    ClearBreak,
    /// The modem lines, as bits.
    Lines,
    /// Lines to raise, and to lower.
    Raise,
    Lower,
    /// Bytes that were received and not read.
    Unread,
    /// Bytes that were written and not sent.
    Unsent,
    /// The number of the terminal that belongs to a master.
    Number,
    /// Lets others open that terminal.
    Unlock,
}

impl Request {
    /// As numbers of the kernel; all take the address of a C int, or nothing.
    const CODES: [libc::Ioctl; 9] = [
        libc::TIOCSBRK,
        libc::TIOCCBRK,
        libc::TIOCMGET,
        libc::TIOCMBIS,
        libc::TIOCMBIC,
        libc::TIOCINQ,
        libc::TIOCOUTQ,
        libc::TIOCGPTN,
        libc::TIOCSPTLCK,
    ];

    pub const ALL: [Request; 9] = [
        Request::SetBreak,
        Request::ClearBreak,
        Request::Lines,
        Request::Raise,
        Request::Lower,
        Request::Unread,
        Request::Unsent,
        Request::Number,
        Request::Unlock,
    ];
}

/// Asks a terminal for something, with a number and for a number.
pub fn ask(fd: c_int, request: Request, value: c_int) -> Result<c_int, Errno> {
    let mut value = value;
    // SAFETY: the address of a number of our own.
    let result = unsafe { libc::ioctl(fd, Request::CODES[request as usize], &mut value) };
    Errno::result(result).map(|_| value)
}

/// Keeps others from opening the terminal. TIOCEXCL does not hold back the
/// superuser, so there is a lock as well, which others may look for.
pub fn claim(fd: c_int) -> Result<(), Errno> {
    match flock(fd, libc::LOCK_EX) {
        Err(Errno::EAGAIN) => return Err(Errno::EBUSY),
        other => other?,
    }
    // SAFETY: takes no more.
    Errno::result(unsafe { libc::ioctl(fd, libc::TIOCEXCL) }).map(drop)
}

/// The opposite: where the terminal stays open elsewhere, this would stay, too.
pub fn release(fd: c_int) {
    // SAFETY: takes no more.
    unsafe { libc::ioctl(fd, libc::TIOCNXCL) };
}

/// Counters of a port: changes of CTS, DSR, RI and DCD, then bytes received and
/// sent, frame errors, overruns, parity errors, breaks, overruns of the buffer.
pub const COUNTERS: usize = 11;

/// TIOCGICOUNT.
pub fn counters(fd: c_int) -> Result<[c_int; COUNTERS], Errno> {
    // As long as the structure of the kernel, with its reserve.
    let mut all = [0; COUNTERS + 9];
    // SAFETY: as many numbers as the kernel writes.
    Errno::result(unsafe { libc::ioctl(fd, libc::TIOCGICOUNT, all.as_mut_ptr()) })?;
    let mut counters = [0; COUNTERS];
    counters.copy_from_slice(&all[..COUNTERS]);
    Ok(counters)
}

/// tcdrain(3) of the descriptor whose number is the context, for the core's pool.
pub extern "C" fn drain(context: *mut c_void) {
    // SAFETY: takes numbers only; a number that stands for something else by now
    // refuses, or is sent a little earlier than it would be.
    unsafe { libc::ioctl(context as usize as c_int, libc::TCSBRK, 1 as c_int) };
}
