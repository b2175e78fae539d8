//! `eco.channel`: a bounded first-in, first-out queue of Lua values.
//!
//! Values sit in a ring in the channel's user value. Whenever the ring holds
//! values and receivers wait, enough of them have been chosen to take all
//! (likewise senders and free places): who finds its turn taken waits again.

use std::cell::Cell;
use std::ffi::{c_int, CStr};

use crate::abi::{Cause, Core, Step};
use crate::core::runtime::Runtime;
use crate::core::{Owner, Queue, Waiter};
use crate::functions;
use crate::lua::{function, method, Functions, Lua, Outcome, Returns, UserData, Word};
use crate::lua::{push_method, set_own};
use crate::lua_source;

const FUNCTIONS: Functions = functions! { new: function(create) };

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Runtime::open(lua)?;
    lua.push_methods::<Channel>(core.pointer());
    lua.push_chunk(c"=eco.channel", lua_source!("channel.lua"));
    lua.get_field(-2, c"send");
    lua.call(1, 1);
    lua.set_field(-2, c"send");
    lua.push_module(FUNCTIONS, core.pointer());
    Ok(Returns(1))
}

/// The user value that holds the ring.
const RING: c_int = 1;
/// Places a new ring has, unless the capacity is smaller.
const FIRST_SIZE: u32 = 4;
/// Memory ends long before that many values.
const LARGEST_SIZE: i64 = 1 << 30;

struct Channel {
    receivers: Queue,
    senders: Queue,
    capacity: i64,
    /// The capacity, as far as memory could ever hold it.
    limit: u32,
    closed: Cell<bool>,
    /// Places in the ring, which grows up to the limit.
    size: Cell<u32>,
    /// Place of the oldest value, from 0.
    head: Cell<u32>,
    length: Cell<u32>,
}

/// `new([capacity])` -> channel.
fn create(lua: Lua) -> Outcome {
    if !lua.is_none_or_nil(1) && !lua.is_integer(1) {
        return Err("capacity must be an integer".into());
    }
    let capacity = lua.integer_or(1, 1)?.max(1);
    let limit = capacity.min(LARGEST_SIZE) as u32;
    let core = Core::of(lua);
    lua.reserve::<Channel>(1, core.pointer()).fill(Channel {
        receivers: Queue::new(core),
        senders: Queue::new(core),
        capacity,
        limit,
        closed: Cell::new(false),
        size: Cell::new(limit.min(FIRST_SIZE)),
        head: Cell::new(0),
        length: Cell::new(0),
    });
    lua.push_table(1, 0);
    lua.set_user_value(-2, RING);
    Ok(Returns(1))
}

impl Channel {
    fn is_full(&self) -> bool {
        self.length.get() >= self.limit
    }

    fn is_empty(&self) -> bool {
        self.length.get() == 0
    }

    /// Key in the ring of the value `distance` behind the oldest.
    fn key(&self, distance: u32) -> i64 {
        i64::from((self.head.get() + distance) % self.size.get() + 1)
    }

    /// Pushes a table of the values in the ring on top, oldest first. May raise.
    fn push_copy(&self, lua: Lua) {
        lua.push_table(0, 0);
        for distance in 0..self.length.get() {
            lua.raw_get_index(-2, self.key(distance));
            lua.raw_set_index(-2, i64::from(distance) + 1);
        }
    }

    /// Stores the value at index `value`, unless it is nil, in the channel at
    /// index `channel`, and wakes a receiver. May raise, before anything has
    /// changed. Leaves values on the stack.
    fn put(&self, lua: Lua, channel: c_int, value: c_int) {
        if lua.is_none_or_nil(value) {
            return;
        }
        let length = self.length.get();
        lua.get_user_value(channel, RING);
        if length == self.size.get() {
            self.push_copy(lua);
            lua.push_value(-1);
            lua.set_user_value(channel, RING);
            self.size.set(self.limit.min(length * 2));
            self.head.set(0);
        }
        lua.push_value(value);
        lua.raw_set_index(-2, self.key(length));
        self.length.set(length + 1);
        self.receivers.choose();
    }

    /// Pushes the oldest value of the channel at index `channel`, which loses
    /// it, and wakes a sender. Leaves another value below it.
    fn take(&self, lua: Lua, channel: c_int) {
        lua.get_user_value(channel, RING);
        let key = self.key(0);
        lua.raw_get_index(-1, key);
        lua.push_nil();
        lua.raw_set_index(-3, key);
        let left = self.length.get() - 1;
        self.length.set(left);
        self.head
            .set(if left == 0 { 0 } else { self.key(1) as u32 - 1 });
        self.senders.choose();
    }

    /// `ch:send(value [, timeout])` -> true, or nil and a message. The wrapper
    /// in Lua turns `closed` into an error.
    fn send(lua: Lua, this: &Channel) -> Outcome {
        lua.set_top(3);
        if this.closed.get() {
            return this.senders.refuse(lua, "closed");
        }
        if this.is_full() {
            return this.senders.wait(lua, this, 3);
        }
        this.put(lua, 1, 2);
        lua.push_bool(true);
        this.senders.settle(lua, 1)
    }

    /// `ch:recv([timeout])` -> value, nil at the end, or nil and a message.
    fn recv(lua: Lua, this: &Channel) -> Outcome {
        lua.set_top(2);
        if !this.is_empty() {
            this.take(lua, 1);
        } else if this.closed.get() {
            lua.push_nil();
        } else {
            return this.receivers.wait(lua, this, 2);
        }
        this.receivers.settle(lua, 1)
    }

    /// `ch:length()` -> number of buffered values.
    fn length(lua: Lua, this: &Channel) -> Outcome {
        lua.push_integer(i64::from(this.length.get()));
        Ok(Returns(1))
    }

    /// `ch:close()`.
    fn close(_: Lua, this: &Channel) -> Outcome {
        this.closed.set(true);
        this.senders.release_all();
        this.receivers.release_all();
        Ok(Returns(0))
    }

    fn told(lua: Lua, this: &Channel) -> Outcome {
        lua.told(&[
            Word::Text(b"eco.channel ("),
            Word::Number(i64::from(this.length.get())),
            Word::Text(b" of "),
            Word::Number(this.capacity),
            Word::Text(if this.closed.get() {
                b", closed)"
            } else {
                b")"
            }),
        ])
    }

    /// Methods and fields; `buf` is a copy.
    fn index(lua: Lua, this: &Channel) -> Outcome {
        match push_method(lua, &["capacity", "closed", "buf"]) {
            0 => lua.push_integer(this.capacity),
            1 => lua.push_bool(this.closed.get()),
            2 => {
                lua.get_user_value(1, RING);
                this.push_copy(lua);
            }
            _ => {}
        }
        Ok(Returns(1))
    }

    /// The turn of a sender: true when it has sent.
    fn send_for(&self, waiter: &Waiter, lua: Lua) -> bool {
        if self.is_full() {
            return false;
        }
        waiter.push_argument(lua, 1);
        waiter.push_argument(lua, 2);
        let top = lua.top();
        self.put(lua, top - 1, top);
        lua.push_bool(true);
        true
    }

    /// The turn of a receiver: true when it has received, or never will.
    fn receive_for(&self, waiter: &Waiter, lua: Lua) -> bool {
        if !self.is_empty() {
            waiter.push_argument(lua, 1);
            self.take(lua, lua.top());
            return true;
        }
        lua.push_nil();
        self.closed.get()
    }
}

impl Owner for Channel {
    fn poll(&self, waiter: &Waiter, lua: Lua, cause: Cause) -> Step {
        let sends = waiter.is_of(&self.senders);
        if sends && self.closed.get() {
            return waiter.fail(lua, "closed");
        }
        if !waiter.is_chosen() {
            return waiter.give_up(lua, cause);
        }
        let top = lua.top();
        let done = if sends {
            self.send_for(waiter, lua)
        } else {
            self.receive_for(waiter, lua)
        };
        if !done {
            lua.set_top(top);
            return waiter.wait_again();
        }
        // Leaves the result alone.
        lua.insert(top + 1);
        lua.set_top(top + 1);
        waiter.finish()
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
    const METHODS: Functions = functions! {
        send: method(Channel::send),
        recv: method(Channel::recv),
        length: method(Channel::length),
        close: method(Channel::close),
        __index: method(Channel::index),
        __tostring: method(Channel::told),
        __newindex: function(set_own),
    };

    fn finalise(&self, lua: Lua) {
        self.receivers.clear(lua);
        self.senders.clear(lua);
    }
}
