//! Response heads and body framing (RFC 9112): written once into the caller's
//! buffer, with no header or status text that could break a line, and never with
//! body bytes where the protocol allows none.

use super::date;
use super::fields::{check_name, check_value, has_token, number, Malformed};
use super::status;
use super::text::{decimal, put};

/// Headers every response gets unless the handler removed or replaced them: a
/// bit for each in `Response::replaced`.
const SERVER: u8 = 1;
const DATE: u8 = 2;
const KEEP_ALIVE: u8 = 4;
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
    /// Seconds an idle connection is kept.
    pub keepalive: u32,
    pub date: &'a [u8; date::LENGTH],
}

/// One response: head under construction, then the state of its body.
pub struct Response {
    pub code: i64,
    /// The reason text the handler chose; none when empty.
    pub reason: Vec<u8>,
    /// Finished lines, `Name: value CR LF` each.
    pub headers: Vec<u8>,
    /// Default headers that are not to be added.
    replaced: u8,
    /// The head was written; it cannot change any more.
    pub built: bool,
    pub chunked: bool,
    /// Nothing may follow the head.
    bodyless: bool,
    /// The head announces that the connection ends.
    pub close: bool,
    /// Body bytes still owed to a `content-length`.
    owed: Option<u64>,
}

impl Default for Response {
    fn default() -> Self {
        Response {
            code: 200,
            reason: Vec::new(),
            headers: Vec::new(),
            replaced: 0,
            built: false,
            chunked: false,
            bodyless: false,
            close: false,
            owed: None,
        }
    }
}

impl Response {
    /// Ready for the next request; keeps its memory.
    pub fn reset(&mut self) {
        self.code = 200;
        self.reason.clear();
        self.headers.clear();
        self.replaced = 0;
        self.built = false;
        self.chunked = false;
        self.bodyless = false;
        self.close = false;
        self.owed = None;
    }

    /// Replace the reason text.
    pub fn set_reason(&mut self, reason: &[u8]) -> Result<(), Malformed> {
        check_value(reason)?;
        self.reason.clear();
        put(&mut self.reason, reason);
        Ok(())
    }

    /// Where the line of a header is.
    fn find(&self, name: &[u8]) -> Option<(usize, usize)> {
        let mut start = 0;
        for line in self.headers.split_inclusive(|&byte| byte == b'\n') {
            let end = start + line.len();
            let (known, rest) = line.split_at_checked(name.len())?;
            if rest.first() == Some(&b':') && known.eq_ignore_ascii_case(name) {
                return Some((start, end));
            }
            start = end;
        }
        None
    }

    /// Take a header out, or keep a default one from being added.
    pub fn remove(&mut self, name: &[u8]) {
        self.replaced |= match name.len() {
            6 if name.eq_ignore_ascii_case(b"server") => SERVER,
            4 if name.eq_ignore_ascii_case(b"date") => DATE,
            10 if name.eq_ignore_ascii_case(b"keep-alive") => KEEP_ALIVE,
            _ => 0,
        };
        if let Some((start, end)) = self.find(name) {
            self.headers.copy_within(end.., start);
            self.headers.truncate(self.headers.len() - (end - start));
        }
    }

    /// Set a header, in place of one of the same name.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        check_name(name)?;
        check_value(value)?;
        self.remove(name);
        let start = self.headers.len();
        put(&mut self.headers, name);
        let mut previous = b'-';
        for byte in self.headers.iter_mut().skip(start) {
            let upper = previous == b'-';
            previous = *byte;
            *byte = if upper {
                byte.to_ascii_uppercase()
            } else {
                byte.to_ascii_lowercase()
            };
        }
        if name.eq_ignore_ascii_case(b"etag") {
            self.headers.truncate(start);
            put(&mut self.headers, b"ETag");
        }
        put(&mut self.headers, b": ");
        put(&mut self.headers, value);
        put(&mut self.headers, b"\r\n");
        Ok(())
    }

    /// Announce an empty body; there are no headers yet.
    pub fn set_empty(&mut self) {
        put(&mut self.headers, b"Content-Length: 0\r\n");
    }

    /// Write the head, deciding how the body is framed.
    pub fn build(&mut self, context: &Context, out: &mut Vec<u8>) {
        if self.built {
            return;
        }
        self.built = true;
        let code = self.code;
        self.bodyless = (100..200).contains(&code) || code == 204 || code == 304;
        self.close = context.close;

        let (mut coding, mut has_length, mut has_connection) = (None, false, false);
        for line in self.headers.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            // The place of the colon alone rules nearly every header out.
            if let Some(value) = value_of(line, b"Transfer-Encoding") {
                coding = Some(value.eq_ignore_ascii_case(b"chunked"));
            } else if let Some(value) = value_of(line, b"Content-Length") {
                has_length = true;
                self.owed = number(value);
            } else if let Some(value) = value_of(line, b"Connection") {
                has_connection = true;
                self.close |= has_token(value, b"close");
            }
        }
        if coding.is_some() && (self.bodyless || context.minor == 0) {
            self.remove(b"transfer-encoding");
        } else if coding.is_some() {
            self.chunked = coding == Some(true);
            // A length beside a coding means different bodies to different peers.
            self.remove(b"content-length");
            has_length = false;
            self.owed = None;
        }

        put(
            out,
            if context.minor == 0 {
                b"HTTP/1.0 "
            } else {
                b"HTTP/1.1 "
            },
        );
        decimal(code as u32, out);
        if self.reason.is_empty() {
            status::write_reason(code, out);
        } else {
            put(out, b" ");
            put(out, &self.reason);
        }
        put(out, b"\r\n");
        if self.replaced & SERVER == 0 {
            put(out, SERVER_LINE);
        }
        if self.replaced & DATE == 0 {
            put(out, b"Date: ");
            put(out, context.date);
            put(out, b"\r\n");
        }

        if self.bodyless {
            if !has_length && code != 101 {
                put(out, b"Content-Length: 0\r\n");
            }
        } else if !self.chunked && !has_length {
            if coding.is_some() || context.minor == 0 {
                // Only the end of the connection ends such a body.
                self.close = true;
            } else {
                self.chunked = true;
                put(out, b"Transfer-Encoding: chunked\r\n");
            }
        }
        if code != 101 {
            if !self.close {
                if self.replaced & KEEP_ALIVE == 0 {
                    put(out, b"Keep-Alive: timeout=");
                    decimal(context.keepalive, out);
                    put(out, b"\r\n");
                }
            } else if !has_connection {
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
            self.owed = None;
        }
    }

    /// Announce a piece of `length` body bytes: `false` means they must not be
    /// written. `end_piece` follows the bytes.
    pub fn begin_piece(&mut self, length: u64, out: &mut Vec<u8>) -> bool {
        if self.bodyless || length == 0 {
            return false;
        }
        if self.chunked {
            let mut shift = 64;
            let mut leading = true;
            while shift > 0 {
                shift -= 4;
                let digit = (length >> shift) as u8 & 15;
                leading &= digit == 0;
                if !leading {
                    out.push(if digit < 10 {
                        b'0' + digit
                    } else {
                        b'a' - 10 + digit
                    });
                }
            }
            put(out, b"\r\n");
        }
        if let Some(owed) = self.owed {
            self.owed = owed.checked_sub(length);
            // More than was announced can only be followed by the end.
            self.close |= self.owed.is_none();
        }
        true
    }

    /// End a piece.
    pub fn end_piece(&mut self, out: &mut Vec<u8>) {
        if self.chunked {
            put(out, b"\r\n");
        }
    }

    /// End the body. The connection must end too when less was sent than announced.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.chunked {
            put(out, b"0\r\n\r\n");
        }
        if self.owed.is_some_and(|owed| owed > 0) {
            self.close = true;
        }
    }
}

/// Value of a header line in wire form, if that is its name.
fn value_of<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    line.strip_prefix(name)?.strip_prefix(b": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context<'static> {
        Context {
            minor: 1,
            head_only: false,
            close: false,
            keepalive: 30,
            date: b"Thu, 01 Jan 1970 00:00:00 GMT",
        }
    }

    /// The whole response to `pieces`, without its default headers.
    fn written(response: &mut Response, context: &Context, pieces: &[&str]) -> String {
        response.remove(b"server");
        response.remove(b"date");
        let mut out = Vec::new();
        response.build(context, &mut out);
        for piece in pieces {
            if response.begin_piece(piece.len() as u64, &mut out) {
                out.extend_from_slice(piece.as_bytes());
                response.end_piece(&mut out);
            }
        }
        response.finish(&mut out);
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
        response.remove(b"Keep-Alive");
        assert_eq!(
            written(&mut response, &context(), &["hello", "", "0123456789abcdef"]),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
        );
        assert!(!response.close);
    }

    #[test]
    fn headers_replace_each_other() {
        let mut response = Response::default();
        response.set(b"x-FOO-bar", b"1").unwrap();
        response.set(b"etag", b"e").unwrap();
        response.set(b"X-Foo-Bar", b"2").unwrap();
        response.set(b"keep-alive", b"k").unwrap();
        response.set(b"content-length", b"0").unwrap();
        assert_eq!(
            response
                .headers
                .iter()
                .filter(|&&byte| byte == b'\n')
                .count(),
            4
        );
        response.remove(b"x-foo");
        assert_eq!(
            written(&mut response, &context(), &[]),
            "HTTP/1.1 200 OK\r\nETag: e\r\nX-Foo-Bar: 2\r\nKeep-Alive: k\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn lines_cannot_be_broken() {
        let mut response = Response::default();
        for (name, value) in [
            ("a", "b\r\nc: d"),
            ("a", "b\n"),
            ("a", "\0"),
            ("", "b"),
            ("a b", "c"),
            ("a:", "b"),
            ("a\r\n", "b"),
        ] {
            assert_eq!(
                response.set(name.as_bytes(), value.as_bytes()),
                Err(Malformed),
                "{name:?} {value:?}"
            );
        }
        assert_eq!(response.set_reason(b"x\r\ny"), Err(Malformed));
        assert!(response.headers.is_empty());
    }

    #[test]
    fn responses_without_body() {
        for (code, head) in [
            (
                204,
                "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nKeep-Alive: timeout=30\r\n\r\n",
            ),
            (
                304,
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\nKeep-Alive: timeout=30\r\n\r\n",
            ),
            (101, "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        ] {
            let mut response = Response {
                code,
                ..Response::default()
            };
            response.set(b"transfer-encoding", b"chunked").unwrap();
            assert_eq!(written(&mut response, &context(), &["body"]), head);
        }
        let mut response = Response::default();
        assert_eq!(
            written(
                &mut response,
                &Context {
                    head_only: true,
                    ..context()
                },
                &["body"]
            ),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=30\r\n\r\n"
        );
    }

    #[test]
    fn old_clients_get_no_chunks() {
        let old = Context {
            minor: 0,
            close: true,
            ..context()
        };
        assert_eq!(
            written(&mut Response::default(), &old, &["body"]),
            "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nbody"
        );
        let mut response = Response::default();
        response.set(b"transfer-encoding", b"chunked").unwrap();
        assert_eq!(
            written(&mut response, &old, &["body"]),
            "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nbody"
        );
    }

    #[test]
    fn announced_length_is_watched() {
        for (sent, close) in [("body", false), ("bod", true), ("bodyx", true)] {
            let mut response = Response::default();
            response.set(b"content-length", b"4").unwrap();
            written(&mut response, &context(), &[sent]);
            assert_eq!(response.close, close, "{sent}");
        }
        let mut response = Response::default();
        response.set(b"content-length", b"4").unwrap();
        response.set(b"transfer-encoding", b"chunked").unwrap();
        assert!(!written(&mut response, &context(), &["body"]).contains("Content-Length"));
    }

    #[test]
    fn closing() {
        let mut response = Response::default();
        response.set(b"connection", b"keep-alive, Close").unwrap();
        assert!(!written(&mut response, &context(), &[]).contains("Keep-Alive: "));
        assert!(response.close);
        let mut response = Response {
            code: 418,
            ..Response::default()
        };
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
        assert!(!response.built && response.code == 200);
    }
}
