//! Request heads (RFC 9112): what one says, and the status to refuse it with.
//! Strict where leniency would let two parties see different requests: line ends,
//! lengths, transfer codings, header syntax.

use super::body::Framing;
use super::fields::{has_token, number};

/// Most header lines any server accepts, whatever its options say.
pub const HEADERS: usize = 100;

/// A request head; every slice points into the buffer it was read from.
#[derive(Debug)]
pub struct Request<'b> {
    pub method: &'b [u8],
    pub target: &'b [u8],
    /// 0 or 1: nothing but HTTP/1.0 and 1.1 gets this far.
    pub minor: u8,
    pub framing: Framing,
    /// The peer wants this to be the last request of the connection.
    pub close: bool,
    /// The peer waits for a go-ahead before it sends the body.
    pub expects_continue: bool,
}

type Slots<'b> = [httparse::Header<'b>; HEADERS];

/// Room for the header lines of one head.
pub fn slots<'b>() -> Slots<'b> {
    [httparse::EMPTY_HEADER; HEADERS]
}

/// Read a complete head; `Err` is the status to refuse it with.
pub fn parse<'b, 's>(
    head: &'b [u8],
    slots: &'s mut Slots<'b>,
) -> Result<(Request<'b>, &'s [httparse::Header<'b>]), u16> {
    let end = head.iter().position(|&byte| byte == b'\n').unwrap_or(0);
    let (line, fields) = head.split_at_checked(end).ok_or(400u16)?;
    let (method, target, minor) = request_line(line.strip_suffix(b"\r").ok_or(400u16)?)?;
    let headers: &'s [httparse::Header<'b>] =
        match httparse::parse_headers(fields.get(1..).unwrap_or(b""), slots) {
            Ok(httparse::Status::Complete((_, headers))) => headers,
            Err(httparse::Error::TooManyHeaders) => return Err(431),
            _ => return Err(400),
        };

    let mut request = Request {
        method,
        target,
        minor,
        framing: Framing::Length(0),
        close: minor == 0,
        expects_continue: false,
    };
    let (mut lengths, mut codings, mut hosts) = (0, 0, 0);
    for header in headers {
        // The length of the name alone rules nearly every header out.
        match header.name.len() {
            4 if header.name.eq_ignore_ascii_case("host") => hosts += 1,
            6 if header.name.eq_ignore_ascii_case("expect") => {
                if !header.value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(417);
                }
                request.expects_continue = minor > 0;
            }
            10 if header.name.eq_ignore_ascii_case("connection") => {
                request.close |= has_token(header.value, b"close")
                    || header.value.eq_ignore_ascii_case(b"upgrade");
            }
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                lengths += 1;
                request.framing = Framing::Length(number(header.value).ok_or(400u16)?);
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                codings += 1;
                if !header.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(501);
                }
            }
            _ => {}
        }
    }
    if hosts > 1 || lengths + codings > 1 || (codings > 0 && minor == 0) {
        return Err(400);
    }
    if codings > 0 {
        request.framing = Framing::Chunked;
    }
    request.expects_continue &= request.framing != Framing::Length(0);
    Ok((request, headers))
}

/// Method, target and minor version; one or more spaces lie between them.
fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], u8), u16> {
    let mut words = line
        .split(|&byte| byte == b' ')
        .filter(|word| !word.is_empty());
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(400);
    };
    let printable = |byte: &u8| *byte > b' ' && *byte != 0x7f;
    if !line.ends_with(version)
        || !method.iter().all(u8::is_ascii_uppercase)
        || !target.iter().all(printable)
    {
        return Err(400);
    }
    let numbers = version.strip_prefix(b"HTTP/").ok_or(400u16)?;
    match numbers {
        b"1.1" => Ok((method, target, 1)),
        b"1.0" => Ok((method, target, 0)),
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
        let mut room = slots();
        parse(head.as_bytes(), &mut room).expect_err(head)
    }

    fn framing(headers: &str) -> Framing {
        let head = format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n");
        let mut room = slots();
        let (request, _) = parse(head.as_bytes(), &mut room).expect(headers);
        request.framing
    }

    fn closes(head: &str) -> bool {
        let mut room = slots();
        let (request, _) = parse(head.as_bytes(), &mut room).expect(head);
        request.close
    }

    #[test]
    fn plain_request() {
        let head = b"GET /a?b=c HTTP/1.1\r\nHost:1.2.3.4:80\r\nX-Empty:\r\nAccept:  a b \t\r\n\r\n";
        let mut room = slots();
        let (request, headers) = parse(head, &mut room).unwrap();
        assert_eq!(
            (request.method, request.target, request.minor),
            (&b"GET"[..], &b"/a?b=c"[..], 1)
        );
        assert_eq!(request.framing, Framing::Length(0));
        assert!(!request.close && !request.expects_continue);
        let values: Vec<_> = headers
            .iter()
            .map(|header| (header.name, header.value))
            .collect();
        assert_eq!(
            values,
            [
                ("Host", &b"1.2.3.4:80"[..]),
                ("X-Empty", b""),
                ("Accept", b"a b")
            ]
        );
    }

    #[test]
    fn request_lines() {
        for (line, status) in [
            ("GET /", 400),
            ("get / HTTP/1.1", 400),
            ("G-T / HTTP/1.1", 400),
            ("GET / HTTP/1.1 ", 400),
            ("GET / HTTP/1.1 x", 400),
            ("GET  HTTP/1.1", 400),
            ("GET / http/1.1", 400),
            ("GET / HTTP/1.", 400),
            ("GET / HTTP/x.1", 400),
            ("GET /\x01 HTTP/1.1", 400),
            ("GET / HTTP/2.0", 505),
            ("GET / HTTP/0.9", 505),
            ("GET / HTTP/1.2", 505),
            ("GET / HTTP/1.99999999999999999999", 505),
            ("GET / HTTP/11", 505),
        ] {
            assert_eq!(refusal(&format!("{line}\r\n\r\n")), status, "{line}");
        }
        let mut room = slots();
        assert_eq!(
            parse(b"GET  /  HTTP/1.0\r\n\r\n", &mut room)
                .unwrap()
                .0
                .minor,
            0
        );
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
                refusal(&format!("GET / HTTP/1.1\r\n{line}\r\n\r\n")),
                400,
                "{line}"
            );
        }
        let many = "a: b\r\n".repeat(HEADERS + 1);
        assert_eq!(refusal(&format!("GET / HTTP/1.1\r\n{many}\r\n")), 431);
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
            ("Transfer-Encoding: chunked, identity", 501),
            ("Host: a\r\nHost: b", 400),
            ("Expect: something", 417),
        ] {
            assert_eq!(
                refusal(&format!("POST / HTTP/1.1\r\n{headers}\r\n\r\n")),
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
    fn connection_tokens() {
        assert!(closes(
            "GET / HTTP/1.1\r\nConnection: keep-alive, Close\r\n\r\n"
        ));
        assert!(closes("GET / HTTP/1.1\r\nConnection: UPGRADE\r\n\r\n"));
        assert!(!closes(
            "GET / HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\n\r\n"
        ));
        assert!(!closes("GET / HTTP/1.1\r\nConnection: closed\r\n\r\n"));
    }

    #[test]
    fn go_ahead_only_for_a_body() {
        let mut room = slots();
        let head = b"PUT / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n";
        assert!(parse(head, &mut room).unwrap().0.expects_continue);
        let mut room = slots();
        assert!(
            !parse(b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n", &mut room)
                .unwrap()
                .0
                .expects_continue
        );
    }

    #[test]
    fn hostile_bytes_are_only_refused() {
        let head =
            b"POST /x?y HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n";
        for end in 0..head.len() {
            let mut room = slots();
            assert!(parse(&head[..end], &mut room).is_err());
        }
        for at in 0..head.len() {
            for byte in 0..=255 {
                let mut bytes = head.to_vec();
                bytes[at] = byte;
                let mut room = slots();
                let _ = parse(&bytes, &mut room);
            }
        }
    }
}
