//! One connection as Lua sees it: the object handlers get. Everything a method
//! does to the stream happens in `pump`; everything it leaves on the Lua stack
//! happens here, when nothing is borrowed.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};
use std::rc::Rc;

use super::exchange::Exchange;
use super::head::Scanner;
use super::pump::{Event, Failure, Goal, Phase};
use super::settings::{Settings, Shared};
use super::{fields, files, form, methods, request};
use crate::core::abi::{Reader, Writer};
use crate::core::{Cause, Core, Interest, Nanoseconds, Parked, Step};
use crate::lua::{method, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::operation;

/// How long the peer has to take an answer before it is closed upon.
const LINGER: Nanoseconds = 2_000_000_000;

/// User values that keep what a connection is made of.
pub const SOCKET: c_int = 1;
pub const PEER: c_int = 2;
pub const OPTIONS: c_int = 3;
const READER: c_int = 4;
const WRITER: c_int = 5;
/// The handler's own fields, once it has any.
pub const FIELDS: c_int = 6;
const USER_VALUES: c_int = 6;

/// A connection; while it is idle, this is all there is of it.
#[repr(C)]
pub struct Connection {
    parked: Parked,
    pub(super) core: Core,
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
    pub(super) timeout: Cell<Nanoseconds>,
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
    const METHODS: Functions = &[
        (c"remote_addr", method(remote_address)),
        (c"add_header", method(methods::add_header)),
        (c"set_status", method(methods::set_status)),
        (c"send", method(methods::send)),
        (c"flush", method(methods::flush)),
        (c"send_error", method(methods::send_error)),
        (c"redirect", method(methods::redirect)),
        (c"read_body", method(methods::read_body)),
        (c"discard_body", method(methods::discard_body)),
        (c"read_formdata", method(form::read_formdata)),
        (c"send_file", method(files::send_file)),
        (c"serve_file", method(files::serve_file)),
    ];
    const METAMETHODS: Functions = &[
        (c"__index", method(fields::get)),
        (c"__newindex", method(fields::set)),
    ];

    fn finalise(&self, _: Lua) {
        self.core.forget(&self.parked);
    }
}

/// `connection(sock, peer, options, settings)`, for the driver.
pub fn new(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    lua.expect(1, crate::lua::ffi::LUA_TTABLE)?;
    let shared = lua.expect_userdata::<Shared>(4)?;
    lua.set_top(4);
    lua.get_field(1, c"rd");
    lua.get_field(1, c"wr");
    let (Some(reader), Some(writer)) = (core.reader_at(lua, 5), core.writer_at(lua, 6)) else {
        return Err("not a stream".into());
    };
    let slot = lua.reserve::<Connection>(USER_VALUES, core.pointer());
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
    for (value, index) in [
        (SOCKET, 1),
        (PEER, 2),
        (OPTIONS, 3),
        (READER, 5),
        (WRITER, 6),
    ] {
        lua.push_value(index);
        lua.set_user_value(-2, value);
    }
    Ok(Returns(1))
}

/// `con:remote_addr()`
fn remote_address(lua: Lua, _: &Connection) -> Outcome {
    lua.get_user_value(1, PEER);
    Ok(Returns(1))
}

/// `next(con [, ok, result])`, for the driver: finishes the response to the
/// last request (`ok` and `result` are what became of its handler) and gives
/// the next request, or nothing and perhaps a reason when there is none.
/// Never raises: an error here would end the process.
pub fn next(lua: Lua, connection: &Connection) -> Outcome {
    let ended = {
        let mut exchange = connection.exchange.borrow_mut();
        exchange.as_deref_mut().is_some_and(|exchange| {
            let failed = !lua.to_bool(2);
            if failed && !exchange.streamed {
                exchange.answer(500);
            }
            let refused =
                !failed && lua.type_of(3) == crate::lua::ffi::LUA_TBOOLEAN && !lua.to_bool(3);
            if refused
                || exchange.broken
                || exchange.response.code == 101
                || (failed && exchange.streamed)
            {
                return true;
            }
            exchange.build(&connection.settings);
            exchange.response.finish(&mut exchange.out);
            false
        })
    };
    if ended {
        return Ok(Returns(0));
    }
    match connection.start(lua, Goal::Request, 0) {
        Err(Error::Message(text)) => lua.fail(&text),
        other => other,
    }
}

impl Connection {
    /// Run `body` on the request being served; raises when there is none.
    /// `body` calls nothing of Lua that may raise.
    pub fn with<T>(&self, body: impl FnOnce(&mut Exchange) -> T) -> Result<T, Error> {
        match self.exchange.borrow_mut().as_deref_mut() {
            Some(exchange) => Ok(body(exchange)),
            None => Err("no request is being served".into()),
        }
    }

    /// Refuse while another coroutine waits on this connection.
    pub fn check_idle(&self) -> Result<(), Error> {
        if self.core.is_parked(&self.parked) {
            return Err("another coroutine is already waiting on this I/O object".into());
        }
        self.reader.check_idle()
    }

    /// Work towards `goal`, as the tail of a method. May raise.
    pub fn start(&self, lua: Lua, goal: Goal, timeout: Nanoseconds) -> Outcome {
        self.check_idle()?;
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
        match phase {
            Phase::Write => (Interest::WRITE, self.settings.send_timeout),
            Phase::Body => (Interest::READ, self.timeout.get()),
            Phase::Idle => (Interest::READ, self.settings.idle),
            Phase::Head | Phase::Drain => (Interest::READ, self.settings.head_timeout),
            Phase::Linger => (Interest::READ, LINGER),
            Phase::Turn => (Interest::NONE, 0),
        }
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        let event = if cause.has(Cause::CANCEL) {
            match self.goal.get() {
                Goal::Request | Goal::Last => Event::Ended,
                _ => Event::Failed(Failure::Text("canceled")),
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
            lua.push_str("another coroutine is already waiting for this file descriptor");
            return Step::Done(2);
        }
        if changed || (self.progress.get() && matches!(phase, Phase::Write | Phase::Body)) {
            self.core.restart_timeout(&self.parked, limit);
        }
        Step::Pending
    }

    fn abandon(&self) {
        if let Some(exchange) = self.exchange.borrow_mut().as_deref_mut() {
            exchange.broken = true;
        }
    }

    /// Push what an event means to the caller, or tell what to wait for. May raise.
    fn settle(&self, lua: Lua, event: Event) -> Result<Settled, Error> {
        match event {
            Event::Wait(phase) => Ok(Settled::Waits(phase)),
            Event::Request(length) => match request::push(self, lua, length)? {
                None => Ok(Settled::Results(1)),
                Some(status) => match self.refuse(status) {
                    Event::Wait(phase) => Ok(Settled::Waits(phase)),
                    event => self.deliver(lua, event).map(Settled::Results),
                },
            },
            event => self.deliver(lua, event).map(Settled::Results),
        }
    }

    /// Push the results of a call that is over. May raise.
    fn deliver(&self, lua: Lua, event: Event) -> Result<c_int, Error> {
        match event {
            Event::Wait(_) | Event::Request(_) => Ok(0),
            Event::Done => {
                lua.push_bool(true);
                Ok(1)
            }
            Event::Body(length) => {
                let received = self.with(|exchange| std::mem::take(&mut exchange.received))?;
                let result = lua.try_push_bytes(received.get(..length).unwrap_or(&received));
                self.put_back(received, if result.is_ok() { length } else { 0 });
                result.map(|()| 1)
            }
            Event::Form(part) => form::deliver(self, lua, part),
            Event::Ended => {
                let status = self.refused.get();
                if status == 0 {
                    return Ok(0);
                }
                lua.push_nil();
                lua.push_str("request refused with status ");
                lua.push_integer(i64::from(status));
                lua.concat(2);
                Ok(2)
            }
            Event::Failed(failure) => {
                lua.push_nil();
                let prefix = match (self.goal.get(), self.phase.get()) {
                    (Goal::Request, Phase::Write) => "flush data: ",
                    (Goal::Request, Phase::Drain) => "discard body: ",
                    (Goal::Request, _) => "not a complete http request: ",
                    _ => "",
                };
                lua.push_str(prefix);
                match failure {
                    Failure::Reader => self.reader.push_error(lua),
                    Failure::Writer => self.writer.push_error(lua),
                    Failure::Text(text) => lua.push_str(text),
                }
                lua.concat(2);
                Ok(2)
            }
        }
    }

    /// Give back received bytes without the `used` first ones.
    pub fn put_back(&self, mut received: Vec<u8>, used: usize) {
        received.drain(..used.min(received.len()));
        // The request is still there: nothing ran in between that could end it.
        let _ = self.with(|exchange| exchange.received = received);
    }
}
