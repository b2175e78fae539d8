//! Values of rows: texts, and the binary form of prepared statements.

use super::packet::{Bytes, Malformed};

/// Numbers of types.
pub const DECIMAL: u8 = 0;
pub const TINY: u8 = 1;
pub const SHORT: u8 = 2;
pub const LONG: u8 = 3;
pub const FLOAT: u8 = 4;
pub const DOUBLE: u8 = 5;
pub const NULL: u8 = 6;
pub const TIMESTAMP: u8 = 7;
pub const LONGLONG: u8 = 8;
pub const INT24: u8 = 9;
pub const DATE: u8 = 10;
pub const TIME: u8 = 11;
pub const DATETIME: u8 = 12;
pub const YEAR: u8 = 13;
pub const STRING: u8 = 254;

/// A value as it lies in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Integer(i64),
    /// More than an `i64` holds.
    Large(u64),
    Number(f64),
    Text(&'a [u8]),
    /// The text of a number.
    Digits(&'a [u8]),
    Date(Date),
    Time(Time),
    Year(u16),
}

/// A date, perhaps with a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Date {
    pub year: u16,
    pub month: u8,
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub microseconds: u32,
}

/// A duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time {
    pub negative: bool,
    pub hours: u64,
    pub minute: u8,
    pub second: u8,
    pub microseconds: u32,
}

/// The next value of a row of texts.
pub fn text<'a>(rest: &mut Bytes<'a>, kind: u8) -> Result<Value<'a>, Malformed> {
    if rest.0.first() == Some(&0xfb) {
        rest.take(1)?;
        return Ok(Value::Null);
    }
    let text = rest.text()?;
    Ok(match kind {
        TINY | SHORT | LONG | LONGLONG | INT24 | FLOAT | DOUBLE | DECIMAL => Value::Digits(text),
        _ => Value::Text(text),
    })
}

/// The bits that tell which values of a binary row are NULL.
#[derive(Clone, Copy, Debug)]
pub struct Nulls<'a>(&'a [u8]);

impl<'a> Nulls<'a> {
    /// Reads the beginning of a row.
    pub fn read(rest: &mut Bytes<'a>, columns: usize) -> Result<Nulls<'a>, Malformed> {
        if rest.byte()? != 0 {
            return Err(Malformed);
        }
        rest.take((columns + 9) / 8).map(Nulls)
    }

    pub fn has(self, column: usize) -> bool {
        let place = column + 2;
        self.0
            .get(place / 8)
            .is_some_and(|bits| bits >> (place % 8) & 1 != 0)
    }
}

/// The next value of a binary row, which is not NULL.
pub fn binary<'a>(rest: &mut Bytes<'a>, kind: u8, unsigned: bool) -> Result<Value<'a>, Malformed> {
    Ok(match kind {
        TINY => {
            let byte = rest.byte()?;
            Value::Integer(if unsigned {
                byte.into()
            } else {
                (byte as i8).into()
            })
        }
        SHORT => {
            let short = rest.short()?;
            Value::Integer(if unsigned {
                short.into()
            } else {
                (short as i16).into()
            })
        }
        LONG | INT24 => {
            let long = rest.long()?;
            Value::Integer(if unsigned {
                long.into()
            } else {
                (long as i32).into()
            })
        }
        LONGLONG => {
            let value = u64::from_le_bytes(rest.array()?);
            match i64::try_from(value) {
                Err(_) if unsigned => Value::Large(value),
                _ => Value::Integer(value as i64),
            }
        }
        FLOAT => Value::Number(f32::from_le_bytes(rest.array()?).into()),
        DOUBLE => Value::Number(f64::from_le_bytes(rest.array()?)),
        NULL => Value::Null,
        YEAR => Value::Year(rest.short()?),
        DATE | DATETIME | TIMESTAMP => Value::Date(date(rest)?),
        TIME => Value::Time(time(rest)?),
        // What is a number though it comes as text, in old servers alone.
        DECIMAL => Value::Digits(rest.text()?),
        _ => Value::Text(rest.text()?),
    })
}

fn date(rest: &mut Bytes) -> Result<Date, Malformed> {
    let length = rest.byte()?;
    let mut rest = Bytes(rest.take(length.into())?);
    let mut date = Date::default();
    if !matches!(length, 0 | 4 | 7 | 11) {
        return Err(Malformed);
    }
    if length >= 4 {
        date.year = rest.short()?;
        [date.month, date.day] = rest.array()?;
    }
    if length >= 7 {
        [date.hour, date.minute, date.second] = rest.array()?;
    }
    if length == 11 {
        date.microseconds = rest.long()?;
    }
    Ok(date)
}

fn time(rest: &mut Bytes) -> Result<Time, Malformed> {
    let length = rest.byte()?;
    let mut rest = Bytes(rest.take(length.into())?);
    let mut time = Time::default();
    if !matches!(length, 0 | 8 | 12) {
        return Err(Malformed);
    }
    if length >= 8 {
        time.negative = rest.byte()? != 0;
        let days = rest.long()?;
        let [hour, minute, second] = rest.array()?;
        time.hours = u64::from(days) * 24 + u64::from(hour);
        (time.minute, time.second) = (minute, second);
    }
    if length == 12 {
        time.microseconds = rest.long()?;
    }
    Ok(time)
}

/// Room for the longest text below.
pub const LONGEST: usize = 40;

/// A text that grows in place.
#[derive(Clone, Copy, Debug)]
pub struct Short {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Short {
    fn new() -> Short {
        Short {
            bytes: [0; LONGEST],
            length: 0,
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// A number of that many digits at least.
    fn digits(&mut self, mut value: u64, least: usize) {
        let mut digits = [b'0'; 20];
        let mut first = digits.len();
        while value > 0 || digits.len() - first < least {
            first -= 1;
            digits[first] = b'0' + (value % 10) as u8;
            value /= 10;
        }
        for &digit in &digits[first..] {
            self.push(digit);
        }
    }

    /// Digits behind the point: of microseconds, as many as the column has, or,
    /// where that does not say, none of zero.
    fn fraction(&mut self, microseconds: u32, decimals: u8) {
        let count = match decimals {
            0 => 0,
            1..=6 => usize::from(decimals),
            _ if microseconds > 0 => 6,
            _ => 0,
        };
        if count > 0 {
            self.push(b'.');
            let mut rest = Short::new();
            rest.digits((microseconds % 1_000_000).into(), 6);
            for &digit in rest.as_bytes().iter().take(count) {
                self.push(digit);
            }
        }
    }
}

/// The text of a number.
pub fn number_text(value: u64, least: usize) -> Short {
    let mut text = Short::new();
    text.digits(value, least);
    text
}

impl Date {
    /// As the server writes it in rows of texts.
    pub fn text(&self, kind: u8, decimals: u8) -> Short {
        let mut text = Short::new();
        text.digits(self.year.into(), 4);
        for part in [self.month, self.day] {
            text.push(b'-');
            text.digits(part.into(), 2);
        }
        if kind != DATE {
            for (part, before) in [(self.hour, b' '), (self.minute, b':'), (self.second, b':')] {
                text.push(before);
                text.digits(part.into(), 2);
            }
            text.fraction(self.microseconds, decimals);
        }
        text
    }
}

impl Time {
    pub fn text(&self, decimals: u8) -> Short {
        let mut text = Short::new();
        if self.negative {
            text.push(b'-');
        }
        text.digits(self.hours, 2);
        for part in [self.minute, self.second] {
            text.push(b':');
            text.digits(part.into(), 2);
        }
        text.fraction(self.microseconds, decimals);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], kind: u8, unsigned: bool) -> Result<Value<'_>, Malformed> {
        let mut rest = Bytes(bytes);
        let value = binary(&mut rest, kind, unsigned)?;
        rest.end()?;
        for length in 0..bytes.len() {
            assert!(binary(&mut Bytes(&bytes[..length]), kind, unsigned).is_err());
        }
        Ok(value)
    }

    #[test]
    fn values_of_binary_rows() {
        assert_eq!(read(b"\xff", TINY, false), Ok(Value::Integer(-1)));
        assert_eq!(read(b"\xff", TINY, true), Ok(Value::Integer(255)));
        assert_eq!(read(b"\0\x80", SHORT, false), Ok(Value::Integer(-32768)));
        assert_eq!(
            read(b"\0\0\0\x80", INT24, true),
            Ok(Value::Integer(1 << 31))
        );
        assert_eq!(read(&[0xff; 8], LONGLONG, false), Ok(Value::Integer(-1)));
        assert_eq!(read(&[0xff; 8], LONGLONG, true), Ok(Value::Large(u64::MAX)));
        assert_eq!(
            read(&0.5_f32.to_le_bytes(), FLOAT, false),
            Ok(Value::Number(0.5))
        );
        assert_eq!(
            read(&0.1_f64.to_le_bytes(), DOUBLE, false),
            Ok(Value::Number(0.1))
        );
        assert_eq!(read(b"\xd0\x07", YEAR, true), Ok(Value::Year(2000)));
        assert_eq!(read(b"\x02hi", STRING, false), Ok(Value::Text(b"hi")));
        assert_eq!(read(b"\x03abcd", STRING, false), Err(Malformed));
    }

    #[test]
    fn dates_have_the_texts_of_the_server() {
        let text = |bytes: &[u8], kind, decimals| {
            let text = match read(bytes, kind, false).unwrap() {
                Value::Date(date) => date.text(kind, decimals),
                Value::Time(time) => time.text(decimals),
                value => panic!("{value:?}"),
            };
            String::from_utf8(text.as_bytes().to_vec()).unwrap()
        };
        assert_eq!(text(b"\0", DATETIME, 0), "0000-00-00 00:00:00");
        assert_eq!(text(b"\x04\xe8\x07\x02\x1d", DATE, 0), "2024-02-29");
        assert_eq!(
            text(b"\x07\xe8\x07\x02\x1d\x01\x02\x03", DATETIME, 3),
            "2024-02-29 01:02:03.000"
        );
        assert_eq!(
            text(
                b"\x0b\xe8\x07\x02\x1d\x01\x02\x03\x40\xe2\x01\0",
                TIMESTAMP,
                6
            ),
            "2024-02-29 01:02:03.123456"
        );
        assert_eq!(text(b"\0", TIME, 0), "00:00:00");
        assert_eq!(
            text(b"\x08\x01\x22\0\0\0\x16\x3b\x3a", TIME, 0),
            "-838:59:58"
        );
        assert_eq!(
            text(b"\x0c\0\0\0\0\0\x01\x02\x03\x20\xa1\x07\0", TIME, 31),
            "01:02:03.500000"
        );
        assert_eq!(
            text(
                b"\x0c\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                TIME,
                6
            ),
            "-103079215335:255:255.967295"
        );
        for bad in [&b"\x05\0\0\0\0\0"[..], b"\x0c"] {
            assert!(binary(&mut Bytes(bad), DATETIME, false).is_err());
            assert!(binary(&mut Bytes(bad), TIME, false).is_err());
        }
    }

    #[test]
    fn rows_tell_what_is_null() {
        let mut rest = Bytes(b"\0\x14\x01\x05");
        let nulls = Nulls::read(&mut rest, 8).unwrap();
        let null: Vec<_> = (0..9).filter(|&column| nulls.has(column)).collect();
        assert_eq!(null, [0, 2, 6]);
        assert_eq!(rest.0, b"\x05");
        assert!(Nulls::read(&mut Bytes(b"\x01\0"), 1).is_err());
        assert!(Nulls::read(&mut Bytes(b"\0\0"), 7).is_err());
        assert_eq!(text(&mut Bytes(b"\xfb"), LONG), Ok(Value::Null));
        assert_eq!(text(&mut Bytes(b"\x0212"), LONG), Ok(Value::Digits(b"12")));
        assert!(text(&mut Bytes(b"\x0312"), STRING).is_err());
    }
}
