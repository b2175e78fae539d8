//! Signals by number, real-time ones included, and sets of them.
#![allow(unsafe_code)]

use std::ffi::c_int;

use nix::errno::Errno;

/// An empty set of signals.
pub fn no_signals() -> libc::sigset_t {
    // SAFETY: sigemptyset fills the set before anything reads it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        set
    }
}

/// Adds a signal, real-time ones included.
pub fn add_signal(set: &mut libc::sigset_t, signal: c_int) -> Result<(), Errno> {
    // SAFETY: changes a set that was filled before.
    Errno::result(unsafe { libc::sigaddset(set, signal) }).map(drop)
}

/// sigprocmask(2) with `how` as the script gave it.
pub fn change_mask(how: c_int, set: &libc::sigset_t) -> Result<(), Errno> {
    // SAFETY: reads a set that outlives the call; no old mask is asked for.
    match unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) } {
        0 => Ok(()),
        errno => Err(Errno::from_raw(errno)),
    }
}

/// signalfd(2): non-blocking, closed on exec.
pub fn open_signalfd(set: &libc::sigset_t) -> Result<c_int, Errno> {
    // SAFETY: reads a set that outlives the call.
    Errno::result(unsafe { libc::signalfd(-1, set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) })
}
