//! Attributes: a number, a length and bytes. Every message of the bus is made of them.
//!
//! An attribute is a 32-bit header word, its payload, and zeros up to a multiple of four. From the top, the word holds the extended
//! flag (bit 31: the payload starts with a name, see [`crate::blobmsg`]), the id (7 bits), and the length in bytes (24 bits, with
//! the header, without the padding). Numbers are big endian. A container's payload is the attributes in it, padding included.
//!
//! Reading borrows and never fails: what cannot be an attribute ends the sequence. Writing collects the first error and reports it
//! at the end, so a finished sequence is always well formed.

mod build;

pub use build::{BuildError, Builder};

use std::fmt;

/// The most bytes a length can tell: 24 bits.
pub const MAX_LENGTH: usize = 0xff_ffff;

/// The most bytes that the outer attribute of a message may have.
pub const MAX_MESSAGE: usize = 1 << 20;

/// How deep containers may nest, in what is built here and in what is walked through here.
pub const MAX_DEPTH: usize = 128;

const HEADER: usize = 4;
const EXTENDED: u8 = 0x80;

/// The length up to the next multiple of four.
pub(crate) fn padded(length: usize) -> usize {
    (length + 3) & !3
}

/// One attribute, borrowed from the bytes it was read from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Attr<'a> {
    first: u8,
    payload: &'a [u8],
}

impl<'a> Attr<'a> {
    /// What the attribute is, 0 to 127.
    pub fn id(self) -> u8 {
        self.first & !EXTENDED
    }

    /// Whether the payload starts with a name.
    pub fn is_extended(self) -> bool {
        self.first & EXTENDED != 0
    }

    /// The bytes after the header word, without padding.
    pub fn payload(self) -> &'a [u8] {
        self.payload
    }

    /// The payload as a number, if it is exactly one byte.
    pub fn as_u8(self) -> Option<u8> {
        match self.payload {
            [byte] => Some(*byte),
            _ => None,
        }
    }

    /// The payload as a number, if it is exactly four bytes.
    pub fn as_u32(self) -> Option<u32> {
        self.payload.try_into().ok().map(u32::from_be_bytes)
    }

    /// The payload as text up to its first NUL, if it ends with one.
    pub fn as_text(self) -> Option<&'a [u8]> {
        text(self.payload)
    }

    /// The attributes inside the payload.
    pub fn children(self) -> Attrs<'a> {
        Attrs::new(self.payload)
    }
}

impl fmt::Debug for Attr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attr")
            .field("id", &self.id())
            .field("extended", &self.is_extended())
            .field("payload", &self.payload)
            .finish()
    }
}

/// Text up to its first NUL, if the bytes end with one.
pub(crate) fn text(bytes: &[u8]) -> Option<&[u8]> {
    if bytes.last() != Some(&0) {
        return None;
    }
    bytes.split(|&byte| byte == 0).next()
}

/// The attributes in a row of bytes, in order.
///
/// Ends at fewer than four bytes, at a length below four, and at an attribute whose padded length exceeds what is left.
///
/// ```
/// use ubus::blob::Attrs;
///
/// let bytes = [1, 0, 0, 8, 0, 0, 0, 4, 2, 0, 0, 6, b'a', 0, 0, 0];
/// let mut attrs = Attrs::new(&bytes);
/// assert_eq!(attrs.next().unwrap().as_u32(), Some(4));
/// assert_eq!(attrs.next().unwrap().as_text(), Some(&b"a"[..]));
/// assert!(attrs.next().is_none());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Attrs<'a> {
    rest: &'a [u8],
}

impl<'a> Attrs<'a> {
    /// Reads from `bytes`.
    pub fn new(bytes: &'a [u8]) -> Attrs<'a> {
        Attrs { rest: bytes }
    }

    /// The bytes not read yet.
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Attrs<'a> {
    type Item = Attr<'a>;

    fn next(&mut self) -> Option<Attr<'a>> {
        let rest = std::mem::take(&mut self.rest);
        let word = u32::from_be_bytes(*rest.first_chunk()?);
        let length = word as usize & MAX_LENGTH;
        let payload = rest.get(HEADER..length)?;
        self.rest = rest.get(padded(length)..)?;
        Some(Attr {
            first: (word >> 24) as u8,
            payload,
        })
    }
}

#[cfg(test)]
mod tests;
