//! Frames and messages of the bytes that come in, in whatever pieces.

use super::close::{is_valid, Violation, NO_CODE};
use super::frame::{self, Head, Key};
use super::utf8::{is_utf8, Utf8};

/// What the bytes so far come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// That many more bytes are needed at least.
    Need(usize),
    /// A frame of a message that goes on: its opcode. [`Receiver::data`] has grown.
    Fragment(u8),
    /// The last frame of a message: the frame's opcode and the message's.
    Message(u8, u8),
    /// These are in [`Receiver::control`].
    Ping,
    Pong,
    /// With its code, [`NO_CODE`] for none; the reason is in the control bytes.
    /// Nothing comes after it.
    Close(u16),
}

/// How far the peer's bytes were understood.
pub struct Receiver {
    /// The peer is a client: its frames are masked.
    masked: bool,
    /// Messages may be packed, and whether the one under way is.
    packs: bool,
    pub packed: bool,
    /// The frame whose payload is coming, and how much of that is to come.
    head: Option<Head>,
    left: u64,
    key: Key,
    /// Opcode of the message under way, 0 for none.
    message: u8,
    text: Utf8,
    /// Payload of the message, or of its frames since this was last taken.
    pub data: Vec<u8>,
    /// Payload of the control frame that came last.
    pub control: Vec<u8>,
    /// What went wrong.
    pub violation: Option<Violation>,
    /// Code of the peer's close frame, if there was one.
    pub closed: Option<u16>,
}

impl Receiver {
    /// Of frames that are masked, or are not; messages may be packed with `packs`.
    pub fn new(masked: bool, packs: bool) -> Receiver {
        Receiver {
            masked,
            packs,
            packed: false,
            head: None,
            left: 0,
            key: [0; 4],
            message: 0,
            text: Utf8::default(),
            data: Vec::new(),
            control: Vec::new(),
            violation: None,
            closed: None,
        }
    }

    /// True when a frame has begun, or a message.
    pub fn is_under_way(&self) -> bool {
        self.head.is_some() || self.message != 0
    }

    /// True when the payload of a frame is coming.
    pub fn in_payload(&self) -> bool {
        self.head.is_some()
    }

    /// Goes on with `input`: how many bytes were used, and what they came to. What
    /// is not used comes again. At most `limit` bytes lie in [`Receiver::data`].
    pub fn step(&mut self, input: &[u8], limit: u64) -> (usize, Result<Step, Violation>) {
        if let Some(violation) = self.violation {
            return (0, Err(violation));
        }
        let mut used = 0;
        let result = self.advance(input, limit, &mut used);
        self.violation = result.err();
        (used, result)
    }

    fn advance(&mut self, input: &[u8], limit: u64, used: &mut usize) -> Result<Step, Violation> {
        let head = match self.head {
            Some(head) => head,
            None => {
                let Some(head) = frame::parse(input, self.masked, self.packs)? else {
                    return Ok(Step::Need(1));
                };
                self.begin(&head, limit)?;
                *used = head.size;
                head
            }
        };
        let control = frame::is_control(head.opcode);
        let rest = input.get(*used..).unwrap_or_default();
        let count = usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
        let payload = rest.get(..count).unwrap_or_default();
        let data = if control {
            &mut self.control
        } else {
            &mut self.data
        };
        if data.try_reserve(count).is_err() {
            return Err(Violation::Memory);
        }
        let start = data.len();
        data.extend_from_slice(payload);
        let payload = data.get_mut(start..).unwrap_or_default();
        if head.key.is_some() {
            frame::mask(payload, self.key);
            self.key = frame::turned(self.key, count);
        }
        let plain = !control && !self.packed;
        if plain && self.message == frame::TEXT && !self.text.push(payload) {
            return Err(Violation::Text);
        }
        *used += count;
        self.left -= count as u64;
        if self.left > 0 {
            return Ok(Step::Need(usize::try_from(self.left).unwrap_or(usize::MAX)));
        }
        self.head = None;
        self.end(&head)
    }

    /// A head is there.
    fn begin(&mut self, head: &Head, limit: u64) -> Result<(), Violation> {
        if frame::is_control(head.opcode) {
            self.control.clear();
        } else {
            match (head.opcode, self.message) {
                (frame::CONTINUATION, 0) => return Err(Violation::NoMessage),
                (frame::CONTINUATION, _) => {}
                (opcode, 0) => {
                    self.message = opcode;
                    self.packed = head.packed;
                    self.text = Utf8::default();
                }
                _ => return Err(Violation::InMessage),
            }
            if head.length.saturating_add(self.data.len() as u64) > limit {
                return Err(Violation::TooBig);
            }
        }
        self.head = Some(*head);
        self.left = head.length;
        self.key = head.key.unwrap_or_default();
        Ok(())
    }

    /// All of a frame is there.
    fn end(&mut self, head: &Head) -> Result<Step, Violation> {
        match head.opcode {
            frame::PING => Ok(Step::Ping),
            frame::PONG => Ok(Step::Pong),
            frame::CLOSE => {
                let code = match *self.control {
                    [] => NO_CODE,
                    [_] => return Err(Violation::ShortClose),
                    [high, low, ref reason @ ..] => {
                        let code = u16::from_be_bytes([high, low]);
                        if !is_valid(code) {
                            return Err(Violation::CloseCode);
                        }
                        if !is_utf8(reason) {
                            return Err(Violation::Text);
                        }
                        code
                    }
                };
                self.closed = Some(code);
                Ok(Step::Close(code))
            }
            opcode if head.fin => {
                if !self.text.is_complete() {
                    return Err(Violation::Text);
                }
                let message = std::mem::take(&mut self.message);
                Ok(Step::Message(opcode, message))
            }
            opcode => Ok(Step::Fragment(opcode)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::frame::{mask, put_head, BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT};

    /// What was told, with the data that came with it.
    type Told = Vec<(Step, Vec<u8>)>;

    fn frame(fin: bool, opcode: u8, payload: &[u8], key: Option<Key>) -> Vec<u8> {
        let mut out = Vec::new();
        put_head(&mut out, fin, opcode, key, payload.len());
        let start = out.len();
        out.extend_from_slice(payload);
        if let Some(key) = key {
            mask(&mut out[start..], key);
        }
        out
    }

    /// Feeds pieces of `size` bytes; `whole` gathers messages.
    fn feed(
        input: &[u8],
        size: usize,
        masked: bool,
        limit: u64,
        whole: bool,
    ) -> Result<Told, Violation> {
        let mut receiver = Receiver::new(masked, false);
        let (mut told, mut start, mut end) = (Vec::new(), 0, 0);
        while receiver.closed.is_none() {
            let (used, step) = receiver.step(&input[start..end], limit);
            start += used;
            match step? {
                Step::Need(count) => {
                    assert!(count > 0);
                    if end == input.len() {
                        break;
                    }
                    end = (end + size).min(input.len());
                }
                Step::Fragment(_) if whole => {}
                step @ (Step::Fragment(_) | Step::Message(..)) => {
                    told.push((step, std::mem::take(&mut receiver.data)))
                }
                step => told.push((step, receiver.control.clone())),
            }
            assert!(receiver.data.len() as u64 <= limit);
        }
        Ok(told)
    }

    /// The same however the bytes are cut.
    fn fed(input: &[u8], masked: bool, limit: u64, whole: bool) -> Result<Told, Violation> {
        let expected = feed(input, input.len().max(1), masked, limit, whole);
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(feed(input, size, masked, limit, whole), expected);
        }
        expected
    }

    #[test]
    fn messages_whole_and_in_fragments_with_control_frames_between() {
        for key in [None, Some([9, 8, 7, 6])] {
            let mut input = Vec::new();
            for part in [
                frame(true, TEXT, "zwölf".as_bytes(), key),
                frame(false, TEXT, b"a\xe2", key),
                frame(true, PING, b"ping", key),
                frame(false, CONTINUATION, b"", key),
                frame(true, PONG, b"", key),
                frame(true, CONTINUATION, b"\x82\xac", key),
                frame(false, BINARY, b"", key),
                frame(true, CONTINUATION, &[0xff; 300], key),
                frame(true, CLOSE, b"\x03\xe8bye", key),
                frame(true, TEXT, b"nobody reads this", key),
            ] {
                input.extend_from_slice(&part);
            }
            let masked = key.is_some();
            assert_eq!(
                fed(&input, masked, 300, true).unwrap(),
                [
                    (Step::Message(TEXT, TEXT), "zwölf".as_bytes().to_vec()),
                    (Step::Ping, b"ping".to_vec()),
                    (Step::Pong, Vec::new()),
                    (Step::Message(CONTINUATION, TEXT), "a€".as_bytes().to_vec()),
                    (Step::Message(CONTINUATION, BINARY), vec![0xff; 300]),
                    (Step::Close(1000), b"\x03\xe8bye".to_vec()),
                ]
            );
            assert_eq!(
                fed(&input, masked, 300, false).unwrap()[1..5],
                [
                    (Step::Fragment(TEXT), b"a\xe2".to_vec()),
                    (Step::Ping, b"ping".to_vec()),
                    (Step::Fragment(CONTINUATION), Vec::new()),
                    (Step::Pong, Vec::new()),
                ]
            );
            // Whatever was cut off is only missing.
            for cut in 0..input.len() {
                let told = fed(&input[..cut], masked, 300, true).unwrap();
                assert!(told.len() <= 6);
            }
        }
    }

    #[test]
    fn violations() {
        let one = |fin, opcode, payload: &[u8]| frame(fin, opcode, payload, None);
        let pair = |one: Vec<u8>, two: Vec<u8>| [one, two].concat();
        for (input, violation) in [
            (one(true, CONTINUATION, b"x"), Violation::NoMessage),
            (
                pair(one(true, TEXT, b"x"), one(true, CONTINUATION, b"x")),
                Violation::NoMessage,
            ),
            (
                pair(one(false, TEXT, b"x"), one(true, TEXT, b"x")),
                Violation::InMessage,
            ),
            (
                pair(one(false, TEXT, b"x"), one(false, BINARY, b"x")),
                Violation::InMessage,
            ),
            (one(true, BINARY, &[0; 101]), Violation::TooBig),
            (
                pair(
                    one(false, BINARY, &[0; 60]),
                    one(true, CONTINUATION, &[0; 41]),
                ),
                Violation::TooBig,
            ),
            (one(true, CLOSE, b"x"), Violation::ShortClose),
            (
                one(true, CLOSE, &999_u16.to_be_bytes()),
                Violation::CloseCode,
            ),
            (
                one(true, CLOSE, &1005_u16.to_be_bytes()),
                Violation::CloseCode,
            ),
            (one(true, CLOSE, b"\x03\xe8\xff"), Violation::Text),
            (one(true, CLOSE, b"\x03\xe8\xe2\x82"), Violation::Text),
            (one(true, TEXT, b"abc\xff"), Violation::Text),
            (one(true, TEXT, b"abc\xe2\x82"), Violation::Text),
            (
                pair(one(false, TEXT, b"\xe2"), one(true, CONTINUATION, b"")),
                Violation::Text,
            ),
            (one(false, PING, b""), Violation::FragmentedControl),
        ] {
            assert_eq!(fed(&input, false, 100, true), Err(violation), "{input:x?}");
        }
    }

    #[test]
    fn a_wrong_text_is_known_before_its_end() {
        let mut input = frame(true, TEXT, &[0xff; 100], None);
        input.truncate(3);
        assert_eq!(fed(&input, false, 100, true), Err(Violation::Text));
        // And a large frame by its head.
        let input = frame(true, BINARY, &[0; 70000], None);
        assert_eq!(
            fed(&input[..10], false, 69999, true),
            Err(Violation::TooBig)
        );
        assert_eq!(fed(&input[..10], false, 70000, true), Ok(vec![]));
    }

    #[test]
    fn after_a_violation_there_is_nothing() {
        let mut receiver = Receiver::new(false, false);
        assert_eq!(
            receiver.step(&[0x83], 100),
            (0, Err(Violation::ReservedData))
        );
        let good = frame(true, TEXT, b"x", None);
        assert_eq!(receiver.step(&good, 100), (0, Err(Violation::ReservedData)));
    }
}
