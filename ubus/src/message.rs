//! Messages: a header of eight bytes and one attribute that holds all others.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | version, 0 |
//! | 1 | 1 | type: [`Kind`] |
//! | 2 | 2 | sequence number, chosen by whoever asks |
//! | 4 | 4 | peer: the object asked, or the client that asks |
//! | 8 | 4 | header word of the outer attribute: its length, these four bytes included |
//!
//! A frame ends with the outer attribute's length, without padding. Everything is big endian. Reading an attribute that is unknown or
//! of the wrong size leaves it out; of the same attribute the last one counts.

use crate::blob::{self, padded, Attr, Attrs, BuildError};
use crate::blobmsg::Table;
use crate::status::Status;
use std::fmt;

/// Where the daemon listens.
pub const DEFAULT_PATH: &str = "/var/run/ubus/ubus.sock";

/// The most bytes the outer attribute of a message may have.
pub const MAX_MESSAGE: usize = 1 << 20;

/// What a receiver tolerates: the daemon adds the caller's user and group after it has checked the length.
pub const MAX_RECEIVED: usize = MAX_MESSAGE + 4096;

/// Bytes before the outer attribute.
pub const HEADER: usize = 8;

/// The object that takes and sends events.
pub const EVENT_OBJECT: u32 = 1;
/// The object that tells access rules.
pub const ACL_OBJECT: u32 = 2;
/// The object that copies all traffic to those who may see it.
pub const MONITOR_OBJECT: u32 = 3;
/// Ids of clients and objects start here; those below are the daemon's own.
pub const FIRST_ID: u32 = 1024;

/// What a message is for. A number this list does not know keeps its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(pub u8);

impl Kind {
    /// The daemon's first word, with the client's id.
    pub const HELLO: Kind = Kind(0);
    /// The end of a request.
    pub const STATUS: Kind = Kind(1);
    /// A part of a result.
    pub const DATA: Kind = Kind(2);
    /// Asks the daemon to send the same back.
    pub const PING: Kind = Kind(3);
    /// Asks for objects by path.
    pub const LOOKUP: Kind = Kind(4);
    /// Calls a method; delivers a call, an event or a notification.
    pub const INVOKE: Kind = Kind(5);
    /// Adds an object.
    pub const ADD_OBJECT: Kind = Kind(6);
    /// Removes an object.
    pub const REMOVE_OBJECT: Kind = Kind(7);
    /// Subscribes to an object.
    pub const SUBSCRIBE: Kind = Kind(8);
    /// Ends a subscription; tells that its target is gone.
    pub const UNSUBSCRIBE: Kind = Kind(9);
    /// Notifies subscribers; tells an owner of its first subscriber, or that the last is gone.
    pub const NOTIFY: Kind = Kind(10);
    /// A copy of a message for those who watch.
    pub const MONITOR: Kind = Kind(11);
}

/// Numbers of the attributes of a message.
pub mod id {
    /// [`super::Status`] as 32 bits.
    pub const STATUS: u8 = 1;
    /// Path of an object: text.
    pub const PATH: u8 = 2;
    /// Id of an object.
    pub const OBJECT: u8 = 3;
    /// Name of a method, an event or a notification: text.
    pub const METHOD: u8 = 4;
    /// Id of the type of an object.
    pub const TYPE: u8 = 5;
    /// Methods and their arguments: see [`crate::signature`].
    pub const SIGNATURE: u8 = 6;
    /// Arguments or results: entries.
    pub const DATA: u8 = 7;
    /// Id of the object subscribed to.
    pub const TARGET: u8 = 8;
    /// One byte: whether there are subscribers.
    pub const ACTIVE: u8 = 9;
    /// One byte: whether an answer is unwanted.
    pub const NO_REPLY: u8 = 10;
    /// Ids of subscribers: attributes of id 0.
    pub const SUBSCRIBERS: u8 = 11;
    /// Name of the caller's user: text.
    pub const USER: u8 = 12;
    /// Name of the caller's group: text.
    pub const GROUP: u8 = 13;
}

/// The eight bytes before the outer attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 0; the daemon ignores it.
    pub version: u8,
    /// What the message is for.
    pub kind: Kind,
    /// Chosen by whoever asks, repeated in the answers.
    pub seq: u16,
    /// The object asked or answering, or the client that asks.
    pub peer: u32,
}

impl Header {
    /// A header of the version spoken here.
    pub fn new(kind: Kind, seq: u16, peer: u32) -> Header {
        Header {
            version: 0,
            kind,
            seq,
            peer,
        }
    }
}

/// Why a stream cannot be read on: nothing tells where the next message starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The outer attribute is shorter than its own header, or longer than allowed.
    Length {
        /// What it says, in bytes.
        length: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Length { length } => write!(f, "message of {length} bytes"),
        }
    }
}

impl std::error::Error for FrameError {}

/// One message, borrowed from the bytes it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The eight bytes in front.
    pub header: Header,
    /// What the outer attribute holds.
    pub body: Attrs<'a>,
}

impl<'a> Message<'a> {
    /// The message at the start of `bytes` and its length, or `None` while bytes of it are missing.
    ///
    /// Messages whose outer attribute, padded, is longer than `limit` are refused as soon as that shows.
    ///
    /// ```
    /// use ubus::message::{Kind, Message, MAX_RECEIVED};
    ///
    /// let hello = [0, 0, 0, 0, 0x06, 0xb5, 0x1f, 0xa1, 0, 0, 0, 4];
    /// let (message, used) = Message::read(&hello, MAX_RECEIVED)?.unwrap();
    /// assert_eq!((message.header.kind, message.header.peer, used), (Kind::HELLO, 0x06b51fa1, 12));
    /// assert!(Message::read(&hello[..11], MAX_RECEIVED)?.is_none());
    /// # Ok::<(), ubus::message::FrameError>(())
    /// ```
    pub fn read(bytes: &'a [u8], limit: usize) -> Result<Option<(Message<'a>, usize)>, FrameError> {
        let Some(&[version, kind, s0, s1, p0, p1, p2, p3, l0, l1, l2, l3]) = bytes.first_chunk()
        else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize & blob::MAX_LENGTH;
        if length < 4 || padded(length) > limit {
            return Err(FrameError::Length { length });
        }
        let end = HEADER + length;
        let Some(body) = bytes.get(HEADER + 4..end) else {
            return Ok(None);
        };
        let header = Header {
            version,
            kind: Kind(kind),
            seq: u16::from_be_bytes([s0, s1]),
            peer: u32::from_be_bytes([p0, p1, p2, p3]),
        };
        let body = Attrs::new(body);
        Ok(Some((Message { header, body }, end)))
    }

    /// The attributes by name.
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::read(self.body)
    }
}

/// The attributes of a message: those that are there and well formed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Attributes<'a> {
    /// How a request ended.
    pub status: Option<Status>,
    /// Path of an object.
    pub path: Option<&'a [u8]>,
    /// Id of an object.
    pub object: Option<u32>,
    /// Name of a method, an event or a notification.
    pub method: Option<&'a [u8]>,
    /// Id of the type of an object.
    pub object_type: Option<u32>,
    /// Methods: see [`crate::signature`].
    pub signature: Option<Table<'a>>,
    /// Arguments or results.
    pub data: Option<Table<'a>>,
    /// Id of the object subscribed to.
    pub target: Option<u32>,
    /// Whether there are subscribers.
    pub active: Option<bool>,
    /// Whether an answer is unwanted.
    pub no_reply: Option<bool>,
    /// Ids of subscribers.
    pub subscribers: Option<Subscribers<'a>>,
    /// Name of the caller's user.
    pub user: Option<&'a [u8]>,
    /// Name of the caller's group.
    pub group: Option<&'a [u8]>,
}

impl<'a> Attributes<'a> {
    /// Reads what a message holds.
    pub fn read(attrs: Attrs<'a>) -> Attributes<'a> {
        let mut all = Attributes::default();
        for attr in attrs {
            match attr.id() {
                id::STATUS => set(&mut all.status, attr.as_u32().map(|n| Status(n as i32))),
                id::PATH => set(&mut all.path, attr.as_text()),
                id::OBJECT => set(&mut all.object, attr.as_u32()),
                id::METHOD => set(&mut all.method, attr.as_text()),
                id::TYPE => set(&mut all.object_type, attr.as_u32()),
                id::SIGNATURE => set(&mut all.signature, Some(Table::new(attr.payload()))),
                id::DATA => set(&mut all.data, Some(Table::new(attr.payload()))),
                id::TARGET => set(&mut all.target, attr.as_u32()),
                id::ACTIVE => set(&mut all.active, attr.as_u8().map(|byte| byte != 0)),
                id::NO_REPLY => set(&mut all.no_reply, attr.as_u8().map(|byte| byte != 0)),
                id::SUBSCRIBERS => set(&mut all.subscribers, Some(Subscribers::new(attr))),
                id::USER => set(&mut all.user, attr.as_text()),
                id::GROUP => set(&mut all.group, attr.as_text()),
                _ => {}
            }
        }
        all
    }

    /// Whether an answer is unwanted.
    pub fn is_no_reply(&self) -> bool {
        self.no_reply == Some(true)
    }
}

fn set<T>(place: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *place = value;
    }
}

/// Ids of the objects a notification went to, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subscribers<'a> {
    attrs: Attrs<'a>,
}

impl<'a> Subscribers<'a> {
    fn new(attr: Attr<'a>) -> Subscribers<'a> {
        Subscribers {
            attrs: attr.children(),
        }
    }
}

impl Iterator for Subscribers<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.attrs.find_map(Attr::as_u32)
    }
}

impl PartialEq for Subscribers<'_> {
    fn eq(&self, other: &Subscribers<'_>) -> bool {
        Iterator::eq(*self, *other)
    }
}

/// Writes one message at the end of a row of bytes, attribute by attribute in the order of the calls.
///
/// The first error is kept and [`Writer::finish`] reports it. A message that is not finished, or not well, leaves no trace.
///
/// ```
/// use ubus::message::{Kind, Writer};
///
/// let mut bytes = Vec::new();
/// let mut writer = Writer::new(&mut bytes, Kind::LOOKUP, 1, 0);
/// writer.path(b"demo");
/// writer.finish()?;
/// assert_eq!(bytes, b"\0\x04\0\x01\0\0\0\0\0\0\0\x10\x02\0\0\x09demo\0\0\0\0");
/// # Ok::<(), ubus::blob::BuildError>(())
/// ```
#[derive(Debug)]
#[must_use = "a message that is not finished is not sent"]
pub struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
    limit: usize,
    error: Option<BuildError>,
    finished: bool,
}

impl<'a> Writer<'a> {
    /// Starts a message of at most [`MAX_MESSAGE`].
    pub fn new(bytes: &'a mut Vec<u8>, kind: Kind, seq: u16, peer: u32) -> Writer<'a> {
        Writer::with_limit(bytes, kind, seq, peer, MAX_MESSAGE)
    }

    /// Starts a message whose outer attribute may have `limit` bytes.
    pub fn with_limit(
        bytes: &'a mut Vec<u8>,
        kind: Kind,
        seq: u16,
        peer: u32,
        limit: usize,
    ) -> Writer<'a> {
        let start = bytes.len();
        let ([s0, s1], [p0, p1, p2, p3]) = (seq.to_be_bytes(), peer.to_be_bytes());
        bytes.extend_from_slice(&[0, kind.0, s0, s1, p0, p1, p2, p3, 0, 0, 0, 4]);
        Writer {
            bytes,
            start,
            limit: limit.min(blob::MAX_LENGTH),
            error: None,
            finished: false,
        }
    }

    /// Adds how a request ended.
    pub fn status(&mut self, status: Status) -> &mut Self {
        self.u32(id::STATUS, status.0 as u32)
    }

    /// Adds the path of an object.
    pub fn path(&mut self, path: &[u8]) -> &mut Self {
        self.text(id::PATH, path)
    }

    /// Adds the id of an object.
    pub fn object(&mut self, object: u32) -> &mut Self {
        self.u32(id::OBJECT, object)
    }

    /// Adds the name of a method, an event or a notification.
    pub fn method(&mut self, method: &[u8]) -> &mut Self {
        self.text(id::METHOD, method)
    }

    /// Adds the id of the type of an object.
    pub fn object_type(&mut self, object_type: u32) -> &mut Self {
        self.u32(id::TYPE, object_type)
    }

    /// Adds methods.
    pub fn signature(&mut self, signature: Table<'_>) -> &mut Self {
        self.bytes(id::SIGNATURE, signature.as_bytes())
    }

    /// Adds arguments or results.
    pub fn data(&mut self, data: Table<'_>) -> &mut Self {
        self.bytes(id::DATA, data.as_bytes())
    }

    /// Adds the id of the object subscribed to.
    pub fn target(&mut self, target: u32) -> &mut Self {
        self.u32(id::TARGET, target)
    }

    /// Adds whether there are subscribers.
    pub fn active(&mut self, active: bool) -> &mut Self {
        self.bytes(id::ACTIVE, &[active.into()])
    }

    /// Adds that an answer is unwanted.
    pub fn no_reply(&mut self) -> &mut Self {
        self.bytes(id::NO_REPLY, &[1])
    }

    /// Adds the ids of subscribers.
    pub fn subscribers(&mut self, ids: impl IntoIterator<Item = u32>) -> &mut Self {
        let mut list = blob::Builder::with_limit(self.limit);
        for id in ids {
            list.u32(0, id);
        }
        match list.finish() {
            Ok(list) => self.bytes(id::SUBSCRIBERS, &list),
            Err(error) => self.fail(error),
        }
    }

    /// Adds the name of the caller's user.
    pub fn user(&mut self, user: &[u8]) -> &mut Self {
        self.text(id::USER, user)
    }

    /// Adds the name of the caller's group.
    pub fn group(&mut self, group: &[u8]) -> &mut Self {
        self.text(id::GROUP, group)
    }

    /// Adds any attribute with a number.
    pub fn u32(&mut self, id: u8, value: u32) -> &mut Self {
        self.bytes(id, &value.to_be_bytes())
    }

    /// Adds any attribute with text, given without its final NUL.
    pub fn text(&mut self, id: u8, text: &[u8]) -> &mut Self {
        if text.contains(&0) {
            return self.fail(BuildError::Nul);
        }
        self.put(id, text, 1)
    }

    /// Adds any attribute.
    pub fn bytes(&mut self, id: u8, payload: &[u8]) -> &mut Self {
        self.put(id, payload, 0)
    }

    /// Ends the message and tells its bytes, header included.
    pub fn finish(mut self) -> Result<usize, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.finished = true;
        let length = self.bytes.len() - self.start;
        let word = self.bytes.get_mut(self.start + HEADER..);
        if let Some(word) = word.and_then(|at| at.first_chunk_mut()) {
            *word = ((length - HEADER) as u32).to_be_bytes();
        }
        Ok(length)
    }

    fn fail(&mut self, error: BuildError) -> &mut Self {
        self.error.get_or_insert(error);
        self
    }

    fn put(&mut self, id: u8, payload: &[u8], terminator: usize) -> &mut Self {
        let at = self.bytes.len();
        let length = 4 + payload.len() + terminator;
        let room = self.limit.saturating_sub(at - self.start - HEADER);
        if length > room || padded(length) > room {
            return self.fail(BuildError::TooLong { limit: self.limit });
        }
        self.bytes.reserve(padded(length));
        let word = (u32::from(id & 0x7f) << 24) | length as u32;
        self.bytes.extend_from_slice(&word.to_be_bytes());
        self.bytes.extend_from_slice(payload);
        self.bytes.resize(at + padded(length), 0);
        self
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.bytes.truncate(self.start);
        }
    }
}

#[cfg(test)]
mod tests;
