//! Messages and descriptors on their way to a stream: written one after the other, sent together.
//!
//! A message with a descriptor starts a piece of its own, since its receiver finds the descriptor by where the piece starts.

use crate::blob::BuildError;
use crate::message::{Header, Kind, Writer, MAX_MESSAGE};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An empty buffer larger than this is given back.
const KEEP: usize = 64 * 1024;

/// Collects messages and hands them out in pieces.
///
/// ```
/// use ubus::{message::Kind, SendBuffer};
///
/// let mut buffer = SendBuffer::new();
/// buffer.write(Kind::LOOKUP, 1, 0, |message| {
///     message.path(b"demo");
/// })?;
/// while let Some(piece) = buffer.piece() {
///     let count = piece.bytes.len(); // as many as the socket took
///     buffer.sent(count);
/// }
/// assert_eq!(buffer.len(), 0);
/// # Ok::<(), ubus::blob::BuildError>(())
/// ```
#[derive(Debug, Default)]
pub struct SendBuffer {
    bytes: Vec<u8>,
    /// What lies before was sent.
    start: usize,
    fds: VecDeque<Attached>,
}

#[derive(Debug)]
struct Attached {
    /// Where its message starts.
    start: usize,
    /// Where its message ends.
    end: usize,
    fd: OwnedFd,
}

/// What to send at once.
#[derive(Debug)]
pub struct Piece<'a> {
    /// The bytes; at least one.
    pub bytes: &'a [u8],
    /// What to send with the first of them.
    pub fd: Option<BorrowedFd<'a>>,
}

impl SendBuffer {
    /// An empty buffer.
    pub const fn new() -> SendBuffer {
        SendBuffer {
            bytes: Vec::new(),
            start: 0,
            fds: VecDeque::new(),
        }
    }

    /// Adds a message that `fill` writes; nothing on error. Tells its bytes.
    pub fn write(
        &mut self,
        kind: Kind,
        seq: u16,
        peer: u32,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Result<usize, BuildError> {
        self.write_within(MAX_MESSAGE, Header::new(kind, seq, peer), fill)
    }

    /// Like [`SendBuffer::write`], where the outer attribute may have `limit` bytes.
    pub fn write_within(
        &mut self,
        limit: usize,
        header: Header,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Result<usize, BuildError> {
        let Header {
            kind, seq, peer, ..
        } = header;
        let mut writer = Writer::with_limit(&mut self.bytes, kind, seq, peer, limit);
        fill(&mut writer);
        writer.finish()
    }

    /// Adds a whole message as it is.
    pub fn push(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
    }

    /// Sends a descriptor with the message added last, which has `length` bytes.
    pub fn attach(&mut self, length: usize, fd: OwnedFd) {
        let end = self.bytes.len();
        let start = end.saturating_sub(length);
        self.fds.push_back(Attached { start, end, fd });
    }

    /// What to send next, if anything.
    pub fn piece(&self) -> Option<Piece<'_>> {
        let next = self.fds.front();
        let (end, fd) = match next {
            Some(next) if next.start == self.start => (next.end, Some(next.fd.as_fd())),
            Some(next) => (next.start, None),
            None => (self.bytes.len(), None),
        };
        let bytes = self.bytes.get(self.start..end)?;
        (!bytes.is_empty()).then_some(Piece { bytes, fd })
    }

    /// Forgets the first `count` bytes of [`SendBuffer::piece`], and closes the descriptor that went with them.
    pub fn sent(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        self.detach();
        self.start = self.start.saturating_add(count).min(self.bytes.len());
        if self.start == self.bytes.len() {
            self.clear();
        } else if self.start > KEEP && self.start > self.bytes.len() / 2 {
            let moved = self.start;
            self.bytes.drain(..moved);
            for next in &mut self.fds {
                next.start -= moved;
                next.end -= moved;
            }
            self.start = 0;
        }
    }

    /// The last `length` bytes added.
    pub fn last(&self, length: usize) -> &[u8] {
        let start = self.bytes.len().saturating_sub(length);
        self.bytes.get(start..).unwrap_or_default()
    }

    /// Descriptors not sent yet.
    pub fn descriptors(&self) -> usize {
        self.fds.len()
    }

    /// Closes the descriptor that [`SendBuffer::piece`] has; its message goes without.
    pub fn detach(&mut self) {
        if self
            .fds
            .front()
            .is_some_and(|next| next.start == self.start)
        {
            self.fds.pop_front();
        }
    }

    /// Bytes not sent yet.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Forgets everything, and closes what was to be sent.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEEP);
        self.start = 0;
        self.fds.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn lookup(buffer: &mut SendBuffer, seq: u16) -> usize {
        let fill = |message: &mut Writer<'_>| {
            message.path(b"demo");
        };
        buffer.write(Kind::LOOKUP, seq, 0, fill).unwrap()
    }

    fn pieces(buffer: &mut SendBuffer, step: usize) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut fds) = (Vec::new(), Vec::new());
        while let Some(piece) = buffer.piece() {
            if piece.fd.is_some() {
                fds.push(bytes.len());
            }
            let count = piece.bytes.len().min(step);
            bytes.extend_from_slice(&piece.bytes[..count]);
            buffer.sent(count);
        }
        (bytes, fds)
    }

    #[test]
    fn messages_go_out_together() {
        let mut buffer = SendBuffer::new();
        let length: usize = (1..=3).map(|seq| lookup(&mut buffer, seq)).sum();
        assert_eq!(buffer.piece().unwrap().bytes.len(), length);
        assert_eq!(buffer.len(), length);
    }

    #[test]
    fn a_descriptor_goes_with_the_first_byte_of_its_message() {
        for step in [1, 5, 24, 100] {
            let mut buffer = SendBuffer::new();
            let length = lookup(&mut buffer, 1);
            for seq in [2, 3] {
                lookup(&mut buffer, seq);
                buffer.attach(length, std::io::pipe().unwrap().1.into());
            }
            lookup(&mut buffer, 4);
            let (bytes, fds) = pieces(&mut buffer, step);
            assert_eq!(bytes.len(), 4 * length, "{step}");
            assert_eq!(fds, [length, 2 * length], "{step}");
        }
    }

    #[test]
    fn what_was_sent_is_closed() {
        let mut buffer = SendBuffer::new();
        let length = lookup(&mut buffer, 1);
        let (mut reader, writer) = std::io::pipe().unwrap();
        buffer.attach(length, writer.into());
        buffer.sent(1);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn a_message_that_fails_leaves_nothing() {
        let mut buffer = SendBuffer::new();
        let length = lookup(&mut buffer, 1);
        let long = vec![b'x'; crate::message::MAX_MESSAGE];
        let failed = buffer.write(Kind::LOOKUP, 2, 0, |message| {
            message.object(7).path(&long);
        });
        assert!(failed.is_err());
        assert_eq!(buffer.len(), length);
    }

    #[test]
    fn a_slow_receiver_gets_every_byte() {
        let mut buffer = SendBuffer::new();
        let mut all = Vec::new();
        for seq in 0..10_000 {
            lookup(&mut buffer, seq);
            let piece = buffer.piece().unwrap();
            let count = piece.bytes.len().min(20);
            all.extend_from_slice(&piece.bytes[..count]);
            buffer.sent(count);
        }
        all.extend(pieces(&mut buffer, 1000).0);
        let mut whole = SendBuffer::new();
        (0..10_000).for_each(|seq| {
            lookup(&mut whole, seq);
        });
        assert!(all == whole.piece().unwrap().bytes);
    }

    #[test]
    fn a_message_may_go_without_its_descriptor() {
        let mut buffer = SendBuffer::new();
        let first = lookup(&mut buffer, 1);
        let length = lookup(&mut buffer, 2);
        let (mut reader, writer) = std::io::pipe().unwrap();
        buffer.attach(length, writer.into());
        let last = buffer.last(length);
        assert_eq!((last.len(), last[3]), (length, 2));
        // What comes before it has none.
        buffer.detach();
        assert_eq!(buffer.descriptors(), 1);
        buffer.sent(first);
        assert!(buffer.piece().unwrap().fd.is_some());
        buffer.detach();
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        let piece = buffer.piece().unwrap();
        assert_eq!((piece.bytes.len(), piece.fd.is_some()), (length, false));
    }
}
