//! Calls that wait for an answer, or until there is room to send: each is an operation that its coroutine parks.
//!
//! They are used again, and kept by a table beside the connection's context. All of them end by a wake-up of the
//! connection's reading coroutine, which finds them in the list of [`Shared`].
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};
use std::os::fd::{IntoRawFd, OwnedFd};
use std::rc::Rc;

use ubus::blobmsg::{Builder, Table, TableBuf};
use ubus::message::Attributes;
use ubus::{CallToken, Connection, Handle, Request, RequestError, Status};

use super::bus::{Bus, Shared, POOL};
use super::serve::{duplicate, served, Served};
use super::values::{self, Problem};
use crate::abi::{Cause, Host, Interest, Nanoseconds, Parked, Step};
use crate::lua::{ffi, Error, Functions, Lua, Outcome, Returns, UserData};

/// Memory of a call up to this is kept for the next.
const KEEP: usize = 4096;
/// The most bytes of answers that one call keeps.
const MOST: usize = 16 << 20;
/// How long a call may take unless the script says otherwise; and everything else that waits for the daemon.
const LIMIT: Nanoseconds = 30_000_000_000;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// The daemon's hello.
    Hello,
    /// Only time, unless the connection is closed meanwhile.
    Pause,
    /// The results of a method.
    Call,
    /// The same, and the descriptor that came with them.
    CallFd,
    /// The id of an object.
    Find,
    /// Paths and ids of all objects.
    Objects,
    /// The methods of an object.
    Signatures,
    /// That the daemon has taken an event.
    Send,
    /// An object of ours.
    Add,
    Listen,
    Subscribe {
        auto: bool,
    },
    Unsubscribe,
    /// To send a notification.
    Notify,
    /// To send a part of the result of a call.
    Reply,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has been sent.
    Room,
    /// The object is looked up.
    Lookup,
    /// An object that was known is called.
    Known,
    /// That did not find it, or found nothing: which one is it now?
    Again,
    /// The last request is under way.
    Asked,
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    Status(Status),
    /// The daemon does not know the object.
    NotFound,
    /// There is no connection.
    Lost,
    Closed,
    TooLong,
}

/// One call that waits.
#[repr(C)]
pub struct Ask {
    parked: Parked,
    shared: Rc<Shared>,
    /// Whether a call uses it.
    is_used: Cell<bool>,
    goal: Cell<Goal>,
    stage: Cell<Stage>,
    end: Cell<Option<End>>,
    request: Cell<Option<Request>>,
    /// The object called or found, or what is being made, removed or notified.
    id: Cell<Option<u32>>,
    /// The number under which it was known, but not found.
    before: Cell<Option<u32>>,
    /// Whose result a part is.
    call: Cell<Option<CallToken>>,
    handle: Cell<Option<Handle>>,
    /// Path of an object, pattern, name of an event.
    path: RefCell<Vec<u8>>,
    method: RefCell<Vec<u8>>,
    params: RefCell<TableBuf>,
    /// Where those are made.
    builder: RefCell<Builder>,
    /// The answers so far, each with its length before it.
    data: RefCell<Vec<u8>>,
    fd: Cell<Option<OwnedFd>>,
}

crate::operation!(Ask);

impl UserData for Ask {
    const NAME: &'static CStr = c"eco.ubus.wait";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _: Lua) {
        self.shared.core.forget(&self.parked);
        self.give_up();
    }
}

/// What `add` and `subscribe` give.
pub struct Entry {
    shared: Rc<Shared>,
    handle: Handle,
    is_object: bool,
}

impl UserData for Entry {
    const NAME: &'static CStr = c"eco.ubus.handle";
    const METHODS: Functions = Functions::NONE;
}

impl Ask {
    /// One for a call: a spare one if possible. The pool of the connection, in slot 1, keeps it.
    fn take<'a>(lua: &'a Lua, bus: &Bus, goal: Goal) -> &'a Ask {
        let spare = bus.shared.spare.borrow_mut().pop();
        // SAFETY: the pool keeps what it has made, as long as the connection's context is there, and that is in slot 1.
        let ask = spare.map_or_else(|| Ask::make(lua, bus), |spare| unsafe { &*spare });
        ask.is_used.set(true);
        ask.goal.set(goal);
        ask.stage.set(Stage::Room);
        ask.end.set(None);
        ask.id.set(None);
        ask.before.set(None);
        ask.handle.set(None);
        ask
    }

    fn make<'a>(lua: &'a Lua, bus: &Bus) -> &'a Ask {
        lua.get_user_value(1, POOL);
        let slot = lua.reserve::<Ask>(0, bus.shared.core.pointer());
        let ask = slot.fill(Ask {
            parked: Parked::new::<Ask>(),
            shared: Rc::clone(&bus.shared),
            is_used: Cell::new(false),
            goal: Cell::new(Goal::Pause),
            stage: Cell::new(Stage::Room),
            end: Cell::new(None),
            request: Cell::new(None),
            id: Cell::new(None),
            before: Cell::new(None),
            call: Cell::default(),
            handle: Cell::new(None),
            path: RefCell::default(),
            method: RefCell::default(),
            params: RefCell::default(),
            builder: RefCell::default(),
            data: RefCell::default(),
            fd: Cell::new(None),
        });
        lua.raw_set_index(-2, lua.raw_len(-2) as i64 + 1);
        lua.pop(1);
        ask
    }

    /// The call has ended: the next one may use it. What has grown large is given back.
    fn release(&self) {
        if !self.is_used.replace(false) {
            return;
        }
        for memory in [&self.path, &self.method, &self.data] {
            let mut memory = memory.borrow_mut();
            memory.clear();
            memory.shrink_to(KEEP);
        }
        if self.params.borrow().as_table().as_bytes().len() > KEEP {
            self.params.take();
        }
        self.call.set(None);
        drop(self.fd.take());
        let mut spare = self.shared.spare.borrow_mut();
        if spare.try_reserve(1).is_ok() {
            spare.push(self);
        }
    }

    /// Makes parameters of the table at an index; or tells how the call ends, and is over. May raise.
    fn encode(&self, lua: Lua, index: c_int) -> Result<Option<Returns>, Error> {
        let memory = self.params.take().into_bytes();
        *self.builder.borrow_mut() = Builder::reusing(memory);
        let written = values::encode(lua, index, &self.builder);
        let finished = self.builder.take().finish();
        match written.and_then(|()| Ok(finished?)) {
            Ok(params) => {
                *self.params.borrow_mut() = params;
                Ok(None)
            }
            Err(problem) => {
                self.release();
                problem.end(lua).map(Some)
            }
        }
    }

    pub fn waits_for_hello(&self) -> bool {
        self.goal.get() == Goal::Hello
    }

    pub fn waits_for_room(&self) -> bool {
        self.stage.get() == Stage::Room && !matches!(self.goal.get(), Goal::Hello | Goal::Pause)
    }

    /// Names what it is about: a path, a pattern or an event.
    fn name(&self, name: &[u8]) {
        self.path.borrow_mut().extend_from_slice(name);
    }

    /// Starts, or waits until there is room or the end; the last act of a call. May raise.
    fn start(&self, lua: Lua, bus: &Bus, timeout: Nanoseconds) -> Outcome {
        let shared = &*self.shared;
        if shared.is_crowded() || matches!(self.goal.get(), Goal::Hello | Goal::Pause) {
            self.enlist(None);
        } else {
            self.begin(&mut shared.io.borrow_mut().connection);
            bus.kick();
        }
        self.park(lua, timeout)
    }

    /// The same where the first message is on its way. May raise.
    fn wait(&self, lua: Lua, bus: &Bus, timeout: Nanoseconds) -> Outcome {
        bus.kick();
        self.park(lua, timeout)
    }

    fn park(&self, lua: Lua, timeout: Nanoseconds) -> Outcome {
        let core = self.shared.core;
        if self.end.get().is_some() {
            let count = self.push_results(lua);
            self.release();
            return Ok(Host::settle(core, lua, count));
        }
        let outcome = core.park(lua, self, -1, Interest::NONE, timeout);
        if !matches!(outcome, Ok(Returns::YIELD)) {
            self.abandon();
        }
        outcome
    }

    /// Sends the first message.
    pub fn begin(&self, connection: &mut Connection) {
        let (path, params) = (self.path.borrow(), self.params.borrow());
        let params = params.as_table();
        self.stage.set(Stage::Asked);
        let request = match self.goal.get() {
            Goal::Call | Goal::CallFd => match self.shared.known(&path) {
                Some(id) if self.goal.get() == Goal::Call => {
                    self.stage.set(Stage::Known);
                    self.id.set(Some(id));
                    connection.invoke(id, &self.method.borrow(), params)
                }
                _ => {
                    self.stage.set(Stage::Lookup);
                    connection.lookup(Some(&path))
                }
            },
            Goal::Find | Goal::Signatures => connection.lookup(Some(&path)),
            Goal::Objects => connection.lookup(None),
            Goal::Send => connection.send_event(&path, params),
            Goal::Notify => match self.handle.get() {
                // Nobody hears of it while the daemon is away.
                Some(handle) => {
                    let sent = connection.notify(handle, &self.method.borrow(), params);
                    return self.sent(sent, true);
                }
                None => Err(RequestError::UnknownHandle),
            },
            Goal::Reply => {
                let call = self.call.take();
                let sent = call.map_or(Err(RequestError::UnknownRequest), |call| {
                    connection.reply(&call, params)
                });
                return self.sent(sent, false);
            }
            // These have their requests already.
            _ => return,
        };
        self.asked(request);
    }

    /// A message without an answer was written, or was not.
    fn sent(&self, result: Result<(), RequestError>, when_lost: bool) {
        self.end(match result {
            Ok(()) => End::Status(Status::OK),
            Err(RequestError::Build(_)) => End::TooLong,
            Err(_) if when_lost => End::Status(Status::OK),
            Err(_) => End::Lost,
        });
    }

    /// A request was made, or was not.
    fn asked(&self, request: Result<Request, RequestError>) {
        match request {
            Ok(request) => {
                self.request.set(Some(request));
                self.enlist(Some(request));
            }
            Err(RequestError::NotConnected | RequestError::Closed) => self.end(End::Lost),
            Err(_) => self.end(End::Status(Status::INVALID_ARGUMENT)),
        }
    }

    fn enlist(&self, request: Option<Request>) {
        if !self.shared.list(request, self) {
            self.end(End::Status(Status::NO_MEMORY));
        }
    }

    /// It has ended; its coroutine goes on when its turn comes.
    pub fn end(&self, end: End) {
        self.request.set(None);
        self.end.set(Some(end));
        self.shared.core.wake(&self.parked, Cause::WAKE);
    }

    /// A part of the answer.
    pub fn add(&self, attributes: &Attributes<'_>) {
        match (self.goal.get(), self.stage.get()) {
            (Goal::Find, _) | (_, Stage::Lookup | Stage::Again) => {
                // Of several, found by a path that ends in `*`, one is as good as another.
                self.id.set(attributes.object.or(self.id.get()));
            }
            (Goal::Call | Goal::CallFd, _) => {
                if let Some(data) = attributes.data {
                    self.keep(data.as_bytes(), &[]);
                }
            }
            (Goal::Objects, _) => {
                if let (Some(id), Some(path)) = (attributes.object, attributes.path) {
                    self.keep(&id.to_ne_bytes(), path);
                }
            }
            (Goal::Signatures, _) => {
                self.data.borrow_mut().clear();
                let methods = attributes.signature.unwrap_or_default();
                self.keep(methods.as_bytes(), &[]);
            }
            _ => {}
        }
    }

    /// Keeps two pieces as one. What is too much ends with the answer.
    fn keep(&self, first: &[u8], second: &[u8]) {
        let mut data = self.data.borrow_mut();
        let length = first.len() + second.len();
        let fits = data.len() + length < MOST && data.try_reserve(4 + length).is_ok();
        if !fits {
            *data = Vec::new();
            self.stage.set(Stage::Room);
        }
        if self.stage.get() != Stage::Room {
            data.extend_from_slice(&(length as u32).to_ne_bytes());
            data.extend_from_slice(first);
            data.extend_from_slice(second);
        }
    }

    /// The end of a request: the next one is made, or that was it.
    pub fn done(&self, connection: &mut Connection, status: Status, fd: Option<OwnedFd>) {
        self.request.set(None);
        match self.stage.get() {
            // Its answers were too much.
            Stage::Room => return self.end(End::TooLong),
            Stage::Known if status == Status::NOT_FOUND => {
                self.shared.forget(&self.path.borrow());
                self.stage.set(Stage::Again);
                // If it has answered so itself, it is found under the same number.
                self.before.set(self.id.take());
                return self.asked(connection.lookup(Some(&self.path.borrow())));
            }
            Stage::Lookup | Stage::Again => {
                let found = self.id.get().filter(|_| status.is_ok());
                let Some(id) = found else {
                    return self.end(End::NotFound);
                };
                if self.before.get() == Some(id) {
                    return self.end(End::Status(Status::NOT_FOUND));
                }
                let path = self.path.borrow();
                if path.last() != Some(&b'*') {
                    self.shared.remember(&path, id);
                }
                self.stage.set(Stage::Asked);
                let (method, params) = (self.method.borrow(), self.params.borrow());
                let params = params.as_table();
                return self.asked(match self.fd.take() {
                    Some(fd) => connection.invoke_with_fd(id, &method, params, fd),
                    None => connection.invoke(id, &method, params),
                });
            }
            Stage::Asked if self.goal.get() == Goal::Find && self.id.get().is_none() => {
                return self.end(End::NotFound);
            }
            Stage::Known | Stage::Asked => {}
        }
        self.fd.set(fd);
        self.end(End::Status(status));
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        if self.end.get().is_some() {
            let count = self.push_results(lua);
            self.release();
            return Step::Done(count);
        }
        if !cause.has(Cause::TIMEOUT) && !cause.has(Cause::CANCEL) {
            return Step::Pending;
        }
        self.give_up();
        lua.push_nil();
        lua.push_str(match self.goal.get() {
            _ if cause.has(Cause::CANCEL) => "canceled",
            Goal::Call | Goal::CallFd => "timeout",
            _ => "Request timed out",
        });
        self.release();
        Step::Done(2)
    }

    fn abandon(&self) {
        self.give_up();
        self.release();
    }

    /// Nobody waits for it any more.
    fn give_up(&self) {
        let request = self.request.take();
        self.shared.unlist(request, self);
        if let Some(request) = request {
            if let Ok(mut io) = self.shared.io.try_borrow_mut() {
                io.connection.cancel(request);
            }
        }
    }

    /// Pushes what the call gives. May raise.
    fn push_results(&self, lua: Lua) -> c_int {
        match self.end.get() {
            Some(End::Status(Status::OK)) => self.push_success(lua),
            end => self.push_failure(lua, end),
        }
    }

    fn push_success(&self, lua: Lua) -> c_int {
        let data = std::ptr::from_ref(&**self.data.borrow());
        // SAFETY: nobody changes the data of a call that has ended before it is released, and that comes later.
        let data = unsafe { &*data };
        match self.goal.get() {
            goal @ (Goal::Call | Goal::CallFd) => {
                let mut count = 0;
                if goal == Goal::CallFd {
                    push_fd(lua, &self.fd);
                    count += 1;
                }
                for part in Parts(data) {
                    // What there is no room for on the stack is left out.
                    if !lua.ensure(20) {
                        break;
                    }
                    values::push_table(lua, Table::new(part));
                    count += 1;
                }
                if data.is_empty() {
                    lua.push_table(0, 0);
                    count += 1;
                }
                return count;
            }
            Goal::Objects => {
                lua.push_table(0, 0);
                for part in Parts(data) {
                    if let Some((id, path)) = part.split_first_chunk() {
                        lua.push_bytes(path);
                        lua.raw_set_index(-2, u32::from_ne_bytes(*id).into());
                    }
                }
            }
            Goal::Signatures => {
                let methods = Parts(data).last().unwrap_or_default();
                values::push_signature(lua, Table::new(methods));
            }
            goal @ (Goal::Add | Goal::Subscribe { .. }) => {
                let Some(handle) = self.handle.get() else {
                    return 0;
                };
                let slot = lua.reserve::<Entry>(0, self.shared.core.pointer());
                slot.fill(Entry {
                    shared: Rc::clone(&self.shared),
                    handle,
                    is_object: goal == Goal::Add,
                });
            }
            Goal::Find => lua.push_integer(self.id.get().unwrap_or_default().into()),
            _ => lua.push_bool(true),
        }
        1
    }

    fn push_failure(&self, lua: Lua, end: Option<End>) -> c_int {
        // What did not come to be has no callback.
        if let (Goal::Add | Goal::Listen | Goal::Subscribe { .. }, Some(handle)) =
            (self.goal.get(), self.handle.get())
        {
            set_handler(lua, &self.shared, handle, None);
        }
        lua.push_nil();
        match (end, self.goal.get()) {
            (Some(End::Closed), _) => lua.push_str("closed"),
            (Some(End::TooLong), _) => lua.push_str("msg too long"),
            (Some(End::NotFound), _) | (Some(End::Lost), Goal::Call | Goal::CallFd) => {
                lua.push_str("not found");
            }
            (Some(End::Lost | End::Status(Status::NOT_FOUND)), Goal::Subscribe { auto: false }) => {
                lua.push_str("not found")
            }
            (_, Goal::Reply) => super::push_status(lua, Status::NO_DATA.0.into()),
            (Some(End::Status(status)), _) => super::push_status(lua, status.0.into()),
            _ => super::push_status(lua, Status::INVALID_ARGUMENT.0.into()),
        }
        2
    }
}

/// Pushes a descriptor that is the script's from now on, or false.
pub fn push_fd(lua: Lua, fd: &Cell<Option<OwnedFd>>) {
    match fd.take() {
        Some(fd) => lua.push_integer(fd.into_raw_fd().into()),
        None => lua.push_bool(false),
    }
}

/// The pieces that [`Ask::keep`] has kept.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (part, rest) = rest.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
        self.0 = rest;
        Some(part)
    }
}

/// Sets what is called for a handle: the value at an index, or nothing. May raise for a new handle.
fn set_handler(lua: Lua, shared: &Shared, handle: Handle, index: Option<c_int>) {
    if shared.push_handlers(lua) {
        match index {
            Some(index) => lua.push_value(index),
            None => lua.push_nil(),
        }
        lua.raw_set_index(-2, handle.number() as i64);
        lua.pop(1);
    }
}

impl Problem {
    /// Ends a call: raises, or gives nil and a message.
    fn end(self, lua: Lua) -> Outcome {
        match self {
            Problem::Raised(error) => Err(error),
            Problem::TooLong => lua.fail("msg too long"),
            Problem::Invalid => lua.fail("Invalid argument"),
        }
    }
}

/// Checks that the argument is a table or nothing.
fn expect_params(lua: Lua, index: c_int) -> Result<(), Error> {
    match lua.is_none_or_nil(index) {
        true => Ok(()),
        false => lua.expect(index, ffi::LUA_TTABLE),
    }
}

/// `hello()`: waits for the daemon's.
pub fn hello(lua: Lua, bus: &Bus) -> Outcome {
    if bus.shared.io.borrow().connection.is_open() {
        lua.push_bool(true);
        return Ok(Returns(1));
    }
    Ask::take(&lua, bus, Goal::Hello).start(lua, bus, 0)
}

/// `pause(seconds)`: waits, unless the connection is closed meanwhile.
pub fn pause(lua: Lua, bus: &Bus) -> Outcome {
    let time = bus.shared.core.timeout(lua, 2);
    Ask::take(&lua, bus, Goal::Pause).start(lua, bus, time)
}

/// `find(path)`: the id of an object.
pub fn find(lua: Lua, bus: &Bus) -> Outcome {
    named(lua, bus, Goal::Find)
}

/// `signatures(path)`
pub fn signatures(lua: Lua, bus: &Bus) -> Outcome {
    named(lua, bus, Goal::Signatures)
}

fn named(lua: Lua, bus: &Bus, goal: Goal) -> Outcome {
    let name = lua.string(2)?;
    let ask = Ask::take(&lua, bus, goal);
    ask.name(name);
    ask.start(lua, bus, LIMIT)
}

/// `objects()`
pub fn objects(lua: Lua, bus: &Bus) -> Outcome {
    Ask::take(&lua, bus, Goal::Objects).start(lua, bus, LIMIT)
}

/// `call(object, method [, params [, timeout]])`
pub fn call(lua: Lua, bus: &Bus) -> Outcome {
    invoke(lua, bus, Goal::Call)
}

/// `call_fd(object, method [, params [, timeout [, fd]]])`: gives a descriptor or false before the results.
pub fn call_fd(lua: Lua, bus: &Bus) -> Outcome {
    invoke(lua, bus, Goal::CallFd)
}

fn invoke(lua: Lua, bus: &Bus, goal: Goal) -> Outcome {
    let (object, method) = (lua.string(2)?, lua.string(3)?);
    lua.set_top(6);
    let timeout = match lua.type_of(5) {
        ffi::LUA_TNIL => LIMIT,
        ffi::LUA_TBOOLEAN if !lua.to_bool(5) => 0,
        _ => {
            lua.number(5)?;
            bus.shared.core.timeout(lua, 5)
        }
    };
    let fd = match goal == Goal::CallFd && !lua.is_none_or_nil(6) {
        true => Some(lua.int(6)?),
        false => None,
    };
    expect_params(lua, 4)?;
    let ask = Ask::take(&lua, bus, goal);
    if let Some(fd) = fd {
        match duplicate(fd) {
            Ok(copy) => ask.fd.set(Some(copy)),
            Err(error) => {
                ask.release();
                return Err(error);
            }
        }
    }
    if let Some(failed) = ask.encode(lua, 4)? {
        return Ok(failed);
    }
    ask.name(object);
    ask.method.borrow_mut().extend_from_slice(method);
    ask.start(lua, bus, timeout)
}

/// `send(event [, params])`
pub fn send(lua: Lua, bus: &Bus) -> Outcome {
    let name = lua.string(2)?;
    lua.set_top(3);
    expect_params(lua, 3)?;
    let ask = Ask::take(&lua, bus, Goal::Send);
    if let Some(failed) = ask.encode(lua, 3)? {
        return Ok(failed);
    }
    ask.name(name);
    ask.start(lua, bus, LIMIT)
}

/// `notify(handle, method [, params])`
pub fn notify(lua: Lua, bus: &Bus) -> Outcome {
    let method = lua.string(3)?;
    lua.set_top(4);
    if lua.type_of(2) != ffi::LUA_TUSERDATA {
        return Err(Error::wrong_type(2, c"userdata"));
    }
    let entry = lua.userdata::<Entry>(2);
    let Some(entry) = entry.filter(|it| it.is_object && Rc::ptr_eq(&it.shared, &bus.shared)) else {
        return lua.fail("invalid object");
    };
    expect_params(lua, 4)?;
    let ask = Ask::take(&lua, bus, Goal::Notify);
    if let Some(failed) = ask.encode(lua, 4)? {
        return Ok(failed);
    }
    ask.method.borrow_mut().extend_from_slice(method);
    ask.handle.set(Some(entry.handle));
    ask.start(lua, bus, 0)
}

/// `reply(request [, message])`
pub fn reply(lua: Lua, bus: &Bus) -> Outcome {
    let call = served(&lua, 2)?;
    lua.set_top(3);
    expect_params(lua, 3)?;
    let ask = Ask::take(&lua, bus, Goal::Reply);
    if let Some(failed) = ask.encode(lua, 3)? {
        return Ok(failed);
    }
    let call = call.filter(|it| Rc::ptr_eq(&it.shared, &bus.shared));
    ask.call.set(call.and_then(Served::token));
    ask.start(lua, bus, 0)
}

/// `listen(pattern, callback)`
pub fn listen(lua: Lua, bus: &Bus) -> Outcome {
    let pattern = lua.string(2)?;
    lua.expect(3, ffi::LUA_TFUNCTION)?;
    make(lua, bus, Goal::Listen, |connection| {
        connection.listen(pattern)
    })
}

/// `subscribe(path, callback [, auto])`
pub fn subscribe(lua: Lua, bus: &Bus) -> Outcome {
    let path = lua.string(2)?;
    lua.expect(3, ffi::LUA_TFUNCTION)?;
    let auto = lua.to_bool(4);
    make(lua, bus, Goal::Subscribe { auto }, |connection| {
        connection.subscribe(path, auto)
    })
}

/// `add(path, methods)`, with what the methods are checked before.
pub fn add(lua: Lua, bus: &Bus) -> Outcome {
    let path = lua.string(2)?;
    lua.expect(3, ffi::LUA_TTABLE)?;
    let ask = Ask::take(&lua, bus, Goal::Add);
    let signature = match values::encode_signature(lua, 3) {
        Ok(signature) => signature,
        Err(problem) => {
            ask.release();
            return problem.end(lua);
        }
    };
    made(lua, bus, ask, move |connection| {
        connection.add(Some(path), signature)
    })
}

fn make(
    lua: Lua,
    bus: &Bus,
    goal: Goal,
    make: impl FnOnce(&mut Connection) -> Result<(Handle, Request), RequestError>,
) -> Outcome {
    let ask = Ask::take(&lua, bus, goal);
    made(lua, bus, ask, make)
}

/// Makes something of ours; argument 3 is its callback.
fn made(
    lua: Lua,
    bus: &Bus,
    ask: &Ask,
    make: impl FnOnce(&mut Connection) -> Result<(Handle, Request), RequestError>,
) -> Outcome {
    let made = make(&mut bus.shared.io.borrow_mut().connection);
    ask.stage.set(Stage::Asked);
    if let Ok((handle, request)) = made {
        ask.handle.set(Some(handle));
        ask.asked(Ok(request));
        set_handler(lua, &bus.shared, handle, Some(3));
    } else {
        ask.asked(made.map(|(_, request)| request));
    }
    ask.wait(lua, bus, LIMIT)
}

/// `unsubscribe(handle)`
pub fn unsubscribe(lua: Lua, bus: &Bus) -> Outcome {
    let entry = lua.userdata::<Entry>(2);
    let Some(entry) = entry.filter(|it| !it.is_object && Rc::ptr_eq(&it.shared, &bus.shared))
    else {
        return lua.fail("not found");
    };
    let ask = Ask::take(&lua, bus, Goal::Unsubscribe);
    let (ended, removed) = {
        let connection = &mut bus.shared.io.borrow_mut().connection;
        (
            connection.has_ended(entry.handle),
            connection.remove(entry.handle),
        )
    };
    set_handler(lua, &bus.shared, entry.handle, None);
    ask.stage.set(Stage::Asked);
    match removed {
        Err(RequestError::UnknownHandle | RequestError::Closed) => {
            ask.release();
            return lua.fail("not found");
        }
        Ok(Some(request)) => ask.asked(Ok(request)),
        // The daemon does not know of it.
        _ => ask.end(End::Status(Status::OK)),
    }
    if ended {
        ask.abandon();
        bus.kick();
        return lua.fail("invalid subscriber");
    }
    ask.wait(lua, bus, LIMIT)
}
