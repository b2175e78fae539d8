//! Echoes of ICMP and ICMPv6 (RFC 792, 4443): built, and told from all else.

use super::checksum::Checksum;

/// Length of the header.
pub const HEADER: usize = 8;

/// Types of requests and replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub request: u8,
    pub reply: u8,
}

pub const ICMP: Kind = Kind {
    request: 8,
    reply: 0,
};
pub const ICMPV6: Kind = Kind {
    request: 128,
    reply: 129,
};

/// What comes before the data of a request with sequence number 1. The
/// checksum is that of ICMP; for version 6 the kernel makes its own.
pub fn request(kind: Kind, id: u16, data: &[u8]) -> [u8; HEADER] {
    let [high, low] = id.to_be_bytes();
    let mut header = [kind.request, 0, 0, 0, high, low, 0, 1];
    let sum = Checksum::default().with(&header).with(data).finish();
    header[2..4].copy_from_slice(&sum.to_be_bytes());
    header
}

/// What a packet is to someone who waits for the reply to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    Reply,
    /// A reply, with this id instead.
    OtherId(u16),
    OtherType(u8),
    /// Cut short, or a reply to something else.
    Foreign,
}

/// Judges a packet as it came, without a header of IP.
pub fn judge(packet: &[u8], kind: Kind, id: u16, data: &[u8]) -> Packet {
    let Some((header, rest)) = packet.split_first_chunk::<HEADER>() else {
        return Packet::Foreign;
    };
    let other = u16::from_be_bytes([header[4], header[5]]);
    if header[0] != kind.reply {
        Packet::OtherType(header[0])
    } else if other != id {
        Packet::OtherId(other)
    } else if header[1] == 0 && header[6..] == [0, 1] && rest == data {
        Packet::Reply
    } else {
        Packet::Foreign
    }
}

/// What follows the header of IPv4, with which raw sockets give packets.
pub fn without_ip(packet: &[u8]) -> &[u8] {
    let length = packet.first().map_or(0, |byte| usize::from(byte & 15) * 4);
    packet.get(length.max(20)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echoed(kind: Kind, id: u16, data: &[u8]) -> Vec<u8> {
        let mut packet = request(kind, id, data).to_vec();
        packet[0] = kind.reply;
        packet.extend(data);
        packet
    }

    #[test]
    fn requests() {
        assert_eq!(
            request(ICMP, 0x1234, b"hello"),
            *b"\x08\x00\xa1\xf8\x12\x34\x00\x01"
        );
        assert_eq!(request(ICMPV6, 1, b"")[..2], [128, 0]);
        // A packet with its checksum sums up to nothing.
        for data in [&b""[..], b"a", b"ab", &[0xff; 1001]] {
            let header = request(ICMP, 0xffff, data);
            assert_eq!(Checksum::default().with(&header).with(data).finish(), 0);
        }
    }

    #[test]
    fn replies_are_told_from_all_else() {
        for kind in [ICMP, ICMPV6] {
            let packet = echoed(kind, 7, b"data");
            assert_eq!(judge(&packet, kind, 7, b"data"), Packet::Reply);
            assert_eq!(judge(&packet, kind, 8, b"data"), Packet::OtherId(7));
            assert_eq!(judge(&packet, kind, 7, b"date"), Packet::Foreign);
            for cut in 0..packet.len() {
                assert_eq!(judge(&packet[..cut], kind, 7, b"data"), Packet::Foreign);
            }
            let mut other = packet.clone();
            other[0] = kind.request;
            let expected = Packet::OtherType(kind.request);
            assert_eq!(judge(&other, kind, 7, b"data"), expected);
            for at in [1, 6, 7, 8] {
                let mut other = packet.clone();
                other[at] ^= 1;
                assert_eq!(judge(&other, kind, 7, b"data"), Packet::Foreign);
            }
        }
    }

    #[test]
    fn headers_of_ip_are_taken_off() {
        let mut packet = vec![0x46; 24];
        packet.extend(b"echo");
        assert_eq!(without_ip(&packet), b"echo");
        packet[0] = 0x45;
        assert_eq!(without_ip(&packet).len(), 8);
        for first in 0..=255 {
            packet[0] = first;
            for cut in 0..packet.len() {
                assert!(without_ip(&packet[..cut]).len() <= 8);
            }
        }
    }
}
