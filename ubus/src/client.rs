//! A client that waits: for programs in Rust that have no event loop, or one that can watch a descriptor.
//!
//! Every wait has a timeout. While it waits for one thing it serves the others: calls, events and notifications reach their handlers,
//! also those of calls this client makes to its own objects. A handler may use the client as its owner does; it is not entered a
//! second time before it has returned.

mod error;
mod handler;

pub use error::ClientError;
pub use handler::{Call, Notice, Object};

use crate::blobmsg::{Table, TableBuf};
use crate::connection::{CallToken, Connection, Event, Handle, NumberMap, Request, RequestError};
use crate::message::{Attributes, MAX_RECEIVED};
use crate::receive::ReceiveBuffer;
use crate::socket::{deadline, Socket};
use crate::status::Status;
use handler::{Delivery, Handler};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An object somebody offers.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectInfo {
    /// Where it is found.
    pub path: Vec<u8>,
    /// Its id, until it is removed.
    pub id: u32,
    /// The id of its type.
    pub object_type: u32,
    /// Its methods: see [`crate::signature::Signature`].
    pub signature: TableBuf,
}

/// What has come for a request so far.
#[derive(Debug, Default)]
struct Answer {
    data: Vec<TableBuf>,
    objects: Vec<ObjectInfo>,
    subscribers: Vec<(u32, Status)>,
    end: Option<Result<Status, ClientError>>,
    fd: Option<OwnedFd>,
}

/// A connection to the daemon that waits for answers.
///
/// It may be made in one thread and used in another, which is why its handlers have to be [`Send`].
///
/// See the [crate's front page](crate) for an example.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    socket: Option<Socket>,
    connection: Connection,
    received: ReceiveBuffer,
    answers: NumberMap<Request, Answer>,
    /// `None` while it runs.
    handlers: NumberMap<Handle, Option<Handler>>,
    deliveries: VecDeque<Delivery>,
    stopped: bool,
}

impl Client {
    /// Connects to the daemon at `path` (mostly [`crate::message::DEFAULT_PATH`]) and waits for its hello.
    pub fn connect(path: impl AsRef<Path>, timeout: Duration) -> Result<Client, ClientError> {
        let mut client = Client {
            path: path.as_ref().to_path_buf(),
            socket: None,
            connection: Connection::new(),
            received: ReceiveBuffer::new(MAX_RECEIVED),
            answers: NumberMap::default(),
            handlers: NumberMap::default(),
            deliveries: VecDeque::new(),
            stopped: false,
        };
        client.greet(deadline(timeout))?;
        Ok(client)
    }

    /// Connects anew and offers all objects, listeners and subscriptions again; handles stay valid.
    ///
    /// Handlers of calls that came before cannot answer them any more.
    pub fn reconnect(&mut self, timeout: Duration) -> Result<(), ClientError> {
        let end = deadline(timeout);
        self.lose(ClientError::Lost);
        self.connection.reconnect()?;
        self.greet(end)?;
        self.turn_while(end, Connection::is_restoring)
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.connection.is_open()
    }

    /// The id of this client.
    pub fn id(&self) -> Option<u32> {
        self.connection.client()
    }

    /// The core, for what has no method here. Its requests may be waited for with [`Client::finish_call`].
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Objects: all, those of a path, or those whose path starts with what stands before a final `*`.
    pub fn lookup(
        &mut self,
        path: Option<&str>,
        timeout: Duration,
    ) -> Result<Vec<ObjectInfo>, ClientError> {
        let request = self.connection.lookup(path.map(str::as_bytes))?;
        Ok(self.wait(request, timeout)?.objects)
    }

    /// Calls a method of the object with this path; gives every part of the result.
    pub fn call(
        &mut self,
        path: impl AsRef<[u8]>,
        method: impl AsRef<[u8]>,
        data: Table<'_>,
        timeout: Duration,
    ) -> Result<Vec<TableBuf>, ClientError> {
        let end = deadline(timeout);
        let path = path.as_ref();
        let request = self.connection.lookup(Some(path))?;
        let objects = self.wait_until(request, end)?.objects;
        // A path that ends in `*` finds others as well.
        let found = objects.iter().find(|object| object.path == path);
        let id = found.ok_or(ClientError::Status(Status::NOT_FOUND))?.id;
        let request = self.start_call(id, method, data)?;
        Ok(self.wait_until(request, end)?.data)
    }

    /// Calls a method of the object with this id; gives every part of the result.
    pub fn call_id(
        &mut self,
        id: u32,
        method: impl AsRef<[u8]>,
        data: Table<'_>,
        timeout: Duration,
    ) -> Result<Vec<TableBuf>, ClientError> {
        let request = self.start_call(id, method, data)?;
        self.finish_call(request, timeout)
    }

    /// Starts a call, of many that may be under way. It goes out with the next wait, or with [`Client::flush`].
    pub fn start_call(
        &mut self,
        id: u32,
        method: impl AsRef<[u8]>,
        data: Table<'_>,
    ) -> Result<Request, ClientError> {
        let request = self.connection.invoke(id, method.as_ref(), data)?;
        self.answers.insert(request, Answer::default());
        Ok(request)
    }

    /// Waits for the result of a call that was started. A call that takes too long is given up.
    pub fn finish_call(
        &mut self,
        request: Request,
        timeout: Duration,
    ) -> Result<Vec<TableBuf>, ClientError> {
        Ok(self.wait(request, timeout)?.data)
    }

    /// Like [`Client::finish_call`], and hands over each part of the result as it comes, also those before a failure.
    pub fn finish_call_with(
        &mut self,
        request: Request,
        timeout: Duration,
        mut take: impl FnMut(TableBuf),
    ) -> Result<(), ClientError> {
        let end = deadline(timeout);
        let waited = self.wait_while(request, end, &mut |answer| {
            answer.data.drain(..).for_each(&mut take);
        });
        waited.map(|_| ())
    }

    /// Waits for the objects that a lookup of the core finds.
    pub fn finish_lookup(
        &mut self,
        request: Request,
        timeout: Duration,
    ) -> Result<Vec<ObjectInfo>, ClientError> {
        Ok(self.wait(request, timeout)?.objects)
    }

    /// Gives a call up that was started.
    pub fn cancel_call(&mut self, request: Request) {
        self.connection.cancel(request);
        self.answers.remove(&request);
    }

    /// Calls a method and hands over a descriptor; gives the parts of the result and the descriptor that came back.
    pub fn call_with_fd(
        &mut self,
        id: u32,
        method: impl AsRef<[u8]>,
        data: Table<'_>,
        fd: OwnedFd,
        timeout: Duration,
    ) -> Result<(Vec<TableBuf>, Option<OwnedFd>), ClientError> {
        let request = self
            .connection
            .invoke_with_fd(id, method.as_ref(), data, fd)?;
        let answer = self.wait(request, timeout)?;
        Ok((answer.data, answer.fd))
    }

    /// Sends an event; whether anybody listens is not told.
    pub fn send_event(
        &mut self,
        name: impl AsRef<[u8]>,
        data: Table<'_>,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let request = self.connection.send_event(name.as_ref(), data)?;
        self.wait(request, timeout).map(|_| ())
    }

    /// Adds an object, whose handlers run whenever this client waits.
    pub fn add_object(&mut self, object: Object, timeout: Duration) -> Result<Handle, ClientError> {
        let (path, signature, handler) = object.finish()?;
        let (handle, request) = self.connection.add(path.as_deref(), signature)?;
        self.make(handle, request, handler, timeout)
    }

    /// Hears events of a name, or of all names that start with what stands before a final `*`.
    pub fn listen(
        &mut self,
        pattern: impl AsRef<[u8]>,
        timeout: Duration,
        handler: impl FnMut(&mut Client, &Notice) + Send + 'static,
    ) -> Result<Handle, ClientError> {
        let (handle, request) = self.connection.listen(pattern.as_ref())?;
        self.make(handle, request, Handler::Event(Box::new(handler)), timeout)
    }

    /// Hears the notifications of the object with this path, and answers with what the handler returns.
    ///
    /// With `auto` the object may be missing: then the subscription waits for it, now and whenever it goes.
    pub fn subscribe(
        &mut self,
        path: impl AsRef<[u8]>,
        auto: bool,
        timeout: Duration,
        handler: impl FnMut(&mut Client, &Notice) -> Status + Send + 'static,
    ) -> Result<Handle, ClientError> {
        let (handle, request) = self.connection.subscribe(path.as_ref(), auto)?;
        let handler = Handler::Notification(Box::new(handler));
        self.make(handle, request, handler, timeout)
    }

    /// Removes an object, a listener or a subscription; its handler is not called again.
    pub fn remove(&mut self, handle: Handle, timeout: Duration) -> Result<(), ClientError> {
        self.handlers.remove(&handle);
        match self.connection.remove(handle)? {
            Some(request) => self.wait(request, timeout).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Notifies the subscribers of an object here without waiting for anything.
    pub fn notify(
        &mut self,
        handle: Handle,
        method: impl AsRef<[u8]>,
        data: Table<'_>,
    ) -> Result<(), ClientError> {
        self.connection.notify(handle, method.as_ref(), data)?;
        self.flush()
    }

    /// Notifies the subscribers of an object here and waits for their answers.
    pub fn notify_and_wait(
        &mut self,
        handle: Handle,
        method: impl AsRef<[u8]>,
        data: Table<'_>,
        timeout: Duration,
    ) -> Result<Vec<(u32, Status)>, ClientError> {
        let request = self
            .connection
            .notify_and_wait(handle, method.as_ref(), data)?;
        Ok(self.wait(request, timeout)?.subscribers)
    }

    /// Sends a part of the result of a call, from its handler.
    pub fn reply(&mut self, call: &Call, data: Table<'_>) -> Result<(), ClientError> {
        match &call.token {
            Some(token) => Ok(self.connection.reply(token, data)?),
            None => Err(ClientError::Request(RequestError::UnknownHandle)),
        }
    }

    /// Sends a part of the result of a call that was put off with [`Call::defer`].
    pub fn reply_to(&mut self, token: &CallToken, data: Table<'_>) -> Result<(), ClientError> {
        Ok(self.connection.reply(token, data)?)
    }

    /// Ends a call that was put off with [`Call::defer`].
    pub fn finish(&mut self, token: CallToken, status: Status) -> Result<(), ClientError> {
        self.connection.finish(token, status)?;
        self.flush()
    }

    /// Serves calls, events and notifications until the time is over or a handler calls [`Client::stop`].
    pub fn serve(&mut self, timeout: Duration) -> Result<(), ClientError> {
        self.serve_unless(None, timeout)
    }

    /// Like [`Client::serve`], and ends, too, when something can be read from `control` or that has ended.
    pub fn serve_until(
        &mut self,
        control: impl AsFd,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        self.serve_unless(Some(control.as_fd()), timeout)
    }

    fn serve_unless(
        &mut self,
        control: Option<BorrowedFd<'_>>,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let end = deadline(timeout);
        self.stopped = false;
        loop {
            while !self.stopped && self.dispatch() {}
            // The end counts, however much there is to do.
            if self.stopped || !self.turn_unless(control, end)? || is_over(end) {
                while !self.stopped && self.dispatch() {}
                return self.flush();
            }
        }
    }

    /// Ends [`Client::serve`] once the handler that calls this has returned.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Sends what the socket takes without waiting.
    pub fn flush(&mut self) -> Result<(), ClientError> {
        let Some(socket) = &mut self.socket else {
            return Err(ClientError::Request(RequestError::NotConnected));
        };
        let result = socket.send(self.connection.output());
        result.map_err(|error| self.lose(error.into()))
    }

    /// The socket, to be watched by a loop of one's own; when something has come, call [`Client::serve`] with no time to wait.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    fn greet(&mut self, end: Option<Instant>) -> Result<(), ClientError> {
        self.socket = Some(Socket::connect(&self.path, end)?);
        let greeted = self.turn_while(end, |connection| !connection.is_open());
        // Half a greeting is none.
        greeted.map_err(|error| self.lose(error))
    }

    fn turn_while(
        &mut self,
        end: Option<Instant>,
        waits: impl Fn(&Connection) -> bool,
    ) -> Result<(), ClientError> {
        while waits(&self.connection) {
            let came = self.turn(end)?;
            if waits(&self.connection) && (!came || is_over(end)) {
                return Err(ClientError::Timeout);
            }
        }
        Ok(())
    }

    /// Waits until something new was made, with its handler in place from the start.
    fn make(
        &mut self,
        handle: Handle,
        request: Request,
        handler: Handler,
        timeout: Duration,
    ) -> Result<Handle, ClientError> {
        self.handlers.insert(handle, Some(handler));
        match self.wait(request, timeout) {
            Ok(_) => Ok(handle),
            Err(error) => {
                self.handlers.remove(&handle);
                Err(error)
            }
        }
    }

    fn wait(&mut self, request: Request, timeout: Duration) -> Result<Answer, ClientError> {
        self.wait_until(request, deadline(timeout))
    }

    fn wait_until(
        &mut self,
        request: Request,
        end: Option<Instant>,
    ) -> Result<Answer, ClientError> {
        self.wait_while(request, end, &mut |_| {})
    }

    /// Waits for the end of a request, and has what has come so far looked at now and again.
    fn wait_while(
        &mut self,
        request: Request,
        end: Option<Instant>,
        look: &mut dyn FnMut(&mut Answer),
    ) -> Result<Answer, ClientError> {
        if !self.answers.contains_key(&request) {
            if !self.connection.is_waiting(request) {
                return Err(ClientError::Request(RequestError::UnknownRequest));
            }
            self.answers.insert(request, Answer::default());
        }
        while self.is_waiting(request) {
            if self.dispatch() {
                continue;
            }
            let turned = self.turn(end);
            if let Some(answer) = self.answers.get_mut(&request) {
                look(answer);
            }
            let came = match turned {
                Ok(came) => came,
                Err(error) => {
                    self.answers.remove(&request);
                    return Err(error);
                }
            };
            if self.is_waiting(request) && (!came || is_over(end)) {
                self.cancel_call(request);
                return Err(ClientError::Timeout);
            }
        }
        let mut answer = self.answers.remove(&request).unwrap_or_default();
        look(&mut answer);
        match answer.end.take() {
            Some(Ok(Status::OK)) => Ok(answer),
            Some(Ok(status)) => Err(ClientError::Status(status)),
            Some(Err(error)) => Err(error),
            None => Err(ClientError::Lost),
        }
    }

    /// Sends, and takes what has come, waiting for it until `end`. False when the time is over.
    fn turn(&mut self, end: Option<Instant>) -> Result<bool, ClientError> {
        self.turn_unless(None, end)
    }

    fn turn_unless(
        &mut self,
        control: Option<BorrowedFd<'_>>,
        end: Option<Instant>,
    ) -> Result<bool, ClientError> {
        match self.exchange(control, end) {
            Ok(came) => Ok(came),
            Err(error) => Err(self.lose(error)),
        }
    }

    fn exchange(
        &mut self,
        control: Option<BorrowedFd<'_>>,
        end: Option<Instant>,
    ) -> Result<bool, ClientError> {
        let Some(socket) = &mut self.socket else {
            return Err(ClientError::Request(RequestError::NotConnected));
        };
        socket.send(self.connection.output())?;
        let writes = self.connection.output().len() > 0;
        if !socket.wait_unless(control, writes, end)? {
            return Ok(false);
        }
        match socket.receive(&mut self.received) {
            Ok(0) => return Err(ClientError::Lost),
            Ok(_) => {}
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        }
        while let Some(received) = self.received.next()? {
            if let Some(event) = self.connection.handle(received)? {
                take(&mut self.answers, &mut self.deliveries, event);
            }
        }
        Ok(true)
    }

    /// The stream is of no use any more: ends all that waits for it, and passes the reason on.
    fn lose(&mut self, error: ClientError) -> ClientError {
        self.socket = None;
        self.received.clear();
        for request in self.connection.lost() {
            if let Some(answer) = self.answers.get_mut(&request) {
                answer.end = Some(Err(ClientError::Lost));
            }
        }
        error
    }

    /// Whether the end of a request is still to come.
    fn is_waiting(&self, request: Request) -> bool {
        let answer = self.answers.get(&request);
        answer.is_some_and(|answer| answer.end.is_none())
    }

    /// Runs the handler of the first thing that has come for one that does not run already. False if there is none.
    fn dispatch(&mut self) -> bool {
        let handlers = &self.handlers;
        let is_free = |delivery: &Delivery| !matches!(handlers.get(&delivery.handle), Some(None));
        let place = self.deliveries.iter().position(is_free);
        let Some(delivery) = place.and_then(|place| self.deliveries.remove(place)) else {
            return false;
        };
        let handle = delivery.handle;
        match self.handlers.get_mut(&handle).and_then(Option::take) {
            Some(mut handler) => {
                handler.run(self, delivery);
                if let Some(place) = self.handlers.get_mut(&handle) {
                    *place = Some(handler);
                }
            }
            // Removed meanwhile: whoever waits is told so.
            None => delivery.refuse(self),
        }
        true
    }
}

fn is_over(end: Option<Instant>) -> bool {
    end.is_some_and(|end| Instant::now() >= end)
}

/// Keeps what an event brings for those who wait for it.
fn take(
    answers: &mut NumberMap<Request, Answer>,
    deliveries: &mut VecDeque<Delivery>,
    event: Event<'_>,
) {
    match event {
        Event::Data {
            request,
            attributes,
        } => {
            if let Some(answer) = answers.get_mut(&request) {
                answer.add(attributes);
            }
        }
        Event::Done {
            request,
            status,
            fd,
        } => {
            if let Some(answer) = answers.get_mut(&request) {
                answer.fd = fd;
                answer.end = Some(Ok(status));
            }
        }
        Event::Answered {
            request,
            subscriber,
            status,
            last,
        } => {
            if let Some(answer) = answers.get_mut(&request) {
                answer.subscribers.push((subscriber, status));
                answer.end = last.then_some(Ok(Status::OK));
            }
        }
        event => deliveries.extend(Delivery::new(event)),
    }
}

impl Answer {
    fn add(&mut self, attributes: Attributes<'_>) {
        if let (Some(path), Some(id)) = (attributes.path, attributes.object) {
            self.objects.push(ObjectInfo {
                path: path.to_vec(),
                id,
                object_type: attributes.object_type.unwrap_or_default(),
                signature: attributes.signature.unwrap_or_default().into(),
            });
        } else if let Some(data) = attributes.data {
            self.data.push(data.into());
        }
    }
}
