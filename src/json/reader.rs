//! Reads JSON text and tells a builder what it finds, in order.

use super::{POWERS, WIDE};

/// What text that is no JSON is about: `Expected … but found …`, or what else
/// is wrong with what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What should stand there; None where that alone is not the matter.
    pub expected: Option<&'static str>,
    /// What stands there.
    pub found: &'static str,
    /// Where: an offset into the text.
    pub at: usize,
}

/// A number of the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number<'a> {
    /// An integer that 64 bits hold.
    Integer(i64),
    /// Another one whose nearest float is known at once: perhaps none is.
    Float(f64),
    /// Any other; its text fits the grammar.
    Text(&'a [u8]),
    /// One that JSON does not know, if the settings allow it: hexadecimal,
    /// with a plus sign or leading zeros. Not known to be right.
    Odd(&'a [u8]),
}

/// A string of the text, quotes removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// What stands between the quotes.
    pub raw: &'a [u8],
    /// Whether escapes are in it.
    pub escaped: bool,
}

/// The container that a value is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// None: it is the whole text.
    Top,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// What becomes of the text.
///
/// Every value is told by one call between `begin_…` and `leave` of its
/// container; in objects `key` comes before it. An `Err` ends the reading.
pub trait Builder {
    /// `null`, `true` or `false`.
    fn literal(&mut self, value: Option<bool>);
    /// A number; false if it is none after all.
    fn number(&mut self, value: Number<'_>) -> bool;
    /// A string. An error is an offset into its raw bytes.
    fn string(&mut self, text: Text<'_>) -> Result<(), usize>;
    /// The key of the next value. An error is an offset into its raw bytes.
    fn key(&mut self, text: Text<'_>) -> Result<(), usize>;
    /// An array begins; false if it lies too deep.
    fn begin_array(&mut self) -> bool;
    /// An object begins; false if it lies too deep.
    fn begin_object(&mut self) -> bool;
    /// The innermost container ends. Tells what it is in.
    fn leave(&mut self) -> Place;
}

/// Reads all of `text`. With `odd_numbers`, numbers that JSON does not know
/// are numbers: `NaN`, `Infinity`, and those of [`Number::Odd`].
pub fn read(text: &[u8], odd_numbers: bool, builder: &mut impl Builder) -> Result<(), Problem> {
    let mut reader = Reader {
        text,
        at: 0,
        odd_numbers,
    };
    let mut place = Place::Top;
    loop {
        // A value.
        reader.skip_blanks();
        match reader.peek() {
            b'{' => {
                if !builder.begin_object() {
                    return Err(reader.problem(None, TOO_DEEP));
                }
                reader.at += 1;
                reader.skip_blanks();
                if reader.peek() == b'}' {
                    reader.at += 1;
                    place = builder.leave();
                } else {
                    place = Place::Object;
                    reader.key(builder, "object key string or object end")?;
                    continue;
                }
            }
            b'[' => {
                if !builder.begin_array() {
                    return Err(reader.problem(None, TOO_DEEP));
                }
                reader.at += 1;
                reader.skip_blanks();
                if reader.peek() == b']' {
                    reader.at += 1;
                    place = builder.leave();
                } else {
                    place = Place::Array;
                    continue;
                }
            }
            b'"' => {
                let at = reader.at + 1;
                let text = reader.string("value")?;
                builder
                    .string(text)
                    .map_err(|offset| escape_problem(at + offset))?;
            }
            _ => reader.scalar(builder)?,
        }
        // What follows it.
        loop {
            reader.skip_blanks();
            match (place, reader.peek()) {
                (Place::Top, _) if reader.at == text.len() => return Ok(()),
                (Place::Top, _) => return Err(reader.unexpected("the end")),
                (Place::Array, b',') => {
                    reader.at += 1;
                    break;
                }
                (Place::Object, b',') => {
                    reader.at += 1;
                    reader.skip_blanks();
                    reader.key(builder, "object key string")?;
                    break;
                }
                (Place::Array, b']') | (Place::Object, b'}') => {
                    reader.at += 1;
                    place = builder.leave();
                }
                (Place::Array, _) => return Err(reader.unexpected("comma or array end")),
                (Place::Object, _) => return Err(reader.unexpected("comma or object end")),
            }
        }
    }
}

/// What is wrong with a container that a builder refuses.
pub const TOO_DEEP: &str = "too many nested data structures";

fn escape_problem(at: usize) -> Problem {
    Problem {
        expected: None,
        found: "invalid escape code",
        at,
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    odd_numbers: bool,
}

impl<'a> Reader<'a> {
    /// The next byte; NUL, which begins nothing, at the end.
    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    #[cold]
    fn problem(&self, expected: Option<&'static str>, found: &'static str) -> Problem {
        Problem {
            expected,
            found,
            at: self.at,
        }
    }

    /// The next token is not the one expected.
    #[cold]
    fn unexpected(&self, expected: &'static str) -> Problem {
        let found = match self.peek() {
            _ if self.at >= self.text.len() => "the end",
            b'{' => "object begin",
            b'}' => "object end",
            b'[' => "array begin",
            b']' => "array end",
            b',' => "comma",
            b':' => "colon",
            b'"' => "string",
            b'0'..=b'9' | b'-' => "number",
            _ => "invalid token",
        };
        self.problem(Some(expected), found)
    }

    /// Reads a key with its colon.
    fn key(&mut self, builder: &mut impl Builder, expected: &'static str) -> Result<(), Problem> {
        let at = self.at + 1;
        let text = self.string(expected)?;
        builder
            .key(text)
            .map_err(|offset| escape_problem(at + offset))?;
        self.skip_blanks();
        if self.peek() != b':' {
            return Err(self.unexpected("colon"));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads a string with its quotes.
    fn string(&mut self, expected: &'static str) -> Result<Text<'a>, Problem> {
        if self.peek() != b'"' {
            return Err(self.unexpected(expected));
        }
        let text = self.text.get(self.at + 1..).unwrap_or_default();
        let mut escaped = false;
        let mut length = 0;
        loop {
            length += plain_length::<false>(text.get(length..).unwrap_or_default());
            match text.get(length) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    length += 2;
                }
                found => {
                    self.at = (self.at + 1 + length).min(self.text.len());
                    let found = match found {
                        Some(_) => "control character in a string",
                        None => "unterminated string",
                    };
                    return Err(self.problem(Some(expected), found));
                }
            }
        }
        self.at += length + 2;
        Ok(Text {
            raw: &text[..length],
            escaped,
        })
    }

    /// Reads a literal or a number.
    fn scalar(&mut self, builder: &mut impl Builder) -> Result<(), Problem> {
        let rest = self.rest();
        if self.peek() > b'9' {
            for (word, value) in LITERALS {
                if rest.starts_with(word) {
                    self.at += word.len();
                    builder.literal(value);
                    return Ok(());
                }
            }
        }
        let (number, length) = match number(rest) {
            // `0x10` and `01` are more than a zero.
            Some((_, length))
                if rest[length - 1] == b'0' && self.odd_numbers && odd_length(rest) > length =>
            {
                odd_number(rest)
            }
            Some(found) => Some(found),
            None if self.odd_numbers => odd_number(rest),
            None => None,
        }
        .ok_or_else(|| match self.peek() {
            b'-' | b'0'..=b'9' => self.problem(Some("value"), "invalid number"),
            _ => self.unexpected("value"),
        })?;
        if !builder.number(number) {
            return Err(self.problem(Some("value"), "invalid number"));
        }
        self.at += length;
        Ok(())
    }
}

const LITERALS: [(&[u8], Option<bool>); 3] = [
    (b"null", None),
    (b"true", Some(true)),
    (b"false", Some(false)),
];

/// How many bytes from the beginning are neither quote, nor backslash, nor
/// control character; nor, for those who write, what else may be escaped.
pub fn plain_length<const WRITING: bool>(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES * 0x80;
    // The high bit of every byte of `word` that is zero, and perhaps of those above one.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut length = 0;
    let blocks = text.as_chunks::<8>().0;
    for block in blocks.iter().filter(|_| WIDE) {
        let word = u64::from_le_bytes(*block);
        let are = |byte: u8| zeros(word ^ (ONES * u64::from(byte)));
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let mut found = are(b'"') | are(b'\\') | controls;
        if WRITING {
            found |= are(b'/') | are(0x7f);
        }
        if found != 0 {
            return length + found.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let rest = text.get(length..).unwrap_or_default().iter();
    length
        + rest
            .take_while(|&&byte| match byte {
                b'/' | 0x7f => !WRITING,
                b'"' | b'\\' => false,
                _ => byte >= 0x20,
            })
            .count()
}

/// The number that `text` begins with, and its length.
fn number(text: &[u8]) -> Option<(Number<'_>, usize)> {
    let at = |position: usize| text.get(position).copied().unwrap_or_default();
    let is_negative = at(0) == b'-';
    let start = usize::from(is_negative);
    let mut length = start;
    // The digits without the point: 19 fit whatever they are.
    let (mut digits, mut count) = (0_u64, 0_u32);
    let mut add = |byte: u8| {
        digits = digits.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        count += u32::from(count > 0 || byte != b'0');
    };
    while at(length).is_ascii_digit() {
        add(at(length));
        length += 1;
    }
    let whole = length - start;
    if whole == 0 || whole > 1 && at(start) == b'0' {
        return None;
    }
    let mut exponent = 0_i32;
    let mut is_integer = true;
    if at(length) == b'.' {
        is_integer = false;
        length += 1;
        let first = length;
        while at(length).is_ascii_digit() {
            add(at(length));
            length += 1;
        }
        if length == first {
            return None;
        }
        exponent = -i32::try_from(length - first).unwrap_or(i32::MAX);
    }
    if at(length) | 0x20 == b'e' {
        is_integer = false;
        length += 1;
        let is_down = at(length) == b'-';
        if is_down || at(length) == b'+' {
            length += 1;
        }
        let first = length;
        let mut power = 0_i32;
        while at(length).is_ascii_digit() {
            power = power
                .saturating_mul(10)
                .saturating_add(i32::from(at(length) - b'0'));
            length += 1;
        }
        if length == first {
            return None;
        }
        exponent = exponent.saturating_add(if is_down { -power } else { power });
    }
    let fits = count <= 19;
    let text = &text[..length];
    let number = if is_integer {
        let signed = if is_negative {
            0_i64.checked_sub_unsigned(digits)
        } else {
            i64::try_from(digits).ok()
        };
        match signed {
            Some(value) if fits => Number::Integer(value),
            _ => Number::Text(text),
        }
    } else {
        // Both are exact, so the result is rounded once: it is the nearest float.
        match POWERS.get(exponent.unsigned_abs() as usize) {
            Some(power) if WIDE && fits && digits <= 1 << 53 => {
                let value = digits as f64;
                let value = if exponent < 0 {
                    value / power
                } else {
                    value * power
                };
                Number::Float(if is_negative { -value } else { value })
            }
            _ => Number::Text(text),
        }
    };
    Some((number, length))
}

/// How many bytes from the beginning could belong to a number of any kind.
fn odd_length(text: &[u8]) -> usize {
    text.iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        .count()
}

/// A number that JSON does not know, and its length.
fn odd_number(text: &[u8]) -> Option<(Number<'_>, usize)> {
    let text = &text[..odd_length(text)];
    let (is_negative, word) = match text {
        [b'-', word @ ..] => (true, word),
        [b'+', word @ ..] => (false, word),
        word => (false, word),
    };
    let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
    let value = if is(b"nan") {
        f64::NAN
    } else if is(b"inf") || is(b"infinity") {
        f64::INFINITY
    } else if matches!(word, [b'0'..=b'9', ..]) {
        return Some((Number::Odd(text), text.len()));
    } else {
        return None;
    };
    let value = if is_negative { -value } else { value };
    Some((Number::Float(value), text.len()))
}

/// Writes what a raw text with escapes stands for to `out`, which is as long
/// as the text at least, and gives the length. An error is the offset of the
/// escape that is none.
pub fn unescape(raw: &[u8], out: &mut [u8]) -> Result<usize, usize> {
    let (mut from, mut to) = (0, 0);
    let mut put = |bytes: &[u8]| {
        if let Some(place) = out.get_mut(to..to + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        to += bytes.len();
    };
    loop {
        let rest = raw.get(from..).unwrap_or_default();
        let plain = rest.iter().take_while(|&&byte| byte != b'\\').count();
        put(&rest[..plain]);
        from += plain;
        let Some(&letter) = raw.get(from + 1) else {
            return if from == raw.len() { Ok(to) } else { Err(from) };
        };
        let short = match letter {
            b'"' | b'\\' | b'/' => letter,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (symbol, length) = symbol(&raw[from..]).ok_or(from)?;
                put(symbol.encode_utf8(&mut [0; 4]).as_bytes());
                from += length;
                continue;
            }
            _ => return Err(from),
        };
        put(&[short]);
        from += 2;
    }
}

/// The symbol of a `\u` escape, or of a pair of them, and its length.
fn symbol(raw: &[u8]) -> Option<(char, usize)> {
    let first = code_unit(raw)?;
    if let Some(symbol) = char::from_u32(first) {
        return Some((symbol, 6));
    }
    // Half of a pair: the other one follows the first.
    let second = code_unit(raw.get(6..)?)?;
    if first >= 0xdc00 || second & 0xfc00 != 0xdc00 {
        return None;
    }
    let symbol = 0x10000 + ((first & 0x3ff) << 10 | second & 0x3ff);
    Some((char::from_u32(symbol)?, 12))
}

fn code_unit(raw: &[u8]) -> Option<u32> {
    let digits = raw.strip_prefix(b"\\u")?.get(..4)?;
    let mut value = 0;
    for digit in digits {
        value = value << 4 | char::from(*digit).to_digit(16)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::{plain_length, read, unescape, Builder, Number, Place, Text};

    /// What was told, as text of another kind.
    #[derive(Default)]
    struct Events {
        text: String,
        places: Vec<Place>,
        place: Option<Place>,
    }

    impl Events {
        fn put(&mut self, text: &str) {
            self.text.push_str(text);
            self.text.push(' ');
        }

        fn enter(&mut self, place: Place, text: &str) -> bool {
            self.put(text);
            self.places
                .push(self.place.replace(place).unwrap_or(Place::Top));
            self.places.len() <= 5
        }
    }

    fn plain(text: Text<'_>) -> Result<String, usize> {
        let mut room = vec![0; text.raw.len()];
        let length = unescape(text.raw, &mut room)?;
        assert!(text.escaped || room == text.raw);
        room.truncate(length);
        Ok(String::from_utf8_lossy(&room).into_owned())
    }

    impl Builder for Events {
        fn literal(&mut self, value: Option<bool>) {
            self.put(&format!("{value:?}"));
        }
        fn number(&mut self, value: Number<'_>) -> bool {
            self.put(&match value {
                Number::Integer(value) => format!("{value}"),
                Number::Float(value) => format!("{value:?}f"),
                Number::Text(text) => {
                    let text = String::from_utf8_lossy(text);
                    match text.parse::<f64>() {
                        Ok(value) if text.contains(['.', 'e', 'E']) => format!("{value:?}f"),
                        _ => format!("<{text}>"),
                    }
                }
                Number::Odd(text) => format!("odd<{}>", String::from_utf8_lossy(text)),
            });
            true
        }
        fn string(&mut self, text: Text<'_>) -> Result<(), usize> {
            let text = plain(text)?;
            self.put(&format!("'{text}'"));
            Ok(())
        }
        fn key(&mut self, text: Text<'_>) -> Result<(), usize> {
            let text = plain(text)?;
            self.put(&format!("{text}="));
            Ok(())
        }
        fn begin_array(&mut self) -> bool {
            self.enter(Place::Array, "[")
        }
        fn begin_object(&mut self) -> bool {
            self.enter(Place::Object, "{")
        }
        fn leave(&mut self) -> Place {
            self.put("end");
            let place = self.places.pop().unwrap();
            self.place = Some(place);
            place
        }
    }

    fn events(text: &[u8], odd_numbers: bool) -> Result<String, String> {
        let mut events = Events::default();
        match read(text, odd_numbers, &mut events) {
            Ok(()) => Ok(events.text.trim_end().to_string()),
            Err(problem) => Err(format!(
                "{}: {} instead of {}",
                problem.at,
                problem.found,
                problem.expected.unwrap_or("-")
            )),
        }
    }

    const SAMPLE: &str =
        r#" {"a":[1,-2.5e1,"x\n\u00e9\ud83d\ude00",{}],"b":{"c":[[]],"d":null},"e":[true,false]} "#;

    #[test]
    fn tells_what_it_finds_in_order() {
        assert_eq!(
            events(SAMPLE.as_bytes(), false).unwrap(),
            "{ a= [ 1 -25.0f 'x\né😀' { end end b= { c= [ [ end end d= None end e= [ Some(true) Some(false) end end"
        );
        for (text, told) in [
            ("0", "0"),
            (" \"\" ", "''"),
            ("[ ]", "[ end"),
            ("\t[\r\n{ } , 1 ]", "[ { end 1 end"),
            (
                "\"\\u0000\\/\\\\\\\"\\b\\f\\r\\t\"",
                "'\0/\\\"\u{8}\u{c}\r\t'",
            ),
        ] {
            assert_eq!(events(text.as_bytes(), false).unwrap(), told, "{text}");
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let text = SAMPLE.trim().as_bytes();
        for length in 0..text.len() {
            assert!(events(&text[..length], true).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn every_changed_byte_is_read_or_refused() {
        let text = SAMPLE.as_bytes();
        for position in 0..text.len() {
            for byte in 0..=u8::MAX {
                let mut changed = text.to_vec();
                changed[position] = byte;
                let _ = (events(&changed, true), events(&changed, false));
            }
        }
    }

    #[test]
    fn integers_are_exact_and_floats_the_nearest() {
        for (text, told) in [
            ("-0", "0"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775808", "<9223372036854775808>"),
            ("-9223372036854775809", "<-9223372036854775809>"),
            ("18446744073709551616", "<18446744073709551616>"),
            ("0.1", "0.1f"),
            ("-0.0", "-0.0f"),
            ("1e22", "1e22f"),
            ("1E+2", "100.0f"),
            ("1e23", "1e23f"),
            ("1.5e-22", "1.5e-22f"),
            ("9007199254740993.0", "9007199254740992.0f"),
            ("0.00000000000000000000001e3", "1e-20f"),
            ("1e99999999999", "inff"),
            ("1e-99999999999", "0.0f"),
        ] {
            assert_eq!(events(text.as_bytes(), true).unwrap(), told, "{text}");
            if let Some(float) = told.strip_suffix('f') {
                assert_eq!(float.parse::<f64>(), text.parse::<f64>());
            }
        }
    }

    #[test]
    fn numbers_of_other_kinds_are_a_setting() {
        for (text, told) in [
            ("0x1F", "odd<0x1F>"),
            ("-0x10", "odd<-0x10>"),
            ("01", "odd<01>"),
            ("+1", "odd<+1>"),
            ("1.", "odd<1.>"),
            ("nan", "NaNf"),
            ("Infinity", "inff"),
            ("-INF", "-inff"),
            ("[10]", "[ 10 end"),
        ] {
            assert_eq!(events(text.as_bytes(), true).unwrap(), told, "{text}");
            assert_eq!(
                events(text.as_bytes(), false).is_ok(),
                text == "[10]",
                "{text}"
            );
        }
        for text in ["-", "+", ".5", "-a", "e5", "nano", "infinit"] {
            assert!(events(text.as_bytes(), true).is_err(), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, told) in [
            ("", "0: the end instead of value"),
            ("[1", "2: the end instead of comma or array end"),
            ("[1 2]", "3: number instead of comma or array end"),
            ("[1,]", "3: array end instead of value"),
            ("[,]", "1: comma instead of value"),
            ("{\"a\" 1}", "5: number instead of colon"),
            ("{\"a\":1,}", "7: object end instead of object key string"),
            (
                "{1:1}",
                "1: number instead of object key string or object end",
            ),
            ("{\"a\":1 \"b\"", "7: string instead of comma or object end"),
            ("[1] x", "4: invalid token instead of the end"),
            ("nul", "0: invalid token instead of value"),
            ("[-]", "1: invalid number instead of value"),
            ("\"ab", "3: unterminated string instead of value"),
            ("\"a\\", "3: unterminated string instead of value"),
            (
                "\"a\nb\"",
                "2: control character in a string instead of value",
            ),
            ("[\"a\\x\"]", "3: invalid escape code instead of -"),
            ("[\"\\ud800\"]", "2: invalid escape code instead of -"),
            (
                "[\"\\udc00\\ud800\"]",
                "2: invalid escape code instead of -",
            ),
            ("[\"\\u12g4\"]", "2: invalid escape code instead of -"),
            ("[[[[[[", "5: too many nested data structures instead of -"),
            ("[]\0", "2: invalid token instead of the end"),
        ] {
            assert_eq!(events(text.as_bytes(), false).unwrap_err(), told, "{text}");
        }
    }

    #[test]
    fn plain_bytes_end_at_each_that_is_not() {
        for length in 0..40 {
            for byte in 0..=u8::MAX {
                let mut text = vec![b'\xff'; length];
                text.extend([byte, b'"', 0x1f]);
                let ends = byte < 0x20 || byte == b'"' || byte == b'\\';
                let after = if ends { length } else { length + 1 };
                assert_eq!(plain_length::<false>(&text), after, "{byte} after {length}");
                let ends = ends || byte == b'/' || byte == 0x7f;
                let after = if ends { length } else { length + 1 };
                assert_eq!(plain_length::<true>(&text), after, "{byte} after {length}");
            }
        }
        assert_eq!(plain_length::<false>(b"abcdefgh12"), 10);
    }
}
