//! Writes messages: what is finished is well formed, what is not leaves no trace.

use super::{id, Kind, HEADER, MAX_MESSAGE};
use crate::blob::{self, padded, BuildError};
use crate::blobmsg::Table;
use crate::status::Status;

/// Writes one message at the end of a row of bytes, attribute by attribute in the order of the calls.
///
/// The first error is kept and [`Writer::finish`] reports it. A message that is not finished, or not well, leaves no trace.
///
/// ```
/// use ubus::message::{Kind, Writer};
///
/// let mut bytes = Vec::new();
/// let mut writer = Writer::new(&mut bytes, Kind::LOOKUP, 1, 0);
/// writer.path(b"demo");
/// writer.finish()?;
/// assert_eq!(bytes, b"\0\x04\0\x01\0\0\0\0\0\0\0\x10\x02\0\0\x09demo\0\0\0\0");
/// # Ok::<(), ubus::blob::BuildError>(())
/// ```
#[derive(Debug)]
#[must_use = "a message that is not finished is not sent"]
pub struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
    start: usize,
    limit: usize,
    error: Option<BuildError>,
    finished: bool,
}

impl<'a> Writer<'a> {
    /// Starts a message of at most [`MAX_MESSAGE`].
    pub fn new(bytes: &'a mut Vec<u8>, kind: Kind, seq: u16, peer: u32) -> Writer<'a> {
        Writer::with_limit(bytes, kind, seq, peer, MAX_MESSAGE)
    }

    /// Starts a message whose outer attribute may have `limit` bytes.
    pub fn with_limit(
        bytes: &'a mut Vec<u8>,
        kind: Kind,
        seq: u16,
        peer: u32,
        limit: usize,
    ) -> Writer<'a> {
        let start = bytes.len();
        let ([s0, s1], [p0, p1, p2, p3]) = (seq.to_be_bytes(), peer.to_be_bytes());
        bytes.extend_from_slice(&[0, kind.0, s0, s1, p0, p1, p2, p3, 0, 0, 0, 4]);
        Writer {
            bytes,
            start,
            limit: limit.min(blob::MAX_LENGTH),
            error: None,
            finished: false,
        }
    }

    /// Adds how a request ended.
    pub fn status(&mut self, status: Status) -> &mut Self {
        self.u32(id::STATUS, status.0 as u32)
    }

    /// Adds the path of an object.
    pub fn path(&mut self, path: &[u8]) -> &mut Self {
        self.text(id::PATH, path)
    }

    /// Adds the id of an object.
    pub fn object(&mut self, object: u32) -> &mut Self {
        self.u32(id::OBJECT, object)
    }

    /// Adds the name of a method, an event or a notification.
    pub fn method(&mut self, method: &[u8]) -> &mut Self {
        self.text(id::METHOD, method)
    }

    /// Adds the id of the type of an object.
    pub fn object_type(&mut self, object_type: u32) -> &mut Self {
        self.u32(id::TYPE, object_type)
    }

    /// Adds methods.
    pub fn signature(&mut self, signature: Table<'_>) -> &mut Self {
        self.bytes(id::SIGNATURE, signature.as_bytes())
    }

    /// Adds arguments or results.
    pub fn data(&mut self, data: Table<'_>) -> &mut Self {
        self.bytes(id::DATA, data.as_bytes())
    }

    /// Adds the id of the object subscribed to.
    pub fn target(&mut self, target: u32) -> &mut Self {
        self.u32(id::TARGET, target)
    }

    /// Adds whether there are subscribers.
    pub fn active(&mut self, active: bool) -> &mut Self {
        self.bytes(id::ACTIVE, &[active.into()])
    }

    /// Adds that an answer is unwanted.
    pub fn no_reply(&mut self) -> &mut Self {
        self.bytes(id::NO_REPLY, &[1])
    }

    /// Adds the ids of subscribers.
    pub fn subscribers(&mut self, ids: impl IntoIterator<Item = u32>) -> &mut Self {
        let mut list = blob::Builder::with_limit(self.limit);
        for id in ids {
            list.u32(0, id);
        }
        match list.finish() {
            Ok(list) => self.bytes(id::SUBSCRIBERS, &list),
            Err(error) => self.fail(error),
        }
    }

    /// Adds the name of the caller's user.
    pub fn user(&mut self, user: &[u8]) -> &mut Self {
        self.text(id::USER, user)
    }

    /// Adds the name of the caller's group.
    pub fn group(&mut self, group: &[u8]) -> &mut Self {
        self.text(id::GROUP, group)
    }

    /// Adds any attribute with a number.
    pub fn u32(&mut self, id: u8, value: u32) -> &mut Self {
        self.bytes(id, &value.to_be_bytes())
    }

    /// Adds any attribute with text, given without its final NUL.
    pub fn text(&mut self, id: u8, text: &[u8]) -> &mut Self {
        if text.contains(&0) {
            return self.fail(BuildError::Nul);
        }
        self.put(id, text, 1)
    }

    /// Adds any attribute.
    pub fn bytes(&mut self, id: u8, payload: &[u8]) -> &mut Self {
        self.put(id, payload, 0)
    }

    /// Adds attributes as they were received.
    pub fn attributes(&mut self, attributes: &[u8]) -> &mut Self {
        if attributes.len() > self.room() {
            return self.fail(BuildError::TooLong { limit: self.limit });
        }
        self.bytes.extend_from_slice(attributes);
        self
    }

    /// Ends the message and tells its bytes, header included.
    pub fn finish(mut self) -> Result<usize, BuildError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.finished = true;
        let length = self.bytes.len() - self.start;
        let word = self.bytes.get_mut(self.start + HEADER..);
        if let Some(word) = word.and_then(|at| at.first_chunk_mut()) {
            *word = ((length - HEADER) as u32).to_be_bytes();
        }
        Ok(length)
    }

    fn fail(&mut self, error: BuildError) -> &mut Self {
        self.error.get_or_insert(error);
        self
    }

    /// Bytes that may still be added.
    fn room(&self) -> usize {
        self.limit
            .saturating_sub(self.bytes.len() - self.start - HEADER)
    }

    fn put(&mut self, id: u8, payload: &[u8], terminator: usize) -> &mut Self {
        let at = self.bytes.len();
        let length = 4 + payload.len() + terminator;
        let room = self.room();
        if length > room || padded(length) > room {
            return self.fail(BuildError::TooLong { limit: self.limit });
        }
        self.bytes.reserve(padded(length));
        let word = (u32::from(id & 0x7f) << 24) | length as u32;
        self.bytes.extend_from_slice(&word.to_be_bytes());
        self.bytes.extend_from_slice(payload);
        self.bytes.resize(at + padded(length), 0);
        self
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.bytes.truncate(self.start);
        }
    }
}
