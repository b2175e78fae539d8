//! System calls that `nix` does not wrap, or not for every value a script may
//! pass: real-time signals, raw wait statuses, pidfds, signal sets by number.
#![allow(unsafe_code)]

use std::ffi::{c_int, CStr};
use std::mem::MaybeUninit;

use nix::errno::Errno;

use crate::lua::Lua;

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
pub fn open_pidfd(pid: i32) -> Result<c_int, Errno> {
    // SAFETY: takes numbers only. The fd is closed on exec.
    Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }).map(|fd| fd as c_int)
}

/// close(2) of an fd of ours; -1 is none.
pub fn close(fd: c_int) {
    if fd >= 0 {
        // SAFETY: callers own the fd and forget it.
        unsafe { libc::close(fd) };
    }
}

/// read(2): how many bytes were written to `into`.
pub fn read_into(fd: c_int, into: &mut [MaybeUninit<u8>]) -> Result<usize, Errno> {
    // SAFETY: writes at most that many bytes.
    let count = unsafe { libc::read(fd, into.as_mut_ptr().cast(), into.len()) };
    Errno::result(count).map(|count| count as usize)
}

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

/// Pushes what the user database says of `name`, a table; or nothing: false
/// when there is no such user. May raise.
pub fn push_user(lua: Lua, name: &CStr) -> Result<bool, Errno> {
    /// Longest entry.
    const ROOM: usize = 4096;
    let room = lua.push_room(ROOM).as_mut_ptr().cast();
    // SAFETY: the entry and its texts, which end with NUL, lie in locals and in
    // the room that the stack keeps; nothing here is dropped when Lua raises.
    unsafe {
        let mut entry = std::mem::zeroed();
        let mut found = std::ptr::null_mut();
        match libc::getpwnam_r(name.as_ptr(), &mut entry, room, ROOM, &mut found) {
            0 if found.is_null() => return Ok(false),
            0 => {}
            errno => return Err(Errno::from_raw(errno)),
        }
        lua.push_table(0, 6);
        let texts = [
            (c"username", entry.pw_name),
            (c"password", entry.pw_passwd),
            (c"home", entry.pw_dir),
            (c"shell", entry.pw_shell),
        ];
        for (field, text) in &texts {
            lua.push_c_str(*text);
            lua.set_field(-2, field);
        }
        lua.set_integer(-1, c"uid", i64::from(entry.pw_uid));
        lua.set_integer(-1, c"gid", i64::from(entry.pw_gid));
    }
    Ok(true)
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
