//! Packets as they are on the wire, taken apart and put together: Ethernet,
//! 802.1Q, ARP, IPv4, IPv6, ICMP, TCP, UDP, and 802.11 behind radiotap. Pure:
//! bytes in, borrowed parts or bytes out. Any bytes may be taken apart.

pub mod build;
pub mod checksum;
pub mod echo;
pub mod internet;
pub mod link;
pub mod transport;
pub mod wireless;

use internet::{Icmp, Ipv4, Ipv6};
use link::{Arp, Ethernet, Vlan};
use transport::{Tcp, Udp};
use wireless::Frame;

/// A hardware address.
pub type Mac = [u8; 6];

/// What a packet may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    Ethernet,
    Vlan,
    Arp,
    Ipv4,
    Ipv6,
    Icmp,
    Icmpv6,
    Tcp,
    Udp,
    /// 802.11 behind a radiotap header.
    Wireless,
}

impl Layer {
    /// What an Ethernet type stands for.
    pub fn of_type(number: i64) -> Option<Layer> {
        Some(match number {
            0x8100 => Layer::Vlan,
            0x0806 => Layer::Arp,
            0x0800 => Layer::Ipv4,
            0x86dd => Layer::Ipv6,
            _ => return None,
        })
    }

    /// What an IP protocol's number stands for.
    pub fn of_protocol(number: i64) -> Option<Layer> {
        Some(match number {
            1 => Layer::Icmp,
            6 => Layer::Tcp,
            17 => Layer::Udp,
            58 => Layer::Icmpv6,
            _ => return None,
        })
    }
}

/// A packet's parts.
#[derive(Clone, Copy, Debug)]
pub enum Packet<'a> {
    Ethernet(Ethernet<'a>),
    Vlan(Vlan<'a>),
    Arp(Arp<'a>),
    Ipv4(Ipv4<'a>),
    Ipv6(Ipv6<'a>),
    Icmp(Icmp<'a>),
    Icmpv6(Icmp<'a>),
    Tcp(Tcp<'a>),
    Udp(Udp<'a>),
    Wireless(Frame<'a>),
}

/// Takes a packet apart; None if it is none, or is cut short. `limit` is how
/// long TCP is by what carries it: what follows is padding.
pub fn parse(layer: Layer, bytes: &[u8], limit: Option<usize>) -> Option<Packet<'_>> {
    Some(match layer {
        Layer::Ethernet => Packet::Ethernet(Ethernet::parse(bytes)?),
        Layer::Vlan => Packet::Vlan(Vlan::parse(bytes)?),
        Layer::Arp => Packet::Arp(Arp::parse(bytes)?),
        Layer::Ipv4 => Packet::Ipv4(Ipv4::parse(bytes)?),
        Layer::Ipv6 => Packet::Ipv6(Ipv6::parse(bytes)?),
        Layer::Icmp => Packet::Icmp(Icmp::parse(bytes)?),
        Layer::Icmpv6 => Packet::Icmpv6(Icmp::parse(bytes)?),
        Layer::Tcp => Packet::Tcp(Tcp::parse(bytes, limit)?),
        Layer::Udp => Packet::Udp(Udp::parse(bytes)?),
        Layer::Wireless => Packet::Wireless(Frame::parse(bytes)?),
    })
}

/// Big-endian 16 bits at `at`; what is not there counts zero.
fn be16(bytes: &[u8], at: usize) -> u16 {
    part(bytes, at).map_or(0, |part| u16::from_be_bytes(*part))
}

/// Big-endian 32 bits.
fn be32(bytes: &[u8], at: usize) -> u32 {
    part(bytes, at).map_or(0, |part| u32::from_be_bytes(*part))
}

/// One byte.
fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// `N` bytes at `at`.
fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..)?.first_chunk()
}

/// Bytes of a text of a hardware address.
pub const MAC_TEXT: usize = 17;

/// A hardware address in lower-case digits, colons between.
pub fn format_mac(mac: &Mac) -> [u8; MAC_TEXT] {
    let mut text = [b':'; MAC_TEXT];
    for (pair, byte) in text.chunks_mut(3).zip(mac) {
        for (place, digit) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *place = digit + if digit < 10 { b'0' } else { b'a' - 10 };
        }
    }
    text
}

/// The bytes of a hardware address: pairs of digits, colons anywhere. Few
/// digits make few bytes. None for other characters and half a pair.
pub fn parse_mac<'a>(text: &[u8], into: &'a mut [u8]) -> Option<&'a [u8]> {
    let (mut digits, mut value) = (0, 0);
    for &character in text {
        let digit = match character {
            b':' => continue,
            b'0'..=b'9' => character - b'0',
            b'a'..=b'f' => character - b'a' + 10,
            b'A'..=b'F' => character - b'A' + 10,
            _ => return None,
        };
        value = value << 4 | digit;
        *into.get_mut(digits / 2)? = value;
        digits += 1;
    }
    (digits % 2 == 0).then_some(into.get(..digits / 2)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses() {
        let mac = [0, 0x1f, 0xa0, 0xff, 9, 0x80];
        assert_eq!(&format_mac(&mac), b"00:1f:a0:ff:09:80");
        let mut room = [0; 8];
        for text in [
            &b"00:1f:a0:ff:09:80"[..],
            b"00:1F:A0:FF:09:80",
            b"001fa0ff0980",
        ] {
            assert_eq!(parse_mac(text, &mut room), Some(&mac[..]));
        }
        assert_eq!(parse_mac(b"00:1f", &mut room), Some(&[0, 0x1f][..]));
        assert_eq!(parse_mac(b"", &mut room), Some(&[][..]));
        for text in [
            &b"00:1"[..],
            b"0g",
            b"00-11",
            b"00 11",
            b"00:11:22:33:44:55:66:77:88",
        ] {
            assert_eq!(parse_mac(text, &mut room), None);
        }
    }

    #[test]
    fn numbers_beyond_the_end_are_zero() {
        assert_eq!(be16(&[1], 0), 0);
        assert_eq!(be16(&[1, 2], usize::MAX), 0);
        assert_eq!(be32(&[1, 2, 3, 4], 0), 0x0102_0304);
        assert_eq!(be32(&[1, 2, 3], 0), 0);
        assert_eq!(byte(&[], 0), 0);
    }

    /// Every number leads to a layer, or to none, that is not ambiguous.
    #[test]
    fn layers_have_numbers() {
        let types = (0..0x10000).filter_map(Layer::of_type).count();
        let protocols = (0..256).filter_map(Layer::of_protocol).count();
        assert_eq!((types, protocols), (4, 4));
        assert_eq!(Layer::of_type(0x1_0800), None);
    }

    /// No length of any layer panics, whatever the bytes.
    #[test]
    fn every_length_of_every_layer() {
        let layers = [
            Layer::Ethernet,
            Layer::Vlan,
            Layer::Arp,
            Layer::Ipv4,
            Layer::Ipv6,
            Layer::Icmp,
            Layer::Icmpv6,
            Layer::Tcp,
            Layer::Udp,
            Layer::Wireless,
        ];
        for fill in [0, 0x45, 0x88, 0xff] {
            let bytes = [fill; 80];
            for layer in layers {
                let known =
                    (0..80).filter(|&length| parse(layer, &bytes[..length], Some(3)).is_some());
                let known: Vec<_> = known.collect();
                // Too short up to some length, then never again.
                if let Some(&first) = known.first() {
                    assert!(first >= 4, "{layer:?} {fill}");
                    assert_eq!(known.len(), 80 - first, "{layer:?} {fill}");
                }
            }
        }
    }
}
