//! multipart/form-data (RFC 2046, 7578) as a pull parser: each call looks at the
//! bytes at hand and gives one event, holding back what may turn out to be a
//! boundary.

use super::percent;
use super::text::{position, put};

/// Longest boundary the standard allows.
const BOUNDARY: usize = 70;
/// Longest part header, and the most body bytes in one event.
pub const PIECE: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the very beginning: there may be no line end before the first boundary.
    Opening,
    Preamble,
    AfterBoundary,
    /// Blanks between a boundary and its line end.
    Padding,
    Header,
    /// Behind the empty line: the boundary may follow at once.
    Begin,
    Content,
    End,
}

/// What the bytes at hand amount to.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'i> {
    /// Nothing can be said without more bytes.
    More,
    /// Name as sent, value without blanks around it; line ends of a folded one
    /// are still in it.
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
        let mut delimiter = b"\r\n--".to_vec();
        boundary(content_type, &mut delimiter)?;
        Some(Multipart {
            delimiter,
            state: State::Opening,
        })
    }

    /// The next event in `input`, and how many bytes of it are used up.
    pub fn next<'i>(&mut self, input: &'i [u8]) -> (usize, Event<'i>) {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or(b"");
            let opening = self.delimiter.get(2..).unwrap_or(b"");
            match self.state {
                State::End => return (used, Event::End),
                State::Content | State::Preamble => {
                    let (count, found) = self.content(rest);
                    let data = rest.get(..count).unwrap_or(b"");
                    used += count;
                    if found {
                        used += self.delimiter.len();
                    }
                    if self.state == State::Content {
                        if found {
                            self.state = State::AfterBoundary;
                        } else if count == 0 {
                            return (used, Event::More);
                        }
                        return (used, Event::Body(data, found));
                    }
                    if !found && count == 0 {
                        return (used, Event::More);
                    }
                    if found {
                        self.state = State::AfterBoundary;
                    }
                }
                State::Opening | State::Begin => {
                    let begin = self.state == State::Begin;
                    if rest.starts_with(opening) {
                        used += opening.len();
                        self.state = State::AfterBoundary;
                        if begin {
                            return (used, Event::Body(b"", true));
                        }
                    } else if opening.starts_with(rest) {
                        return (used, Event::More);
                    } else {
                        self.state = match begin {
                            true => State::Content,
                            false => State::Preamble,
                        };
                    }
                }
                State::AfterBoundary | State::Padding => {
                    let after = self.state == State::AfterBoundary;
                    match rest {
                        [b'\r', b'\n', ..] => {
                            used += 2;
                            self.state = State::Header;
                        }
                        [b'-', b'-', ..] if after => {
                            used += 2;
                            self.state = State::End;
                        }
                        [b' ' | b'\t', ..] => {
                            used += 1;
                            self.state = State::Padding;
                        }
                        b"" | b"\r" => return (used, Event::More),
                        b"-" if after => return (used, Event::More),
                        _ => return (used, Event::Failed("bad request")),
                    }
                }
                State::Header => {
                    if rest.starts_with(opening) {
                        // Headers only, and not even the empty line.
                        used += opening.len();
                        self.state = State::AfterBoundary;
                        return (used, Event::Body(b"", true));
                    }
                    let (line, length) = match folded(rest) {
                        Ok(Some(found)) => found,
                        Ok(None) => return (used, Event::More),
                        Err(why) => return (used, Event::Failed(why)),
                    };
                    used += length;
                    if line.is_empty() {
                        self.state = State::Begin;
                        continue;
                    }
                    let colon = line.iter().position(|&byte| byte == b':').unwrap_or(0);
                    let event = match (line.get(..colon), line.get(colon + 1..)) {
                        (Some(name), Some(value)) if colon > 0 => {
                            Event::Header(name.trim_ascii(), value.trim_ascii())
                        }
                        _ => Event::Failed("invalid http header"),
                    };
                    return (used, event);
                }
            }
        }
    }

    /// How many bytes are content for sure, and whether a boundary follows them.
    fn content(&self, rest: &[u8]) -> (usize, bool) {
        let window = rest.get(..PIECE + self.delimiter.len()).unwrap_or(rest);
        let mut from = 0;
        while let Some(at) = window.get(from..).and_then(|tail| position(tail, b'\r')) {
            let at = from + at;
            let tail = window.get(at..).unwrap_or(b"");
            if tail.starts_with(&self.delimiter) {
                return (at, true);
            }
            if self.delimiter.starts_with(tail) {
                return (at, false);
            }
            from = at + 1;
        }
        (window.len(), false)
    }
}

/// The header line at the start with the lines it is folded into, without its
/// end, and the length with it; None when its end is not certain yet.
fn folded(rest: &[u8]) -> Result<Option<(&[u8], usize)>, &'static str> {
    let mut from = 0;
    loop {
        let window = rest.get(from..PIECE.min(rest.len())).unwrap_or(b"");
        let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
            return match rest.len() < PIECE {
                true => Ok(None),
                false => Err("bad request"),
            };
        };
        let end = from + end;
        let line = rest.get(..end).unwrap_or(b"");
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match rest.get(end + 1) {
            Some(b' ' | b'\t') if !line.is_empty() => from = end + 1,
            None if !line.is_empty() => return Ok(None),
            _ => return Ok(Some((line, end + 1))),
        }
    }
}

/// Appends the boundary of a `multipart/form-data` content type.
fn boundary(content_type: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut parameters = Parameters(content_type);
    if !parameters
        .next()?
        .eq_ignore_ascii_case(b"multipart/form-data")
    {
        return None;
    }
    let value = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_at_checked(9)?;
        name.eq_ignore_ascii_case(b"boundary=").then_some(value)
    })?;
    let start = out.len();
    unquote(value, out)?;
    let boundary = out.get(start..)?;
    let fits = (1..=BOUNDARY).contains(&boundary.len())
        && boundary.iter().all(|&byte| byte >= b' ' && byte != 0x7f);
    fits.then_some(())
}

/// What stands between the semicolons of a field value, outside of quotes.
struct Parameters<'a>(&'a [u8]);

impl<'a> Iterator for Parameters<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (mut quoted, mut escaped) = (false, false);
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.iter().position(|&byte| {
            if std::mem::take(&mut escaped) {
                return false;
            }
            match byte {
                b'"' => quoted = !quoted,
                b'\\' => escaped = quoted,
                b';' => return !quoted,
                _ => {}
            }
            false
        });
        let end = end.unwrap_or(self.0.len());
        let (parameter, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(1..).unwrap_or(b"");
        Some(parameter.trim_ascii())
    }
}

/// Appends a value without its quotes, if it has any; None when they do not end.
fn unquote(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let Some(mut rest) = value.strip_prefix(b"\"") else {
        put(out, value);
        return Some(());
    };
    loop {
        rest = match rest {
            b"\"" => return Some(()),
            [b'"', ..] => return None,
            [b'\\', byte, tail @ ..] | [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
            [] => return None,
        };
    }
}

/// Appends a `content-disposition` with the `filename*` in it (RFC 8187) decoded
/// to a plain `filename`, in place of one. False, and nothing appended, when it
/// has none that can be decoded. Quotes and control characters of the name are
/// written as browsers do: `%22`, `%0D`.
pub fn decode_filename(disposition: &[u8], out: &mut Vec<u8>) -> bool {
    let value = |parameter: &'_ [u8], wanted: &[u8]| {
        let name = parameter.get(..wanted.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(wanted))
    };
    let extended = b"filename*=";
    let Some((latin, encoded)) = Parameters(disposition)
        .filter(|parameter| value(parameter, extended))
        .find_map(|parameter| charset(parameter.get(extended.len()..)?))
    else {
        return false;
    };
    for (at, parameter) in Parameters(disposition).enumerate() {
        if !value(parameter, extended) && !value(parameter, b"filename=") {
            put(out, if at > 0 { b"; " } else { b"" });
            put(out, parameter);
        }
    }
    put(out, b"; filename=\"");
    let mut decoded = Vec::new();
    percent::unescape(encoded, &mut decoded);
    for byte in decoded {
        match byte {
            b'"' | 0..=31 | 127 => percent::put_byte(byte, out),
            128.. if latin => put(out, &[0xc0 | byte >> 6, 0x80 | byte & 63]),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
    true
}

/// Whether an extended value is Latin-1, and what is encoded in it; None for
/// character sets other than that and UTF-8.
fn charset(value: &[u8]) -> Option<(bool, &[u8])> {
    let mut parts = value.splitn(3, |&byte| byte == b'\'');
    let (set, _, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    if set.eq_ignore_ascii_case(b"utf-8") {
        Some((false, encoded))
    } else {
        set.eq_ignore_ascii_case(b"iso-8859-1")
            .then_some((true, encoded))
    }
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

    fn check(input: &str, expected: &[&str]) {
        for piece in 1..=input.len() {
            assert_eq!(
                events(input.as_bytes(), piece),
                expected,
                "{input:?} {piece}"
            );
        }
    }

    #[test]
    fn what_rfc_2046_allows() {
        let body = "--X-y\r\nA: b\r\n\r\nc\r\n--X-y--\r\n";
        let plain: &[&str] = &["A=b", "c", "END"];
        check(body, plain);
        check(&format!("preamble\r\n--X-\r\n\r\n{body}"), plain);
        check(&format!("\r\n{body}epilogue\r\n--X-y\r\n"), plain);
        check("--X-y \t \r\nA: b\r\n\r\nc\r\n--X-y--  \r\n", plain);
        check("--X-y\r\n\r\n--X-y--", &["", "END"]);
        check("--X-y\r\nA: b\r\n\r\n--X-y--", &["A=b", "", "END"]);
        check("--X-y\r\nA: b\r\n--X-y--", &["A=b", "", "END"]);
        check("--X-y\r\n--X-y\r\n\r\nc\r\n--X-y--", &["", "c", "END"]);
        check(
            "--X-y\r\nA: b;\r\n  c=d\r\n\te\r\n\r\n\r\n--X-y--",
            &["A=b;\r\n  c=d\r\n\te", "", "END"],
        );
        check(
            "--X-y\r\n\r\na\r\r\n--X-\r\n--X-y--",
            &["a\r\r\n--X-", "END"],
        );
    }

    #[test]
    fn failures() {
        check("--X-y\r\nnocolon\r\n\r\n", &["invalid http header"]);
        check("--X-y\r\n: v\r\n\r\n", &["invalid http header"]);
        check("--X-y\r\n\r\nabc\r\n--X-yz", &["abc", "bad request"]);
        check("--X-yz\r\n", &["bad request"]);
        check("--X-y -- \r\n", &["bad request"]);
        let long = [&b"--X-y\r\n"[..], &b"a".repeat(PIECE)].concat();
        assert_eq!(events(&long, 99), ["bad request"]);
        let folds = [&b"--X-y\r\nA: b\r\n"[..], &b" a\r\n".repeat(PIECE)].concat();
        assert_eq!(events(&folds, 99), ["bad request"]);
    }

    fn decoded(disposition: &str) -> Option<String> {
        let mut out = Vec::new();
        decode_filename(disposition.as_bytes(), &mut out)
            .then(|| String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn extended_names_are_decoded() {
        for (value, expected) in [
            (
                "form-data; name=\"f\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC",
                Some("form-data; name=\"f\"; filename=\"na\u{ef}ve \u{20ac}\""),
            ),
            (
                "form-data; FileName*=iso-8859-1'en'%A3%E9; filename=\"plain; x\"; name=a",
                Some("form-data; name=a; filename=\"\u{a3}\u{e9}\""),
            ),
            (
                "form-data; filename*=utf-8''a%22b%0D%0Ac%00",
                Some("form-data; filename=\"a%22b%0d%0ac%00\""),
            ),
            ("form-data; filename*=koi8-r''a", None),
            ("form-data; filename*=utf-8'a", None),
            ("form-data; name=\"; filename*=utf-8''a\"", None),
            ("form-data; filename=\"a\"", None),
            ("", None),
        ] {
            assert_eq!(decoded(value).as_deref(), expected, "{value}");
            for end in 0..value.len() {
                decoded(&value[..end]);
            }
        }
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

    fn found(content_type: &str) -> Option<String> {
        let mut out = Vec::new();
        boundary(content_type.as_bytes(), &mut out)?;
        Some(String::from_utf8(out).unwrap())
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
            (
                "multipart/form-data; x=\"a;boundary=b\"; boundary=\"a;b=\\\"c\\\\ '(\"",
                Some("a;b=\"c\\ '("),
            ),
            ("multipart/form-data; boundary=\"a\"b", None),
            ("multipart/form-data; boundary=\"a\\\"", None),
            ("multipart/form-data; boundary=a\tb", None),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"", None),
            ("multipart/mixed; boundary=abc", None),
            ("", None),
        ] {
            assert_eq!(found(text).as_deref(), expected, "{text}");
        }
        let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
        assert_eq!(found(&long), None);
    }
}
