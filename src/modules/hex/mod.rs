//! `eco.encoding.hex`: bytes to hexadecimal text, back, and as a dump.
//!
//! Coding is done by pure functions from one slice to another.

use std::ffi::c_int;

use crate::lua::{ffi, function, Error, Functions, Lua, Outcome, Returns};
use crate::{functions, lua_source};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    lua.push_module(FUNCTIONS, std::ptr::null());
    lua.push_chunk(c"=eco.encoding.hex", lua_source!("dump.lua"));
    lua.push_value(-2);
    lua.call(1, 0);
    Ok(Returns(1))
}

const FUNCTIONS: Functions = functions! {
    encode: function(encode),
    decode: function(decode),
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

#[cfg(test)]
mod tests {
    use super::{from_hex, hex_length, to_hex};

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
}
