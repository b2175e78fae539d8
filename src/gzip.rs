//! Gzip (RFC 1952) around deflate: header, checksum, length, and members one after the
//! other, over bytes in and bytes out. Deflate itself is `miniz_oxide`'s.

use std::cmp::Ordering;

use miniz_oxide::deflate::core::{
    compress, create_comp_flags_from_zip_params, CompressorOxide, TDEFLFlush, TDEFLStatus,
};
use miniz_oxide::inflate::stream::{inflate, FullReset, InflateState};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// Bits of the header's flags.
const HEAD_CHECK: u8 = 2;
const EXTRA: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// CRC-32 of what goes through, four bits at a time: the table is short.
#[derive(Clone, Copy)]
struct Checksum(u32);

static REMAINDERS: [u32; 16] = {
    let mut table = [0; 16];
    let mut at = 0;
    while at < 16 {
        let mut value = at as u32;
        let mut bit = 0;
        while bit < 4 {
            value = if value & 1 == 0 {
                value >> 1
            } else {
                value >> 1 ^ 0xedb8_8320
            };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};

impl Checksum {
    const NEW: Checksum = Checksum(u32::MAX);

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 ^= u32::from(byte);
            for _ in 0..2 {
                self.0 = self.0 >> 4 ^ REMAINDERS[self.0 as usize & 15];
            }
        }
    }

    fn value(self) -> u32 {
        !self.0
    }
}

/// Not gzip, or damaged: what came out before it is to be trusted no more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The ten bytes that every member begins with.
    Head,
    ExtraLength,
    Extra,
    Name,
    Comment,
    HeadCheck,
    Data,
    /// Checksum and length.
    Tail,
    /// What follows is not ours.
    Over,
}

/// Unpacks.
pub struct Reader {
    state: State,
    /// Bytes of this state's own seen so far, and those that are numbers.
    seen: usize,
    number: u64,
    flags: u8,
    extra: usize,
    members: bool,
    inflate: Box<InflateState>,
    checksum: Checksum,
    length: u32,
}

impl Default for Reader {
    fn default() -> Reader {
        Reader {
            state: State::Head,
            seen: 0,
            number: 0,
            flags: 0,
            extra: 0,
            members: false,
            inflate: InflateState::new_boxed(DataFormat::Raw),
            checksum: Checksum::NEW,
            length: 0,
        }
    }
}

impl Reader {
    /// Whether the input may end here.
    pub fn ended(&self) -> bool {
        self.members && (self.state == State::Over || (self.state == State::Head && self.seen == 0))
    }

    /// Whether there was any input.
    pub fn started(&self) -> bool {
        self.members || self.seen > 0 || self.state != State::Head
    }

    /// Unpacks some of `input` to `out`: how many bytes were used of either. Neither
    /// all of one nor of the other only when there is nothing more to do.
    pub fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<(usize, usize), Broken> {
        let (mut used, mut made) = (0, 0);
        loop {
            if self.state == State::Data {
                let rest = input.get(used..).unwrap_or_default();
                let room = out.get_mut(made..).unwrap_or_default();
                let result = inflate(&mut self.inflate, rest, room, MZFlush::None);
                let new = room.get(..result.bytes_written).unwrap_or_default();
                self.checksum.add(new);
                self.length = self.length.wrapping_add(new.len() as u32);
                used += result.bytes_consumed;
                made += result.bytes_written;
                match result.status {
                    Ok(MZStatus::StreamEnd) => self.enter(State::Tail),
                    Ok(_) if made < out.len() && used < input.len() => {}
                    Ok(_) | Err(MZError::Buf) => return Ok((used, made)),
                    Err(_) => return Err(Broken),
                }
                continue;
            }
            let Some(&byte) = input.get(used) else {
                return Ok((used, made));
            };
            if self.state == State::Head && self.seen == 0 && self.members && byte != MAGIC[0] {
                self.state = State::Over;
            }
            if self.state == State::Over {
                return Ok((input.len(), made));
            }
            used += 1;
            self.take(byte)?;
        }
    }

    /// A state begins.
    fn enter(&mut self, state: State) {
        self.state = state;
        self.seen = 0;
        self.number = 0;
    }

    /// Takes a byte of the header or the tail.
    fn take(&mut self, byte: u8) -> Result<(), Broken> {
        let seen = self.seen;
        self.seen += 1;
        self.number |= u64::from(byte) << (8 * (seen & 7));
        match self.state {
            State::Head => {
                match seen {
                    0..3 if MAGIC.get(seen) != Some(&byte) => return Err(Broken),
                    3 if byte & RESERVED != 0 => return Err(Broken),
                    3 => self.flags = byte,
                    _ => {}
                }
                if seen == 9 {
                    self.enter(State::ExtraLength);
                    self.skip();
                }
            }
            State::ExtraLength if seen == 1 => {
                self.extra = self.number as usize;
                self.enter(State::Extra);
                self.skip();
            }
            State::Extra => self.skip(),
            State::Name if byte == 0 => {
                self.enter(State::Comment);
                self.skip();
            }
            State::Comment if byte == 0 => {
                self.enter(State::HeadCheck);
                self.skip();
            }
            State::HeadCheck if seen == 1 => self.begin(),
            State::Tail if seen == 7 => {
                let expected = u64::from(self.length) << 32 | u64::from(self.checksum.value());
                if self.number != expected {
                    return Err(Broken);
                }
                self.members = true;
                self.enter(State::Head);
            }
            _ => {}
        }
        Ok(())
    }

    /// Leaves out the parts of the header that are not there.
    fn skip(&mut self) {
        let (flag, next) = match self.state {
            State::ExtraLength => (EXTRA, State::Name),
            State::Extra => {
                if self.seen < self.extra {
                    return;
                }
                (0, State::Name)
            }
            State::Name => (NAME, State::Comment),
            State::Comment => (COMMENT, State::HeadCheck),
            State::HeadCheck if self.flags & HEAD_CHECK == 0 => return self.begin(),
            _ => return,
        };
        if self.flags & flag == 0 {
            self.enter(next);
            self.skip();
        }
    }

    /// The data of a member begins.
    fn begin(&mut self) {
        self.enter(State::Data);
        self.inflate.reset_as(FullReset(DataFormat::Raw));
        self.checksum = Checksum::NEW;
        self.length = 0;
    }
}

/// Packs.
pub struct Writer {
    deflate: Box<CompressorOxide>,
    checksum: Checksum,
    length: u32,
    /// Bytes of the header, and of the tail, that are out.
    head: usize,
    tail: usize,
    done: bool,
}

/// A header without a name or a time, of an unknown system.
static HEAD: [u8; 10] = [MAGIC[0], MAGIC[1], MAGIC[2], 0, 0, 0, 0, 0, 0, 255];

impl Writer {
    /// `level` 0 packs nothing, 9 most.
    pub fn new(level: u8) -> Writer {
        let flags = create_comp_flags_from_zip_params(level.min(9).into(), -15, 0);
        Writer {
            deflate: Box::new(CompressorOxide::new(flags)),
            checksum: Checksum::NEW,
            length: 0,
            head: 0,
            tail: 0,
            done: false,
        }
    }

    /// Packs some of `input` to `out`: how many bytes were used of either. With
    /// `finish`, that is all there is; it is over when there is room left.
    pub fn step(&mut self, input: &[u8], out: &mut [u8], finish: bool) -> (usize, usize) {
        let mut made = copy(&HEAD, &mut self.head, out);
        let mut used = 0;
        while !self.done {
            let rest = input.get(used..).unwrap_or_default();
            let room = out.get_mut(made..).unwrap_or_default();
            let last = finish && rest.is_empty();
            if room.is_empty() || (rest.is_empty() && !finish) {
                return (used, made);
            }
            let flush = if last {
                TDEFLFlush::Finish
            } else {
                TDEFLFlush::None
            };
            let (status, consumed, written) = compress(&mut self.deflate, rest, room, flush);
            let taken = rest.get(..consumed).unwrap_or_default();
            self.checksum.add(taken);
            self.length = self.length.wrapping_add(taken.len() as u32);
            used += consumed;
            made += written;
            self.done = status != TDEFLStatus::Okay;
        }
        let mut tail = [0; 8];
        tail[..4].copy_from_slice(&self.checksum.value().to_le_bytes());
        tail[4..].copy_from_slice(&self.length.to_le_bytes());
        made += copy(
            &tail,
            &mut self.tail,
            out.get_mut(made..).unwrap_or_default(),
        );
        (used, made)
    }

    /// All of it is out.
    pub fn finished(&self) -> bool {
        self.tail == 8
    }
}

/// Copies what is left of a text, as far as there is room.
fn copy(text: &[u8], done: &mut usize, out: &mut [u8]) -> usize {
    let rest = text.get(*done..).unwrap_or_default();
    let count = match rest.len().cmp(&out.len()) {
        Ordering::Greater => out.len(),
        _ => rest.len(),
    };
    for (place, byte) in out.iter_mut().zip(rest) {
        *place = *byte;
    }
    *done += count;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(data: &[u8], level: u8, room: usize) -> Vec<u8> {
        let mut writer = Writer::new(level);
        let (mut packed, mut at) = (Vec::new(), 0);
        let mut out = vec![0; room];
        while !writer.finished() {
            let end = data.len().min(at + 1000);
            let (used, made) = writer.step(&data[at..end], &mut out, end == data.len());
            at += used;
            packed.extend_from_slice(&out[..made]);
        }
        packed
    }

    /// What came out, and whether the input was complete.
    fn unpack(packed: &[u8], piece: usize, room: usize) -> Result<(Vec<u8>, bool), Broken> {
        let mut reader = Reader::default();
        let (mut data, mut out) = (Vec::new(), vec![0; room]);
        for part in packed.chunks(piece.max(1)) {
            let mut at = 0;
            loop {
                let (used, made) = reader.step(&part[at..], &mut out)?;
                at += used;
                data.extend_from_slice(&out[..made]);
                if at == part.len() && made < room {
                    break;
                }
                assert!(used > 0 || made > 0);
            }
        }
        Ok((data, reader.ended()))
    }

    fn sample() -> Vec<u8> {
        (0..20000u32)
            .flat_map(|n| (n / 7 % 91).to_le_bytes())
            .collect()
    }

    /// `printf hello | gzip -n9`.
    const HELLO: &[u8] =
        b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";

    #[test]
    fn there_and_back() {
        for data in [&b""[..], b"x", b"hello hello hello", &sample()] {
            for level in [0, 1, 6, 9] {
                for room in [1, 7, 1000, 1 << 16] {
                    let packed = pack(data, level, room);
                    assert!(level < 1 || data.len() < 20 || packed.len() < data.len() / 2);
                    for piece in [1, 10, packed.len()] {
                        assert_eq!(unpack(&packed, piece, room), Ok((data.to_vec(), true)));
                    }
                }
            }
        }
    }

    #[test]
    fn what_others_pack() {
        assert_eq!(unpack(HELLO, 3, 2), Ok((b"hello".to_vec(), true)));
        // Every part a header can have.
        let mut full = HELLO[..10].to_vec();
        full[3] = HEAD_CHECK | EXTRA | NAME | COMMENT | 1;
        full.extend_from_slice(b"\x03\0abcname\0comment\0\x12\x34");
        full.extend_from_slice(&HELLO[10..]);
        assert_eq!(unpack(&full, 1, 100), Ok((b"hello".to_vec(), true)));
        full[10] = 0;
        full.drain(12..15);
        assert_eq!(unpack(&full, 9, 100), Ok((b"hello".to_vec(), true)));
        // Members in a row, padding, and something else.
        let twice = [HELLO, HELLO].concat();
        assert_eq!(unpack(&twice, 5, 100), Ok((b"hellohello".to_vec(), true)));
        let padded = [HELLO, b"\0\0\0junk"].concat();
        assert_eq!(unpack(&padded, 5, 100), Ok((b"hello".to_vec(), true)));
    }

    #[test]
    fn every_truncation_is_seen() {
        let packed = pack(&sample()[..3000], 6, 100);
        for end in 0..packed.len() {
            let (data, ended) = unpack(&packed[..end], 64, 100).unwrap();
            assert!(!ended && sample().starts_with(&data), "{end}");
        }
        assert!(!Reader::default().ended() && !Reader::default().started());
    }

    #[test]
    fn damage_is_seen() {
        for at in 0..HELLO.len() {
            for bit in 0..8 {
                let mut bytes = HELLO.to_vec();
                bytes[at] ^= 1 << bit;
                // Flags, time, kind of packer and system say nothing about the data,
                // nor do the bits behind its last code.
                let told = unpack(&bytes, 4, 16) != Ok((b"hello".to_vec(), true));
                assert!(told || (3..10).contains(&at) || at == 16, "{at} {bit}");
            }
        }
        assert_eq!(unpack(b"hello, this is no gzip", 4, 16), Err(Broken));
    }

    #[test]
    fn a_little_makes_no_more_than_there_is_room_for() {
        let packed = pack(&vec![0; 1 << 20], 9, 1000);
        assert!(packed.len() < 2000);
        let mut reader = Reader::default();
        let mut out = [0; 100];
        let (used, made) = reader.step(&packed, &mut out).unwrap();
        assert!(used < packed.len() || made == 100);
    }
}
