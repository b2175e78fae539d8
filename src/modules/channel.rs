//! `eco.channel`: a bounded first-in, first-out queue of Lua values.
//!
//! Values sit in a ring in the channel's user value. Whenever the ring holds
//! values and receivers wait, enough of them have been chosen to take all
//! (likewise senders and free places): who finds its turn taken waits again.

use std::cell::Cell;
use std::ffi::CStr;

use crate::core::runtime::Runtime;
use crate::core::{Cause, Core, Step};
use crate::io::{keep_methods, push_method, Owner, Queue, Waiter};
use crate::lua::{ffi, function, method, Functions, Lua, Outcome, Returns, UserData};

const FUNCTIONS: Functions = &[(c"new", function(create))];

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Runtime::open(lua)?;
    keep_methods::<Channel>(lua, core);
    lua.push_chunk(c"=eco.channel", include_str!("channel.lua"));
    lua.get_field(-2, c"send");
    lua.call(1, 1);
    lua.set_field(-2, c"send");
    lua.push_module(FUNCTIONS, core.pointer());
    Ok(Returns(1))
}

/// The user value that holds the ring.
const RING: i32 = 1;
/// Places a new ring has, unless the capacity is smaller.
const FIRST_SIZE: i64 = 4;

struct Channel {
    receivers: Queue,
    senders: Queue,
    capacity: i64,
    closed: Cell<bool>,
    /// Places in the ring, which grows up to the capacity.
    size: Cell<i64>,
    /// Place of the oldest value, from 0.
    head: Cell<i64>,
    length: Cell<i64>,
}

/// `new([capacity])` -> channel.
fn create(lua: Lua) -> Outcome {
    let capacity = if lua.is_none_or_nil(1) {
        1
    } else if lua.is_integer(1) {
        lua.integer(1)?.max(1)
    } else {
        return Err("capacity must be an integer".into());
    };
    let core = Core::of(lua);
    lua.reserve::<Channel>(1, core.pointer()).fill(Channel {
        receivers: Queue::new(core),
        senders: Queue::new(core),
        capacity,
        closed: Cell::new(false),
        size: Cell::new(capacity.min(FIRST_SIZE)),
        head: Cell::new(0),
        length: Cell::new(0),
    });
    lua.push_table(1, 0);
    lua.set_user_value(-2, RING);
    Ok(Returns(1))
}

impl Channel {
    fn is_full(&self) -> bool {
        self.length.get() >= self.capacity
    }

    fn is_empty(&self) -> bool {
        self.length.get() == 0
    }

    /// Key in the ring of the value `distance` behind the oldest.
    fn key(&self, distance: i64) -> i64 {
        (self.head.get() + distance) % self.size.get() + 1
    }

    /// Pops a value and stores it in the ring on top; nil is not stored. Then
    /// wakes a receiver. May raise, before anything has changed.
    fn put(&self, lua: Lua, ring: i32) {
        if lua.type_of(-1) == ffi::LUA_TNIL {
            lua.pop(1);
            return;
        }
        if self.length.get() == self.size.get() {
            self.grow(lua, ring);
        }
        lua.raw_set_index(ring, self.key(self.length.get()));
        self.length.set(self.length.get() + 1);
        self.receivers.choose();
    }

    /// Doubles the ring: values before its end move to the new end.
    fn grow(&self, lua: Lua, ring: i32) {
        let (old, head) = (self.size.get(), self.head.get());
        let new = self.capacity.min(old.saturating_mul(2));
        if head > 0 {
            let moved = head + new - old;
            // From the end: only keys that are new can want memory, and they
            // come first, so a failure leaves the old ring whole.
            for distance in (0..old - head).rev() {
                lua.raw_get_index(ring, head + distance + 1);
                lua.raw_set_index(ring, moved + distance + 1);
            }
            for place in head..moved.min(old) {
                lua.push_nil();
                lua.raw_set_index(ring, place + 1);
            }
            self.head.set(moved);
        }
        self.size.set(new);
    }

    /// Replaces the ring on top by the oldest value, which leaves it. Then
    /// wakes a sender.
    fn take(&self, lua: Lua) {
        let key = self.key(0);
        lua.raw_get_index(-1, key);
        lua.push_nil();
        lua.raw_set_index(-3, key);
        lua.replace(-2);
        let left = self.length.get() - 1;
        self.length.set(left);
        self.head
            .set(if left == 0 { 0 } else { key % self.size.get() });
        self.senders.choose();
    }

    /// `ch:send(value [, timeout])` -> true, or nil and a message. The wrapper
    /// in Lua turns `closed` into an error.
    fn send(lua: Lua, this: &Channel) -> Outcome {
        lua.set_top(3);
        if this.closed.get() {
            return lua.fail("closed");
        }
        if this.is_full() {
            return this.senders.wait(lua, this, 3);
        }
        lua.get_user_value(1, RING);
        lua.push_value(2);
        this.put(lua, 4);
        lua.push_bool(true);
        Ok(Returns(1))
    }

    /// `ch:recv([timeout])` -> value, nil at the end, or nil and a message.
    fn recv(lua: Lua, this: &Channel) -> Outcome {
        lua.set_top(2);
        if !this.is_empty() {
            lua.get_user_value(1, RING);
            this.take(lua);
        } else if this.closed.get() {
            lua.push_nil();
        } else {
            return this.receivers.wait(lua, this, 2);
        }
        Ok(Returns(1))
    }

    /// `ch:length()` -> number of buffered values.
    fn length(lua: Lua, this: &Channel) -> Outcome {
        lua.push_integer(this.length.get());
        Ok(Returns(1))
    }

    /// `ch:close()`.
    fn close(_: Lua, this: &Channel) -> Outcome {
        this.closed.set(true);
        this.senders.release_all();
        this.receivers.release_all();
        Ok(Returns(0))
    }

    /// Methods and fields; `buf` is a copy.
    fn index(lua: Lua, this: &Channel) -> Outcome {
        match push_method(lua, &["capacity", "closed", "buf"]) {
            0 => lua.push_integer(this.capacity),
            1 => lua.push_bool(this.closed.get()),
            2 => {
                lua.get_user_value(1, RING);
                lua.push_table(0, 0);
                for distance in 0..this.length.get() {
                    lua.raw_get_index(-2, this.key(distance));
                    lua.raw_set_index(-2, distance + 1);
                }
            }
            _ => {}
        }
        Ok(Returns(1))
    }

    fn poll_sender(&self, waiter: &Waiter, lua: Lua, cause: Cause) -> Step {
        if self.closed.get() {
            return waiter.fail(lua, "closed");
        }
        if !waiter.is_chosen() {
            return waiter.give_up(lua, cause);
        }
        if self.is_full() {
            return waiter.wait_again();
        }
        waiter.push_argument(lua, 1);
        lua.get_user_value(-1, RING);
        lua.replace(-2);
        waiter.push_argument(lua, 2);
        self.put(lua, lua.top() - 1);
        lua.pop(1);
        lua.push_bool(true);
        waiter.finish()
    }

    fn poll_receiver(&self, waiter: &Waiter, lua: Lua, cause: Cause) -> Step {
        if !waiter.is_chosen() {
            return waiter.give_up(lua, cause);
        }
        if !self.is_empty() {
            waiter.push_argument(lua, 1);
            lua.get_user_value(-1, RING);
            lua.replace(-2);
            self.take(lua);
        } else if self.closed.get() {
            lua.push_nil();
        } else {
            return waiter.wait_again();
        }
        waiter.finish()
    }
}

impl Owner for Channel {
    fn poll(&self, waiter: &Waiter, lua: Lua, cause: Cause) -> Step {
        if waiter.is_of(&self.senders) {
            self.poll_sender(waiter, lua, cause)
        } else {
            self.poll_receiver(waiter, lua, cause)
        }
    }

    fn pass_on(&self, waiter: &Waiter) {
        if waiter.is_of(&self.senders) {
            if !self.is_full() {
                self.senders.choose();
            }
        } else if !self.is_empty() {
            self.receivers.choose();
        }
    }
}

impl UserData for Channel {
    const NAME: &'static CStr = c"eco.channel";
    const METHODS: Functions = &[
        (c"send", method(Channel::send)),
        (c"recv", method(Channel::recv)),
        (c"length", method(Channel::length)),
        (c"close", method(Channel::close)),
    ];
    const METAMETHODS: Functions = &[(c"__index", method(Channel::index))];

    fn finalise(&self, lua: Lua) {
        self.receivers.clear(lua);
        self.senders.clear(lua);
    }
}
