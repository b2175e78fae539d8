//! A client's side of the protocol over one connection after the other: what
//! coroutines wait on for packets, and what writes packets.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};
use std::rc::Rc;

use super::{flush, properties, publish, receive};
use crate::abi::attempt::{Attempt, End, Try, Waiting};
use crate::abi::{
    monotonic, Alarm, Cause, Clock, Core, Interest, Nanoseconds, Reader, Transfer, Writer,
};
use crate::functions;
use crate::lua::{duration, method, Functions, Lua, Outcome, Returns, UserData};
use crate::mqtt::outbox::Outbox;
use crate::mqtt::session::{Limits, Session};
use crate::mqtt::write::{packet, Refused};
use crate::mqtt::{Version, PINGREQ, PUBACK, PUBCOMP, PUBREL};

/// User values: what keeps reader and writer alive.
const READER: c_int = 1;
const WRITER: c_int = 2;

/// Acknowledgements of that many bytes are not held back for more.
pub const GATHERED: usize = 4096;

/// From this many bytes that the stream does not take, senders wait.
const MUCH: usize = 16384;

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// There is none.
    Idle,
    /// CONNACK has not come.
    Greeting,
    Open,
    /// The server refused, and is to close.
    Refused,
}

/// Why a connection ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    Text(&'static str),
    /// The same behind the word that it is the network's.
    Network(&'static str),
    /// The reader, the writer has the text.
    Reader,
    Writer,
    /// The reader has it, in the middle of a packet.
    Inside,
}

/// What writing came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Written {
    All,
    Blocked(Interest),
    Failed,
}

/// What reading and writing have in common.
pub struct Shared {
    pub core: Core,
    pub session: RefCell<Session>,
    pub outbox: RefCell<Outbox>,
    /// The bytes of properties, while a packet is put together.
    pub scratch: RefCell<Vec<u8>>,
    pub writer: Cell<Option<Writer>>,
    /// A coroutine writes what the stream did not take at once.
    pub flushing: Cell<bool>,
    pub last_sent: Cell<Nanoseconds>,
    /// Topics that aliases stand for in what we send, and how many may be.
    pub aliases: RefCell<Vec<Vec<u8>>>,
    pub most_aliases: Cell<usize>,
}

/// A link, as something coroutines wait on for packets.
#[repr(C)]
pub struct Link {
    pub waiting: Waiting,
    alarm: Alarm,
    pub shared: Rc<Shared>,
    pub reader: Cell<Option<Reader>>,
    /// What a script fed, where there is no reader.
    pub inbox: RefCell<Vec<u8>>,
    pub phase: Cell<Phase>,
    pub failure: Cell<Option<Failure>>,
    /// No more will be fed.
    pub ended: Cell<bool>,
    /// A part of a packet is there.
    pub inside: Cell<bool>,
    /// How many messages the server takes at once.
    pub window: Cell<u16>,
    /// Packets larger than this end the connection.
    pub largest: Cell<usize>,
    /// Topics that aliases stand for in what the server sends.
    pub known: RefCell<Vec<Option<Rc<Vec<u8>>>>>,
    pub most_known: Cell<usize>,
    keepalive: Cell<Nanoseconds>,
    /// How long an answer to PINGREQ may take.
    patience: Cell<Nanoseconds>,
    /// When the answer to CONNECT or PINGREQ must be there; 0 if none is due.
    deadline: Cell<Nanoseconds>,
}

crate::attempt!(Link);
crate::alarm!(Link);

/// `link(version, window, kept, bytes, incoming)` -> link.
pub fn new(lua: Lua) -> Outcome {
    let version = match lua.within(1, 4, 5)? {
        4 => Version::V4,
        _ => Version::V5,
    };
    let limits = Limits {
        window: lua.within(2, 1, 65535)? as u16,
        kept: lua.within(3, 1, 65535)? as usize,
        bytes: lua.within(4, 1, i64::from(u32::MAX >> 1))? as usize,
        incoming: lua.within(5, 1, 65535)? as u16,
    };
    let core = Core::of(lua);
    let slot = lua.reserve::<Link>(2, core.pointer());
    slot.fill(Link {
        waiting: Waiting::new::<Link>(core),
        alarm: Alarm::new(),
        shared: Rc::new(Shared {
            core,
            session: RefCell::new(Session::new(version, limits)),
            outbox: RefCell::default(),
            scratch: RefCell::default(),
            writer: Cell::new(None),
            flushing: Cell::new(false),
            last_sent: Cell::new(0),
            aliases: RefCell::default(),
            most_aliases: Cell::new(0),
        }),
        reader: Cell::new(None),
        inbox: RefCell::default(),
        phase: Cell::new(Phase::Idle),
        failure: Cell::new(None),
        ended: Cell::new(false),
        inside: Cell::new(false),
        window: Cell::new(u16::MAX),
        largest: Cell::new(usize::MAX),
        known: RefCell::default(),
        most_known: Cell::new(0),
        keepalive: Cell::new(0),
        patience: Cell::new(0),
        deadline: Cell::new(0),
    });
    Ok(Returns(1))
}

impl Shared {
    /// Writes what is on its way out, as far as the stream takes it.
    pub fn write(&self) -> Written {
        let Some(writer) = self.writer.get() else {
            // A script takes it.
            return Written::All;
        };
        let mut outbox = self.outbox.borrow_mut();
        while !outbox.front().is_empty() {
            match writer.send(outbox.front()) {
                Transfer::Moved(count) => {
                    outbox.advance(count);
                    self.last_sent.set(monotonic());
                }
                Transfer::Blocked(direction) => {
                    outbox.block();
                    return Written::Blocked(direction);
                }
                Transfer::Failed => {
                    outbox.clear();
                    return Written::Failed;
                }
            }
        }
        Written::All
    }

    /// The same, unless another coroutine is at it.
    pub fn write_now(&self) -> Written {
        if self.flushing.get() {
            return Written::All;
        }
        self.write()
    }

    /// True when somebody has to see to what waits.
    pub fn is_stuck(&self) -> bool {
        !self.flushing.get() && self.outbox.borrow().len() > 0
    }

    /// Pushes why writing failed. May raise.
    pub fn push_write_error(&self, lua: Lua) {
        match self.writer.get() {
            Some(writer) => writer.push_error(lua),
            None => lua.push_str("closed"),
        }
    }

    /// Ends a call that sent something: its serial, and, where somebody has to
    /// see to what the stream did not take, whether that is much. May raise.
    pub fn sent(&self, lua: Lua, serial: u64, awaited: bool) -> Outcome {
        if self.write_now() == Written::Failed {
            if serial > 0 {
                self.session.borrow_mut().withdraw(serial);
            }
            lua.push_nil();
            lua.push_str("network: ");
            self.push_write_error(lua);
            lua.concat(2);
            return self.core.settle(lua, Returns(2));
        }
        lua.push_integer(serial as i64);
        let waiting = self.outbox.borrow().len();
        if waiting > MUCH || waiting > 0 && !self.flushing.get() {
            lua.push_bool(waiting > MUCH);
        } else {
            lua.push_nil();
        }
        if awaited && serial > 0 {
            // The answer must not come before somebody waits for it.
            return Ok(Returns(2));
        }
        self.core.settle(lua, Returns(2))
    }

    /// The error or the result of what could not be sent. May raise.
    pub fn refuse(&self, lua: Lua, refused: Refused) -> Outcome {
        let text = match refused {
            Refused::Memory => return Err(lua.out_of_memory()),
            Refused::TooLarge => "packet too large",
            // Who may wait does.
            Refused::Full => "too many messages under way",
        };
        let returns = lua.fail(text)?;
        self.core.settle(lua, returns)
    }
}

impl Attempt for Link {
    type Host = Core;

    fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    fn fd(&self) -> c_int {
        // Without a reader nobody waits for one.
        self.reader.get().map_or(0, |reader| reader.fd())
    }

    fn direction(&self) -> Interest {
        match self.reader.get() {
            Some(_) => Interest::READ,
            None => Interest::NONE,
        }
    }

    fn attempt(&self, lua: Lua) -> Try {
        receive::attempt(self, lua)
    }

    fn end(&self, lua: Lua, end: End) -> Try {
        lua.push_nil();
        match (self.failure.get(), end) {
            // Who cancelled it said why.
            (Some(failure), _) => self.push_failure(lua, failure),
            (None, End::Canceled) => lua.push_str("canceled"),
            (None, End::Timeout) => lua.push_str("network: timeout"),
        }
        Try::Done(2)
    }

    fn limit(&self) -> Nanoseconds {
        // Packets come as a whole or soon.
        if self.inside.get() {
            5_000_000_000
        } else {
            0
        }
    }
}

impl Link {
    /// The connection is over; who waits for packets learns why.
    pub fn fail(&self, failure: Failure) {
        if self.failure.get().is_none() {
            self.failure.set(Some(failure));
        }
        if self.shared.flushing.get() {
            if let Some(writer) = self.shared.writer.get() {
                writer.cancel();
            }
        }
        self.shared.core.wake_waiting(&self.waiting);
    }

    /// Pushes why it is. May raise.
    pub fn push_failure(&self, lua: Lua, failure: Failure) {
        let (network, text) = match failure {
            Failure::Text(text) => (false, text),
            Failure::Network(text) => (true, text),
            Failure::Reader => (false, ""),
            Failure::Inside | Failure::Writer => (true, ""),
        };
        lua.push_str(if network { "network: " } else { "" });
        match (failure, self.reader.get()) {
            (Failure::Writer, _) => self.shared.push_write_error(lua),
            (Failure::Reader | Failure::Inside, Some(reader)) => reader.push_error(lua),
            _ => lua.push_str(text),
        }
        lua.concat(2);
    }

    /// CONNACK came: nothing is due any more, or, when it was a refusal, the end.
    pub fn greeted(&self, phase: Phase, keepalive: Option<Nanoseconds>) {
        self.phase.set(phase);
        if let Some(keepalive) = keepalive {
            self.keepalive.set(keepalive);
        }
        self.expect(if phase == Phase::Refused {
            self.patience.get()
        } else {
            0
        });
        self.arm();
    }

    /// Something must come within that time; 0 for nothing.
    pub fn expect(&self, within: Nanoseconds) {
        self.deadline.set(match within {
            0 => 0,
            within => monotonic().saturating_add(within),
        });
    }

    /// Something came.
    pub fn is_alive(&self) {
        if self.phase.get() == Phase::Open {
            self.deadline.set(0);
        }
    }

    /// Sets the alarm to what is due next.
    fn arm(&self) {
        let mut at = self.deadline.get();
        let keepalive = self.keepalive.get();
        if self.phase.get() == Phase::Open && keepalive > 0 && at == 0 {
            at = self.shared.last_sent.get().saturating_add(keepalive);
        }
        let core = self.shared.core;
        let set = match at {
            0 => {
                core.clear_alarm(&self.alarm);
                Ok(())
            }
            at => core.set_alarm(self, Clock::Monotonic, at),
        };
        if set.is_err() {
            self.fail(Failure::Text("not enough memory"));
        }
    }

    /// The alarm went off.
    fn fire(&self, _: Lua) {
        let now = monotonic();
        let phase = self.phase.get();
        let deadline = self.deadline.get();
        if deadline > 0 && now >= deadline {
            match phase {
                Phase::Idle => return,
                Phase::Greeting => return self.fail(Failure::Text("wait CONACK timeout")),
                Phase::Refused => return self.fail(Failure::Text("closed")),
                // The answer may be there, and its reader busy with a message.
                Phase::Open if self.has_input() => self.deadline.set(0),
                Phase::Open => return self.fail(Failure::Text("wait PINGRESP timeout")),
            }
        }
        let keepalive = self.keepalive.get();
        let due = self.shared.last_sent.get().saturating_add(keepalive) <= now;
        if phase == Phase::Open && keepalive > 0 && due && self.deadline.get() == 0 {
            self.ping(now);
        }
        self.arm();
    }

    fn ping(&self, now: Nanoseconds) {
        self.deadline.set(now.saturating_add(self.patience.get()));
        let put = packet(self.shared.outbox.borrow_mut().buffer(), PINGREQ << 4, &[]);
        // Also where a script takes the bytes.
        self.shared.last_sent.set(now);
        if put.is_err() {
            self.fail(Failure::Text("not enough memory"));
        } else if self.shared.write_now() == Written::Failed {
            self.fail(Failure::Writer);
        } else if self.shared.is_stuck() {
            self.shared.core.wake_waiting(&self.waiting);
        }
    }

    /// True when bytes came that nobody has looked at: the coroutine that would
    /// is busy.
    fn has_input(&self) -> bool {
        if self.shared.core.is_parked(&self.waiting.parked) {
            return false;
        }
        match self.reader.get() {
            None => !self.inbox.borrow().is_empty(),
            Some(reader) => {
                reader.buffered() > 0 || matches!(reader.fill(512), Transfer::Moved(1..))
            }
        }
    }

    // ---- methods -------------------------------------------------------------------

    /// `link:attach(reader, writer, timeout)`: a connection begins, over a stream
    /// or, without one, by `feed` and `take`; CONNACK comes within that time.
    fn attach(lua: Lua, link: &Link) -> Outcome {
        let shared = &link.shared;
        let core = shared.core;
        lua.set_top(6);
        link.waiting.check_idle()?;
        if !lua.is_none_or_nil(2) {
            let (Some(reader), Some(writer)) = (core.reader_at(lua, 2), core.writer_at(lua, 3))
            else {
                return Err("not a stream".into());
            };
            reader.check_idle()?;
            writer.check_idle()?;
            link.reader.set(Some(reader));
            shared.writer.set(Some(writer));
        }
        let patience = duration(lua.number(4)?);
        link.patience.set(duration(lua.number(5)?));
        link.largest.set(lua.within(6, 2, 1 << 30)? as usize);
        lua.set_top(3);
        lua.set_user_value(1, WRITER);
        lua.set_user_value(1, READER);
        link.phase.set(Phase::Greeting);
        link.expect(patience);
        link.arm();
        lua.set_top(0);
        Ok(Returns(0))
    }

    /// `link:detach()`: the connection is over.
    fn detach(lua: Lua, link: &Link) -> Outcome {
        link.reset();
        lua.set_top(1);
        for place in [READER, WRITER] {
            lua.push_nil();
            lua.set_user_value(1, place);
        }
        Ok(Returns(0))
    }

    fn reset(&self) {
        let shared = &self.shared;
        shared.core.clear_alarm(&self.alarm);
        self.reader.set(None);
        shared.writer.set(None);
        shared.flushing.set(false);
        shared.outbox.borrow_mut().clear();
        shared.aliases.borrow_mut().clear();
        shared.most_aliases.set(0);
        shared.session.borrow_mut().disconnected();
        self.known.borrow_mut().clear();
        let fed = std::mem::take(&mut *self.inbox.borrow_mut());
        drop(fed);
        self.phase.set(Phase::Idle);
        self.failure.set(None);
        self.ended.set(false);
        self.inside.set(false);
        self.deadline.set(0);
    }

    /// `link:keepalive(seconds)`: at most so long nothing is sent; 0 for ever.
    fn keepalive(lua: Lua, link: &Link) -> Outcome {
        link.keepalive.set(duration(lua.number(2)?));
        if link.phase.get() == Phase::Open {
            link.arm();
        }
        Ok(Returns(0))
    }

    /// `link:most_aliases(outwards, inwards)`: topics that aliases may stand for.
    fn most_aliases(lua: Lua, link: &Link) -> Outcome {
        link.shared
            .most_aliases
            .set(lua.within(2, 0, 65535)? as usize);
        link.most_known.set(lua.within(3, 0, 65535)? as usize);
        Ok(Returns(0))
    }

    /// `link:send(first, body)` -> 0 and whether there is more to see to, or nil
    /// and a message: any packet.
    fn send(lua: Lua, link: &Link) -> Outcome {
        let first = lua.within(2, 0, 255)? as u8;
        let body = lua.string(3)?;
        let shared = &link.shared;
        let size = body.len() + 5;
        let put = if size > shared.session.borrow().largest {
            Err(Refused::TooLarge)
        } else {
            packet(shared.outbox.borrow_mut().buffer(), first, &[body])
        };
        match put {
            Ok(()) => shared.sent(lua, 0, false),
            Err(refused) => shared.refuse(lua, refused),
        }
    }

    /// `link:resume(present)`: the connection is accepted, by a server that knows
    /// the session or does not; results as of `send`.
    fn resume(lua: Lua, link: &Link) -> Outcome {
        let shared = &link.shared;
        let present = lua.to_bool(2);
        let resumed = {
            let mut outbox = shared.outbox.borrow_mut();
            let mut session = shared.session.borrow_mut();
            session.resume(outbox.buffer(), present, link.window.get())
        };
        match resumed {
            Ok(()) => shared.sent(lua, 0, false),
            Err(refused) => shared.refuse(lua, refused),
        }
    }

    /// `link:request()` -> number of a subscribe or unsubscribe packet, serial.
    fn request(lua: Lua, link: &Link) -> Outcome {
        let request = link.shared.session.borrow_mut().request();
        match request {
            Ok((id, serial)) => {
                lua.push_integer(id.into());
                lua.push_integer(serial as i64);
                Ok(Returns(2))
            }
            Err(refused) => link.shared.refuse(lua, refused),
        }
    }

    /// `link:answered(id)`: it was not sent.
    fn answered(lua: Lua, link: &Link) -> Outcome {
        let id = lua.within(2, 0, 65535)? as u16;
        link.shared.session.borrow_mut().answered(id);
        Ok(Returns(0))
    }

    /// `link:last()` -> number of the last packet that has one, how many had.
    fn last(lua: Lua, link: &Link) -> Outcome {
        let (id, serial) = link.shared.session.borrow().last();
        lua.push_integer(id.into());
        lua.push_integer(serial as i64);
        Ok(Returns(2))
    }

    /// `link:room()` -> whether a message more may be taken, how many there are.
    fn room(lua: Lua, link: &Link) -> Outcome {
        let (room, kept) = {
            let session = link.shared.session.borrow();
            (session.has_room(), session.kept())
        };
        lua.push_bool(room);
        lua.push_integer(kept as i64);
        Ok(Returns(2))
    }

    /// `link:waiting(kind)` -> serials by numbers of the messages that wait for a
    /// packet of that type: ours, or, for PUBREL, the server's.
    fn waiting_for(lua: Lua, link: &Link) -> Outcome {
        let kind = lua.within(2, PUBACK.into(), PUBCOMP.into())? as u8;
        lua.push_table(0, 0);
        let mut last = (0, 0);
        loop {
            let next = {
                let session = link.shared.session.borrow();
                match kind {
                    PUBREL => session.unreleased(last.0).map(|id| (id, 0)),
                    kind => session.waiting(kind, last.1),
                }
            };
            let Some((id, serial)) = next else {
                return Ok(Returns(1));
            };
            lua.push_integer(serial as i64);
            lua.raw_set_index(-2, id.into());
            last = (id, serial);
        }
    }

    /// `link:ignore(serial)` -> whether it was still under way: nobody waits for
    /// its end any more.
    fn ignore(lua: Lua, link: &Link) -> Outcome {
        let serial = lua.integer(2)? as u64;
        let mut session = link.shared.session.borrow_mut();
        session.ignore(serial);
        let held = session.holds(serial);
        drop(session);
        lua.push_bool(held);
        Ok(Returns(1))
    }

    /// `link:properties(table, place)` -> their bytes.
    fn properties(lua: Lua, link: &Link) -> Outcome {
        let place = lua.within(3, 0, 15)? as u8;
        let scratch = &link.shared.scratch;
        properties::read(lua, 2, place, scratch)?;
        lua.push_part(scratch, 0..scratch.borrow().len());
        Ok(Returns(1))
    }

    /// `link:cancel([why])`: the connection is over: closed here, or (1) as the
    /// writer says, or (2) for want of progress.
    fn cancel(lua: Lua, link: &Link) -> Outcome {
        let failure = match lua.integer_or(2, 0)? {
            0 => Failure::Text("canceled"),
            1 => Failure::Writer,
            _ => Failure::Network("timeout"),
        };
        link.fail(failure);
        Ok(Returns(0))
    }

    /// `link:feed(bytes)` -> how many wait, or nil and a message: they came. None
    /// is the end.
    fn feed(lua: Lua, link: &Link) -> Outcome {
        if lua.is_none_or_nil(2) {
            link.ended.set(true);
        } else {
            let bytes = lua.string(2)?;
            let mut inbox = link.inbox.borrow_mut();
            if inbox.try_reserve(bytes.len()).is_err() {
                drop(inbox);
                return lua.fail("not enough memory");
            }
            inbox.extend_from_slice(bytes);
        }
        link.shared.core.wake_waiting(&link.waiting);
        lua.push_integer(link.inbox.borrow().len() as i64);
        Ok(Returns(1))
    }

    /// `link:take()` -> bytes to be sent, or nil: whoever sends them comes again.
    fn take(lua: Lua, link: &Link) -> Outcome {
        let shared = &link.shared;
        let waits = shared.outbox.borrow().len() > 0;
        shared.flushing.set(waits);
        if !waits {
            lua.push_nil();
            return Ok(Returns(1));
        }
        // What comes meanwhile goes behind it.
        let taken = std::mem::take(&mut *shared.outbox.borrow_mut());
        lua.try_push_bytes(taken.front())?;
        shared.last_sent.set(monotonic());
        Ok(Returns(1))
    }
}

impl Core {
    /// Wakes who waits on an attempt, so that it looks again.
    fn wake_waiting(self, waiting: &Waiting) {
        use crate::abi::attempt::Host;
        self.wake(&waiting.parked, Cause::WAKE);
    }
}

impl UserData for Link {
    const NAME: &'static CStr = c"eco.mqtt.link";
    const METHODS: Functions = functions! {
        attach: method(Link::attach),
        detach: method(Link::detach),
        keepalive: method(Link::keepalive),
        most_aliases: method(Link::most_aliases),
        send: method(Link::send),
        publish: method(publish::publish),
        receive: method(receive::receive),
        flush: method(flush::flush),
        resume: method(Link::resume),
        request: method(Link::request),
        answered: method(Link::answered),
        last: method(Link::last),
        room: method(Link::room),
        waiting: method(Link::waiting_for),
        ignore: method(Link::ignore),
        properties: method(Link::properties),
        cancel: method(Link::cancel),
        feed: method(Link::feed),
        take: method(Link::take),
    };

    fn finalise(&self, _: Lua) {
        self.shared.core.forget(&self.waiting.parked);
        self.reset();
    }
}
