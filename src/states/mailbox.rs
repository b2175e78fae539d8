//! Queues of messages between Lua states in any threads.
//!
//! Invariants:
//!
//! - A message is in the queue until somebody takes it: who was chosen for it
//!   and ends otherwise passes the turn on, so neither message nor turn is lost.
//! - While there are messages, nobody who waits for one is left unchosen;
//!   likewise senders and free places.
//! - Waits are ended (tokens are dropped) when the lock is not held.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::abi::Token;
use crate::states::waiters::Waiters;
use crate::system::thread;

/// Why nothing was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It would have to wait.
    Busy,
    /// Nothing can be sent any more, or there is nothing left to be had.
    Closed,
    /// There is no memory for it.
    Memory,
}

/// Which side waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Sender,
    Receiver,
}

struct State<T> {
    queue: VecDeque<T>,
    closed: bool,
    senders: Waiters,
    receivers: Waiters,
}

impl<T> State<T> {
    fn waiters(&mut self, side: Side) -> &mut Waiters {
        match side {
            Side::Sender => &mut self.senders,
            Side::Receiver => &mut self.receivers,
        }
    }
}

/// A queue that states share. See [`End`] for who holds it.
pub struct Mailbox<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    /// Ends that there are.
    ends: AtomicUsize,
    /// There were several of them at some time.
    was_shared: AtomicBool,
}

impl<T> Mailbox<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        thread::lock(&self.state)
    }

    /// Most messages it holds; `usize::MAX` for no limit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub fn len(&self) -> usize {
        self.lock().queue.len()
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Takes the message from its place and queues it, if that can be done now.
    pub fn send(&self, message: &mut Option<T>) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.queue.len() >= self.capacity {
            return Err(Refused::Busy);
        }
        if state.queue.try_reserve(1).is_err() {
            return Err(Refused::Memory);
        }
        state.queue.extend(message.take());
        let chosen = state.receivers.choose();
        drop(state);
        drop(chosen);
        Ok(())
    }

    /// The oldest message.
    pub fn receive(&self) -> Result<T, Refused> {
        let mut state = self.lock();
        let Some(message) = state.queue.pop_front() else {
            return Err(if state.closed {
                Refused::Closed
            } else {
                Refused::Busy
            });
        };
        // A crowd that has gone leaves no memory behind.
        if state.queue.is_empty() && state.queue.capacity() > KEPT {
            state.queue.shrink_to(KEPT);
        }
        let chosen = state.senders.choose();
        drop(state);
        drop(chosen);
        Ok(message)
    }

    /// Nobody sends any more; what is queued can still be received. Everybody
    /// who waits is woken.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let woken = (state.senders.choose_all(), state.receivers.choose_all());
        drop(state);
        drop(woken);
    }

    /// True when all other ends are gone, so that whoever waits waits in vain:
    /// unless another coroutine of the same state does something about it.
    pub fn is_deserted(&self) -> bool {
        self.ends.load(Ordering::SeqCst) == 1 && self.was_shared.load(Ordering::SeqCst)
    }

    /// Adds a wait to those of its side and gives its number. When it need not
    /// wait after all, the token is spent at once. None when there is no memory.
    pub fn wait(&self, side: Side, token: Token) -> Option<u64> {
        let mut state = self.lock();
        let moves = match side {
            Side::Sender => state.queue.len() < self.capacity,
            Side::Receiver => !state.queue.is_empty(),
        };
        if moves || state.closed || self.is_deserted() {
            drop(state);
            drop(token);
            return Some(0);
        }
        match state.waiters(side).add(token) {
            Ok(number) => Some(number),
            Err(token) => {
                drop(state);
                drop(token);
                None
            }
        }
    }

    /// Whether the wait of that number has not been chosen yet.
    pub fn is_waiting(&self, side: Side, number: u64) -> bool {
        number != 0 && self.lock().waiters(side).has(number)
    }

    /// Ends a wait that came to nothing: if it was its turn, it is the next one's.
    pub fn leave(&self, side: Side, number: u64) {
        if number == 0 {
            return;
        }
        let mut state = self.lock();
        let token = state.waiters(side).remove(number).or_else(|| {
            let moves = match side {
                Side::Sender => state.queue.len() < self.capacity,
                Side::Receiver => !state.queue.is_empty(),
            };
            moves.then(|| state.waiters(side).choose()).flatten()
        });
        drop(state);
        drop(token);
    }

    /// Wakes everybody, so that they look around.
    fn wake_all(&self) {
        let mut state = self.lock();
        let woken = (state.senders.choose_all(), state.receivers.choose_all());
        drop(state);
        drop(woken);
    }
}

/// Places that an empty queue keeps.
const KEPT: usize = 64;

/// A counted hold on a mailbox: one for each state that has it, and for each
/// message that it is in. When one is left, whoever waits there is woken.
pub struct End<T>(Arc<Mailbox<T>>);

impl<T> End<T> {
    /// A new mailbox; None when there is no memory.
    pub fn new(capacity: usize) -> Option<End<T>> {
        Some(End(Arc::new(Mailbox {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                closed: false,
                senders: Waiters::default(),
                receivers: Waiters::default(),
            }),
            capacity,
            ends: AtomicUsize::new(1),
            was_shared: AtomicBool::new(false),
        })))
    }

    /// The mailbox, for a wait: it does not count as an end.
    pub fn mailbox(&self) -> Arc<Mailbox<T>> {
        Arc::clone(&self.0)
    }

    /// Tells mailboxes apart.
    pub fn address(&self) -> *const () {
        Arc::as_ptr(&self.0).cast()
    }
}

impl<T> Deref for End<T> {
    type Target = Mailbox<T>;

    fn deref(&self) -> &Mailbox<T> {
        &self.0
    }
}

impl<T> Clone for End<T> {
    fn clone(&self) -> End<T> {
        self.0.ends.fetch_add(1, Ordering::SeqCst);
        self.0.was_shared.store(true, Ordering::SeqCst);
        End(Arc::clone(&self.0))
    }
}

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        if self.0.ends.fetch_sub(1, Ordering::SeqCst) == 2 {
            self.0.wake_all();
        }
    }
}

#[cfg(all(test, feature = "core"))]
mod tests {
    use super::*;
    use crate::core::Notifier;
    use std::collections::VecDeque as Queue;
    use std::thread;
    use std::time::{Duration, Instant};

    /// A thread that waits as a coroutine does: for the token that it gave away.
    struct Party {
        notifier: Notifier,
        mark: u32,
    }

    impl Party {
        fn new() -> Party {
            Party {
                notifier: Notifier::new().unwrap(),
                mark: 0,
            }
        }

        fn token(&mut self) -> Token {
            self.mark += 1;
            self.notifier.token(0, self.mark).unwrap()
        }

        /// Whether this wait was ended, until then.
        fn is_woken(&self, until: Instant) -> bool {
            loop {
                while let Some((_, mark)) = self.notifier.take() {
                    if mark == self.mark {
                        return true;
                    }
                }
                if Instant::now() > until {
                    return false;
                }
                thread::yield_now();
            }
        }

        fn wait<T>(&mut self, mailbox: &Mailbox<T>, side: Side, until: Instant) {
            let token = self.token();
            let number = mailbox.wait(side, token).unwrap();
            assert!(self.is_woken(until), "{side:?} was not woken");
            assert!(!mailbox.is_waiting(side, number));
        }

        fn receive<T>(&mut self, mailbox: &Mailbox<T>, until: Instant) -> Option<T> {
            loop {
                match mailbox.receive() {
                    Ok(message) => return Some(message),
                    Err(Refused::Busy) => self.wait(mailbox, Side::Receiver, until),
                    Err(_) => return None,
                }
            }
        }

        fn send<T>(&mut self, mailbox: &Mailbox<T>, message: T, until: Instant) {
            let mut place = Some(message);
            while mailbox.send(&mut place) == Err(Refused::Busy) {
                self.wait(mailbox, Side::Sender, until);
            }
            assert!(place.is_none());
        }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(120)
    }

    #[test]
    fn messages_come_in_their_order_and_the_queue_is_bounded() {
        let end = End::new(2).unwrap();
        assert_eq!(end.receive(), Err(Refused::Busy));
        for n in 0..2 {
            assert_eq!(end.send(&mut Some(n)), Ok(()));
        }
        let mut third = Some(2);
        assert_eq!(end.send(&mut third), Err(Refused::Busy));
        assert_eq!(third, Some(2), "it is still the sender's");
        end.close();
        assert_eq!(end.send(&mut third), Err(Refused::Closed));
        assert_eq!((end.receive(), end.receive()), (Ok(0), Ok(1)));
        assert_eq!(end.receive(), Err(Refused::Closed));
    }

    #[test]
    fn closing_wakes_everybody() {
        let end = End::<()>::new(1).unwrap();
        end.send(&mut Some(())).unwrap();
        let mut parties: Vec<_> = (0..3).map(|_| Party::new()).collect();
        for party in &mut parties {
            let token = party.token();
            assert_ne!(end.wait(Side::Sender, token), Some(0));
        }
        end.close();
        assert!(parties.iter().all(|party| party.is_woken(soon())));
    }

    /// An end that two wait for, the number of the first, and the second.
    fn two_receivers() -> (End<i32>, u64, Party) {
        let end = End::new(1).unwrap();
        let (mut first, mut second) = (Party::new(), Party::new());
        let token = first.token();
        let number = end.wait(Side::Receiver, token).unwrap();
        let token = second.token();
        end.wait(Side::Receiver, token).unwrap();
        (end, number, second)
    }

    #[test]
    fn who_is_chosen_and_leaves_passes_the_turn_on() {
        let (end, number, second) = two_receivers();
        end.send(&mut Some(7)).unwrap();
        assert!(!end.is_waiting(Side::Receiver, number));
        assert!(!second.is_woken(Instant::now()));
        end.leave(Side::Receiver, number);
        assert!(second.is_woken(soon()));
        assert_eq!(end.receive(), Ok(7));
    }

    #[test]
    fn who_leaves_before_its_turn_is_not_chosen() {
        let (end, number, second) = two_receivers();
        end.leave(Side::Receiver, number);
        end.send(&mut Some(7)).unwrap();
        assert!(second.is_woken(soon()));
    }

    #[test]
    fn the_last_end_is_told_that_it_is_alone() {
        let end = End::<()>::new(1).unwrap();
        let mut party = Party::new();
        let token = party.token();
        let number = end.wait(Side::Receiver, token).unwrap();
        assert_ne!(number, 0, "it was never passed on: somebody here may send");
        end.leave(Side::Receiver, number);
        let other = end.clone();
        let token = party.token();
        assert_ne!(end.wait(Side::Receiver, token), Some(0));
        assert!(!end.is_deserted());
        drop(other);
        assert!(end.is_deserted() && party.is_woken(soon()));
        let token = party.token();
        assert_eq!(end.wait(Side::Receiver, token), Some(0));
        assert!(party.is_woken(soon()));
    }

    #[test]
    fn a_crowd_leaves_no_memory_behind() {
        let end = End::new(usize::MAX).unwrap();
        for n in 0..10_000 {
            end.send(&mut Some(n)).unwrap();
        }
        while end.receive().is_ok() {}
        assert!(end.lock().queue.capacity() <= 2 * KEPT);
    }

    /// Senders and receivers in threads, over a narrow queue; some receivers
    /// give up again and again, at any step.
    #[test]
    fn threads_lose_no_message_and_no_turn() {
        const SENDERS: usize = 3;
        let each = if cfg!(miri) { 20 } else { 1000 };
        for capacity in [1, 3, usize::MAX] {
            let end = End::new(capacity).unwrap();
            let until = soon();
            let seen: Queue<usize> = thread::scope(|scope| {
                let senders: Vec<_> = (0..SENDERS)
                    .map(|sender| {
                        let end = &end;
                        scope.spawn(move || {
                            let mut party = Party::new();
                            for n in 0..each {
                                party.send(end, sender * each + n, until);
                            }
                        })
                    })
                    .collect();
                let receivers: Vec<_> = (0..2)
                    .map(|_| {
                        let end = &end;
                        scope.spawn(move || {
                            let mut party = Party::new();
                            let mut seen = Queue::new();
                            while let Some(n) = party.receive(end, until) {
                                seen.push_back(n);
                            }
                            seen
                        })
                    })
                    .collect();
                // Waits for a turn and lets it go: others must get it.
                let fickle: Vec<_> = [Side::Receiver, Side::Sender]
                    .map(|side| {
                        let end = &end;
                        scope.spawn(move || {
                            let mut party = Party::new();
                            while !end.is_closed() {
                                let token = party.token();
                                let number = end.wait(side, token).unwrap();
                                thread::yield_now();
                                end.leave(side, number);
                            }
                        })
                    })
                    .into();
                for sender in senders {
                    sender.join().unwrap();
                }
                end.close();
                for fickle in fickle {
                    fickle.join().unwrap();
                }
                receivers
                    .into_iter()
                    .flat_map(|receiver| receiver.join().unwrap())
                    .collect()
            });
            let mut all: Vec<_> = seen.into();
            all.sort_unstable();
            assert_eq!(all, (0..SENDERS * each).collect::<Vec<_>>());
        }
    }

    /// Ends come and go in threads; whoever waits on the last one wakes.
    #[test]
    fn threads_that_drop_their_ends_wake_who_waits() {
        for _ in 0..if cfg!(miri) { 5 } else { 200 } {
            let end = End::<u32>::new(1).unwrap();
            let others: Vec<_> = (0..3).map(|_| end.clone()).collect();
            let until = soon();
            thread::scope(|scope| {
                for other in others {
                    scope.spawn(move || drop(other));
                }
                let mut party = Party::new();
                while !end.is_deserted() {
                    party.wait(&end, Side::Receiver, until);
                    // Somebody else's going is no reason to wake, but no harm.
                }
            });
        }
    }
}
