//! Packets as tables. Upvalue 1 of what makes them is their metatable.

use crate::functions;
use crate::lua::{ffi, function, Functions, Lua, Outcome, Returns};
use crate::packet::internet::Icmp;
use crate::packet::{self, format_mac, transport, wireless, Layer, Mac, Packet};
use crate::system::socket::format_ip;

pub const PARSERS: Functions = functions! {
    from_ether: function(|lua| from_string(lua, Layer::Ethernet)),
    from_radiotap: function(|lua| from_string(lua, Layer::Wireless)),
    from_ip: function(|lua| parse(lua, 1, Layer::Ipv4, None)),
    from_ip6: function(|lua| parse(lua, 1, Layer::Ipv6, None)),
    from_icmp: function(|lua| parse(lua, 1, Layer::Icmp, None)),
    from_icmp6: function(|lua| parse(lua, 1, Layer::Icmpv6, None)),
};

/// Ethernet types and protocols that IPv6 packets name as their own layers.
const TYPE_IP: u32 = 0x0800;
const TYPE_IPV6: u32 = 0x86dd;

/// Redirect of ICMP.
const REDIRECT: u8 = 5;

/// Echo and its reply.
const ECHO: [u8; 2] = [8, 0];
const ECHO_V6: [u8; 2] = [128, 129];

fn from_string(lua: Lua, layer: Layer) -> Outcome {
    if lua.type_of(1) != ffi::LUA_TSTRING {
        return Err("assertion failed!".into());
    }
    parse(lua, 1, layer, None)
}

/// `packet:next()`: what it carries, by its fields.
pub fn next(lua: Lua) -> Outcome {
    lua.expect(1, ffi::LUA_TTABLE)?;
    lua.set_top(1);
    lua.get_field(1, c"data");
    let by_type = lua.get_field(1, c"proto") != ffi::LUA_TNIL;
    if !by_type {
        lua.pop(1);
        if lua.get_field(1, c"protocol") == ffi::LUA_TNIL {
            return lua.fail("no upper protocol layer");
        }
    }
    let number = lua.to_integer(3).unwrap_or(-1);
    let layer = if by_type {
        Layer::of_type(number)
    } else {
        Layer::of_protocol(number)
    };
    let Some(layer) = layer else {
        lua.push_nil();
        lua.push_str(if by_type {
            "unknown L3 proto \""
        } else {
            "unknown L4 protocol \""
        });
        lua.push_value(3);
        lua.to_text(lua.top());
        lua.push_str("\"");
        lua.concat(3);
        return Ok(Returns(2));
    };
    let limit = carried_length(lua);
    lua.set_top(2);
    parse(lua, 2, layer, limit)
}

/// How long what the packet at 1 carries is by its own words; None if it does
/// not say, as large packets that the network card will cut.
fn carried_length(lua: Lua) -> Option<usize> {
    let field = |name| {
        lua.get_field(1, name);
        let value = lua.to_integer(-1);
        lua.pop(1);
        usize::try_from(value?).ok().filter(|&value| value > 0)
    };
    match field(c"tot_len") {
        Some(total) => Some(total.saturating_sub(field(c"ihl")?.saturating_mul(4))),
        None => field(c"payload_len"),
    }
}

/// Pushes the packet that the string at `index` holds.
#[inline(never)]
fn parse(lua: Lua, index: i32, layer: Layer, limit: Option<usize>) -> Outcome {
    let Some(packet) = packet::parse(layer, lua.string(index)?, limit) else {
        lua.push_nil();
        lua.push_str("not a valid ");
        lua.push_str(match layer {
            Layer::Ethernet => "ether",
            Layer::Vlan => "8021Q",
            Layer::Arp => "ARP",
            Layer::Ipv4 => "IPv4",
            Layer::Ipv6 => "IPV6",
            Layer::Icmp => "ICMP",
            Layer::Icmpv6 => "ICMPV6",
            Layer::Tcp => "TCP",
            Layer::Udp => "UDP",
            Layer::Wireless => "radiotap",
        });
        lua.push_str(" packet");
        lua.concat(3);
        return Ok(Returns(2));
    };
    lua.push_table(0, 16);
    match packet {
        Packet::Ethernet(frame) => {
            name(lua, "ETHER", frame.data);
            mac(lua, "dest", frame.dest);
            mac(lua, "source", frame.source);
            integers(lua, "proto ", &[frame.proto.into()]);
        }
        Packet::Vlan(tag) => {
            name(lua, "8021Q", tag.data);
            let values = [tag.priority.into(), tag.id.into(), tag.proto.into()];
            integers(lua, "pri vid proto ", &values);
        }
        Packet::Arp(arp) => {
            set_text(lua, "name", b"ARP");
            let values = [
                arp.hardware.into(),
                arp.protocol.into(),
                arp.hardware_length.into(),
                arp.protocol_length.into(),
                arp.operation.into(),
            ];
            integers(lua, "ar_hrd ar_pro ar_hln ar_pln op ", &values);
            if let Some([sender, target]) = arp.addresses {
                mac(lua, "sha", sender.0);
                mac(lua, "tha", target.0);
                ip(lua, "sip", sender.1);
                ip(lua, "tip", target.1);
            }
        }
        Packet::Ipv4(packet) => {
            name(lua, "IP", packet.data);
            let values = [
                packet.version.into(),
                packet.header_length.into(),
                packet.service.into(),
                packet.total_length.into(),
                packet.id.into(),
                packet.fragment.into(),
                packet.time_to_live.into(),
                packet.protocol.into(),
                packet.check.into(),
            ];
            integers(
                lua,
                "version ihl tos tot_len id frag_off ttl protocol check ",
                &values,
            );
            ip(lua, "saddr", packet.source);
            ip(lua, "daddr", packet.dest);
        }
        Packet::Ipv6(packet) => {
            name(lua, "IPV6", packet.data);
            let values = [
                packet.version.into(),
                packet.priority.into(),
                packet.payload_length.into(),
                packet.next_header.into(),
                packet.hop_limit.into(),
            ];
            integers(
                lua,
                "version priority payload_len nexthdr hop_limit ",
                &values,
            );
            ip(lua, "saddr", packet.source);
            ip(lua, "daddr", packet.dest);
            match packet.next_header {
                4 => integers(lua, "proto ", &[TYPE_IP]),
                41 => integers(lua, "proto ", &[TYPE_IPV6]),
                6 | 17 => integers(lua, "protocol ", &[packet.next_header.into()]),
                _ => {}
            }
        }
        Packet::Icmp(message) => {
            icmp(lua, "ICMP", &message, ECHO);
            if message.kind == REDIRECT {
                integers(lua, "gateway ", &[message.rest]);
            }
        }
        Packet::Icmpv6(message) => icmp(lua, "ICMPV6", &message, ECHO_V6),
        Packet::Tcp(segment) => {
            name(lua, "TCP", segment.data);
            let values = [
                segment.source.into(),
                segment.dest.into(),
                segment.sequence,
                segment.acknowledged,
                segment.header_length.into(),
                segment.window.into(),
                segment.check.into(),
                segment.urgent.into(),
            ];
            integers(
                lua,
                "source dest seq ack_seq doff window check urg_ptr ",
                &values,
            );
            flags(lua, transport::FLAGS, segment.flags.reverse_bits());
        }
        Packet::Udp(datagram) => {
            name(lua, "UDP", datagram.data);
            let values = [
                datagram.source.into(),
                datagram.dest.into(),
                datagram.length.into(),
                datagram.check.into(),
            ];
            integers(lua, "source dest len check ", &values);
        }
        Packet::Wireless(frame) => {
            set_text(lua, "name", b"80211");
            let values = [
                frame.version.into(),
                frame.kind.into(),
                frame.subtype.into(),
                frame.duration.into(),
            ];
            integers(lua, "version type subtype duration ", &values);
            flags(lua, wireless::FLAGS, frame.flags);
            let names = ["addr1", "addr2", "addr3", "addr4"];
            for (name, address) in names.into_iter().zip(frame.addresses) {
                if let Some(address) = address {
                    mac(lua, name, address);
                }
            }
            if let Some(beacon) = frame.beacon {
                lua.set_integer(-1, c"timestamp", beacon.timestamp as i64);
                let values = [beacon.interval.into(), beacon.capability.into()];
                integers(lua, "beacon_interval capability ", &values);
            }
            if let Some(ssid) = frame.ssid {
                set_text(lua, "ssid", ssid);
            }
        }
    }
    lua.push_value(Lua::upvalue(1));
    lua.set_metatable(-2);
    Ok(Returns(1))
}

fn icmp(lua: Lua, kind: &'static str, message: &Icmp<'_>, echo: [u8; 2]) {
    name(lua, kind, message.data);
    let values = [
        message.kind.into(),
        message.code.into(),
        message.checksum.into(),
    ];
    integers(lua, "type code checksum ", &values);
    if echo.contains(&message.kind) {
        let values = [message.id().into(), message.sequence().into()];
        integers(lua, "id sequence ", &values);
    }
}

/// Sets a field of the table on top. May raise, as the following.
#[inline(never)]
fn set_text(lua: Lua, field: &str, text: &[u8]) {
    lua.push_str(field);
    lua.push_bytes(text);
    lua.raw_set(-3);
}

/// What a packet is called, and what it carries.
fn name(lua: Lua, name: &str, data: &[u8]) {
    set_text(lua, "name", name.as_bytes());
    set_text(lua, "data", data);
}

fn mac(lua: Lua, field: &str, address: &Mac) {
    set_text(lua, field, &format_mac(address));
}

/// An address of four bytes or sixteen.
fn ip(lua: Lua, field: &str, address: &[u8]) {
    let mut binary = [0; 16];
    for (place, byte) in binary.iter_mut().zip(address) {
        *place = *byte;
    }
    let family = if address.len() == 4 {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    format_ip(family, &binary, |text| set_text(lua, field, text));
}

/// Fields named in `names`, each of which is followed by a blank.
#[inline(never)]
fn integers(lua: Lua, names: &str, values: &[u32]) {
    for (name, &value) in names.as_bytes().split(|&byte| byte == b' ').zip(values) {
        lua.push_bytes(name);
        lua.push_integer(value.into());
        lua.raw_set(-3);
    }
}

/// Booleans, from the lowest bit up.
fn flags(lua: Lua, names: &str, bits: u8) {
    for (at, name) in names
        .as_bytes()
        .split(|&byte| byte == b' ')
        .take(8)
        .enumerate()
    {
        lua.push_bytes(name);
        lua.push_bool(bits >> at & 1 != 0);
        lua.raw_set(-3);
    }
}

/// From Lua: `frame_name(type, subtype)` -> name, or nil.
pub fn frame_name(lua: Lua) -> Outcome {
    match wireless::name(lua.integer(1)?, lua.integer(2)?) {
        Some(name) => lua.push_bytes(name),
        None => lua.push_nil(),
    }
    Ok(Returns(1))
}
