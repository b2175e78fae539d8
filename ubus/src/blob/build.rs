//! Writes attributes: the first error is kept and reported at the end, so what is finished is well formed.

use super::{padded, EXTENDED, HEADER, MAX_DEPTH, MAX_LENGTH};
use std::fmt;

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

    /// An empty sequence in memory that was used before.
    pub(crate) fn reusing(mut memory: Vec<u8>, limit: usize) -> Builder {
        memory.clear();
        Builder {
            bytes: memory,
            ..Builder::with_limit(limit)
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
