//! `eco.encoding.hex`: bytes to hexadecimal text, back, and as a dump.
//!
//! The work is done by pure functions over bytes, two table look-ups a byte.

use std::ffi::c_int;

use crate::lua::{function, Error, Functions, Lua, Outcome, Returns};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    lua.push_module(FUNCTIONS, std::ptr::null());
    Ok(Returns(1))
}

const FUNCTIONS: Functions = &[
    (c"encode", function(encode)),
    (c"decode", function(decode)),
    (c"dump", function(dump)),
];

/// `encode(bin [, sep])` -> text.
fn encode(lua: Lua) -> Outcome {
    let data = text(&lua, 1)?;
    let separator = if lua.is_none_or_nil(2) {
        &[]
    } else {
        text(&lua, 2)?
    };
    give(lua, to_hex(data, separator))
}

/// `decode(text)` -> bytes, or nil and a message.
fn decode(lua: Lua) -> Outcome {
    match from_hex(text(&lua, 1)?) {
        Ok(bytes) => give(lua, bytes),
        Err(Malformed) => lua.fail("input is malformed"),
    }
}

/// `dump(data)` -> text.
fn dump(lua: Lua) -> Outcome {
    give(lua, to_dump(text(&lua, 1)?))
}

/// Argument `index`, which must be a string proper.
fn text(lua: &Lua, index: c_int) -> Result<&[u8], Error> {
    let expected = c"string";
    lua.bytes(index).ok_or_else(|| Error::wrong_type(index, expected))
}

/// Returns a string, or raises when there was no memory for it.
fn give(lua: Lua, result: Option<Vec<u8>>) -> Outcome {
    let result = result.ok_or("not enough memory")?;
    lua.try_push_bytes(&result)?;
    Ok(Returns(1))
}

/// The input is no hexadecimal text.
#[derive(Debug, PartialEq, Eq)]
struct Malformed;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Both digits of every byte.
static PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// What a character that is no digit counts: more than both nibbles can.
const NO_DIGIT: u8 = 0xff;

/// The value of every character.
static VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value] as usize] = value as u8;
        values[DIGITS[value].to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    values
};

/// A buffer of `length` zeros; None when there is no memory for it.
fn zeros(length: Option<usize>) -> Option<Vec<u8>> {
    let length = length?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).ok()?;
    bytes.resize(length, 0);
    Some(bytes)
}

/// Lower-case digits, `separator` between bytes; None for want of memory.
fn to_hex(data: &[u8], separator: &[u8]) -> Option<Vec<u8>> {
    let Some(last) = data.len().checked_sub(1) else {
        return Some(Vec::new());
    };
    if separator.is_empty() {
        let mut text = zeros(data.len().checked_mul(2))?;
        for (pair, &byte) in text.chunks_exact_mut(2).zip(data) {
            pair.copy_from_slice(&PAIRS[usize::from(byte)]);
        }
        return Some(text);
    }
    let length = last
        .checked_mul(separator.len().checked_add(2)?)
        .and_then(|length| length.checked_add(2));
    let mut text = zeros(length)?;
    for (piece, &byte) in text.chunks_mut(separator.len() + 2).zip(data) {
        let (pair, rest) = piece.split_at_mut(2);
        pair.copy_from_slice(&PAIRS[usize::from(byte)]);
        // The last byte has none after it.
        rest.copy_from_slice(&separator[..rest.len()]);
    }
    Some(text)
}

/// The bytes of hexadecimal text, in either case; `Ok(None)` for want of memory.
fn from_hex(text: &[u8]) -> Result<Option<Vec<u8>>, Malformed> {
    if text.len() % 2 != 0 {
        return Err(Malformed);
    }
    let Some(mut bytes) = zeros(Some(text.len() / 2)) else {
        return Ok(None);
    };
    let mut seen = 0;
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let high = VALUES[usize::from(pair[0])];
        let low = VALUES[usize::from(pair[1])];
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    if seen > 15 {
        return Err(Malformed);
    }
    Ok(Some(bytes))
}

/// Bytes shown on one line of a dump.
const LINE: usize = 16;
/// Columns before the text: the offset, the bytes, the gap in the middle.
const TEXT_COLUMN: usize = 9 + LINE * 3 + 1;

/// A dump, one line for every sixteen bytes; None for want of memory.
fn to_dump(data: &[u8]) -> Option<Vec<u8>> {
    let lines = data.len().div_ceil(LINE);
    // Each line has two columns for ` |` and one for its end besides the text.
    let length = lines
        .checked_mul(TEXT_COLUMN + 3)?
        .checked_add(data.len())?;
    let mut text = Vec::new();
    text.try_reserve_exact(length).ok()?;
    for (line, bytes) in data.chunks(LINE).enumerate() {
        let mut columns = [b' '; TEXT_COLUMN];
        let offset = ((line * LINE) as u32).to_be_bytes();
        for (pair, byte) in columns.chunks_exact_mut(2).zip(offset) {
            pair.copy_from_slice(&PAIRS[usize::from(byte)]);
        }
        for (at, &byte) in bytes.iter().enumerate() {
            let column = 9 + at * 3 + usize::from(at >= LINE / 2);
            columns[column..column + 2].copy_from_slice(&PAIRS[usize::from(byte)]);
        }
        text.extend_from_slice(&columns);
        text.extend_from_slice(b" |");
        text.extend(
            bytes
                .iter()
                .map(|byte| if byte.is_ascii_control() { b'.' } else { *byte }),
        );
        text.push(b'\n');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{from_hex, to_dump, to_hex, Malformed};

    fn all() -> Vec<u8> {
        (0..=255).collect()
    }

    fn hex(data: &[u8], separator: &[u8]) -> String {
        String::from_utf8(to_hex(data, separator).unwrap()).unwrap()
    }

    #[test]
    fn encodes() {
        assert_eq!(hex(b"", b""), "");
        assert_eq!(hex(b"", b":"), "");
        assert_eq!(hex(b"\x00\x9f\xff", b""), "009fff");
        assert_eq!(hex(b"a", b"::"), "61");
        assert_eq!(hex(b"abc", b", "), "61, 62, 63");
    }

    #[test]
    fn decodes_what_it_encoded_in_either_case() {
        let text = to_hex(&all(), b"").unwrap();
        assert_eq!(from_hex(&text), Ok(Some(all())));
        assert_eq!(from_hex(&text.to_ascii_uppercase()), Ok(Some(all())));
        assert_eq!(from_hex(b""), Ok(Some(Vec::new())));
    }

    #[test]
    fn accepts_digits_alone() {
        for byte in 0..=u8::MAX {
            let expected = if byte.is_ascii_hexdigit() {
                Ok(true)
            } else {
                Err(Malformed)
            };
            assert_eq!(
                from_hex(&[byte, b'0']).map(|bytes| bytes.is_some()),
                expected
            );
            assert_eq!(
                from_hex(&[b'0', byte]).map(|bytes| bytes.is_some()),
                expected
            );
        }
    }

    #[test]
    fn refuses_odd_lengths() {
        let text = b"00112233";
        for length in 0..text.len() {
            assert_eq!(from_hex(&text[..length]).is_err(), length % 2 == 1);
        }
    }

    #[test]
    fn dumps() {
        let dump = |data: &[u8]| to_dump(data).unwrap();
        assert_eq!(dump(b""), b"");
        let short = b"00000000 68 65 6c 6c 6f                                    |hello\n";
        assert_eq!(dump(b"hello"), short);
        let full =
            b"00000000 30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef\n";
        assert_eq!(dump(b"0123456789abcdef"), full);
        let more = dump(b"0123456789abcdef\x00\x1f\x7f\x80");
        assert_eq!(&more[..full.len()], full);
        assert!(more[full.len()..].starts_with(b"00000010 00 1f 7f 80   "));
        assert!(more.ends_with(b" |...\x80\n"));
    }
}
