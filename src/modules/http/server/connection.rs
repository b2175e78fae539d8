//! One connection as Lua sees it: the object handlers get. Everything a method
//! does to the stream happens in `pump`; everything it leaves on the Lua stack
//! happens here, when nothing is borrowed.

use std::ffi::c_int;

use super::exchange::{drop_front, Failure, Part};
use super::pump::{Event, Goal, Phase, Pump};
use super::request;
use super::settings::Shared;
use crate::abi::attempt::{self, Attempt, End, Try, Waiting};
use crate::abi::{Core, Interest, Nanoseconds};
use crate::lua::{ffi, Error, Lua, Outcome, Returns};

/// User values: what keeps reader and writer alive.
const READER: c_int = 1;
const WRITER: c_int = 2;

/// A connection: what its pump does, as something coroutines wait for.
#[repr(C)]
pub struct Connection {
    waiting: Waiting,
    pub(super) pump: Pump,
}

crate::attempt!(Connection);

/// `connection(settings, reader, writer)`, for the driver.
pub fn new(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    let shared = lua.expect_userdata::<Shared>(1)?;
    let (Some(reader), Some(writer)) = (core.reader_at(lua, 2), core.writer_at(lua, 3)) else {
        return Err("not a stream".into());
    };
    lua.set_top(3);
    let slot = lua.reserve::<Connection>(2, core.pointer());
    slot.fill(Connection {
        waiting: Waiting::new::<Connection>(core),
        pump: Pump::new(reader, writer, shared.0.clone()),
    });
    lua.insert(2);
    lua.set_user_value(2, WRITER);
    lua.set_user_value(2, READER);
    Ok(Returns(1))
}

impl Attempt for Connection {
    type Host = Core;

    fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    fn fd(&self) -> c_int {
        self.pump.reader.fd()
    }

    fn direction(&self) -> Interest {
        self.pump.direction.get()
    }

    fn attempt(&self, lua: Lua) -> Try {
        self.tell(lua, self.pump.run())
    }

    fn end(&self, lua: Lua, end: End) -> Try {
        let event = match (end, self.pump.goal.get()) {
            (End::Timeout, _) => self.pump.timed_out(),
            (End::Canceled, Goal::Request | Goal::Last) => Event::Ended,
            (End::Canceled, _) => Event::Failed(Failure::Canceled),
        };
        self.tell(lua, event)
    }

    fn limit(&self) -> Nanoseconds {
        self.pump.limit()
    }

    fn drop_request(&self) {
        if let Some(mut exchange) = self.pump.exchange() {
            exchange.broken = true;
        }
    }
}

impl Connection {
    /// Its owner goes away.
    pub fn forget(&self) {
        self.waiting.host.forget(&self.waiting.parked);
    }

    /// Work towards `goal`, as the tail of a method; `timeout` is the limit its
    /// caller gave for the body, 0 for ours. May raise.
    pub fn start(&self, lua: Lua, goal: Goal, timeout: Nanoseconds) -> Outcome {
        self.waiting.check_idle()?;
        self.pump.reader.check_idle()?;
        self.pump.begin(goal, timeout);
        attempt::start(self, lua, timeout)
    }

    /// What an event means to the engine that waits; results are pushed.
    fn tell(&self, lua: Lua, event: Event) -> Try {
        match self.settle(lua, event) {
            Ok(told) => told,
            Err(error) => {
                match error.message() {
                    // The error value is on top: out of memory, most likely.
                    None => lua.push_nil(),
                    Some(text) => {
                        lua.push_bytes(text);
                        lua.push_nil();
                    }
                }
                lua.insert(-2);
                Try::Done(2)
            }
        }
    }

    /// Wait; a new phase has its time from now on.
    fn wait(&self, phase: Phase) -> Try {
        if self.pump.enter(phase) {
            self.waiting.refresh();
        }
        Try::Again(self.pump.direction.get())
    }

    /// Push what an event means to the caller, or tell what to wait for. May raise.
    fn settle(&self, lua: Lua, event: Event) -> Result<Try, Error> {
        let mut event = event;
        if let Event::Request = event {
            match request::push(&self.pump, lua)? {
                None => return Ok(Try::Done(2)),
                Some(status) => event = self.pump.refuse(status),
            }
        }
        let count = match event {
            Event::Wait(phase) => return Ok(self.wait(phase)),
            Event::Again(phase) => {
                self.pump.enter(phase);
                return Ok(Try::Moved);
            }
            // Requests were dealt with above.
            Event::Request => 0,
            Event::Done => {
                lua.push_bool(true);
                1
            }
            Event::Body => self.hand_out(lua, |lua, received, ready| {
                lua.try_push_bytes(received.get(..ready).unwrap_or(received))
                    .map(|()| 1)
            })?,
            Event::Form => {
                let part = match self.pump.exchange() {
                    Some(exchange) => exchange.part,
                    None => return Ok(Try::Done(0)),
                };
                self.hand_out(lua, |lua, received, _| {
                    let before = lua.top();
                    lua.protect(ffi::LUA_MULTRET, &(received, part), push_part)?;
                    Ok(lua.top() - before)
                })?
            }
            Event::Ended => {
                self.pump.end_exchange();
                let status = self.pump.refused.get();
                if status == 0 {
                    return Ok(Try::Done(0));
                }
                lua.push_nil();
                lua.push_str("request refused with status ");
                lua.push_integer(i64::from(status));
                lua.concat(2);
                2
            }
            Event::Failed(failure) => {
                lua.push_nil();
                lua.push_str(match (self.pump.goal.get(), self.pump.phase.get()) {
                    (Goal::Request, Phase::Write) => "flush data: ",
                    (Goal::Request, _) => "not a complete http request: ",
                    _ => "",
                });
                match failure {
                    Failure::Reader => self.pump.reader.push_error(lua),
                    Failure::Writer => self.pump.writer.push_error(lua),
                    Failure::Closed => lua.push_str("closed"),
                    Failure::Timeout => lua.push_str("timeout"),
                    Failure::Canceled => lua.push_str("canceled"),
                    Failure::BadForm => lua.push_str("bad request"),
                    Failure::BadChunk => lua.push_str("not a vaild http chunked body"),
                    Failure::TooLarge => lua.push_str("request body too large"),
                    Failure::Busy => lua.push_str("too many request bodies"),
                    Failure::Memory => lua.push_str("not enough memory"),
                    Failure::Shrunk => lua.push_str("unexpected end of file"),
                }
                lua.concat(2);
                2
            }
        };
        Ok(Try::Done(count))
    }

    /// Push something made of the received bytes that are ready; drop those.
    fn hand_out(
        &self,
        lua: Lua,
        push: impl FnOnce(Lua, &[u8], usize) -> Result<c_int, Error>,
    ) -> Result<c_int, Error> {
        let (mut received, ready, made) = match self.pump.exchange() {
            Some(mut exchange) => {
                let made = std::mem::take(&mut exchange.made);
                (std::mem::take(&mut exchange.received), exchange.ready, made)
            }
            None => return Ok(0),
        };
        let result = push(lua, &received, ready);
        received.truncate(received.len().saturating_sub(made));
        if result.is_ok() {
            drop_front(&mut received, ready);
        }
        if let Some(mut exchange) = self.pump.exchange() {
            exchange.received = received;
        }
        result
    }
}

/// Push a part of the form as handlers get it; body of a protected call.
fn push_part(lua: Lua, (received, part): &(&[u8], Part)) {
    let push = |(start, end): (usize, usize)| {
        lua.push_bytes(received.get(start..end).unwrap_or(b""));
    };
    match *part {
        Part::Header(name, value) => {
            lua.push_str("header");
            lua.push_table(2, 0);
            push(name);
            lua.raw_set_index(-2, 1);
            push(value);
            lua.raw_set_index(-2, 2);
        }
        Part::Body(data, done) => {
            lua.push_str("body");
            lua.push_table(2, 0);
            push(data);
            lua.raw_set_index(-2, 1);
            if done {
                lua.push_bool(true);
                lua.raw_set_index(-2, 2);
            }
        }
        Part::End => lua.push_str("end"),
        Part::Failed(why) => {
            lua.push_nil();
            lua.push_str(why);
        }
    }
}
