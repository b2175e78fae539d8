//! The ready queue: a ring that grows.
//!
//! Every switch between coroutines passes through here twice, so it is no more
//! than two counters and a mask.
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};

use super::memory::filled;

/// A first-in, first-out queue of small values.
pub struct Ready<T: Copy> {
    /// Its length is a power of two. Values between `head` and `tail` are in
    /// the queue; both only count up and wrap.
    ring: UnsafeCell<Box<[T]>>,
    nothing: T,
    head: Cell<u32>,
    tail: Cell<u32>,
}

impl<T: Copy> Ready<T> {
    const SMALLEST: usize = 64;

    /// An empty queue; `nothing` fills the places that hold no value.
    pub fn new(nothing: T) -> Ready<T> {
        Ready {
            ring: UnsafeCell::new(vec![nothing; Self::SMALLEST].into()),
            nothing,
            head: Cell::new(0),
            tail: Cell::new(0),
        }
    }

    pub fn len(&self) -> u32 {
        self.tail.get().wrapping_sub(self.head.get())
    }

    pub fn is_empty(&self) -> bool {
        self.head.get() == self.tail.get()
    }

    /// Adds a value at the end; false when there is no memory for it. Values
    /// that are not to `keep` may go when it is full.
    #[inline(always)]
    pub fn push(&self, value: T, keep: &dyn Fn(&T) -> bool) -> bool {
        // SAFETY: the ring is only borrowed inside these methods, none of which
        // calls anything else meanwhile.
        if self.len() as usize >= unsafe { &*self.ring.get() }.len() && !self.make_room(keep) {
            return false;
        }
        self.put(value);
        true
    }

    /// Adds a value for which there is room.
    #[inline(always)]
    fn put(&self, value: T) {
        // SAFETY: as in `push`.
        let ring = unsafe { &mut *self.ring.get() };
        let at = self.tail.get() as usize & (ring.len() - 1);
        // SAFETY: the mask is the length less one.
        unsafe { *ring.get_unchecked_mut(at) = value };
        self.tail.set(self.tail.get().wrapping_add(1));
    }

    /// Takes the first value.
    #[inline(always)]
    pub fn pop(&self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: as in `push`.
        let ring = unsafe { &*self.ring.get() };
        let at = self.head.get() as usize & (ring.len() - 1);
        self.head.set(self.head.get().wrapping_add(1));
        // SAFETY: the mask is the length less one.
        Some(unsafe { *ring.get_unchecked(at) })
    }

    pub fn clear(&self) {
        self.head.set(self.tail.get());
    }

    /// Gives its memory back; what is pushed later asks for new.
    pub fn free(&self) {
        self.clear();
        // SAFETY: as in `push`.
        unsafe { *self.ring.get() = Box::default() };
    }

    // It does not take the value: that would go through memory, and be read back
    // in one piece before its pieces have arrived there.
    #[inline(never)]
    fn make_room(&self, keep: &dyn Fn(&T) -> bool) -> bool {
        for _ in 0..self.len() {
            if let Some(value) = self.pop() {
                if keep(&value) {
                    self.put(value);
                }
            }
        }
        let count = self.len() as usize;
        // SAFETY: as in `push`.
        let size = unsafe { &*self.ring.get() }.len();
        if count > size / 2 || size == 0 {
            if let Some(mut values) = filled(Self::SMALLEST.max(size * 2), self.nothing) {
                for place in &mut values[..count] {
                    if let Some(value) = self.pop() {
                        *place = value;
                    }
                }
                // SAFETY: as above.
                unsafe { *self.ring.get() = values };
                self.head.set(0);
                self.tail.set(count as u32);
                return true;
            }
        }
        count < size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out_while_it_grows_and_wraps() {
        let ready = Ready::new(0);
        ready.head.set(u32::MAX - 10);
        ready.tail.set(u32::MAX - 10);
        let (mut next, mut expected) = (0, 0);
        for round in 0..2000 {
            for _ in 0..round % 7 {
                assert!(ready.push(next, &|_| true));
                next += 1;
            }
            for _ in 0..round % 5 {
                if let Some(value) = ready.pop() {
                    assert_eq!(value, expected);
                    expected += 1;
                }
            }
            assert_eq!(ready.len(), next - expected);
        }
        ready.clear();
        assert!(ready.is_empty());
        assert_eq!(ready.pop(), None);
    }
    #[test]
    fn void_values_go_before_it_grows() {
        let ready = Ready::new(0);
        for value in 0..10_000 {
            assert!(ready.push(value, &|value| value % 100 == 0));
        }
        // SAFETY: nobody else borrows it.
        assert!(unsafe { &*ready.ring.get() }.len() <= 512);
        let mut kept = Vec::new();
        while let Some(value) = ready.pop() {
            if value % 100 == 0 {
                kept.push(value);
            }
        }
        assert_eq!(kept, (0..100).map(|n| n * 100).collect::<Vec<_>>());
        ready.free();
        assert!(ready.push(1, &|_| true));
        assert_eq!(ready.pop(), Some(1));
    }
}
