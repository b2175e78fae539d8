//! `eco.encoding.hex`: bytes to hexadecimal text, back, and as a dump.
//!
//! The work is done by pure functions from one slice to another.

use std::ffi::c_int;

use crate::functions;
use crate::lua::{ffi, function, Error, Functions, Lua, Outcome, Returns};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    lua.push_module(FUNCTIONS, std::ptr::null());
    Ok(Returns(1))
}

const FUNCTIONS: Functions = functions! {
    encode: function(encode),
    decode: function(decode),
    dump: function(dump),
};

/// `encode(bin [, sep])` -> text.
fn encode(lua: Lua) -> Outcome {
    let data = text(&lua, 1)?;
    let separator = if lua.is_none_or_nil(2) {
        &[]
    } else {
        text(&lua, 2)?
    };
    let length = hex_length(data.len(), separator.len()).ok_or("string too long")?;
    lua.push_filled(length, &mut |out| to_hex(data, separator, out));
    Ok(Returns(1))
}

/// `decode(text)` -> bytes, or nil and a message.
fn decode(lua: Lua) -> Outcome {
    let text = text(&lua, 1)?;
    let mut is_hex = text.len() % 2 == 0;
    if is_hex {
        lua.push_filled(text.len() / 2, &mut |out| is_hex = from_hex(text, out));
    }
    if is_hex {
        Ok(Returns(1))
    } else {
        lua.fail("input is malformed")
    }
}

/// `dump(data)` -> text.
fn dump(lua: Lua) -> Outcome {
    let data = text(&lua, 1)?;
    let length = dump_length(data.len()).ok_or("string too long")?;
    lua.push_filled(length, &mut |out| to_dump(data, out));
    Ok(Returns(1))
}

/// Argument `index`, which must be a string proper.
fn text(lua: &Lua, index: c_int) -> Result<&[u8], Error> {
    lua.expect(index, ffi::LUA_TSTRING)?;
    Ok(lua.to_bytes(index))
}

/// Fills a slice from its beginning; what does not fit is dropped.
struct Writer<'a> {
    out: std::slice::IterMut<'a, u8>,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        for (byte, place) in bytes.iter().zip(self.out.by_ref()) {
            *place = *byte;
        }
    }

    /// Both digits of a byte.
    fn put_digits(&mut self, byte: u8) {
        self.put(
            &[byte >> 4, byte & 15]
                .map(|nibble| nibble + if nibble < 10 { b'0' } else { b'a' - 10 }),
        );
    }
}

/// What a character that is no digit counts: more than any that is one.
const NO_DIGIT: u8 = 0xff;

/// The value of every character.
static VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        let digit = b"0123456789abcdef"[value];
        values[digit as usize] = value as u8;
        values[digit.to_ascii_uppercase() as usize] = value as u8;
        value += 1;
    }
    values
};

/// Length of the digits of `count` bytes and of the separators between them.
fn hex_length(count: usize, separator: usize) -> Option<usize> {
    let gaps = separator.checked_mul(count.saturating_sub(1))?;
    count.checked_mul(2)?.checked_add(gaps)
}

/// Lower-case digits, `separator` between bytes.
fn to_hex(data: &[u8], separator: &[u8], out: &mut [u8]) {
    let mut writer = Writer {
        out: out.iter_mut(),
    };
    for &byte in data {
        writer.put_digits(byte);
        // There is no room for the last one.
        writer.put(separator);
    }
}

/// The bytes of hexadecimal text, in either case; false if it is none.
fn from_hex(text: &[u8], out: &mut [u8]) -> bool {
    let mut seen = 0;
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    seen < 16
}

/// Bytes shown on one line of a dump.
const LINE: usize = 16;
/// Length of a line without its text: the offset, the bytes with a gap in
/// their middle, a bar, the end.
const COLUMNS: usize = 9 + LINE * 3 + 1 + 2 + 1;

/// Length of the dump of `count` bytes.
fn dump_length(count: usize) -> Option<usize> {
    count
        .div_ceil(LINE)
        .checked_mul(COLUMNS)?
        .checked_add(count)
}

/// A dump, one line for every sixteen bytes.
fn to_dump(data: &[u8], out: &mut [u8]) {
    let mut writer = Writer {
        out: out.iter_mut(),
    };
    let mut offset = 0_u32;
    for line in data.chunks(LINE) {
        for byte in offset.to_be_bytes() {
            writer.put_digits(byte);
        }
        offset = offset.wrapping_add(LINE as u32);
        for at in 0..LINE {
            writer.put(if at == LINE / 2 { b"  " } else { b" " });
            match line.get(at) {
                Some(&byte) => writer.put_digits(byte),
                None => writer.put(b"  "),
            }
        }
        writer.put(b"  |");
        for &byte in line {
            writer.put(&[if byte.is_ascii_control() { b'.' } else { byte }]);
        }
        writer.put(b"\n");
    }
}

#[cfg(test)]
mod tests {
    use super::{dump_length, from_hex, hex_length, to_dump, to_hex};

    fn all() -> Vec<u8> {
        (0..=255).collect()
    }

    fn hex(data: &[u8], separator: &[u8]) -> String {
        let mut out = vec![0; hex_length(data.len(), separator.len()).unwrap()];
        to_hex(data, separator, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn bytes(text: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; text.len() / 2];
        from_hex(text, &mut out).then_some(out)
    }

    fn dump(data: &[u8]) -> Vec<u8> {
        let mut out = vec![0; dump_length(data.len()).unwrap()];
        to_dump(data, &mut out);
        out
    }

    #[test]
    fn encodes() {
        assert_eq!(hex(b"", b""), "");
        assert_eq!(hex(b"", b":"), "");
        assert_eq!(hex(b"\x00\x9f\xff", b""), "009fff");
        assert_eq!(hex(b"a", b"::"), "61");
        assert_eq!(hex(b"abc", b", "), "61, 62, 63");
        assert_eq!(hex_length(usize::MAX, 0), None);
        assert_eq!(hex_length(2, usize::MAX), None);
    }

    #[test]
    fn decodes_what_it_encoded_in_either_case() {
        let text = hex(&all(), b"");
        assert_eq!(bytes(text.as_bytes()), Some(all()));
        assert_eq!(bytes(text.to_ascii_uppercase().as_bytes()), Some(all()));
        assert_eq!(bytes(b""), Some(Vec::new()));
    }

    #[test]
    fn accepts_digits_alone() {
        for byte in 0..=u8::MAX {
            assert_eq!(bytes(&[byte, b'0']).is_some(), byte.is_ascii_hexdigit());
            assert_eq!(bytes(&[b'0', byte]).is_some(), byte.is_ascii_hexdigit());
        }
    }

    #[test]
    fn dumps() {
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
        for length in 0..50 {
            let data = vec![b'x'; length];
            assert!(dump(&data).ends_with(b"\n") || length == 0);
        }
    }
}
