//! One request and its response: everything a connection needs only while it
//! serves, so that an idle one holds none of it.

use std::mem::take;
use std::os::fd::OwnedFd;

use super::settings::Settings;
use crate::http::body::{Body, Framing};
use crate::http::multipart::Multipart;
use crate::http::request::Request;
use crate::http::response::{Context, Response};

/// Buffers above this size are not kept for another request.
const KEPT: usize = 16384;

/// Why moving bytes failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The reader or writer has the text.
    Reader,
    Writer,
    Closed,
    Timeout,
    Canceled,
    BadForm,
    BadChunk,
    TooLarge,
    /// All connections together hold too much.
    Busy,
    Memory,
    /// The file ended before its size.
    Shrunk,
}

impl Failure {
    /// The status that tells the peer, when the handler does not.
    pub fn status(self) -> u16 {
        match self {
            Failure::TooLarge => 413,
            Failure::Timeout => 408,
            Failure::Busy | Failure::Memory => 503,
            _ => 400,
        }
    }
}

/// A part of a form, as ranges of the received bytes.
#[derive(Clone, Copy)]
pub enum Part {
    /// Name and value.
    Header((usize, usize), (usize, usize)),
    /// Content, and whether the part ends with it.
    Body((usize, usize), bool),
    End,
    Failed(&'static str),
}

/// A file to be sent, or what is left of it.
pub struct File {
    pub fd: OwnedFd,
    /// Its entity tag.
    pub tag: Vec<u8>,
    pub offset: i64,
    pub left: u64,
    pub size: u64,
    /// Seconds since 1970.
    pub modified: i64,
}

/// State of a request being served.
pub struct Exchange {
    pub response: Response,
    pub body: Body,
    /// Bytes for the peer, and how many of them it has got.
    pub out: Vec<u8>,
    pub sent: usize,
    pub file: Option<File>,
    /// Payload that was received and not handed out; the head while it is read.
    pub received: Vec<u8>,
    /// How many received bytes the running call is about to hand out.
    pub ready: usize,
    /// Bytes behind the received ones that were made of them, for this call.
    pub made: usize,
    /// Unread payload thrown away after the response.
    pub drained: u64,
    /// The largest piece of the body at once, as `Settings::held` counts it.
    pub held: usize,
    pub form: Option<Multipart>,
    pub part: Part,
    pub minor: u8,
    pub head_only: bool,
    /// The connection ends after this response.
    pub close: bool,
    /// The peer still waits for our go-ahead to send the body.
    pub expects_continue: bool,
    /// Some of this response may have reached the peer.
    pub streamed: bool,
    /// The stream is out of step: nothing more can be said on it.
    pub broken: bool,
    /// Nothing more of the body can be read, for this reason.
    pub failure: Option<Failure>,
    /// What the peer is told of the request when the handler says nothing.
    pub complaint: Option<Failure>,
}

impl Default for Exchange {
    fn default() -> Self {
        Exchange {
            response: Response::default(),
            body: Body::new(Framing::Length(0)),
            out: Vec::new(),
            sent: 0,
            file: None,
            received: Vec::new(),
            ready: 0,
            made: 0,
            drained: 0,
            held: 0,
            form: None,
            part: Part::End,
            minor: 1,
            head_only: false,
            close: false,
            expects_continue: false,
            streamed: false,
            broken: false,
            failure: None,
            complaint: None,
        }
    }
}

/// A buffer's memory for the next use, unless that is much.
fn emptied(buffer: &mut Vec<u8>) -> Vec<u8> {
    let mut buffer = take(buffer);
    buffer.clear();
    if buffer.capacity() > KEPT {
        return Vec::new();
    }
    buffer
}

/// Remove the first `count` bytes.
pub fn drop_front(buffer: &mut Vec<u8>, count: usize) {
    let count = count.min(buffer.len());
    buffer.copy_within(count.., 0);
    buffer.truncate(buffer.len() - count);
}

impl Exchange {
    /// Forget everything but the memory.
    pub fn clear(&mut self) {
        self.response.reset();
        *self = Exchange {
            response: take(&mut self.response),
            out: emptied(&mut self.out),
            received: emptied(&mut self.received),
            ..Exchange::default()
        };
    }

    /// Note what the head says about connection and body.
    pub fn begin(&mut self, request: &Request) {
        self.minor = request.minor;
        self.head_only = request.method == b"HEAD";
        self.close = request.close;
        self.expects_continue = request.expects_continue;
        self.body = Body::new(request.framing);
    }

    /// Body bytes the handler can still get.
    pub fn remaining(&self) -> u64 {
        self.body
            .remaining()
            .saturating_add(self.received.len() as u64)
    }

    /// Nothing more of the body can be read.
    pub fn fail(&mut self, failure: Failure) -> Failure {
        self.failure = Some(failure);
        self.complaint = Some(failure);
        self.close = true;
        failure
    }

    /// Write the response head, if it is not written yet.
    pub fn build(&mut self, settings: &Settings) {
        if self.response.built {
            return;
        }
        // A body that is not read will not be read away either: say so in time.
        let unread = self.expects_continue
            || self
                .body
                .exact()
                .is_some_and(|left| left > settings.max_drain as u64);
        let context = Context {
            minor: self.minor,
            head_only: self.head_only,
            close: self.close || settings.keepalive == 0 || unread,
            prepared: &settings.prepared(),
        };
        self.response.build(&context, &mut self.out);
    }

    /// The handler is done: complete the response, or say what it did not.
    pub fn finish(&mut self, settings: &Settings) {
        if let (Some(complaint), true) = (self.complaint, self.response.is_open()) {
            self.answer(complaint.status(), settings);
        }
        self.file = None;
        self.build(settings);
        self.response.finish(self.streamed, &mut self.out);
    }

    /// Replace whatever was prepared by an empty response that ends the connection.
    pub fn answer(&mut self, status: u16, settings: &Settings) {
        self.out.clear();
        self.sent = 0;
        self.response.reset();
        self.response.code = status;
        self.response.length = Some(0);
        self.close = true;
        self.build(settings);
    }
}
