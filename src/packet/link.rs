//! Ethernet, 802.1Q and ARP.

use super::{be16, byte, part, Mac};

/// An Ethernet frame.
#[derive(Clone, Copy, Debug)]
pub struct Ethernet<'a> {
    pub dest: &'a Mac,
    pub source: &'a Mac,
    /// The Ethernet type, or a length.
    pub proto: u16,
    pub data: &'a [u8],
}

impl<'a> Ethernet<'a> {
    pub fn parse(bytes: &'a [u8]) -> Option<Ethernet<'a>> {
        Some(Ethernet {
            data: bytes.get(14..)?,
            dest: part(bytes, 0)?,
            source: part(bytes, 6)?,
            proto: be16(bytes, 12),
        })
    }
}

/// What follows an Ethernet header of type 802.1Q.
#[derive(Clone, Copy, Debug)]
pub struct Vlan<'a> {
    pub priority: u8,
    pub id: u16,
    pub proto: u16,
    pub data: &'a [u8],
}

impl<'a> Vlan<'a> {
    pub fn parse(bytes: &'a [u8]) -> Option<Vlan<'a>> {
        let data = bytes.get(4..)?;
        let tag = be16(bytes, 0);
        Some(Vlan {
            priority: (tag >> 13) as u8,
            id: tag & 0xfff,
            proto: be16(bytes, 2),
            data,
        })
    }
}

/// An ARP packet.
#[derive(Clone, Copy, Debug)]
pub struct Arp<'a> {
    pub hardware: u16,
    pub protocol: u16,
    pub hardware_length: u8,
    pub protocol_length: u8,
    pub operation: u16,
    /// For IPv4 on Ethernet: of sender and target.
    pub addresses: Option<[(&'a Mac, &'a [u8; 4]); 2]>,
}

impl<'a> Arp<'a> {
    pub fn parse(bytes: &'a [u8]) -> Option<Arp<'a>> {
        let rest = bytes.get(8..)?;
        let (hardware_length, protocol_length) = (byte(bytes, 4), byte(bytes, 5));
        let each = usize::from(hardware_length) + usize::from(protocol_length);
        if rest.len() < 2 * each {
            return None;
        }
        let (hardware, protocol) = (be16(bytes, 0), be16(bytes, 2));
        let is_usual = (hardware, protocol, hardware_length, protocol_length) == (1, 0x800, 6, 4);
        Some(Arp {
            hardware,
            protocol,
            hardware_length,
            protocol_length,
            operation: be16(bytes, 6),
            addresses: if is_usual {
                Some([
                    (part(rest, 0)?, part(rest, 6)?),
                    (part(rest, 10)?, part(rest, 16)?),
                ])
            } else {
                None
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ethernet() {
        let frame = *b"\x01\x02\x03\x04\x05\x06\x11\x12\x13\x14\x15\x16\x08\x00data";
        let parsed = Ethernet::parse(&frame).unwrap();
        assert_eq!(parsed.dest, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(parsed.source, &[0x11, 0x12, 0x13, 0x14, 0x15, 0x16]);
        assert_eq!((parsed.proto, parsed.data), (0x800, &b"data"[..]));
        for length in 0..frame.len() {
            let cut = Ethernet::parse(&frame[..length]);
            assert_eq!(cut.map(|cut| cut.data.len()), length.checked_sub(14));
        }
    }

    #[test]
    fn vlan() {
        let tag = [0xbf, 0xfe, 0x86, 0xdd, 7];
        let parsed = Vlan::parse(&tag).unwrap();
        assert_eq!((parsed.priority, parsed.id), (5, 0xffe));
        assert_eq!((parsed.proto, parsed.data), (0x86dd, &[7][..]));
        for length in 0..tag.len() {
            assert_eq!(Vlan::parse(&tag[..length]).is_some(), length >= 4);
        }
    }

    #[test]
    fn arp() {
        let packet = [
            0, 1, 8, 0, 6, 4, 0, 2, 1, 2, 3, 4, 5, 6, 10, 0, 0, 1, 11, 12, 13, 14, 15, 16, 10, 0,
            0, 2,
        ];
        let parsed = Arp::parse(&packet).unwrap();
        assert_eq!(
            (parsed.hardware, parsed.protocol, parsed.operation),
            (1, 0x800, 2)
        );
        assert_eq!(
            parsed.addresses,
            Some([
                (&[1, 2, 3, 4, 5, 6], &[10, 0, 0, 1]),
                (&[11, 12, 13, 14, 15, 16], &[10, 0, 0, 2])
            ])
        );
        for length in 0..packet.len() {
            assert!(Arp::parse(&packet[..length]).is_none());
        }
        // Other kinds of addresses are not taken apart.
        for (at, value) in [(1, 6), (2, 0x86), (4, 5), (5, 3)] {
            let mut other = packet;
            other[at] = value;
            assert_eq!(Arp::parse(&other).unwrap().addresses, None);
        }
        let mut long = packet;
        long[4] = 255;
        assert!(Arp::parse(&long).is_none());
        assert!(Arp::parse(&[0, 1, 8, 0, 0, 0, 0, 1]).is_some());
    }
}
