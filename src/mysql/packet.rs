//! Packets of a server. Every length is checked against what is there.

/// A packet that breaks the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// What a packet begins with: its length and its number.
pub const HEADER: usize = 4;

/// The longest packet; one that long goes on in the next.
pub const WHOLE: usize = 0xff_ffff;

/// The packet at the front of received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front<'a> {
    /// So many bytes more belong to it, at least.
    Missing(usize),
    /// More than the limit: it is not waited for.
    TooLarge,
    Packet {
        body: &'a [u8],
        /// Number of the last of its parts.
        number: u8,
        /// From its first byte to its last.
        total: usize,
    },
    /// The same in several parts: how many bytes these are, headers and all.
    Parts { number: u8, total: usize },
}

fn header(bytes: &[u8]) -> Option<(usize, u8)> {
    let &[a, b, c, number] = bytes.first_chunk::<HEADER>()?;
    Some((u32::from_le_bytes([a, b, c, 0]) as usize, number))
}

/// Looks for a packet of `largest` bytes at most; `number` is that of its first
/// part.
pub fn front(received: &[u8], largest: usize, mut number: u8) -> Result<Front<'_>, Malformed> {
    let (mut at, mut size) = (0, 0);
    loop {
        let rest = received.get(at..).unwrap_or_default();
        let Some((length, found)) = header(rest) else {
            return Ok(Front::Missing(HEADER - rest.len()));
        };
        if found != number {
            return Err(Malformed);
        }
        size += length;
        if size > largest {
            return Ok(Front::TooLarge);
        }
        let Some(body) = rest.get(HEADER..HEADER + length) else {
            return Ok(Front::Missing(HEADER + length - rest.len()));
        };
        at += HEADER + length;
        if length < WHOLE {
            return Ok(if at == HEADER + size {
                Front::Packet {
                    body,
                    number,
                    total: at,
                }
            } else {
                Front::Parts { number, total: at }
            });
        }
        number = number.wrapping_add(1);
    }
}

/// Adds the bodies of a packet's parts to `whole`; false when there is no memory.
pub fn join(mut parts: &[u8], whole: &mut Vec<u8>) -> bool {
    while let Some((length, _)) = header(parts) {
        let end = (HEADER + length).min(parts.len());
        let (part, rest) = parts.split_at(end);
        let body = part.get(HEADER..).unwrap_or_default();
        if whole.try_reserve(body.len()).is_err() {
            return false;
        }
        whole.extend_from_slice(body);
        parts = rest;
    }
    true
}

/// What is left of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (&bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn short(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn long(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// A number of one to nine bytes.
    pub fn number(&mut self) -> Result<u64, Malformed> {
        match self.byte()? {
            byte @ ..=0xfa => Ok(byte.into()),
            0xfc => self.short().map(u64::from),
            0xfd => self
                .array()
                .map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]).into()),
            0xfe => self.array().map(u64::from_le_bytes),
            _ => Err(Malformed),
        }
    }

    /// A text behind its length.
    pub fn text(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.number()?).map_err(|_| Malformed)?;
        self.take(length)
    }

    /// A text before a NUL, or, with `open`, the end.
    pub fn until_nul(&mut self, open: bool) -> Result<&'a [u8], Malformed> {
        match self.0.iter().position(|&byte| byte == 0) {
            Some(length) => {
                let text = self.take(length)?;
                self.take(1)?;
                Ok(text)
            }
            None if open => self.take(self.0.len()),
            None => Err(Malformed),
        }
    }

    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

/// Capabilities.
pub const LONG_PASSWORD: u32 = 1;
pub const LONG_FLAG: u32 = 4;
pub const WITH_DATABASE: u32 = 8;
pub const PROTOCOL_41: u32 = 1 << 9;
pub const TLS: u32 = 1 << 11;
pub const TRANSACTIONS: u32 = 1 << 13;
pub const SECURE_CONNECTION: u32 = 1 << 15;
pub const PLUGINS: u32 = 1 << 19;

/// States of the server that come with answers.
pub const IN_TRANSACTION: u16 = 1;
pub const MORE_RESULTS: u16 = 8;
pub const CURSOR: u16 = 0x40;
pub const LAST_ROW: u16 = 0x80;

/// What a server begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting<'a> {
    pub version: &'a [u8],
    /// Number of the connection.
    pub id: u32,
    pub capabilities: u32,
    /// What a password is mixed with.
    pub salt: [u8; 20],
    /// How it is.
    pub plugin: &'a [u8],
}

impl<'a> Greeting<'a> {
    pub fn read(body: &'a [u8]) -> Result<Greeting<'a>, Malformed> {
        let mut rest = Bytes(body);
        if rest.byte()? != 10 {
            return Err(Malformed);
        }
        let version = rest.until_nul(false)?;
        let id = rest.long()?;
        let mut salt = [0; 20];
        salt[..8].copy_from_slice(&rest.array::<8>()?);
        rest.take(1)?;
        let low = rest.short()?;
        // Character set and state.
        rest.take(3)?;
        let capabilities = u32::from(low) | u32::from(rest.short()?) << 16;
        let length = usize::from(rest.byte()?);
        rest.take(10)?;
        if capabilities & SECURE_CONNECTION == 0 || capabilities & PROTOCOL_41 == 0 {
            return Err(Malformed);
        }
        let second = rest.take(length.saturating_sub(8).max(13))?;
        salt[8..].copy_from_slice(second.get(..12).ok_or(Malformed)?);
        let plugin = if capabilities & PLUGINS != 0 {
            rest.until_nul(true)?
        } else {
            b"mysql_native_password"
        };
        Ok(Greeting {
            version,
            id,
            capabilities,
            salt,
            plugin,
        })
    }
}

/// The end of something that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    pub affected: u64,
    pub id: u64,
    pub state: u16,
}

impl Done {
    /// Reads what begins with 0.
    pub fn read(body: &[u8]) -> Result<Done, Malformed> {
        let mut rest = Bytes(body);
        rest.take(1)?;
        let done = Done {
            affected: rest.number()?,
            id: rest.number()?,
            state: rest.short()?,
        };
        // Number of warnings; then perhaps a message.
        rest.short()?;
        Ok(done)
    }
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem<'a> {
    pub number: u16,
    /// Five characters, or none.
    pub state: &'a [u8],
    pub message: &'a [u8],
}

impl<'a> Problem<'a> {
    /// Reads what begins with 0xff.
    pub fn read(body: &'a [u8]) -> Result<Problem<'a>, Malformed> {
        let mut rest = Bytes(body);
        rest.take(1)?;
        let number = rest.short()?;
        let mut state: &[u8] = b"";
        if rest.0.first() == Some(&b'#') {
            state = rest.take(6)?.get(1..).unwrap_or_default();
        }
        Ok(Problem {
            number,
            state,
            message: rest.0,
        })
    }
}

/// The state of the server, if the packet ends columns or rows.
pub fn end_of_part(body: &[u8]) -> Option<Result<u16, Malformed>> {
    if body.first() != Some(&0xfe) || body.len() >= 9 {
        return None;
    }
    let mut rest = Bytes(body);
    Some(rest.take(3).and_then(|_| rest.short()))
}

/// A column of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    pub name: &'a [u8],
    /// Number of its type.
    pub kind: u8,
    pub unsigned: bool,
    /// Digits behind the point.
    pub decimals: u8,
}

impl<'a> Column<'a> {
    pub fn read(body: &'a [u8]) -> Result<Column<'a>, Malformed> {
        let mut rest = Bytes(body);
        // Catalog, database, table as named here and there.
        for _ in 0..4 {
            rest.text()?;
        }
        let name = rest.text()?;
        rest.text()?;
        // Length of what follows.
        if rest.number()? < 12 {
            return Err(Malformed);
        }
        // Character set and width.
        rest.take(6)?;
        let kind = rest.byte()?;
        let flags = rest.short()?;
        let decimals = rest.byte()?;
        Ok(Column {
            name,
            kind,
            unsigned: flags & 32 != 0,
            decimals,
        })
    }
}

/// What preparing a statement gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    pub id: u32,
    pub columns: u16,
    pub parameters: u16,
}

impl Prepared {
    /// Reads what begins with 0.
    pub fn read(body: &[u8]) -> Result<Prepared, Malformed> {
        let mut rest = Bytes(body);
        rest.take(1)?;
        let prepared = Prepared {
            id: rest.long()?,
            columns: rest.short()?,
            parameters: rest.short()?,
        };
        // A filler, and the number of warnings.
        rest.take(3)?;
        Ok(prepared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The greeting of MariaDB 10.11.
    const GREETING: &[u8] = b"\n5.5.5-10.11.6-MariaDB\0\x05\0\0\0abcdefgh\0\xfe\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0";
    const COLUMN: &[u8] = b"\x03def\0\x01t\x01u\x02id\x02ix\x0c\x3f\0\x0b\0\0\0\x03\x23\x42\0\0\0";

    #[test]
    fn packets_are_taken_and_every_truncation_waits() {
        let bytes = b"\x05\0\0\x01hello\x01";
        assert_eq!(
            front(bytes, 100, 1),
            Ok(Front::Packet {
                body: b"hello",
                number: 1,
                total: 9
            })
        );
        for length in 0..9 {
            match front(&bytes[..length], 100, 1) {
                Ok(Front::Missing(missing)) => assert!(length + missing <= 9 && missing > 0),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(front(bytes, 100, 2), Err(Malformed));
        assert_eq!(front(bytes, 4, 1), Ok(Front::TooLarge));
        assert_eq!(front(b"\xff\xff\xff\x01", 1 << 20, 1), Ok(Front::TooLarge));
    }

    #[test]
    fn long_packets_are_joined() {
        let mut bytes = b"\xff\xff\xff\x07".to_vec();
        bytes.resize(HEADER + WHOLE, b'a');
        bytes.extend_from_slice(b"\x02\0\0\x08bc\x01");
        let total = HEADER + WHOLE + 6;
        let found = front(&bytes, 1 << 25, 7);
        assert_eq!(found, Ok(Front::Parts { number: 8, total }));
        let mut whole = Vec::new();
        assert!(join(&bytes[..total], &mut whole));
        assert_eq!(whole.len(), WHOLE + 2);
        assert!(whole.ends_with(b"abc"));
        assert_eq!(front(&bytes, WHOLE + 1, 7), Ok(Front::TooLarge));
        for length in [total - 1, total - 3, HEADER + WHOLE] {
            let found = front(&bytes[..length], 1 << 25, 7);
            assert!(matches!(found, Ok(Front::Missing(_))), "{found:?}");
        }
        // Exactly as long as a part: an empty one ends it.
        bytes.truncate(HEADER + WHOLE);
        bytes.extend_from_slice(b"\0\0\0\x08");
        let total = bytes.len();
        let found = front(&bytes, 1 << 25, 7);
        assert_eq!(found, Ok(Front::Parts { number: 8, total }));
    }

    #[test]
    fn packets_are_read_and_cut_ones_refused() {
        let greeting = Greeting::read(GREETING).unwrap();
        assert_eq!(greeting.version, b"5.5.5-10.11.6-MariaDB");
        assert_eq!(greeting.id, 5);
        assert_eq!(&greeting.salt, b"abcdefghijklmnopqrst");
        assert_eq!(greeting.plugin, b"mysql_native_password");
        let column = Column {
            name: b"id",
            kind: 3,
            unsigned: true,
            decimals: 0,
        };
        assert_eq!(Column::read(COLUMN), Ok(column));
        let done = Done {
            affected: 300,
            id: 7,
            state: 2,
        };
        assert_eq!(Done::read(b"\0\xfc\x2c\x01\x07\x02\0\0\0"), Ok(done));
        let problem = Problem {
            number: 1064,
            state: b"42000",
            message: b"no",
        };
        assert_eq!(Problem::read(b"\xff\x28\x04#42000no"), Ok(problem));
        assert_eq!(Problem::read(b"\xff\x28\x04no").unwrap().message, b"no");
        let prepared = Prepared {
            id: 9,
            columns: 1,
            parameters: 2,
        };
        assert_eq!(
            Prepared::read(b"\0\x09\0\0\0\x01\0\x02\0\0\0\0"),
            Ok(prepared)
        );
        assert_eq!(end_of_part(b"\xfe\0\0\x22\0"), Some(Ok(0x22)));
        assert_eq!(end_of_part(b"\xfe\0\0\x22"), Some(Err(Malformed)));
        assert_eq!(end_of_part(b"\xfe\0\0\0\0\0\0\0\0"), None);
        for length in 0..GREETING.len() - 23 {
            assert!(Greeting::read(&GREETING[..length]).is_err(), "{length}");
        }
        for length in 0..COLUMN.len() - 2 {
            assert!(Column::read(&COLUMN[..length]).is_err(), "{length}");
        }
        for length in 0..9 {
            let cut = &b"\0\xfc\x2c\x01\x07\x02\0\0\0"[..length];
            assert!(Done::read(cut).is_err(), "{length}");
        }
        for length in 0..12 {
            let cut = &b"\0\x09\0\0\0\x01\0\x02\0\0\0\0"[..length];
            assert!(Prepared::read(cut).is_err(), "{length}");
        }
    }

    #[test]
    fn numbers_have_one_to_nine_bytes() {
        for (bytes, value) in [
            (&b"\xfa"[..], Ok(250)),
            (b"\xfc\xff\xff", Ok(65535)),
            (b"\xfd\0\0\x01", Ok(65536)),
            (b"\xfe\0\0\0\0\0\0\0\x80", Ok(1 << 63)),
            (b"\xfb", Err(Malformed)),
            (b"\xff", Err(Malformed)),
            (b"\xfc\xff", Err(Malformed)),
            (b"\xfd\xff\xff", Err(Malformed)),
            (b"\xfe\0\0\0\0\0\0\0", Err(Malformed)),
            (b"", Err(Malformed)),
        ] {
            assert_eq!(Bytes(bytes).number(), value);
        }
        assert_eq!(
            Bytes(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xffx").text(),
            Err(Malformed)
        );
    }
}
