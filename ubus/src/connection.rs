//! A client's side of the bus without I/O: received messages in, events and bytes to send out.
//!
//! The owner reads from a stream into a [`ReceiveBuffer`](crate::ReceiveBuffer), hands each message to [`Connection::handle`], and
//! sends what [`Connection::output`] holds. Nothing here waits and nothing knows the time: a request that takes too long is given up
//! with [`Connection::cancel`].
//!
//! A request ends once: by [`Event::Done`] or the last [`Event::Answered`], by being cancelled, or by being listed when the connection is lost or closed. Objects,
//! listeners and subscriptions outlive a lost connection and are offered again after the next hello.

mod chain;
mod dispatch;
mod event;
mod life;
mod map;
#[cfg(test)]
mod tests;

pub use event::{CallToken, Caller, Event, ProtocolError, Request, RequestError};
pub use map::Handle;
#[cfg(feature = "client")]
pub(crate) use map::NumberMap;

use crate::blob::BuildError;
use crate::blobmsg::{Builder, Table, TableBuf};
use crate::message::{Kind, Writer, EVENT_OBJECT};
use crate::send::SendBuffer;
use crate::status::Status;
use chain::{Pending, Step};
use life::Restore;
pub(crate) use map::IdMap;
use map::Slab;
use std::os::fd::OwnedFd;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the hello.
    Greeting,
    Open,
    Lost,
    Closed,
}

/// Something of ours that is an object for the daemon.
#[derive(Debug)]
struct Local {
    /// Its id while the daemon knows it.
    id: Option<u32>,
    stage: Stage,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The request that makes it has not ended.
    Making,
    /// Outlives the connection.
    Lasting,
    /// A subscription whose target is gone for good.
    Ended,
}

#[derive(Debug)]
enum Role {
    Object {
        path: Option<Vec<u8>>,
        signature: TableBuf,
        /// Whether it has subscribers.
        active: bool,
    },
    Listener {
        pattern: Vec<u8>,
    },
    Subscription {
        path: Vec<u8>,
        /// Waits whenever its target is missing.
        auto: bool,
        /// Waits for its target this once: the connection was lost while it was subscribed.
        revives: bool,
        target: Option<u32>,
    },
    /// Learns of new objects for the subscriptions that wait.
    Watcher,
}

/// A connection to the daemon.
///
/// ```
/// use ubus::blobmsg::Table;
/// use ubus::message::MAX_RECEIVED;
/// use ubus::{Connection, Event, ReceiveBuffer};
///
/// let mut connection = Connection::new();
/// let mut received = ReceiveBuffer::new(MAX_RECEIVED);
///
/// // What a socket would bring: the daemon's hello.
/// received.push(&[0, 0, 0, 0, 0x06, 0xb5, 0x1f, 0xa1, 0, 0, 0, 4], None);
/// while let Some(message) = received.next()? {
///     if let Some(Event::Ready { client }) = connection.handle(message)? {
///         assert_eq!(client, 0x06b51fa1);
///     }
/// }
///
/// // Ask, and send what is to be sent.
/// let request = connection.invoke(0x409eb227, b"echo", Table::default())?;
/// let piece = connection.output().piece().unwrap();
/// assert_eq!(piece.bytes.len(), 8 + 4 + 8 + 12 + 4);
/// // Later messages give `Event::Data` and `Event::Done` of this request.
/// # let _ = request;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    state: State,
    client: u32,
    /// Counts connections, so that answers to calls of an earlier one go nowhere.
    epoch: u32,
    seq: u16,
    serial: u32,
    /// Requests by sequence number.
    pending: IdMap<Pending>,
    locals: Slab<Local>,
    /// Objects of ours by the daemon's id.
    ids: IdMap<Handle>,
    watcher: Option<Handle>,
    /// Whether the watcher hears of new objects by now.
    watching: bool,
    restore: Option<Restore>,
    output: SendBuffer,
}

impl Default for Connection {
    fn default() -> Connection {
        Connection::new()
    }
}

impl Connection {
    /// A connection that waits for the daemon's hello.
    pub fn new() -> Connection {
        Connection {
            state: State::Greeting,
            client: 0,
            epoch: 0,
            seq: 0,
            serial: 0,
            pending: IdMap::default(),
            locals: Slab::default(),
            ids: IdMap::default(),
            watcher: None,
            watching: false,
            restore: None,
            output: SendBuffer::new(),
        }
    }

    /// Whether requests may be made.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether it was closed for good.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether something has yet to be offered again after a reconnect.
    pub fn is_restoring(&self) -> bool {
        self.restore.is_some()
    }

    /// The id of this client, once the daemon has told it.
    pub fn client(&self) -> Option<u32> {
        self.is_open().then_some(self.client)
    }

    /// The id the daemon gave to something of ours, while it knows it.
    pub fn id(&self, handle: Handle) -> Option<u32> {
        self.locals.get(handle)?.id
    }

    /// Whether an object here has subscribers.
    pub fn has_subscribers(&self, handle: Handle) -> bool {
        let role = self.locals.get(handle).map(|local| &local.role);
        matches!(role, Some(Role::Object { active: true, .. }))
    }

    /// The id of the object that a subscription is attached to.
    pub fn target(&self, handle: Handle) -> Option<u32> {
        match self.locals.get(handle)?.role {
            Role::Subscription { target, .. } => target,
            _ => None,
        }
    }

    /// Whether this is a subscription whose object is gone for good.
    pub fn has_ended(&self, handle: Handle) -> bool {
        let local = self.locals.get(handle);
        local.is_some_and(|local| local.stage == Stage::Ended)
    }

    /// Whether the end of a request is still to come.
    pub fn is_waiting(&self, request: Request) -> bool {
        let pending = self.pending.get(&u32::from(request.seq));
        pending.is_some_and(|pending| pending.serial == request.serial)
    }

    /// How many requests wait for answers.
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// What is to be sent.
    pub fn output(&mut self) -> &mut SendBuffer {
        &mut self.output
    }

    /// Asks for objects: all, those of a path, or those whose path starts with what stands before a final `*`.
    ///
    /// Each comes as [`Event::Data`] with path, object, type and signature.
    pub fn lookup(&mut self, path: Option<&[u8]>) -> Result<Request, RequestError> {
        self.request(Kind::LOOKUP, 0, |message| {
            if let Some(path) = path {
                message.path(path);
            }
        })
    }

    /// Calls a method of an object by its id. Results come as [`Event::Data`].
    pub fn invoke(
        &mut self,
        object: u32,
        method: &[u8],
        data: Table<'_>,
    ) -> Result<Request, RequestError> {
        self.request(Kind::INVOKE, object, |message| {
            message.object(object).method(method).data(data);
        })
    }

    /// Like [`Connection::invoke`], and hands a descriptor to the owner of the object.
    pub fn invoke_with_fd(
        &mut self,
        object: u32,
        method: &[u8],
        data: Table<'_>,
        fd: OwnedFd,
    ) -> Result<Request, RequestError> {
        let before = self.output.len();
        let request = self.invoke(object, method, data)?;
        self.output.attach(self.output.len() - before, fd);
        Ok(request)
    }

    /// Asks the daemon for a sign of life.
    pub fn ping(&mut self) -> Result<Request, RequestError> {
        self.request(Kind::PING, 0, |_| {})
    }

    /// Sends an event. Done when the daemon has taken it, whether or not anybody listens.
    pub fn send_event(&mut self, name: &[u8], data: Table<'_>) -> Result<Request, RequestError> {
        let mut builder = Builder::new();
        builder.string("id", name).table("data", data);
        let arguments = builder.finish()?;
        self.invoke(EVENT_OBJECT, b"send", arguments.as_table())
    }

    /// Adds an object: with a path for all to see, or without one.
    ///
    /// The signature is published, and calls that contradict it are refused with [`Status::INVALID_ARGUMENT`].
    pub fn add(
        &mut self,
        path: Option<&[u8]>,
        signature: TableBuf,
    ) -> Result<(Handle, Request), RequestError> {
        let path = path.map(<[u8]>::to_vec);
        self.create(Role::Object {
            path,
            signature,
            active: false,
        })
    }

    /// Waits for events of a name, or of all names that start with what stands before a final `*`.
    pub fn listen(&mut self, pattern: &[u8]) -> Result<(Handle, Request), RequestError> {
        let pattern = pattern.to_vec();
        self.create(Role::Listener { pattern })
    }

    /// Waits for the notifications of the object with exactly this path.
    ///
    /// With `auto` the object may be missing: the subscription waits for it, now and whenever it goes. Without, the request fails
    /// with [`Status::NOT_FOUND`], and the subscription ends with its object. After a lost connection either waits for its return.
    pub fn subscribe(
        &mut self,
        path: &[u8],
        auto: bool,
    ) -> Result<(Handle, Request), RequestError> {
        // It may be long before the path is sent, and then nobody could be told that it cannot.
        SendBuffer::new().write(Kind::LOOKUP, 0, 0, |message| {
            message.path(path);
        })?;
        self.create(Role::Subscription {
            path: path.to_vec(),
            auto,
            revives: false,
            target: None,
        })
    }

    /// Removes an object, a listener or a subscription; nothing more is told of it. Gives no request where the daemon need not know.
    ///
    /// While the request that makes it has not ended, it is [`Connection::cancel`] of that request that takes it back.
    pub fn remove(&mut self, handle: Handle) -> Result<Option<Request>, RequestError> {
        if self.is_closed() {
            return Err(RequestError::Closed);
        }
        match self.locals.get(handle) {
            Some(local) if local.stage != Stage::Making => {}
            _ => return Err(RequestError::UnknownHandle),
        }
        match self.locals.remove(handle).and_then(|local| local.id) {
            Some(id) => {
                self.ids.remove(&id);
                self.request(Kind::REMOVE_OBJECT, 0, |message| {
                    message.object(id);
                })
                .map(Some)
            }
            None => Ok(None),
        }
    }

    /// Notifies the subscribers of an object here and wants no answer.
    pub fn notify(
        &mut self,
        handle: Handle,
        method: &[u8],
        data: Table<'_>,
    ) -> Result<(), RequestError> {
        let id = self.own_object(handle)?;
        let seq = self.next_seq()?;
        self.output.write(Kind::NOTIFY, seq, id, |message| {
            message.object(id).method(method).data(data).no_reply();
        })?;
        Ok(())
    }

    /// Notifies the subscribers of an object here. Done when all of them have answered.
    pub fn notify_and_wait(
        &mut self,
        handle: Handle,
        method: &[u8],
        data: Table<'_>,
    ) -> Result<Request, RequestError> {
        let id = self.own_object(handle)?;
        let step = Step::Notify { missing: None };
        self.request_with(step, Kind::NOTIFY, id, |message| {
            message.object(id).method(method).data(data);
        })
    }

    /// Sends a part of the result of a call.
    pub fn reply(&mut self, token: &CallToken, data: Table<'_>) -> Result<(), RequestError> {
        self.answer(token, |output| {
            output.write(Kind::DATA, token.seq, token.peer, |message| {
                message.object(token.object).data(data);
            })?;
            Ok(())
        })
    }

    /// Ends a call or a notification that was received.
    pub fn finish(&mut self, token: CallToken, status: Status) -> Result<(), RequestError> {
        self.answer(&token, |output| {
            write_status(output, &token, status)?;
            Ok(())
        })
    }

    /// Like [`Connection::finish`], and hands a descriptor to the caller.
    pub fn finish_with_fd(
        &mut self,
        token: CallToken,
        status: Status,
        fd: OwnedFd,
    ) -> Result<(), RequestError> {
        self.answer(&token, |output| {
            let length = write_status(output, &token, status)?;
            output.attach(length, fd);
            Ok(())
        })
    }

    /// Gives a request up: late answers are ignored, and what it was to create is taken back. False if it had ended.
    pub fn cancel(&mut self, request: Request) -> bool {
        if !self.is_waiting(request) {
            return false;
        }
        let key = u32::from(request.seq);
        let Some(pending) = self.pending.get_mut(&key) else {
            return false;
        };
        match pending.step.handle() {
            Some(handle) if matches!(pending.step, Step::Add { .. }) => {
                // The id of what must be taken back is still to come.
                pending.serial = 0;
                self.locals.remove(handle);
            }
            handle => {
                self.pending.remove(&key);
                if let Some(handle) = handle {
                    self.take_back(handle);
                }
            }
        }
        true
    }

    fn check_open(&self) -> Result<(), RequestError> {
        match self.state {
            State::Open => Ok(()),
            State::Closed => Err(RequestError::Closed),
            State::Greeting | State::Lost => Err(RequestError::NotConnected),
        }
    }

    /// The id of an object, which listeners and subscriptions are not.
    fn own_object(&self, handle: Handle) -> Result<u32, RequestError> {
        if self.is_closed() {
            return Err(RequestError::Closed);
        }
        match self.locals.get(handle) {
            Some(local) if matches!(local.role, Role::Object { .. }) => {
                local.id.ok_or(RequestError::NotConnected)
            }
            _ => Err(RequestError::UnknownHandle),
        }
    }

    fn answer(
        &mut self,
        token: &CallToken,
        write: impl FnOnce(&mut SendBuffer) -> Result<(), BuildError>,
    ) -> Result<(), RequestError> {
        self.check_open()?;
        if token.epoch != self.epoch {
            return Err(RequestError::NotConnected);
        }
        if token.no_reply {
            return Ok(());
        }
        Ok(write(&mut self.output)?)
    }

    /// A sequence number that no request waits for.
    fn next_seq(&mut self) -> Result<u16, RequestError> {
        if self.pending.len() > usize::from(u16::MAX) {
            return Err(RequestError::TooManyRequests);
        }
        loop {
            self.seq = self.seq.wrapping_add(1);
            if !self.pending.contains_key(&u32::from(self.seq)) {
                return Ok(self.seq);
            }
        }
    }

    fn next_serial(&mut self) -> u32 {
        // 0 marks what nobody asked for.
        self.serial = self.serial.wrapping_add(1).max(1);
        self.serial
    }

    fn request(
        &mut self,
        kind: Kind,
        peer: u32,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Result<Request, RequestError> {
        self.request_with(Step::Plain, kind, peer, fill)
    }

    fn request_with(
        &mut self,
        step: Step,
        kind: Kind,
        peer: u32,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Result<Request, RequestError> {
        self.check_open()?;
        let seq = self.next_seq()?;
        self.output.write(kind, seq, peer, fill)?;
        let serial = self.next_serial();
        let pending = Pending {
            serial,
            peer,
            restores: false,
            step,
        };
        self.pending.insert(seq.into(), pending);
        Ok(Request { serial, seq })
    }
}

fn write_status(
    output: &mut SendBuffer,
    token: &CallToken,
    status: Status,
) -> Result<usize, BuildError> {
    output.write(Kind::STATUS, token.seq, token.peer, |message| {
        message.status(status).object(token.object);
    })
}
