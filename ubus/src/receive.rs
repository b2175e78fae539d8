//! Bytes and descriptors as they come from a stream, handed out as whole messages.
//!
//! Where the stream was cut makes no difference. A descriptor belongs to the message that holds the last byte of the read that
//! brought it: the kernel ends a read behind the piece that carries a descriptor, and senders start a piece with such a message.
//! Descriptors nobody takes are closed.

use crate::message::{FrameError, Header, Message};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

/// How much is asked of a stream at once.
const CHUNK: usize = 16 * 1024;

/// An empty buffer larger than this is given back.
const KEEP: usize = 64 * 1024;

/// One message and the descriptor that came with it, which closes unless it is taken.
#[derive(Debug)]
pub struct Received<'a> {
    /// The message.
    pub message: Message<'a>,
    /// What came with it.
    pub fd: Option<OwnedFd>,
}

impl Received<'_> {
    /// The header of the message.
    pub fn header(&self) -> Header {
        self.message.header
    }
}

/// Collects what was read and cuts it into messages.
///
/// ```
/// use ubus::{message::{Kind, MAX_RECEIVED}, ReceiveBuffer};
///
/// let mut buffer = ReceiveBuffer::new(MAX_RECEIVED);
/// buffer.push(&[0, 0, 0, 0, 0, 0, 5], None);
/// assert!(buffer.next()?.is_none());
/// buffer.push(&[0, 0, 0, 0, 4], None);
/// assert_eq!(buffer.next()?.unwrap().header().kind, Kind::HELLO);
/// # Ok::<(), ubus::message::FrameError>(())
/// ```
#[derive(Debug)]
pub struct ReceiveBuffer {
    bytes: Vec<u8>,
    /// What lies before was handed out.
    start: usize,
    /// What lies behind was not read yet.
    end: usize,
    limit: usize,
    /// Descriptors, each with the end of the read that brought it.
    fds: VecDeque<(usize, OwnedFd)>,
}

impl ReceiveBuffer {
    /// An empty buffer; messages whose outer attribute is longer than `limit` are an error.
    pub fn new(limit: usize) -> ReceiveBuffer {
        ReceiveBuffer {
            bytes: Vec::new(),
            start: 0,
            end: 0,
            limit,
            fds: VecDeque::new(),
        }
    }

    /// Room to read into; [`ReceiveBuffer::filled`] tells how much was.
    pub fn space(&mut self) -> &mut [u8] {
        self.reserve(CHUNK);
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Takes the first `count` bytes of [`ReceiveBuffer::space`], and the descriptor that came with them.
    pub fn filled(&mut self, count: usize, fd: Option<OwnedFd>) {
        self.end = self.end.saturating_add(count).min(self.bytes.len());
        if let Some(fd) = fd {
            self.fds.push_back((self.end, fd));
        }
    }

    /// Takes bytes from elsewhere, and the descriptor that came with them.
    pub fn push(&mut self, bytes: &[u8], fd: Option<OwnedFd>) {
        self.reserve(bytes.len());
        if let Some(space) = self.bytes.get_mut(self.end..self.end + bytes.len()) {
            space.copy_from_slice(bytes);
        }
        self.filled(bytes.len(), fd);
    }

    /// The next whole message, or `None` until more was read. After an error the stream is of no use.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Received<'_>>, FrameError> {
        let waiting = self.bytes.get(self.start..self.end).unwrap_or_default();
        let Some((message, used)) = Message::read(waiting, self.limit)? else {
            // All that is left is of one message, which takes one.
            self.fds.truncate(1);
            return Ok(None);
        };
        self.start += used;
        let mut fd = None;
        while self.fds.front().is_some_and(|(end, _)| *end <= self.start) {
            // Of several the first one counts.
            fd = fd.or(self.fds.pop_front().map(|(_, next)| next));
        }
        Ok(Some(Received { message, fd }))
    }

    /// Bytes read and not handed out.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Forgets everything: the stream has ended.
    pub fn clear(&mut self) {
        *self = ReceiveBuffer::new(self.limit);
    }

    fn reserve(&mut self, count: usize) {
        if self.start == self.end && self.fds.is_empty() {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > KEEP {
                self.bytes = Vec::new();
            }
        } else if self.bytes.len() - self.end < count && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            for (end, _) in &mut self.fds {
                *end = end.saturating_sub(self.start);
            }
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() - self.end < count {
            // Twice as much each time, for a long message that comes in small pieces.
            let size = (self.end + count).max(self.bytes.len() * 2);
            self.bytes.resize(size, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Kind, Writer, MAX_RECEIVED};
    use std::io::Read;

    fn frames() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (seq, path) in [(1, &b"a"[..]), (2, b""), (3, &[b'x'; 5000])] {
            let mut writer = Writer::new(&mut bytes, Kind::LOOKUP, seq, 0);
            writer.path(path);
            writer.finish().unwrap();
        }
        bytes
    }

    fn drain(buffer: &mut ReceiveBuffer, into: &mut Vec<(u16, Vec<u8>, bool)>) {
        while let Some(received) = buffer.next().unwrap() {
            let path = received.message.attributes().path.unwrap().to_vec();
            into.push((received.header().seq, path, received.fd.is_some()));
        }
    }

    #[test]
    fn every_cut_gives_the_same_messages() {
        let bytes = frames();
        let mut expected = Vec::new();
        let mut buffer = ReceiveBuffer::new(MAX_RECEIVED);
        buffer.push(&bytes, None);
        drain(&mut buffer, &mut expected);
        assert_eq!(expected.len(), 3);
        for cut in 0..=bytes.len() {
            let (mut found, mut buffer) = (Vec::new(), ReceiveBuffer::new(MAX_RECEIVED));
            for part in [&bytes[..cut], &bytes[cut..]] {
                buffer.push(part, None);
                drain(&mut buffer, &mut found);
            }
            assert_eq!(found, expected, "{cut}");
            assert_eq!(buffer.len(), 0);
        }
        for step in [1, 2, 3, 7, 4096] {
            let (mut found, mut buffer) = (Vec::new(), ReceiveBuffer::new(MAX_RECEIVED));
            for part in bytes.chunks(step) {
                let space = buffer.space();
                space[..part.len()].copy_from_slice(part);
                buffer.filled(part.len(), None);
                drain(&mut buffer, &mut found);
            }
            assert_eq!(found, expected, "{step}");
        }
    }

    #[test]
    fn lengths_are_checked_before_the_bytes_come() {
        for (length, fine) in [
            (0, false),
            (3, false),
            (4, true),
            (1000, true),
            (1001, false),
        ] {
            let mut buffer = ReceiveBuffer::new(1000);
            let [a, b, c, d] = (length as u32).to_be_bytes();
            buffer.push(&[0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d], None);
            assert_eq!(buffer.next().is_ok(), fine, "{length}");
        }
        let mut buffer = ReceiveBuffer::new(1000);
        buffer.push(&[0xff; 12], None);
        let error = buffer.next().unwrap_err();
        assert_eq!(error, FrameError::Length { length: 0xff_ffff });
    }

    #[test]
    fn a_long_message_leaves_no_long_buffer() {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, Kind::LOOKUP, 1, 0);
        writer.path(&[b'x'; 1_000_000]);
        writer.finish().unwrap();
        let mut buffer = ReceiveBuffer::new(MAX_RECEIVED);
        buffer.push(&bytes, None);
        assert!(buffer.next().unwrap().is_some());
        assert!(buffer.space().len() < KEEP);
    }

    /// The reading end of a pipe whose writing end sees whether it is open.
    fn pipe() -> (std::io::PipeReader, OwnedFd) {
        let (reader, writer) = std::io::pipe().unwrap();
        (reader, writer.into())
    }

    #[test]
    fn a_descriptor_belongs_to_the_message_at_the_end_of_its_read() {
        let bytes = frames();
        let first = Message::read(&bytes, MAX_RECEIVED).unwrap().unwrap().1;
        // The second frame is 20 bytes; the read that ends inside it brings a descriptor.
        for cut in first + 1..=first + 20 {
            let (mut found, mut buffer) = (Vec::new(), ReceiveBuffer::new(MAX_RECEIVED));
            buffer.push(&bytes[..cut], Some(pipe().1));
            drain(&mut buffer, &mut found);
            buffer.push(&bytes[cut..], None);
            drain(&mut buffer, &mut found);
            let with_fd: Vec<u16> = found.iter().filter(|one| one.2).map(|one| one.0).collect();
            assert_eq!(with_fd, [2], "{cut}");
        }
    }

    #[test]
    fn descriptors_nobody_takes_are_closed() {
        let (mut first, fd) = pipe();
        let (mut second, other) = pipe();
        let bytes = frames();
        let mut buffer = ReceiveBuffer::new(MAX_RECEIVED);
        buffer.push(&bytes[..4], Some(fd));
        buffer.push(&bytes[4..5], Some(other));
        buffer.push(&bytes[5..], None);
        let received = buffer.next().unwrap().unwrap();
        assert!(received.fd.is_some());
        drop(received);
        // Reading ends as soon as no writing end is open.
        assert_eq!(first.read(&mut [0]).unwrap(), 0);
        assert_eq!(second.read(&mut [0]).unwrap(), 0);

        // A message that is never finished holds one at most.
        let (mut kept, fd) = pipe();
        let (mut closed, other) = pipe();
        buffer.push(&bytes[..4], Some(fd));
        buffer.push(&bytes[4..5], Some(other));
        // Those of before were of messages that have ended.
        while buffer.next().unwrap().is_some() {}
        assert_eq!(closed.read(&mut [0]).unwrap(), 0);
        buffer.clear();
        assert_eq!(kept.read(&mut [0]).unwrap(), 0);

        let (mut third, fd) = pipe();
        buffer.push(&bytes[..4], Some(fd));
        buffer.clear();
        assert_eq!(third.read(&mut [0]).unwrap(), 0);
    }
}
