//! What comes to a context from others: messages, and ends of what it began.

use super::bytes::Bytes;

/// Lua values on their way.
#[derive(Debug, Default)]
pub struct Parcel {
    pub bytes: Vec<u8>,
    /// What the bytes refer to by its place.
    pub buffers: Vec<Bytes>,
}

/// A context's number.
pub type Handle = u32;

/// What tells apart the things a context has begun: never 0, never used twice.
pub type Id = i64;

/// The session of what wants no reply.
pub const NO_SESSION: Id = -1;

#[derive(Debug)]
pub enum Event {
    /// Run the script.
    Begin,
    /// From `context.send` or, with a session, `context.query`.
    Message {
        from: Handle,
        session: Id,
        parcel: Parcel,
    },
    /// The answer to a query, or why there is none.
    Reply {
        from: Handle,
        session: Id,
        result: Result<Parcel, i32>,
    },
    /// Nobody waits for an answer to that query any more.
    Forget {
        from: Handle,
        session: Id,
    },
    /// Something begun has ended: 0 is success.
    Done {
        id: Id,
        error: i32,
    },
    Timer {
        id: Id,
        deadline: u64,
        repeat: u64,
    },
    /// A socket that was waited for has something to read or accept.
    Ready {
        socket: u64,
    },
    Destroy {
        by: Handle,
        reason: Vec<u8>,
    },
    /// For the host: no context is left.
    Alone,
}

/// Where events go.
pub trait Post: Send + Sync + 'static {
    /// Puts an event into the queue of a context, if there is such a one.
    fn post(&self, handle: Handle, event: Event);
}
