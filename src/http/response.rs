//! Response heads and body framing (RFC 9110, 9112): written once into the caller's
//! buffer, with no header or status text that could break a line, never with body
//! bytes where the protocol allows none, and with one truth about their number.

use super::date;
use super::fields::{check_name, check_value, find, has_token, items, number, Malformed};
use super::status;
use super::text::{put, put_number};

const SERVER_LINE: &[u8] =
    concat!("Server: Lua-eco/", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes();

/// What the head depends on besides the handler's wishes.
pub struct Context<'a> {
    /// Minor version of the request, echoed.
    pub minor: u8,
    /// The request was HEAD.
    pub head_only: bool,
    /// The connection ends after this response, whatever the handler says.
    pub close: bool,
    pub prepared: &'a Prepared,
}

/// What many heads have in common, made once.
pub struct Prepared {
    /// `Server` and `Date`, behind the status line of a 200.
    opening: Vec<u8>,
    /// The line that says how long an idle connection is kept.
    keepalive: Vec<u8>,
    second: i64,
}

/// The status line that most responses have.
const USUAL: &[u8] = b"HTTP/1.1 200 OK\r\n";

impl Prepared {
    /// For connections that are kept that many seconds.
    pub fn new(keepalive: u32) -> Prepared {
        let mut line = b"Keep-Alive: timeout=".to_vec();
        put_number(&mut line, keepalive.into());
        put(&mut line, b"\r\n");
        Prepared {
            opening: Vec::new(),
            keepalive: line,
            second: -1,
        }
    }

    /// Tell the time, in seconds since 1970.
    pub fn refresh(&mut self, now: i64) {
        if self.second != now {
            self.second = now;
            self.opening.clear();
            for text in [USUAL, SERVER_LINE, b"Date: ", &date::format(now), b"\r\n"] {
                put(&mut self.opening, text);
            }
        }
    }

    /// The line of the date.
    fn date(&self) -> &[u8] {
        self.opening
            .get(USUAL.len() + SERVER_LINE.len()..)
            .unwrap_or(b"")
    }
}

/// Fields that mean something to the server itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Server = 1,
    Date = 2,
    KeepAlive = 4,
    Connection = 8,
    TransferEncoding,
    ContentLength,
    Etag,
    Other,
}

impl Known {
    fn of(name: &[u8]) -> Known {
        let (known, meaning): (&[u8], _) = match name.len() {
            4 if name.first().is_some_and(|first| first | 32 == b'd') => (b"date", Known::Date),
            4 => (b"etag", Known::Etag),
            6 => (b"server", Known::Server),
            10 if name.first().is_some_and(|first| first | 32 == b'k') => {
                (b"keep-alive", Known::KeepAlive)
            }
            10 => (b"connection", Known::Connection),
            14 => (b"content-length", Known::ContentLength),
            17 => (b"transfer-encoding", Known::TransferEncoding),
            _ => return Known::Other,
        };
        if name.eq_ignore_ascii_case(known) {
            meaning
        } else {
            Known::Other
        }
    }
}

/// How the handler wants the body coded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    None,
    /// In chunks, at last.
    Chunked,
    /// Otherwise: the end of the connection ends it.
    Other,
}

/// A body is longer than the announcement that is on its way already.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

/// One response: head under construction, then the state of its body.
pub struct Response {
    pub code: u16,
    /// The reason text the handler chose; none when empty.
    pub reason: Vec<u8>,
    /// Finished lines, `Name: value CR LF` each; all but the length.
    pub headers: Vec<u8>,
    /// Default headers that are not to be added: bits of `Known`.
    replaced: u8,
    coding: Coding,
    /// The length that the handler announced.
    pub length: Option<u64>,
    /// The head was written; it cannot change any more.
    pub built: bool,
    pub chunked: bool,
    /// Nothing may follow the head.
    bodyless: bool,
    /// The connection ends after this response.
    pub close: bool,
    /// Where the digits of the announced length are in the buffer.
    digits: (usize, usize),
    /// Body bytes so far.
    moved: u64,
}

impl Default for Response {
    fn default() -> Self {
        Response {
            code: 200,
            reason: Vec::new(),
            headers: Vec::new(),
            replaced: 0,
            coding: Coding::None,
            length: None,
            built: false,
            chunked: false,
            bodyless: false,
            close: false,
            digits: (0, 0),
            moved: 0,
        }
    }
}

impl Response {
    /// Ready for the next request; keeps its memory.
    pub fn reset(&mut self) {
        self.reason.clear();
        self.headers.clear();
        *self = Response {
            reason: std::mem::take(&mut self.reason),
            headers: std::mem::take(&mut self.headers),
            ..Response::default()
        };
    }

    /// Whether a handler gave no answer yet: headers alone are none.
    pub fn is_open(&self) -> bool {
        !self.built && self.code == 200 && self.reason.is_empty()
    }

    /// Replace the reason text.
    pub fn set_reason(&mut self, reason: &[u8]) -> Result<(), Malformed> {
        check_value(reason)?;
        self.reason.clear();
        put(&mut self.reason, reason);
        Ok(())
    }

    /// Take a header out, or keep a default one from being added.
    pub fn remove(&mut self, name: &[u8]) {
        self.forget(name, Known::of(name));
    }

    fn forget(&mut self, name: &[u8], known: Known) {
        match known {
            Known::ContentLength => self.length = None,
            Known::TransferEncoding => self.coding = Coding::None,
            // What the connection does is said again where it must be.
            Known::Connection => {
                self.replaced &= !(Known::Connection as u8);
            }
            Known::Etag | Known::Other => {}
            known => self.replaced |= known as u8,
        }
        if let Some(line) = find(&self.headers, name) {
            let length = line.len();
            self.headers.copy_within(line.end.., line.start);
            self.headers.truncate(self.headers.len() - length);
        }
    }

    /// Set a header, in place of one of the same name.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        check_name(name)?;
        check_value(value)?;
        let value = value.trim_ascii();
        let known = Known::of(name);
        match known {
            Known::ContentLength => {
                // A count that went through a float is a count all the same.
                let digits = value.strip_suffix(b".0").unwrap_or(value);
                self.length = Some(number(digits).ok_or(Malformed)?);
                return Ok(());
            }
            Known::TransferEncoding => {
                let inner = items(value).count().saturating_sub(1);
                if items(value)
                    .take(inner)
                    .any(|coding| coding.eq_ignore_ascii_case(b"chunked"))
                {
                    return Err(Malformed);
                }
            }
            _ => {}
        }
        self.forget(name, known);
        match known {
            Known::TransferEncoding => {
                self.coding = match has_token(value, b"chunked") {
                    true => Coding::Chunked,
                    false => Coding::Other,
                };
            }
            Known::Connection if has_token(value, b"close") => {
                self.replaced |= Known::Connection as u8;
            }
            _ => {}
        }
        self.write(known, name, value);
        Ok(())
    }

    /// Append a line, the name in its customary letter case.
    fn write(&mut self, known: Known, name: &[u8], value: &[u8]) {
        let start = self.headers.len();
        let mut first = true;
        self.headers.extend(name.iter().map(|byte| {
            let byte = match first {
                true => byte.to_ascii_uppercase(),
                false => byte.to_ascii_lowercase(),
            };
            first = byte == b'-';
            byte
        }));
        if let (Known::Etag, Some(second)) = (known, self.headers.get_mut(start + 1)) {
            *second = b'T';
        }
        put(&mut self.headers, b": ");
        put(&mut self.headers, value);
        put(&mut self.headers, b"\r\n");
    }

    /// Write the head, deciding how the body is framed.
    pub fn build(&mut self, context: &Context, out: &mut Vec<u8>) {
        if self.built {
            return;
        }
        self.built = true;
        let code = self.code;
        // A final answer among 1xx leaves a client waiting for another one.
        let interim = code < 200 && code != 101;
        self.bodyless = code < 200 || matches!(code, 204 | 205 | 304);
        self.close = context.close || interim || self.replaced & Known::Connection as u8 != 0;

        if self.coding != Coding::None {
            if self.bodyless || context.minor == 0 {
                let length = self.length;
                self.remove(b"transfer-encoding");
                self.length = length;
            } else {
                // A length beside a coding means different bodies to different peers.
                self.length = None;
            }
        }
        match code {
            205 => self.length = Some(0),
            304 => {}
            _ if self.bodyless => self.length = None,
            _ => {}
        }

        let prepared = context.prepared;
        let defaults = Known::Server as u8 | Known::Date as u8;
        let usual = code == 200 && context.minor > 0 && self.reason.is_empty();
        if usual && self.replaced & defaults == 0 {
            put(out, &prepared.opening);
        } else {
            self.open(context, out);
        }

        if let Some(length) = self.length {
            put(out, b"Content-Length: ");
            let start = out.len();
            put_number(out, length);
            self.digits = (start, out.len());
            put(out, b"\r\n");
        } else if !self.bodyless {
            self.chunked = self.coding == Coding::Chunked;
            if self.coding == Coding::None && context.minor > 0 {
                self.chunked = true;
                put(out, b"Transfer-Encoding: chunked\r\n");
            }
            // Only the end of the connection ends such a body.
            self.close |= !self.chunked;
        }
        if code != 101 {
            if !self.close {
                if self.replaced & Known::KeepAlive as u8 == 0 {
                    put(out, &prepared.keepalive);
                }
            } else if self.replaced & Known::Connection as u8 == 0 {
                put(out, b"Connection: close\r\n");
            }
        }
        put(out, &self.headers);
        put(out, b"\r\n");

        if context.head_only {
            self.bodyless = true;
        }
        if self.bodyless {
            self.chunked = false;
        }
    }

    /// Write the status line, server and date.
    fn open(&self, context: &Context, out: &mut Vec<u8>) {
        put(
            out,
            if context.minor == 0 {
                b"HTTP/1.0 "
            } else {
                b"HTTP/1.1 "
            },
        );
        put_number(out, self.code.into());
        if self.reason.is_empty() {
            status::write_reason(self.code, out);
        } else {
            put(out, b" ");
            put(out, &self.reason);
        }
        put(out, b"\r\n");
        if self.replaced & Known::Server as u8 == 0 {
            put(out, SERVER_LINE);
        }
        if self.replaced & Known::Date as u8 == 0 {
            put(out, context.prepared.date());
        }
    }

    /// Announce a piece of `length` body bytes: `false` means they must not be
    /// written. `end_piece` follows the bytes. `sent` tells that the head may
    /// have left: then its length binds.
    pub fn begin_piece(
        &mut self,
        length: u64,
        sent: bool,
        out: &mut Vec<u8>,
    ) -> Result<bool, TooLong> {
        if self.bodyless || length == 0 {
            return Ok(false);
        }
        let before = self.moved;
        self.moved = before.saturating_add(length);
        if sent {
            if let Err(error) = self.check_length() {
                self.moved = before;
                return Err(error);
            }
        }
        if self.chunked {
            super::text::put_hex(out, length);
            put(out, b"\r\n");
        }
        Ok(true)
    }

    /// End a piece.
    pub fn end_piece(&mut self, out: &mut Vec<u8>) {
        if self.chunked {
            put(out, b"\r\n");
        }
    }

    /// Refuse a body that is longer than announced, while that can be said.
    pub fn check_length(&self) -> Result<(), TooLong> {
        match self.length {
            Some(length) if !self.bodyless && self.moved > length => Err(TooLong),
            _ => Ok(()),
        }
    }

    /// End the body. An announced length that is not what came is corrected in
    /// the buffer, or the connection must end when the head was `sent`.
    pub fn finish(&mut self, sent: bool, out: &mut Vec<u8>) {
        if self.chunked {
            put(out, b"0\r\n\r\n");
        }
        if self.bodyless || self.length.is_none_or(|length| length == self.moved) {
            return;
        }
        self.close |= sent;
        if !sent {
            let (start, end) = self.digits;
            let tail = out.get(end..).unwrap_or(b"").to_vec();
            out.truncate(start);
            put_number(out, self.moved);
            put(out, &tail);
            self.length = Some(self.moved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context<'static> {
        static PREPARED: std::sync::LazyLock<Prepared> = std::sync::LazyLock::new(|| {
            let mut prepared = Prepared::new(30);
            prepared.refresh(0);
            prepared
        });
        Context {
            minor: 1,
            head_only: false,
            close: false,
            prepared: &PREPARED,
        }
    }

    fn with(fields: &[(&str, &str)]) -> Response {
        let mut response = Response::default();
        for (name, value) in fields {
            response.set(name.as_bytes(), value.as_bytes()).unwrap();
        }
        response
    }

    /// The whole response to `pieces`, without its default headers.
    fn written(response: &mut Response, context: &Context, pieces: &[&str]) -> String {
        response.remove(b"server");
        response.remove(b"date");
        response.remove(b"keep-alive");
        let mut out = Vec::new();
        response.build(context, &mut out);
        for piece in pieces {
            if response
                .begin_piece(piece.len() as u64, false, &mut out)
                .unwrap()
            {
                out.extend_from_slice(piece.as_bytes());
                response.end_piece(&mut out);
            }
        }
        response.finish(false, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn default_headers() {
        let mut out = Vec::new();
        Response::default().build(&context(), &mut out);
        let expected = format!(
            "HTTP/1.1 200 OK\r\nServer: Lua-eco/{}\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=30\r\n\r\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn chunked_by_default() {
        let mut response = Response::default();
        assert_eq!(
            written(&mut response, &context(), &["hello", "", "0123456789abcdef"]),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
        );
        assert!(!response.close);
    }

    #[test]
    fn headers_replace_each_other() {
        let mut response = with(&[
            ("x-FOO-bar", "1"),
            ("etag", "e"),
            ("X-Foo-Bar", " 2\t"),
            ("content-length", "5"),
            ("Content-LENGTH", "0"),
        ]);
        response.remove(b"x-foo");
        assert_eq!(
            written(&mut response, &context(), &[]),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: e\r\nX-Foo-Bar: 2\r\n\r\n"
        );
        let mut response = with(&[("a", "1"), ("content-length", "5"), ("connection", "close")]);
        for name in ["a", "Content-Length", "connection"] {
            response.remove(name.as_bytes());
        }
        assert!(written(&mut response, &context(), &["x"])
            .ends_with("chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"));
        assert!(!response.close);
    }

    /// A short line before it must not hide a field: two lengths would go out, or
    /// one beside chunks.
    #[test]
    fn one_framing_whatever_stands_before() {
        let fields = [
            ("x-id", "7"),
            ("content-length", "100"),
            ("content-length", "2"),
        ];
        let text = written(&mut with(&fields), &context(), &["ab"]);
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Id: 7\r\n\r\nab"
        );
        let fields = [
            ("x-id", "7"),
            ("content-length", "2"),
            ("transfer-encoding", "chunked"),
        ];
        let text = written(&mut with(&fields), &context(), &["ab"]);
        assert_eq!(
            text,
            "HTTP/1.1 200 OK\r\nX-Id: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
        );
    }

    #[test]
    fn lines_cannot_be_broken() {
        let mut response = Response::default();
        for (name, value) in [
            ("a", "b\r\nc: d"),
            ("a", "b\n"),
            ("a", "\0"),
            ("a", "b\u{b}c"),
            ("a", "b\u{c}c"),
            ("a", "b\u{7f}c"),
            ("", "b"),
            ("a b", "c"),
            ("a:", "b"),
            ("a\r\n", "b"),
            ("content-length", ""),
            ("content-length", "x"),
            ("content-length", "-1"),
            ("content-length", "1.5"),
            ("content-length", "1, 1"),
            ("content-length", "9223372036854775808"),
            ("transfer-encoding", "chunked, gzip"),
            ("transfer-encoding", "chunked, chunked"),
        ] {
            let result = response.set(name.as_bytes(), value.as_bytes());
            assert_eq!(result, Err(Malformed), "{name:?} {value:?}");
        }
        assert_eq!(response.set_reason(b"x\r\ny"), Err(Malformed));
        assert!(response.headers.is_empty() && response.length.is_none());
        response.set(b"content-length", b"5.0").unwrap();
        assert_eq!(response.length, Some(5));
    }

    #[test]
    fn responses_without_body() {
        for (code, line) in [
            (204, "204 No Content\r\n"),
            (205, "205 Reset Content\r\nContent-Length: 0\r\n"),
            (304, "304 Not Modified\r\n"),
            (101, "101 Switching Protocols\r\n"),
            (102, "102 Processing\r\nConnection: close\r\n"),
        ] {
            let mut response = with(&[("transfer-encoding", "chunked")]);
            response.code = code;
            assert_eq!(
                written(&mut response, &context(), &["body"]),
                format!("HTTP/1.1 {line}\r\n")
            );
        }
        for (code, length) in [(204, None), (304, Some(7)), (101, None), (205, Some(0))] {
            let mut response = with(&[("content-length", "7")]);
            response.code = code;
            let text = written(&mut response, &context(), &["body"]);
            let line = length.map(|length| format!("Content-Length: {length}\r\n"));
            assert_eq!(text.contains("Content-Length"), line.is_some(), "{code}");
            assert!(line.is_none_or(|line| text.contains(&line)), "{code}");
            assert!(!response.close);
        }
        let head = Context {
            head_only: true,
            ..context()
        };
        assert_eq!(
            written(&mut Response::default(), &head, &["body"]),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let mut response = with(&[("content-length", "7")]);
        assert_eq!(
            written(&mut response, &head, &["body"]),
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
        );
        assert!(!response.close);
    }

    #[test]
    fn old_clients_get_no_chunks() {
        let old = Context {
            minor: 0,
            close: true,
            ..context()
        };
        for fields in [
            &[][..],
            &[("transfer-encoding", "chunked")],
            &[("transfer-encoding", "gzip, chunked")],
        ] {
            assert_eq!(
                written(&mut with(fields), &old, &["body"]),
                "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nbody"
            );
        }
    }

    #[test]
    fn other_codings_end_with_the_connection() {
        let mut response = with(&[("transfer-encoding", "gzip")]);
        assert!(written(&mut response, &context(), &["x"]).ends_with("\r\n\r\nx"));
        assert!(response.close);
        let mut response = with(&[("transfer-encoding", "gzip, Chunked")]);
        assert!(written(&mut response, &context(), &["x"]).ends_with("\r\n\r\n1\r\nx\r\n0\r\n\r\n"));
        assert!(!response.close);
    }

    #[test]
    fn announced_length_is_the_truth() {
        // While nothing was sent, it is corrected.
        for (announced, body) in [
            ("4", "body"),
            ("4", "bod"),
            ("4", "body and more"),
            ("100", ""),
        ] {
            let mut response = with(&[("content-length", announced), ("a", "b")]);
            let text = written(&mut response, &context(), &[body]);
            let expected = format!("Content-Length: {}\r\nA: b\r\n\r\n{body}", body.len());
            assert!(text.ends_with(&expected), "{text}");
            assert!(!response.close);
        }
        // Afterwards, more is refused, and less ends the connection.
        for (sent, more, close) in [(4, 0, false), (3, 1, false), (3, 0, true), (0, 0, true)] {
            let mut response = with(&[("content-length", "4")]);
            let mut out = Vec::new();
            response.build(&context(), &mut out);
            assert_eq!(response.begin_piece(sent, true, &mut out), Ok(sent > 0));
            assert_eq!(response.begin_piece(9, true, &mut out), Err(TooLong));
            assert_eq!(response.begin_piece(more, true, &mut out), Ok(more > 0));
            response.finish(true, &mut out);
            assert_eq!(response.close, close);
        }
        let mut response = with(&[("content-length", "1")]);
        let mut out = Vec::new();
        response.build(&context(), &mut out);
        assert_eq!(response.check_length(), Ok(()));
        assert_eq!(response.begin_piece(2, false, &mut out), Ok(true));
        assert_eq!(response.check_length(), Err(TooLong));
    }

    #[test]
    fn closing() {
        let mut response = with(&[("connection", "keep-alive, Close")]);
        let text = written(&mut response, &context(), &[]);
        assert!(!text.contains("Connection: close") && response.close);
        for fields in [&[][..], &[("connection", "keep-alive")]] {
            let mut response = with(fields);
            response.code = 418;
            let text = written(
                &mut response,
                &Context {
                    close: true,
                    ..context()
                },
                &[],
            );
            assert!(text.starts_with("HTTP/1.1 418\r\n") && text.contains("Connection: close\r\n"));
            response.reset();
            assert!(response.is_open() && response.headers.is_empty() && !response.close);
        }
    }
}
