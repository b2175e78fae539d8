//! Where the head of a message ends in a growing buffer (RFC 9112, 2), and the
//! status to refuse it with when it never will.

use super::fields::TOKEN;
use super::text::position;

/// What a head may cost; more is answered 414 or 431.
#[derive(Clone, Copy)]
pub struct Limits {
    pub request_line: usize,
    pub head: usize,
    pub headers: usize,
}

/// Outcome of looking for the end of a head.
#[derive(Debug, PartialEq, Eq)]
pub enum Scan {
    /// More bytes are needed.
    Partial,
    /// The head is `start..end`, the empty line included.
    Complete { start: usize, end: usize },
    /// Answer with this status and close.
    Refused(u16),
}

/// Remembers how far a growing buffer was searched, so that a head that comes
/// byte by byte is not read again from its start each time.
#[derive(Clone, Copy, Default)]
pub struct Scanner {
    seen: usize,
    start: usize,
    line: usize,
    lines: usize,
}

impl Scanner {
    /// Whether a head has begun: blank lines before it do not count.
    pub fn started(&self) -> bool {
        self.seen > self.start
    }

    /// Look at what was appended to `buffer` since the last call.
    pub fn scan(&mut self, buffer: &[u8], limits: &Limits) -> Scan {
        while let Some(length) = buffer.get(self.seen..).and_then(|new| position(new, b'\n')) {
            let end = self.seen + length;
            self.seen = end + 1;
            let line = buffer.get(self.line..end).unwrap_or(b"");
            let Some((b'\r', line)) = line.split_last() else {
                return Scan::Refused(400);
            };
            if line.is_empty() {
                if self.lines > 0 {
                    let start = self.start;
                    return match self.seen - start > limits.head {
                        true => Scan::Refused(431),
                        false => Scan::Complete {
                            start,
                            end: self.seen,
                        },
                    };
                }
                self.start = self.seen;
                if self.start > limits.head {
                    return Scan::Refused(431);
                }
            } else {
                if self.lines == 0 && line.len() > limits.request_line {
                    return Scan::Refused(414);
                }
                if !begins_head(buffer.get(self.start)) {
                    return Scan::Refused(400);
                }
                if self.lines > limits.headers {
                    return Scan::Refused(431);
                }
                self.lines += 1;
            }
            self.line = self.seen;
        }
        self.seen = buffer.len();
        // Another protocol may never send a line end: do not wait for one.
        if !begins_head(buffer.get(self.start)) {
            return Scan::Refused(400);
        }
        if self.lines == 0 && self.seen - self.start > limits.request_line + 2 {
            return Scan::Refused(414);
        }
        if self.seen - self.start > limits.head {
            return Scan::Refused(431);
        }
        Scan::Partial
    }
}

fn begins_head(first: Option<&u8>) -> bool {
    first.is_none_or(|&first| first == b'\r' || TOKEN.has(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        request_line: 64,
        head: 256,
        headers: 4,
    };

    #[test]
    fn scanner_finds_the_end_however_it_arrives() {
        let bytes = b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        let whole = Scan::Complete { start: 4, end: 31 };
        assert_eq!(Scanner::default().scan(bytes, &LIMITS), whole);
        let mut scanner = Scanner::default();
        for end in 0..31 {
            assert_eq!(scanner.scan(&bytes[..end], &LIMITS), Scan::Partial, "{end}");
            assert!(end < 4 || scanner.started() == (end > 4), "{end}");
        }
        assert_eq!(scanner.scan(bytes, &LIMITS), whole);
    }

    #[test]
    fn scanner_limits() {
        let scan = |text: &str| Scanner::default().scan(text.as_bytes(), &LIMITS);
        assert_eq!(
            scan(&format!("GET /{}", "a".repeat(80))),
            Scan::Refused(414)
        );
        assert_eq!(
            scan(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(60))),
            Scan::Refused(414)
        );
        assert_eq!(
            scan(&format!("GET / HTTP/1.1\r\na: {}", "b".repeat(300))),
            Scan::Refused(431)
        );
        assert_eq!(
            scan(&format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(300))),
            Scan::Refused(431)
        );
        assert_eq!(
            scan(&format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(5))),
            Scan::Refused(431)
        );
        assert_eq!(scan("GET / HTTP/1.1\n"), Scan::Refused(400));
        assert_eq!(scan("\n"), Scan::Refused(400));
        assert_eq!(scan("\x16\x03\x01"), Scan::Refused(400));
        assert_eq!(scan(&"\r\n".repeat(200)), Scan::Refused(431));
    }
}
