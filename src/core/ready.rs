//! The ready queue: a ring that grows.
//!
//! Every switch between coroutines passes through here twice, so it is no more
//! than two counters and a mask.
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};

use super::memory::filled;

/// A first-in, first-out queue of small values. What was taken from it is still
/// known until [`Ready::forget`].
pub struct Ready<T: Copy> {
    /// Its length is a power of two. Values between `head` and `tail` are in
    /// the queue, those from `first` to `head` were taken from it; all three only
    /// count up and wrap.
    ring: UnsafeCell<Box<[T]>>,
    size: Cell<u32>,
    mask: Cell<u32>,
    first: Cell<u32>,
    head: Cell<u32>,
    tail: Cell<u32>,
    /// What whoever goes through the queue knows of it is not true any more.
    shifted: Cell<bool>,
    nothing: T,
}

impl<T: Copy> Ready<T> {
    const SMALLEST: u32 = 64;
    const LARGEST: u32 = 1 << 31;

    /// An empty queue; `nothing` fills the places that hold no value.
    pub fn new(nothing: T) -> Ready<T> {
        Ready {
            ring: UnsafeCell::new(vec![nothing; Self::SMALLEST as usize].into()),
            size: Cell::new(Self::SMALLEST),
            mask: Cell::new(Self::SMALLEST - 1),
            first: Cell::new(0),
            head: Cell::new(0),
            tail: Cell::new(0),
            shifted: Cell::new(false),
            nothing,
        }
    }

    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.head.get() == self.tail.get()
    }

    /// How many values there are, which may be taken until it is
    /// [`shifted`](Ready::shifted).
    #[inline(always)]
    pub fn begin(&self) -> u32 {
        self.shifted.set(false);
        self.tail.get().wrapping_sub(self.head.get())
    }

    #[inline(always)]
    pub fn shifted(&self) -> bool {
        self.shifted.get()
    }

    /// Makes whoever goes through it look anew.
    pub fn shift(&self) {
        self.shifted.set(true);
    }

    /// True once for every `count` values taken, a power of two.
    #[inline(always)]
    pub fn is_at(&self, count: u32) -> bool {
        self.head.get() & (count - 1) == 0
    }

    /// Adds a value at the end; false when there is no room for it.
    #[inline(always)]
    pub fn push(&self, value: T) -> bool {
        if self.tail.get().wrapping_sub(self.first.get()) >= self.size.get() {
            return false;
        }
        self.put(value);
        true
    }

    /// Adds a value for which there is room.
    #[inline(always)]
    fn put(&self, value: T) {
        let tail = self.tail.get();
        // SAFETY: the ring is only borrowed inside these methods, none of which
        // calls anything else meanwhile; the mask is its length less one.
        unsafe { *self.place(tail) = value };
        self.tail.set(tail.wrapping_add(1));
    }

    /// The place in the ring of a position.
    #[inline(always)]
    unsafe fn place(&self, position: u32) -> *mut T {
        // SAFETY: the mask is the length less one, and there are places
        // when anything has a position (see `free`).
        unsafe {
            (*self.ring.get())
                .as_mut_ptr()
                .add((position & self.mask.get()) as usize)
        }
    }

    /// Takes the first value of a queue that is not empty.
    ///
    /// # Safety
    ///
    /// It is not empty.
    #[inline(always)]
    pub unsafe fn take(&self) -> T {
        let head = self.head.get();
        self.head.set(head.wrapping_add(1));
        // SAFETY: as in `put`.
        unsafe { *self.place(head) }
    }

    /// Number of values that were taken and are still known.
    #[inline(always)]
    pub fn taken(&self) -> u32 {
        self.head.get().wrapping_sub(self.first.get())
    }

    /// Fills `known` with what was taken last and returns how many those are.
    pub fn known<const N: usize>(&self, known: &mut [T; N]) -> usize {
        let count = (self.taken() as usize).min(N);
        for (known, back) in known.iter_mut().zip((1..=count as u32).rev()) {
            // SAFETY: as in `put`; what was taken keeps its place meanwhile.
            *known = unsafe { *self.place(self.head.get().wrapping_sub(back)) };
        }
        count
    }

    /// Forgets what was taken.
    pub fn forget(&self) {
        self.first.set(self.head.get());
    }

    /// Forgets the value taken last.
    pub fn forget_last(&self) {
        if self.taken() > 0 {
            // SAFETY: as in `put`; nothing is in the queue at that place.
            unsafe { *self.place(self.head.get().wrapping_sub(1)) = self.nothing };
        }
    }

    pub fn clear(&self) {
        self.head.set(self.tail.get());
        self.first.set(self.tail.get());
        self.shift();
    }

    /// Gives its memory back; what is pushed later asks for new.
    pub fn free(&self) {
        self.clear();
        // SAFETY: as in `put`.
        unsafe { *self.ring.get() = Box::default() };
        self.size.set(0);
    }

    /// Makes room for one more: values that are not to `keep` may go. False when
    /// there is no memory for it.
    #[cold]
    #[inline(never)]
    pub fn make_room(&self, keep: &dyn Fn(&T) -> bool) -> bool {
        self.shift();
        // All that stays moves up to the tail.
        let mut to = self.tail.get();
        let mut move_up = |from: u32, end: u32, keep: &dyn Fn(&T) -> bool| {
            for back in 1..=end.wrapping_sub(from) {
                // SAFETY: as in `put`; `to` does not overtake what is still to move.
                unsafe {
                    let value = *self.place(end.wrapping_sub(back));
                    if keep(&value) {
                        to = to.wrapping_sub(1);
                        *self.place(to) = value;
                    }
                }
            }
            to
        };
        let (first, head) = (self.first.get(), self.head.get());
        self.head.set(move_up(head, self.tail.get(), keep));
        self.first.set(move_up(first, head, &|_| true));

        let (used, size) = (
            self.tail.get().wrapping_sub(self.first.get()),
            self.size.get(),
        );
        if (used > size / 2 || size == 0) && size <= Self::LARGEST / 2 {
            let wanted = Self::SMALLEST.max(size * 2);
            if let Some(mut values) = filled(wanted as usize, self.nothing) {
                for (value, index) in values.iter_mut().zip(0..used) {
                    // SAFETY: as in `put`.
                    *value = unsafe { *self.place(self.first.get().wrapping_add(index)) };
                }
                let taken = self.taken();
                // SAFETY: as in `put`.
                unsafe { *self.ring.get() = values };
                self.size.set(wanted);
                self.mask.set(wanted - 1);
                self.first.set(0);
                self.head.set(taken);
                self.tail.set(used);
                return true;
            }
        }
        used < size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl<T: Copy> Ready<T> {
        fn add(&self, value: T, keep: &dyn Fn(&T) -> bool) -> bool {
            self.push(value) || self.make_room(keep) && self.push(value)
        }

        fn len(&self) -> u32 {
            self.tail.get().wrapping_sub(self.head.get())
        }

        fn pop(&self) -> Option<T> {
            // SAFETY: it is not empty.
            (!self.is_empty()).then(|| unsafe { self.take() })
        }
    }

    #[test]
    fn first_in_first_out_while_it_grows_and_wraps() {
        let ready = Ready::new(0);
        for position in [&ready.first, &ready.head, &ready.tail] {
            position.set(u32::MAX - 10);
        }
        let (mut next, mut expected) = (0, 0);
        for round in 0..2000 {
            for _ in 0..round % 7 {
                assert!(ready.add(next, &|_| true));
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
            assert!(ready.add(value, &|value| value % 100 == 0));
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
        assert!(ready.add(1, &|_| true));
        assert_eq!(ready.pop(), Some(1));
    }

    #[test]
    fn what_was_taken_is_known_until_it_is_forgotten() {
        let ready = Ready::new(0);
        for position in [&ready.first, &ready.head, &ready.tail] {
            position.set(u32::MAX - 100);
        }
        let (mut next, mut expected, mut size) = (1, 1, 0);
        for round in 0..3000 {
            for _ in 0..20 + round % 3 {
                let (length, head) = (ready.begin(), ready.head.get());
                assert!(ready.add(next, &|value| value % 5 != 0));
                assert!(ready.shifted() || (head, length + 1) == (ready.head.get(), ready.len()));
                next += 1;
            }
            let mut taken = Vec::new();
            for step in 0..21 {
                let Some(value) = ready.pop() else { break };
                assert!(value >= expected);
                expected = value + 1;
                taken.push(value);
                if step == 7 {
                    ready.forget_last();
                    taken[7] = 0;
                }
                if step % 4 == 0 {
                    assert!(ready.add(next, &|value| value % 5 != 0));
                    next += 1;
                }
            }
            let mut known = [-1; 16];
            assert_eq!(ready.known(&mut known), 16);
            assert_eq!(known[..], taken[taken.len() - 16..]);
            ready.forget();
            assert_eq!((ready.known(&mut known), ready.taken()), (0, 0));
            // SAFETY: nobody else borrows it.
            size = size.max(unsafe { &*ready.ring.get() }.len());
        }
        assert!(size <= 16384, "{size}");
    }
}
