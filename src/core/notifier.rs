//! The receiving end of tokens: which waits other threads have ended.
//!
//! A receiver that is awake costs no system call: the eventfd is written for
//! the first wait of a batch only. Room for every token is taken when it is
//! made, so that notifying needs no memory.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::ffi::c_void;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::abi::{Token, TokenTable};

/// A task, and which wait of it.
type Wait = (u32, u32);

#[derive(Default)]
struct State {
    ended: VecDeque<Wait>,
    /// Tokens not spent yet.
    tokens: usize,
}

struct Shared {
    state: Mutex<State>,
    event: EventFd,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

static TABLE: TokenTable = TokenTable { notify };

unsafe extern "C" fn notify(shared: *const c_void, task: u32, mark: u32) {
    // SAFETY: takes the reference that `token` gave to this one.
    let shared = unsafe { Arc::from_raw(shared.cast::<Shared>()) };
    let mut state = shared.lock();
    state.tokens -= 1;
    let first = state.ended.is_empty();
    state.ended.push_back((task, mark));
    if first {
        // Fails only when 2^64 - 1 batches are unread.
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
            event: EventFd::from_value_and_flags(0, flags)?,
        })))
    }

    /// Readable when waits were ended.
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
            let _ = self.0.event.read();
        }
        wait
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
        assert!(!readable(&notifier));
        let sender = std::thread::spawn(move || {
            told.notify();
            drop(dropped);
        });
        sender.join().unwrap();
        assert!(readable(&notifier));
        assert_eq!(notifier.take(), Some((1, 7)));
        assert_eq!(notifier.take(), Some((2, 8)));
        assert_eq!(notifier.take(), None);
        assert!(!readable(&notifier));
        assert_eq!(Arc::strong_count(&notifier.0), 1);
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
                if readable(&notifier) {
                    while notifier.take().is_some() {
                        seen += 1;
                    }
                    idle = 0;
                } else {
                    idle += 1;
                    assert!(idle < 100_000_000, "{seen} of {total}");
                    std::thread::yield_now();
                }
            }
        });
        assert_eq!(notifier.0.lock().tokens, 0);
    }
}
