//! `eco.buffer`: a bounded byte queue that scripts fill with `read2b` and take
//! apart. Positions count from 0.

use std::cell::RefCell;
use std::ffi::CStr;

use crate::functions;
use crate::lua::{method, Error, Functions, Lua, Outcome, Returns, UserData, Word};

/// Bytes with a fixed capacity; memory is taken as it fills.
pub struct Buffer {
    capacity: usize,
    bytes: RefCell<Vec<u8>>,
}

impl Buffer {
    pub const DEFAULT_SIZE: i64 = 4096;

    /// An empty buffer; `size` bytes must be positive.
    pub fn with_capacity(size: i64) -> Result<Buffer, Error> {
        match usize::try_from(size) {
            Ok(capacity) if capacity > 0 => Ok(Buffer {
                capacity,
                bytes: RefCell::default(),
            }),
            _ => Err(Error::argument(1, "size must be positive")),
        }
    }

    /// Free room in bytes.
    pub fn room(&self) -> usize {
        self.capacity - self.len()
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.bytes.borrow().len()
    }

    /// Appends what fits; returns how much that was, None without the memory.
    pub fn append(&self, data: &[u8]) -> Option<usize> {
        let count = data.len().min(self.room());
        let mut bytes = self.bytes.borrow_mut();
        bytes.try_reserve(count).ok()?;
        bytes.extend_from_slice(&data[..count]);
        Some(count)
    }

    /// Pushes `count` bytes from `start`, or as many as there are. May raise.
    fn push_part(&self, lua: Lua, start: usize, count: usize) {
        let length = self.len();
        let end = start.saturating_add(count).min(length);
        lua.push_part(&self.bytes, start.min(length)..end);
    }

    /// Drops bytes at the front. A finaliser may have taken some meanwhile.
    fn drop_front(&self, count: usize) {
        let mut bytes = self.bytes.borrow_mut();
        let count = count.min(bytes.len());
        bytes.drain(..count);
    }

    /// A count argument: absent, negative or too large means all.
    fn count(&self, lua: Lua, index: i32) -> Result<usize, Error> {
        let count = lua.integer_or(index, -1)?;
        Ok(usize::try_from(count).map_or(self.len(), |count| count.min(self.len())))
    }

    fn data(lua: Lua, this: &Buffer) -> Outcome {
        let start = usize::try_from(lua.integer_or(2, 0)?).unwrap_or(0);
        let count = this.count(lua, 3)?;
        this.push_part(lua, start, count);
        Ok(Returns(1))
    }

    fn pull(lua: Lua, this: &Buffer) -> Outcome {
        let count = this.count(lua, 2)?;
        this.push_part(lua, 0, count);
        this.drop_front(count);
        Ok(Returns(1))
    }

    fn discard(lua: Lua, this: &Buffer) -> Outcome {
        let count = this.count(lua, 2)?;
        this.drop_front(count);
        lua.push_integer(count as i64);
        Ok(Returns(1))
    }

    fn size(lua: Lua, this: &Buffer) -> Outcome {
        lua.push_integer(this.capacity as i64);
        Ok(Returns(1))
    }

    fn length(lua: Lua, this: &Buffer) -> Outcome {
        lua.push_integer(this.len() as i64);
        Ok(Returns(1))
    }

    fn told(lua: Lua, this: &Buffer) -> Outcome {
        lua.told(&[
            Word::Text(b"eco.buffer ("),
            Word::Number(this.len() as i64),
            Word::Text(b" of "),
            Word::Number(this.capacity as i64),
            Word::Text(b" bytes)"),
        ])
    }

    fn clear(_: Lua, this: &Buffer) -> Outcome {
        *this.bytes.borrow_mut() = Vec::new();
        Ok(Returns(0))
    }

    /// Position of `needle` at or after the position at argument 2, or nil.
    fn search(&self, lua: Lua, needle: &[u8]) -> Outcome {
        let start = usize::try_from(lua.integer(2)?).unwrap_or(0);
        let found = {
            let bytes = self.bytes.borrow();
            let rest = bytes.get(start..).unwrap_or_default();
            find(rest, needle)
        };
        match found {
            Some(at) => lua.push_integer((start + at) as i64),
            None => lua.push_nil(),
        }
        Ok(Returns(1))
    }

    fn index(lua: Lua, this: &Buffer) -> Outcome {
        let needle = lua.string(3)?;
        this.search(lua, needle.get(..1).unwrap_or_default())
    }

    fn find(lua: Lua, this: &Buffer) -> Outcome {
        this.search(lua, lua.string(3)?)
    }
}

/// First position of `needle` in `haystack`; an empty needle is at 0.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let Some((&first, rest)) = needle.split_first() else {
        return Some(0);
    };
    let mut at = 0;
    loop {
        at += haystack.get(at..)?.iter().position(|&byte| byte == first)?;
        if haystack[at + 1..].starts_with(rest) {
            return Some(at);
        }
        at += 1;
    }
}

impl UserData for Buffer {
    const NAME: &'static CStr = c"eco.buffer";
    const METHODS: Functions = functions! {
        data: method(Buffer::data),
        pull: method(Buffer::pull),
        discard: method(Buffer::discard),
        size: method(Buffer::size),
        len: method(Buffer::length),
        clear: method(Buffer::clear),
        index: method(Buffer::index),
        find: method(Buffer::find),
        __tostring: method(Buffer::told),
    };
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn finds_the_first_match() {
        assert_eq!(find(b"abcabd", b"abd"), Some(3));
        assert_eq!(find(b"aab", b"ab"), Some(1));
        assert_eq!(find(b"abc", b"x"), None);
        assert_eq!(find(b"ab", b"abc"), None);
        assert_eq!(find(b"", b"a"), None);
        assert_eq!(find(b"abc", b""), Some(0));
    }
}
