//! Maps of numbers, and a list whose places are told apart after reuse.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map of ids, sequence numbers, or what consists of them.
pub type NumberMap<K, T> = HashMap<K, T, BuildHasherDefault<IdHasher>>;

/// A map of ids or sequence numbers.
pub type IdMap<T> = NumberMap<u32, T>;

/// Spreads numbers that are random or in a row already.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u32(&mut self, number: u32) {
        // 2^64 over the golden ratio: neighbours end up far apart, in the high bits as well.
        self.0 = u64::from(number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32);
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32((self.0 as u32).rotate_left(8) ^ u32::from(byte));
        }
    }
}

/// What a connection offers or waits for on the bus: an object, a listener or a subscription. It stays the same when the connection
/// is lost and made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    index: u32,
    serial: u32,
}

impl Handle {
    /// A number that no other handle of the connection has, for tables of the owner.
    pub fn number(self) -> u64 {
        u64::from(self.serial) << 32 | u64::from(self.index)
    }

    /// Where its value is kept: see [`Slab::at_or_behind`].
    pub(super) fn place(self) -> usize {
        self.index as usize
    }
}

/// Values with handles.
#[derive(Debug)]
pub struct Slab<T> {
    slots: Vec<Option<(u32, T)>>,
    free: Vec<u32>,
    serial: u32,
}

impl<T> Default for Slab<T> {
    fn default() -> Slab<T> {
        Slab {
            slots: Vec::new(),
            free: Vec::new(),
            serial: 0,
        }
    }
}

impl<T> Slab<T> {
    pub fn insert(&mut self, value: T) -> Handle {
        self.serial = self.serial.wrapping_add(1);
        let slot = Some((self.serial, value));
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push(None);
                self.slots.len() as u32 - 1
            }
        };
        if let Some(place) = self.slots.get_mut(index as usize) {
            *place = slot;
        }
        Handle {
            index,
            serial: self.serial,
        }
    }

    pub fn get(&self, handle: Handle) -> Option<&T> {
        match self.slots.get(handle.index as usize) {
            Some(Some((serial, value))) if *serial == handle.serial => Some(value),
            _ => None,
        }
    }

    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        match self.slots.get_mut(handle.index as usize) {
            Some(Some((serial, value))) if *serial == handle.serial => Some(value),
            _ => None,
        }
    }

    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        self.get(handle)?;
        let slot = self.slots.get_mut(handle.index as usize)?.take();
        self.free.push(handle.index);
        slot.map(|(_, value)| value)
    }

    /// The first handle at or behind a place, for a walk that survives changes: the next place is one further.
    pub fn at_or_behind(&self, place: usize) -> Option<(usize, Handle)> {
        let slots = self.slots.iter().enumerate().skip(place);
        let (index, serial) = slots
            .filter_map(|(index, slot)| Some((index, slot.as_ref()?.0)))
            .next()?;
        let handle = Handle {
            index: index as u32,
            serial,
        };
        Some((index, handle))
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().flatten().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_does_not_outlive_its_value() {
        let mut slab = Slab::default();
        let first = slab.insert("a");
        assert_eq!(slab.remove(first), Some("a"));
        assert_eq!(slab.remove(first), None);
        let second = slab.insert("b");
        assert_eq!((slab.get(first), slab.get(second)), (None, Some(&"b")));
        assert_eq!(
            slab.at_or_behind(0)
                .map(|(index, handle)| (index, handle == second)),
            Some((0, true))
        );
        assert!(slab.at_or_behind(1).is_none());
    }

    #[test]
    fn numbers_in_a_row_spread() {
        let hash = |number: u32| {
            let mut hasher = IdHasher::default();
            hasher.write_u32(number);
            hasher.finish()
        };
        let mut low: Vec<u64> = (0..256).map(|number| hash(number) & 0xff).collect();
        let mut high: Vec<u64> = (0..128).map(|number| hash(number) >> 57).collect();
        for places in [&mut low, &mut high] {
            places.sort_unstable();
            places.dedup();
            assert!(places.len() > 60, "{}", places.len());
        }
    }
}
