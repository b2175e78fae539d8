//! Messages in a stream of bytes: a length, then as many bytes.

use super::bytes::{Bytes, Full};

/// How lengths are written, in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    pub is_big: bool,
    /// 0 for no lengths at all, 1, 2 or 4.
    pub width: usize,
    /// The most bytes of a message.
    pub most: usize,
}

/// Why options do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch;

impl Head {
    /// Lengths of `width` bytes, up to `most`, where 0 is as many as there can be.
    pub fn new(is_big: bool, width: usize, most: usize) -> Result<Head, Mismatch> {
        let limit = match width {
            0 => 0,
            1 => 0xff,
            2 => 0xffff,
            _ => 0x7fff_ffff,
        };
        if most > limit {
            return Err(Mismatch);
        }
        let most = if most == 0 { limit } else { most };
        Ok(Head {
            is_big,
            width,
            most,
        })
    }

    /// The bytes before a message of that length, which is no larger than `most`.
    pub fn write(self, length: usize) -> ([u8; 4], usize) {
        let mut head = (length as u32).to_le_bytes();
        if self.is_big {
            if let Some(head) = head.get_mut(..self.width) {
                head.reverse();
            }
        }
        (head, self.width)
    }

    /// The length that such bytes tell.
    fn read(self, head: &[u8]) -> usize {
        let add = |length, byte: &u8| length << 8 | usize::from(*byte);
        if self.is_big {
            head.iter().fold(0, add)
        } else {
            head.iter().rev().fold(0, add)
        }
    }
}

/// Why nothing more can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A message is longer than it may be.
    TooLong,
    Memory,
}

impl From<Full> for Broken {
    fn from(_: Full) -> Broken {
        Broken::Memory
    }
}

/// Bytes that came, until they are a message.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Bytes,
}

impl Reader {
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        Ok(self.bytes.append(bytes)?)
    }

    /// The next message, if all of it is there.
    pub fn next(&mut self, head: Head) -> Result<Option<Bytes>, Broken> {
        let all = self.bytes.as_slice();
        let Some(length) = all.get(..head.width).map(|bytes| head.read(bytes)) else {
            return Ok(None);
        };
        if length > head.most {
            return Err(Broken::TooLong);
        }
        if all.len() - head.width < length {
            return Ok(None);
        }
        drop(self.bytes.split(head.width));
        Ok(Some(self.bytes.split(length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_belong_to_widths() {
        assert_eq!(Head::new(false, 0, 1), Err(Mismatch));
        assert_eq!(Head::new(false, 1, 256), Err(Mismatch));
        assert_eq!(Head::new(false, 4, 0x8000_0000), Err(Mismatch));
        for (width, most) in [(0, 0), (1, 255), (2, 65535), (4, 0x7fff_ffff)] {
            assert_eq!(Head::new(true, width, 0).unwrap().most, most);
        }
        assert_eq!(Head::new(false, 2, 10).unwrap().most, 10);
    }

    #[test]
    fn lengths_come_back_whatever_the_pieces() {
        for (is_big, width) in [
            (false, 1),
            (true, 1),
            (false, 2),
            (true, 2),
            (false, 4),
            (true, 4),
        ] {
            let head = Head::new(is_big, width, 0).unwrap();
            let mut stream = Vec::new();
            let lengths = [0, 1, 200, 255];
            for length in lengths {
                let (bytes, count) = head.write(length);
                stream.extend_from_slice(&bytes[..count]);
                stream.extend(vec![length as u8; length]);
            }
            for piece in [1, 2, 3, 7, stream.len()] {
                let mut reader = Reader::default();
                let mut found = Vec::new();
                for bytes in stream.chunks(piece) {
                    reader.push(bytes).unwrap();
                    while let Some(message) = reader.next(head).unwrap() {
                        assert!(message.as_slice().iter().all(|&b| b == message.len() as u8));
                        found.push(message.len());
                    }
                }
                assert_eq!(found, lengths);
            }
        }
    }

    #[test]
    fn orders_of_bytes_differ() {
        let little = Head::new(false, 2, 0).unwrap();
        let big = Head::new(true, 2, 0).unwrap();
        assert_eq!(little.write(0x0102).0[..2], [2, 1]);
        assert_eq!(big.write(0x0102).0[..2], [1, 2]);
        assert_eq!(Head::new(true, 4, 0).unwrap().write(1).0, [0, 0, 0, 1]);
    }

    #[test]
    fn long_messages_are_refused_by_their_lengths() {
        let mut reader = Reader::default();
        reader.push(&[0xff, 0xff, 0xff, 0xff]).unwrap();
        let head = Head::new(false, 4, 0).unwrap();
        assert_eq!(reader.next(head).err(), Some(Broken::TooLong));
        let mut reader = Reader::default();
        reader.push(&[11]).unwrap();
        let head = Head::new(false, 1, 10).unwrap();
        assert_eq!(reader.next(head).err(), Some(Broken::TooLong));
        assert_eq!(reader.next(head).err(), Some(Broken::TooLong));
    }
}
