//! Response heads (RFC 9110, 9112): where one ends in a growing buffer, what it
//! says, and how long the body behind it is. Line ends without CR and folded lines,
//! which clients are told to take, are put right first; all else is strict.

use super::body::Framing;
use super::fields::{check_value, has_token, items, number, Lines, Malformed};
use super::text::{position, put};

/// What a head may cost.
#[derive(Clone, Copy)]
pub struct Limits {
    pub head: usize,
    pub headers: usize,
}

/// Why a head cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    StatusLine,
    Header,
    Length,
    Coding,
    TooLarge,
}

impl Wrong {
    /// The words for it.
    pub fn text(self) -> &'static str {
        match self {
            Wrong::StatusLine => "invalid http status line",
            Wrong::Header => "invalid http header",
            Wrong::Length => "invalid content-length",
            Wrong::Coding => "unsupported transfer-encoding",
            Wrong::TooLarge => "http response head too large",
        }
    }
}

/// Outcome of looking for the end of a head.
#[derive(Debug, PartialEq, Eq)]
pub enum Scan {
    /// More bytes are needed.
    Partial,
    /// The head is that long, the empty line included.
    Complete(usize),
    Wrong(Wrong),
}

/// Remembers how far a growing buffer was searched, so that a head that comes
/// byte by byte is not read again from its start each time.
#[derive(Clone, Copy, Default)]
pub struct Scanner {
    seen: usize,
    line: usize,
    lines: usize,
}

impl Scanner {
    /// Look at what was appended to `buffer` since the last call.
    pub fn scan(&mut self, buffer: &[u8], limits: &Limits) -> Scan {
        // Another protocol may never send a line end: do not wait for one.
        const START: &[u8] = b"HTTP/1.";
        let common = START.len().min(buffer.len());
        if buffer.get(..common) != START.get(..common) {
            return Scan::Wrong(Wrong::StatusLine);
        }
        while let Some(length) = buffer.get(self.seen..).and_then(|new| position(new, b'\n')) {
            let end = self.seen + length;
            let line = buffer.get(self.line..end).unwrap_or(b"");
            self.seen = end + 1;
            self.line = self.seen;
            if self.seen > limits.head || self.lines > limits.headers + 1 {
                return Scan::Wrong(Wrong::TooLarge);
            }
            if matches!(line, b"" | b"\r") {
                return Scan::Complete(self.seen);
            }
            self.lines += 1;
        }
        self.seen = buffer.len();
        if self.seen > limits.head {
            return Scan::Wrong(Wrong::TooLarge);
        }
        Scan::Partial
    }
}

/// Append the strict form of a complete head: every line ends with CR LF, folded
/// lines are one.
pub fn tidy(head: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut line = line.strip_suffix(b"\r").unwrap_or(line);
        if matches!(line.first(), Some(b' ' | b'\t')) && out.len() > start + 2 {
            out.truncate(out.len() - 2);
            out.push(b' ');
            line = line.trim_ascii_start();
        }
        put(out, line);
        put(out, b"\r\n");
    }
}

/// What was asked, as far as it decides whether a body follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Head,
    Connect,
    Other,
}

impl Asked {
    /// By the method of the request.
    pub fn by(method: &[u8]) -> Asked {
        match method {
            b"HEAD" => Asked::Head,
            b"CONNECT" => Asked::Connect,
            _ => Asked::Other,
        }
    }
}

/// A response head; every slice points into the buffer it was read from.
#[derive(Debug)]
pub struct Reply<'b> {
    /// 0 or 1.
    pub minor: u8,
    pub status: u16,
    /// May be empty.
    pub reason: &'b [u8],
    /// The field lines, which are known to be well-formed.
    pub fields: Lines<'b>,
    pub framing: Framing,
    /// The connection is over after this response.
    pub close: bool,
}

/// Read a complete head in its strict form.
pub fn parse(head: &[u8], asked: Asked) -> Result<Reply<'_>, Wrong> {
    let end = position(head, b'\n').ok_or(Wrong::StatusLine)?;
    let (line, rest) = head.split_at_checked(end).ok_or(Wrong::StatusLine)?;
    let line = line.strip_suffix(b"\r").ok_or(Wrong::StatusLine)?;
    let (minor, status, reason) = status_line(line).ok_or(Wrong::StatusLine)?;
    let fields = Lines(rest.get(1..).unwrap_or(b""));

    let (mut length, mut codings, mut chunked) = (None, false, false);
    let (mut close, mut keep) = (false, false);
    for field in fields {
        let (name, value) = field.map_err(|Malformed| Wrong::Header)?;
        match name.len() {
            10 if name.eq_ignore_ascii_case(b"connection") => {
                close |= has_token(value, b"close");
                keep |= has_token(value, b"keep-alive");
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                // Equal ones may be repeated, in lines or in a list.
                for item in value.split(|&byte| byte == b',') {
                    let item = number(item.trim_ascii()).ok_or(Wrong::Length)?;
                    if *length.get_or_insert(item) != item {
                        return Err(Wrong::Length);
                    }
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                codings = true;
                for coding in items(value) {
                    if chunked || !coding.eq_ignore_ascii_case(b"chunked") {
                        return Err(Wrong::Coding);
                    }
                    chunked = true;
                }
            }
            _ => {}
        }
    }
    let framing = match status {
        _ if asked == Asked::Head => Framing::Length(0),
        100..=199 | 204 | 304 => Framing::Length(0),
        200..=299 if asked == Asked::Connect => Framing::Length(0),
        _ if chunked => Framing::Chunked,
        _ if codings => Framing::Close,
        _ => length.map_or(Framing::Close, Framing::Length),
    };
    Ok(Reply {
        minor,
        status,
        reason,
        fields,
        framing,
        close: close
            || (minor == 0 && !keep)
            || framing == Framing::Close
            // Two lengths, or chunks of a version that has none: the next
            // response may not begin where it seems to.
            || (codings && (length.is_some() || minor == 0)),
    })
}

/// Minor version, status and reason; blanks before the reason may be missing.
fn status_line(line: &[u8]) -> Option<(u8, u16, &[u8])> {
    let [minor @ (b'0' | b'1'), b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', reason @ ..] =
        line.strip_prefix(b"HTTP/1.")?
    else {
        return None;
    };
    if !matches!(reason.first(), None | Some(b' ' | b'\t')) || check_value(reason).is_err() {
        return None;
    }
    let digit = |digit: &u8| u16::from(digit - b'0');
    let status = digit(a) * 100 + digit(b) * 10 + digit(c);
    Some((minor - b'0', status, reason.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        head: 256,
        headers: 4,
    };

    fn head(lines: &str) -> String {
        format!("HTTP/1.1 200 OK\r\n{lines}\r\n")
    }

    fn read(text: &str, asked: Asked) -> Result<(Framing, bool), Wrong> {
        parse(text.as_bytes(), asked).map(|reply| (reply.framing, reply.close))
    }

    fn framing(lines: &str) -> Result<(Framing, bool), Wrong> {
        read(&head(lines), Asked::Other)
    }

    fn tidied(text: &str) -> String {
        let mut out = b"before".to_vec();
        tidy(text.as_bytes(), &mut out);
        String::from_utf8(out.split_off(6)).unwrap()
    }

    #[test]
    fn every_truncation_waits_for_more() {
        for text in [
            "HTTP/1.1 200 OK\r\nA: b\r\nC:d\r\n\r\n",
            "HTTP/1.0 404\nA: b\n c\n\n",
        ] {
            let mut scanner = Scanner::default();
            for end in 0..text.len() {
                let part = &text.as_bytes()[..end];
                assert_eq!(scanner.scan(part, &LIMITS), Scan::Partial, "{end}");
                assert_eq!(Scanner::default().scan(part, &LIMITS), Scan::Partial);
                // What is no head is refused by the parser too, whatever it is.
                let part = tidied(&text[..end]);
                let read = parse(part.as_bytes(), Asked::Other);
                assert!(read.is_err() || end > text.len() - 3, "{end}");
            }
            let complete = Scan::Complete(text.len());
            assert_eq!(scanner.scan(text.as_bytes(), &LIMITS), complete);
            let more = [text.as_bytes(), b"body\n\n"].concat();
            assert_eq!(Scanner::default().scan(&more, &LIMITS), complete);
        }
    }

    #[test]
    fn limits() {
        let scan = |text: &str| Scanner::default().scan(text.as_bytes(), &LIMITS);
        let large = Scan::Wrong(Wrong::TooLarge);
        assert_eq!(scan(&head(&"a: b\r\n".repeat(4))), Scan::Complete(43));
        assert_eq!(scan(&head(&"a: b\r\n".repeat(5))), large);
        assert_eq!(scan(&format!("HTTP/1.1 200 {}", "O".repeat(300))), large);
        assert_eq!(scan(&head(&format!("a: {}\r\n", "b".repeat(300)))), large);
        for other in [
            "SSH-2.0-x",
            "\r\n",
            "HTTP/2",
            "http/1.1",
            "\x16\x03",
            "HTTP/1,",
        ] {
            assert_eq!(scan(other), Scan::Wrong(Wrong::StatusLine), "{other}");
        }
    }

    #[test]
    fn line_ends_and_folds_are_put_right() {
        assert_eq!(
            tidied("HTTP/1.1 200 OK\nA: b\n\t c\r\n  \nD: e\n\n"),
            "HTTP/1.1 200 OK\r\nA: b c \r\nD: e\r\n\r\n"
        );
        let strict = head("A: b\r\n");
        assert_eq!(tidied(&strict), strict);
        // A blank in front of everything is not folded into what was there.
        assert_eq!(tidied(" a\n"), " a\r\n");
    }

    #[test]
    fn status_lines() {
        let line = |text: &str| {
            let text = format!("{text}\r\n\r\n");
            parse(text.as_bytes(), Asked::Other)
                .map(|reply| (reply.minor, reply.status, reply.reason.to_vec()))
        };
        assert_eq!(line("HTTP/1.1 200 OK"), Ok((1, 200, b"OK".to_vec())));
        assert_eq!(line("HTTP/1.0 404"), Ok((0, 404, vec![])));
        assert_eq!(line("HTTP/1.1 999 "), Ok((1, 999, vec![])));
        assert_eq!(
            line("HTTP/1.1 404 Not \u{e9} Found "),
            Ok((1, 404, "Not \u{e9} Found".as_bytes().to_vec()))
        );
        for bad in [
            "",
            "HTTP/1.1",
            "HTTP/1.1 ",
            "HTTP/1.1 20",
            "HTTP/1.1 2000",
            "HTTP/1.1 099 x",
            "HTTP/1.1 20x",
            "HTTP/1.1  200 OK",
            "HTTP/1.1\t200 OK",
            "HTTP/1.1 200 O\rK",
            "HTTP/1.1 200 O\0K",
            "HTTP/1.2 200 OK",
            "HTTP/2.0 200 OK",
            " HTTP/1.1 200 OK",
            "ICY 200 OK",
        ] {
            assert_eq!(line(bad), Err(Wrong::StatusLine), "{bad:?}");
        }
    }

    #[test]
    fn lengths() {
        let keep = |length| Ok((Framing::Length(length), false));
        assert_eq!(framing("Content-Length: 5\r\n"), keep(5));
        assert_eq!(
            framing("content-length: 5, 5\r\nContent-Length:5\r\n"),
            keep(5)
        );
        assert_eq!(
            framing("Content-Length: 9223372036854775807\r\n"),
            keep(i64::MAX as u64)
        );
        for bad in [
            "",
            "x",
            "-1",
            "+1",
            "2.0",
            "0x2",
            "5, 6",
            "5,",
            "9223372036854775808",
            "1 1",
        ] {
            assert_eq!(
                framing(&format!("Content-Length: {bad}\r\n")),
                Err(Wrong::Length),
                "{bad}"
            );
        }
        assert_eq!(
            framing("Content-Length: 1\r\nContent-Length: 2\r\n"),
            Err(Wrong::Length)
        );
        assert_eq!(framing("A: b\r\n"), Ok((Framing::Close, true)));
    }

    #[test]
    fn codings() {
        let chunked = |close| Ok((Framing::Chunked, close));
        assert_eq!(framing("Transfer-Encoding: Chunked\r\n"), chunked(false));
        assert_eq!(
            framing("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"),
            chunked(true)
        );
        assert_eq!(
            read(
                "HTTP/1.0 200\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
                Asked::Other
            ),
            chunked(true)
        );
        assert_eq!(
            framing("Transfer-Encoding:\r\n"),
            Ok((Framing::Close, true))
        );
        for bad in [
            "gzip",
            "gzip, chunked",
            "chunked, gzip",
            "chunked, chunked",
            "xchunked",
        ] {
            assert_eq!(
                framing(&format!("Transfer-Encoding: {bad}\r\n")),
                Err(Wrong::Coding),
                "{bad}"
            );
        }
    }

    #[test]
    fn responses_without_a_body() {
        let none = Ok((Framing::Length(0), false));
        for status in [100, 101, 103, 199, 204, 304] {
            let text = format!("HTTP/1.1 {status} x\r\nContent-Length: 7\r\n\r\n");
            assert_eq!(read(&text, Asked::Other), none, "{status}");
        }
        let text = head("Transfer-Encoding: chunked\r\n");
        assert_eq!(read(&text, Asked::by(b"HEAD")), none);
        assert_eq!(read(&text, Asked::by(b"CONNECT")), none);
        assert_eq!(
            read(&text, Asked::by(b"GET")),
            Ok((Framing::Chunked, false))
        );
        let refused = "HTTP/1.1 407 x\r\nContent-Length: 7\r\n\r\n";
        assert_eq!(
            read(refused, Asked::Connect),
            Ok((Framing::Length(7), false))
        );
    }

    #[test]
    fn ends_of_connections() {
        let close = |text: &str| {
            let text = format!("{text}\r\nContent-Length: 0\r\n\r\n");
            read(&text, Asked::Other).unwrap().1
        };
        assert!(!close("HTTP/1.1 200"));
        assert!(close("HTTP/1.1 200\r\nConnection: x, Close"));
        assert!(close("HTTP/1.1 200\r\nConnection: keep-alive, close"));
        assert!(close("HTTP/1.0 200"));
        assert!(!close("HTTP/1.0 200\r\nConnection: Keep-Alive"));
    }

    #[test]
    fn bad_fields() {
        for bad in [
            "A\r\n",
            ": b\r\n",
            "A : b\r\n",
            "A: b\rc\r\n",
            "A: \0\r\n",
            " A: b\r\n",
        ] {
            assert_eq!(framing(bad), Err(Wrong::Header), "{bad:?}");
        }
        assert_eq!(
            read("HTTP/1.1 200 OK\r\n", Asked::Other),
            Err(Wrong::Header)
        );
    }
}
