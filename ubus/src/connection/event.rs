//! What a connection tells its owner, and what the owner answers with.

use super::map::Handle;
use crate::blob::{Attrs, BuildError};
use crate::blobmsg::Table;
use crate::message::{Attributes, Subscribers};
use crate::status::Status;
use std::fmt;
use std::os::fd::OwnedFd;

/// Something asked of the bus and not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request {
    pub(super) serial: u32,
    pub(super) seq: u16,
}

/// A call or a notification that was received, to answer it with. Dropping all copies leaves the caller without an answer.
#[derive(Clone, Debug)]
#[must_use = "a call that is not finished leaves its caller waiting"]
pub struct CallToken {
    pub(super) epoch: u32,
    pub(super) object: u32,
    pub(super) peer: u32,
    pub(super) seq: u16,
    pub(super) no_reply: bool,
}

impl CallToken {
    /// Whether the caller waits for an answer; if not, answering does nothing.
    pub fn wants_reply(&self) -> bool {
        !self.no_reply
    }

    /// The id of the calling client.
    pub fn caller(&self) -> u32 {
        self.peer
    }
}

/// What a message meant to the owner of the connection.
#[derive(Debug)]
pub enum Event<'a> {
    /// The daemon said hello: requests may be made. After a reconnect everything is being restored now.
    Ready {
        /// The id of this client.
        client: u32,
    },
    /// A part of the result of a request.
    Data {
        /// Which one.
        request: Request,
        /// What it holds: data of a call, or path, object, type and signature of a lookup.
        attributes: Attributes<'a>,
    },
    /// The end of a request.
    Done {
        /// Which one.
        request: Request,
        /// How it ended.
        status: Status,
        /// What came with the answer.
        fd: Option<OwnedFd>,
    },
    /// A call of a method of an object here. Its arguments fit what the method declares.
    Call {
        /// The object.
        handle: Handle,
        /// The place of the method in the object's signature.
        index: usize,
        /// The name of the method.
        method: &'a [u8],
        /// The arguments.
        data: Table<'a>,
        /// Who calls.
        caller: Caller<'a>,
        /// To answer with, now or later.
        token: CallToken,
        /// What came with the call.
        fd: Option<OwnedFd>,
    },
    /// An event that a listener waits for.
    Event {
        /// The listener.
        handle: Handle,
        /// The name of the event.
        name: &'a [u8],
        /// What it carries.
        data: Table<'a>,
    },
    /// A notification of a subscribed object.
    Notification {
        /// The subscription.
        handle: Handle,
        /// The name of the notification.
        method: &'a [u8],
        /// What it carries.
        data: Table<'a>,
        /// To be finished with a status; a sender who does not want it does not get it.
        token: CallToken,
    },
    /// A notification sent from here was handed to these subscribers.
    Notified {
        /// The request.
        request: Request,
        /// Their ids.
        subscribers: Subscribers<'a>,
    },
    /// A subscriber answered a notification sent from here.
    Answered {
        /// The request.
        request: Request,
        /// The id of the subscriber.
        subscriber: u32,
        /// Its answer.
        status: Status,
        /// Whether all have answered: then the request has ended.
        last: bool,
    },
    /// An object here got its first subscriber, or lost its last.
    Subscribers {
        /// The object.
        handle: Handle,
        /// Whether there are any.
        active: bool,
    },
    /// The object subscribed to is gone. An automatic subscription waits for its return; any other has ended.
    TargetGone {
        /// The subscription.
        handle: Handle,
    },
    /// After a reconnect, something was offered to the daemon again.
    Restored {
        /// What.
        handle: Handle,
        /// Whether the daemon took it.
        status: Status,
    },
    /// A copy of a message of others, for [`crate::Monitored`].
    Monitor(Attrs<'a>),
}

/// Who calls, as the daemon tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller<'a> {
    /// The name of the user.
    pub user: Option<&'a [u8]>,
    /// The name of the group.
    pub group: Option<&'a [u8]>,
}

/// Why a request could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// There is no connection at present, or the daemon does not know the object yet.
    NotConnected,
    /// The connection was closed for good.
    Closed,
    /// The message does not fit or is malformed.
    Build(BuildError),
    /// All 65536 sequence numbers wait for answers.
    TooManyRequests,
    /// The handle is of another kind, or was removed.
    UnknownHandle,
    /// The request has ended, and its end was told.
    UnknownRequest,
}

impl From<BuildError> for RequestError {
    fn from(error: BuildError) -> RequestError {
        RequestError::Build(error)
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::NotConnected => f.write_str("not connected"),
            RequestError::Closed => f.write_str("closed"),
            RequestError::Build(error) => error.fmt(f),
            RequestError::TooManyRequests => f.write_str("too many requests wait for answers"),
            RequestError::UnknownHandle => f.write_str("no such object, listener or subscription"),
            RequestError::UnknownRequest => f.write_str("no such request"),
        }
    }
}

impl std::error::Error for RequestError {}

/// Why the other side is no daemon that one can talk to. The connection is of no further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// A version other than 0.
    Version {
        /// The version.
        version: u8,
    },
    /// The first message is no hello, or gives no id.
    Hello,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolError::Version { version } => write!(f, "message of version {version}"),
            ProtocolError::Hello => f.write_str("no hello from the daemon"),
        }
    }
}

impl std::error::Error for ProtocolError {}
