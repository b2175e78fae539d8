//! Field lines (RFC 9110, 5): what may stand in names and values, and the values
//! that are lists or numbers.

/// Text that would break the line it stands in, or a header name that is none.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// Whether a byte may be part of a token, which names and methods are.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// Refuse what is no field name.
pub fn check_name(name: &[u8]) -> Result<(), Malformed> {
    match !name.is_empty() && name.iter().all(is_token) {
        true => Ok(()),
        false => Err(Malformed),
    }
}

/// Refuse what would break the line.
pub fn check_value(text: &[u8]) -> Result<(), Malformed> {
    match text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        true => Err(Malformed),
        false => Ok(()),
    }
}

/// Whether a comma-separated list holds `token`, in any letter case.
pub fn has_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|&byte| byte == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
}

/// Digits only, and within a signed 64-bit integer.
pub fn number(text: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        // Below, nothing can overflow the signed range by more than its sign bit.
        if digit > 9 || value > i64::MAX as u64 / 10 {
            return None;
        }
        value = value * 10 + u64::from(digit);
        if value > i64::MAX as u64 {
            return None;
        }
    }
    (!text.is_empty()).then_some(value)
}
