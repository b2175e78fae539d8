//! Records of coroutines the scheduler knows: those started by `eco.run`, and
//! others while they are parked or queued.
//!
//! Records never move, so a reference stays good while new ones are added; a
//! generation number tells a reused record from the one that was meant.
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_int;
use std::ptr;

use super::memory::{boxed, filled};
use crate::abi::{Cause, Nanoseconds, Parked};
use crate::lua::State;

/// No place in the timer heap.
pub const NO_TIMER: u32 = u32::MAX;

/// Started by `eco.run`: counted, and ours to report when it fails.
pub const OWNED: u32 = 1;
/// In the ready queue.
pub const QUEUED: u32 = 2;
/// Queued by `eco._resume`: it is resumed after a bare yield, too.
pub const EXPLICIT: u32 = 4;
/// Another thread may end its wait, which keeps the loop going.
pub const EXPECTED: u32 = 8;
/// Is to be queued when there is room.
pub const LATE: u32 = 16;
/// The scheduler parked it: the address of its record lay on top of the
/// thread's stack then.
pub const PARKED: u32 = 32;
/// It waits for its turn alone: parked on nothing, no timer, no fd.
pub const GAVE_WAY: u32 = 64;
/// Above the flags: why it is queued, and how many results of its call lie below
/// the mark, for when its turn comes.
const CAUSES: u32 = 8;
const KEPT: u32 = 16;
const BYTE: u32 = 0xff;

/// A coroutine.
pub struct Task {
    /// Null in a free record.
    pub thread: Cell<State>,
    pub generation: Cell<u32>,
    /// Flags and two small numbers: what is usual is known by one comparison.
    pub state: Cell<u32>,
    /// What it is parked on; null for a sleep or a bare yield.
    pub operation: Cell<*const Parked>,
    /// Number of its wait, to tell it from others; 0 when it has none.
    pub wait: Cell<u32>,
    /// Which record this is.
    pub index: u32,
    /// Position in the timer heap.
    pub timer: Cell<u32>,
    /// The fd it waits for, -1 for none; next free record in a free one.
    pub fd: Cell<c_int>,
}

impl Task {
    /// A queued coroutine of `eco.run` that gave way by `eco.yield`, and nobody
    /// has woken.
    pub const ITS_TURN: u32 = OWNED | QUEUED | PARKED | GAVE_WAY;
    /// One that `eco._resume` is to resume after a bare yield.
    pub const RESUMED: u32 = OWNED | QUEUED | EXPLICIT | Cause::WAKE.0 << CAUSES;

    #[inline(always)]
    pub fn has(&self, flag: u32) -> bool {
        self.state.get() & flag != 0
    }

    #[inline(always)]
    pub fn set(&self, flag: u32) {
        self.state.set(self.state.get() | flag);
    }

    #[inline(always)]
    pub fn clear(&self, flag: u32) {
        self.state.set(self.state.get() & !flag);
    }

    /// Adds a reason to run it.
    #[inline(always)]
    pub fn add_cause(&self, cause: Cause) {
        self.set((cause.0 & BYTE) << CAUSES);
    }

    /// Why it is to run, once.
    pub fn take_causes(&self) -> u32 {
        let causes = self.state.get() >> CAUSES & BYTE;
        self.clear(BYTE << CAUSES);
        causes
    }

    pub fn keep(&self, results: c_int) {
        self.set((results as u32 & BYTE) << KEPT);
    }

    /// Results that were kept.
    pub fn kept(&self) -> c_int {
        (self.state.get() >> KEPT & BYTE) as c_int
    }

    /// It is not parked any more.
    pub fn unpark(&self) {
        self.clear(PARKED | GAVE_WAY | BYTE << CAUSES | BYTE << KEPT);
    }
}

/// Records per block.
const BLOCK: usize = 64;
/// Times of waits are kept in units of 2 to this power, in nanoseconds.
const UNIT: u32 = 20;

/// Records that are allocated together.
struct Block {
    tasks: [Task; BLOCK],
    /// When each began to wait. Apart from the records: who gives way does not look here.
    since: [Cell<u32>; BLOCK],
}

/// All records. Blocks are never moved, and freed by `shrink` alone.
pub struct Tasks {
    // A vector of blocks would move them.
    #[allow(clippy::vec_box)]
    blocks: UnsafeCell<Vec<Box<Block>>>,
    free: Cell<c_int>,
    used: Cell<u32>,
}

impl Tasks {
    pub const fn new() -> Tasks {
        Tasks {
            blocks: UnsafeCell::new(Vec::new()),
            free: Cell::new(-1),
            used: Cell::new(0),
        }
    }

    /// The record at `index`, which must have been handed out by `add`.
    pub fn get(&self, index: u32) -> &Task {
        let index = index as usize;
        // SAFETY: the vector is only borrowed inside `get` and `add`, neither
        // of which calls anything else meanwhile; records sit in boxes, which
        // stay put when the vector grows.
        unsafe { &(&*self.blocks.get())[index / BLOCK].tasks[index % BLOCK] }
    }

    /// When it began to wait, in units of 2^20 ns that wrap.
    fn since(&self, index: u32) -> &Cell<u32> {
        let index = index as usize;
        // SAFETY: as in `get`.
        unsafe { &(&*self.blocks.get())[index / BLOCK].since[index % BLOCK] }
    }

    /// A task begins to wait.
    #[inline]
    pub fn begin_wait(&self, index: u32, now: Nanoseconds) {
        self.since(index).set((now >> UNIT) as u32);
    }

    /// How long it has waited, to about a millisecond; of what takes seven weeks, the rest.
    pub fn waited(&self, index: u32, now: Nanoseconds) -> Nanoseconds {
        let units = ((now >> UNIT) as u32).wrapping_sub(self.since(index).get());
        Nanoseconds::from(units) << UNIT
    }

    /// The record at `index`, unless it has been freed.
    pub fn find(&self, index: u32) -> Option<&Task> {
        (index < self.len()).then(|| self.get(index))
    }

    /// The record at an address that a queue or a cache remembers; None for null.
    pub fn at(&self, task: *const Task) -> Option<&Task> {
        // SAFETY: such addresses are those of records of this table, which stay
        // where they are as long as it does.
        unsafe { task.as_ref() }
    }

    /// Index of the record that the next `claim` will take; allocates it.
    /// None when there is no memory for it.
    pub fn next_free(&self) -> Option<u32> {
        if self.free.get() < 0 {
            self.grow()?;
        }
        Some(self.free.get() as u32)
    }

    fn grow(&self) -> Option<()> {
        // SAFETY: as in `get`.
        let blocks = unsafe { &mut *self.blocks.get() };
        blocks.try_reserve(1).ok()?;
        let first = (blocks.len() * BLOCK) as c_int;
        let end = first + BLOCK as c_int;
        let record = |index: usize| {
            let index = first + index as c_int;
            Task {
                thread: Cell::new(ptr::null_mut()),
                operation: Cell::new(ptr::null()),
                generation: Cell::new(0),
                state: Cell::new(0),
                wait: Cell::new(0),
                index: index as u32,
                timer: Cell::new(NO_TIMER),
                fd: Cell::new(if index + 1 == end { -1 } else { index + 1 }),
            }
        };
        blocks.push(boxed(Block {
            tasks: std::array::from_fn(record),
            since: [const { Cell::new(0) }; BLOCK],
        })?);
        self.free.set(first);
        Some(())
    }

    /// Takes the record `index`, which [`Tasks::next_free`] gave, for `thread`.
    pub fn claim(&self, index: u32, thread: State, flags: u32) {
        debug_assert_eq!(self.free.get() as u32, index);
        let task = self.get(index);
        self.free.set(task.fd.get());
        self.used.set(self.used.get() + 1);
        task.thread.set(thread);
        task.fd.set(-1);
        task.state.set(flags);
    }

    /// Gives a record back; its generation moves on.
    pub fn release(&self, index: u32) {
        let task = self.get(index);
        task.thread.set(ptr::null_mut());
        task.operation.set(ptr::null());
        task.wait.set(0);
        task.state.set(0);
        task.generation.set(task.generation.get().wrapping_add(1));
        task.fd.set(self.free.get());
        self.free.set(index as c_int);
        self.used.set(self.used.get() - 1);
    }

    /// Number of records in use.
    pub fn used(&self) -> u32 {
        self.used.get()
    }

    /// True when the next claim needs more memory.
    pub fn is_full(&self) -> bool {
        self.free.get() < 0
    }

    /// True when `shrink` has something to free.
    pub fn has_spare_block(&self) -> bool {
        // SAFETY: as in `get`.
        unsafe { &*self.blocks.get() }
            .last()
            .is_some_and(|block| block.tasks.iter().all(|task| task.thread.get().is_null()))
    }

    /// Frees the blocks behind the last record in use. Nobody may know a
    /// record that is not in use.
    pub fn shrink(&self) {
        while self.has_spare_block() {
            // SAFETY: as in `get`.
            unsafe { &mut *self.blocks.get() }.pop();
        }
        // SAFETY: as in `get`.
        let blocks = unsafe { &mut *self.blocks.get() };
        blocks.shrink_to(blocks.len() * 2);
        // The first ones come first, so that the last stay free.
        let mut next = -1;
        for task in blocks.iter().flat_map(|block| &block.tasks).rev() {
            if task.thread.get().is_null() {
                task.fd.set(next);
                next = task.index as c_int;
            }
        }
        self.free.set(next);
    }

    /// Frees all records. Nobody may know any of them any more.
    pub fn free(&self) {
        // SAFETY: as in `get`.
        unsafe { *self.blocks.get() = Vec::new() };
        self.free.set(-1);
        self.used.set(0);
    }

    /// Number of records, free ones included.
    pub fn len(&self) -> u32 {
        // SAFETY: as in `get`.
        unsafe { ((*self.blocks.get()).len() * BLOCK) as u32 }
    }

    /// Every record in use.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Task)> {
        (0..self.len())
            .map(|index| (index, self.get(index)))
            .filter(|(_, task)| !task.thread.get().is_null())
    }
}

/// Where the records of threads were found, by address: a cache of pairs that
/// grows with use. An answer counts only if the record still names the thread;
/// as records are never freed, any may be asked.
#[derive(Default)]
pub struct Found(Box<[[*const Task; 2]]>);

impl Found {
    const SMALLEST: usize = 32;
    const LARGEST: usize = 1 << 16;

    fn place(&self, thread: State) -> usize {
        // Coroutines made one after the other lie side by side, so do their
        // places: those who run in that order find them in the cache.
        let address = thread as usize;
        ((address >> 8) ^ (address >> 17)) & (self.0.len().wrapping_sub(1))
    }

    /// The record of `thread`, if it was looked for before.
    pub fn get(&self, thread: State) -> Option<&Task> {
        let pair = self.0.get(self.place(thread))?;
        // SAFETY: null, or a record, and those are never freed.
        let tasks = pair.iter().filter_map(|task| unsafe { task.as_ref() });
        tasks.into_iter().find(|task| task.thread.get() == thread)
    }

    /// Remembers a record; `threads` is how many there are to tell apart.
    pub fn put(&mut self, task: &Task, threads: usize) {
        let wanted = threads
            .next_power_of_two()
            .clamp(Self::SMALLEST, Self::LARGEST);
        if self.0.len() < wanted {
            if let Some(pairs) = filled(wanted, [ptr::null(); 2]) {
                self.0 = pairs;
            }
        }
        let place = self.place(task.thread.get());
        // Without memory it remembers less.
        if let Some(pair) = self.0.get_mut(place) {
            pair[1] = pair[0];
            pair[0] = task;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(tasks: &Tasks, thread: State, flags: u32) -> u32 {
        let index = tasks.next_free().unwrap();
        tasks.claim(index, thread, flags);
        index
    }

    #[test]
    fn records_are_reused_with_a_new_generation() {
        let tasks = Tasks::new();
        let thread = ptr::dangling_mut();
        let first = claim(&tasks, thread, OWNED);
        let second = claim(&tasks, thread, 0);
        assert_ne!(first, second);
        let generation = tasks.get(first).generation.get();
        tasks.release(first);
        assert_eq!(tasks.iter().count(), 1);
        assert_eq!(claim(&tasks, thread, 0), first);
        assert_ne!(tasks.get(first).generation.get(), generation);
        for _ in 0..1000 {
            claim(&tasks, thread, 0);
        }
        assert_eq!(tasks.iter().count(), 1002);
    }

    #[test]
    fn blocks_behind_the_last_record_are_freed() {
        let tasks = Tasks::new();
        let claimed: Vec<u32> = (0..1000)
            .map(|_| claim(&tasks, ptr::dangling_mut(), 0))
            .collect();
        for &index in claimed.iter().filter(|&&index| index != 70) {
            tasks.release(index);
        }
        tasks.shrink();
        assert_eq!((tasks.len(), tasks.used()), (128, 1));
        let mut again: Vec<u32> = (0..127)
            .map(|_| claim(&tasks, ptr::dangling_mut(), 0))
            .collect();
        assert!(tasks.is_full());
        assert_eq!(again[0], 0);
        again.push(70);
        again.sort_unstable();
        assert_eq!(again, (0..128).collect::<Vec<_>>());
    }

    #[test]
    fn records_are_found_again() {
        let mut found = Found::default();
        let tasks = Tasks::new();
        let thread = |n: usize| ptr::without_provenance_mut(n * 208);
        assert!(found.get(thread(1)).is_none());
        for n in 1..1000 {
            found.put(tasks.get(claim(&tasks, thread(n), 0)), 1000);
        }
        let hits = (1..1000)
            .filter(|&n| found.get(thread(n)).is_some())
            .count();
        assert!(hits > 800, "{hits} of 1000");
        tasks.release(tasks.iter().next().map_or(0, |(index, _)| index));
        assert!(found.get(thread(1)).is_none(), "a free record is nobody's");
    }

    #[test]
    fn waits_are_timed_across_the_wrap() {
        let tasks = Tasks::new();
        let index = claim(&tasks, ptr::dangling_mut(), 0);
        for now in [0, 1 << 40, (1 << 52) - 1] {
            tasks.begin_wait(index, now);
            let waited = tasks.waited(index, now + 3_000_000_000);
            assert!((waited - 3_000_000_000).abs() < 2_100_000, "{waited}");
        }
    }

    #[test]
    fn a_record_is_small() {
        assert!(size_of::<Task>() <= 40);
    }
}
