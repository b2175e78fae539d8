//! `thread.channel`: a queue of messages that states share.

use std::ffi::{c_int, CStr};
use std::sync::Arc;

use super::handle::Threads;
use super::local::Local;
use super::wait::{self, Goal};
use super::{passing, refuse, settle};
use crate::abi::Core;
use crate::functions;
use crate::lua::{method, Functions, Lua, Nanoseconds, Outcome, Returns, UserData, Word};
use crate::states::mailbox::{End, Refused};
use crate::states::{Message, Share, Shareable, Shared};

/// User values: the wait of who receives, of who sends.
const RECEIVING: c_int = 1;
const SENDING: c_int = 2;

/// An end of a channel.
pub struct Channel(Local<End<Message>>);

/// `channel([capacity])` -> channel.
pub fn create(lua: Lua) -> Outcome {
    let capacity = if lua.is_none_or_nil(1) {
        usize::MAX
    } else {
        lua.within(1, 1, i64::MAX)?.try_into().unwrap_or(usize::MAX)
    };
    let core = Core::of(lua);
    let slot = lua.reserve::<Channel>(2, core.pointer());
    let Some(end) = End::new(capacity) else {
        return Err(lua.out_of_memory());
    };
    let channel = slot.fill(Channel(Local::new(core, end)));
    passing::make_known(lua, channel.0.address());
    Ok(Returns(1))
}

impl Channel {
    /// `ch:send(...)` -> true, or nil and a message.
    fn send(lua: Lua, this: &Channel) -> Outcome {
        this.put(lua, 2, Some(None))
    }

    /// `ch:send_within(timeout, ...)` -> true, or nil and a message.
    fn send_within(lua: Lua, this: &Channel) -> Outcome {
        let timeout = lua.wait_timeout(2, None)?;
        this.put(lua, 3, Some(timeout))
    }

    /// `ch:try_send(...)` -> true, or nil and a message.
    fn try_send(lua: Lua, this: &Channel) -> Outcome {
        this.put(lua, 2, None)
    }

    /// Sends the arguments from `first` on; `wait` says whether to wait, and
    /// how long at most.
    fn put(&self, lua: Lua, first: c_int, wait: Option<Option<Nanoseconds>>) -> Outcome {
        if self.0.is_forked() {
            return refuse(lua, self.0.core(), "closed");
        }
        let count = (lua.top() + 1 - first).max(0);
        let refused = {
            let mut message = Some(passing::message(lua, first, count)?);
            match (self.0.send(&mut message), wait) {
                (Err(Refused::Busy), Some(Some(0))) => Err("timeout"),
                (Err(Refused::Busy), Some(timeout)) if !self.0.is_deserted() => {
                    lua.push_value(1);
                    lua.protect_with(1, 1, &self.0.core(), |lua, core| {
                        wait::push(lua, *core, 1, SENDING);
                        lua.remove(1);
                    })?;
                    let goal = Goal::Send(self.0.mailbox(), message);
                    return wait::park(lua, self.0.core(), goal, timeout);
                }
                (Err(Refused::Busy), None) => Err("full"),
                (Err(Refused::Memory), _) => Err("not enough memory"),
                (Err(_), _) => Err("closed"),
                (Ok(()), _) => Ok(()),
            }
        };
        match refused {
            Ok(()) => {
                lua.push_bool(true);
                settle(lua, self.0.core(), 1)
            }
            Err(text) => refuse(lua, self.0.core(), text),
        }
    }

    /// `ch:recv([timeout])` -> values, or nil and a message.
    fn recv(lua: Lua, this: &Channel) -> Outcome {
        let timeout = lua.wait_timeout(2, None)?;
        this.get(lua, Some(timeout))
    }

    /// `ch:try_recv()` -> values, or nil and a message.
    fn try_recv(lua: Lua, this: &Channel) -> Outcome {
        this.get(lua, None)
    }

    /// `ch()` for a loop: values until there will be none.
    fn call(lua: Lua, this: &Channel) -> Outcome {
        this.get(lua, Some(None))
    }

    fn get(&self, lua: Lua, wait: Option<Option<Nanoseconds>>) -> Outcome {
        if self.0.is_forked() {
            return refuse(lua, self.0.core(), "closed");
        }
        let text = match (self.0.receive(), wait) {
            (Ok(message), _) => {
                let pushed = passing::push_message(lua, &message);
                drop(message);
                let count = pushed?;
                return settle(lua, self.0.core(), count);
            }
            (Err(Refused::Busy), None) => "empty",
            (Err(Refused::Busy), Some(Some(0))) => "timeout",
            (Err(Refused::Busy), Some(timeout)) if !self.0.is_deserted() => {
                wait::push(lua, self.0.core(), 1, RECEIVING);
                let goal = Goal::Receive(self.0.mailbox());
                return wait::park(lua, self.0.core(), goal, timeout);
            }
            _ => "closed",
        };
        refuse(lua, self.0.core(), text)
    }

    /// `ch:length()`, `#ch` -> number of messages.
    fn length(lua: Lua, this: &Channel) -> Outcome {
        let length = if this.0.is_forked() { 0 } else { this.0.len() };
        lua.push_integer(length as i64);
        Ok(Returns(1))
    }

    /// `ch:capacity()` -> how many it holds at most, or nil.
    fn capacity(lua: Lua, this: &Channel) -> Outcome {
        match this.0.capacity() {
            usize::MAX => lua.push_nil(),
            capacity => lua.push_integer(capacity as i64),
        }
        Ok(Returns(1))
    }

    fn told(lua: Lua, this: &Channel) -> Outcome {
        let is_closed = this.0.is_forked() || this.0.is_closed();
        let length = if this.0.is_forked() { 0 } else { this.0.len() };
        lua.told(&[
            Word::Text(b"eco.thread.channel ("),
            Word::Number(length as i64),
            Word::Text(if is_closed {
                b" held, closed)"
            } else {
                b" held)"
            }),
        ])
    }

    /// `ch:is_closed()`.
    fn is_closed(lua: Lua, this: &Channel) -> Outcome {
        lua.push_bool(this.0.is_forked() || this.0.is_closed());
        Ok(Returns(1))
    }

    /// `ch:close()`.
    fn close(_: Lua, this: &Channel) -> Outcome {
        if !this.0.is_forked() {
            this.0.close();
        }
        Ok(Returns(0))
    }
}

impl UserData for Channel {
    const NAME: &'static CStr = c"eco.thread.channel";
    const METHODS: Functions = functions! {
        send: method(Channel::send),
        send_within: method(Channel::send_within),
        try_send: method(Channel::try_send),
        recv: method(Channel::recv),
        try_recv: method(Channel::try_recv),
        length: method(Channel::length),
        capacity: method(Channel::capacity),
        is_closed: method(Channel::is_closed),
        close: method(Channel::close),
        __close: method(Channel::close),
        __len: method(Channel::length),
        __tostring: method(Channel::told),
        __call: method(Channel::call),
    };
}

impl Share for End<Message> {
    const NAME: &'static CStr = Channel::NAME;

    fn push(this: &Arc<End<Message>>, lua: Lua) {
        if passing::push_known(lua, this.address()) {
            return;
        }
        let core = Threads::core(lua);
        let slot = lua.reserve::<Channel>(2, core.pointer());
        slot.fill(Channel(Local::new(core, End::clone(this))));
        passing::make_known(lua, this.address());
    }
}

impl Shareable for Channel {
    fn shared(&self) -> Option<Shared> {
        (!self.0.is_forked()).then(|| Shared::new(Arc::new(End::clone(&self.0))))
    }
}
