//! One request and its response: everything a connection needs only while it
//! serves, so that an idle one holds none of it.

use super::settings::Settings;
use crate::http::body::{Body, Framing};
use crate::http::multipart::Multipart;
use crate::http::request::Request;
use crate::http::response::{Context, Response};

/// Buffers above this size are not kept for another request.
const KEPT: usize = 16384;

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

/// State of a request being served.
pub struct Exchange {
    pub response: Response,
    pub body: Body,
    /// Bytes for the peer, and how many of them it has got.
    pub out: Vec<u8>,
    pub sent: usize,
    /// Payload that was received and not handed out; the head while it is read.
    pub received: Vec<u8>,
    /// How many received bytes the running call is about to hand out.
    pub ready: usize,
    /// Unread payload thrown away after the response.
    pub drained: u64,
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
}

impl Default for Exchange {
    fn default() -> Self {
        Exchange {
            response: Response::default(),
            body: Body::new(Framing::Length(0)),
            out: Vec::new(),
            sent: 0,
            received: Vec::new(),
            ready: 0,
            drained: 0,
            form: None,
            part: Part::End,
            minor: 1,
            head_only: false,
            close: false,
            expects_continue: false,
            streamed: false,
            broken: false,
        }
    }
}

/// Empty a buffer; it keeps its memory unless that is much.
fn empty(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT {
        *buffer = Vec::new();
    }
    buffer.clear();
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
        empty(&mut self.out);
        empty(&mut self.received);
        self.response.reset();
        self.body = Body::new(Framing::Length(0));
        self.sent = 0;
        self.drained = 0;
        self.minor = 1;
        self.head_only = false;
        self.close = false;
        self.expects_continue = false;
        self.form = None;
        self.streamed = false;
        self.broken = false;
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
            keepalive: settings.keepalive as u32,
            date: &settings.date(),
        };
        self.response.build(&context, &mut self.out);
    }

    /// Replace whatever was prepared by an empty response that ends the connection.
    pub fn answer(&mut self, status: u16, settings: &Settings) {
        self.out.clear();
        self.sent = 0;
        self.response.reset();
        self.response.code = status.into();
        self.response.set_empty();
        self.close = true;
        self.build(settings);
    }
}
