//! Response heads and body framing (RFC 9112): written once into the caller's
//! buffer, with no header or status text that could break a line, and never with
//! body bytes where the protocol allows none.

use super::conditional::hex;
use super::date;
use super::head::has_token;
use super::status;

/// Headers every response gets unless the handler removed or replaced them.
const DEFAULTS: [&str; 3] = ["server", "date", "keep-alive"];
const SERVER: &[u8] = concat!("Server: Lua-eco/", env!("CARGO_PKG_VERSION"), "\r\n").as_bytes();

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

/// Text that would break the line it stands in, or a header name that is none.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed;

/// One response: head under construction, then the state of its body.
pub struct Response {
    pub code: i64,
    reason: Option<Box<[u8]>>,
    /// Finished lines, `Name: value CR LF` each.
    headers: Vec<u8>,
    /// Bit per entry of `DEFAULTS` that is not to be added.
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
            reason: None,
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
        let mut headers = std::mem::take(&mut self.headers);
        headers.clear();
        *self = Response {
            headers,
            ..Response::default()
        };
    }

    /// Give the memory of an idle connection back.
    pub fn release(&mut self) {
        *self = Response::default();
    }

    /// The reason text the handler chose.
    pub fn reason(&self) -> Option<&[u8]> {
        self.reason.as_deref()
    }

    /// Replace the reason text.
    pub fn set_reason(&mut self, reason: &[u8]) -> Result<(), Malformed> {
        check(reason)?;
        self.reason = Some(reason.into());
        Ok(())
    }

    /// Name (in wire form) and value of every header the handler set.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers
            .split(|&byte| byte == b'\n')
            .filter_map(|line| {
                let line = line.strip_suffix(b"\r")?;
                let colon = line.iter().position(|&byte| byte == b':')?;
                Some((line.get(..colon)?, line.get(colon + 2..)?))
            })
    }

    /// Value of a header the handler set.
    pub fn header(&self, name: &[u8]) -> Option<&[u8]> {
        self.headers()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Take a header out, or keep a default one from being added.
    pub fn remove(&mut self, name: &[u8]) {
        for (bit, default) in DEFAULTS.iter().enumerate() {
            if default.as_bytes().eq_ignore_ascii_case(name) {
                self.replaced |= 1 << bit;
            }
        }
        let mut start = 0;
        while let Some(line) = self
            .headers
            .get(start..)
            .and_then(|rest| rest.split_inclusive(|&byte| byte == b'\n').next())
        {
            let end = start + line.len();
            if line.get(name.len()) == Some(&b':')
                && line
                    .get(..name.len())
                    .is_some_and(|known| known.eq_ignore_ascii_case(name))
            {
                self.headers.drain(start..end);
                return;
            }
            start = end;
        }
    }

    /// Set a header, in place of one of the same name.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        if name.is_empty() || !name.iter().all(token) {
            return Err(Malformed);
        }
        check(value)?;
        self.remove(name);
        if name.eq_ignore_ascii_case(b"etag") {
            self.headers.extend_from_slice(b"ETag");
        } else {
            let mut previous = b'-';
            for &byte in name {
                self.headers.push(if previous == b'-' {
                    byte.to_ascii_uppercase()
                } else {
                    byte.to_ascii_lowercase()
                });
                previous = byte;
            }
        }
        self.headers.extend_from_slice(b": ");
        self.headers.extend_from_slice(value);
        self.headers.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Set a header to a number.
    pub fn set_number(&mut self, name: &[u8], value: u64) {
        let mut digits = Vec::with_capacity(20);
        decimal(value, &mut digits);
        // Digits are always a sound value.
        let _ = self.set(name, &digits);
    }

    /// Write the head, deciding how the body is framed.
    pub fn build(&mut self, context: &Context, out: &mut Vec<u8>) {
        if self.built {
            return;
        }
        self.built = true;
        let code = self.code;
        self.bodyless = (100..200).contains(&code) || code == 204 || code == 304;

        let coding = self
            .header(b"transfer-encoding")
            .map(|value| value.eq_ignore_ascii_case(b"chunked"));
        if coding.is_some() && (self.bodyless || context.minor == 0) {
            self.remove(b"transfer-encoding");
        } else {
            self.chunked = coding == Some(true);
            if coding.is_some() {
                // A length beside a coding means different bodies to different peers.
                self.remove(b"content-length");
            }
        }
        let length = self
            .header(b"content-length")
            .map(|value| value.trim_ascii());
        let has_length = length.is_some();
        self.owed = length.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let connection = self.header(b"connection");
        let has_connection = connection.is_some();
        self.close = context.close || connection.is_some_and(|value| has_token(value, b"close"));

        out.extend_from_slice(if context.minor == 0 {
            b"HTTP/1.0 "
        } else {
            b"HTTP/1.1 "
        });
        decimal(code.unsigned_abs(), out);
        match &self.reason {
            Some(reason) => {
                out.push(b' ');
                out.extend_from_slice(reason);
            }
            None => status::write_reason(code, out),
        }
        out.extend_from_slice(b"\r\n");
        if self.replaced & 1 == 0 {
            out.extend_from_slice(SERVER);
        }
        if self.replaced & 2 == 0 {
            out.extend_from_slice(b"Date: ");
            out.extend_from_slice(context.date);
            out.extend_from_slice(b"\r\n");
        }

        if self.bodyless {
            if !has_length && code != 101 {
                out.extend_from_slice(b"Content-Length: 0\r\n");
            }
        } else if coding.is_none() && !has_length {
            if context.minor == 0 {
                self.close = true;
            } else {
                self.chunked = true;
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            }
        } else if !self.chunked && !has_length {
            // A coding we do not know, or none for HTTP/1.0: only the end of the
            // connection ends the body.
            self.close = true;
        }
        if code != 101 {
            if self.close {
                if !has_connection {
                    out.extend_from_slice(b"Connection: close\r\n");
                }
            } else if self.replaced & 4 == 0 {
                out.extend_from_slice(b"Keep-Alive: timeout=");
                decimal(u64::from(context.keepalive), out);
                out.extend_from_slice(b"\r\n");
            }
        }
        out.extend_from_slice(&self.headers);
        out.extend_from_slice(b"\r\n");

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
            hex(length, out);
            out.extend_from_slice(b"\r\n");
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
            out.extend_from_slice(b"\r\n");
        }
    }

    /// End the body. The connection must end too when less was sent than announced.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.chunked {
            out.extend_from_slice(b"0\r\n\r\n");
        }
        if self.owed.is_some_and(|owed| owed > 0) {
            self.close = true;
        }
    }
}

fn check(text: &[u8]) -> Result<(), Malformed> {
    match text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        true => Err(Malformed),
        false => Ok(()),
    }
}

/// Append a number in decimal.
pub fn decimal(number: u64, out: &mut Vec<u8>) {
    let start = out.len();
    let mut rest = number;
    loop {
        out.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
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
        response.set_number(b"content-length", 0);
        assert_eq!(response.header(b"x-foo-bar"), Some(&b"2"[..]));
        assert_eq!(response.headers().count(), 4);
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
        assert_eq!(response.headers().count(), 0);
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
            response.set_number(b"content-length", 4);
            written(&mut response, &context(), &[sent]);
            assert_eq!(response.close, close, "{sent}");
        }
        let mut response = Response::default();
        response.set_number(b"content-length", 4);
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
