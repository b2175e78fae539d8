//! Validators, conditions, ranges and content codings of file responses
//! (RFC 9110, sections 8, 12, 13 and 14).

/// What a file is known by.
#[derive(Clone, Copy)]
pub struct Version {
    pub inode: u64,
    pub size: u64,
    pub seconds: i64,
    pub nanoseconds: i64,
}

/// Append `number` in lower-case hex.
pub fn hex(number: u64, out: &mut Vec<u8>) {
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        let value = (number >> (digit * 4) & 15) as u8;
        out.push(if value < 10 {
            b'0' + value
        } else {
            b'a' + value - 10
        });
    }
}

/// Append the entity tag, quotes included: inode, size and time of change.
pub fn write_etag(version: &Version, out: &mut Vec<u8>) {
    out.push(b'"');
    hex(version.inode, out);
    out.push(b'-');
    hex(version.size, out);
    out.push(b'-');
    hex(
        (version.seconds as u64)
            .wrapping_mul(1_000_000_000)
            .wrapping_add(version.nanoseconds as u64),
        out,
    );
    out.push(b'"');
}

/// Whether an `If-None-Match` list names `etag`; strength does not matter.
pub fn matches(list: &[u8], etag: &[u8]) -> bool {
    list.split(|&byte| byte == b',').any(|item| {
        let item = item.trim_ascii();
        item == b"*" || item.strip_prefix(b"W/").unwrap_or(item) == etag
    })
}

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Range {
    /// No single byte range: send everything.
    Whole,
    /// First byte and count.
    Part(u64, u64),
    Unsatisfiable,
}

/// Read a `Range` header for a file of `size` bytes.
pub fn range(header: &[u8], size: u64) -> Range {
    parse_range(header, size).unwrap_or(Range::Whole)
}

fn parse_range(header: &[u8], size: u64) -> Option<Range> {
    let (unit, set) = header.split_at_checked(6)?;
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let dash = set.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (number(set.get(..dash)?)?, number(set.get(dash + 1..)?)?);
    Some(match (first, last) {
        (None, None) => return None,
        (None, Some(count)) => match count.min(size) {
            0 => Range::Unsatisfiable,
            count => Range::Part(size - count, count),
        },
        (Some(first), Some(last)) if last < first => return None,
        (Some(first), _) if first >= size => Range::Unsatisfiable,
        (Some(first), last) => {
            let last = last.unwrap_or(u64::MAX).min(size - 1);
            Range::Part(first, last - first + 1)
        }
    })
}

/// Digits with optional spaces around them; `Some(None)` when there are none.
fn number(text: &[u8]) -> Option<Option<u64>> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Some(None);
    }
    let value = text.iter().try_fold(0u64, |number, byte| {
        byte.is_ascii_digit().then(|| {
            number
                .saturating_mul(10)
                .saturating_add(u64::from(byte - b'0'))
        })
    })?;
    Some(Some(value))
}

/// Whether an `Accept-Encoding` list allows gzip.
pub fn accepts_gzip(list: &[u8]) -> bool {
    let mut any = false;
    for item in list.split(|&byte| byte == b',') {
        let mut parts = item.split(|&byte| byte == b';');
        let name = parts.next().unwrap_or(b"").trim_ascii();
        // "q=0", "q=0.0" … mean never.
        let wanted = !parts.any(|parameter| {
            let parameter = parameter.trim_ascii();
            let weight = parameter
                .strip_prefix(b"q=")
                .or(parameter.strip_prefix(b"Q="));
            weight.is_some_and(|weight| weight.iter().all(|byte| matches!(byte, b'0' | b'.')))
        });
        if name.eq_ignore_ascii_case(b"gzip") {
            return wanted;
        }
        any |= name == b"*" && wanted;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags() {
        let mut out = Vec::new();
        write_etag(
            &Version {
                inode: 0xab,
                size: 0,
                seconds: 0,
                nanoseconds: 16,
            },
            &mut out,
        );
        assert_eq!(out, b"\"ab-0-10\"");
        assert!(matches(b"\"x\", W/\"ab-0-10\"", &out));
        assert!(matches(b"*", &out));
        assert!(!matches(b"\"ab-0-1\"", &out));
        assert!(!matches(b"", &out));
    }

    #[test]
    fn ranges() {
        for (header, expected) in [
            ("bytes=0-4", Range::Part(0, 5)),
            ("bytes=5-", Range::Part(5, 5)),
            ("Bytes= 5 - 99", Range::Part(5, 5)),
            ("bytes=-3", Range::Part(7, 3)),
            ("bytes=-99", Range::Part(0, 10)),
            ("bytes=10-", Range::Unsatisfiable),
            ("bytes=-0", Range::Unsatisfiable),
            ("bytes=99999999999999999999999-", Range::Unsatisfiable),
            ("bytes=3-2", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("items=0-1", Range::Whole),
            ("bytes", Range::Whole),
            ("", Range::Whole),
        ] {
            assert_eq!(range(header.as_bytes(), 10), expected, "{header}");
        }
        assert_eq!(range(b"bytes=0-", 0), Range::Unsatisfiable);
    }

    #[test]
    fn gzip_negotiation() {
        for (list, expected) in [
            ("gzip, deflate, br", true),
            ("deflate;q=1, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("*", true),
            ("*;q=0", false),
            ("*, gzip;q=0", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(list.as_bytes()), expected, "{list}");
        }
    }
}
