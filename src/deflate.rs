//! Messages packed by deflate, one after the other (RFC 7692, 7.2): each ends with an
//! empty block, whose last four bytes are not sent. Deflate itself is `miniz_oxide`'s.

use miniz_oxide::deflate::core::{
    compress_to_output, create_comp_flags_from_zip_params, CompressorOxide, TDEFLFlush, TDEFLStatus,
};
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{decompress, DecompressorOxide};
use miniz_oxide::inflate::TINFLStatus;

/// What ends a message, and is left out.
pub const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// How far back a message may refer, to earlier ones too.
const WINDOW: usize = 32768;

/// How a piece ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The message goes on.
    Open,
    /// It is the last one of its message; the next may refer to it.
    Keep,
    /// The same, and the next may not.
    Forget,
}

/// There is no memory for what comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// Not deflate, or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Packs messages.
pub struct Packer(Box<CompressorOxide>);

impl Packer {
    /// `level` 1 is fast, 9 packs most.
    pub fn new(level: u8) -> Packer {
        let flags = create_comp_flags_from_zip_params(level.into(), -15, 0);
        Packer(Box::new(CompressorOxide::new(flags)))
    }

    /// Packs a piece of a message behind what is in `out`.
    pub fn pack(&mut self, data: &[u8], end: End, out: &mut Vec<u8>) -> Result<(), NoMemory> {
        let flush = match end {
            End::Open => TDEFLFlush::None,
            End::Keep => TDEFLFlush::Sync,
            End::Forget => TDEFLFlush::Full,
        };
        let (status, _) = compress_to_output(&mut self.0, data, flush, |bytes| {
            let room = out.try_reserve(bytes.len()).is_ok();
            if room {
                out.extend_from_slice(bytes);
            }
            room
        });
        if status != TDEFLStatus::Okay {
            // It is of no more use as it is.
            self.0.reset();
            return Err(NoMemory);
        }
        if end != End::Open && out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
        }
        Ok(())
    }
}

/// Unpacks messages.
pub struct Unpacker {
    inflate: Box<DecompressorOxide>,
    /// What came out last, in a circle.
    window: Box<[u8; WINDOW]>,
    at: usize,
    /// There is more to come out of what was used.
    more: bool,
}

impl Default for Unpacker {
    fn default() -> Unpacker {
        Unpacker {
            inflate: Box::default(),
            window: Box::new([0; WINDOW]),
            at: 0,
            more: false,
        }
    }
}

impl Unpacker {
    /// Unpacks some of `input`, which ends a message with [`TAIL`]: how many bytes were
    /// used, and what came out. Neither means that more input is needed.
    pub fn step(&mut self, input: &[u8]) -> Result<(usize, &[u8]), Broken> {
        let (mut used, mut made) = (0, 0);
        while made == 0 && (self.more || used < input.len()) {
            let rest = input.get(used..).unwrap_or_default();
            let (status, taken, written) = decompress(
                &mut self.inflate,
                rest,
                &mut self.window[..],
                self.at,
                TINFL_FLAG_HAS_MORE_INPUT,
            );
            used += taken;
            made = written;
            self.more = status == TINFLStatus::HasMoreOutput;
            match status {
                // A last block: whatever follows begins anew, with the same window.
                TINFLStatus::Done => self.inflate.init(),
                TINFLStatus::HasMoreOutput | TINFLStatus::NeedsMoreInput => {}
                _ => return Err(Broken),
            }
            if taken == 0 && written == 0 {
                break;
            }
        }
        let start = self.at;
        self.at = (start + made) % WINDOW;
        Ok((
            used,
            self.window.get(start..start + made).unwrap_or_default(),
        ))
    }

    /// Forgets all messages, also one under way.
    pub fn forget(&mut self) {
        self.inflate.init();
        self.window.fill(0);
        self.at = 0;
        self.more = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(packer: &mut Packer, data: &[u8], piece: usize, end: End) -> Vec<u8> {
        let mut out = Vec::new();
        let mut pieces = data.chunks(piece).peekable();
        while let Some(piece) = pieces.next() {
            let end = if pieces.peek().is_some() {
                End::Open
            } else {
                end
            };
            packer.pack(piece, end, &mut out).unwrap();
        }
        if data.is_empty() {
            packer.pack(data, end, &mut out).unwrap();
        }
        out
    }

    fn unpacked(unpacker: &mut Unpacker, message: &[u8], piece: usize) -> Result<Vec<u8>, Broken> {
        let whole = [message, &TAIL].concat();
        let (mut out, mut held) = (Vec::new(), Vec::new());
        for part in whole.chunks(piece) {
            held.extend_from_slice(part);
            loop {
                let (used, made) = unpacker.step(&held)?;
                let nothing = used == 0 && made.is_empty();
                out.extend_from_slice(made);
                held.drain(..used);
                if nothing {
                    break;
                }
            }
        }
        assert!(held.is_empty());
        Ok(out)
    }

    fn sample() -> Vec<u8> {
        (0..30000u32)
            .flat_map(|n| (n / 5 % 113 * n / 1000).to_le_bytes())
            .collect()
    }

    /// The examples of the RFC (7.2.3).
    #[test]
    fn what_others_pack() {
        let mut unpacker = Unpacker::default();
        let mut gives = |bytes: &[u8], expected: &[u8]| {
            for piece in [1, 3, 100] {
                assert_eq!(unpacked(&mut unpacker, bytes, piece), Ok(expected.to_vec()));
            }
        };
        gives(b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"Hello");
        // By reference to the message before it.
        gives(b"\xf2\x00\x11\x00\x00", b"Hello");
        gives(b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", b"Hello");
        // With a last block, and with two blocks.
        gives(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"Hello");
        gives(
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
            b"Hello",
        );
        gives(b"\x00", b"");
        gives(b"\xf2\x00\x11\x00\x00", b"Hello");
    }

    #[test]
    fn there_and_back_with_and_without_earlier_messages() {
        let sample = sample();
        let hello = b"hello hello";
        let messages: [&[u8]; 6] = [b"", b"x", hello, hello, &sample, &sample];
        for end in [End::Keep, End::Forget] {
            let (mut packer, mut unpacker) = (Packer::new(6), Unpacker::default());
            let mut sizes = Vec::new();
            for data in messages {
                let message = packed(&mut packer, data, 10_000, end);
                sizes.push(message.len());
                for piece in [1000, message.len() + 4] {
                    if end == End::Forget {
                        unpacker.forget();
                    } else if piece == 1000 {
                        continue;
                    }
                    assert_eq!(unpacked(&mut unpacker, &message, piece).unwrap(), data);
                }
            }
            assert_eq!(sizes[0], 1);
            assert!(sizes[4] < sample.len() / 2);
            assert_eq!(sizes[3] < sizes[2], end == End::Keep, "{sizes:?}");
        }
    }

    #[test]
    fn what_is_forgotten_is_not_referred_to() {
        let (mut packer, mut unpacker) = (Packer::new(6), Unpacker::default());
        // A message that was lost, and one behind it.
        packed(
            &mut packer,
            b"lost and found, lost and found",
            100,
            End::Keep,
        );
        packer.pack(b"", End::Forget, &mut Vec::new()).unwrap();
        let message = packed(&mut packer, b"lost and found", 100, End::Keep);
        assert_eq!(
            unpacked(&mut unpacker, &message, 100).unwrap(),
            b"lost and found"
        );
        // Nor does a message get at the bytes of others.
        unpacker.forget();
        let message = unpacked(&mut unpacker, b"\xf2\x00\x11\x00\x00", 100).unwrap();
        assert!(!message.contains(&b'l'));
    }

    #[test]
    fn a_little_makes_no_more_than_a_window_at_once() {
        let message = packed(&mut Packer::new(9), &vec![0; 1 << 20], 1 << 20, End::Keep);
        assert!(message.len() < 2000);
        let mut unpacker = Unpacker::default();
        let (mut at, mut total) = (0, 0);
        loop {
            let (used, made) = unpacker.step(&message[at..]).unwrap();
            assert!(made.len() <= WINDOW);
            if used == 0 && made.is_empty() {
                break;
            }
            at += used;
            total += made.len();
        }
        assert_eq!(total, 1 << 20);
    }

    #[test]
    fn damage_ends_it() {
        assert_eq!(
            unpacked(&mut Unpacker::default(), b"\x07hello", 100),
            Err(Broken)
        );
        let message = packed(&mut Packer::new(6), &sample()[..2000], 5000, End::Keep);
        for at in 0..message.len() {
            let mut bytes = message.clone();
            bytes[at] ^= 0x10;
            // Whatever it is, it ends.
            let _ = unpacked(&mut Unpacker::default(), &bytes, 64);
        }
    }
}
