//! Byte strings from fields. Numbers that fit no field are errors.

use std::ffi::c_int;

use crate::functions;
use crate::lua::{ffi, function, Error, Functions, Lua, Outcome, Returns};
use crate::packet::build::{self as packet, Covers, Echo, Ends, Segment};
use crate::packet::{parse_mac, transport};
use crate::system::socket::{parse_ip, parse_loosely};

pub const FUNCTIONS: Functions = functions! {
    icmp: function(|lua| echo(lua, [8, 0], false)),
    icmp6: function(|lua| echo(lua, [128, 129], true)),
    udp: function(udp),
    tcp: function(tcp),
    ip: function(ip),
    arp: function(arp),
    ether: function(ether),
};

/// Room for the bytes of a hardware address in text.
const LONGEST_MAC: usize = 32;

fn byte(lua: Lua, index: c_int) -> Result<u8, Error> {
    lua.within(index, 0, u8::MAX.into())
        .map(|value| value as u8)
}

fn short(lua: Lua, index: c_int) -> Result<u16, Error> {
    lua.within(index, 0, u16::MAX.into())
        .map(|value| value as u16)
}

fn long(lua: Lua, index: c_int) -> Result<u32, Error> {
    lua.within(index, 0, u32::MAX.into())
        .map(|value| value as u32)
}

/// The data argument, which with a header of `header` bytes is no longer than
/// `most`.
fn data(lua: &Lua, index: c_int, header: usize, most: usize) -> Result<&[u8], Error> {
    let data = lua.string_or(index, b"")?;
    if data.len() > most - header {
        return Err(Error::argument(index, "data too long"));
    }
    Ok(data)
}

/// An IPv4 address; what is none counts as 0.0.0.0.
fn address(lua: Lua, index: c_int) -> Result<[u8; 4], Error> {
    Ok(parse_loosely(lua.string(index)?).to_ne_bytes())
}

/// The addresses of two arguments.
struct Pair {
    addresses: [[u8; 16]; 2],
    length: usize,
}

impl Pair {
    /// Two of IPv6, or else of IPv4.
    fn read(lua: Lua, index: c_int) -> Result<Pair, Error> {
        let mut pair = Pair {
            addresses: [[0; 16]; 2],
            length: 4,
        };
        let mut known = 0;
        for (index, address) in (index..).zip(&mut pair.addresses) {
            if parse_ip(libc::AF_INET6, lua.string(index)?, address) {
                known += 1;
            }
        }
        match known {
            0 => {
                for (index, place) in (index..).zip(&mut pair.addresses) {
                    let address = address(lua, index)?;
                    for (place, byte) in place.iter_mut().zip(address) {
                        *place = byte;
                    }
                }
            }
            1 => {
                let message = "addresses of different families";
                return Err(Error::argument(index + 1, message));
            }
            _ => pair.length = 16,
        }
        Ok(pair)
    }

    fn ends(&self) -> Ends<'_> {
        let [source, dest] = &self.addresses;
        Ends {
            source: &source[..self.length],
            dest: &dest[..self.length],
        }
    }
}

/// `icmp(type, code, id, sequence [, data [, checksum]])`; for version 6 also
/// `saddr, daddr`, which the checksum then covers.
fn echo(lua: Lua, kinds: [u8; 2], has_ends: bool) -> Outcome {
    let kind = byte(lua, 1)?;
    if !kinds.contains(&kind) {
        return Err("assertion failed!".into());
    }
    let header = Echo {
        kind,
        code: byte(lua, 2)?,
        id: short(lua, 3)?,
        sequence: short(lua, 4)?,
    };
    let data = lua.string_or(5, b"")?;
    let pair;
    let covers = if !lua.to_bool(6) {
        Covers::Nothing
    } else if has_ends && !lua.is_none_or_nil(7) {
        pair = Pair::read(lua, 7)?;
        Covers::Ends(pair.ends())
    } else {
        Covers::Message
    };
    lua.push_filled(packet::ICMP + data.len(), &mut |out| {
        packet::echo(out, &header, data, covers);
    });
    Ok(Returns(1))
}

/// `udp(source, dest [, data [, saddr, daddr]])`
fn udp(lua: Lua) -> Outcome {
    let ports = [short(lua, 1)?, short(lua, 2)?];
    let data = data(&lua, 3, packet::UDP, u16::MAX.into())?;
    let pair;
    let ends = if lua.is_none_or_nil(4) || lua.is_none_or_nil(5) {
        None
    } else {
        pair = Pair::read(lua, 4)?;
        Some(pair.ends())
    };
    lua.push_filled(packet::UDP + data.len(), &mut |out| {
        packet::udp(out, ports, data, ends);
    });
    Ok(Returns(1))
}

/// `tcp(source, dest, seq, ack_seq, flags, window, saddr, daddr [, data])`
fn tcp(lua: Lua) -> Outcome {
    let mut header = Segment {
        ports: [short(lua, 1)?, short(lua, 2)?],
        sequence: long(lua, 3)?,
        acknowledged: long(lua, 4)?,
        flags: 0,
        window: short(lua, 6)?,
    };
    if !lua.is_none_or_nil(5) {
        lua.expect(5, ffi::LUA_TTABLE)?;
        for name in transport::FLAGS.split(' ').take(8) {
            lua.push_str(name);
            lua.raw_get(5);
            header.flags = header.flags << 1 | u8::from(lua.to_bool(-1));
            lua.pop(1);
        }
    }
    let pair = Pair::read(lua, 7)?;
    let data = data(&lua, 9, packet::TCP, u16::MAX.into())?;
    lua.push_filled(packet::TCP + data.len(), &mut |out| {
        packet::tcp(out, &header, data, pair.ends());
    });
    Ok(Returns(1))
}

/// `ip(saddr, daddr, protocol [, data])`
fn ip(lua: Lua) -> Outcome {
    let (source, dest) = (address(lua, 1)?, address(lua, 2)?);
    let protocol = byte(lua, 3)?;
    let data = data(&lua, 4, packet::IPV4, u16::MAX.into())?;
    lua.push_filled(packet::IPV4 + data.len(), &mut |out| {
        packet::ipv4(out, &source, &dest, protocol, data);
    });
    Ok(Returns(1))
}

/// The bytes of the hardware address at `index`.
fn mac<'a>(
    lua: Lua,
    index: c_int,
    default: &'static [u8],
    room: &'a mut [u8; LONGEST_MAC],
) -> Result<&'a [u8], Error> {
    parse_mac(lua.string_or(index, default)?, room)
        .ok_or_else(|| Error::argument(index, "not a valid MAC address"))
}

/// `arp(op [, sha [, sip [, tha [, tip]]]])`
fn arp(lua: Lua) -> Outcome {
    let operation = short(lua, 1)?;
    let mut rooms = [[0; LONGEST_MAC]; 2];
    let [first, second] = &mut rooms;
    let none = b"00:00:00:00:00:00";
    let ip = |index| {
        if lua.is_none_or_nil(index) {
            Ok([0; 4])
        } else {
            address(lua, index)
        }
    };
    let (sender, target) = (mac(lua, 2, none, first)?, mac(lua, 4, none, second)?);
    let addresses = [ip(3)?, ip(5)?];
    let [sender_ip, target_ip] = &addresses;
    let length = packet::ARP - 12 + sender.len() + target.len();
    lua.push_filled(length, &mut |out| {
        packet::arp(out, operation, [(sender, sender_ip), (target, target_ip)]);
    });
    Ok(Returns(1))
}

/// `ether(source, dest, proto [, data])`
fn ether(lua: Lua) -> Outcome {
    let mut rooms = [[0; LONGEST_MAC]; 2];
    let [first, second] = &mut rooms;
    lua.string(1)?;
    lua.string(2)?;
    let (source, dest) = (mac(lua, 1, b"", first)?, mac(lua, 2, b"", second)?);
    let proto = short(lua, 3)?;
    let data = lua.string_or(4, b"")?;
    lua.push_filled(source.len() + dest.len() + 2 + data.len(), &mut |out| {
        packet::ethernet(out, source, dest, proto, data);
    });
    Ok(Returns(1))
}
