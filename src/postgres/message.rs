//! Messages of a server. Every length is checked against what is there: a
//! message that is taken has no byte too few or too many.

/// What a message begins with: its type and its length.
pub const HEADER: usize = 5;

/// A message that breaks the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The message at the front of received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: u8,
    pub body: &'a [u8],
}

/// What is at the front of received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front<'a> {
    /// So many bytes more belong to it, at least.
    Missing(usize),
    /// More than the limit: it is not waited for.
    TooLarge,
    Message(Frame<'a>),
}

impl<'a> Frame<'a> {
    /// Looks for a message of `largest` bytes at most.
    pub fn read(received: &'a [u8], largest: usize) -> Result<Front<'a>, Malformed> {
        let Some((&[kind, a, b, c, d], rest)) = received.split_first_chunk::<HEADER>() else {
            return Ok(Front::Missing(HEADER - received.len()));
        };
        // The length counts itself.
        let length = u32::from_be_bytes([a, b, c, d])
            .checked_sub(4)
            .ok_or(Malformed)? as usize;
        if length > largest {
            return Ok(Front::TooLarge);
        }
        Ok(match rest.get(..length) {
            Some(body) => Front::Message(Frame { kind, body }),
            None => Front::Missing(length - rest.len()),
        })
    }

    /// From its first byte to its last.
    pub fn total(&self) -> usize {
        HEADER + self.body.len()
    }
}

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn short(&mut self) -> Result<u16, Malformed> {
        let (&bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(u16::from_be_bytes(bytes))
    }

    fn long(&mut self) -> Result<u32, Malformed> {
        let (&bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(bytes))
    }

    /// A text that ends with NUL.
    fn text(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.0.iter().position(|&byte| byte == 0).ok_or(Malformed)?;
        let text = self.take(length)?;
        self.take(1)?;
        Ok(text)
    }

    fn end<T>(self, value: T) -> Result<T, Malformed> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(Malformed)
        }
    }
}

/// A column of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    pub name: &'a [u8],
    /// Number of its type.
    pub oid: u32,
}

/// Columns that were checked.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    count: u16,
    rest: Bytes<'a>,
}

impl<'a> Columns<'a> {
    pub fn read(body: &'a [u8]) -> Result<Columns<'a>, Malformed> {
        let mut rest = Bytes(body);
        let count = rest.short()?;
        let columns = Columns { count, rest };
        let mut unread = columns;
        for _ in 0..count {
            unread.read_one()?;
        }
        unread.rest.end(columns)
    }

    fn read_one(&mut self) -> Result<Column<'a>, Malformed> {
        let name = self.rest.text()?;
        // Table and number of the column there.
        self.rest.take(6)?;
        let oid = self.rest.long()?;
        // Size and modifier of the type.
        self.rest.take(6)?;
        // We ask for text alone.
        if self.rest.short()? != 0 {
            return Err(Malformed);
        }
        Ok(Column { name, oid })
    }

    pub fn count(&self) -> usize {
        self.count.into()
    }
}

impl<'a> Iterator for Columns<'a> {
    type Item = Column<'a>;

    fn next(&mut self) -> Option<Column<'a>> {
        self.count = self.count.checked_sub(1)?;
        self.read_one().ok()
    }
}

/// Values of a row that were checked; None is NULL.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    count: u16,
    rest: Bytes<'a>,
}

impl<'a> Row<'a> {
    pub fn read(body: &'a [u8]) -> Result<Row<'a>, Malformed> {
        let mut rest = Bytes(body);
        let count = rest.short()?;
        let row = Row { count, rest };
        let mut unread = row;
        for _ in 0..count {
            unread.read_one()?;
        }
        unread.rest.end(row)
    }

    fn read_one(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.rest.long()? {
            u32::MAX => Ok(None),
            length => self.rest.take(length as usize).map(Some),
        }
    }

    pub fn count(&self) -> usize {
        self.count.into()
    }
}

impl<'a> Iterator for Row<'a> {
    type Item = Option<&'a [u8]>;

    fn next(&mut self) -> Option<Option<&'a [u8]>> {
        self.count = self.count.checked_sub(1)?;
        self.read_one().ok()
    }
}

/// Fields of an error or a notice that were checked: a letter and a text each.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(Bytes<'a>);

impl<'a> Fields<'a> {
    pub fn read(body: &'a [u8]) -> Result<Fields<'a>, Malformed> {
        let mut unread = Bytes(body);
        while unread.take(1)? != [0] {
            unread.text()?;
        }
        unread.end(Fields(Bytes(body)))
    }

    /// The text of the field that this letter stands for.
    pub fn find(mut self, letter: u8) -> Option<&'a [u8]> {
        self.find_map(|(found, text)| (found == letter).then_some(text))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let &letter = self.0.take(1).ok()?.first()?;
        let text = if letter == 0 {
            None
        } else {
            self.0.text().ok()
        };
        text.map(|text| (letter, text))
    }
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    /// What is asked for, and what belongs to it.
    Authentication(u32, &'a [u8]),
    /// Whom a cancel request is about: process and secret.
    Key(u32, u32),
    Parameter(&'a [u8], &'a [u8]),
    /// `I`dle, in a `T`ransaction, in one that `E`rred.
    Ready(u8),
    Columns(Columns<'a>),
    Row(Row<'a>),
    /// With its tag.
    Complete(&'a [u8]),
    /// There are more rows.
    Suspended,
    Error(Fields<'a>),
    /// The server waits for rows of ours.
    CopyIn,
    /// What nobody needs to know of.
    Nothing,
}

/// Takes a message apart.
pub fn parse<'a>(frame: Frame<'a>) -> Result<Message<'a>, Malformed> {
    let mut rest = Bytes(frame.body);
    let message = match frame.kind {
        b'R' => {
            let kind = rest.long()?;
            return Ok(Message::Authentication(kind, rest.0));
        }
        b'K' => Message::Key(rest.long()?, rest.long()?),
        b'S' => Message::Parameter(rest.text()?, rest.text()?),
        b'Z' => match rest.take(1)? {
            &[status @ (b'I' | b'T' | b'E')] => Message::Ready(status),
            _ => return Err(Malformed),
        },
        b'T' => return Columns::read(frame.body).map(Message::Columns),
        b'D' => return Row::read(frame.body).map(Message::Row),
        b'C' => Message::Complete(rest.text()?),
        // Empty text, which has no tag.
        b'I' => Message::Complete(b""),
        b's' => Message::Suspended,
        b'E' => return Fields::read(frame.body).map(Message::Error),
        b'N' => return Fields::read(frame.body).map(|_| Message::Nothing),
        b'A' => {
            rest.long()?;
            rest.text()?;
            rest.text()?;
            Message::Nothing
        }
        b't' => {
            let count = rest.short()?;
            rest.take(4 * usize::from(count))?;
            Message::Nothing
        }
        // Parsed, bound, closed, no rows; the end of what is copied out.
        b'1' | b'2' | b'3' | b'n' | b'c' => Message::Nothing,
        b'G' => return Ok(Message::CopyIn),
        // Copying out or both ways, what comes of it, options of the protocol that the server lacks.
        b'H' | b'W' | b'd' | b'v' => return Ok(Message::Nothing),
        _ => return Err(Malformed),
    };
    rest.end(message)
}

/// An integer as the server writes it.
pub fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, &byte| {
        let digit = i64::from(byte.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        let value = value.checked_mul(10)?;
        if negative {
            value.checked_sub(digit)
        } else {
            value.checked_add(digit)
        }
    })
}

/// Writes the bytes that the text of a `bytea` stands for, in hexadecimal;
/// gives their number, None for a text of another kind.
pub fn decode_hex(text: &[u8], mut each: impl FnMut(u8)) -> Option<usize> {
    let (pairs, rest) = text.strip_prefix(b"\\x")?.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    };
    for &[high, low] in pairs {
        each(digit(high)? << 4 | digit(low)?);
    }
    Some(pairs.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PostgreSQL 15 said to `SELECT 1 AS a, NULL AS b, 'x' AS c`, to a
    /// mistake, to an INSERT, and at the start.
    const RECORDED: &[&[u8]] = &[
        b"R\0\0\0\x08\0\0\0\0S\0\0\0\x19client_encoding\0UTF8\0K\0\0\0\x0c\0\x01\x02\x03\xde\xad\xbe\xefZ\0\0\0\x05I",
        b"1\0\0\0\x042\0\0\0\x04T\0\0\0\x42\0\x03a\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0b\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0c\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0D\0\0\0\x14\0\x03\0\0\0\x011\xff\xff\xff\xff\0\0\0\x01xC\0\0\0\rSELECT 1\0Z\0\0\0\x05T",
        b"E\0\0\0\x5dSERROR\0VERROR\0C42601\0Msyntax error at or near \"selct\"\0P1\0Fscan.l\0L1188\0Rscanner_yyerror\0\0Z\0\0\0\x05E",
        b"t\0\0\0\x0e\0\x02\0\0\0\x17\0\0\0\x19n\0\0\0\x04s\0\0\0\x04C\0\0\0\x0fINSERT 0 5\0A\0\0\0\x10\0\0\x01\x02ch\0text\0",
    ];

    /// Takes messages until one is not whole; how many bytes that were.
    fn walk(received: &[u8], seen: &mut Vec<u8>) -> Result<usize, Malformed> {
        let mut taken = 0;
        while let Front::Message(frame) = Frame::read(&received[taken..], 1 << 20)? {
            match parse(frame)? {
                Message::Columns(columns) => {
                    let count = columns.count();
                    assert_eq!(columns.map(|_| 1).sum::<usize>(), count);
                    seen.extend(columns.flat_map(|column| column.name.to_vec()));
                }
                Message::Row(row) => {
                    let count = row.count();
                    assert_eq!(Iterator::count(row), count);
                }
                Message::Error(mut fields) => {
                    assert!(fields.by_ref().count() > 0);
                }
                _ => {}
            }
            seen.push(frame.kind);
            taken += frame.total();
        }
        Ok(taken)
    }

    #[test]
    fn recorded_messages_are_taken_and_every_truncation_waits() {
        for recorded in RECORDED {
            let mut seen = Vec::new();
            assert_eq!(walk(recorded, &mut seen), Ok(recorded.len()));
            for length in 0..recorded.len() {
                let taken = walk(&recorded[..length], &mut Vec::new()).unwrap();
                assert!(taken <= length);
                match Frame::read(&recorded[taken..length], 1 << 20) {
                    Ok(Front::Missing(missing)) => assert!(missing <= recorded.len() - length),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn bodies_that_are_cut_or_too_long_are_malformed() {
        for recorded in RECORDED {
            let mut rest = *recorded;
            while let Ok(Front::Message(frame)) = Frame::read(rest, 1 << 20) {
                rest = &rest[frame.total()..];
                let checked = !matches!(frame.kind, b'R' | b'I' | b's' | b'n' | b'1' | b'2');
                for length in 0..frame.body.len() {
                    let body = &frame.body[..length];
                    let result = parse(Frame { body, ..frame });
                    assert!(
                        result.is_err() || !checked,
                        "{} {length}",
                        frame.kind as char
                    );
                }
                let mut body = frame.body.to_vec();
                body.push(0);
                let result = parse(Frame {
                    body: &body,
                    ..frame
                });
                assert!(
                    result.is_err() || frame.kind == b'R',
                    "{}",
                    frame.kind as char
                );
            }
        }
    }

    #[test]
    fn lengths_are_bounded() {
        assert_eq!(Frame::read(b"D\0\0\0\x03", 100), Err(Malformed));
        assert_eq!(Frame::read(b"D\0\0\0\x69", 100), Ok(Front::TooLarge));
        assert_eq!(Frame::read(b"D\xff\xff\xff\xff", 100), Ok(Front::TooLarge));
        assert_eq!(Frame::read(b"D\0\0\0\x68", 100), Ok(Front::Missing(100)));
        // A value of more bytes than there are, and of a negative number.
        assert!(Row::read(b"\0\x01\0\0\0\x02a").is_err());
        assert!(Row::read(b"\0\x01\xff\xff\xff\xfea").is_err());
        assert!(Row::read(b"\xff\xff").is_err());
        assert!(Columns::read(b"\0\x01a").is_err());
    }

    #[test]
    fn numbers_and_bytes() {
        assert_eq!(integer(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer(b"9223372036854775807"), Some(i64::MAX));
        for bad in ["", "-", "9223372036854775808", "1a", " 1", "+1", "1.0"] {
            assert_eq!(integer(bad.as_bytes()), None);
        }
        let mut bytes = Vec::new();
        assert_eq!(decode_hex(b"\\x00fFA1", |byte| bytes.push(byte)), Some(3));
        assert_eq!(bytes, [0, 0xff, 0xa1]);
        for bad in ["", "x00", "\\x0", "\\x0g", "\\000"] {
            assert_eq!(decode_hex(bad.as_bytes(), |_| {}), None);
        }
    }
}
