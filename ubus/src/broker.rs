//! The daemon's side of the bus without I/O: messages of clients in, messages to clients out.
//!
//! The owner tells who connects, hands each message to [`Broker::receive`], sends what [`Broker::output`] of every client named by
//! [`Broker::next_unsent`] holds, and tells who has gone. Ids are random and unique among clients, objects and types. Whatever a client
//! made goes with it, so memory follows those who are connected. What a client does not read is kept up to [`MAX_QUEUE`] and dropped
//! beyond, so nobody waits for another.
//!
//! Access rules are not read: user 0 and the user the daemon belongs to may do everything, others what needs no rule.

mod client;
mod event;
mod invoke;
mod listeners;
mod lookup;
mod monitor;
mod object;
mod subscription;
#[cfg(test)]
mod tests;

pub use client::{Credentials, MAX_DESCRIPTORS, MAX_QUEUE};

use crate::connection::IdMap;
use crate::message::{Attributes, Header, Kind, Writer, FIRST_ID};
use crate::receive::Received;
use crate::send::SendBuffer;
use crate::status::Status;
use client::Client;
use listeners::Listeners;
use object::{Object, ObjectType};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// All that the daemon knows.
///
/// ```
/// use ubus::broker::{Broker, Credentials};
/// use ubus::{message::{Kind, Message, MAX_MESSAGE}, ReceiveBuffer};
///
/// let mut broker = Broker::new(0);
/// let root = Credentials { uid: 0, gid: 0, user: b"root".to_vec(), group: b"root".to_vec() };
/// let client = broker.connect(&root);
///
/// // What a socket would bring: a ping.
/// let mut received = ReceiveBuffer::new(MAX_MESSAGE);
/// received.push(&[0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4], None);
/// while let Some(message) = received.next()? {
///     broker.receive(client, message);
/// }
///
/// // What a socket would send: hello, and the two parts of the answer.
/// assert_eq!(broker.next_unsent(), Some(client));
/// let piece = broker.output(client).unwrap().piece().unwrap();
/// let (hello, _) = Message::read(piece.bytes, MAX_MESSAGE)?.unwrap();
/// assert_eq!((hello.header.kind, hello.header.peer), (Kind::HELLO, client));
/// assert_eq!(piece.bytes.len(), 12 + 12 + 20);
/// # Ok::<(), ubus::message::FrameError>(())
/// ```
pub struct Broker {
    /// The user who may do everything beside user 0.
    owner: u32,
    next_id: Box<dyn FnMut() -> u32 + Send>,
    clients: IdMap<Client>,
    objects: IdMap<Object>,
    types: IdMap<ObjectType>,
    /// Objects with a path, in the order of paths.
    paths: BTreeMap<Arc<[u8]>, u32>,
    listeners: Listeners,
    /// Clients that watch all traffic, with the number of copies each was sent.
    monitors: BTreeMap<u32, u16>,
    /// Counts events that were delivered.
    event_seq: u16,
    /// Counts objects, patterns and subscriptions, so that each has a place in the order of their coming.
    serial: u64,
    access_sequence: i32,
    /// Clients with something new to send, each once.
    unsent: Vec<u32>,
    /// Bytes queued since the last client was taken from `unsent`.
    unsent_bytes: usize,
}

impl Broker {
    /// A broker without clients. `owner` is the user it runs as, who may do what user 0 may.
    pub fn new(owner: u32) -> Broker {
        // Keyed hashes of a counter: nobody can tell the next from those seen.
        let (key, mut counter) = (RandomState::new(), 0u64);
        Broker::with_ids(owner, move || {
            counter += 1;
            key.hash_one(counter) as u32
        })
    }

    /// A broker that takes ids from `next_id`; those that are reserved or taken are passed over.
    pub fn with_ids(owner: u32, next_id: impl FnMut() -> u32 + Send + 'static) -> Broker {
        Broker {
            owner,
            next_id: Box::new(next_id),
            clients: IdMap::default(),
            objects: IdMap::default(),
            types: IdMap::default(),
            paths: BTreeMap::new(),
            listeners: Listeners::default(),
            monitors: BTreeMap::new(),
            event_seq: 0,
            serial: 0,
            access_sequence: 0,
            unsent: Vec::new(),
            unsent_bytes: 0,
        }
    }

    /// Takes a new client in, greets it, and gives its id.
    pub fn connect(&mut self, credentials: &Credentials) -> u32 {
        let id = self.new_id();
        self.clients
            .insert(id, Client::new(credentials, self.owner));
        self.send(id, Header::new(Kind::HELLO, 0, id), |_| {});
        id
    }

    /// Forgets a client and all that it made.
    pub fn disconnect(&mut self, id: u32) {
        let Some(client) = self.clients.remove(&id) else {
            return;
        };
        self.monitors.remove(&id);
        // What came last goes first.
        for object in client.objects.into_values().rev() {
            self.remove_object(object);
        }
    }

    /// Takes one message of a client.
    pub fn receive(&mut self, from: u32, received: Received<'_>) {
        let Received { message, fd } = received;
        if !self.clients.contains_key(&from) {
            return;
        }
        let header = message.header;
        let body = message.body.rest();
        if !self.monitors.is_empty() {
            self.copy_to_monitors(from, false, header, body);
        }
        let attributes = message.attributes();
        // What is forwarded is answered later and by others, or not at all.
        let status = match header.kind {
            Kind::STATUS | Kind::DATA => {
                self.answer(from, header, &attributes, body, fd);
                None
            }
            Kind::INVOKE => self.invoke(from, header, &attributes, fd),
            Kind::NOTIFY => self.notify(from, header, &attributes),
            Kind::PING => {
                let header = Header::new(Kind::DATA, header.seq, header.peer);
                self.send(from, header, |message| {
                    message.attributes(body);
                });
                Some(Status::OK)
            }
            Kind::LOOKUP => self.lookup(from, header, &attributes),
            Kind::ADD_OBJECT => Some(ended(self.add_object(from, header, &attributes))),
            Kind::REMOVE_OBJECT => Some(ended(self.remove_own_object(from, header, &attributes))),
            Kind::SUBSCRIBE => Some(ended(self.subscribe(from, &attributes))),
            Kind::UNSUBSCRIBE => Some(ended(self.unsubscribe(from, &attributes))),
            _ => Some(Status::INVALID_COMMAND),
        };
        if let Some(status) = status {
            self.send_status(from, header, status);
        }
    }

    /// A client with something new to send, each once until something new is added.
    pub fn next_unsent(&mut self) -> Option<u32> {
        self.unsent_bytes = 0;
        while let Some(id) = self.unsent.pop() {
            if let Some(client) = self.clients.get_mut(&id) {
                client.is_unsent = false;
                return Some(id);
            }
        }
        None
    }

    /// Bytes queued since [`Broker::next_unsent`] was asked: many of them are better sent soon.
    pub fn unsent_bytes(&self) -> usize {
        self.unsent_bytes
    }

    /// What is to be sent to a client.
    pub fn output(&mut self, id: u32) -> Option<&mut SendBuffer> {
        self.clients.get_mut(&id).map(|client| &mut client.output)
    }

    /// Goes on with the long answer a client waits for, now that some of it was sent.
    pub fn resume(&mut self, id: u32) {
        self.go_on_with_lookup(id);
    }

    /// Whether a client still gets a long answer: until that ends, nothing new should be read from it.
    pub fn is_busy(&self, id: u32) -> bool {
        self.clients
            .get(&id)
            .is_some_and(|client| client.lookup.is_some())
    }

    /// Clients now connected.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Objects now known.
    pub fn objects(&self) -> usize {
        self.objects.len()
    }

    /// Whether nothing is known: so it is whenever nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
            && self.objects.is_empty()
            && self.types.is_empty()
            && self.paths.is_empty()
            && self.listeners.is_empty()
            && self.monitors.is_empty()
    }

    /// Tells listeners that access rules may have changed.
    pub fn access_changed(&mut self) {
        self.access_sequence = self.access_sequence.wrapping_add(1);
        let sequence = self.access_sequence;
        self.emit(b"ubus.acl.sequence", |builder| {
            builder.int32("sequence", sequence);
        });
    }

    fn new_id(&mut self) -> u32 {
        loop {
            let id = (self.next_id)();
            let taken = self.clients.contains_key(&id)
                || self.objects.contains_key(&id)
                || self.types.contains_key(&id);
            if id >= FIRST_ID && !taken {
                return id;
            }
        }
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn send_status(&mut self, to: u32, request: Header, status: Status) {
        let header = Header::new(Kind::STATUS, request.seq, request.peer);
        self.send(to, header, |message| {
            message.status(status);
        });
    }

    fn send(&mut self, to: u32, header: Header, fill: impl FnOnce(&mut Writer<'_>)) {
        self.send_with_fd(to, header, None, fill);
    }

    /// Queues a message, or drops it if too much is queued. Every message but copies for monitors goes through here.
    fn send_with_fd(
        &mut self,
        to: u32,
        header: Header,
        fd: Option<OwnedFd>,
        fill: impl FnOnce(&mut Writer<'_>),
    ) {
        let Some(length) = self.queue(to, header, fd, fill) else {
            return;
        };
        if !self.monitors.is_empty() {
            self.copy_last_to_monitors(to, header, length);
        }
    }

    fn queue(
        &mut self,
        to: u32,
        header: Header,
        fd: Option<OwnedFd>,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Option<usize> {
        let client = self.clients.get_mut(&to)?;
        let length = client.queue(header, fd, fill)?;
        self.unsent_bytes += length;
        if !std::mem::replace(&mut client.is_unsent, true) {
            self.unsent.push(to);
        }
        Some(length)
    }
}

fn ended(result: Result<(), Status>) -> Status {
    match result {
        Ok(()) => Status::OK,
        Err(status) => status,
    }
}

/// The object a request is about.
fn object_of(attributes: &Attributes<'_>) -> Result<u32, Status> {
    attributes.object.ok_or(Status::INVALID_ARGUMENT)
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("clients", &self.clients.len())
            .field("objects", &self.objects.len())
            .finish_non_exhaustive()
    }
}
