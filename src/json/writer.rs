//! Writes strings and numbers as JSON text.
//!
//! Memory is asked for fallibly: strings are as long as scripts make them.

use super::reader::plain_length;
use super::{POWERS, WIDE};

/// There is no memory for the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// Appends bytes as they are.
pub fn raw(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), NoMemory> {
    out.try_reserve(bytes.len()).map_err(|_| NoMemory)?;
    out.extend_from_slice(bytes);
    Ok(())
}

/// Appends a string in quotes. Its bytes are not checked to be UTF-8.
pub fn string(out: &mut Vec<u8>, bytes: &[u8], escapes_slash: bool) -> Result<(), NoMemory> {
    raw(out, b"\"")?;
    let mut rest = bytes;
    loop {
        let (plain, special) = rest.split_at(plain_length::<true>(rest));
        raw(out, plain)?;
        let Some((&byte, after)) = special.split_first() else {
            return raw(out, b"\"");
        };
        rest = after;
        let letter = match byte {
            b'/' if !escapes_slash => {
                raw(out, b"/")?;
                continue;
            }
            8 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            12 => b'f',
            b'\r' => b'r',
            0..0x20 | 0x7f => {
                let digit = b"0123456789abcdef"[usize::from(byte & 15)];
                raw(out, &[b'\\', b'u', b'0', b'0', b'0' + (byte >> 4), digit])?;
                continue;
            }
            _ => byte,
        };
        raw(out, &[b'\\', letter])?;
    }
}

/// Appends an integer.
pub fn integer(out: &mut Vec<u8>, value: i64) -> Result<(), NoMemory> {
    decimal(out, value, 0)
}

/// The most decimals that [`short_float`] tries.
const MOST_DECIMALS: usize = 6;

/// Appends a float with few decimals as these, if `precision` digits hold it;
/// false (nothing appended) for any other.
pub fn short_float(out: &mut Vec<u8>, value: f64, precision: u8) -> Result<bool, NoMemory> {
    if !WIDE || value == 0.0 {
        return Ok(false);
    }
    // 15 digits survive being a float.
    let most = POWERS[usize::from(precision.min(15))];
    for (decimals, scale) in POWERS.iter().take(1 + MOST_DECIMALS).enumerate() {
        let scaled = value * scale;
        if scaled.abs() >= most {
            break;
        }
        let whole = scaled as i64;
        let rounded = whole + ((scaled - whole as f64) * 2.0) as i64;
        // Both are exact: this is the float nearest to the decimal fraction.
        if rounded as f64 / scale == value {
            decimal(out, rounded, decimals)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// The tenth of a number, and what is left of it. Machines of 32 bits would
/// call for a division of 64.
fn tenth(value: u64) -> (u64, u8) {
    if WIDE {
        return (value / 10, (value % 10) as u8);
    }
    let (mut quotient, mut rest) = (0, 0);
    for shift in [48, 32, 16, 0] {
        let part = rest << 16 | (value >> shift) as u32 & 0xffff;
        quotient = quotient << 16 | u64::from(part / 10);
        rest = part % 10;
    }
    (quotient, rest as u8)
}

/// Appends a number with its last `decimals` digits, at most
/// [`MOST_DECIMALS`], behind a point.
fn decimal(out: &mut Vec<u8>, value: i64, decimals: usize) -> Result<(), NoMemory> {
    // Twenty digits at most, a point, a sign.
    let mut text = [0; 24];
    let mut start = text.len();
    let mut put = |byte: u8| {
        start -= 1;
        text[start] = byte;
    };
    let mut rest = value.unsigned_abs();
    let mut count = 0;
    loop {
        if count == decimals && count > 0 {
            put(b'.');
        }
        let digit;
        (rest, digit) = tenth(rest);
        put(b'0' + digit);
        count += 1;
        if rest == 0 && count > decimals {
            break;
        }
    }
    if value < 0 {
        put(b'-');
    }
    raw(out, &text[start..])
}

#[cfg(test)]
mod tests {
    use super::{integer, short_float, string};

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped() {
        let text =
            |bytes: &str, slash| written(|out| string(out, bytes.as_bytes(), slash).unwrap());
        assert_eq!(text("", true), r#""""#);
        assert_eq!(text("a/é\"\\", true), r#""a\/é\"\\""#);
        assert_eq!(text("a/é\"\\", false), r#""a/é\"\\""#);
        assert_eq!(
            text("\u{8}\t\n\u{c}\r\0\u{1f}\u{7f}", true),
            r#""\b\t\n\f\r\u0000\u001f\u007f""#
        );
    }

    #[test]
    fn integers_of_every_length() {
        let mut value = 1_i64;
        for _ in 0..19 {
            for value in [value, -value, value - 1, value.wrapping_mul(7)] {
                assert_eq!(
                    written(|out| integer(out, value).unwrap()),
                    value.to_string()
                );
            }
            value = value.wrapping_mul(10);
        }
        for value in [
            0,
            i64::MIN,
            i64::MAX,
            u32::MAX.into(),
            i64::from(u32::MAX) + 1,
        ] {
            assert_eq!(
                written(|out| integer(out, value).unwrap()),
                value.to_string()
            );
        }
    }

    #[test]
    fn short_floats_lead_back_to_themselves() {
        let text = |value, precision| {
            let mut is_short = false;
            let text = written(|out| is_short = short_float(out, value, precision).unwrap());
            assert_eq!(is_short, !text.is_empty());
            text
        };
        if !super::WIDE {
            assert_eq!(text(0.5, 14), "");
            return;
        }
        for (value, expected) in [
            (1.0, "1"),
            (-3.5, "-3.5"),
            (0.1, "0.1"),
            (0.000001, "0.000001"),
            (-123456.789, "-123456.789"),
            (99999999.999999, "99999999.999999"),
        ] {
            assert_eq!(text(value, 14), expected);
            assert_eq!(expected.parse::<f64>().unwrap(), value);
        }
        for value in [
            0.0,
            f64::NAN,
            f64::INFINITY,
            1e16,
            1.0 / 3.0,
            1e-7,
            5e-324,
            f64::MAX,
            0.30000000000000004,
        ] {
            assert_eq!(text(value, 17), "");
        }
        assert_eq!(text(0.125, 2), "");
        assert_eq!(text(123.5, 3), "", "three digits do not hold it");
    }
}
