//! Signals by number, real-time ones included, and sets of them; and passing
//! signals on to the threads that listen to them.
//!
//! A thread that listens blocks its signal and reads a signalfd. Other threads
//! of the process know nothing of that: a signal that the kernel gives to one
//! of them would end the process. So a signal somebody listens to gets a
//! handler in place of the default, which sends it to the listeners' threads.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

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

/// Who listens: thread (22 bits) and signal (8 bits), 0 for nobody. What one state leaves here at
/// worst makes the handler send a signal to a thread that is gone.
static LISTENERS: [AtomicU32; 128] = [const { AtomicU32::new(0) }; 128];
/// The process they are of: a forked child has none.
static PROCESS: AtomicI32 = AtomicI32::new(0);
/// Handlers at work.
static HANDLING: AtomicU32 = AtomicU32::new(0);

fn process() -> i32 {
    // SAFETY: always succeeds.
    unsafe { libc::getpid() }
}

/// The entry of this thread.
fn entry(signal: c_int) -> u32 {
    // SAFETY: takes nothing, and always succeeds.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) };
    (thread as u32) << 8 | signal as u32
}

/// Whether an entry is of that signal.
fn is_of(entry: u32, signal: c_int) -> bool {
    entry & 0xff == signal as u32
}

extern "C" fn pass_on(signal: c_int) {
    let errno = Errno::last_raw();
    let own = process();
    let mut is_heard = false;
    if PROCESS.load(Ordering::SeqCst) == own {
        HANDLING.fetch_add(1, Ordering::SeqCst);
        let here = entry(signal);
        for listener in &LISTENERS {
            let listener = listener.load(Ordering::SeqCst);
            if is_of(listener, signal) {
                is_heard = true;
                if listener != here {
                    let thread = (listener >> 8) as i32;
                    // SAFETY: async-signal-safe; fails for a thread that is gone.
                    unsafe { libc::syscall(libc::SYS_tgkill, own, thread, signal) };
                }
            }
        }
        HANDLING.fetch_sub(1, Ordering::SeqCst);
    }
    if !is_heard {
        // Left over from the listeners of a parent, for example.
        // SAFETY: both are async-signal-safe; the signal comes when we return.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
    Errno::set_raw(errno);
}

/// Replaces the disposition if it is the one known; true when it was.
fn replace(signal: c_int, known: libc::sighandler_t, new: libc::sighandler_t) -> bool {
    // SAFETY: reads into and writes from a local, zeros being an action; the
    // handler does what handlers may do.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(signal, std::ptr::null(), &mut action) != 0
            || action.sa_sigaction != known
        {
            return false;
        }
        action.sa_sigaction = new;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
    true
}

fn handler() -> libc::sighandler_t {
    pass_on as extern "C" fn(c_int) as libc::sighandler_t
}

/// This thread, which blocks the signal, listens to it.
pub fn listen(signal: c_int) -> Result<(), Errno> {
    if PROCESS.swap(process(), Ordering::SeqCst) != process() {
        for listener in &LISTENERS {
            listener.store(0, Ordering::SeqCst);
        }
    }
    let own = entry(signal);
    let take = |place: &AtomicU32| {
        place
            .compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    };
    if !LISTENERS.iter().any(take) {
        return Err(Errno::ENOSPC);
    }
    // What the host handles or ignores does not end it.
    replace(signal, libc::SIG_DFL, handler());
    Ok(())
}

/// It does not any more; the default is back when nobody does, and what is on
/// its way is dropped.
pub fn leave(signal: c_int) {
    let own = entry(signal);
    let is_others = |place: &AtomicU32| {
        let listener = place.load(Ordering::SeqCst);
        is_of(listener, signal) && listener != own
    };
    // To ignore a signal is to drop it where it waits.
    let is_ignored = !LISTENERS.iter().any(is_others) && replace(signal, handler(), libc::SIG_IGN);
    if is_ignored {
        while HANDLING.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
        replace(signal, libc::SIG_IGN, libc::SIG_IGN);
    }
    for place in &LISTENERS {
        let left = place.compare_exchange(own, 0, Ordering::SeqCst, Ordering::SeqCst);
        if left.is_ok() {
            break;
        }
    }
    if is_ignored {
        replace(signal, libc::SIG_IGN, libc::SIG_DFL);
    }
}
