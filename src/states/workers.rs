//! Threads that run what is ready: a queue each, and who has nothing to do takes
//! half of another's.
//!
//! Invariants:
//!
//! - `queued` counts what is in all queues, and is raised before something
//!   enters one: who falls asleep looks at it after saying so, and who queues
//!   something looks for sleepers after that. So one of the two sees the other.
//! - A job is in one queue at most, and whoever takes it out runs it: that it is
//!   queued again only when it is not running is its owner's business.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::system::thread::{self, lock};

/// What workers run, a slice at a time.
pub trait Job: Send + Sync + Sized + 'static {
    /// Runs a slice in worker `number`; true when it is to run again. It may go
    /// on while `is_alone` says that the worker has nothing else to do.
    fn run(self: &Arc<Self>, number: usize, is_alone: &dyn Fn() -> bool) -> bool;
}

type Queue<J> = Mutex<VecDeque<Arc<J>>>;

/// A set of workers, which begin one by one as they are needed.
pub struct Workers<J> {
    queues: Vec<Queue<J>>,
    /// Jobs in all queues.
    queued: AtomicUsize,
    /// Workers that have begun.
    begun: AtomicUsize,
    /// Those whose thread has not ended.
    alive: Mutex<usize>,
    ended: Condvar,
    /// Whose turn it is to get the next job.
    turn: AtomicUsize,
    /// Workers that sleep, or are about to.
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
    is_stopped: AtomicBool,
}

/// C stack of a worker: what is not used costs address space only.
const STACK: usize = 1 << 20;

/// What a worker begins with.
struct Start<J> {
    workers: Arc<Workers<J>>,
    number: usize,
}

impl<J: Job> Workers<J> {
    /// As many as `most`, at least one; none has begun.
    pub fn new(most: usize) -> Arc<Workers<J>> {
        Arc::new(Workers {
            queues: (0..most.max(1)).map(|_| Queue::default()).collect(),
            queued: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            alive: Mutex::new(0),
            ended: Condvar::new(),
            turn: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
            is_stopped: AtomicBool::new(false),
        })
    }

    /// Hands a job to the next worker; one more begins when all are busy. False
    /// when there is no thread to run it.
    pub fn submit(self: &Arc<Self>, job: Arc<J>) -> bool {
        if !self.help() {
            return false;
        }
        let turn = self.turn.fetch_add(1, SeqCst) % self.begun.load(SeqCst).max(1);
        self.put(turn, job);
        true
    }

    /// One more worker begins if nobody sleeps; false when there is none at all.
    fn help(self: &Arc<Self>) -> bool {
        let begun = self.begun.load(SeqCst);
        self.sleepers.load(SeqCst) > 0 || begun >= self.queues.len() || self.begin(begun)
    }

    fn wake(&self) {
        if self.sleepers.load(SeqCst) > 0 {
            // Under the lock: who is about to sleep waits by now.
            let _sleep = lock(&self.sleep);
            self.wake.notify_one();
        }
    }

    fn put(&self, number: usize, job: Arc<J>) {
        self.queued.fetch_add(1, SeqCst);
        if let Some(queue) = self.queues.get(number) {
            lock(queue).push_back(job);
        }
        self.wake();
    }

    /// Starts the worker of that number, unless another thread does; false when
    /// there is none at all.
    fn begin(self: &Arc<Self>, number: usize) -> bool {
        let next = self
            .begun
            .compare_exchange(number, number + 1, SeqCst, SeqCst);
        if next.is_err() {
            return true;
        }
        *lock(&self.alive) += 1;
        let start = Box::into_raw(Box::new(Start {
            workers: Arc::clone(self),
            number,
        }));
        // SAFETY: what it begins with belongs to the thread, unless there is none;
        // workers and jobs may be used by any thread.
        let started = unsafe {
            thread::start(enter::<J>, start.cast(), STACK, None)
                .inspect_err(|_| drop(Box::from_raw(start)))
        };
        if started.is_err() {
            *lock(&self.alive) -= 1;
            // Its queue is served by the others, if there are any.
            let _ = self
                .begun
                .compare_exchange(number + 1, number, SeqCst, SeqCst);
            return number > 0;
        }
        true
    }

    /// The next job of a worker: its own first.
    fn take(&self, number: usize) -> Option<Arc<J>> {
        if self.queued.load(SeqCst) == 0 {
            return None;
        }
        let own = self.queues.get(number)?;
        let mut job = lock(own).pop_front();
        let count = self.queues.len();
        for other in (number + 1..count).chain(0..number) {
            if job.is_some() {
                break;
            }
            let mut stolen = {
                let mut queue = lock(self.queues.get(other)?);
                let kept = queue.len() / 2;
                queue.split_off(kept)
            };
            job = stolen.pop_front();
            lock(own).append(&mut stolen);
        }
        if job.is_some() {
            self.queued.fetch_sub(1, SeqCst);
        }
        job
    }

    /// The number of the worker with the fewest jobs.
    fn emptiest(&self) -> usize {
        let begun = self.queues.iter().take(self.begun.load(SeqCst)).enumerate();
        begun
            .min_by_key(|(_, queue)| lock(queue).len())
            .map_or(0, |(number, _)| number)
    }

    fn work(self: &Arc<Self>, number: usize) {
        while !self.is_stopped.load(SeqCst) {
            if let Some(job) = self.take(number) {
                // Two that were queued at once may have woken one.
                if self.queued.load(SeqCst) > 0 {
                    self.help();
                    self.wake();
                }
                let is_alone = || self.queued.load(SeqCst) == 0 && !self.is_stopped.load(SeqCst);
                if job.run(number, &is_alone) {
                    self.put(self.emptiest(), job);
                }
                continue;
            }
            let sleep = lock(&self.sleep);
            self.sleepers.fetch_add(1, SeqCst);
            if self.queued.load(SeqCst) == 0 && !self.is_stopped.load(SeqCst) {
                drop(self.wake.wait(sleep));
            }
            self.sleepers.fetch_sub(1, SeqCst);
        }
    }

    /// Jobs are run no more, but for those that run; waits until those have ended
    /// their slice, so long at most. False when some have not.
    pub fn stop(&self, patience: Duration) -> bool {
        self.is_stopped.store(true, SeqCst);
        drop(lock(&self.sleep));
        self.wake.notify_all();
        let start = Instant::now();
        let mut alive = lock(&self.alive);
        while *alive > 0 {
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return false;
            }
            alive = self
                .ended
                .wait_timeout(alive, left)
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .0;
        }
        true
    }

    /// Takes what nobody will run any more.
    pub fn drain(&self) {
        for queue in &self.queues {
            let jobs = std::mem::take(&mut *lock(queue));
            drop(jobs);
        }
    }
}

extern "C" fn enter<J: Job>(start: *mut c_void) -> *mut c_void {
    // SAFETY: `begin` passes it on.
    let Start { workers, number } = *unsafe { Box::from_raw(start.cast::<Start<J>>()) };
    workers.work(number);
    *lock(&workers.alive) -= 1;
    workers.ended.notify_all();
    ptr::null_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Weak;

    /// A job that counts its slices, and complains when two run at once.
    struct Counter {
        workers: Weak<Workers<Counter>>,
        left: AtomicUsize,
        running: AtomicBool,
        overlaps: AtomicUsize,
        next: Option<Arc<Counter>>,
        done: Arc<(Mutex<usize>, Condvar)>,
    }

    impl Job for Counter {
        fn run(self: &Arc<Self>, _number: usize, _is_alone: &dyn Fn() -> bool) -> bool {
            let overlaps = self.running.swap(true, SeqCst);
            self.overlaps.fetch_add(usize::from(overlaps), SeqCst);
            let left = self.left.fetch_sub(1, SeqCst) - 1;
            self.running.store(false, SeqCst);
            if left == 0 {
                if let (Some(next), Some(workers)) = (&self.next, self.workers.upgrade()) {
                    workers.submit(Arc::clone(next));
                }
                *lock(&self.done.0) += 1;
                self.done.1.notify_all();
            }
            left > 0
        }
    }

    fn await_count(done: &(Mutex<usize>, Condvar), count: usize) {
        let until = Instant::now() + Duration::from_secs(120);
        let mut found = lock(&done.0);
        while *found < count {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} have ended", *found);
            found = done.1.wait_timeout(found, left).unwrap().0;
        }
    }

    fn counter(
        workers: &Arc<Workers<Counter>>,
        slices: usize,
        next: Option<Arc<Counter>>,
        done: &Arc<(Mutex<usize>, Condvar)>,
    ) -> Arc<Counter> {
        Arc::new(Counter {
            workers: Arc::downgrade(workers),
            left: AtomicUsize::new(slices),
            running: AtomicBool::new(false),
            overlaps: AtomicUsize::new(0),
            next,
            done: Arc::clone(done),
        })
    }

    #[test]
    fn every_job_runs_to_its_end_and_none_twice_at_a_time() {
        let (rounds, jobs, slices) = if cfg!(miri) { (2, 4, 3) } else { (50, 40, 20) };
        for round in 0..rounds {
            let workers = Workers::new(1 + round % 4);
            let done = Arc::default();
            let all: Vec<_> = (0..jobs)
                .map(|_| counter(&workers, slices, None, &done))
                .collect();
            for job in &all {
                assert!(workers.submit(Arc::clone(job)));
            }
            await_count(&done, jobs);
            assert!(workers.stop(Duration::from_secs(60)));
            assert!(all.iter().all(|job| job.overlaps.load(SeqCst) == 0));
            assert_eq!(workers.queued.load(SeqCst), 0);
        }
    }

    /// A chain wakes a worker that has just fallen asleep, again and again.
    #[test]
    fn no_wake_up_is_lost() {
        let (rounds, length) = if cfg!(miri) { (2, 5) } else { (100, 50) };
        for round in 0..rounds {
            let workers = Workers::new(1 + round % 3);
            let done = Arc::default();
            let mut first = None;
            for _ in 0..length {
                first = Some(counter(&workers, 1, first, &done));
            }
            workers.submit(first.unwrap());
            await_count(&done, length);
            assert!(workers.stop(Duration::from_secs(60)));
        }
    }

    struct Busy(Arc<AtomicBool>, Arc<(Mutex<usize>, Condvar)>, bool);

    impl Job for Busy {
        fn run(self: &Arc<Self>, _number: usize, _is_alone: &dyn Fn() -> bool) -> bool {
            while self.2 && !self.0.load(SeqCst) {
                std::thread::yield_now();
            }
            *lock(&self.1 .0) += 1;
            self.1 .1.notify_all();
            false
        }
    }

    #[test]
    fn a_busy_worker_delays_nobody_while_another_is_free() {
        let workers = Workers::new(2);
        let (stop, done) = (Arc::default(), Arc::default());
        let make = |is_busy| Arc::new(Busy(Arc::clone(&stop), Arc::clone(&done), is_busy));
        workers.submit(make(true));
        // Half of them go to the queue of the busy worker.
        for _ in 0..20 {
            workers.submit(make(false));
        }
        await_count(&done, 20);
        stop.store(true, SeqCst);
        await_count(&done, 21);
        assert!(workers.stop(Duration::from_secs(60)));
    }

    #[test]
    fn what_is_left_is_drained() {
        let workers = Workers::new(1);
        assert!(workers.stop(Duration::ZERO), "none has begun");
        let done = Arc::default();
        let job = counter(&workers, 1, None, &done);
        workers.submit(Arc::clone(&job));
        assert!(workers.stop(Duration::from_secs(60)));
        workers.drain();
        assert_eq!(Arc::strong_count(&job), 1);
    }
}
