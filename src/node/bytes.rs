//! Bytes that many hold, and that are copied when one of them changes them.

use std::sync::Arc;

/// There is no memory, or there would be more bytes than may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Most bytes of one.
pub const LONGEST: usize = 0x7fff_ffff;
/// Room that one has to grow before it is written to.
const SPARE: usize = 32;

/// A part of a block that others may hold, too.
#[derive(Clone, Debug, Default)]
pub struct Bytes {
    block: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

fn copied(parts: [&[u8]; 2], room: usize) -> Result<Vec<u8>, Full> {
    let mut copy = Vec::new();
    let length: usize = parts.iter().map(|part| part.len()).sum();
    copy.try_reserve_exact(length.max(room)).map_err(|_| Full)?;
    for part in parts {
        copy.extend_from_slice(part);
    }
    Ok(copy)
}

impl Bytes {
    /// A copy of these bytes, with room for so many in all.
    pub fn new(bytes: &[u8], room: usize) -> Result<Bytes, Full> {
        if bytes.len() > LONGEST || room > LONGEST {
            return Err(Full);
        }
        let room = room.max((bytes.len() + SPARE).min(LONGEST));
        Ok(Bytes::from(copied([bytes, &[]], room)?))
    }

    pub fn as_slice(&self) -> &[u8] {
        self.block.get(self.start..self.end).unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// How many more it takes without moving.
    pub fn spare(&self) -> usize {
        let capacity = self.block.capacity().min(LONGEST);
        capacity - self.end.min(capacity)
    }

    /// Appends a copy of the bytes; others do not see them.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let length = self.len().checked_add(bytes.len()).ok_or(Full)?;
        if length > LONGEST {
            return Err(Full);
        }
        let end = self.end;
        if let Some(block) = Arc::get_mut(&mut self.block) {
            block.truncate(end);
            if self.start > 0 && block.capacity() - block.len() < bytes.len() {
                block.drain(..self.start);
                (self.start, self.end) = (0, end - self.start);
            }
            block.try_reserve(bytes.len()).map_err(|_| Full)?;
            block.extend_from_slice(bytes);
            self.end += bytes.len();
            return Ok(());
        }
        let room = length.saturating_mul(2).clamp(SPARE, LONGEST);
        *self = Bytes::from(copied([self.as_slice(), bytes], room)?);
        Ok(())
    }

    /// Takes the first bytes away, as one of their own that shares the block.
    pub fn split(&mut self, count: usize) -> Bytes {
        let middle = self.start + count.min(self.len());
        let front = Bytes {
            block: Arc::clone(&self.block),
            start: self.start,
            end: middle,
        };
        self.start = middle;
        front
    }

    /// Removes bytes; how many that were.
    pub fn remove(&mut self, position: usize, count: usize) -> Result<usize, Full> {
        let position = position.min(self.len());
        let count = count.min(self.len() - position);
        if position == 0 {
            self.start += count;
        } else if position + count == self.len() {
            self.end -= count;
        } else if count > 0 {
            let all = self.as_slice();
            let (front, rest) = all.split_at(position);
            let rest = rest.get(count..).unwrap_or_default();
            *self = Bytes::from(copied([front, rest], 0)?);
        }
        Ok(count)
    }

    /// The place of the first such part.
    pub fn find(&self, part: &[u8]) -> Option<usize> {
        let Some((first, _)) = part.split_first() else {
            return Some(0);
        };
        let all = self.as_slice();
        let mut from = 0;
        while let Some(rest) = all.get(from..).filter(|rest| rest.len() >= part.len()) {
            let place = rest.iter().position(|byte| byte == first)?;
            if rest.get(place..)?.starts_with(part) {
                return Some(from + place);
            }
            from += place + 1;
        }
        None
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(block: Vec<u8>) -> Bytes {
        let end = block.len();
        Bytes {
            block: Arc::new(block),
            start: 0,
            end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_not_changed_by_the_other() {
        let mut first = Bytes::new(b"abc", 0).unwrap();
        let second = first.clone();
        let mut third = first.clone();
        first.append(b"def").unwrap();
        third.remove(1, 1).unwrap();
        assert_eq!(first.as_slice(), b"abcdef");
        assert_eq!(second.as_slice(), b"abc");
        assert_eq!(third.as_slice(), b"ac");
    }

    #[test]
    fn parts_share_the_block_until_one_grows() {
        let mut all = Bytes::new(b"headtail", 0).unwrap();
        let mut head = all.split(4);
        assert_eq!(
            (head.as_slice(), all.as_slice()),
            (&b"head"[..], &b"tail"[..])
        );
        assert!(Arc::ptr_eq(&head.block, &all.block));
        head.append(b"er").unwrap();
        all.append(b"s").unwrap();
        assert_eq!(
            (head.as_slice(), all.as_slice()),
            (&b"header"[..], &b"tails"[..])
        );
        assert_eq!(all.split(100).as_slice(), b"tails");
        assert_eq!(all.split(1).len(), 0);
    }

    #[test]
    fn what_was_cut_off_behind_does_not_come_back() {
        let mut bytes = Bytes::new(b"abcdef", 0).unwrap();
        assert_eq!(bytes.remove(3, usize::MAX), Ok(3));
        bytes.append(b"X").unwrap();
        assert_eq!(bytes.as_slice(), b"abcX");
    }

    #[test]
    fn a_queue_of_bytes_does_not_grow() {
        let mut bytes = Bytes::new(b"", 0).unwrap();
        for _ in 0..10_000 {
            bytes.append(&[1; 100]).unwrap();
            drop(bytes.split(100));
        }
        assert!(bytes.block.capacity() < 1000, "{}", bytes.block.capacity());
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(Bytes::new(b"", LONGEST + 1).err(), Some(Full));
        let bytes = Bytes::new(b"ab", 100).unwrap();
        assert_eq!(bytes.spare(), 98);
        assert_eq!(Bytes::new(b"", 0).unwrap().spare(), SPARE);
    }

    #[test]
    fn parts_are_found() {
        let bytes = Bytes::new(b"a\0ab\0b", 0).unwrap();
        assert_eq!(bytes.find(b""), Some(0));
        assert_eq!(bytes.find(b"ab"), Some(2));
        assert_eq!(bytes.find(b"\0b"), Some(4));
        assert_eq!(bytes.find(b"b\0b!"), None);
    }
}
