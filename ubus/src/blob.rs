//! Attributes: a number, a length and bytes. Every message of the bus is made of them.
//!
//! An attribute is a 32-bit header word, its payload, and zeros up to a multiple of four. From the top, the word holds the extended
//! flag (bit 31: the payload starts with a name, see [`crate::blobmsg`]), the id (7 bits), and the length in bytes (24 bits, with
//! the header, without the padding). Numbers are big endian. A container's payload is the attributes in it, padding included.
//!
//! Reading borrows and never fails: what cannot be an attribute ends the sequence. Writing collects the first error and reports it
//! at the end, so a finished sequence is always well formed.

use std::fmt;

/// The most bytes a length can tell: 24 bits.
pub const MAX_LENGTH: usize = 0xff_ffff;

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

/// Why something could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildError {
    /// More bytes than fit.
    TooLong {
        /// How many would have been allowed.
        limit: usize,
    },
    /// A name of more than 65535 bytes.
    NameTooLong {
        /// Its bytes.
        length: usize,
    },
    /// A NUL inside a text or a name, where the reader would take it for the end.
    Nul,
    /// More than [`MAX_DEPTH`] containers inside each other.
    TooDeep,
    /// A container closed that was not open, or left open.
    Unbalanced,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::TooLong { limit } => write!(f, "message of more than {limit} bytes"),
            BuildError::NameTooLong { length } => write!(f, "name of {length} bytes"),
            BuildError::Nul => f.write_str("NUL byte inside a text"),
            BuildError::TooDeep => write!(f, "more than {MAX_DEPTH} nested tables"),
            BuildError::Unbalanced => f.write_str("tables opened and closed do not match"),
        }
    }
}

impl std::error::Error for BuildError {}

/// Writes attributes one after the other.
///
/// The first error is kept, later calls do nothing, and [`Builder::finish`] reports it.
///
/// ```
/// use ubus::blob::Builder;
///
/// let mut builder = Builder::new();
/// builder.u32(1, 4).open(2).text(3, b"a").close();
/// assert_eq!(
///     builder.finish().unwrap(),
///     [1, 0, 0, 8, 0, 0, 0, 4, 2, 0, 0, 12, 3, 0, 0, 6, b'a', 0, 0, 0],
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    /// Where the innermost open container starts, plus one. While it is open the length in its header is this same number of the
    /// container around it, so no list of open ones is needed.
    open: usize,
    depth: usize,
    limit: usize,
    error: Option<BuildError>,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// An empty sequence.
    pub fn new() -> Builder {
        Builder::with_limit(MAX_LENGTH)
    }

    /// An empty sequence that may grow to `limit` bytes, at most [`MAX_LENGTH`].
    pub fn with_limit(limit: usize) -> Builder {
        Builder {
            bytes: Vec::new(),
            open: 0,
            depth: 0,
            limit: limit.min(MAX_LENGTH),
            error: None,
        }
    }

    /// Adds an attribute.
    pub fn bytes(&mut self, id: u8, payload: &[u8]) -> &mut Builder {
        self.put(id & !EXTENDED, None, payload, false)
    }

    /// Adds a one-byte number.
    pub fn u8(&mut self, id: u8, value: u8) -> &mut Builder {
        self.bytes(id, &[value])
    }

    /// Adds a four-byte number.
    pub fn u32(&mut self, id: u8, value: u32) -> &mut Builder {
        self.bytes(id, &value.to_be_bytes())
    }

    /// Adds text, without its final NUL.
    pub fn text(&mut self, id: u8, text: &[u8]) -> &mut Builder {
        self.put(id & !EXTENDED, None, text, true)
    }

    /// Adds an attribute with a name; `is_text` adds a final NUL and refuses others.
    pub(crate) fn named(&mut self, id: u8, name: &[u8], value: &[u8], is_text: bool) {
        self.put(id | EXTENDED, Some(name), value, is_text);
    }

    /// Starts a container: what follows is in it, up to [`Builder::close`].
    pub fn open(&mut self, id: u8) -> &mut Builder {
        self.open_container(id & !EXTENDED, None)
    }

    /// Starts a container with a name.
    pub(crate) fn open_named(&mut self, id: u8, name: &[u8]) {
        self.open_container(id | EXTENDED, Some(name));
    }

    /// Ends the container opened last.
    pub fn close(&mut self) -> &mut Builder {
        if self.error.is_some() {
            return self;
        }
        let Some(start) = self.open.checked_sub(1) else {
            return self.fail(BuildError::Unbalanced);
        };
        let length = self.bytes.len() - start;
        if let Some(word) = self
            .bytes
            .get_mut(start..)
            .and_then(|at| at.first_chunk_mut())
        {
            let old = u32::from_be_bytes(*word);
            *word = (old & !(MAX_LENGTH as u32) | length as u32).to_be_bytes();
            self.open = old as usize & MAX_LENGTH;
            self.depth -= 1;
        }
        self
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The first error, if there was one.
    pub fn error(&self) -> Option<BuildError> {
        self.error
    }

    /// The attributes built, for a reader or as the payload of another attribute.
    pub fn finish(self) -> Result<Vec<u8>, BuildError> {
        match self.error {
            Some(error) => Err(error),
            None if self.open != 0 => Err(BuildError::Unbalanced),
            None => Ok(self.bytes),
        }
    }

    pub(crate) fn fail(&mut self, error: BuildError) -> &mut Builder {
        self.error.get_or_insert(error);
        self
    }

    fn open_container(&mut self, first: u8, name: Option<&[u8]>) -> &mut Builder {
        if self.depth == MAX_DEPTH {
            return self.fail(BuildError::TooDeep);
        }
        let start = self.bytes.len();
        self.put(first, name, &[], false);
        if self.error.is_none() {
            let link = (u32::from(first) << 24) | self.open as u32;
            if let Some(word) = self
                .bytes
                .get_mut(start..)
                .and_then(|at| at.first_chunk_mut())
            {
                *word = link.to_be_bytes();
            }
            self.open = start + 1;
            self.depth += 1;
        }
        self
    }

    fn put(&mut self, first: u8, name: Option<&[u8]>, value: &[u8], is_text: bool) -> &mut Builder {
        if self.error.is_some() {
            return self;
        }
        let mut name_header = 0;
        if let Some(name) = name {
            if name.len() > usize::from(u16::MAX) {
                return self.fail(BuildError::NameTooLong { length: name.len() });
            }
            name_header = padded(2 + name.len() + 1);
        }
        let length = HEADER + name_header + value.len() + usize::from(is_text);
        if length > self.limit || padded(length) > self.limit - self.bytes.len() {
            return self.fail(BuildError::TooLong { limit: self.limit });
        }
        if contains_nul(name.unwrap_or_default()) || is_text && contains_nul(value) {
            return self.fail(BuildError::Nul);
        }
        let start = self.bytes.len();
        self.bytes.reserve(padded(length));
        let word = (u32::from(first) << 24) | length as u32;
        self.bytes.extend_from_slice(&word.to_be_bytes());
        if let Some(name) = name {
            self.bytes
                .extend_from_slice(&(name.len() as u16).to_be_bytes());
            self.bytes.extend_from_slice(name);
            self.bytes.resize(start + HEADER + name_header, 0);
        }
        self.bytes.extend_from_slice(value);
        self.bytes.resize(start + padded(length), 0);
        self
    }
}

fn contains_nul(bytes: &[u8]) -> bool {
    bytes.iter().any(|&byte| byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ends_where_no_attribute_can_be() {
        let good = [1, 0, 0, 8, 0, 0, 0, 4, 2, 0, 0, 6, b'a', 0, 0, 0];
        assert_eq!(Attrs::new(&good).count(), 2);
        for length in 0..good.len() {
            let expected = if length < 8 { 0 } else { 1 };
            assert_eq!(Attrs::new(&good[..length]).count(), expected, "{length}");
        }
        for length in 0..4 {
            assert_eq!(Attrs::new(&[1, 0, 0, length]).count(), 0);
        }
        assert_eq!(Attrs::new(&[0xff; 64]).count(), 0);
    }

    #[test]
    fn numbers_have_exactly_their_size() {
        let mut builder = Builder::new();
        builder.u8(9, 1).u32(3, 0x8000_0001).bytes(4, b"ab");
        let bytes = builder.finish().unwrap();
        let attrs: Vec<_> = Attrs::new(&bytes).collect();
        assert_eq!((attrs[0].as_u8(), attrs[0].as_u32()), (Some(1), None));
        assert_eq!(
            (attrs[1].as_u8(), attrs[1].as_u32()),
            (None, Some(0x8000_0001))
        );
        assert_eq!((attrs[2].as_u8(), attrs[2].as_u32()), (None, None));
        assert_eq!(attrs[2].as_text(), None);
    }

    #[test]
    fn text_ends_at_its_first_nul() {
        assert_eq!(text(b""), None);
        assert_eq!(text(b"\0"), Some(&b""[..]));
        assert_eq!(text(b"ab\0"), Some(&b"ab"[..]));
        assert_eq!(text(b"a\0b\0"), Some(&b"a"[..]));
        assert_eq!(text(b"a\0b"), None);
    }

    #[test]
    fn nested_containers_tell_their_length() {
        let mut builder = Builder::new();
        builder
            .open(1)
            .open(2)
            .u8(3, 7)
            .close()
            .u8(4, 8)
            .close()
            .u8(5, 9);
        let bytes = builder.finish().unwrap();
        let outer = Attrs::new(&bytes).next().unwrap();
        let inner = outer.children().next().unwrap();
        assert_eq!((outer.id(), inner.id()), (1, 2));
        assert_eq!(inner.children().next().unwrap().as_u8(), Some(7));
        assert_eq!(outer.children().nth(1).unwrap().as_u8(), Some(8));
        assert_eq!(Attrs::new(&bytes).nth(1).unwrap().as_u8(), Some(9));
    }

    #[test]
    fn the_first_error_is_reported() {
        fn finish(build: fn(&mut Builder) -> &mut Builder) -> Result<Vec<u8>, BuildError> {
            let mut builder = Builder::with_limit(64);
            build(&mut builder);
            builder.finish()
        }
        let too_long = Err(BuildError::TooLong { limit: 64 });
        assert!(finish(|b| b.bytes(1, &[0; 60])).is_ok());
        assert_eq!(finish(|b| b.bytes(1, &[0; 61])), too_long);
        assert_eq!(finish(|b| b.text(1, &[b'a'; 60])), too_long);
        assert_eq!(finish(|b| b.bytes(1, &[0; 61]).close()), too_long);
        assert_eq!(finish(|b| b.text(1, b"a\0b")), Err(BuildError::Nul));
        assert_eq!(finish(|b| b.close()), Err(BuildError::Unbalanced));
        assert_eq!(finish(|b| b.open(1)), Err(BuildError::Unbalanced));
        let mut builder = Builder::new();
        builder.named(1, &vec![b'n'; 65536], &[], false);
        let error = BuildError::NameTooLong { length: 65536 };
        assert_eq!(builder.finish(), Err(error));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| {
            let mut builder = Builder::new();
            (0..depth).for_each(|_| {
                builder.open(1);
            });
            (0..depth).for_each(|_| {
                builder.close();
            });
            builder.finish()
        };
        assert_eq!(nested(MAX_DEPTH).unwrap().len(), 4 * MAX_DEPTH);
        assert_eq!(nested(MAX_DEPTH + 1), Err(BuildError::TooDeep));
    }

    #[test]
    fn nothing_is_longer_than_a_length_can_tell() {
        let mut builder = Builder::with_limit(usize::MAX);
        builder.open(1).bytes(2, &vec![0; MAX_LENGTH]).close();
        assert_eq!(
            builder.finish(),
            Err(BuildError::TooLong { limit: MAX_LENGTH })
        );
    }
}
