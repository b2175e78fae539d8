//! IPv4, IPv6 and ICMP of both.

use super::{be16, be32, byte, part};

/// An IPv4 packet.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<'a> {
    pub version: u8,
    /// Of the header, in words of four bytes.
    pub header_length: u8,
    pub service: u8,
    pub total_length: u16,
    pub id: u16,
    /// With the flags.
    pub fragment: u16,
    pub time_to_live: u8,
    pub protocol: u8,
    pub check: u16,
    pub source: &'a [u8; 4],
    pub dest: &'a [u8; 4],
    /// To the end of the input: padding of the link included.
    pub data: &'a [u8],
}

impl<'a> Ipv4<'a> {
    pub fn parse(bytes: &'a [u8]) -> Option<Ipv4<'a>> {
        let first = byte(bytes, 0);
        let header_length = first & 15;
        if header_length < 5 {
            return None;
        }
        Some(Ipv4 {
            data: bytes.get(usize::from(header_length) * 4..)?,
            version: first >> 4,
            header_length,
            service: byte(bytes, 1),
            total_length: be16(bytes, 2),
            id: be16(bytes, 4),
            fragment: be16(bytes, 6),
            time_to_live: byte(bytes, 8),
            protocol: byte(bytes, 9),
            check: be16(bytes, 10),
            source: part(bytes, 12)?,
            dest: part(bytes, 16)?,
        })
    }
}

/// An IPv6 packet.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6<'a> {
    pub version: u8,
    /// The upper half of the traffic class.
    pub priority: u8,
    pub payload_length: u16,
    pub next_header: u8,
    pub hop_limit: u8,
    pub source: &'a [u8; 16],
    pub dest: &'a [u8; 16],
    /// To the end of the input.
    pub data: &'a [u8],
}

impl<'a> Ipv6<'a> {
    pub fn parse(bytes: &'a [u8]) -> Option<Ipv6<'a>> {
        let first = byte(bytes, 0);
        Some(Ipv6 {
            data: bytes.get(40..)?,
            version: first >> 4,
            priority: first & 15,
            payload_length: be16(bytes, 4),
            next_header: byte(bytes, 6),
            hop_limit: byte(bytes, 7),
            source: part(bytes, 8)?,
            dest: part(bytes, 24)?,
        })
    }
}

/// An ICMP or ICMPv6 message: their headers are alike.
#[derive(Clone, Copy, Debug)]
pub struct Icmp<'a> {
    pub kind: u8,
    pub code: u8,
    pub checksum: u16,
    /// The rest of the header: identifier and sequence of an echo, or the
    /// address that a redirect names.
    pub rest: u32,
    pub data: &'a [u8],
}

impl<'a> Icmp<'a> {
    pub fn parse(bytes: &'a [u8]) -> Option<Icmp<'a>> {
        Some(Icmp {
            data: bytes.get(8..)?,
            kind: byte(bytes, 0),
            code: byte(bytes, 1),
            checksum: be16(bytes, 2),
            rest: be32(bytes, 4),
        })
    }

    /// Identifier of an echo.
    pub fn id(&self) -> u16 {
        (self.rest >> 16) as u16
    }

    /// Sequence number of an echo.
    pub fn sequence(&self) -> u16 {
        self.rest as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The usual example of a header's checksum, which is 0xb861.
    pub const HEADER: [u8; 20] = [
        0x45, 0, 0, 0x73, 0, 1, 0x40, 2, 0x3f, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0,
        0xc7,
    ];

    #[test]
    fn ipv4() {
        let packet = Ipv4::parse(&HEADER).unwrap();
        assert_eq!(
            (packet.version, packet.header_length, packet.service),
            (4, 5, 0)
        );
        assert_eq!(
            (packet.total_length, packet.id, packet.fragment),
            (0x73, 1, 0x4002)
        );
        assert_eq!(
            (packet.time_to_live, packet.protocol, packet.check),
            (0x3f, 17, 0xb861)
        );
        assert_eq!(
            (packet.source, packet.dest),
            (&[192, 168, 0, 1], &[192, 168, 0, 199])
        );
        assert_eq!(packet.data, b"");
        for length in 0..HEADER.len() {
            assert!(Ipv4::parse(&HEADER[..length]).is_none());
        }
    }

    #[test]
    fn options_of_ipv4_are_skipped() {
        let mut bytes = [7; 70];
        bytes[..20].copy_from_slice(&HEADER);
        for words in 0..16 {
            bytes[0] = 0x40 | words;
            for length in 0..bytes.len() {
                let packet = Ipv4::parse(&bytes[..length]);
                let expected = length
                    .checked_sub(usize::from(words) * 4)
                    .filter(|_| words >= 5);
                assert_eq!(packet.map(|packet| packet.data.len()), expected);
            }
        }
    }

    #[test]
    fn ipv6() {
        let mut bytes = [0; 44];
        bytes[..8].copy_from_slice(&[0x6a, 0xbc, 1, 2, 0, 4, 6, 64]);
        bytes[8] = 0xfe;
        bytes[39] = 9;
        let packet = Ipv6::parse(&bytes).unwrap();
        assert_eq!(
            (packet.version, packet.priority, packet.payload_length),
            (6, 10, 4)
        );
        assert_eq!((packet.next_header, packet.hop_limit), (6, 64));
        assert_eq!(
            (packet.source[0], packet.dest[15], packet.data.len()),
            (0xfe, 9, 4)
        );
        for length in 0..bytes.len() {
            assert_eq!(Ipv6::parse(&bytes[..length]).is_some(), length >= 40);
        }
    }

    #[test]
    fn icmp() {
        let bytes = [8, 1, 0x12, 0x34, 0xab, 0xcd, 0, 7, 1, 2, 3];
        let message = Icmp::parse(&bytes).unwrap();
        assert_eq!(
            (message.kind, message.code, message.checksum),
            (8, 1, 0x1234)
        );
        assert_eq!(
            (message.id(), message.sequence(), message.rest),
            (0xabcd, 7, 0xabcd_0007)
        );
        assert_eq!(message.data, [1, 2, 3]);
        for length in 0..bytes.len() {
            assert_eq!(Icmp::parse(&bytes[..length]).is_some(), length >= 8);
        }
    }
}
