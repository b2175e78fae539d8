//! Messages of rtnetlink as tables: `linux/if_link.h`, `linux/if_addr.h`,
//! `linux/neighbour.h`, `linux/rtnetlink.h`, `linux/fib_rules.h`.

use std::ffi::c_int;

use crate::constants;
use crate::lua::{Constants, Error, Lua, Outcome, Returns};
use crate::netlink::attribute::Attributes;
use crate::netlink::part;
use crate::system::socket::{format_ip, interface_name};

/// How an attribute becomes a value: the field's number holds it above the
/// attribute's type.
const TEXT: c_int = 0;
const NUMBER: c_int = 1 << 8;
const FLAG: c_int = 2 << 8;
const HARDWARE: c_int = 3 << 8;
const ADDRESS: c_int = 4 << 8;
const INTERFACE: c_int = 5 << 8;

/// Attributes of type below this are looked at.
const TYPES: usize = 64;

const LINK: Constants = constants! {
    address = HARDWARE | 1; broadcast = HARDWARE | 2; ifname = TEXT | 3; mtu = NUMBER | 4; link = NUMBER | 5;
    qdisc = TEXT | 6; master = INTERFACE | 10; txqueuelen = NUMBER | 13; operstate = NUMBER | 16; alias = TEXT | 20;
    group = NUMBER | 27; carrier = FLAG | 33;
};
const STATISTICS: c_int = 23;
const LINK_INFO: c_int = 18;

/// Bits of a link's flags.
const LINK_FLAGS: Constants = constants! {
    up = 1; running = 64; promisc = 256; allmulticast = 512; multicast = 4096; dynamic = 32768;
};
const NO_ARP: u32 = 128;

/// Places in `struct rtnl_link_stats64`.
const COUNTERS: Constants = constants! {
    rx_packets = 0; tx_packets = 1; rx_bytes = 2; tx_bytes = 3; rx_errors = 4; tx_errors = 5; rx_dropped = 6;
    tx_dropped = 7; multicast = 8; collisions = 9;
};

const ADDRESSES: Constants = constants! {
    label = TEXT | 3; broadcast = ADDRESS | 4; flags = NUMBER | 8; metric = NUMBER | 9;
};
const IFA_ADDRESS: usize = 1;
const IFA_LOCAL: usize = 2;

const NEIGHBOUR: Constants = constants! {
    address = ADDRESS | 1; lladdr = HARDWARE | 2; vlan = NUMBER | 5;
};
const STATES: Constants = constants! {
    incomplete = 1; reachable = 2; stale = 4; delay = 8; probe = 16; failed = 32; noarp = 64; permanent = 128;
    none = 0;
};

const ROUTE: Constants = constants! {
    iif = INTERFACE | 3; dev = INTERFACE | 4; gateway = ADDRESS | 5; metric = NUMBER | 6; src = ADDRESS | 7;
    table = NUMBER | 15; mark = NUMBER | 16;
};
const KINDS: Constants = constants! {
    unspec = 0; unicast = 1; local = 2; broadcast = 3; anycast = 4; multicast = 5; blackhole = 6; unreachable = 7;
    prohibit = 8; throw = 9; nat = 10;
};
const PROTOCOLS: Constants = constants! {
    unspec = 0; redirect = 1; kernel = 2; boot = 3; static = 4; ra = 9; dhcp = 16;
};
const SCOPES: Constants = constants! {
    global = 0; site = 200; link = 253; host = 254; nowhere = 255;
};

const RULE: Constants = constants! {
    iif = TEXT | 3; goto = NUMBER | 4; priority = NUMBER | 6; fwmark = NUMBER | 10; fwmask = NUMBER | 16;
    table = NUMBER | 15; oif = TEXT | 17;
};
const ACTIONS: Constants = constants! {
    table = 1; goto = 2; nop = 3; blackhole = 6; unreachable = 7; prohibit = 8;
};

/// Numbers that have names both ways: scripts put them into requests, too.
pub const NAMES: &[Constants] = &[SCOPES, STATES, KINDS, PROTOCOLS, ACTIONS];

/// The payloads of a message's attributes by their types.
struct Found<'a>([Option<&'a [u8]>; TYPES]);

impl<'a> Found<'a> {
    fn new(bytes: &'a [u8]) -> Found<'a> {
        let mut found = [None; TYPES];
        for attribute in Attributes::new(bytes) {
            if let Some(place) = found.get_mut(usize::from(attribute.kind)) {
                *place = Some(attribute.payload());
            }
        }
        Found(found)
    }

    fn get(&self, kind: usize) -> Option<&'a [u8]> {
        self.0.get(kind).copied().flatten()
    }
}

/// `decode(type, payload)` -> a table, or nothing when the message is cut.
pub fn decode(lua: Lua) -> Outcome {
    let payload = lua.string(2)?;
    let known = match lua.integer(1)? {
        16 | 17 => link(lua, payload),
        20 | 21 => address(lua, payload),
        24 | 25 => route(lua, payload),
        28 | 29 => neighbour(lua, payload),
        32 | 33 => rule(lua, payload),
        _ => return Err(Error::argument(1, "unknown type")),
    };
    Ok(Returns(c_int::from(known.is_some())))
}

/// Sets a field of the table on top to the value on top of it.
fn set(lua: Lua, name: &[u8]) {
    lua.push_bytes(name);
    lua.insert(-2);
    lua.raw_set(-3);
}

fn set_integer(lua: Lua, name: &[u8], value: i64) {
    lua.push_integer(value);
    set(lua, name);
}

/// A number of one, two, four or eight bytes.
fn number(bytes: &[u8]) -> i64 {
    match bytes.len() {
        1 => bytes[0].into(),
        2 => part(bytes, 0).map_or(0, u16::from_ne_bytes).into(),
        8 => part(bytes, 0)
            .map_or(0, u64::from_ne_bytes)
            .min(i64::MAX as u64) as i64,
        _ => part(bytes, 0).map_or(0, u32::from_ne_bytes).into(),
    }
}

/// Text up to its NUL, if it has one.
fn text(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == 0);
    &bytes[..end.unwrap_or(bytes.len())]
}

/// Pushes an IP address as text, or nil when it has no such length.
fn push_address(lua: Lua, bytes: &[u8]) {
    let family = match bytes.len() {
        4 => libc::AF_INET,
        16 => libc::AF_INET6,
        _ => return lua.push_nil(),
    };
    let mut ip = [0; 16];
    ip[..bytes.len()].copy_from_slice(bytes);
    format_ip(family, &ip, |text| lua.push_bytes(text));
}

fn push_interface(lua: Lua, index: i64) {
    interface_name(index as u32, |name| lua.push_bytes(name));
}

/// Pushes the name that a number has in a list, or the number.
fn push_name(lua: Lua, names: Constants, value: c_int) {
    match names.each().find(|&(_, number)| number == value) {
        Some((name, _)) => lua.push_bytes(name),
        None => lua.push_integer(value.into()),
    }
}

fn set_name(lua: Lua, field: &[u8], names: Constants, value: u8) {
    push_name(lua, names, value.into());
    set(lua, field);
}

/// Sets the fields of the table on top that these attributes hold.
#[inline(never)]
fn fields(lua: Lua, names: Constants, found: &Found) {
    for (name, which) in names.each() {
        let Some(bytes) = found.get(which as usize & 0xff) else {
            continue;
        };
        match which & !0xff {
            TEXT => lua.push_bytes(text(bytes)),
            NUMBER => lua.push_integer(number(bytes)),
            FLAG => lua.push_bool(number(bytes) == 1),
            HARDWARE => lua.push_hardware_address(bytes),
            ADDRESS => push_address(lua, bytes),
            INTERFACE if number(bytes) == 0 => continue,
            _ => push_interface(lua, number(bytes)),
        }
        set(lua, name);
    }
}

/// Sets `field` to the prefix in an attribute and its length.
fn set_prefix(lua: Lua, field: &[u8], bytes: Option<&[u8]>, length: u8) {
    let Some(bytes) = bytes else {
        if length == 0 {
            lua.push_str("default");
            set(lua, field);
        }
        return;
    };
    push_address(lua, bytes);
    if usize::from(length) != bytes.len() * 8 && !lua.is_none_or_nil(-1) {
        lua.push_str("/");
        lua.push_integer(length.into());
        lua.concat(3);
    }
    set(lua, field);
}

#[inline(never)]
fn set_interface(lua: Lua, index: u32) {
    set_integer(lua, b"ifindex", index.into());
    push_interface(lua, index.into());
    set(lua, b"ifname");
}

/// `struct ifinfomsg`
fn link(lua: Lua, payload: &[u8]) -> Option<()> {
    let kind = u16::from_ne_bytes(part(payload, 2)?);
    let index = u32::from_ne_bytes(part(payload, 4)?);
    let flags = u32::from_ne_bytes(part(payload, 8)?);
    let found = Found::new(payload.get(16..)?);
    lua.push_table(0, 24);
    set_integer(lua, b"type", kind.into());
    set_integer(lua, b"ifindex", index.into());
    for (name, bit) in LINK_FLAGS.each() {
        lua.push_bool(flags & bit as u32 != 0);
        set(lua, name);
    }
    lua.push_bool(flags & NO_ARP == 0);
    set(lua, b"arp");
    fields(lua, LINK, &found);
    if let Some(info) = found.get(LINK_INFO as usize) {
        if let Some(kind) = Found::new(info).get(1) {
            lua.push_bytes(text(kind));
            set(lua, b"kind");
        }
    }
    if let Some(bytes) = found.get(STATISTICS as usize) {
        lua.push_table(0, COUNTERS.values.len() as c_int);
        for (name, place) in COUNTERS.each() {
            let counter: [u8; 8] = part(bytes, place as usize * 8).unwrap_or_default();
            set_integer(lua, name, number(&counter));
        }
        set(lua, b"stats");
    }
    Some(())
}

/// `struct ifaddrmsg`. A peer is what `IFA_ADDRESS` says beside `IFA_LOCAL`.
fn address(lua: Lua, payload: &[u8]) -> Option<()> {
    let &[family, length, flags, scope] = payload.first_chunk()?;
    let index = u32::from_ne_bytes(part(payload, 4)?);
    let found = Found::new(payload.get(8..)?);
    let local = found.get(IFA_LOCAL);
    let other = found.get(IFA_ADDRESS);
    lua.push_table(0, 10);
    set_integer(lua, b"family", family.into());
    set_integer(lua, b"prefix", length.into());
    set_integer(lua, b"flags", flags.into());
    set_interface(lua, index);
    if let Some((name, _)) = SCOPES
        .each()
        .find(|&(_, number)| number == i32::from(scope))
    {
        lua.push_bytes(name);
        set(lua, b"scope");
    }
    if let Some(own) = local.or(other) {
        push_address(lua, own);
        set(lua, b"address");
    }
    if let (Some(own), Some(peer)) = (local, other) {
        if own != peer {
            push_address(lua, peer);
            set(lua, b"peer");
        }
    }
    fields(lua, ADDRESSES, &found);
    Some(())
}

/// `struct ndmsg`
fn neighbour(lua: Lua, payload: &[u8]) -> Option<()> {
    let family = *payload.first()?;
    let index = u32::from_ne_bytes(part(payload, 4)?);
    let state = u16::from_ne_bytes(part(payload, 8)?);
    let &[flags, kind] = payload.get(10..)?.first_chunk()?;
    let found = Found::new(payload.get(12..)?);
    lua.push_table(0, 8);
    set_integer(lua, b"family", family.into());
    set_interface(lua, index);
    push_name(lua, STATES, state.into());
    set(lua, b"state");
    set_name(lua, b"type", KINDS, kind);
    for (name, bit) in [(&b"proxy"[..], 8), (b"router", 0x80)] {
        if flags & bit != 0 {
            lua.push_bool(true);
            set(lua, name);
        }
    }
    fields(lua, NEIGHBOUR, &found);
    Some(())
}

/// `struct rtmsg`
fn route(lua: Lua, payload: &[u8]) -> Option<()> {
    let &[family, to, from, tos, table, protocol, scope, kind] = payload.first_chunk()?;
    let flags = u32::from_ne_bytes(part(payload, 8)?);
    let found = Found::new(payload.get(12..)?);
    lua.push_table(0, 12);
    for (name, value) in [(&b"family"[..], family), (b"tos", tos), (b"table", table)] {
        set_integer(lua, name, value.into());
    }
    set_integer(lua, b"flags", flags.into());
    set_name(lua, b"protocol", PROTOCOLS, protocol);
    set_name(lua, b"scope", SCOPES, scope);
    set_name(lua, b"type", KINDS, kind);
    set_prefix(lua, b"dst", found.get(1), to);
    if from != 0 {
        set_prefix(lua, b"from", found.get(2), from);
    }
    fields(lua, ROUTE, &found);
    next_hops(lua, found.get(9));
    Some(())
}

/// The ways of a route with several: `struct rtnexthop`, each with attributes.
fn next_hops(lua: Lua, bytes: Option<&[u8]>) {
    let Some(mut rest) = bytes else { return };
    lua.push_table(0, 0);
    let mut count = 0;
    while let Some(length) = part(rest, 0).map(u16::from_ne_bytes) {
        let Some(hop) = rest.get(..length.into()).filter(|hop| hop.len() >= 8) else {
            break;
        };
        lua.push_table(0, 3);
        set_integer(lua, b"weight", i64::from(hop[3]) + 1);
        push_interface(lua, part(hop, 4).map_or(0, u32::from_ne_bytes).into());
        set(lua, b"dev");
        fields(lua, ROUTE, &Found::new(&hop[8..]));
        count += 1;
        lua.raw_set_index(-2, count);
        rest = rest.get(crate::netlink::align(hop.len())..).unwrap_or(&[]);
    }
    set(lua, b"nexthops");
}

/// `struct fib_rule_hdr`
fn rule(lua: Lua, payload: &[u8]) -> Option<()> {
    let &[family, to, from, tos, table, _, _, action] = payload.first_chunk()?;
    let found = Found::new(payload.get(12..)?);
    lua.push_table(0, 10);
    for (name, value) in [(&b"family"[..], family), (b"tos", tos), (b"table", table)] {
        set_integer(lua, name, value.into());
    }
    set_integer(lua, b"priority", 0);
    set_name(lua, b"action", ACTIONS, action);
    for (name, kind, length) in [(&b"dst"[..], 1, to), (b"src", 2, from)] {
        if length != 0 {
            set_prefix(lua, name, found.get(kind), length);
        }
    }
    fields(lua, RULE, &found);
    Some(())
}
