//! Threads by the C library: what std adds for panics, names and thread locals
//! would be a tenth of eco.so.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Mutex, MutexGuard};

use nix::errno::Errno;

/// Locks, whatever became of who held it: only for what no panic leaves half done.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What a thread begins with.
pub type Start = extern "C" fn(*mut c_void) -> *mut c_void;

/// Starts a detached thread that gets no signal but, perhaps, one. A stack size
/// that is refused leaves the default.
///
/// # Safety
///
/// `start` may be called with `context` on another thread. When this fails, the
/// context is the caller's as before.
pub unsafe fn start(
    start: Start,
    context: *mut c_void,
    stack: usize,
    signal: Option<c_int>,
) -> Result<(), Errno> {
    let mut attributes = MaybeUninit::uninit();
    let mut thread = MaybeUninit::uninit();
    // SAFETY: the attributes and sets are initialised before they are used; the
    // mask that is put back was in force a moment ago.
    let code = unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        if let Some(signal) = signal {
            libc::sigdelset(&mut all, signal);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        libc::pthread_attr_init(attributes.as_mut_ptr());
        libc::pthread_attr_setdetachstate(attributes.as_mut_ptr(), libc::PTHREAD_CREATE_DETACHED);
        libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), stack);
        let code = libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), start, context);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
        code
    };
    match code {
        0 => Ok(()),
        code => Err(Errno::from_raw(code)),
    }
}

/// How many threads of this process run at a time.
pub fn cores() -> usize {
    // SAFETY: fills a local of the size stated; zeros are an empty set.
    let count = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        match libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) {
            0 => libc::CPU_COUNT(&set),
            _ => 1,
        }
    };
    count.max(1) as usize
}
