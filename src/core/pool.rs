//! Threads for work that would block the loop. Work touches no Lua state.
//!
//! Threads start when work is queued and nobody is idle, and end after
//! [`IDLE`] without work, so a program that needs them once does not pay for
//! them for months.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, SigmaskHow};

use crate::abi::WorkFunction;

/// Most threads at once.
const THREADS: usize = 4;
/// How long a thread waits for more work.
const IDLE: Duration = Duration::from_secs(10);
const STACK: usize = 128 * 1024;

struct Work {
    run: WorkFunction,
    context: *mut c_void,
    task: u32,
    mark: u32,
}

// SAFETY: whoever submits promises that the function may run on any thread.
unsafe impl Send for Work {}

#[derive(Default)]
struct State {
    queue: Vec<Work>,
    /// Task and wait of finished work.
    done: Vec<(u32, u32)>,
    threads: usize,
    idle: usize,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    event: EventFd,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn serve(&self) {
        let mut state = self.lock();
        loop {
            while !state.queue.is_empty() {
                // There is little of it, or little else to do.
                let work = state.queue.remove(0);
                drop(state);
                // SAFETY: by the promise of whoever submitted it.
                unsafe { (work.run)(work.context) };
                state = self.lock();
                state.done.push((work.task, work.mark));
                // Fails only when 2^64 - 1 completions are unread.
                let _ = self.event.write(1);
            }
            state.idle += 1;
            let (woken, wait) = self
                .wake
                .wait_timeout(state, IDLE)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            state = woken;
            state.idle -= 1;
            if wait.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

/// A pool of one scheduler. Dropping it lets its threads end by themselves.
pub struct Pool(Arc<Shared>);

impl Pool {
    pub fn new() -> Result<Pool, Errno> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Pool(Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            event: EventFd::from_value_and_flags(0, flags)?,
        })))
    }

    /// Readable when work is done.
    pub fn event(&self) -> RawFd {
        self.0.event.as_fd().as_raw_fd()
    }

    /// Queues work of the wait `mark` of `task`.
    pub fn submit(
        &self,
        run: WorkFunction,
        context: *mut c_void,
        task: u32,
        mark: u32,
    ) -> Result<(), Errno> {
        let mut state = self.0.lock();
        if state.idle <= state.queue.len() && state.threads < THREADS && self.start().is_ok() {
            state.threads += 1;
        }
        if state.threads == 0 {
            return Err(Errno::EAGAIN);
        }
        state.queue.push(Work {
            run,
            context,
            task,
            mark,
        });
        self.0.wake.notify_one();
        Ok(())
    }

    /// Starts a thread that no signal is delivered to.
    fn start(&self) -> Result<(), Errno> {
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
        let started = spawn(Arc::clone(&self.0));
        if let Ok(mask) = before {
            // Puts back a mask that was in force a moment ago.
            let _ = mask.thread_set_mask();
        }
        started
    }

    /// The next finished piece of work.
    pub fn take_done(&self) -> Option<(u32, u32)> {
        let mut state = self.0.lock();
        let done = state.done.pop();
        if done.is_none() {
            let _ = self.0.event.read();
        }
        done
    }
}

extern "C" fn serve(shared: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` passes a counted reference on.
    unsafe { Arc::from_raw(shared.cast::<Shared>()) }.serve();
    ptr::null_mut()
}

/// Starts a detached thread, by the C library: what std adds for panics, names
/// and thread locals would be a tenth of eco.so.
fn spawn(shared: Arc<Shared>) -> Result<(), Errno> {
    let shared = Arc::into_raw(shared);
    let mut attributes = MaybeUninit::uninit();
    let mut thread = MaybeUninit::uninit();
    // SAFETY: the attributes are initialised before they are used; a stack
    // size that is refused leaves the default. The thread takes the reference,
    // unless there is none.
    unsafe {
        libc::pthread_attr_init(attributes.as_mut_ptr());
        libc::pthread_attr_setdetachstate(attributes.as_mut_ptr(), libc::PTHREAD_CREATE_DETACHED);
        libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK);
        let context = shared.cast_mut().cast();
        let code = libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), serve, context);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        if code != 0 {
            drop(Arc::from_raw(shared));
            return Err(Errno::from_raw(code));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    unsafe extern "C" fn add(context: *mut c_void) {
        // SAFETY: the test passes a counter that outlives the pool.
        unsafe { &*context.cast::<AtomicU32>() }.fetch_add(1, Ordering::SeqCst);
    }

    #[test]
    fn work_is_done_and_reported() {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let pool = Pool::new().unwrap();
        for task in 0..20 {
            let context = std::ptr::from_ref(&COUNTER).cast_mut().cast();
            pool.submit(add, context, task, task + 1).unwrap();
        }
        let mut done = Vec::new();
        while done.len() < 20 {
            match pool.take_done() {
                Some((task, mark)) => {
                    assert_eq!(mark, task + 1);
                    done.push(task);
                }
                None => std::thread::yield_now(),
            }
        }
        done.sort_unstable();
        assert_eq!(done, (0..20).collect::<Vec<_>>());
        assert_eq!(COUNTER.load(Ordering::SeqCst), 20);
        assert!(pool.0.lock().threads <= THREADS);
    }
}
