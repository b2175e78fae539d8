//! One connection as Lua sees it: the object handlers get. Everything a method
//! does to the stream happens in `pump`; everything it leaves on the Lua stack
//! happens here, when nothing is borrowed.

use std::cell::{Cell, RefCell, RefMut};
use std::ffi::{c_int, CStr};
use std::rc::Rc;

use super::exchange::Exchange;
use super::methods;
use super::pump::{Event, Failure, Goal, Phase};
use super::request;
use super::settings::{Settings, Shared};
use crate::abi::{Cause, Core, Interest, Nanoseconds, Parked, Step};
use crate::abi::{Reader, Writer};
use crate::functions;
use crate::http::head::Scanner;
use crate::lua::{ffi, method, Error, Functions, Lua, Outcome, Returns, UserData, METHODS};
use crate::operation;

/// How long the peer has to take an answer before it is closed upon.
const LINGER: Nanoseconds = 2_000_000_000;

/// User values: the fields (`sock`, `peer`, `options`, and the handler's own),
/// and what keeps reader and writer alive.
const FIELDS: c_int = 1;
const READER: c_int = 2;
const WRITER: c_int = 3;

/// Slot of the metatable with the function for computed fields of `methods.lua`.
const COMPUTED: i64 = 2;

/// A connection; while it is idle, this is all there is of it.
#[repr(C)]
pub struct Connection {
    parked: Parked,
    core: Core,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) settings: Rc<Settings>,
    pub(super) exchange: RefCell<Option<Box<Exchange>>>,
    pub(super) scanner: Cell<Scanner>,
    pub(super) goal: Cell<Goal>,
    /// What it waits for, and whether bytes moved since it last waited.
    pub(super) phase: Cell<Phase>,
    pub(super) progress: Cell<bool>,
    /// Inactivity limit of the running call.
    timeout: Cell<Nanoseconds>,
    /// Status the last request was refused with.
    pub(super) refused: Cell<u16>,
}

operation!(Connection);

/// Where a call stands.
enum Settled {
    Results(c_int),
    Waits(Phase),
}

impl UserData for Connection {
    const NAME: &'static CStr = c"struct http_connection *";
    const METHODS: Functions = functions! {
        add_header: method(methods::add_header),
        set_status: method(methods::set_status),
        send: method(methods::send),
        flush: method(methods::flush),
        discard_body: method(methods::discard_body),
        read_body: method(methods::read_body),
        remaining: method(methods::remaining),
        start_form: method(methods::start_form),
        next_part: method(methods::next_part),
        describe: method(methods::describe),
        begin_piece: method(methods::begin_piece),
        end_piece: method(methods::end_piece),
        next_request: method(next),
        __index: method(get_field),
        __newindex: method(set_field),
    };

    fn finalise(&self, _: Lua) {
        self.core.forget(&self.parked);
    }
}

/// `connection(settings, fields, reader, writer)`, for the driver.
pub fn new(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    let shared = lua.expect_userdata::<Shared>(1)?;
    lua.expect(2, ffi::LUA_TTABLE)?;
    let (Some(reader), Some(writer)) = (core.reader_at(lua, 3), core.writer_at(lua, 4)) else {
        return Err("not a stream".into());
    };
    lua.set_top(4);
    let slot = lua.reserve::<Connection>(3, core.pointer());
    slot.fill(Connection {
        parked: Parked::new::<Connection>(),
        core,
        reader,
        writer,
        settings: shared.0.clone(),
        exchange: RefCell::default(),
        scanner: Cell::default(),
        goal: Cell::new(Goal::Request),
        phase: Cell::new(Phase::Idle),
        progress: Cell::new(false),
        timeout: Cell::new(0),
        refused: Cell::new(0),
    });
    lua.insert(2);
    for value in [WRITER, READER, FIELDS] {
        lua.set_user_value(2, value);
    }
    Ok(Returns(1))
}

/// `__index`: own fields, then methods, then computed fields.
fn get_field(lua: Lua, _: &Connection) -> Outcome {
    lua.set_top(2);
    lua.get_user_value(1, FIELDS);
    lua.raw_get_index(Lua::upvalue(2), METHODS);
    for table in [3, 4] {
        lua.push_value(2);
        if lua.raw_get(table) != ffi::LUA_TNIL {
            return Ok(Returns(1));
        }
    }
    lua.raw_get_index(Lua::upvalue(2), COMPUTED);
    lua.push_value(1);
    lua.push_value(2);
    lua.call(2, 1);
    Ok(Returns(1))
}

/// `__newindex`
fn set_field(lua: Lua, _: &Connection) -> Outcome {
    lua.get_user_value(1, FIELDS);
    lua.insert(2);
    lua.raw_set(2);
    Ok(Returns(0))
}

/// `next_request(con, ok, result)`: finishes the response to the last request
/// (`ok` and `result` are what became of its handler) and gives method, target,
/// path, query, its pairs, headers and minor version of the next one; or nothing,
/// or nil and a reason, when there is none. Never raises: an error here
/// would end the process.
fn next(lua: Lua, connection: &Connection) -> Outcome {
    if let Some(mut guard) = connection.exchange() {
        let exchange = &mut **guard;
        let failed = !lua.to_bool(2);
        if failed && !exchange.streamed {
            exchange.answer(500, &connection.settings);
        }
        let refused = lua.type_of(3) == ffi::LUA_TBOOLEAN && !lua.to_bool(3);
        exchange.broken |=
            refused || exchange.response.code == 101 || (failed && exchange.streamed);
        exchange.build(&connection.settings);
        exchange.response.finish(&mut exchange.out);
    }
    match connection.start(lua, Goal::Request, 0) {
        Err(error) => match error.message() {
            Some(text) => {
                lua.push_nil();
                lua.try_push_bytes(text)?;
                Ok(Returns(2))
            }
            None => Err(error),
        },
        other => other,
    }
}

/// The error that a method was called between requests.
#[cold]
pub fn idle() -> Outcome {
    Err("no request is being served".into())
}

impl Connection {
    /// The request being served. Nothing of Lua that may raise is called while
    /// this is held.
    pub fn exchange(&self) -> Option<RefMut<'_, Box<Exchange>>> {
        RefMut::filter_map(self.exchange.borrow_mut(), Option::as_mut).ok()
    }

    /// Work towards `goal`, as the tail of a method. May raise.
    pub fn start(&self, lua: Lua, goal: Goal, timeout: Nanoseconds) -> Outcome {
        if self.core.is_parked(&self.parked) {
            return Err("another coroutine is already waiting on this I/O object".into());
        }
        self.reader.check_idle()?;
        self.goal.set(goal);
        self.timeout.set(timeout);
        if self.core.spend(lua) {
            // Requests that need no waiting must not keep others from running.
            self.phase.set(Phase::Turn);
            let outcome = self.core.park(lua, &self.parked, -1, Interest::NONE, 0)?;
            self.core.wake(&self.parked, Cause::WAKE);
            return Ok(outcome);
        }
        match self.settle(lua, self.pump())? {
            Settled::Results(count) => Ok(Returns(count)),
            Settled::Waits(phase) => {
                let (interest, limit) = self.wait_of(phase);
                self.phase.set(phase);
                self.core
                    .park(lua, &self.parked, self.reader.fd(), interest, limit)
            }
        }
    }

    fn wait_of(&self, phase: Phase) -> (Interest, Nanoseconds) {
        let limit = match phase {
            Phase::Write => self.settings.send_timeout(),
            Phase::Body => self.timeout.get(),
            Phase::Idle => self.settings.idle(),
            Phase::Head | Phase::Drain => self.settings.head_timeout(),
            Phase::Linger | Phase::Turn => LINGER,
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
            match self.goal.get() {
                Goal::Request | Goal::Last => Event::Ended,
                _ => Event::Failed(Failure::Canceled),
            }
        } else if cause.has(Cause::TIMEOUT) {
            self.timed_out()
        } else {
            self.pump()
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
        let changed = self.phase.replace(phase) != phase;
        let fd = self.reader.fd();
        if changed
            && self
                .core
                .change_interest(&self.parked, fd, interest)
                .is_err()
        {
            lua.push_nil();
            lua.push_str("another coroutine is already waiting on this file descriptor");
            return Step::Done(2);
        }
        if changed || (self.progress.get() && matches!(phase, Phase::Write | Phase::Body)) {
            self.core.restart_timeout(&self.parked, limit);
        }
        Step::Pending
    }

    fn abandon(&self) {
        if let Some(mut exchange) = self.exchange() {
            exchange.broken = true;
        }
    }

    /// Push what an event means to the caller, or tell what to wait for. May raise.
    fn settle(&self, lua: Lua, event: Event) -> Result<Settled, Error> {
        let mut event = event;
        if let Event::Request = event {
            match request::push(self, lua)? {
                None => return Ok(Settled::Results(request::VALUES)),
                Some(status) => event = self.refuse(status),
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
                let part = match self.exchange() {
                    Some(exchange) => exchange.part,
                    None => return Ok(Settled::Results(0)),
                };
                self.hand_out(lua, |lua, received, _| {
                    lua.protect(3, &(received, part), methods::push_part)
                        .map(|()| 3)
                })?
            }
            Event::Ended => {
                if let Some(exchange) = self.exchange.take() {
                    self.settings.give_back(exchange);
                }
                let status = self.refused.get();
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
                lua.push_str(match (self.goal.get(), self.phase.get()) {
                    (Goal::Request, Phase::Write) => "flush data: ",
                    (Goal::Request, _) => "not a complete http request: ",
                    _ => "",
                });
                match failure {
                    Failure::Reader => self.reader.push_error(lua),
                    Failure::Writer => self.writer.push_error(lua),
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
        let (mut received, ready) = match self.exchange() {
            Some(mut exchange) => (std::mem::take(&mut exchange.received), exchange.ready),
            None => return Ok(0),
        };
        let result = push(lua, &received, ready);
        if result.is_ok() {
            drop_front(&mut received, ready);
        }
        if let Some(mut exchange) = self.exchange() {
            exchange.received = received;
        }
        result
    }
}

/// Remove the first `count` bytes.
pub fn drop_front(buffer: &mut Vec<u8>, count: usize) {
    let count = count.min(buffer.len());
    buffer.copy_within(count.., 0);
    buffer.truncate(buffer.len() - count);
}
