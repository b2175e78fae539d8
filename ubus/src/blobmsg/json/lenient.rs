//! JSON as the scripts of OpenWrt write it, who have always had a reader that takes more than JSON.
//!
//! Beyond JSON it takes:
//!
//! | what | becomes |
//! | --- | --- |
//! | `'text'` | text, in which `"` needs no backslash |
//! | any byte inside text, raw line breaks and tabs included | itself |
//! | a comma before `]` or `}` | nothing |
//! | `/* … */` and `// …` wherever a blank may stand | nothing |
//! | `True`, `FALSE`, `Null` and the like | as in small letters |
//! | `NaN`, `Infinity`, `-Infinity`, in any letters | doubles |
//! | `007`, `1.`, `1e-`, `-.5` | 7, 1.0, 1.0, -0.5 |
//! | integers beyond 64 bits | the nearest that has them |
//! | half a surrogate pair | U+FFFD |
//! | `\u0000` | the end of its text: what follows is cut off |
//! | a name that comes again | its last value, in the place of its first |
//! | whatever follows the object | nothing |

use super::super::{Builder, Table, TableBuf, Value};
use crate::blob::BuildError;
use std::collections::BTreeMap;
use std::fmt;

/// How deep values may lie inside each other: the object that is read lies at 0.
const MAX_DEPTH: usize = 31;

/// Why text is no table, however it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LenientJsonError {
    /// Something else is expected at this byte, counted from 0.
    Syntax {
        /// The place.
        at: usize,
    },
    /// A value inside more than 31 objects and arrays begins at this byte.
    TooDeep {
        /// The place.
        at: usize,
    },
    /// Text that no table can hold.
    Build(BuildError),
}

impl fmt::Display for LenientJsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LenientJsonError::Syntax { at } => write!(f, "no JSON at byte {at}"),
            LenientJsonError::TooDeep { at } => write!(f, "nested too deep at byte {at}"),
            LenientJsonError::Build(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LenientJsonError {}

impl From<BuildError> for LenientJsonError {
    fn from(error: BuildError) -> LenientJsonError {
        LenientJsonError::Build(error)
    }
}

/// Reads one object the way OpenWrt's own programs do. The bytes need not be UTF-8.
///
/// ```
/// use ubus::blobmsg::{from_lenient_json, to_json, JsonStyle};
///
/// let table = from_lenient_json(b"{ 'up': True, /* in seconds */ 'uptime': 007, } and more")?;
/// assert_eq!(to_json(table.as_table(), JsonStyle::default())?, br#"{"up":true,"uptime":7}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_lenient_json(text: &[u8]) -> Result<TableBuf, LenientJsonError> {
    let mut reader = Reader {
        text,
        at: 0,
        builder: Builder::new(),
    };
    reader.skip_blanks()?;
    reader.expect(b'{')?;
    reader.object(0)?;
    let table = reader.builder.finish()?;
    let mut unique = Builder::new();
    keep_last(table.as_table(), &mut unique);
    Ok(unique.finish()?)
}

/// Copies entries, of those with one name the last one to the place of the first.
fn keep_last(table: Table<'_>, builder: &mut Builder) {
    let mut last: BTreeMap<&[u8], Value<'_>> = BTreeMap::new();
    for entry in table {
        last.insert(entry.name, entry.value);
    }
    for entry in table {
        if let Some(value) = last.remove(entry.name) {
            copy(entry.name, value, builder);
        }
    }
}

fn copy(name: &[u8], value: Value<'_>, builder: &mut Builder) {
    match value {
        Value::Table(table) => {
            builder.open_table(name);
            keep_last(table, builder);
            builder.close();
        }
        Value::Array(array) => {
            builder.open_array(name);
            array.iter().for_each(|value| copy(b"", value, builder));
            builder.close();
        }
        value => {
            builder.value(name, value);
        }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    builder: Builder,
}

impl Reader<'_> {
    /// The entries of an object whose brace was read.
    fn object(&mut self, depth: usize) -> Result<(), LenientJsonError> {
        loop {
            self.skip_blanks()?;
            let quote = match self.peek() {
                // Also after a comma.
                Some(b'}') => break,
                Some(quote @ (b'"' | b'\'')) => quote,
                _ => return Err(self.syntax()),
            };
            let name = self.string(quote)?;
            self.skip_blanks()?;
            self.expect(b':')?;
            self.skip_blanks()?;
            self.value(&name, depth + 1)?;
            if !self.goes_on(b'}')? {
                break;
            }
        }
        self.at += 1;
        Ok(())
    }

    /// The values of an array whose bracket was read.
    fn array(&mut self, depth: usize) -> Result<(), LenientJsonError> {
        loop {
            self.skip_blanks()?;
            if self.peek() == Some(b']') {
                break;
            }
            self.value(b"", depth + 1)?;
            if !self.goes_on(b']')? {
                break;
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Whether a comma follows, which is read, or the end, which is not.
    fn goes_on(&mut self, end: u8) -> Result<bool, LenientJsonError> {
        self.skip_blanks()?;
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == end => Ok(false),
            _ => Err(self.syntax()),
        }
    }

    fn value(&mut self, name: &[u8], depth: usize) -> Result<(), LenientJsonError> {
        if depth > MAX_DEPTH {
            return Err(LenientJsonError::TooDeep { at: self.at });
        }
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                self.builder.open_table(name);
                self.object(depth)?;
                self.builder.close();
            }
            Some(b'[') => {
                self.at += 1;
                self.builder.open_array(name);
                self.array(depth)?;
                self.builder.close();
            }
            Some(quote @ (b'"' | b'\'')) => {
                let text = self.string(quote)?;
                self.builder.string(name, text);
            }
            Some(b'-' | b'0'..=b'9') => self.number(name)?,
            _ => self.word(name)?,
        }
        // Stops at the first value that cannot be built.
        self.builder
            .error()
            .map_or(Ok(()), |error| Err(error.into()))
    }

    fn word(&mut self, name: &[u8]) -> Result<(), LenientJsonError> {
        if self.takes(b"null") {
            self.builder.null(name);
        } else if self.takes(b"true") {
            self.builder.bool(name, true);
        } else if self.takes(b"false") {
            self.builder.bool(name, false);
        } else if self.takes(b"nan") {
            self.builder.double(name, f64::NAN);
        } else if self.takes(b"infinity") {
            self.builder.double(name, f64::INFINITY);
        } else {
            return Err(self.syntax());
        }
        Ok(())
    }

    fn number(&mut self, name: &[u8]) -> Result<(), LenientJsonError> {
        let start = self.at;
        let is_negative = self.takes(b"-");
        if is_negative && self.takes(b"infinity") {
            self.builder.double(name, f64::NEG_INFINITY);
            return Ok(());
        }
        let mut value = 0_i64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            let digit = i64::from(digit - b'0');
            let digit = if is_negative { -digit } else { digit };
            value = value.saturating_mul(10).saturating_add(digit);
            self.at += 1;
        }
        let whole = self.at;
        // Of a sign behind the point nothing may come.
        for mark in [b".", b"e"] {
            if self.takes(mark) {
                let _ = self.takes(b"+") || self.takes(b"-");
                self.skip_digits();
            }
        }
        let mut text = self.text.get(start..self.at).unwrap_or_default();
        if self.at == whole && text.last().is_some_and(u8::is_ascii_digit) {
            self.builder.int(name, value);
            return Ok(());
        }
        while let [rest @ .., b'.' | b'e' | b'E' | b'+' | b'-'] = text {
            text = rest;
        }
        let number = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok());
        match number {
            Some(number) => self.builder.double(name, number),
            None => return Err(LenientJsonError::Syntax { at: start }),
        };
        Ok(())
    }

    fn skip_digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    /// Text up to the quote it began with; what follows a NUL in it is cut off.
    fn string(&mut self, quote: u8) -> Result<Vec<u8>, LenientJsonError> {
        let mut text = Vec::new();
        self.at += 1;
        loop {
            match self.next()? {
                b'\\' => self.escape(&mut text)?,
                byte if byte == quote => break,
                byte => text.push(byte),
            }
        }
        if let Some(end) = text.iter().position(|byte| *byte == 0) {
            text.truncate(end);
        }
        Ok(text)
    }

    /// What follows a backslash.
    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), LenientJsonError> {
        text.push(match self.next()? {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let sign = self.code_point()?;
                text.extend_from_slice(sign.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => {
                self.at -= 1;
                return Err(self.syntax());
            }
        });
        Ok(())
    }

    /// Four digits, or two times four that are a pair.
    fn code_point(&mut self) -> Result<char, LenientJsonError> {
        let first = self.four_digits()?;
        let after = self.at;
        if (0xd800..0xdc00).contains(&first) && self.takes(b"\\u") {
            let second = self.four_digits()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            // It stands for itself.
            self.at = after;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn four_digits(&mut self) -> Result<u32, LenientJsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = code << 4 | digit.ok_or(self.syntax())?;
            self.at += 1;
        }
        Ok(code)
    }

    /// Blanks and comments.
    fn skip_blanks(&mut self) -> Result<(), LenientJsonError> {
        loop {
            if self.takes(b"/*") {
                while !self.takes(b"*/") {
                    self.next()?;
                }
            } else if self.takes(b"//") {
                while self.next()? != b'\n' {}
            } else if matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
                self.at += 1;
            } else {
                return Ok(());
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// The next byte of what must go on; a NUL ends the text for every reader.
    fn next(&mut self) -> Result<u8, LenientJsonError> {
        let byte = self.peek().filter(|byte| *byte != 0);
        let byte = byte.ok_or(self.syntax())?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), LenientJsonError> {
        match self.takes(&[byte]) {
            true => Ok(()),
            false => Err(self.syntax()),
        }
    }

    /// Reads a word in letters of any case, if that is what follows.
    fn takes(&mut self, word: &[u8]) -> bool {
        let end = self.at + word.len();
        let found = self.text.get(self.at..end);
        let is_found = found.is_some_and(|found| found.eq_ignore_ascii_case(word));
        if is_found {
            self.at = end;
        }
        is_found
    }

    fn syntax(&self) -> LenientJsonError {
        LenientJsonError::Syntax { at: self.at }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{to_json, JsonStyle};
    use super::*;

    #[track_caller]
    fn reads(text: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) {
        let style = JsonStyle {
            indent: false,
            as_ubus: true,
        };
        let table = from_lenient_json(text.as_ref()).unwrap();
        let found = to_json(table.as_table(), style).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&found),
            String::from_utf8_lossy(expected.as_ref())
        );
    }

    #[track_caller]
    fn refuses(text: impl AsRef<[u8]>, at: usize) {
        let found = from_lenient_json(text.as_ref());
        assert_eq!(found, Err(LenientJsonError::Syntax { at }));
    }

    #[test]
    fn plain_json_is_read() {
        let text =
            r#"{"z":1,"a":{"k":[],"e":{}},"l":[true,[false,null]],"d":-0.500000,"s":"\b\n\r\t"}"#;
        reads(text, text);
        reads(" {\t}\r\n ", "{}");
    }

    #[test]
    fn text_may_have_either_quotes_and_any_bytes() {
        reads(r#"{'a':'b','c"':'d"'}"#, r#"{"a":"b","c\"":"d\""}"#);
        reads(
            "{\"it's\":\"one\n\ttwo\u{1}\"}",
            "{\"it's\":\"one\\n\\ttwo\\u0001\"}",
        );
        reads(b"{\"\xff\":\"\xfe\"}", b"{\"\xff\":\"\xfe\"}");
        refuses(r#"{'a":1}"#, 7);
    }

    #[test]
    fn commas_may_trail_but_not_lead() {
        reads(
            "{\"a\":[1,2,],\"b\":{\"c\":3,},}",
            r#"{"a":[1,2],"b":{"c":3}}"#,
        );
        refuses("{,}", 1);
        refuses("{\"a\":[,]}", 6);
        refuses("{\"a\":[1,,2]}", 8);
        refuses("{\"a\":1,,}", 7);
        refuses("{\"a\":1 \"b\":2}", 7);
    }

    #[test]
    fn comments_are_blanks() {
        let text = "/*a*/{//b\n\"a\"/**/:/***/1/* * / **/,//c\n\"b\"//\n:[/*,*/],/*}*/}";
        reads(text, r#"{"a":1,"b":[]}"#);
        refuses("{\"a\":1 /*}", 10);
        refuses("{\"a\":1 //}", 10);
        refuses("{\"a\":1/2}", 6);
        refuses("{\"a\":/}", 5);
    }

    #[test]
    fn words_may_have_letters_of_any_case() {
        reads(
            "{\"a\":True,\"b\":FALSE,\"c\":nULL,\"d\":NaN,\"e\":nan,\"f\":INFINITY,\"g\":-infinity}",
            r#"{"a":true,"b":false,"c":null,"d":nan,"e":nan,"f":inf,"g":-inf}"#,
        );
        for word in ["tru", "truex", "nulll", "inf", "-nan", "-inf", "yes", "a"] {
            assert!(from_lenient_json(format!("{{\"a\":{word}}}").as_bytes()).is_err());
        }
    }

    #[test]
    fn numbers_may_be_written_carelessly() {
        for (number, expected) in [
            ("007", "7"),
            ("-01", "-1"),
            ("-0", "0"),
            ("-0.0", "-0.000000"),
            ("00.5", "0.500000"),
            ("1.", "1.000000"),
            ("1.e2", "100.000000"),
            ("1e", "1.000000"),
            ("1E+", "1.000000"),
            ("1.-", "1.000000"),
            ("2.+e", "2.000000"),
            ("-.5", "-0.500000"),
            ("1e400", "inf"),
            ("-1e400", "-inf"),
        ] {
            reads(
                format!("{{\"a\":{number}}}"),
                format!("{{\"a\":{expected}}}"),
            );
        }
        for number in [
            "+1", ".5", "-", "--1", "-.", "-e5", "1.-5", "1.5.5", "1e5e5", "1-2", "0x10", "1_0",
        ] {
            assert!(from_lenient_json(format!("{{\"a\":{number}}}").as_bytes()).is_err());
        }
    }

    #[test]
    fn integers_have_the_type_that_holds_them_and_no_more_than_64_bits() {
        let table = from_lenient_json(
            b"{\"a\":[2147483647,2147483648,-2147483648,-2147483649,9223372036854775808,
              18446744073709551616,-9223372036854775809]}",
        );
        let table = table.unwrap();
        let values = table.get("a").and_then(Value::as_array).unwrap();
        let expected = [
            Value::Int32(i32::MAX),
            Value::Int64(2147483648),
            Value::Int32(i32::MIN),
            Value::Int64(-2147483649),
            Value::Int64(i64::MAX),
            Value::Int64(i64::MAX),
            Value::Int64(i64::MIN),
        ];
        assert!(values.iter().eq(expected));
    }

    #[test]
    fn escapes_are_those_of_json() {
        reads(
            r#"{"a":"\"\\\/\b\f\n\r\t\u00e9"}"#,
            r#"{"a":"\"\\/\b\u000c\n\r\té"}"#,
        );
        for escape in ["\\'", "\\x", "\\u12g4", "\\u123"] {
            assert!(from_lenient_json(format!("{{\"a\":\"{escape}\"}}").as_bytes()).is_err());
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced() {
        for (text, expected) in [
            ("\\ud83d\\uDE00", "\u{1f600}"),
            ("\\udbff\\udfff", "\u{10ffff}"),
            ("\\ud800", "\u{fffd}"),
            ("\\udc00x", "\u{fffd}x"),
            ("\\ud83d\\u0041", "\u{fffd}A"),
            ("\\ud83d\\ud83d\\ude00", "\u{fffd}\u{1f600}"),
            ("\\ud83d\\/", "\u{fffd}/"),
        ] {
            reads(
                format!("{{\"a\":\"{text}\"}}"),
                format!("{{\"a\":\"{expected}\"}}"),
            );
        }
    }

    #[test]
    fn a_nul_ends_text() {
        reads("{\"a\\u0000b\":\"x\\u0000y\"}", r#"{"a":"x"}"#);
        refuses("{\"a\":\"\0\"}", 6);
        refuses("{\"a\"\0:1}", 4);
        reads("{}\0", "{}");
    }

    #[test]
    fn the_last_value_of_a_name_counts_in_the_place_of_the_first() {
        reads(
            r#"{"a":1,"b":[{"c":1,"c":2}],"a":{"d":1,"e":2,"d":3},"":1,"":2}"#,
            r#"{"a":{"d":3,"e":2},"b":[{"c":2}],2}"#,
        );
        // Many names cost no more than their number.
        let names: String = (0..50_000).map(|n| format!("'{n}':1,")).collect();
        assert_eq!(
            from_lenient_json(format!("{{{names}}}").as_bytes())
                .unwrap()
                .iter()
                .count(),
            50_000
        );
    }

    #[test]
    fn what_follows_the_object_is_not_read() {
        reads("{\"a\":1}}", r#"{"a":1}"#);
        reads("{} and more", "{}");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "",
            " ",
            "[]",
            "1",
            "null",
            "\"a\"",
            "x",
            "\u{feff}{}",
            "{a:1}",
            "{1:2}",
            "{\"a\"}",
        ] {
            assert!(from_lenient_json(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn values_inside_more_than_31_others_are_refused() {
        for (open, close) in [("{\"a\":", "}"), ("[", "]")] {
            let nested = |depth: usize, inner: &str| {
                let (open, close) = (open.repeat(depth), close.repeat(depth));
                format!("{{\"r\":{open}{inner}{close}}}")
            };
            for inner in ["1", "{}", "[]"] {
                assert!(from_lenient_json(nested(30, inner).as_bytes()).is_ok());
                let error = from_lenient_json(nested(31, inner).as_bytes());
                let at = 5 + 31 * open.len();
                assert_eq!(error, Err(LenientJsonError::TooDeep { at }));
            }
        }
        let endless = "{\"a\":".repeat(100_000);
        assert!(from_lenient_json(endless.as_bytes()).is_err());
    }

    #[test]
    fn what_no_table_can_hold_is_refused() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
        let error = from_lenient_json(long.as_bytes());
        assert!(matches!(
            error,
            Err(LenientJsonError::Build(BuildError::TooLong { .. }))
        ));
        let name = format!("{{\"{}\":1}}", "x".repeat(65536));
        let error = from_lenient_json(name.as_bytes());
        assert!(matches!(
            error,
            Err(LenientJsonError::Build(BuildError::NameTooLong { .. }))
        ));
    }

    #[test]
    fn no_beginning_of_an_object_is_one() {
        let text = "/**/{'a':[1,-2.5e3,\"\\ud83d\\ude00\\n\",{}],/*c*/\"b\":True//d\n,\"c\":NaN,}";
        for end in 0..text.len() {
            assert!(from_lenient_json(&text.as_bytes()[..end]).is_err(), "{end}");
        }
        assert!(from_lenient_json(text.as_bytes()).is_ok());
    }
}
