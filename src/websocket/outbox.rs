//! What is to go out: at most one data frame at a time, and the control frames
//! that answer the peer.
//!
//! Bytes stay where they are until they are sent: streams of TLS want the same
//! ones again after they would block. Control frames wait beside them meanwhile.

use super::frame::{self, Key, CONTROL};

/// Memory that is kept for the next frame.
const KEPT: usize = 512;

/// There is no memory for a frame.
#[derive(Debug, PartialEq, Eq)]
pub struct NoMemory;

/// Frames on their way.
#[derive(Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    /// The answer to the last ping: to earlier ones none is needed (5.5.3).
    pong: Option<Vec<u8>>,
    ping: bool,
    close: Option<Vec<u8>>,
    /// A close frame was queued: nothing but it comes any more.
    pub closing: bool,
}

impl Outbox {
    /// What is to be sent next.
    pub fn rest(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// Nothing is on its way; control frames may wait.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Control frames wait.
    pub fn has_waiting(&self) -> bool {
        self.ping || self.pong.is_some() || self.close.is_some()
    }

    /// So many bytes were sent.
    pub fn advance(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count);
        if self.sent >= self.bytes.len() {
            self.sent = 0;
            self.bytes.clear();
            if self.bytes.capacity() > KEPT {
                self.bytes = Vec::new();
            }
        }
    }

    /// Puts a frame into the empty box; its length with the head.
    pub fn put(
        &mut self,
        fin: bool,
        opcode: u8,
        payload: &[u8],
        key: Option<Key>,
    ) -> Result<usize, NoMemory> {
        let bytes = &mut self.bytes;
        if bytes
            .try_reserve(payload.len().saturating_add(frame::HEAD))
            .is_err()
        {
            return Err(NoMemory);
        }
        frame::put_head(bytes, fin, opcode, key, payload.len());
        let start = bytes.len();
        bytes.extend_from_slice(payload);
        if let Some(key) = key {
            frame::mask(bytes.get_mut(start..).unwrap_or_default(), key);
        }
        Ok(bytes.len())
    }

    /// Puts the next control frame that waits into the empty box. What comes first
    /// is what the peer waits for; after a close frame, nothing.
    pub fn put_waiting(&mut self, key: Option<Key>) -> Result<(), NoMemory> {
        let (opcode, payload) = if let Some(pong) = self.pong.take() {
            (frame::PONG, pong)
        } else if std::mem::take(&mut self.ping) {
            (frame::PING, Vec::new())
        } else if let Some(close) = self.close.take() {
            (frame::CLOSE, close)
        } else {
            return Ok(());
        };
        self.put(true, opcode, &payload, key).map(|_| ())
    }

    /// The stream takes nothing any more.
    pub fn give_up(&mut self) {
        *self = Outbox {
            closing: self.closing,
            ..Outbox::default()
        };
    }

    /// Answers a ping.
    pub fn pong(&mut self, payload: &[u8]) {
        if !self.closing {
            self.pong = Some(payload.get(..CONTROL).unwrap_or(payload).to_vec());
        }
    }

    /// Asks whether the peer is there.
    pub fn ping(&mut self) {
        self.ping |= !self.closing;
    }

    /// Says that this is the end, once; the payload is code and reason, or nothing.
    pub fn close(&mut self, payload: &[u8]) {
        if !std::mem::replace(&mut self.closing, true) {
            self.close = Some(payload.get(..CONTROL).unwrap_or(payload).to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::frame::{BINARY, TEXT};

    /// Sends all there is, `count` bytes at a time.
    fn sent(outbox: &mut Outbox, count: usize) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            if outbox.is_empty() {
                outbox.put_waiting(None).unwrap();
            }
            let piece = outbox.rest();
            if piece.is_empty() {
                assert!(!outbox.has_waiting());
                return out;
            }
            let piece = &piece[..count.min(piece.len())];
            out.extend_from_slice(piece);
            let count = piece.len();
            outbox.advance(count);
        }
    }

    #[test]
    fn frames_go_out_in_any_pieces() {
        for count in [1, 2, 1000] {
            let mut outbox = Outbox::default();
            assert_eq!(outbox.put(true, TEXT, b"hi", None), Ok(4));
            assert_eq!(sent(&mut outbox, count), b"\x81\x02hi");
            assert_eq!(outbox.put(false, BINARY, b"hi", Some([1, 2, 3, 4])), Ok(8));
            assert_eq!(
                sent(&mut outbox, count),
                b"\x02\x82\x01\x02\x03\x04\x69\x6b"
            );
        }
    }

    #[test]
    fn answers_wait_for_the_end_of_a_frame_and_only_the_last_ping_has_one() {
        let mut outbox = Outbox::default();
        outbox.put(true, TEXT, b"hi", None).unwrap();
        outbox.advance(1);
        outbox.pong(b"1");
        outbox.pong(b"2");
        outbox.ping();
        outbox.close(b"\x03\xe8");
        outbox.close(b"\x03\xe9");
        outbox.pong(b"3");
        outbox.ping();
        assert_eq!(
            sent(&mut outbox, 3),
            b"\x02hi\x8a\x012\x89\x00\x88\x02\x03\xe8"
        );
        assert!(outbox.closing);
    }

    #[test]
    fn the_memory_of_large_frames_is_given_back() {
        let mut outbox = Outbox::default();
        outbox.put(true, BINARY, &[0; 5000], None).unwrap();
        assert_eq!(sent(&mut outbox, 700).len(), 5004);
        assert_eq!(outbox.bytes.capacity(), 0);
    }
}
