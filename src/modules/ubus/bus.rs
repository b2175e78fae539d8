//! A connection to the daemon: the protocol's core from the crate `ubus`, its socket, who waits for answers, and the
//! operation that its reading coroutine parks.
//!
//! Nothing of Lua is called while anything here is borrowed: what a message brings is copied first. So a finaliser may
//! come back at any time, even to close the connection.
//!
//! What is to be sent lies in a buffer until the reading coroutine has its next turn: then everything goes at once.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr, OsStr};
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use ubus::blobmsg::Table;
use ubus::message::{Attributes, MAX_RECEIVED};
use ubus::socket::Socket;
use ubus::{CallToken, Connection, Event, Handle, ReceiveBuffer, Request, Status};

use super::ask::{Ask, End};
use super::serve::Served;
use super::values;
use crate::abi::{Cause, Core, Host, Interest, Nanoseconds, Parked, Step};
use crate::functions;
use crate::lua::{ffi, field_method, method, Functions, Lua, Outcome, Returns, UserData};

const SECOND: Nanoseconds = 1_000_000_000;
/// How long the daemon may take for its hello.
const GREETING: Nanoseconds = 5 * SECOND;
/// The pause before something that the daemon did not take back after a reconnect is offered again.
const AGAIN: Nanoseconds = SECOND;
/// Messages, and reads, in one go until others have their turn.
const MESSAGES: u32 = 64;
const READS: u32 = 4;
/// Bytes that wait to be sent before others wait until there is room.
pub const CROWDED: usize = 1 << 20;

/// What the parts of one connection share.
pub struct Shared {
    pub core: Core,
    pub io: RefCell<Io>,
    /// The socket's number; -1 without one.
    fd: Cell<c_int>,
    /// Who waits, by request; those without one come first.
    asks: RefCell<Vec<(Option<Request>, *const Ask)>>,
    /// Operations that no call uses.
    pub spare: RefCell<Vec<*const Ask>>,
    /// The table of callbacks by handle, anchored in the registry.
    handlers: Cell<c_int>,
    /// Object ids by path, as looked up.
    known: RefCell<Vec<(Box<[u8]>, u32)>>,
    /// What the daemon did not take back after a reconnect.
    refused: RefCell<Vec<Handle>>,
}

/// Memory for copies of messages up to this is kept.
const KEEP: usize = 64 * 1024;

/// How many paths are remembered.
const KNOWN: usize = 32;

pub struct Io {
    pub connection: Connection,
    socket: Option<Socket>,
    received: ReceiveBuffer,
}

impl Shared {
    fn new(core: Core) -> Shared {
        Shared {
            core,
            io: RefCell::new(Io {
                connection: Connection::new(),
                socket: None,
                received: ReceiveBuffer::new(MAX_RECEIVED),
            }),
            fd: Cell::new(-1),
            asks: RefCell::default(),
            spare: RefCell::default(),
            handlers: Cell::new(ffi::LUA_NOREF),
            known: RefCell::default(),
            refused: RefCell::default(),
        }
    }

    pub fn is_closed(&self) -> bool {
        self.io.borrow().connection.is_closed()
    }

    pub fn is_crowded(&self) -> bool {
        self.io.borrow_mut().connection.output().len() > CROWDED
    }

    /// Pushes the table of callbacks; false, with nothing pushed, once it is gone. May raise.
    pub fn push_handlers(&self, lua: Lua) -> bool {
        let anchor = self.handlers.get();
        anchor != ffi::LUA_NOREF && {
            lua.push_reference(anchor);
            true
        }
    }

    /// Lists who waits for the end of a request, or without one for something else. False without memory.
    pub fn list(&self, request: Option<Request>, ask: &Ask) -> bool {
        let mut asks = self.asks.borrow_mut();
        if asks.try_reserve(1).is_err() {
            return false;
        }
        let place = asks.partition_point(|(other, _)| *other <= request);
        asks.insert(place, (request, ask));
        true
    }

    /// Takes it off the list.
    pub fn unlist(&self, request: Option<Request>, ask: &Ask) {
        let mut asks = self.asks.borrow_mut();
        let from = asks.partition_point(|(other, _)| *other < request);
        let found = asks[from..]
            .iter()
            .take_while(|(other, _)| *other == request)
            .position(|(_, other)| std::ptr::eq(*other, ask));
        if let Some(place) = found {
            asks.remove(from + place);
        }
    }

    fn waiting_for(&self, request: Request) -> Option<&Ask> {
        let asks = self.asks.borrow();
        let place = asks.binary_search_by(|(other, _)| other.cmp(&Some(request)));
        // SAFETY: whoever is listed takes itself off before it goes.
        place.ok().map(|place| unsafe { &*asks[place].1 })
    }

    /// The first who waits for no request, if it is for what `wanted` says.
    fn first_idle(&self, wanted: fn(&Ask) -> bool) -> Option<&Ask> {
        let asks = self.asks.borrow();
        let idle = asks.iter().take_while(|(request, _)| request.is_none());
        // SAFETY: as above.
        idle.map(|(_, ask)| unsafe { &**ask })
            .find(|ask| wanted(ask))
    }

    /// The id of an object, if it was looked up before.
    pub fn known(&self, path: &[u8]) -> Option<u32> {
        let known = self.known.borrow();
        let found = known.iter().find(|(other, _)| **other == *path);
        found.map(|(_, id)| *id)
    }

    pub fn remember(&self, path: &[u8], id: u32) {
        self.forget(path);
        let mut known = self.known.borrow_mut();
        if known.len() >= KNOWN {
            known.remove(0);
        }
        known.push((path.into(), id));
    }

    pub fn forget(&self, path: &[u8]) {
        self.known
            .borrow_mut()
            .retain(|(other, _)| **other != *path);
    }

    /// The daemon is gone, or with `closes` the connection is wanted no more: nobody waits for it any longer.
    fn end(&self, closes: bool) {
        let socket = {
            let io = &mut *self.io.borrow_mut();
            match closes {
                true => io.connection.close(),
                false => io.connection.lost(),
            };
            io.received.clear();
            io.socket.take()
        };
        let fd = self.fd.replace(-1);
        if fd >= 0 {
            self.core.fd_reset(fd);
        }
        drop(socket);
        self.known.borrow_mut().clear();
        self.refused.borrow_mut().clear();
        let asks = std::mem::take(&mut *self.asks.borrow_mut());
        for (_, ask) in &asks {
            // SAFETY: as in `waiting_for`.
            unsafe { &**ask }.end(End::Closed);
        }
    }
}

/// The context of a connection, as its coroutine knows it.
#[repr(C)]
pub struct Bus {
    parked: Parked,
    pub shared: Rc<Shared>,
    /// What it waits for.
    interest: Cell<Interest>,
    /// Name and data of the message at hand, and the descriptor that came with it.
    data: RefCell<Vec<u8>>,
    came: Cell<Option<OwnedFd>>,
}

/// The user value with the operations of calls.
pub const POOL: c_int = 1;

crate::operation!(Bus);

/// What a message brings for Lua; the name and the data are in `Bus::data`.
enum Found {
    /// No whole message is there.
    Nothing,
    /// It needs no Lua.
    Handled,
    /// It makes no sense.
    Broken,
    Ready,
    Call(Handle, CallToken),
    /// An event or a notification.
    Heard(Handle),
}

/// What a go came to.
enum Progress {
    /// Something for Lua was pushed.
    Done(c_int),
    Blocked(Interest),
    /// There is more, but it is the others' turn.
    Turn,
}

/// What the embedded Lua calls, with a connection's table.
pub const INTERNAL: Functions = functions! {
    next: field_method(Bus::next),
    reopen: field_method(Bus::reopen),
    close: field_method(Bus::close),
    hello: field_method(super::ask::hello),
    pause: field_method(super::ask::pause),
    find: field_method(super::ask::find),
    add: field_method(super::ask::add),
    finish: field_method(super::serve::finish),
};

impl UserData for Bus {
    const NAME: &'static CStr = c"eco.ubus.context";
    const METHODS: Functions = functions! {
        notify: method(super::ctx_notify),
        unsubscribe: method(super::ctx_unsubscribe),
    };

    fn finalise(&self, lua: Lua) {
        self.shared.core.forget(&self.parked);
        self.end(lua);
    }
}

/// `open(path)` -> context; or nothing, with true if it may go better soon.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    let path = lua.c_string(1)?;
    lua.push_table(0, 0);
    let anchor = lua.reference();
    lua.push_table(0, 0);
    let bus = lua.reserve::<Bus>(1, core.pointer()).fill(Bus {
        parked: Parked::new::<Bus>(),
        shared: Rc::new(Shared::new(core)),
        interest: Cell::new(Interest::READ),
        data: RefCell::default(),
        came: Cell::default(),
    });
    bus.shared.handlers.set(anchor);
    lua.insert(-2);
    lua.set_user_value(-2, POOL);
    match bus.connect(path) {
        Ok(()) => Ok(Returns(1)),
        Err(soon) => {
            bus.end(lua);
            lua.push_nil();
            lua.push_bool(soon);
            Ok(Returns(2))
        }
    }
}

impl Bus {
    /// Connects without waiting; an error tells whether to try again soon.
    fn connect(&self, path: &CStr) -> Result<(), bool> {
        let path = Path::new(OsStr::from_bytes(path.to_bytes()));
        let socket = Socket::connect(path, Some(Instant::now()))
            .map_err(|error| error.kind() == ErrorKind::TimedOut)?;
        let fd = socket.as_fd().as_raw_fd();
        self.shared.core.fd_reset(fd);
        self.shared.fd.set(fd);
        self.shared.io.borrow_mut().socket = Some(socket);
        Ok(())
    }

    /// `reopen(path)`: connects again, after the daemon was lost.
    fn reopen(lua: Lua, this: &Bus) -> Outcome {
        let path = lua.c_string(2)?;
        let waits = this.shared.io.borrow_mut().connection.reconnect().is_ok();
        lua.push_bool(waits && this.connect(path).is_ok());
        Ok(Returns(1))
    }

    /// `close()`
    fn close(lua: Lua, this: &Bus) -> Outcome {
        this.end(lua);
        Ok(Returns(0))
    }

    fn end(&self, lua: Lua) {
        let core = self.shared.core;
        if self.parked.is_held() {
            core.change_interest(&self.parked, -1, Interest::NONE);
        }
        self.shared.end(true);
        core.wake(&self.parked, Cause::WAKE);
        let anchor = self.shared.handlers.replace(ffi::LUA_NOREF);
        if anchor != ffi::LUA_NOREF {
            lua.unreference(anchor);
        }
    }

    /// Has what was written sent, when everybody who is ready has written.
    pub fn kick(&self) {
        self.shared.core.wake(&self.parked, Cause::TURN);
    }

    /// `next()`: waits for what is Lua's to do, and gives
    /// a call, the object's methods, the name of one, its arguments;
    /// nil, a callback, the name of an event or a notification, its data;
    /// nil, nil, true when the daemon has said hello; or nothing when it is gone.
    fn next(lua: Lua, this: &Bus) -> Outcome {
        let core = this.shared.core;
        core.check_idle(&this.parked, -1, Interest::NONE)?;
        lua.set_top(1);
        let (interest, turn) = match this.go(lua) {
            Progress::Done(count) => return Ok(Host::settle(core, lua, count)),
            Progress::Blocked(interest) => (interest, false),
            Progress::Turn => (Interest::READ, true),
        };
        this.interest.set(interest);
        let outcome = core.park(lua, this, this.shared.fd.get(), interest, this.limit());
        if turn {
            this.kick();
        }
        outcome
    }

    /// How long it may wait for the daemon.
    fn limit(&self) -> Nanoseconds {
        match self.shared.io.borrow().connection.is_open() {
            false => GREETING,
            true if !self.shared.refused.borrow().is_empty() => AGAIN,
            true => 0,
        }
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        if cause.has(Cause::TIMEOUT) {
            self.offer_again();
        }
        let core = self.shared.core;
        let before = self.limit();
        match self.go(lua) {
            Progress::Done(count) => return Step::Done(count),
            Progress::Turn => self.kick(),
            Progress::Blocked(interest) => {
                let fd = self.shared.fd.get();
                if self.interest.replace(interest) != interest
                    && core.change_interest(&self.parked, fd, interest) != 0
                {
                    self.lose();
                    return Step::Done(0);
                }
            }
        }
        if self.limit() != before || cause.has(Cause::TIMEOUT) {
            core.restart_timeout(&self.parked, self.limit());
        }
        Step::Pending
    }

    fn abandon(&self) {}

    /// The time is over: for the daemon's hello, or until what it refused is offered again.
    fn offer_again(&self) {
        if !self.shared.io.borrow().connection.is_open() {
            return self.lose();
        }
        let refused = std::mem::take(&mut *self.shared.refused.borrow_mut());
        for handle in refused {
            // It may have been removed meanwhile.
            let _ = self.shared.io.borrow_mut().connection.retry(handle);
        }
    }

    /// The daemon is gone.
    fn lose(&self) {
        if self.parked.is_held() {
            let core = self.shared.core;
            core.change_interest(&self.parked, -1, Interest::NONE);
        }
        self.shared.end(false);
    }

    /// Goes on until there is something for Lua, or nothing to do. May raise.
    fn go(&self, lua: Lua) -> Progress {
        let shared = &*self.shared;
        let mut reads = 0;
        for _ in 0..MESSAGES {
            if shared.fd.get() < 0 {
                return Progress::Done(0);
            }
            match self.take() {
                Found::Handled => continue,
                Found::Nothing => {}
                Found::Broken => {
                    self.lose();
                    return Progress::Done(0);
                }
                Found::Ready => {
                    if let Some(ask) = shared.first_idle(Ask::waits_for_hello) {
                        shared.unlist(None, ask);
                        ask.end(End::Status(Status::OK));
                    }
                    lua.push_nil();
                    lua.push_nil();
                    lua.push_bool(true);
                    return Progress::Done(3);
                }
                found => return self.push(lua, found),
            }
            let core = shared.core;
            let flushed = self.flush();
            if !flushed.is_ok_and(|_| reads < READS) {
                if flushed.is_ok() {
                    return Progress::Turn;
                }
                self.lose();
                return Progress::Done(0);
            }
            let interest = match flushed {
                Ok(true) => Interest::READ,
                _ => Interest::BOTH,
            };
            if !core.may_be_ready(shared.fd.get(), Interest::READ) {
                return Progress::Blocked(interest);
            }
            reads += 1;
            match self.receive() {
                Ok(true) => {}
                Ok(false) => {
                    core.drained(shared.fd.get(), Interest::READ);
                    return Progress::Blocked(interest);
                }
                Err(()) => {
                    self.lose();
                    return Progress::Done(0);
                }
            }
        }
        Progress::Turn
    }

    /// Sends what is to be sent; false if the socket takes no more for now.
    fn flush(&self) -> Result<bool, ()> {
        loop {
            let io = &mut *self.shared.io.borrow_mut();
            let output = io.connection.output();
            if output.len() > 0 {
                let socket = io.socket.as_mut().ok_or(())?;
                socket.send(output).map_err(|_| ())?;
                if output.len() > CROWDED / 2 {
                    return Ok(false);
                }
            }
            // There is room for those who waited for it.
            let empty = output.len() == 0;
            let Some(ask) = self.shared.first_idle(Ask::waits_for_room) else {
                return Ok(empty);
            };
            self.shared.unlist(None, ask);
            ask.begin(&mut io.connection);
        }
    }

    /// Reads once; false if nothing has come.
    fn receive(&self) -> Result<bool, ()> {
        let io = &mut *self.shared.io.borrow_mut();
        let socket = io.socket.as_mut().ok_or(())?;
        match socket.receive(&mut io.received) {
            Ok(0) => Err(()),
            Ok(_) => Ok(true),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => Ok(false),
                ErrorKind::Interrupted => Ok(true),
                _ => Err(()),
            },
        }
    }

    /// Takes the next message.
    fn take(&self) -> Found {
        let io = &mut *self.shared.io.borrow_mut();
        let event = match io.received.next() {
            Ok(None) => return Found::Nothing,
            Err(_) => return Found::Broken,
            Ok(Some(message)) => io.connection.handle(message),
        };
        match event {
            Err(_) => return Found::Broken,
            Ok(None) => {}
            Ok(Some(Event::Ready { .. })) => return Found::Ready,
            Ok(Some(Event::Data {
                request,
                attributes,
            })) => self.answered(request, &attributes),
            Ok(Some(Event::Done {
                request,
                status,
                fd,
            })) => {
                if let Some(ask) = self.shared.waiting_for(request) {
                    self.shared.unlist(Some(request), ask);
                    ask.done(&mut io.connection, status, fd);
                }
            }
            Ok(Some(Event::Call {
                handle,
                method,
                data,
                token,
                fd,
                ..
            })) => {
                self.copy(method, data);
                self.came.set(fd);
                return Found::Call(handle, token);
            }
            Ok(Some(Event::Event { handle, name, data })) => {
                self.copy(name, data);
                return Found::Heard(handle);
            }
            Ok(Some(Event::Notification {
                handle,
                method,
                data,
                token,
            })) => {
                // An answer of two attributes always fits.
                let _ = io.connection.finish(token, Status::OK);
                self.copy(method, data);
                return Found::Heard(handle);
            }
            Ok(Some(Event::Restored { handle, status })) if !status.is_ok() => {
                self.shared.refused.borrow_mut().push(handle);
            }
            Ok(Some(_)) => {}
        }
        Found::Handled
    }

    fn answered(&self, request: Request, attributes: &Attributes<'_>) {
        if let Some(ask) = self.shared.waiting_for(request) {
            ask.add(attributes);
        }
    }

    /// Keeps the name and the data of a message, with the length of the name before them.
    fn copy(&self, name: &[u8], data: Table<'_>) {
        let mut copy = self.data.borrow_mut();
        copy.clear();
        copy.shrink_to(KEEP);
        copy.extend_from_slice(&(name.len() as u32).to_ne_bytes());
        copy.extend_from_slice(name);
        copy.extend_from_slice(data.as_bytes());
    }

    /// Pushes what a message brings. May raise.
    fn push(&self, lua: Lua, found: Found) -> Progress {
        let (handle, token) = match found {
            Found::Call(handle, token) => (handle, Some(token)),
            Found::Heard(handle) => (handle, None),
            _ => return Progress::Turn,
        };
        let copy = std::ptr::from_ref(&**self.data.borrow());
        // SAFETY: only the coroutine that is waited for here takes messages, so the copy does not change meanwhile.
        let (name, data) = split(unsafe { &*copy });
        match token {
            Some(token) => {
                let slot = lua.reserve::<Served>(0, self.shared.core.pointer());
                slot.fill(Served::new(&self.shared, Some(token), self.came.take()));
            }
            None => lua.push_nil(),
        }
        if self.shared.push_handlers(lua) {
            lua.raw_get_index(-1, handle.number() as i64);
            lua.remove(-2);
        } else {
            lua.push_nil();
        }
        lua.push_bytes(name);
        values::push_table(lua, Table::new(data));
        Progress::Done(4)
    }
}

/// The name and the data that [`Bus::copy`] has put together.
fn split(copy: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = copy.split_first_chunk() else {
        return (b"", b"");
    };
    let length = u32::from_ne_bytes(*length) as usize;
    rest.split_at_checked(length).unwrap_or_default()
}
