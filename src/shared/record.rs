//! Records: what one says about itself.

use super::OVERHEAD;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Boolean = 0,
    Float = 1,
    String = 2,
    Integer = 3,
}

/// Bit of the kind that says that a record does not count any more.
pub const DEAD: u32 = 0x80;

/// Fields within the record: the place of the next one of its bucket and 1, its
/// kind, lengths of key and value, when it expires.
pub const NEXT: u32 = 0;
pub const KIND: u32 = 4;
pub const KEY: u32 = 8;
pub const VALUE: u32 = 12;
pub const EXPIRY: u32 = 16;

/// A record whose bytes lie within the area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where in the area.
    pub at: u32,
    pub next: u32,
    pub kind: u32,
    pub key: u32,
    pub value: u32,
    /// In nanoseconds of the monotonic clock; 0 is never.
    pub expiry: i64,
}

impl Record {
    /// The record whose header that is, if it ends before `end`.
    pub fn read(at: u32, end: u32, header: &[u8; OVERHEAD as usize]) -> Option<Record> {
        let field = |offset: u32| {
            let bytes = header.get(offset as usize..)?.first_chunk()?;
            Some(u32::from_ne_bytes(*bytes))
        };
        let record = Record {
            at,
            next: field(NEXT)?,
            kind: field(KIND)?,
            key: field(KEY)?,
            value: field(VALUE)?,
            expiry: i64::from_ne_bytes(*header.get(EXPIRY as usize..)?.first_chunk()?),
        };
        let length = record
            .key
            .checked_add(record.value)?
            .checked_add(OVERHEAD)?;
        (at.checked_add(length)? <= end).then_some(record)
    }

    /// The header as bytes.
    pub fn header(&self) -> [u8; OVERHEAD as usize] {
        let mut bytes = [0; OVERHEAD as usize];
        let fields = [self.next, self.kind, self.key, self.value];
        let (words, expiry) = bytes.split_at_mut(EXPIRY as usize);
        for (place, field) in words.chunks_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_ne_bytes());
        }
        expiry.copy_from_slice(&self.expiry.to_ne_bytes());
        bytes
    }

    /// Bytes of the whole.
    pub fn length(&self) -> u32 {
        OVERHEAD + self.key + self.value
    }

    /// Where the next record in the area begins.
    pub fn end(&self) -> u32 {
        self.at + self.length()
    }

    /// Where its value begins.
    pub fn value_at(&self) -> u32 {
        self.at + OVERHEAD + self.key
    }

    pub fn is_dead(&self) -> bool {
        self.kind & DEAD != 0
    }

    /// Whether it counts at that time.
    pub fn is_live(&self, now: i64) -> bool {
        !self.is_dead() && (self.expiry == 0 || now <= self.expiry)
    }

    /// What its value is; None for what no version knows.
    pub fn kind(&self) -> Option<Kind> {
        Some(match self.kind {
            0 => Kind::Boolean,
            1 => Kind::Float,
            2 => Kind::String,
            3 => Kind::Integer,
            _ => return None,
        })
    }
}
