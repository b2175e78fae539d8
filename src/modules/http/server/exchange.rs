//! One request and its response: everything a connection needs only while it
//! serves, so that an idle one holds none of it.

use std::fs::File;

use super::body::Body;
use super::head::{Framing, Request};
use super::multipart::Multipart;
use super::response::{Context, Response};
use super::settings::Settings;

/// Buffers above this size are not kept for another request.
const KEPT: usize = 16384;

/// A file on its way to the peer.
pub struct Sending {
    pub file: File,
    pub offset: i64,
    pub left: u64,
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
    /// Unread payload thrown away after the response.
    pub drained: u64,
    pub form: Option<Multipart>,
    pub file: Option<Sending>,
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
            drained: 0,
            form: None,
            file: None,
            minor: 1,
            head_only: false,
            close: false,
            expects_continue: false,
            streamed: false,
            broken: false,
        }
    }
}

fn emptied(buffer: &mut Vec<u8>) -> Vec<u8> {
    let mut buffer = std::mem::take(buffer);
    if buffer.capacity() > KEPT {
        return Vec::new();
    }
    buffer.clear();
    buffer
}

impl Exchange {
    /// Forget everything but the memory.
    pub fn clear(&mut self) {
        let (out, received) = (emptied(&mut self.out), emptied(&mut self.received));
        let mut response = std::mem::take(&mut self.response);
        response.reset();
        *self = Exchange {
            response,
            out,
            received,
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
                .is_some_and(|left| left > settings.max_drain);
        let context = Context {
            minor: self.minor,
            head_only: self.head_only,
            close: self.close || settings.keepalive == 0 || unread,
            keepalive: settings.keepalive,
            date: &settings.date(),
        };
        self.response.build(&context, &mut self.out);
    }

    /// Append a piece of the body.
    pub fn piece(&mut self, data: &[u8]) {
        if self.response.begin_piece(data.len() as u64, &mut self.out) {
            self.out.extend_from_slice(data);
            self.response.end_piece(&mut self.out);
        }
    }

    /// Replace whatever was prepared by an empty response that ends the connection.
    pub fn answer(&mut self, status: u16) {
        self.out.clear();
        self.sent = 0;
        self.response.reset();
        self.response.code = i64::from(status);
        self.response.set_number(b"content-length", 0);
        self.close = true;
    }
}
