//! First-in, first-out queues of coroutines that wait for one another: no file
//! descriptor, no system call, no allocation once a queue is warm.
//!
//! Invariants:
//!
//! - A waiter sits in exactly one list of its queue: waiting, chosen or spent.
//! - Who was chosen takes its turn when it is polled, a timeout that passed
//!   meanwhile notwithstanding; when its coroutine is gone, the owner passes
//!   the turn on. No turn is lost.
//! - The scheduler still touches a waiter right after its poll, so a spent one
//!   is freed when the next one is spent, or by a later call; an abandoned one
//!   when nobody looks at the lists any more.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr;

use crate::abi::{Cause, Core, Host, Interest, Nanoseconds, Parked, Step, CLOSING};
use crate::core::memory::boxed;
use crate::core::runtime::Home;
use crate::lua::{duration, ffi, Lua, Outcome, Returns};

/// What owns a queue: userdata that waiting calls keep in their first slot.
pub trait Owner: 'static {
    /// Polls a waiter. Ending the wait is `waiter.retire()`, the last thing
    /// before returning: nothing that may raise or run Lua code comes after it.
    fn poll(&self, waiter: &Waiter, lua: Lua, cause: Cause) -> Step;
    /// A waiter chosen by [`Queue::choose`] will not take its turn.
    fn pass_on(&self, waiter: &Waiter);
}

/// Where a waiter stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Waiting,
    /// Chosen alone: its turn belongs to somebody.
    Chosen,
    /// Let go together with all others.
    Released,
    Spent,
}

/// One coroutine in a queue.
#[repr(C)]
pub struct Waiter {
    parked: Parked,
    owner: *const dyn Owner,
    queue: *const Queue,
    before: Cell<*const Waiter>,
    after: Cell<*const Waiter>,
    /// The waiting coroutine.
    thread: Cell<Lua>,
    timeout: Cell<Nanoseconds>,
    turn: Cell<Turn>,
    /// Registry anchor of what the chooser sent along.
    value: Cell<c_int>,
}

crate::operation!(Waiter);

/// A ring of waiters, oldest first.
struct List(Cell<*const Waiter>);

impl List {
    const fn new() -> List {
        List(Cell::new(ptr::null()))
    }

    fn first(&self) -> Option<&Waiter> {
        // SAFETY: lists hold live waiters only: each is unlinked before it is
        // freed.
        unsafe { self.0.get().as_ref() }
    }

    /// Adds at the end.
    fn add(&self, waiter: &Waiter) {
        match self.first() {
            None => {
                waiter.before.set(waiter);
                waiter.after.set(waiter);
                self.0.set(waiter);
            }
            Some(first) => {
                let last = first.before.replace(waiter);
                waiter.before.set(last);
                waiter.after.set(first);
                // SAFETY: as in `first`.
                unsafe { (*last).after.set(waiter) };
            }
        }
    }

    fn add_first(&self, waiter: &Waiter) {
        self.add(waiter);
        self.0.set(waiter);
    }

    fn remove(&self, waiter: &Waiter) {
        let (before, after) = (waiter.before.get(), waiter.after.get());
        if ptr::eq(after, waiter) {
            self.0.set(ptr::null());
            return;
        }
        // SAFETY: as in `first`.
        unsafe {
            (*before).after.set(after);
            (*after).before.set(before);
        }
        if ptr::eq(self.0.get(), waiter) {
            self.0.set(after);
        }
    }
}

/// A queue, embedded in the userdata that owns it.
pub struct Queue {
    home: Home,
    waiting: List,
    chosen: List,
    spent: List,
    /// Who looks at the lists, or at a waiter that is no longer needed.
    users: Cell<u32>,
}

impl Queue {
    pub fn new(core: Core) -> Queue {
        Queue {
            home: Home::of(core),
            waiting: List::new(),
            chosen: List::new(),
            spent: List::new(),
            users: Cell::new(0),
        }
    }

    /// Makes the running coroutine wait its turn, as the last act of a call
    /// whose timeout is argument `index`: nil is for ever, zero and less fail
    /// at once. May raise.
    pub fn wait(&self, lua: Lua, owner: &(dyn Owner + 'static), index: c_int) -> Outcome {
        let mut timeout = 0;
        if !lua.is_none_or_nil(index) {
            let Some(seconds) = lua.to_number(index) else {
                return Err(
                    "attempt to perform arithmetic on a timeout that is not a number".into(),
                );
            };
            timeout = duration(seconds);
            if timeout == 0 {
                return self.refuse(lua, "timeout");
            }
        }
        if self.home.is_closed() {
            // Nobody would free the waiter.
            return Err(CLOSING.into());
        }
        let waiter = self.spare(lua, owner);
        // Parking may raise, or run a finaliser that waits here as well: until
        // it has succeeded the waiter is listed where nobody picks it up.
        self.spent.remove(waiter);
        self.chosen.add(waiter);
        let outcome = self.home.park(lua, waiter, -1, Interest::NONE, timeout);
        self.chosen.remove(waiter);
        if let Ok(Returns::YIELD) = outcome {
            waiter.thread.set(lua);
            waiter.timeout.set(timeout);
            waiter.turn.set(Turn::Waiting);
            self.waiting.add(waiter);
        } else {
            self.spent.add(waiter);
        }
        outcome
    }

    /// Ends a call that need not wait, fair to others. May raise.
    pub fn settle(&self, lua: Lua, count: c_int) -> Outcome {
        Ok(self.home.settle(lua, count))
    }

    /// The same with `nil, message`.
    pub fn refuse(&self, lua: Lua, message: &str) -> Outcome {
        lua.push_nil();
        lua.push_str(message);
        self.settle(lua, 2)
    }

    /// The first waiter whose coroutine is still there; wakes it and makes the
    /// turn its own.
    pub fn choose(&self) -> Option<&Waiter> {
        let waiter = self.first_alive()?;
        self.select(waiter, Turn::Chosen);
        Some(waiter)
    }

    /// Chooses the coroutine that is just parking itself.
    pub fn choose_newest(&self) {
        if let Some(oldest) = self.waiting.first() {
            // SAFETY: a ring of live waiters.
            self.select(unsafe { &*oldest.before.get() }, Turn::Chosen);
        }
    }

    /// Lets every waiter go; gives their number.
    pub fn release_all(&self) -> u32 {
        let mut count = 0;
        while let Some(waiter) = self.first_alive() {
            self.select(waiter, Turn::Released);
            count += 1;
        }
        count
    }

    /// True when somebody waits.
    pub fn has_waiters(&self) -> bool {
        self.first_alive().is_some()
    }

    /// Number of waiters, those already chosen not counted.
    pub fn count(&self) -> u32 {
        // Drops those whose coroutines are gone by going once around.
        let mut count = 0;
        let first = self.first_alive().map_or(ptr::null(), ptr::from_ref);
        while let Some(waiter) = self.first_alive() {
            if count > 0 && ptr::eq(first, waiter) {
                break;
            }
            count += 1;
            self.waiting.0.set(waiter.after.get());
        }
        count
    }

    fn first_alive(&self) -> Option<&Waiter> {
        self.enter();
        let found = self.find_alive();
        self.leave();
        found
    }

    fn enter(&self) {
        self.users.set(self.users.get() + 1);
    }

    fn leave(&self) {
        self.users.set(self.users.get() - 1);
        self.trim();
    }

    /// Frees spent waiters, unless somebody may look at them.
    fn trim(&self) {
        if self.users.get() > 0 {
            return;
        }
        while let Some(waiter) = self.spent.first() {
            if waiter.value.get() != ffi::LUA_NOREF {
                // What it was sent is dropped when there is a state at hand.
                break;
            }
            self.free(waiter, &self.spent);
        }
    }

    fn find_alive(&self) -> Option<&Waiter> {
        while let Some(waiter) = self.waiting.first() {
            if self.home.is_parked(&waiter.parked) {
                return Some(waiter);
            }
            // Asking has abandoned the wait, unless it had ended silently.
            if waiter.turn.get() == Turn::Waiting {
                waiter.retire();
            }
        }
        None
    }

    fn select(&self, waiter: &Waiter, turn: Turn) {
        self.waiting.remove(waiter);
        self.chosen.add(waiter);
        waiter.turn.set(turn);
        self.home.wake(&waiter.parked, Cause::WAKE);
    }

    /// A waiter for the running coroutine, still listed as spent.
    fn spare(&self, lua: Lua, owner: &(dyn Owner + 'static)) -> &Waiter {
        while let Some(waiter) = self.spent.first() {
            waiter.drop_value(lua);
            if ptr::eq(waiter.after.get(), waiter) {
                return waiter;
            }
            self.free(waiter, &self.spent);
        }
        let waiter = boxed(Waiter {
            parked: Parked::new::<Waiter>(),
            owner: ptr::from_ref(owner),
            queue: self,
            before: Cell::new(ptr::null()),
            after: Cell::new(ptr::null()),
            thread: Cell::new(lua),
            timeout: Cell::new(0),
            turn: Cell::new(Turn::Spent),
            value: Cell::new(ffi::LUA_NOREF),
        });
        let Some(waiter) = waiter else {
            lua.raise(lua.out_of_memory());
        };
        let waiter: &Waiter = Box::leak(waiter);
        self.spent.add(waiter);
        waiter
    }

    fn free(&self, waiter: &Waiter, list: &List) {
        list.remove(waiter);
        // SAFETY: made by `Box::leak` above, in no list any more, and the
        // scheduler has forgotten it.
        drop(unsafe { Box::from_raw(ptr::from_ref(waiter).cast_mut()) });
    }

    /// Withdraws everybody: the owner is being collected.
    pub fn clear(&self, lua: Lua) {
        for list in [&self.waiting, &self.chosen, &self.spent] {
            while let Some(waiter) = list.first() {
                self.home.forget(&waiter.parked);
                waiter.drop_value(lua);
                self.free(waiter, list);
            }
        }
    }
}

impl Waiter {
    /// True when it may take its turn.
    pub fn is_chosen(&self) -> bool {
        self.turn.get() != Turn::Waiting
    }

    /// True when this is a waiter of `queue`.
    pub fn is_of(&self, queue: &Queue) -> bool {
        ptr::eq(self.queue, queue)
    }

    /// Ends a poll with `nil, "timeout"`, or goes on waiting.
    pub fn give_up(&self, lua: Lua, cause: Cause) -> Step {
        if !cause.has(Cause::TIMEOUT) {
            return Step::Pending;
        }
        self.fail(lua, "timeout")
    }

    /// Ends a poll with `nil, message`.
    pub fn fail(&self, lua: Lua, message: &str) -> Step {
        lua.push_nil();
        lua.push_str(message);
        self.retire();
        Step::Done(2)
    }

    /// Ends a poll with the one value it has pushed.
    pub fn finish(&self) -> Step {
        self.retire();
        Step::Done(1)
    }

    /// The turn came to nothing: waits again, before all others, for the full
    /// timeout.
    pub fn wait_again(&self) -> Step {
        let queue = self.queue();
        queue.chosen.remove(self);
        queue.waiting.add_first(self);
        self.turn.set(Turn::Waiting);
        queue.home.restart_timeout(&self.parked, self.timeout.get());
        Step::Pending
    }

    /// Takes it out of the queue.
    fn retire(&self) {
        let queue = self.queue();
        match self.turn.replace(Turn::Spent) {
            Turn::Waiting => queue.waiting.remove(self),
            Turn::Chosen | Turn::Released => queue.chosen.remove(self),
            Turn::Spent => return,
        }
        queue.trim();
        queue.spent.add(self);
    }

    fn queue(&self) -> &Queue {
        // SAFETY: a queue frees its waiters before it goes.
        unsafe { &*self.queue }
    }

    fn owner(&self) -> &dyn Owner {
        // SAFETY: the queue is part of its owner.
        unsafe { &*self.owner }
    }

    /// Pushes argument `index` of the call that waits. Only from a poll.
    pub fn push_argument(&self, lua: Lua, index: c_int) {
        let thread = self.thread.get();
        // The frame that parked is intact, and has slots to spare.
        thread.push_value(index);
        thread.move_to(lua, 1);
    }

    /// Gives the waiter the anchored value.
    pub fn set_value(&self, anchor: c_int) {
        self.value.set(anchor);
    }

    /// Moves the value on to the next one in turn.
    pub fn hand_value_to(&self, next: &Waiter) {
        next.value.set(self.value.replace(ffi::LUA_NOREF));
    }

    /// Pushes what the chooser sent along; false when that was nothing.
    pub fn push_value(&self, lua: Lua) -> bool {
        let sent = self.value.get() != ffi::LUA_NOREF;
        if sent {
            lua.push_reference(self.value.get());
            self.drop_value(lua);
        }
        sent
    }

    fn drop_value(&self, lua: Lua) {
        lua.unreference(self.value.replace(ffi::LUA_NOREF));
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        self.owner().poll(self, lua, cause)
    }

    fn abandon(&self) {
        let queue = self.queue();
        queue.enter();
        let turn = self.turn.get();
        self.retire();
        if turn == Turn::Chosen {
            self.owner().pass_on(self);
        }
        // Frees this one, too.
        queue.leave();
    }
}
