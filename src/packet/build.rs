//! Packets put together: each function fills room that is as long as header
//! and data.

use super::checksum::Checksum;
use super::Mac;

/// Bytes of the headers.
pub const ICMP: usize = 8;
pub const UDP: usize = 8;
pub const TCP: usize = 20;
pub const IPV4: usize = 20;
pub const ARP: usize = 28;

/// Numbers of the protocols, for pseudo-headers.
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_ICMPV6: u8 = 58;

/// Where a packet comes from and goes to; both addresses have four bytes, or
/// both sixteen.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    pub source: &'a [u8],
    pub dest: &'a [u8],
}

impl Ends<'_> {
    fn sum(self, protocol: u8, length: usize) -> Checksum {
        Checksum::pseudo(self.source, self.dest, protocol, length as u32)
    }
}

/// Writes parts one behind the other; what does not fit is dropped, and all
/// that is written here does.
fn put(out: &mut [u8], parts: &[&[u8]]) {
    let mut places = out.iter_mut();
    for part in parts {
        for (byte, place) in part.iter().zip(places.by_ref()) {
            *place = *byte;
        }
    }
}

/// Finishes the sum over the packet and writes it at `at`.
fn seal(out: &mut [u8], at: usize, sum: Checksum) {
    let check = sum.with(out).finish();
    if let Some(place) = out.get_mut(at..at + 2) {
        place.copy_from_slice(&check.to_be_bytes());
    }
}

/// An ICMP or ICMPv6 echo. The checksum is 0 unless asked for.
#[derive(Clone, Copy, Debug)]
pub struct Echo {
    pub kind: u8,
    pub code: u8,
    pub id: u16,
    pub sequence: u16,
}

/// What the checksum of an echo covers.
#[derive(Clone, Copy, Debug)]
pub enum Covers<'a> {
    /// Nothing: it is 0, for the kernel to fill.
    Nothing,
    Message,
    /// The message and the pseudo-header of IPv6.
    Ends(Ends<'a>),
}

pub fn echo(out: &mut [u8], echo: &Echo, data: &[u8], covers: Covers<'_>) {
    let (id, sequence) = (echo.id.to_be_bytes(), echo.sequence.to_be_bytes());
    put(out, &[&[echo.kind, echo.code, 0, 0], &id, &sequence, data]);
    let sum = match covers {
        Covers::Nothing => return,
        Covers::Message => Checksum::default(),
        Covers::Ends(ends) => ends.sum(PROTOCOL_ICMPV6, out.len()),
    };
    seal(out, 2, sum);
}

/// A UDP datagram, with a checksum if its ends are known.
pub fn udp(out: &mut [u8], ports: [u16; 2], data: &[u8], ends: Option<Ends<'_>>) {
    let length = (out.len() as u16).to_be_bytes();
    let [source, dest] = ports.map(u16::to_be_bytes);
    put(out, &[&source, &dest, &length, &[0, 0], data]);
    if let Some(ends) = ends {
        seal(out, 6, ends.sum(PROTOCOL_UDP, out.len()));
        // Zero would say that there is none.
        if let Some(check @ [0, 0]) = out.get_mut(6..8) {
            check.fill(0xff);
        }
    }
}

/// The header of a TCP segment, without options.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub ports: [u16; 2],
    pub sequence: u32,
    pub acknowledged: u32,
    /// See [`super::transport::FLAGS`].
    pub flags: u8,
    pub window: u16,
}

pub fn tcp(out: &mut [u8], header: &Segment, data: &[u8], ends: Ends<'_>) {
    let [source, dest] = header.ports.map(u16::to_be_bytes);
    let numbers = [header.sequence, header.acknowledged].map(u32::to_be_bytes);
    let window = header.window.to_be_bytes();
    let middle = [(TCP as u8 / 4) << 4, header.flags];
    put(
        out,
        &[
            &source,
            &dest,
            &numbers[0],
            &numbers[1],
            &middle,
            &window,
            &[0; 4],
            data,
        ],
    );
    seal(out, 16, ends.sum(PROTOCOL_TCP, out.len()));
}

/// An IPv4 packet, without options.
pub fn ipv4(out: &mut [u8], source: &[u8; 4], dest: &[u8; 4], protocol: u8, data: &[u8]) {
    let [high, low] = (out.len() as u16).to_be_bytes();
    let start = [0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0];
    put(out, &[&start, source, dest, data]);
    if let Some(header) = out.get_mut(..IPV4) {
        seal(header, 10, Checksum::default());
    }
}

/// An ARP packet for IPv4 on Ethernet; `hosts` are sender and target. Their
/// hardware addresses are as long as they are.
pub fn arp(out: &mut [u8], operation: u16, hosts: [(&[u8], &[u8; 4]); 2]) {
    let [high, low] = operation.to_be_bytes();
    let [sender, target] = hosts;
    let start = [0, 1, 8, 0, size_of::<Mac>() as u8, 4, high, low];
    put(out, &[&start, sender.0, sender.1, target.0, target.1]);
}

/// An Ethernet frame.
pub fn ethernet(out: &mut [u8], source: &[u8], dest: &[u8], proto: u16, data: &[u8]) {
    put(out, &[dest, source, &proto.to_be_bytes(), data]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::internet::{Icmp, Ipv4};
    use crate::packet::link::{Arp, Ethernet};
    use crate::packet::transport::{Tcp, Udp};

    fn made(length: usize, fill: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let mut out = vec![0; length];
        fill(&mut out);
        out
    }

    const V4: Ends = Ends {
        source: &[10, 0, 0, 1],
        dest: &[10, 0, 0, 2],
    };
    const V6: Ends = Ends {
        source: &[0xfe; 16],
        dest: &[1; 16],
    };

    #[test]
    fn echoes_come_back() {
        let header = Echo {
            kind: 8,
            code: 0,
            id: 0x1234,
            sequence: 7,
        };
        for data in [&b""[..], b"odd", b"even"] {
            let bytes = made(ICMP + data.len(), |out| {
                echo(out, &header, data, Covers::Nothing)
            });
            let parsed = Icmp::parse(&bytes).unwrap();
            assert_eq!(
                (parsed.kind, parsed.id(), parsed.sequence()),
                (8, 0x1234, 7)
            );
            assert_eq!((parsed.checksum, parsed.data), (0, data));
            let bytes = made(ICMP + data.len(), |out| {
                echo(out, &header, data, Covers::Message)
            });
            assert_eq!(Checksum::default().with(&bytes).finish(), 0);
            let bytes = made(ICMP + data.len(), |out| {
                echo(out, &header, data, Covers::Ends(V6))
            });
            assert_eq!(V6.sum(58, bytes.len()).with(&bytes).finish(), 0);
        }
    }

    #[test]
    fn datagrams_come_back() {
        for data in [&b""[..], b"odd", b"even"] {
            let bytes = made(UDP + data.len(), |out| udp(out, [53, 1000], data, None));
            let parsed = Udp::parse(&bytes).unwrap();
            assert_eq!((parsed.source, parsed.dest, parsed.check), (53, 1000, 0));
            assert_eq!(
                (parsed.data, usize::from(parsed.length)),
                (data, bytes.len())
            );
            for ends in [V4, V6] {
                let bytes = made(UDP + data.len(), |out| {
                    udp(out, [53, 1000], data, Some(ends))
                });
                assert_eq!(ends.sum(17, bytes.len()).with(&bytes).finish(), 0);
            }
        }
    }

    #[test]
    fn a_datagrams_checksum_is_never_zero() {
        let plain = made(UDP + 2, |out| udp(out, [1, 2], &[0, 0], Some(V4)));
        // What makes the sum 0xffff, whose complement is 0.
        let filler = [plain[6], plain[7]];
        let bytes = made(UDP + 2, |out| udp(out, [1, 2], &filler, Some(V4)));
        assert_eq!(bytes[6..8], [0xff, 0xff]);
        assert_eq!(V4.sum(17, bytes.len()).with(&bytes).finish(), 0);
    }

    #[test]
    fn segments_come_back() {
        let header = Segment {
            ports: [1, 65535],
            sequence: 0xdead_beef,
            acknowledged: 9,
            flags: 0x12,
            window: 500,
        };
        for ends in [V4, V6] {
            let bytes = made(TCP + 3, |out| tcp(out, &header, b"abc", ends));
            let parsed = Tcp::parse(&bytes, None).unwrap();
            assert_eq!(
                (parsed.source, parsed.dest, parsed.header_length),
                (1, 65535, 5)
            );
            assert_eq!((parsed.sequence, parsed.acknowledged), (0xdead_beef, 9));
            assert_eq!((parsed.flags, parsed.window, parsed.urgent), (0x12, 500, 0));
            assert_eq!(parsed.data, b"abc");
            assert_eq!(ends.sum(6, bytes.len()).with(&bytes).finish(), 0);
        }
    }

    #[test]
    fn packets_come_back() {
        let bytes = made(IPV4 + 3, |out| {
            ipv4(out, &[1, 2, 3, 4], &[5, 6, 7, 8], 17, b"abc")
        });
        let parsed = Ipv4::parse(&bytes).unwrap();
        assert_eq!(
            (parsed.version, parsed.header_length, parsed.total_length),
            (4, 5, 23)
        );
        assert_eq!((parsed.id, parsed.fragment, parsed.service), (0, 0, 0));
        assert_eq!((parsed.time_to_live, parsed.protocol), (64, 17));
        assert_eq!((parsed.source, parsed.dest), (&[1, 2, 3, 4], &[5, 6, 7, 8]));
        assert_eq!(parsed.data, b"abc");
        assert_eq!(Checksum::default().with(&bytes[..IPV4]).finish(), 0);
    }

    #[test]
    fn frames_come_back() {
        let (a, b) = ([1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]);
        let bytes = made(14 + 3, |out| ethernet(out, &a, &b, 0x806, b"abc"));
        let parsed = Ethernet::parse(&bytes).unwrap();
        assert_eq!(
            (parsed.source, parsed.dest, parsed.proto, parsed.data),
            (&a, &b, 0x806, &b"abc"[..])
        );
        let hosts = [(&a, &[10, 0, 0, 1]), (&b, &[10, 0, 0, 2])];
        let bytes = made(ARP, |out| {
            arp(out, 1, hosts.map(|(mac, ip)| (&mac[..], ip)))
        });
        let parsed = Arp::parse(&bytes).unwrap();
        assert_eq!((parsed.operation, parsed.addresses), (1, Some(hosts)));
    }
}
