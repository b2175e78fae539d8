//! Processes by number: what `nix` does not wrap, or not for every value a
//! script may pass, such as real-time signals and raw wait statuses.
#![allow(unsafe_code)]

use std::ffi::c_int;

use nix::errno::Errno;

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

/// The raw wait status of a child that has ended, which stays to be waited
/// for: its number is no other's till then. None while it runs.
pub fn ended(pid: i32) -> Result<Option<c_int>, Errno> {
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: writes to a local; fields are read that the kernel has filled, or
    // that are zero.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        while let Err(errno) =
            Errno::result(libc::waitid(libc::P_PID, pid as _, &mut info, options))
        {
            if errno != Errno::EINTR {
                return Err(errno);
            }
        }
        Ok(match (info.si_pid(), info.si_code) {
            (0, _) => None,
            (_, libc::CLD_EXITED) => Some((info.si_status() & 0xff) << 8),
            _ => Some(info.si_status()),
        })
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
pub fn open_pidfd(pid: i32) -> Result<c_int, Errno> {
    // SAFETY: takes numbers only. The fd is closed on exec.
    Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }).map(|fd| fd as c_int)
}

/// Name of this process as the kernel shows it: at most 15 bytes and a NUL.
pub fn name() -> [u8; 16] {
    let mut name = [0; 16];
    // SAFETY: the kernel writes 16 bytes at most.
    unsafe {
        libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr());
    }
    name
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
