//! `link:receive`: packets from the stream, answered here, to what a script is
//! told.

use std::ffi::c_int;
use std::rc::Rc;

use super::link::{Failure, Link, Phase, Written, GATHERED};
use super::properties;
use crate::abi::attempt::{self, Try};
use crate::abi::{Interest, Transfer};
use crate::lua::{Error, Lua, Outcome};
use crate::mqtt::packet::{name, parse, Header, Packet, Publish, Why};
use crate::mqtt::properties::{
    Properties, ALIAS, ALIAS_MAXIMUM, PACKET_MAXIMUM, RECEIVE_MAXIMUM, SERVER_KEEPALIVE,
};
use crate::mqtt::session::{Arrival, End};
use crate::mqtt::write::{ack, Refused};
use crate::mqtt::{
    Version, AUTH, CONNACK, DISCONNECT, FAILURE, LONGEST, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL,
    SUBACK, UNKNOWN_ID,
};

/// Packets in a row that tell a script nothing, until others get their turn.
const ROW: usize = 64;

/// From so many bytes of answers on that nobody takes nothing is read.
const HELD: usize = 65536;

/// Bytes to read at once at least, and at most.
const READ: usize = 4096;
const MOST: usize = 65536;

/// Reason codes of what ends a connection (version 5).
const MALFORMED: u8 = 0x81;
const PROTOCOL_ERROR: u8 = 0x82;
const TOO_MANY: u8 = 0x93;
const BAD_ALIAS: u8 = 0x94;
const TOO_LARGE: u8 = 0x95;

/// `link:receive()` -> what came and what it holds, or nil and a message when
/// the connection is over.
pub fn receive(lua: Lua, link: &Link) -> Outcome {
    link.waiting.check_idle()?;
    attempt::start(link, lua, 0)
}

/// What is wrong with what came: it ends the connection.
enum Fatal {
    Text(&'static str),
    Malformed(u8, Why),
    /// Not the packet that is due.
    Expecting(u8),
    Unknown(u8),
    Memory,
}

/// What a look at the received bytes gave.
enum Look {
    /// That many more are missing.
    Missing(usize),
    /// That many were taken: `told` results were pushed, if any.
    Took { taken: usize, told: c_int },
    /// With the reason code the server is told.
    Fatal(u8, Fatal),
    /// The error value is on top.
    Raised,
}

impl From<Refused> for Look {
    fn from(_: Refused) -> Look {
        Look::Fatal(0x83, Fatal::Memory)
    }
}

impl From<Error> for Look {
    fn from(_: Error) -> Look {
        Look::Raised
    }
}

/// Tries once. May raise.
pub fn attempt(link: &Link, lua: Lua) -> Try {
    let shared = &link.shared;
    for _ in 0..ROW {
        if let Some(failure) = link.failure.get() {
            lua.push_nil();
            link.push_failure(lua, failure);
            return Try::Done(2);
        }
        let end = shared.session.borrow_mut().next_end();
        if let Some(End { serial, code }) = end {
            lua.push_str("end");
            lua.push_integer(serial as i64);
            lua.push_integer(code.into());
            return Try::Done(3);
        }
        if shared.outbox.borrow().len() > HELD {
            // A server that does not take its answers gets no more of them.
            if shared.write_now() == Written::Failed {
                link.fail(Failure::Writer);
                continue;
            }
            if shared.outbox.borrow().len() > HELD {
                lua.push_str("flush");
                lua.push_bool(true);
                return Try::Done(2);
            }
        }
        let mut look = Look::Missing(1);
        link.look(&mut |received| look = link.take_packet(lua, received));
        match look {
            Look::Took { taken, told } => {
                link.consume(taken);
                link.inside.set(false);
                if told == 0 {
                    continue;
                }
                // Answers go first, unless there will be more of them at once.
                let mut more = false;
                link.look(&mut |received| more = is_whole(received));
                if (!more || shared.outbox.borrow().len() > GATHERED)
                    && shared.write_now() == Written::Failed
                {
                    link.fail(Failure::Writer);
                }
                return Try::Done(told);
            }
            Look::Missing(missing) => return link.wait(lua, missing),
            Look::Fatal(code, fatal) => {
                link.say_goodbye(code);
                lua.push_nil();
                push_fatal(lua, fatal);
                return Try::Done(2);
            }
            Look::Raised => {
                lua.push_nil();
                lua.insert(-2);
                return Try::Done(2);
            }
        }
    }
    if shared.write_now() == Written::Failed {
        link.fail(Failure::Writer);
    }
    Try::Moved
}

/// True when a packet is there.
fn is_whole(received: &[u8]) -> bool {
    match Header::read(received) {
        Ok(Some(header)) => header.total() <= received.len(),
        Ok(None) => false,
        Err(_) => true,
    }
}

/// Pushes what is wrong. May raise.
fn push_fatal(lua: Lua, fatal: Fatal) {
    let text = match fatal {
        Fatal::Text(text) => return lua.push_str(text),
        Fatal::Memory => return lua.push_str("not enough memory"),
        Fatal::Expecting(kind) => {
            lua.push_str("expecting CONNACK but received ");
            lua.push_integer(kind.into());
            return lua.concat(2);
        }
        Fatal::Unknown(kind) => return push_unknown(lua, kind),
        Fatal::Malformed(kind, why) => {
            lua.push_str("malformed ");
            lua.push_str(name(kind));
            lua.push_str(" packet: ");
            why
        }
    };
    match text {
        Why::Text(text) => {
            lua.push_str(text);
            lua.push_str("");
        }
        Why::Flags(flags) => {
            lua.push_str("invalid flags 0x0");
            lua.push_bytes(
                b"0123456789abcdef"
                    .get(usize::from(flags)..)
                    .map_or(b"", |rest| &rest[..1]),
            );
        }
        Why::Length(length) => {
            lua.push_str("remaining length must be ");
            lua.push_integer(length.into());
        }
        Why::AtLeast(length) => {
            lua.push_str("remaining length must be at least ");
            lua.push_integer(length.into());
        }
    }
    lua.concat(5);
}

fn push_unknown(lua: Lua, kind: u8) {
    lua.push_str("unknown packet type ");
    lua.push_integer(kind.into());
    lua.concat(2);
}

impl Link {
    /// Shows what was received and not taken.
    fn look(&self, look: &mut dyn FnMut(&[u8])) {
        if let Some(reader) = self.reader.get() {
            return reader.peek(look);
        }
        let received = std::mem::take(&mut *self.inbox.borrow_mut());
        look(&received);
        let mut inbox = self.inbox.borrow_mut();
        let fed = std::mem::replace(&mut *inbox, received);
        if inbox.try_reserve(fed.len()).is_ok() {
            inbox.extend_from_slice(&fed);
        } else {
            self.failure.set(Some(Failure::Text("not enough memory")));
        }
    }

    /// The first `count` bytes of it are done with.
    fn consume(&self, count: usize) {
        match self.reader.get() {
            Some(reader) => reader.consume(count),
            None => {
                let mut inbox = self.inbox.borrow_mut();
                let count = count.min(inbox.len());
                inbox.drain(..count);
            }
        }
    }

    /// Nothing whole is there: writes what is owed, and reads. May raise.
    fn wait(&self, lua: Lua, missing: usize) -> Try {
        let shared = &self.shared;
        let fail = |failure| {
            lua.push_nil();
            self.push_failure(lua, failure);
            Try::Done(2)
        };
        if shared.write_now() == Written::Failed {
            return fail(Failure::Writer);
        }
        if shared.is_stuck() {
            lua.push_str("flush");
            return Try::Done(1);
        }
        let Some(reader) = self.reader.get() else {
            self.inside.set(!self.inbox.borrow().is_empty());
            return match (self.ended.get(), self.inside.get()) {
                (false, _) => Try::Again(Interest::NONE),
                (true, false) => fail(Failure::Text("closed")),
                (true, true) => fail(Failure::Network("closed")),
            };
        };
        let inside = reader.buffered() > 0;
        self.inside.set(inside);
        match reader.fill(missing.clamp(READ, MOST)) {
            Transfer::Moved(0) if inside => fail(Failure::Network("closed")),
            Transfer::Moved(0) => fail(Failure::Text("closed")),
            Transfer::Moved(_) => {
                self.inside.set(true);
                Try::Moved
            }
            Transfer::Blocked(direction) => {
                if !inside {
                    // Gives the empty buffer back.
                    reader.fill(0);
                }
                Try::Again(direction)
            }
            Transfer::Failed if inside => fail(Failure::Inside),
            Transfer::Failed => fail(Failure::Reader),
        }
    }

    /// The server is told why the connection ends, where it can be.
    fn say_goodbye(&self, code: u8) {
        let shared = &self.shared;
        if shared.session.borrow().version == Version::V5 && self.phase.get() == Phase::Open {
            let put = crate::mqtt::write::packet(
                shared.outbox.borrow_mut().buffer(),
                DISCONNECT << 4,
                &[&[code]],
            );
            if put.is_ok() {
                shared.write_now();
            }
        }
    }

    /// Takes a packet from the front of what was received.
    fn take_packet(&self, lua: Lua, received: &[u8]) -> Look {
        let header = match Header::read(received) {
            Ok(Some(header)) => header,
            Ok(None) => return Look::Missing(1),
            Err(_) => return Look::Fatal(MALFORMED, Fatal::Text("malformed remaining length")),
        };
        let version = self.shared.session.borrow().version;
        let kind = header.kind();
        let phase = self.phase.get();
        let due = match phase {
            Phase::Greeting => kind == CONNACK || kind == AUTH && version == Version::V5,
            Phase::Idle | Phase::Open | Phase::Refused => true,
        };
        if !due {
            return Look::Fatal(PROTOCOL_ERROR, Fatal::Expecting(kind));
        }
        let total = header.total();
        if total > self.largest.get() {
            return Look::Fatal(TOO_LARGE, Fatal::Text("packet too large"));
        }
        let body = match received.get(header.size..total) {
            Some(body) => body,
            None => return Look::Missing(total - received.len()),
        };
        let told = match parse(version, header, body) {
            Ok(packet) => self.handle(lua, version, &packet),
            Err(why) => Err(Look::Fatal(MALFORMED, Fatal::Malformed(kind, why))),
        };
        self.is_alive();
        match told {
            Ok(told) => Look::Took { taken: total, told },
            Err(look) => look,
        }
    }

    /// Does what a packet asks for; the number of results that were pushed.
    fn handle(&self, lua: Lua, version: Version, packet: &Packet) -> Result<c_int, Look> {
        let shared = &self.shared;
        let told = match *packet {
            Packet::Publish(publish) => return self.deliver(lua, publish),
            Packet::Ack {
                kind: PUBREL,
                id,
                code,
                ..
            } => {
                let known = shared.session.borrow_mut().released(id);
                let code = match version {
                    Version::V5 if !known && code < FAILURE => UNKNOWN_ID,
                    _ => 0,
                };
                ack(shared.outbox.borrow_mut().buffer(), PUBCOMP, id, code)?;
                return Ok(0);
            }
            Packet::Ack { kind, id, code, .. } => {
                let mut outbox = shared.outbox.borrow_mut();
                let mut session = shared.session.borrow_mut();
                let (room, kept) = (session.has_room(), session.kept());
                session.acknowledged(outbox.buffer(), kind, id, code)?;
                let opens = !room && session.has_room() || session.kept() == 0 && kept > 0;
                drop((session, outbox));
                if !opens {
                    return Ok(0);
                }
                // Senders may wait for that.
                Told::Room
            }
            Packet::Connack {
                session_present,
                code,
                properties,
            } => {
                if self.phase.get() == Phase::Greeting {
                    self.greet(code, properties);
                    Told::Connack(session_present, code, properties)
                } else if version == Version::V4 {
                    Told::Error("unexpecting CONNACK received")
                } else {
                    let text = Fatal::Text("unexpecting CONNACK received");
                    return Err(Look::Fatal(PROTOCOL_ERROR, text));
                }
            }
            Packet::Granted {
                kind,
                id,
                codes,
                properties,
            } => {
                if !shared.session.borrow_mut().answered(id) {
                    return Ok(0);
                }
                Told::Granted(kind, id, codes, properties)
            }
            Packet::Pong => return Ok(0),
            Packet::Notice {
                kind,
                code,
                properties,
            } => Told::Notice(kind, code, properties),
            Packet::Unknown(kind) if version == Version::V4 => Told::Unknown(kind),
            Packet::Unknown(kind) => return Err(Look::Fatal(PROTOCOL_ERROR, Fatal::Unknown(kind))),
        };
        let before = lua.top();
        lua.protect(crate::lua::ffi::LUA_MULTRET, &(told, version), push_told)?;
        Ok(lua.top() - before)
    }

    /// CONNACK came.
    fn greet(&self, code: u8, properties: Properties) {
        if code != 0 {
            return self.greeted(Phase::Refused, None);
        }
        let shared = &self.shared;
        let most = properties.number(ALIAS_MAXIMUM).unwrap_or_default() as usize;
        shared.most_aliases.set(shared.most_aliases.get().min(most));
        shared.session.borrow_mut().largest = properties
            .number(PACKET_MAXIMUM)
            .map_or(LONGEST + 5, |largest| largest as usize);
        self.window
            .set(properties.number(RECEIVE_MAXIMUM).unwrap_or(65535) as u16);
        let keepalive = properties.number(SERVER_KEEPALIVE);
        self.greeted(
            Phase::Open,
            keepalive.map(|seconds| i64::from(seconds) * 1_000_000_000),
        );
    }

    /// A message came: it is acknowledged, and told if it was not before.
    fn deliver(&self, lua: Lua, publish: Publish) -> Result<c_int, Look> {
        let shared = &self.shared;
        let kept = self.resolve(&publish)?;
        let topic = kept
            .as_ref()
            .map_or(publish.topic, |topic| topic.as_slice());
        if publish.qos == 2 {
            let arrival = shared.session.borrow_mut().arrived(publish.id)?;
            match arrival {
                Arrival::New => {}
                Arrival::Again => {
                    ack(shared.outbox.borrow_mut().buffer(), PUBREC, publish.id, 0)?;
                    return Ok(0);
                }
                Arrival::TooMany => {
                    let text = Fatal::Text("too many messages that are not released");
                    return Err(Look::Fatal(TOO_MANY, text));
                }
            }
        }
        let message = Publish { topic, ..publish };
        let version = shared.session.borrow().version;
        if let Err(error) = lua.protect(2, &(Told::Message(message), version), push_told) {
            // It was not told.
            shared.session.borrow_mut().released(publish.id);
            return Err(error.into());
        }
        let kind = match publish.qos {
            0 => return Ok(2),
            1 => PUBACK,
            _ => PUBREC,
        };
        let put = ack(shared.outbox.borrow_mut().buffer(), kind, publish.id, 0);
        if put.is_err() {
            lua.pop(2);
        }
        put.map(|()| 2).map_err(Look::from)
    }

    /// The topic that the message's alias stands for, if it has one.
    fn resolve(&self, publish: &Publish) -> Result<Option<Rc<Vec<u8>>>, Look> {
        let bad = |text| Look::Fatal(BAD_ALIAS, Fatal::Text(text));
        let Some(alias) = publish.properties.number(ALIAS) else {
            return match publish.topic {
                [] => Err(bad("malformed PUBLISH packet: empty topic name")),
                _ => Ok(None),
            };
        };
        let place = alias as usize - 1;
        if place >= self.most_known.get() {
            return Err(bad("invalid topic alias"));
        }
        let mut known = self.known.borrow_mut();
        if publish.topic.is_empty() {
            return match known.get(place) {
                Some(Some(topic)) => Ok(Some(topic.clone())),
                _ => Err(bad("unknown topic alias")),
            };
        }
        let mut topic = Vec::new();
        topic
            .try_reserve_exact(publish.topic.len())
            .map_err(|_| Refused::Memory)?;
        topic.extend_from_slice(publish.topic);
        if place >= known.len() {
            let more = place + 1 - known.len();
            known.try_reserve(more).map_err(|_| Refused::Memory)?;
            known.resize(place + 1, None);
        }
        if let Some(slot) = known.get_mut(place) {
            *slot = Some(Rc::new(topic));
        }
        Ok(None)
    }
}

/// What a script is told.
enum Told<'a> {
    Message(Publish<'a>),
    Connack(bool, u8, Properties<'a>),
    Granted(u8, u16, &'a [u8], Properties<'a>),
    Notice(u8, u8, Properties<'a>),
    Error(&'static str),
    Unknown(u8),
    Room,
}

/// Pushes it; body of a protected call.
fn push_told(lua: Lua, (told, version): &(Told, Version)) {
    let with_properties = |properties: Properties, kind| {
        if *version == Version::V5 {
            properties::push(lua, properties, kind);
        }
    };
    match *told {
        Told::Message(message) => {
            lua.push_str("publish");
            lua.push_table(0, 6);
            lua.set_bytes(-1, c"topic", message.topic);
            lua.set_bytes(-1, c"payload", message.payload);
            lua.set_integer(-1, c"qos", message.qos.into());
            lua.set_bool(-1, c"dup", message.dup);
            lua.set_bool(-1, c"retain", message.retain);
            if *version == Version::V5 {
                properties::push(lua, message.properties, PUBLISH);
                lua.set_field(-2, c"properties");
            }
        }
        Told::Connack(present, code, properties) => {
            lua.push_str("conack");
            lua.push_integer(code.into());
            lua.push_bool(present);
            with_properties(properties, CONNACK);
        }
        Told::Granted(kind, id, codes, properties) => {
            lua.push_str(if kind == SUBACK { "suback" } else { "unsuback" });
            lua.push_integer(id.into());
            lua.push_bytes(codes);
            with_properties(properties, kind);
        }
        Told::Notice(kind, code, properties) => {
            lua.push_str(if kind == AUTH { "auth" } else { "disconnect" });
            lua.push_integer(code.into());
            with_properties(properties, kind);
        }
        Told::Error(text) => {
            lua.push_str("error");
            lua.push_str(text);
        }
        Told::Unknown(kind) => {
            lua.push_str("error");
            push_unknown(lua, kind);
        }
        Told::Room => lua.push_str("room"),
    }
}
