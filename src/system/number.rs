//! Numbers as the C library writes them, whatever its locale.
#![allow(unsafe_code)]

use std::ffi::c_int;

/// Room for the longest text of a float: 17 digits, sign, point, exponent.
pub const LONGEST_FLOAT: usize = 40;

/// Writes `value` as `%g` does with at most 17 significant digits, and gives
/// the length of the text.
pub fn write_float(value: f64, precision: u8, out: &mut [u8; LONGEST_FLOAT]) -> usize {
    let precision = c_int::from(precision.clamp(1, 17));
    // SAFETY: the format fits the arguments; no more is written than there is room for.
    let length = unsafe {
        libc::snprintf(
            out.as_mut_ptr().cast(),
            out.len(),
            c"%.*g".as_ptr(),
            precision,
            value,
        )
    };
    let length = usize::try_from(length).unwrap_or_default().min(out.len());
    // A locale has a point of its own, of one byte or several.
    let mut kept = 0;
    for at in 0..length {
        let is_point = !matches!(out[at], b'0'..=b'9' | b'+' | b'-' | b'a'..=b'z');
        if is_point && kept > 0 && out[kept - 1] == b'.' {
            continue;
        }
        out[kept] = if is_point { b'.' } else { out[at] };
        kept += 1;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::{write_float, LONGEST_FLOAT};

    #[test]
    fn writes_as_many_digits_as_asked_for() {
        let text = |value, precision| {
            let mut out = [0; LONGEST_FLOAT];
            let length = write_float(value, precision, &mut out);
            String::from_utf8(out[..length].to_vec()).unwrap()
        };
        assert_eq!(text(0.1, 17), "0.10000000000000001");
        assert_eq!(text(-1.0 / 3.0, 3), "-0.333");
        assert_eq!(text(1e300, 14), "1e+300");
        assert_eq!(text(-5e-324, 255), "-4.9406564584124654e-324");
        assert_eq!(text(f64::MIN, 17).len(), 24);
    }
}
