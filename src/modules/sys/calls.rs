//! System calls that `nix` does not wrap, or not for every value a script may
//! pass: real-time signals, raw wait statuses, pidfds, signal sets by number.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::SfdFlags;

/// kill(2) with any signal number.
pub fn kill(pid: i32, signal: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// waitpid(2) that never blocks: pid and raw status, None when nothing changed.
pub fn wait_for(pid: i32, options: c_int) -> Result<Option<(i32, c_int)>, Errno> {
    let mut status = 0;
    loop {
        // SAFETY: writes to a local.
        match Errno::result(unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG | options) }) {
            Ok(0) => return Ok(None),
            Ok(pid) => return Ok(Some((pid, status))),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Undoes an inherited `SIG_IGN` of SIGCHLD, with which the kernel throws wait
/// statuses away.
pub fn keep_statuses() {
    // SAFETY: asks for a disposition, and replaces only "ignore" by "default".
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGCHLD, std::ptr::null(), &mut action);
        if action.sa_sigaction == libc::SIG_IGN {
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        }
    }
}

/// An fd that becomes readable when the child ends (Linux 5.3).
pub fn open_pidfd(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: a fresh fd (closed on exec) that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
}

/// The set of these signals.
pub fn signal_set(signals: impl IntoIterator<Item = c_int>) -> Result<SigSet, Errno> {
    // SAFETY: sigemptyset fills the set before anything reads it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in signals {
            Errno::result(libc::sigaddset(&mut set, signal))?;
        }
        Ok(SigSet::from_sigset_t_unchecked(set))
    }
}

/// sigprocmask(2) with `how` as the script gave it.
pub fn change_mask(how: c_int, set: &SigSet) -> Result<(), Errno> {
    // SAFETY: reads a set that outlives the call; no old mask is asked for.
    match unsafe { libc::pthread_sigmask(how, set.as_ref(), std::ptr::null_mut()) } {
        0 => Ok(()),
        errno => Err(Errno::from_raw(errno)),
    }
}

/// signalfd(2): non-blocking, closed on exec.
pub fn open_signalfd(set: &SigSet) -> Result<OwnedFd, Errno> {
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    // SAFETY: reads a set that outlives the call; the fd is fresh.
    unsafe {
        let fd = Errno::result(libc::signalfd(-1, set.as_ref(), flags.bits()))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// fork(2): 0 in the child. Buffered output is written out first when `flush`
/// is set, so that the child does not write it again.
pub fn fork(flush: bool) -> Result<i32, Errno> {
    // SAFETY: the child goes on with one thread; the core's pool, the only
    // thing here that has threads, is forgotten by `eco._init`.
    unsafe {
        if flush {
            libc::fflush(std::ptr::null_mut());
        }
        Errno::result(libc::fork())
    }
}
