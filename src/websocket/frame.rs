//! Frames (RFC 6455, 5.2): their heads, and the mask over what clients send.

use super::close::Violation;

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// Beside the opcode of a message that is packed.
pub const PACKED: u8 = 0x40;

/// The most a control frame carries.
pub const CONTROL: usize = 125;
/// The longest head.
pub const HEAD: usize = 14;

/// What a frame is masked with.
pub type Key = [u8; 4];

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub fin: bool,
    pub opcode: u8,
    /// The message is packed (RFC 7692).
    pub packed: bool,
    pub key: Option<Key>,
    /// Of the payload.
    pub length: u64,
    /// Of the head itself.
    pub size: usize,
}

/// True for close, ping and pong, and what may once be one.
pub fn is_control(opcode: u8) -> bool {
    opcode >= CLOSE
}

/// The bytes of the length behind the first two, by the second of those.
pub fn length_size(second: u8) -> usize {
    match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    }
}

/// Reads a head; None when more bytes are needed. Whatever is wrong is told as
/// soon as it is there; `masked` says whether frames must be, `packs` whether messages
/// may be packed.
pub fn parse(input: &[u8], masked: bool, packs: bool) -> Result<Option<Head>, Violation> {
    let Some(&first) = input.first() else {
        return Ok(None);
    };
    let (fin, opcode) = (first & 0x80 != 0, first & 15);
    let packed = packs && first & PACKED != 0 && matches!(opcode, TEXT | BINARY);
    if first & 0x70 != if packed { PACKED } else { 0 } {
        return Err(Violation::ReservedBits);
    }
    match opcode {
        3..=7 => return Err(Violation::ReservedData),
        11.. => return Err(Violation::ReservedControl),
        _ => {}
    }
    let Some(&second) = input.get(1) else {
        return Ok(None);
    };
    if is_control(opcode) {
        if length_size(second) > 0 {
            return Err(Violation::LongControl);
        }
        if !fin {
            return Err(Violation::FragmentedControl);
        }
    }
    match second & 0x80 != 0 {
        true if !masked => return Err(Violation::Masked),
        false if masked => return Err(Violation::Unmasked),
        _ => {}
    }
    let size = 2 + length_size(second);
    let Some(bytes) = input.get(2..size) else {
        return Ok(None);
    };
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    let (length, least) = match bytes.len() {
        0 => (u64::from(second & 0x7f), 0),
        2 => (bytes.iter().fold(0, add), 126),
        _ => (bytes.iter().fold(0, add), 0x1_0000),
    };
    if length >> 63 != 0 {
        return Err(Violation::Length);
    }
    if length < least {
        return Err(Violation::LongLength);
    }
    if !masked {
        let key = None;
        return Ok(Some(Head {
            fin,
            opcode,
            packed,
            key,
            length,
            size,
        }));
    }
    let Some(key) = input.get(size..).and_then(<[u8]>::first_chunk) else {
        return Ok(None);
    };
    let (key, size) = (Some(*key), size + 4);
    Ok(Some(Head {
        fin,
        opcode,
        packed,
        key,
        length,
        size,
    }))
}

/// Appends a head; the opcode may be with [`PACKED`].
pub fn put_head(out: &mut Vec<u8>, fin: bool, opcode: u8, key: Option<Key>, length: usize) {
    let mask = if key.is_some() { 0x80 } else { 0 };
    out.push(if fin { 0x80 } else { 0 } | opcode & (PACKED | 15));
    let wide = (length as u64).to_be_bytes();
    let (code, skip) = match length {
        0..=125 => (length as u8, 8),
        126..=0xffff => (126, 6),
        _ => (127, 0),
    };
    out.push(mask | code);
    out.extend_from_slice(wide.get(skip..).unwrap_or_default());
    out.extend_from_slice(key.as_ref().map_or(&[], |key| key));
}

/// Masks, or undoes it: a word at a time.
pub fn mask(data: &mut [u8], key: Key) {
    const SIZE: usize = size_of::<usize>();
    let mut wide = [0; SIZE];
    for (at, byte) in wide.iter_mut().enumerate() {
        *byte = key[at & 3];
    }
    let wide = usize::from_ne_bytes(wide);
    let (words, tail) = data.as_chunks_mut::<SIZE>();
    for word in words {
        *word = (usize::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (at, byte) in tail.iter_mut().enumerate() {
        *byte ^= key[at & 3];
    }
}

/// The key for what comes `count` bytes later.
pub fn turned(key: Key, count: usize) -> Key {
    let mut key = key;
    key.rotate_left(count & 3);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fin: bool, opcode: u8, key: Option<Key>, length: usize) -> Vec<u8> {
        let mut out = Vec::new();
        put_head(&mut out, fin, opcode, key, length);
        assert!(out.len() <= HEAD);
        out
    }

    #[test]
    fn heads_come_back_and_none_is_taken_for_one_before_its_end() {
        for length in [0, 1, 125, 126, 127, 65535, 65536, 1 << 24] {
            for key in [None, Some([1, 2, 3, 4])] {
                for (fin, opcode) in [(true, TEXT), (false, BINARY), (false, CONTINUATION)] {
                    let bytes = head(fin, opcode, key, length);
                    let expected = Head {
                        fin,
                        opcode,
                        packed: false,
                        key,
                        length: length as u64,
                        size: bytes.len(),
                    };
                    let masked = key.is_some();
                    assert_eq!(parse(&bytes, masked, false), Ok(Some(expected)));
                    for cut in 0..bytes.len() {
                        assert_eq!(parse(&bytes[..cut], masked, true), Ok(None));
                    }
                }
            }
        }
    }

    #[test]
    fn the_bytes_of_the_rfc() {
        assert_eq!(head(true, TEXT, None, 5), [0x81, 5]);
        assert_eq!(
            head(true, TEXT, Some([0x37, 0xfa, 0x21, 0x3d]), 5),
            [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]
        );
        assert_eq!(head(true, BINARY, None, 256), [0x82, 0x7e, 1, 0]);
        assert_eq!(
            head(true, BINARY, None, 65536),
            [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]
        );
        let mut hello = *b"Hello";
        mask(&mut hello, [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(hello, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn what_is_wrong() {
        for (bytes, masked, violation) in [
            (&[0x91][..], false, Violation::ReservedBits),
            (&[0xa1], false, Violation::ReservedBits),
            (&[0xc1], false, Violation::ReservedBits),
            (&[0x83], false, Violation::ReservedData),
            (&[0x87], false, Violation::ReservedData),
            (&[0x8b], false, Violation::ReservedControl),
            (&[0x8f], false, Violation::ReservedControl),
            (&[0x89, 126], false, Violation::LongControl),
            (&[0x88, 127], false, Violation::LongControl),
            (&[0x09, 0], false, Violation::FragmentedControl),
            (&[0x81, 0x80], false, Violation::Masked),
            (&[0x81, 0], true, Violation::Unmasked),
            (&[0x81, 126, 0, 125], false, Violation::LongLength),
            (
                &[0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                false,
                Violation::LongLength,
            ),
            (
                &[0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0],
                false,
                Violation::Length,
            ),
        ] {
            assert_eq!(parse(bytes, masked, false), Err(violation), "{bytes:x?}");
            assert_eq!(
                parse(&bytes[..bytes.len() - 1], masked, false),
                Ok(None),
                "{bytes:x?}"
            );
        }
    }

    #[test]
    fn messages_may_be_packed_where_that_was_agreed() {
        for opcode in 0..=15 {
            for bits in 0..8 {
                let bytes = [0x80 | bits << 4 | opcode, 0];
                let wrong = parse(&bytes, false, true) == Err(Violation::ReservedBits);
                let message = matches!(opcode, TEXT | BINARY);
                assert_eq!(wrong, bits & 3 != 0 || bits == 4 && !message, "{bytes:x?}");
                let packed = parse(&bytes, false, true).ok().flatten();
                let packed = packed.is_some_and(|head| head.packed);
                assert_eq!(packed, bits == 4 && message);
            }
        }
        assert_eq!(head(true, TEXT | PACKED, None, 5), [0xc1, 5]);
    }

    #[test]
    fn masks_of_any_length_at_any_place() {
        let key = [0x11, 0xa5, 0x07, 0xee];
        let plain: Vec<u8> = (0..100).collect();
        for start in 0..8 {
            for end in start..plain.len() {
                let mut data = plain[start..end].to_vec();
                mask(&mut data, turned(key, start));
                for (at, byte) in data.iter().enumerate() {
                    assert_eq!(*byte, plain[start + at] ^ key[(start + at) % 4]);
                }
            }
        }
    }
}
