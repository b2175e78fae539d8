//! multipart/form-data (RFC 7578) as a pull parser: each call looks at the bytes at
//! hand and gives one event, holding back what may turn out to be a boundary.

/// Longest boundary the standard allows.
const BOUNDARY: usize = 70;
/// Longest part header, and the most body bytes in one event.
pub const PIECE: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    AfterBoundary,
    Header,
    Content,
    End,
}

/// What the bytes at hand amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'i> {
    /// Nothing can be said without more bytes.
    More,
    /// Name as sent, value without leading spaces.
    Header(&'i [u8], &'i [u8]),
    /// Content, and whether the part ends with it.
    Body(&'i [u8], bool),
    End,
    Failed(&'static str),
}

/// Position inside one form.
pub struct Multipart {
    /// CR LF, two hyphens, the boundary.
    delimiter: Vec<u8>,
    state: State,
}

impl Multipart {
    /// `None` unless the content type is a form with a usable boundary.
    pub fn new(content_type: &[u8]) -> Option<Multipart> {
        let boundary = boundary(content_type)?;
        let mut delimiter = Vec::with_capacity(boundary.len() + 4);
        delimiter.extend_from_slice(b"\r\n--");
        delimiter.extend_from_slice(boundary);
        Some(Multipart {
            delimiter,
            state: State::Opening,
        })
    }

    /// The form is over; bytes that follow belong to nobody.
    pub fn finished(&self) -> bool {
        self.state == State::End
    }

    /// The next event in `input`, and how many bytes of it are used up.
    pub fn next<'i>(&mut self, input: &'i [u8]) -> (usize, Event<'i>) {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or(b"");
            match self.state {
                State::End => return (used, Event::End),
                State::Content => {
                    let (count, event) = self.content(rest);
                    return (used + count, event);
                }
                State::AfterBoundary => {
                    self.state = match rest {
                        [b'\r', b'\n', ..] => State::Header,
                        [b'-', b'-', ..] => State::End,
                        b"" | b"\r" | b"-" => return (used, Event::More),
                        _ => return (used, Event::Failed("bad request")),
                    };
                    used += 2;
                }
                State::Opening | State::Header => {
                    let Some(end) = rest.iter().take(PIECE).position(|&byte| byte == b'\n') else {
                        let event = if rest.len() < PIECE {
                            Event::More
                        } else {
                            Event::Failed("bad request")
                        };
                        return (used, event);
                    };
                    let line = rest.get(..end).unwrap_or(b"");
                    let line = line.strip_suffix(b"\r").unwrap_or(line);
                    used += end + 1;
                    if self.state == State::Opening {
                        match line.strip_prefix(self.delimiter.get(2..).unwrap_or(b"")) {
                            Some(b"") => self.state = State::Header,
                            Some(b"--") => self.state = State::End,
                            _ => return (used, Event::Failed("bad request")),
                        }
                    } else if line.is_empty() {
                        self.state = State::Content;
                    } else {
                        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(0);
                        let event = match (line.get(..colon), line.get(colon + 1..)) {
                            (Some(name), Some(value)) if colon > 0 => {
                                Event::Header(name.trim_ascii_end(), value.trim_ascii_start())
                            }
                            _ => Event::Failed("invalid http header"),
                        };
                        return (used, event);
                    }
                }
            }
        }
    }

    fn content<'i>(&mut self, rest: &'i [u8]) -> (usize, Event<'i>) {
        let window = rest.get(..PIECE + self.delimiter.len()).unwrap_or(rest);
        let mut from = 0;
        while let Some(at) = window
            .get(from..)
            .and_then(|tail| tail.iter().position(|&byte| byte == b'\r'))
        {
            let (data, tail) = window.split_at_checked(from + at).unwrap_or((window, b""));
            if tail.starts_with(&self.delimiter) {
                self.state = State::AfterBoundary;
                return (data.len() + self.delimiter.len(), Event::Body(data, true));
            }
            if self.delimiter.starts_with(tail) {
                return match data {
                    b"" => (0, Event::More),
                    _ => (data.len(), Event::Body(data, false)),
                };
            }
            from += at + 1;
        }
        match window {
            b"" => (0, Event::More),
            _ => (window.len(), Event::Body(window, false)),
        }
    }
}

/// The boundary of a `multipart/form-data` content type.
fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let mut parameters = content_type.split(|&byte| byte == b';');
    if !parameters
        .next()?
        .trim_ascii()
        .eq_ignore_ascii_case(b"multipart/form-data")
    {
        return None;
    }
    let value = parameters.find_map(|parameter| {
        let (name, value) = parameter.trim_ascii().split_at_checked(9)?;
        name.eq_ignore_ascii_case(b"boundary=").then_some(value)
    })?;
    let value = match value.strip_prefix(b"\"") {
        Some(quoted) => quoted.strip_suffix(b"\"")?,
        None => value,
    };
    let fits = (1..=BOUNDARY).contains(&value.len())
        && value.iter().all(|byte| (b' '..=b'~').contains(byte));
    fits.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &[u8] = b"multipart/form-data; boundary=X-y";
    const FORM: &[u8] = b"--X-y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n--X-y\r\nName:  v\r\nB : c\r\n\r\ntwo\r\n--X-\r\n\r\n--X-y\r\n\r\n\r\n--X-y--\r\nepilogue";

    /// Events as text, bodies joined, from input that comes in pieces.
    fn events(input: &[u8], piece: usize) -> Vec<String> {
        let mut form = Multipart::new(TYPE).unwrap();
        let (mut buffer, mut events, mut body) = (Vec::new(), Vec::new(), Vec::new());
        for part in input.chunks(piece) {
            buffer.extend_from_slice(part);
            loop {
                let (used, event) = form.next(&buffer);
                match event {
                    Event::More => {
                        buffer.drain(..used);
                        break;
                    }
                    Event::Header(name, value) => {
                        events.push(format!(
                            "{}={}",
                            String::from_utf8_lossy(name),
                            String::from_utf8_lossy(value)
                        ));
                    }
                    Event::Body(data, done) => {
                        body.extend_from_slice(data);
                        if done {
                            events.push(String::from_utf8_lossy(&body).into_owned());
                            body.clear();
                        }
                    }
                    Event::End => {
                        events.push("END".into());
                        return events;
                    }
                    Event::Failed(why) => {
                        events.push(why.into());
                        return events;
                    }
                }
                buffer.drain(..used);
            }
        }
        events
    }

    #[test]
    fn whole_form_in_any_pieces() {
        for piece in 1..=FORM.len() {
            assert_eq!(
                events(FORM, piece),
                [
                    "Content-Disposition=form-data; name=\"a\"",
                    "one",
                    "Name=v",
                    "B=c",
                    "two\r\n--X-\r\n",
                    "",
                    "END"
                ],
                "{piece}"
            );
        }
        assert_eq!(events(b"--X-y--\r\n", 3), ["END"]);
    }

    #[test]
    fn truncations_never_end() {
        let complete = FORM.len() - b"\r\nepilogue".len();
        for end in 0..complete {
            assert!(
                !events(&FORM[..end], 5).contains(&"END".to_string()),
                "{end}"
            );
        }
    }

    #[test]
    fn failures() {
        assert_eq!(events(b"preamble\r\n--X-y\r\n", 99), ["bad request"]);
        assert_eq!(
            events(b"--X-y\r\nnocolon\r\n\r\n", 99),
            ["invalid http header"]
        );
        assert_eq!(events(b"--X-y\r\n: v\r\n\r\n", 99), ["invalid http header"]);
        assert_eq!(
            events(b"--X-y\r\n\r\nabc\r\n--X-yz", 99),
            ["abc", "bad request"]
        );
        let long = [&b"--X-y\r\n"[..], &b"a".repeat(PIECE)].concat();
        assert_eq!(events(&long, 99), ["bad request"]);
    }

    #[test]
    fn long_bodies_come_in_pieces() {
        let mut form = Multipart::new(TYPE).unwrap();
        let input = [&b"--X-y\r\n\r\n"[..], &b"a\r".repeat(5000)].concat();
        let (_, event) = form.next(&input);
        match event {
            Event::Body(data, false) => assert!(data.len() <= PIECE + 10),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn content_types() {
        for (text, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            (
                "Multipart/Form-Data ; charset=x; BOUNDARY=\"a b\"",
                Some("a b"),
            ),
            ("multipart/form-data;boundary=abc;x=y", Some("abc")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"", None),
            ("multipart/mixed; boundary=abc", None),
            ("", None),
        ] {
            assert_eq!(
                boundary(text.as_bytes()),
                expected.map(str::as_bytes),
                "{text}"
            );
        }
        let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
        assert_eq!(boundary(long.as_bytes()), None);
    }
}
