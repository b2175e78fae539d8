//! Packets: no input panics, parts lie within the input, and what is built of
//! parts has them again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::packet::build::{self, Ends, Segment};
use lua_eco::packet::checksum::Checksum;
use lua_eco::packet::{format_mac, parse, parse_mac, wireless, Layer, Packet};

/// What a packet carries: bytes, what they are, and how long they are at most.
fn next<'a>(packet: &Packet<'a>) -> Option<(Option<Layer>, &'a [u8], Option<usize>)> {
    Some(match packet {
        Packet::Ethernet(frame) => (Layer::of_type(frame.proto.into()), frame.data, None),
        Packet::Vlan(tag) => (Layer::of_type(tag.proto.into()), tag.data, None),
        Packet::Ipv4(ip) => {
            let limit = usize::from(ip.total_length).saturating_sub(usize::from(ip.header_length) * 4);
            (Layer::of_protocol(ip.protocol.into()), ip.data, Some(limit))
        }
        Packet::Ipv6(ip) => (
            Layer::of_protocol(ip.next_header.into()),
            ip.data,
            Some(ip.payload_length.into()),
        ),
        _ => return None,
    })
}

/// Built anew of its parts, it is the same.
fn again(packet: &Packet<'_>) {
    match packet {
        Packet::Ethernet(frame) => {
            let mut out = vec![0; 14 + frame.data.len()];
            let mut room = [0; 6];
            let source = parse_mac(&format_mac(frame.source), &mut room).unwrap();
            build::ethernet(&mut out, source, frame.dest, frame.proto, frame.data);
            let Some(Packet::Ethernet(copy)) = parse(Layer::Ethernet, &out, None) else {
                panic!()
            };
            assert_eq!((copy.source, copy.dest), (frame.source, frame.dest));
            assert_eq!((copy.proto, copy.data), (frame.proto, frame.data));
        }
        Packet::Arp(arp) => {
            if let Some(hosts) = arp.addresses {
                let mut out = [0; build::ARP];
                build::arp(&mut out, arp.operation, hosts.map(|(mac, ip)| (&mac[..], ip)));
                let Some(Packet::Arp(copy)) = parse(Layer::Arp, &out, None) else {
                    panic!()
                };
                assert_eq!((copy.operation, copy.addresses), (arp.operation, arp.addresses));
            }
        }
        Packet::Ipv4(ip) => {
            let mut out = vec![0; build::IPV4 + ip.data.len()];
            build::ipv4(&mut out, ip.source, ip.dest, ip.protocol, ip.data);
            assert_eq!(Checksum::default().with(&out[..build::IPV4]).finish(), 0);
            let Some(Packet::Ipv4(copy)) = parse(Layer::Ipv4, &out, None) else {
                panic!()
            };
            assert_eq!((copy.source, copy.dest), (ip.source, ip.dest));
            assert_eq!((copy.protocol, copy.data), (ip.protocol, ip.data));
        }
        Packet::Tcp(tcp) => {
            let header = Segment {
                ports: [tcp.source, tcp.dest],
                sequence: tcp.sequence,
                acknowledged: tcp.acknowledged,
                flags: tcp.flags,
                window: tcp.window,
            };
            let mut out = vec![0; build::TCP + tcp.data.len()];
            let ends = Ends { source: &[1; 16], dest: &[2; 16] };
            build::tcp(&mut out, &header, tcp.data, ends);
            let sum = Checksum::pseudo(ends.source, ends.dest, 6, out.len() as u32);
            assert_eq!(sum.with(&out).finish(), 0);
            let Some(Packet::Tcp(copy)) = parse(Layer::Tcp, &out, None) else {
                panic!()
            };
            assert_eq!((copy.flags, copy.window, copy.data), (tcp.flags, tcp.window, tcp.data));
        }
        Packet::Udp(udp) => {
            let mut out = vec![0; build::UDP + udp.data.len()];
            build::udp(&mut out, [udp.source, udp.dest], udp.data, None);
            let Some(Packet::Udp(copy)) = parse(Layer::Udp, &out, None) else {
                panic!()
            };
            assert_eq!((copy.source, copy.dest, copy.data), (udp.source, udp.dest, udp.data));
        }
        Packet::Wireless(frame) => {
            assert!(frame.addresses[0].is_some());
            let name = wireless::name(frame.kind.into(), frame.subtype.into());
            assert!(name.is_none_or(|name| !name.contains(&b',')));
        }
        _ => {}
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, bytes)) = input.split_first() else {
        return;
    };
    let layers = [
        Layer::Ethernet,
        Layer::Wireless,
        Layer::Ipv4,
        Layer::Ipv6,
        Layer::Arp,
        Layer::Icmp,
        Layer::Icmpv6,
        Layer::Tcp,
        Layer::Udp,
        Layer::Vlan,
    ];
    let mut layer = layers[usize::from(choice) % layers.len()];
    let (mut bytes, mut limit) = (bytes, None);
    while let Some(packet) = parse(layer, bytes, limit) {
        again(&packet);
        match next(&packet) {
            Some((Some(above), data, carried)) => {
                assert!(data.len() < bytes.len());
                (layer, bytes, limit) = (above, data, carried);
            }
            _ => break,
        }
    }
});
