//! Field lines (RFC 9110, 5): what may stand in names and values, the values that
//! are lists or numbers, and the one routine that looks a field up.

use std::ops::Range;

use super::text::{is_visible, position, WORD};

/// Text that would break the line it stands in, or a name that is none.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// Letters, digits and these others.
pub struct Bytes([u32; 4]);

impl Bytes {
    /// A set of ASCII bytes.
    pub const fn new(others: &[u8]) -> Bytes {
        let mut bits = [0; 4];
        let mut byte = 0u8;
        while byte < 128 {
            if byte.is_ascii_alphanumeric() {
                bits[byte as usize >> 5] |= 1 << (byte & 31);
            }
            byte += 1;
        }
        let mut at = 0;
        while at < others.len() {
            bits[others[at] as usize >> 5] |= 1 << (others[at] & 31);
            at += 1;
        }
        Bytes(bits)
    }

    pub fn has(&self, byte: u8) -> bool {
        let bits = self.0.get(usize::from(byte >> 5));
        bits.is_some_and(|bits| bits >> (byte & 31) & 1 != 0)
    }
}

/// What tokens are made of.
pub static TOKEN: Bytes = Bytes::new(b"!#$%&'*+-.^_`|~");

/// Refuse what is no token.
pub fn check_name(name: &[u8]) -> Result<(), Malformed> {
    match !name.is_empty() && name.iter().all(|&byte| TOKEN.has(byte)) {
        true => Ok(()),
        false => Err(Malformed),
    }
}

/// Refuse control characters but the tab: some peers end lines at them.
pub fn check_value(text: &[u8]) -> Result<(), Malformed> {
    let control = |&byte: &u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    let (words, tail) = text.as_chunks::<WORD>();
    let mut words = words.iter();
    // A tab is a reason to look at the bytes one by one.
    match words.all(|word| is_visible(word) || !word.iter().any(control))
        && !tail.iter().any(control)
    {
        true => Ok(()),
        false => Err(Malformed),
    }
}

/// The field lines of a head, one after the other, up to the empty line that ends
/// it. Folded lines are none.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'b>(pub &'b [u8]);

impl<'b> Iterator for Lines<'b> {
    /// Name and value, without the blanks around it.
    type Item = Result<(&'b [u8], &'b [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0 == b"\r\n" {
            return None;
        }
        let mut line = || {
            let (line, rest) = self.0.split_at_checked(position(self.0, b'\n')?)?;
            let line = line.strip_suffix(b"\r")?;
            let (name, value) = line.split_at_checked(position(line, b':')?)?;
            let (_, value) = value.split_first()?;
            check_name(name).and_then(|()| check_value(value)).ok()?;
            self.0 = rest.get(1..)?;
            Some((name, value.trim_ascii()))
        };
        let found = line().ok_or(Malformed);
        if found.is_err() {
            // Nothing behind it is to be trusted.
            self.0 = b"\r\n";
        }
        Some(found)
    }
}

/// Where the line of a field is in finished `Name: value CR LF` lines.
pub fn find(lines: &[u8], name: &[u8]) -> Option<Range<usize>> {
    let mut start = 0;
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        let end = start + line.len();
        if let Some((known, [b':', ..])) = line.split_at_checked(name.len()) {
            if known.eq_ignore_ascii_case(name) {
                return Some(start..end);
            }
        }
        start = end;
    }
    None
}

/// The items of a comma-separated list.
pub fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
}

/// Whether a list holds `token`, in any letter case.
pub fn has_token(list: &[u8], token: &[u8]) -> bool {
    items(list).any(|item| item.eq_ignore_ascii_case(token))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        for byte in 0..=255u8 {
            let expected = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(TOKEN.has(byte), expected, "{byte}");
        }
        assert_eq!(check_name(b""), Err(Malformed));
    }

    #[test]
    fn values_hold_no_control_characters() {
        for byte in 0..=255u8 {
            let bad = (byte < 32 && byte != 9) || byte == 127;
            assert_eq!(check_value(&[b'a', byte, b'b']).is_err(), bad, "{byte}");
        }
    }

    #[test]
    fn a_short_line_does_not_end_the_search() {
        let lines = b"X-Id: 7\r\nA: b\r\nContent-Length: 100\r\nE:\r\n";
        assert_eq!(find(lines, b"content-length"), Some(15..36));
        assert_eq!(find(lines, b"e"), Some(36..40));
        assert_eq!(find(lines, b"X-I"), None);
        assert_eq!(find(lines, b"Content-Length: 100"), None);
        assert_eq!(find(b"", b"a"), None);
    }

    #[test]
    fn lines_of_a_head() {
        let read = |text: &'static str| Lines(text.as_bytes()).take(9).collect::<Vec<_>>();
        let field =
            |name: &'static str, value: &'static str| Ok((name.as_bytes(), value.as_bytes()));
        assert_eq!(read("\r\n"), []);
        assert_eq!(
            read("A: b\r\nc:\t d:e \r\nF:\r\n\r\n"),
            [field("A", "b"), field("c", "d:e"), field("F", "")]
        );
        for bad in [
            "",
            "\n",
            "A",
            "A\r\n",
            "A: b",
            "A: b\n\r\n",
            ": b\r\n\r\n",
            " A: b\r\n\r\n",
            "A : b\r\n\r\n",
            "A: b\rc\r\n\r\n",
            "A: b\0\r\n\r\n",
        ] {
            assert_eq!(read(bad).first(), Some(&Err(Malformed)), "{bad:?}");
        }
        assert_eq!(read("A: b\r\n c\r\n\r\n").get(1), Some(&Err(Malformed)));
    }

    #[test]
    fn lists() {
        assert!(has_token(b"keep-alive ,, Close", b"close"));
        assert!(!has_token(b"closed", b"close") && !has_token(b"", b""));
    }

    #[test]
    fn numbers() {
        assert_eq!(number(b"9223372036854775807"), Some(i64::MAX as u64));
        for bad in [
            "",
            "+1",
            "-1",
            "1 ",
            "0x1",
            "1.0",
            "9223372036854775808",
            "99999999999999999999",
        ] {
            assert_eq!(number(bad.as_bytes()), None, "{bad}");
        }
    }
}
