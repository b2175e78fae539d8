//! Tables as JSON: for programs, or as the command `ubus` prints them.

use super::super::{Entry, Table, TooDeep, Value, Visit};
use std::fmt;
use std::io::Write;

/// How [`to_json`] writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonStyle {
    /// A line for each value, indented by tabs.
    pub indent: bool,
    /// Byte for byte as OpenWrt's command `ubus` prints, which is not always JSON: doubles with six decimals, `nan` and `inf` among
    /// them; no name where it is empty; a line inside of empty tables and arrays, and at most 16 tabs, if there is a line for each
    /// value. Else doubles have as many decimals as tell them exactly, and are `null` where JSON has no number for them.
    pub as_ubus: bool,
}

/// The most tabs before a value as the command `ubus` prints it.
const MAX_TABS: usize = 16;

/// Writes a table as one JSON object.
///
/// Text that is not UTF-8 passes as it is, so nothing is lost; then the result is JSON only in form.
pub fn to_json(table: Table<'_>, style: JsonStyle) -> Result<Vec<u8>, TooDeep> {
    let mut writer = JsonWriter {
        out: Vec::with_capacity(table.as_bytes().len()),
        style,
        arrays: Vec::new(),
        first: true,
    };
    writer.out.push(b'{');
    writer.arrays.push(false);
    for visit in table.walk() {
        match visit? {
            Visit::Entry(entry) => writer.entry(entry),
            Visit::End => writer.end(),
        }
    }
    writer.end();
    Ok(writer.out)
}

struct JsonWriter {
    out: Vec<u8>,
    style: JsonStyle,
    /// For each open container whether it is an array.
    arrays: Vec<bool>,
    /// Whether nothing was written into the innermost one.
    first: bool,
}

impl JsonWriter {
    fn entry(&mut self, entry: Entry<'_>) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
        self.line();
        let is_named = !(self.style.as_ubus && entry.name.is_empty());
        if self.arrays.last() == Some(&false) && is_named {
            self.string(entry.name);
            self.out
                .extend_from_slice(if self.style.indent { b": " } else { b":" });
        }
        match entry.value {
            Value::Unspec(_) => self.out.extend_from_slice(b"null"),
            Value::Array(_) => self.begin(b'[', true),
            Value::Table(_) => self.begin(b'{', false),
            Value::String(text) => self.string(text),
            Value::Int8(value) => self.text(format_args!("{}", value != 0)),
            Value::Int16(value) => self.text(format_args!("{value}")),
            Value::Int32(value) => self.text(format_args!("{value}")),
            Value::Int64(value) => self.text(format_args!("{value}")),
            Value::Double(value) if self.style.as_ubus => self.printed(value),
            Value::Double(value) if !value.is_finite() => self.out.extend_from_slice(b"null"),
            // Always with a point or an exponent, so that it is read as a double again.
            Value::Double(value) => self.text(format_args!("{value:?}")),
        }
    }

    /// A double as C prints it, where "not a number" has a sign, too.
    fn printed(&mut self, value: f64) {
        if value.is_sign_negative() {
            self.out.push(b'-');
        }
        if value.is_nan() {
            self.out.extend_from_slice(b"nan");
        } else {
            self.text(format_args!("{:.6}", value.abs()));
        }
    }

    fn begin(&mut self, bracket: u8, is_array: bool) {
        self.out.push(bracket);
        self.arrays.push(is_array);
        self.first = true;
    }

    fn end(&mut self) {
        let is_array = self.arrays.pop().unwrap_or_default();
        if !self.first {
            self.line();
        } else if self.style.as_ubus {
            self.line_of(self.arrays.len() + 1);
            self.line();
        }
        self.out.push(if is_array { b']' } else { b'}' });
        self.first = false;
    }

    fn line(&mut self) {
        self.line_of(self.arrays.len());
    }

    fn line_of(&mut self, tabs: usize) {
        if self.style.indent {
            let tabs = match self.style.as_ubus {
                true => tabs.min(MAX_TABS),
                false => tabs,
            };
            self.out.push(b'\n');
            self.out.resize(self.out.len() + tabs, b'\t');
        }
    }

    fn text(&mut self, text: fmt::Arguments<'_>) {
        // Writing into memory does not fail.
        let _ = self.out.write_fmt(text);
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for &byte in text {
            match byte {
                b'"' | b'\\' => self.out.extend_from_slice(&[b'\\', byte]),
                8 => self.out.extend_from_slice(b"\\b"),
                b'\n' => self.out.extend_from_slice(b"\\n"),
                b'\r' => self.out.extend_from_slice(b"\\r"),
                b'\t' => self.out.extend_from_slice(b"\\t"),
                0..0x20 => self.text(format_args!("\\u{byte:04x}")),
                _ => self.out.push(byte),
            }
        }
        self.out.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Builder;
    use super::*;

    fn printed(indent: bool, fill: impl FnOnce(&mut Builder)) -> String {
        let mut builder = Builder::new();
        fill(&mut builder);
        let style = JsonStyle {
            indent,
            as_ubus: true,
        };
        let text = to_json(builder.finish().unwrap().as_table(), style);
        String::from_utf8(text.unwrap()).unwrap()
    }

    #[test]
    fn empty_tables_and_arrays_have_a_line_in_the_manner_of_ubus() {
        assert_eq!(printed(true, |_| {}), "{\n\t\n}");
        let fill = |builder: &mut Builder| {
            builder.open_table("t").close().open_array("a").close();
        };
        let expected = "{\n\t\"t\": {\n\t\t\n\t},\n\t\"a\": [\n\t\t\n\t]\n}";
        assert_eq!(printed(true, fill), expected);
        assert_eq!(printed(false, fill), "{\"t\":{},\"a\":[]}");
    }

    #[test]
    fn doubles_are_printed_in_the_manner_of_ubus() {
        let doubles = [
            (f64::NAN.copysign(1.0), "nan"),
            (f64::NAN.copysign(-1.0), "-nan"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (-0.0, "-0.000000"),
            (1e22, "10000000000000000000000.000000"),
            (0.0000005, "0.000000"),
            (-1.5, "-1.500000"),
        ];
        for (double, text) in doubles {
            let found = printed(false, |builder| {
                builder.double("d", double);
            });
            assert_eq!(found, format!("{{\"d\":{text}}}"));
        }
    }

    #[test]
    fn empty_names_are_not_printed_in_the_manner_of_ubus() {
        let fill = |builder: &mut Builder| {
            builder.int("", 1).open_table("").string("", "x").close();
        };
        assert_eq!(printed(false, fill), "{1,{\"x\"}}");
    }

    #[test]
    fn control_characters_are_escaped() {
        let fill = |builder: &mut Builder| {
            builder.string("\u{8}", "\u{8}\u{c}\u{1f}/\u{7f}\"\\");
        };
        let expected = "{\"\\b\":\"\\b\\u000c\\u001f/\u{7f}\\\"\\\\\"}";
        assert_eq!(printed(false, fill), expected);
    }

    #[test]
    fn ubus_indents_by_no_more_than_sixteen_tabs() {
        let nested = |builder: &mut Builder| {
            for _ in 0..18 {
                builder.open_array("a");
            }
            for _ in 0..18 {
                builder.close();
            }
        };
        let text = printed(true, nested);
        let most = text.lines().map(|line| line.matches('\t').count()).max();
        assert_eq!(most, Some(16));
        let mut builder = Builder::new();
        nested(&mut builder);
        let style = JsonStyle {
            indent: true,
            as_ubus: false,
        };
        let text = to_json(builder.finish().unwrap().as_table(), style).unwrap();
        let tabs = text.split(|byte| *byte == b'\n');
        assert_eq!(
            tabs.map(|line| line.iter().filter(|byte| **byte == b'\t').count())
                .max(),
            Some(18)
        );
    }
}
