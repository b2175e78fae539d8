//! TCP and UDP.

use super::{be16, be32, byte};

/// Names of the flags, from the highest bit of their byte down.
pub const FLAGS: &str = "cwr ece urg ack psh rst syn fin ";

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    pub source: u16,
    pub dest: u16,
    pub sequence: u32,
    pub acknowledged: u32,
    /// Of the header, in words of four bytes.
    pub header_length: u8,
    /// See [`FLAGS`].
    pub flags: u8,
    pub window: u16,
    pub check: u16,
    pub urgent: u16,
    pub data: &'a [u8],
}

impl<'a> Tcp<'a> {
    /// A segment of at most `limit` bytes: what follows is padding of the link.
    pub fn parse(bytes: &'a [u8], limit: Option<usize>) -> Option<Tcp<'a>> {
        let header_length = byte(bytes, 12) >> 4;
        let header = usize::from(header_length) * 4;
        let data = bytes.get(header..).filter(|_| header_length >= 5)?;
        let length = limit.map_or(data.len(), |limit| limit.saturating_sub(header));
        Some(Tcp {
            source: be16(bytes, 0),
            dest: be16(bytes, 2),
            sequence: be32(bytes, 4),
            acknowledged: be32(bytes, 8),
            header_length,
            flags: byte(bytes, 13),
            window: be16(bytes, 14),
            check: be16(bytes, 16),
            urgent: be16(bytes, 18),
            data: data.get(..length).unwrap_or(data),
        })
    }
}

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Udp<'a> {
    pub source: u16,
    pub dest: u16,
    /// With the header.
    pub length: u16,
    pub check: u16,
    /// What there is of it, without padding.
    pub data: &'a [u8],
}

impl<'a> Udp<'a> {
    pub fn parse(bytes: &'a [u8]) -> Option<Udp<'a>> {
        let data = bytes.get(8..)?;
        let length = be16(bytes, 4);
        let carried = usize::from(length).checked_sub(8)?;
        Some(Udp {
            source: be16(bytes, 0),
            dest: be16(bytes, 2),
            length,
            check: be16(bytes, 6),
            data: data.get(..carried).unwrap_or(data),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: [u8; 27] = [
        0x12, 0x34, 0, 80, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x60, 0x12, 2, 0, 0xaa, 0xbb, 0, 5,
        2, 4, 5, 0xb4, b'a', b'b', b'c',
    ];

    #[test]
    fn tcp() {
        let segment = Tcp::parse(&SEGMENT, None).unwrap();
        assert_eq!((segment.source, segment.dest), (0x1234, 80));
        assert_eq!((segment.sequence, segment.acknowledged), (1, 0xffff_ffff));
        assert_eq!((segment.header_length, segment.flags), (6, 0x12));
        assert_eq!(
            (segment.window, segment.check, segment.urgent),
            (512, 0xaabb, 5)
        );
        assert_eq!(segment.data, b"abc");
        for length in 0..SEGMENT.len() {
            assert_eq!(Tcp::parse(&SEGMENT[..length], None).is_some(), length >= 24);
        }
    }

    #[test]
    fn tcp_has_an_end_and_a_header() {
        for (limit, data) in [
            (0, &b""[..]),
            (23, b""),
            (24, b""),
            (25, b"a"),
            (27, b"abc"),
            (28, b"abc"),
        ] {
            assert_eq!(Tcp::parse(&SEGMENT, Some(limit)).unwrap().data, data);
        }
        for words in 0..16 {
            let mut bytes = SEGMENT;
            bytes[12] = words << 4;
            assert_eq!(Tcp::parse(&bytes, None).is_some(), words == 5 || words == 6);
        }
    }

    #[test]
    fn udp() {
        let mut bytes = [0, 53, 0x12, 0x34, 0, 11, 1, 2, b'a', b'b', b'c', 0];
        let datagram = Udp::parse(&bytes).unwrap();
        assert_eq!((datagram.source, datagram.dest), (53, 0x1234));
        assert_eq!(
            (datagram.length, datagram.check, datagram.data),
            (11, 0x102, &b"abc"[..])
        );
        for length in 0..bytes.len() {
            let cut = Udp::parse(&bytes[..length]);
            assert_eq!(
                cut.map(|cut| cut.data.len()),
                length.checked_sub(8).map(|left| left.min(3))
            );
        }
        for length in 0..=255 {
            bytes[5] = length;
            assert_eq!(Udp::parse(&bytes).is_some(), length >= 8);
        }
    }
}
