//! Timers of contexts, in milliseconds of whatever clock.

use std::collections::BTreeMap;

use super::event::{Handle, Id};

/// Whose timer, and which.
pub type Key = (Handle, Id);

/// What is to come, by time and by owner.
#[derive(Default)]
pub struct Timers {
    /// How long until it comes again, 0 for once.
    by_time: BTreeMap<(u64, Key), u64>,
    by_key: BTreeMap<Key, u64>,
}

impl Timers {
    /// Sets or moves one.
    pub fn set(&mut self, key: Key, deadline: u64, repeat: u64) {
        self.clear(key);
        self.by_key.insert(key, deadline);
        self.by_time.insert((deadline, key), repeat);
    }

    pub fn clear(&mut self, key: Key) {
        if let Some(deadline) = self.by_key.remove(&key) {
            self.by_time.remove(&(deadline, key));
        }
    }

    /// Clears all of one owner.
    pub fn clear_all(&mut self, owner: Handle) {
        loop {
            let first = self.by_key.range((owner, Id::MIN)..).next();
            match first.map(|(key, _)| *key) {
                Some(key) if key.0 == owner => self.clear(key),
                _ => break,
            }
        }
    }

    /// When the first one comes.
    pub fn first(&self) -> Option<u64> {
        self.by_time.keys().next().map(|(deadline, _)| *deadline)
    }

    /// Takes one whose time has come: its key, when it was to come, its repetition.
    pub fn take(&mut self, now: u64) -> Option<(Key, u64, u64)> {
        let entry = self.by_time.first_entry()?;
        let (deadline, key) = *entry.key();
        if deadline > now {
            return None;
        }
        let repeat = entry.remove();
        self.by_key.remove(&key);
        Some((key, deadline, repeat))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_in_the_order_of_their_times() {
        let mut timers = Timers::default();
        for (id, deadline) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            timers.set((7, id), deadline, 0);
        }
        assert_eq!(timers.first(), Some(10));
        assert_eq!(timers.take(9), None);
        let ids: Vec<_> = std::iter::from_fn(|| timers.take(30).map(|due| due.0 .1)).collect();
        assert_eq!(ids, [2, 4, 3, 1]);
        assert_eq!(timers.first(), None);
    }

    #[test]
    fn what_is_cleared_or_moved_does_not_come() {
        let mut timers = Timers::default();
        timers.set((1, 1), 10, 0);
        timers.set((1, 2), 10, 5);
        timers.set((1, 1), 20, 0);
        timers.clear((1, 3));
        assert_eq!(timers.take(15), Some(((1, 2), 10, 5)));
        assert_eq!(timers.take(15), None);
        timers.clear((1, 1));
        assert_eq!(timers.take(100), None);
    }

    #[test]
    fn an_owner_takes_its_own_along() {
        let mut timers = Timers::default();
        for owner in 1..4 {
            for id in 1..10 {
                timers.set((owner, id), 10, 0);
            }
        }
        timers.clear_all(2);
        timers.clear_all(9);
        let mut left = 0;
        while let Some((key, ..)) = timers.take(10) {
            assert_ne!(key.0, 2);
            left += 1;
        }
        assert_eq!((left, timers.by_key.len()), (18, 0));
    }
}
