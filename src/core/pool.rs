//! Threads for work that would block the loop. Work touches no Lua state.
//!
//! Threads start when work is queued and nobody is idle, and end after
//! [`IDLE`] without work, so a program that needs them once does not pay for
//! them for months.
//!
//! The pool owns the context of the work it took: it lets go of each exactly
//! once, after the work was done or instead of it.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use nix::errno::Errno;

use crate::abi::{Token, WorkFunction};
use crate::system::thread;

/// Most threads of one pool.
const THREADS: usize = 4;
/// Threads of all pools of the process beyond which each pool makes do with one.
const PROCESS_THREADS: isize = 8;
/// How long a thread waits for more work.
const IDLE: Duration = Duration::from_secs(10);
const STACK: usize = 128 * 1024;

/// Threads of all pools. Only a guide: a pool may always have its first.
static RUNNING: AtomicIsize = AtomicIsize::new(0);

/// What blocks, and the context it works on.
pub struct Work {
    pub run: WorkFunction,
    /// Frees the context, on any thread.
    pub release: WorkFunction,
    pub context: *mut c_void,
}

// SAFETY: whoever submits promises that both functions may run on any thread.
unsafe impl Send for Work {}

impl Work {
    fn run(&self) {
        // SAFETY: by the promise of whoever submitted it.
        unsafe { (self.run)(self.context) };
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // SAFETY: as above; nobody else holds this work.
        unsafe { (self.release)(self.context) };
    }
}

#[derive(Default)]
struct State {
    /// Work, and what wakes who waits for it.
    queue: VecDeque<(Work, Token)>,
    threads: usize,
    idle: usize,
    /// The scheduler is gone.
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        thread::lock(&self.state)
    }

    fn serve(&self) {
        let mut state = self.lock();
        while !state.closed {
            if let Some((work, token)) = state.queue.pop_front() {
                drop(state);
                work.run();
                drop(work);
                token.notify();
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let (woken, pause) = self
                .wake
                .wait_timeout(state, IDLE)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            state = woken;
            state.idle -= 1;
            if pause.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A pool of one scheduler. Dropping it releases the work that nobody has
/// begun; its threads end what they are at, and then themselves.
#[derive(Default)]
pub struct Pool(Arc<Shared>);

impl Pool {
    /// Queues work; the token is spent when it is done.
    pub fn submit(&self, work: Work, token: Token) -> Result<(), Errno> {
        let mut state = self.0.lock();
        if state.queue.try_reserve(1).is_err() {
            return Err(Errno::ENOMEM);
        }
        let few = state.threads == 0
            || state.threads < THREADS && RUNNING.load(Ordering::Relaxed) < PROCESS_THREADS;
        if state.idle <= state.queue.len() && few && self.start().is_ok() {
            RUNNING.fetch_add(1, Ordering::Relaxed);
            state.threads += 1;
        }
        if state.threads == 0 {
            return Err(Errno::EAGAIN);
        }
        state.queue.push_back((work, token));
        self.0.wake.notify_one();
        Ok(())
    }

    /// Starts a thread that no signal is delivered to.
    fn start(&self) -> Result<(), Errno> {
        let shared = Arc::into_raw(Arc::clone(&self.0));
        // SAFETY: the thread takes the reference, unless there is none.
        unsafe { thread::start(serve, shared.cast_mut().cast(), STACK, None) }
            .inspect_err(|_| drop(unsafe { Arc::from_raw(shared) }))
    }

    /// Leaves the pool to the parent of a forked child: its threads and whoever
    /// held its lock stayed there, so its memory is not touched.
    pub fn forget(self) {
        std::mem::forget(self);
        RUNNING.store(0, Ordering::Relaxed);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        let unbegun = std::mem::take(&mut state.queue);
        drop(state);
        self.0.wake.notify_all();
        drop(unbegun);
    }
}

extern "C" fn serve(shared: *mut c_void) -> *mut c_void {
    // SAFETY: `start` passes a counted reference on.
    unsafe { Arc::from_raw(shared.cast::<Shared>()) }.serve();
    ptr::null_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::notifier::Notifier;
    use std::sync::atomic::AtomicUsize;
    use std::time::Instant;

    /// What the work of a test does to its context.
    #[derive(Default)]
    struct Tally {
        begun: AtomicUsize,
        run: AtomicUsize,
        released: AtomicUsize,
        /// Work waits until this is not zero.
        gate: AtomicUsize,
    }

    impl Tally {
        fn work(self: &Arc<Tally>) -> Work {
            Work {
                run,
                release,
                context: Arc::into_raw(Arc::clone(self)).cast_mut().cast(),
            }
        }

        fn released(&self) -> usize {
            self.released.load(Ordering::SeqCst)
        }
    }

    unsafe extern "C" fn run(context: *mut c_void) {
        // SAFETY: the context holds a reference until it is released.
        let tally = unsafe { &*context.cast::<Tally>() };
        tally.begun.fetch_add(1, Ordering::SeqCst);
        wait_until(|| tally.gate.load(Ordering::SeqCst) > 0);
        tally.run.fetch_add(1, Ordering::SeqCst);
    }

    unsafe extern "C" fn release(context: *mut c_void) {
        // SAFETY: takes the reference that `work` gave away.
        let tally = unsafe { Arc::from_raw(context.cast::<Tally>()) };
        tally.released.fetch_add(1, Ordering::SeqCst);
    }

    fn wait_until(mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(30), "waited in vain");
            std::thread::yield_now();
        }
    }

    fn take(notifier: &Notifier, count: usize) -> Vec<(u32, u32)> {
        let mut done = Vec::new();
        wait_until(|| {
            done.extend(std::iter::from_fn(|| notifier.take()));
            done.len() >= count
        });
        done
    }

    fn submit(pool: &Pool, notifier: &Notifier, tally: &Arc<Tally>, task: u32) {
        let token = notifier.token(task, task + 1).unwrap();
        pool.submit(tally.work(), token).unwrap();
    }

    #[test]
    fn work_is_done_and_reported() {
        let (pool, notifier) = (Pool::default(), Notifier::new().unwrap());
        let tally = Arc::new(Tally::default());
        tally.gate.store(1, Ordering::SeqCst);
        for task in 0..20 {
            submit(&pool, &notifier, &tally, task);
        }
        let mut done = take(&notifier, 20);
        done.sort_unstable();
        assert_eq!(done, (0..20).map(|n| (n, n + 1)).collect::<Vec<_>>());
        assert_eq!(tally.run.load(Ordering::SeqCst), 20);
        assert_eq!(tally.released(), 20);
        assert!(pool.0.lock().threads <= THREADS);
    }

    #[test]
    fn a_pool_that_goes_releases_queued_work_and_lets_running_work_end() {
        let (pool, notifier) = (Pool::default(), Notifier::new().unwrap());
        let tally = Arc::new(Tally::default());
        let total = THREADS + 10;
        for task in 0..total {
            submit(&pool, &notifier, &tally, task as u32);
        }
        let threads = pool.0.lock().threads;
        wait_until(|| tally.begun.load(Ordering::SeqCst) == threads);
        let shared = Arc::downgrade(&pool.0);
        drop(pool);
        assert_eq!(tally.released(), total - threads, "what waited is released");
        tally.gate.store(1, Ordering::SeqCst);
        wait_until(|| tally.released() == total);
        assert_eq!(tally.run.load(Ordering::SeqCst), threads);
        // At once, not when they have been idle for long.
        wait_until(|| shared.strong_count() == 0);
    }

    #[test]
    fn many_pools_that_come_and_go_release_everything_once() {
        let total = AtomicUsize::new(0);
        let tally = Arc::new(Tally::default());
        tally.gate.store(1, Ordering::SeqCst);
        std::thread::scope(|scope| {
            for seed in 0..4 {
                let (total, tally) = (&total, &tally);
                scope.spawn(move || {
                    for round in 0..200_usize {
                        let (pool, notifier) = (Pool::default(), Notifier::new().unwrap());
                        let count = (round * 7 + seed) % 12;
                        for task in 0..count {
                            submit(&pool, &notifier, tally, task as u32);
                        }
                        total.fetch_add(count, Ordering::SeqCst);
                        if round % 3 == 0 {
                            take(&notifier, count / 2);
                        }
                    }
                });
            }
        });
        wait_until(|| tally.released() == total.load(Ordering::SeqCst));
        wait_until(|| Arc::strong_count(&tally) == 1);
        assert!(tally.run.load(Ordering::SeqCst) <= tally.released());
    }

    #[test]
    fn a_crowd_of_pools_does_not_make_a_crowd_of_threads() {
        let (notifier, tally) = (Notifier::new().unwrap(), Arc::new(Tally::default()));
        let pools: Vec<Pool> = (0..30).map(|_| Pool::default()).collect();
        for pool in &pools {
            for task in 0..THREADS as u32 {
                submit(pool, &notifier, &tally, task);
            }
        }
        let threads: usize = pools.iter().map(|pool| pool.0.lock().threads).sum();
        assert!(
            threads <= pools.len() + PROCESS_THREADS as usize,
            "{threads}"
        );
        tally.gate.store(1, Ordering::SeqCst);
        take(&notifier, pools.len() * THREADS);
    }
}
