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

mod write;

pub use crate::blob::MAX_MESSAGE;
pub use write::Writer;

use crate::blob::{self, padded, Attr, Attrs};
use crate::blobmsg::Table;
use crate::status::Status;
use std::fmt;

/// Where the daemon listens.
pub const DEFAULT_PATH: &str = "/var/run/ubus/ubus.sock";

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

#[cfg(test)]
mod tests;
