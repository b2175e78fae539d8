//! One datagram holds one message or more, each behind a `struct nlmsghdr`.

use std::ops::Range;

use super::{align, part};

/// Bytes of `struct nlmsghdr`.
pub const HEADER: usize = 16;
/// Bytes of `struct nlmsgerr`: an error number and the header it is about.
pub const ERROR: usize = 4 + HEADER;

/// Types below this one mean the same in every protocol.
pub const FIRST_TYPE: u16 = 16;
pub const TYPE_ERROR: u16 = 2;

/// `struct nlmsghdr`, without the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    /// The port of whoever asked.
    pub port: u32,
}

/// The message at `start` of a datagram: its header, and where its payload
/// lies. None at the end, and where no whole message follows.
pub fn at(datagram: &[u8], start: usize) -> Option<(Header, Range<usize>)> {
    let length = u32::from_ne_bytes(part(datagram, start)?) as usize;
    if length < HEADER || length > datagram.len() - start {
        return None;
    }
    let header = Header {
        kind: u16::from_ne_bytes(part(datagram, start + 4)?),
        flags: u16::from_ne_bytes(part(datagram, start + 6)?),
        sequence: u32::from_ne_bytes(part(datagram, start + 8)?),
        port: u32::from_ne_bytes(part(datagram, start + 12)?),
    };
    Some((header, start + HEADER..start + length))
}

/// Where the message behind a payload that ends at `end` begins.
pub fn next(end: usize) -> usize {
    align(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: u32, kind: u16) -> Vec<u8> {
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(0x301_u16.to_ne_bytes());
        bytes.extend(7_u32.to_ne_bytes());
        bytes.extend(9_u32.to_ne_bytes());
        bytes
    }

    #[test]
    fn messages_follow_each_other_at_aligned_places() {
        let mut datagram = message(17, 20);
        datagram.extend(*b"x\0\0\0");
        datagram.extend(message(16, 3));
        let (header, payload) = at(&datagram, 0).unwrap();
        assert_eq!(
            header,
            Header {
                kind: 20,
                flags: 0x301,
                sequence: 7,
                port: 9
            }
        );
        assert_eq!(&datagram[payload.clone()], b"x");
        let (header, payload) = at(&datagram, next(payload.end)).unwrap();
        assert_eq!((header.kind, payload.is_empty()), (3, true));
        assert_eq!(at(&datagram, next(payload.end)), None);
    }

    #[test]
    fn a_message_that_is_not_whole_is_none() {
        let mut whole = message(20, 20);
        whole.extend(*b"data");
        for length in 0..whole.len() {
            assert_eq!(at(&whole[..length], 0), None);
        }
        for length in [0, 15, 21, u32::MAX] {
            whole[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(at(&whole, 0), None);
        }
        assert_eq!(at(&whole, 400), None);
    }
}
