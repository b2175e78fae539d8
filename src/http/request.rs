//! Request heads (RFC 9112): what one says, and the status to refuse it with.
//! Strict where leniency would let two parties see different requests: line ends,
//! lengths, transfer codings, header syntax.

use super::body::Framing;
use super::fields::{check_name, has_token, items, number, Lines, Malformed};
use super::target::{self, Target};
use super::text::position;

/// A request head; every slice points into the buffer it was read from.
#[derive(Debug)]
pub struct Request<'b> {
    pub method: &'b [u8],
    /// The target as it came, and what it names.
    pub raw_target: &'b [u8],
    pub target: Target<'b>,
    /// The field lines, which are known to be well-formed.
    pub fields: Lines<'b>,
    /// 0 or 1: later versions of HTTP/1 are answered as 1.1.
    pub minor: u8,
    pub framing: Framing,
    /// The peer wants this to be the last request of the connection.
    pub close: bool,
    /// The peer waits for a go-ahead before it sends the body.
    pub expects_continue: bool,
}

/// Read a complete head; `Err` is the status to refuse it with.
pub fn parse(head: &[u8]) -> Result<Request<'_>, u16> {
    let end = position(head, b'\n').unwrap_or(0);
    let (line, rest) = head.split_at_checked(end).ok_or(400u16)?;
    let line = line.strip_suffix(b"\r").ok_or(400u16)?;
    let (method, raw_target, minor) = request_line(line)?;
    let target = target::read(method, raw_target).ok_or(400u16)?;
    let fields = Lines(rest.get(1..).unwrap_or(b""));

    let mut request = Request {
        method,
        raw_target,
        target,
        fields,
        minor,
        framing: Framing::Length(0),
        close: minor == 0,
        expects_continue: false,
    };
    let (mut lengths, mut codings, mut hosts) = (0u8, 0u8, 0u8);
    for field in fields {
        let (name, value) = field.map_err(|Malformed| 400u16)?;
        // The length of the name alone rules nearly every header out.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                hosts = hosts.saturating_add(1);
                if !target::is_host(value) {
                    return Err(400);
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(417);
                }
                request.expects_continue = minor > 0;
            }
            10 if name.eq_ignore_ascii_case(b"connection") => {
                request.close |=
                    has_token(value, b"close") || value.eq_ignore_ascii_case(b"upgrade");
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                lengths = lengths.saturating_add(1);
                request.framing = Framing::Length(number(value).ok_or(400u16)?);
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                codings = codings.saturating_add(1);
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(unknown_coding(value));
                }
            }
            _ => {}
        }
    }
    if hosts > 1
        || hosts < minor
        || lengths.saturating_add(codings) > 1
        || (codings > 0 && minor == 0)
    {
        return Err(400);
    }
    if codings > 0 {
        request.framing = Framing::Chunked;
    }
    request.expects_continue &= request.framing != Framing::Length(0);
    Ok(request)
}

/// Codings are unknown here, and chunks anywhere but at the end are a lie.
fn unknown_coding(list: &[u8]) -> u16 {
    let count = items(list).count();
    let early = items(list)
        .take(count.saturating_sub(1))
        .any(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    match early || count == 0 {
        true => 400,
        false => 501,
    }
}

/// The first word and what follows the spaces behind it.
fn word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (word, mut rest) = line.split_at_checked(position(line, b' ')?)?;
    while let [b' ', tail @ ..] = rest {
        rest = tail;
    }
    Some((word, rest))
}

/// Method, target and minor version; one or more spaces lie between them.
fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], u8), u16> {
    let (method, rest) = word(line).ok_or(400u16)?;
    let (target, version) = word(rest).ok_or(400u16)?;
    if check_name(method).is_err() {
        return Err(400);
    }
    let numbers = version.strip_prefix(b"HTTP/").ok_or(400u16)?;
    match numbers {
        b"1.0" => Ok((method, target, 0)),
        [b'1', b'.', b'1'..=b'9'] => Ok((method, target, 1)),
        [b'0'..=b'9', .., b'0'..=b'9']
            if numbers
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'.')) =>
        {
            Err(505)
        }
        _ => Err(400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(head: &str) -> u16 {
        parse(head.as_bytes()).expect_err(head)
    }

    fn framing(headers: &str) -> Framing {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n");
        let request = parse(head.as_bytes()).expect(headers);
        request.framing
    }

    fn closes(head: &str) -> bool {
        let request = parse(head.as_bytes()).expect(head);
        request.close
    }

    #[test]
    fn plain_request() {
        let head = b"GET /a?b=c HTTP/1.1\r\nHost:1.2.3.4:80\r\nX-Empty:\r\nAccept:  a b \t\r\n\r\n";
        let request = parse(head).unwrap();
        assert_eq!(
            (request.method, request.raw_target, request.minor),
            (&b"GET"[..], &b"/a?b=c"[..], 1)
        );
        assert_eq!(request.framing, Framing::Length(0));
        assert!(!request.close && !request.expects_continue);
        let values: Vec<_> = request.fields.map(Result::unwrap).collect();
        assert_eq!(
            values,
            [
                (&b"Host"[..], &b"1.2.3.4:80"[..]),
                (b"X-Empty", b""),
                (b"Accept", b"a b")
            ]
        );
    }

    #[test]
    fn request_lines() {
        for (line, status) in [
            ("GET /", 400),
            ("G{T / HTTP/1.1", 400),
            ("GET a HTTP/1.1", 400),
            ("GET * HTTP/1.1", 400),
            ("GET http:/a HTTP/1.1", 400),
            ("CONNECT a:80 HTTP/1.1", 400),
            ("GET / HTTP/1.1 ", 400),
            ("GET / HTTP/1.1 x", 400),
            ("GET  HTTP/1.1", 400),
            ("GET / http/1.1", 400),
            ("GET / HTTP/1.", 400),
            ("GET / HTTP/x.1", 400),
            ("GET /\x01 HTTP/1.1", 400),
            ("GET / HTTP/2.0", 505),
            ("GET / HTTP/0.9", 505),
            ("GET / HTTP/1.10", 505),
            ("GET / HTTP/1.99999999999999999999", 505),
            ("GET / HTTP/11", 505),
        ] {
            assert_eq!(refusal(&format!("{line}\r\n\r\n")), status, "{line}");
        }
        // Later versions of HTTP/1 are spoken to as 1.1 (RFC 9110, 2.5).
        for (version, minor) in [("1.0", 0), ("1.1", 1), ("1.2", 1), ("1.9", 1)] {
            let head = format!("g{{t-!  /  HTTP/{version}\r\nHost: a\r\n\r\n").replace('{', "");
            let request = parse(head.as_bytes()).unwrap();
            assert_eq!((request.minor, request.method), (minor, &b"gt-!"[..]));
        }
        assert_eq!(parse(b"GET  /  HTTP/1.0\r\n\r\n").unwrap().minor, 0);
        assert!(closes("GET / HTTP/1.0\r\n\r\n"));
    }

    #[test]
    fn header_syntax() {
        for line in [
            "no colon",
            ": empty",
            "Foo Bar: x",
            "Foo : x",
            " folded: x",
            "a: b\r\n c",
            "a: b\rc",
            "a: \0",
            "a\u{e9}: b",
        ] {
            assert_eq!(
                refusal(&format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n")),
                400,
                "{line}"
            );
        }
    }

    #[test]
    fn body_framing() {
        assert_eq!(framing("Content-Length: 5"), Framing::Length(5));
        assert_eq!(
            framing("content-length: 9223372036854775807"),
            Framing::Length(i64::MAX as u64)
        );
        assert_eq!(framing("Transfer-Encoding: Chunked"), Framing::Chunked);
        for (headers, status) in [
            ("Content-Length: 5\r\nContent-Length: 5", 400),
            ("Content-Length: 5\r\nContent-Length: 6", 400),
            ("Content-Length: 5, 5", 400),
            ("Content-Length: +5", 400),
            ("Content-Length: -5", 400),
            ("Content-Length: 0x5", 400),
            ("Content-Length:", 400),
            ("Content-Length: 9223372036854775808", 400),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                400,
            ),
            ("Transfer-Encoding: gzip, chunked", 501),
            ("Transfer-Encoding: identity", 501),
            ("Transfer-Encoding: chunked, identity", 400),
            ("Transfer-Encoding: chunked, gzip", 400),
            ("Transfer-Encoding: chunked, chunked", 400),
            ("Transfer-Encoding:", 400),
            ("Host: b", 400),
            ("Expect: something", 417),
        ] {
            assert_eq!(
                refusal(&format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n")),
                status,
                "{headers}"
            );
        }
        assert_eq!(
            refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            400
        );
    }

    #[test]
    fn hosts() {
        let answer = |text: &str| parse(text.as_bytes()).err();
        for (head, status) in [
            ("GET / HTTP/1.1\r\n\r\n", Some(400)),
            ("GET / HTTP/1.0\r\n\r\n", None),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", None),
            ("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", None),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Some(400)),
            ("GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", Some(400)),
            ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", Some(400)),
            ("GET http://a/ HTTP/1.1\r\n\r\n", Some(400)),
            ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", None),
        ] {
            assert_eq!(answer(head), status, "{head}");
        }
    }

    #[test]
    fn connection_tokens() {
        assert!(closes(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Close\r\n\r\n"
        ));
        assert!(closes(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: UPGRADE\r\n\r\n"
        ));
        assert!(!closes(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\r\n"
        ));
        assert!(!closes(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n"
        ));
    }

    #[test]
    fn go_ahead_only_for_a_body() {
        let head =
            b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n";
        assert!(parse(head).unwrap().expects_continue);
        assert!(
            !parse(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n")
                .unwrap()
                .expects_continue
        );
    }

    #[test]
    fn hostile_bytes_are_only_refused() {
        let head =
            b"POST /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n";
        for end in 0..head.len() {
            assert!(parse(&head[..end]).is_err());
        }
        for at in 0..head.len() {
            for byte in 0..=255 {
                let mut bytes = head.to_vec();
                bytes[at] = byte;
                let _ = parse(&bytes);
            }
        }
    }
}
