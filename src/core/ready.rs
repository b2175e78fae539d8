//! The ready queue: a ring that grows.
//!
//! Every switch between coroutines passes through here twice, so it is no more
//! than two counters and a mask.
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};

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

    /// Adds a value at the end.
    #[inline(always)]
    pub fn push(&self, value: T) {
        // SAFETY: the ring is only borrowed inside these methods, none of which
        // calls anything else meanwhile.
        if self.len() as usize >= unsafe { &*self.ring.get() }.len() {
            self.grow();
        }
        // SAFETY: as above.
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
    fn grow(&self) {
        let count = self.len();
        let mut values = vec![self.nothing; Self::SMALLEST.max(count as usize * 2)];
        for place in &mut values {
            match self.pop() {
                Some(value) => *place = value,
                None => break,
            }
        }
        // SAFETY: as in `push`.
        unsafe { *self.ring.get() = values.into() };
        self.head.set(0);
        self.tail.set(count);
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
                ready.push(next);
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
}
