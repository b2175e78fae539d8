//! One connection as Lua sees it: the object handlers get. Everything a method
//! does to the stream happens in `pump`; everything it leaves on the Lua stack
//! happens here, when nothing is borrowed.

use std::cell::Cell;
use std::ffi::c_int;

use super::exchange::{drop_front, Part};
use super::pump::{Event, Failure, Goal, Phase, Pump};
use super::request;
use super::settings::Shared;
use crate::abi::{Cause, Core, Host, Interest, Nanoseconds, Parked, Step};
use crate::lua::{ffi, Error, Lua, Outcome, Returns};
use crate::operation;

/// How long the peer has to take an answer before it is closed upon.
const LINGER: Nanoseconds = 2_000_000_000;

/// User values: what keeps reader and writer alive.
const READER: c_int = 1;
const WRITER: c_int = 2;

/// A connection: what its pump does, as an operation coroutines wait for.
#[repr(C)]
pub struct Connection {
    parked: Parked,
    core: Core,
    pub(super) pump: Pump,
    /// Inactivity limit of the running call.
    timeout: Cell<Nanoseconds>,
}

operation!(Connection);

/// Where a call stands.
enum Settled {
    Results(c_int),
    Waits(Phase),
}

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
        parked: Parked::new::<Connection>(),
        core,
        pump: Pump::new(reader, writer, shared.0.clone()),
        timeout: Cell::new(0),
    });
    lua.insert(2);
    lua.set_user_value(2, WRITER);
    lua.set_user_value(2, READER);
    Ok(Returns(1))
}

impl Connection {
    /// Its owner goes away.
    pub fn forget(&self) {
        self.core.forget(&self.parked);
    }

    /// Work towards `goal`, as the tail of a method. May raise.
    pub fn start(&self, lua: Lua, goal: Goal, timeout: Nanoseconds) -> Outcome {
        if self.core.is_parked(&self.parked) {
            return Err("another coroutine is already waiting on this I/O object".into());
        }
        self.pump.reader.check_idle()?;
        self.pump.goal.set(goal);
        self.timeout.set(timeout);
        match self.settle(lua, self.pump.run())? {
            // Requests that need no waiting must not keep others from running.
            Settled::Results(count) => Ok(Host::settle(self.core, lua, count)),
            Settled::Waits(phase) => {
                let (interest, limit) = self.wait_of(phase);
                self.pump.phase.set(phase);
                self.core
                    .park(lua, self, self.pump.reader.fd(), interest, limit)
            }
        }
    }

    fn wait_of(&self, phase: Phase) -> (Interest, Nanoseconds) {
        let limit = match phase {
            Phase::Write => self.pump.settings.send_timeout,
            Phase::Body => self.timeout.get(),
            Phase::Idle => self.pump.settings.idle,
            Phase::Head | Phase::Drain => self.pump.settings.head_timeout,
            Phase::Linger => LINGER,
        };
        let write = phase == Phase::Write;
        (
            if write {
                Interest::WRITE
            } else {
                Interest::READ
            },
            limit,
        )
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        let event = if cause.has(Cause::CANCEL) {
            match self.pump.goal.get() {
                Goal::Request | Goal::Last => Event::Ended,
                _ => Event::Failed(Failure::Canceled),
            }
        } else if cause.has(Cause::TIMEOUT) {
            self.pump.timed_out()
        } else {
            self.pump.run()
        };
        let phase = match self.settle(lua, event) {
            Ok(Settled::Waits(phase)) => phase,
            Ok(Settled::Results(count)) => return Step::Done(count),
            Err(_) => {
                // The error value is on top: out of memory, most likely.
                lua.push_nil();
                lua.insert(-2);
                return Step::Done(2);
            }
        };
        let (interest, limit) = self.wait_of(phase);
        let changed = self.pump.phase.replace(phase) != phase;
        let fd = self.pump.reader.fd();
        if changed && self.core.change_interest(&self.parked, fd, interest) != 0 {
            lua.push_nil();
            lua.push_str("another coroutine is already waiting on this file descriptor");
            return Step::Done(2);
        }
        if changed || (self.pump.progress.get() && matches!(phase, Phase::Write | Phase::Body)) {
            self.core.restart_timeout(&self.parked, limit);
        }
        Step::Pending
    }

    fn abandon(&self) {
        if let Some(mut exchange) = self.pump.exchange() {
            exchange.broken = true;
        }
    }

    /// Push what an event means to the caller, or tell what to wait for. May raise.
    fn settle(&self, lua: Lua, event: Event) -> Result<Settled, Error> {
        let mut event = event;
        if let Event::Request = event {
            match request::push(&self.pump, lua)? {
                None => return Ok(Settled::Results(1)),
                Some(status) => event = self.pump.refuse(status),
            }
        }
        let count = match event {
            Event::Wait(phase) => return Ok(Settled::Waits(phase)),
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
                    None => return Ok(Settled::Results(0)),
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
                    return Ok(Settled::Results(0));
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
                }
                lua.concat(2);
                2
            }
        };
        Ok(Settled::Results(count))
    }

    /// Push something made of the received bytes that are ready; drop those.
    fn hand_out(
        &self,
        lua: Lua,
        push: impl FnOnce(Lua, &[u8], usize) -> Result<c_int, Error>,
    ) -> Result<c_int, Error> {
        let (mut received, ready) = match self.pump.exchange() {
            Some(mut exchange) => (std::mem::take(&mut exchange.received), exchange.ready),
            None => return Ok(0),
        };
        let result = push(lua, &received, ready);
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
