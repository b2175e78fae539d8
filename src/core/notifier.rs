//! The receiving end of tokens: which waits other threads have ended.
//!
//! A receiver that is awake costs no system call: the eventfd is written only
//! when it sleeps, or is about to, and once a sleep. Room for every token is
//! taken when it is made, so that notifying needs no memory.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::c_void;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::abi::{Token, TokenTable};
use crate::system::thread;

/// A task, and which wait of it.
type Wait = (u32, u32);

#[derive(Default)]
struct State {
    ended: VecDeque<Wait>,
    /// Tokens not spent yet.
    tokens: usize,
    /// The receiver waits, or will at once, and nobody has woken it yet.
    asleep: bool,
}

struct Shared {
    state: Mutex<State>,
    /// Some waits have ended. Changed under the lock; who reads it without may
    /// be late.
    some: AtomicBool,
    event: EventFd,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        thread::lock(&self.state)
    }
}

static TABLE: TokenTable = TokenTable { notify };

unsafe extern "C" fn notify(shared: *const c_void, task: u32, mark: u32) {
    // SAFETY: takes the reference that `token` gave to this one.
    let shared = unsafe { Arc::from_raw(shared.cast::<Shared>()) };
    let mut state = shared.lock();
    state.tokens -= 1;
    state.ended.push_back((task, mark));
    shared.some.store(true, Ordering::Relaxed);
    let asleep = std::mem::take(&mut state.asleep);
    drop(state);
    if asleep {
        // Fails only when 2^64 - 1 wake-ups are unread.
        let _ = shared.event.write(1);
    }
}

/// Where the tokens of one scheduler report.
pub struct Notifier(Arc<Shared>);

impl Notifier {
    pub fn new() -> Result<Notifier, Errno> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Notifier(Arc::new(Shared {
            state: Mutex::default(),
            some: AtomicBool::new(false),
            event: EventFd::from_value_and_flags(0, flags)?,
        })))
    }

    /// Readable when the receiver was woken from its sleep.
    pub fn event(&self) -> RawFd {
        self.0.event.as_fd().as_raw_fd()
    }

    /// A token for the wait `mark` of `task`.
    pub fn token(&self, task: u32, mark: u32) -> Result<Token, Errno> {
        let mut state = self.0.lock();
        let tokens = state.tokens + 1;
        if state.ended.try_reserve(tokens).is_err() {
            return Err(Errno::ENOMEM);
        }
        state.tokens = tokens;
        Ok(Token {
            table: &TABLE,
            shared: Arc::into_raw(Arc::clone(&self.0)).cast(),
            task,
            mark,
        })
    }

    /// The next wait that was ended.
    pub fn take(&self) -> Option<Wait> {
        let mut state = self.0.lock();
        let wait = state.ended.pop_front();
        if state.ended.is_empty() {
            self.0.some.store(false, Ordering::Relaxed);
        }
        wait
    }

    /// Whether there is a wait to take: as far as an awake receiver needs to know.
    pub fn has_some(&self) -> bool {
        self.0.some.load(Ordering::Relaxed)
    }

    /// The receiver is about to wait for [`Notifier::event`]: false when it must
    /// not, because there is a wait to take.
    #[must_use]
    pub fn doze(&self) -> bool {
        let mut state = self.0.lock();
        state.asleep = state.ended.is_empty();
        state.asleep
    }

    /// The receiver is awake again.
    pub fn rouse(&self) {
        self.0.lock().asleep = false;
    }

    /// The event was seen.
    pub fn clear(&self) {
        // Fails when there is nothing to take.
        let _ = self.0.event.read();
    }

    /// Leaves it to the parent of a forked child, whose threads may hold its
    /// lock: its memory is not touched.
    pub fn forget(self) {
        // SAFETY: the descriptor is a copy that nothing here uses any more.
        unsafe { libc::close(self.event()) };
        std::mem::forget(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readable(notifier: &Notifier) -> bool {
        let mut poll = libc::pollfd {
            fd: notifier.event(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one local pollfd.
        unsafe { libc::poll(&mut poll, 1, 0) > 0 }
    }

    #[test]
    fn a_token_wakes_its_wait_once() {
        let notifier = Notifier::new().unwrap();
        let (told, dropped) = (notifier.token(1, 7).unwrap(), notifier.token(2, 8).unwrap());
        assert!(notifier.doze());
        assert!(!readable(&notifier) && !notifier.has_some());
        let sender = std::thread::spawn(move || {
            told.notify();
            drop(dropped);
        });
        sender.join().unwrap();
        assert!(readable(&notifier) && notifier.has_some());
        notifier.rouse();
        notifier.clear();
        assert_eq!(notifier.take(), Some((1, 7)));
        assert_eq!(notifier.take(), Some((2, 8)));
        assert_eq!(notifier.take(), None);
        assert!(!readable(&notifier) && !notifier.has_some());
        assert_eq!(Arc::strong_count(&notifier.0), 1);
    }

    #[test]
    fn a_receiver_that_is_awake_costs_no_system_call() {
        let notifier = Notifier::new().unwrap();
        notifier.token(1, 1).unwrap().notify();
        assert!(!readable(&notifier));
        assert!(!notifier.doze(), "there is something to take first");
        notifier.token(1, 2).unwrap().notify();
        assert!(!readable(&notifier));
        while notifier.take().is_some() {}
        assert!(notifier.doze());
        let tokens: Vec<_> = (0..3).map(|n| notifier.token(1, n).unwrap()).collect();
        drop(tokens);
        assert_eq!(notifier.0.event.read(), Ok(1), "one write a sleep");
    }

    #[test]
    fn tokens_outlive_the_receiver() {
        let notifier = Notifier::new().unwrap();
        let shared = Arc::downgrade(&notifier.0);
        let (first, second) = (notifier.token(1, 1).unwrap(), notifier.token(2, 1).unwrap());
        drop(notifier);
        first.notify();
        assert!(shared.upgrade().is_some());
        drop(second);
        assert!(shared.upgrade().is_none());
    }

    #[test]
    fn senders_in_many_threads_lose_nothing() {
        let notifier = Notifier::new().unwrap();
        let total = 4 * 500;
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let notifier = &notifier;
                scope.spawn(move || {
                    for n in 0..500 {
                        notifier.token(thread, n).unwrap().notify();
                    }
                });
            }
            let mut seen = 0;
            let mut idle = 0;
            while seen < total {
                while notifier.take().is_some() {
                    seen += 1;
                    idle = 0;
                }
                if notifier.doze() {
                    // A wake-up that was lost would leave it here for ever.
                    while seen < total && !readable(&notifier) {
                        idle += 1;
                        assert!(idle < 100_000_000, "{seen} of {total}");
                        std::thread::yield_now();
                    }
                    notifier.rouse();
                    notifier.clear();
                }
            }
        });
        assert_eq!(notifier.0.lock().tokens, 0);
    }
}
