//! What a client's handlers get, and how they are run.

use super::Client;
use crate::blob::BuildError;
use crate::blobmsg::{TableBuf, Type};
use crate::connection::{CallToken, Event, Handle};
use crate::signature::SignatureBuilder;
use crate::status::Status;
use std::fmt;
use std::os::fd::OwnedFd;

type MethodHandler = Box<dyn FnMut(&mut Client, &mut Call) -> Status + Send>;
type NotificationHandler = Box<dyn FnMut(&mut Client, &Notice) -> Status + Send>;
type EventHandler = Box<dyn FnMut(&mut Client, &Notice) + Send>;

/// A call of a method.
#[derive(Debug)]
pub struct Call {
    /// The object called.
    pub handle: Handle,
    /// The method called.
    pub method: Vec<u8>,
    /// The arguments, which fit what the method declares.
    pub data: TableBuf,
    /// The name of the caller's user.
    pub user: Option<Vec<u8>>,
    /// The name of the caller's group.
    pub group: Option<Vec<u8>>,
    /// What came with the call.
    pub fd: Option<OwnedFd>,
    pub(super) token: Option<CallToken>,
}

impl Call {
    /// Puts the end of the call off until [`Client::finish`]; what the handler returns then counts for nothing.
    pub fn defer(&mut self) -> Option<CallToken> {
        self.token.take()
    }
}

/// An event or a notification.
#[derive(Debug)]
pub struct Notice {
    /// The listener or the subscription.
    pub handle: Handle,
    /// The name of the event or the notification.
    pub name: Vec<u8>,
    /// What it carries.
    pub data: TableBuf,
}

/// An object to be added: a path, methods, what they take and what they do.
///
/// ```
/// use ubus::blobmsg::Type;
/// use ubus::client::Object;
/// use ubus::Status;
///
/// let object = Object::new("demo").method("echo", &[("text", Type::String)], |client, call| {
///     match client.reply(call, call.data.as_table()) {
///         Ok(()) => Status::OK,
///         Err(error) => error.status(),
///     }
/// });
/// # let _ = object;
/// ```
pub struct Object {
    path: Option<Vec<u8>>,
    signature: SignatureBuilder,
    methods: Vec<MethodHandler>,
}

impl Object {
    /// An object that is found by its path.
    pub fn new(path: impl AsRef<[u8]>) -> Object {
        Object {
            path: Some(path.as_ref().to_vec()),
            signature: SignatureBuilder::new(),
            methods: Vec::new(),
        }
    }

    /// Adds a method with the arguments it names; others are let through. The call ends with the status the handler returns.
    pub fn method(
        mut self,
        name: impl AsRef<[u8]>,
        arguments: &[(&str, Type)],
        handler: impl FnMut(&mut Client, &mut Call) -> Status + Send + 'static,
    ) -> Object {
        self.signature.method(name);
        for (name, kind) in arguments {
            self.signature.argument(name, kind.number());
        }
        self.methods.push(Box::new(handler));
        self
    }

    #[allow(clippy::type_complexity)]
    pub(super) fn finish(self) -> Result<(Option<Vec<u8>>, TableBuf, Handler), BuildError> {
        let signature = self.signature.finish()?;
        Ok((self.path, signature, Handler::Object(self.methods)))
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("path", &self.path)
            .field("signature", &self.signature)
            .finish_non_exhaustive()
    }
}

/// What to do with a delivery.
pub(super) enum Handler {
    /// One for each method, in the order of the signature.
    Object(Vec<MethodHandler>),
    Event(EventHandler),
    Notification(NotificationHandler),
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Handler::Object(_) => "Object",
            Handler::Event(_) => "Event",
            Handler::Notification(_) => "Notification",
        })
    }
}

/// Something that has come for a handler.
#[derive(Debug)]
pub(super) struct Delivery {
    pub handle: Handle,
    what: What,
}

#[derive(Debug)]
enum What {
    Call {
        index: usize,
        call: Call,
    },
    Notice {
        notice: Notice,
        token: Option<CallToken>,
    },
}

impl Delivery {
    /// Takes what is for handlers out of an event.
    pub fn new(event: Event<'_>) -> Option<Delivery> {
        let (handle, what) = match event {
            Event::Call {
                handle,
                index,
                method,
                data,
                caller,
                token,
                fd,
            } => {
                let call = Call {
                    handle,
                    method: method.to_vec(),
                    data: data.into(),
                    user: caller.user.map(<[u8]>::to_vec),
                    group: caller.group.map(<[u8]>::to_vec),
                    fd,
                    token: Some(token),
                };
                (handle, What::Call { index, call })
            }
            Event::Event { handle, name, data } => {
                (handle, What::notice(handle, name, data.into(), None))
            }
            Event::Notification {
                handle,
                method,
                data,
                token,
            } => (
                handle,
                What::notice(handle, method, data.into(), Some(token)),
            ),
            _ => return None,
        };
        Some(Delivery { handle, what })
    }

    /// There is no handler any more.
    pub fn refuse(self, client: &mut Client) {
        let (What::Call {
            call: Call { token, .. },
            ..
        }
        | What::Notice { token, .. }) = self.what;
        end(client, token, Status::NOT_FOUND);
    }
}

impl What {
    fn notice(handle: Handle, name: &[u8], data: TableBuf, token: Option<CallToken>) -> What {
        let name = name.to_vec();
        let notice = Notice { handle, name, data };
        What::Notice { notice, token }
    }
}

impl Handler {
    /// Runs it, and ends the call if it is not put off.
    pub fn run(&mut self, client: &mut Client, delivery: Delivery) {
        match (self, delivery.what) {
            (Handler::Object(methods), What::Call { index, mut call }) => {
                let status = match methods.get_mut(index) {
                    Some(method) => method(client, &mut call),
                    None => Status::METHOD_NOT_FOUND,
                };
                end(client, call.token, status);
            }
            (Handler::Event(handler), What::Notice { notice, .. }) => handler(client, &notice),
            (Handler::Notification(handler), What::Notice { notice, token }) => {
                let status = handler(client, &notice);
                end(client, token, status);
            }
            // A handle keeps its kind for life.
            _ => {}
        }
    }
}

fn end(client: &mut Client, token: Option<CallToken>, status: Status) {
    if let Some(token) = token {
        // If the connection is lost meanwhile nobody waits any more.
        let _ = client.connection().finish(token, status);
    }
}
