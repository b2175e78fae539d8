//! A message under construction, in a room of fixed size.

use super::{align, attribute, message, part};

/// Why a part was not added; the message is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The room that was asked for is used up.
    Full,
    /// An attribute, or one around it, would be longer than its length field says.
    TooLarge,
    OutOfMemory,
}

/// A message and the attributes that are still open in it.
#[derive(Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    capacity: usize,
    /// Where attributes begin that are open, the outermost first.
    nests: Vec<usize>,
}

impl Builder {
    /// A header, with room for `size` more bytes. Memory is taken as it is used.
    pub fn new(kind: u16, flags: u16, sequence: u32, size: usize) -> Result<Builder, Refusal> {
        let mut builder = Builder {
            bytes: Vec::new(),
            capacity: align(message::HEADER.saturating_add(size)),
            nests: Vec::new(),
        };
        builder.reserve(message::HEADER)?;
        builder.bytes.extend_from_slice(&[0; 4]);
        builder.bytes.extend_from_slice(&kind.to_ne_bytes());
        builder.bytes.extend_from_slice(&flags.to_ne_bytes());
        builder.bytes.extend_from_slice(&sequence.to_ne_bytes());
        builder.bytes.extend_from_slice(&[0; 4]);
        builder.note_length();
        Ok(builder)
    }

    /// Header and all that was added.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn note_length(&mut self) {
        let length = self.bytes.len() as u32;
        if let Some(field) = self.bytes.first_chunk_mut() {
            *field = length.to_ne_bytes();
        }
    }

    fn reserve(&mut self, more: usize) -> Result<(), Refusal> {
        if more > self.capacity - self.bytes.len() {
            return Err(Refusal::Full);
        }
        self.bytes
            .try_reserve(more)
            .map_err(|_| Refusal::OutOfMemory)
    }

    /// Appends what has been made room for, and zeros up to an aligned place.
    fn append(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
        self.bytes.resize(align(self.bytes.len()), 0);
        self.note_length();
    }

    /// Makes room for `size` bytes that all open attributes will hold, too.
    fn make_room(&mut self, size: usize) -> Result<(), Refusal> {
        let lengths = self.nests.iter().map(|&start| self.length_at(start));
        if lengths
            .max()
            .is_some_and(|longest| longest.saturating_add(size) > u16::MAX.into())
        {
            return Err(Refusal::TooLarge);
        }
        self.reserve(size)
    }

    /// Appends bytes as they are, to the attributes that are open as well.
    pub fn put(&mut self, data: &[u8]) -> Result<(), Refusal> {
        let size = align(data.len());
        self.make_room(size)?;
        self.lengthen(size);
        self.append(data);
        Ok(())
    }

    /// Appends an attribute; one marked as nested stays open.
    pub fn put_attribute(&mut self, kind: u16, payload: &[u8]) -> Result<(), Refusal> {
        let length = attribute::HEADER.saturating_add(payload.len());
        if length > usize::from(u16::MAX) {
            return Err(Refusal::TooLarge);
        }
        let size = align(length);
        self.make_room(size)?;
        let start = self.bytes.len();
        let nested = kind & attribute::NESTED != 0;
        if nested {
            let room = self.nests.try_reserve(1);
            room.map_err(|_| Refusal::OutOfMemory)?;
        }
        self.lengthen(size);
        let own = if nested { size as u16 } else { length as u16 };
        self.bytes.extend_from_slice(&own.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.append(payload);
        if nested {
            self.nests.push(start);
        }
        Ok(())
    }

    /// Closes the attribute opened last, if any.
    pub fn end_nest(&mut self) {
        self.nests.pop();
    }

    fn length_at(&self, start: usize) -> usize {
        part(&self.bytes, start)
            .map_or(0, u16::from_ne_bytes)
            .into()
    }

    /// Adds to the lengths of the attributes that are open.
    fn lengthen(&mut self, size: usize) {
        for index in 0..self.nests.len() {
            let start = self.nests[index];
            let length = (self.length_at(start) + size) as u16;
            if let Some(field) = self.bytes.get_mut(start..start + 2) {
                field.copy_from_slice(&length.to_ne_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::attribute::{Attributes, NESTED};
    use super::*;

    #[test]
    fn nests_count_in_all_around_them() {
        let mut builder = Builder::new(16, 5, 0, 100).unwrap();
        builder.put(b"abcde").unwrap();
        builder.put_attribute(NESTED | 18, b"").unwrap();
        builder.put_attribute(1, b"veth").unwrap();
        builder.put_attribute(NESTED | 2, b"").unwrap();
        builder.put_attribute(7, b"x").unwrap();
        builder.end_nest();
        builder.put_attribute(8, b"").unwrap();
        builder.end_nest();
        builder.end_nest();
        builder.put_attribute(9, b"tail").unwrap();
        let bytes = builder.bytes();
        let (header, payload) = message::at(bytes, 0).unwrap();
        assert_eq!(
            (header.kind, header.flags, payload.end),
            (16, 5, bytes.len())
        );
        let outer: Vec<_> = Attributes::new(&bytes[24..]).collect();
        assert_eq!(outer.iter().map(|a| a.kind).collect::<Vec<_>>(), [18, 9]);
        let inner: Vec<_> = Attributes::new(outer[0].payload()).collect();
        assert_eq!(inner.iter().map(|a| a.kind).collect::<Vec<_>>(), [1, 2, 8]);
        let innermost: Vec<_> = Attributes::new(inner[1].payload()).collect();
        assert_eq!(innermost[0].payload(), b"x");
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let mut builder = Builder::new(16, 0, 0, 10).unwrap();
        builder.put_attribute(NESTED | 1, b"").unwrap();
        let before = builder.bytes().to_vec();
        assert_eq!(builder.put(&[0; 9]), Err(Refusal::Full));
        assert_eq!(builder.put_attribute(1, &[0; 5]), Err(Refusal::Full));
        assert_eq!(
            builder.put_attribute(1, &[0; 65532]),
            Err(Refusal::TooLarge)
        );
        assert_eq!(builder.bytes(), before);
        builder.put_attribute(2, &[1; 4]).unwrap();
        assert_eq!(builder.put(b"x"), Err(Refusal::Full));
        assert_eq!(Builder::new(1, 2, 3, 0).unwrap().bytes().len(), 16);
    }

    #[test]
    fn a_nest_is_at_most_as_long_as_its_length_field_says() {
        let mut builder = Builder::new(16, 0, 0, 1 << 20).unwrap();
        builder.put_attribute(NESTED | 1, b"").unwrap();
        builder.put_attribute(NESTED | 2, b"").unwrap();
        for _ in 0..31 {
            builder.put_attribute(3, &[0; 2044]).unwrap();
        }
        assert_eq!(builder.put_attribute(3, &[0; 2044]), Err(Refusal::TooLarge));
        builder.end_nest();
        builder.end_nest();
        builder.put_attribute(3, &[0; 65531]).unwrap();
    }
}
