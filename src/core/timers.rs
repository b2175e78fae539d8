//! A heap of deadlines: insert, move and cancel in O(log n), equal deadlines
//! in the order they were set.
//!
//! The heap tells each owner its position through [`Positions`], so that a
//! cancelled entry is removed at once and nothing stale piles up.

use crate::abi::Nanoseconds;

/// Who remembers where an owner's entry is.
pub trait Positions {
    /// `owner`'s entry is now at `position` (`u32::MAX`: not in the heap).
    fn moved(&self, owner: u32, position: u32);
}

#[derive(Clone, Copy)]
struct Entry {
    deadline: Nanoseconds,
    /// Order of insertion; wraps, compared by distance.
    order: u32,
    owner: u32,
}

impl Entry {
    fn before(&self, other: &Entry) -> bool {
        if self.deadline == other.deadline {
            (self.order.wrapping_sub(other.order) as i32) < 0
        } else {
            self.deadline < other.deadline
        }
    }
}

/// Room that is kept though it is not used.
const LEAST: usize = 1024;

/// Children per node: four sit in one cache line.
const ARITY: usize = 4;

/// A 4-ary heap of entries, soonest first.
#[derive(Default)]
pub struct Timers {
    entries: Vec<Entry>,
    order: u32,
}

impl Timers {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The soonest owner.
    pub fn next_owner(&self) -> Option<u32> {
        self.entries.first().map(|entry| entry.owner)
    }

    /// The soonest deadline.
    pub fn next_deadline(&self) -> Option<Nanoseconds> {
        self.entries.first().map(|entry| entry.deadline)
    }

    /// The deadline of the entry at `position`, if there is one.
    pub fn deadline(&self, position: u32) -> Option<Nanoseconds> {
        let entry = self.entries.get(position as usize);
        entry.map(|entry| entry.deadline)
    }

    /// Adds an entry for an owner that has none; false when there is no memory
    /// for it.
    #[must_use]
    pub fn insert(
        &mut self,
        owner: u32,
        deadline: Nanoseconds,
        positions: &impl Positions,
    ) -> bool {
        let order = self.order;
        self.order = order.wrapping_add(1);
        if self.entries.len() == self.entries.capacity() {
            // Grow by an eighth: this vector is the largest thing a sleeping
            // coroutine costs outside the Lua heap.
            let more = 64.max(self.entries.len() / 8);
            if self.entries.try_reserve_exact(more).is_err() {
                return false;
            }
        }
        self.entries.push(Entry {
            deadline,
            order,
            owner,
        });
        self.rise(self.entries.len() - 1, positions);
        true
    }

    /// Removes the entry at `position`.
    pub fn remove(&mut self, position: u32, positions: &impl Positions) {
        let position = position as usize;
        if position >= self.entries.len() {
            return;
        }
        let removed = self.entries.swap_remove(position);
        positions.moved(removed.owner, u32::MAX);
        if position < self.entries.len() {
            self.sink(position, positions);
            self.rise(position, positions);
        }
        let capacity = self.entries.capacity();
        if capacity > LEAST && self.entries.len() < capacity / 8 {
            self.entries.shrink_to((self.entries.len() * 2).max(LEAST));
        }
    }

    /// Takes the soonest owner whose deadline is not after `now`.
    pub fn take_expired(&mut self, now: Nanoseconds, positions: &impl Positions) -> Option<u32> {
        let first = *self.entries.first()?;
        if first.deadline > now {
            return None;
        }
        self.remove(0, positions);
        Some(first.owner)
    }

    /// Drops everything without telling the owners.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    fn rise(&mut self, mut at: usize, positions: &impl Positions) {
        let entry = self.entries[at];
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if !entry.before(&self.entries[parent]) {
                break;
            }
            self.place(at, self.entries[parent], positions);
            at = parent;
        }
        self.place(at, entry, positions);
    }

    fn sink(&mut self, mut at: usize, positions: &impl Positions) {
        let entry = self.entries[at];
        loop {
            let first = at * ARITY + 1;
            let end = (first + ARITY).min(self.entries.len());
            let Some(least) = (first..end).reduce(|a, b| {
                if self.entries[b].before(&self.entries[a]) {
                    b
                } else {
                    a
                }
            }) else {
                break;
            };
            if !self.entries[least].before(&entry) {
                break;
            }
            self.place(at, self.entries[least], positions);
            at = least;
        }
        self.place(at, entry, positions);
    }

    fn place(&mut self, at: usize, entry: Entry, positions: &impl Positions) {
        self.entries[at] = entry;
        positions.moved(entry.owner, at as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[derive(Default)]
    struct Map(RefCell<Vec<u32>>);

    impl Positions for Map {
        fn moved(&self, owner: u32, position: u32) {
            let mut map = self.0.borrow_mut();
            if map.len() <= owner as usize {
                map.resize(owner as usize + 1, u32::MAX);
            }
            map[owner as usize] = position;
        }
    }

    fn drain(timers: &mut Timers, map: &Map) -> Vec<u32> {
        std::iter::from_fn(|| timers.take_expired(i64::MAX, map)).collect()
    }

    #[test]
    fn soonest_first_and_equal_in_order() {
        let (mut timers, map) = (Timers::default(), Map::default());
        for (owner, deadline) in [(0, 5), (1, 3), (2, 5), (3, 1), (4, 5)] {
            assert!(timers.insert(owner, deadline, &map));
        }
        assert_eq!(timers.next_deadline(), Some(1));
        assert_eq!(timers.deadline(map.0.borrow()[4]), Some(5));
        assert_eq!(timers.deadline(u32::MAX), None);
        assert_eq!(drain(&mut timers, &map), [3, 1, 0, 2, 4]);
        assert!(timers.is_empty());
    }

    #[test]
    fn only_expired_ones_are_taken() {
        let (mut timers, map) = (Timers::default(), Map::default());
        assert!(timers.insert(0, 10, &map));
        assert_eq!(timers.take_expired(9, &map), None);
        assert_eq!(timers.take_expired(10, &map), Some(0));
    }

    #[test]
    fn random_inserts_and_removals_keep_order() {
        let (mut timers, map) = (Timers::default(), Map::default());
        let mut random = 12345_u32;
        let mut next = || {
            random = random.wrapping_mul(1_103_515_245).wrapping_add(12345);
            random >> 8
        };
        let mut alive = Vec::new();
        for owner in 0..2000 {
            let deadline = i64::from(next() % 500);
            assert!(timers.insert(owner, deadline, &map));
            alive.push((deadline, owner));
            if next() % 3 == 0 {
                let victim = alive.swap_remove(next() as usize % alive.len());
                let position = map.0.borrow()[victim.1 as usize];
                timers.remove(position, &map);
                assert_eq!(map.0.borrow()[victim.1 as usize], u32::MAX);
            }
        }
        alive.sort_unstable();
        let expected: Vec<u32> = alive.iter().map(|(_, owner)| *owner).collect();
        assert_eq!(drain(&mut timers, &map), expected);
    }

    #[test]
    fn order_survives_wrapping() {
        let (mut timers, map) = (Timers::default(), Map::default());
        timers.order = u32::MAX - 1;
        for owner in 0..4 {
            assert!(timers.insert(owner, 7, &map));
        }
        assert_eq!(drain(&mut timers, &map), [0, 1, 2, 3]);
    }
}
