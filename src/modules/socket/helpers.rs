//! Functions on addresses and byte order that touch no socket.

use std::ffi::c_int;

use super::system::{format_ip, interface_index, interface_name, parse_ip, parse_loosely};
use crate::lua::{function, Error, Functions, Lua, Outcome, Returns};

pub const FUNCTIONS: Functions = &[
    (c"is_ipv4_address", function(is_ipv4_address)),
    (c"is_ipv6_address", function(is_ipv6_address)),
    (c"is_ip_address", function(is_ip_address)),
    (c"inet_aton", function(inet_aton)),
    (c"inet_ntoa", function(inet_ntoa)),
    (c"inet_pton", function(inet_pton)),
    (c"inet_ntop", function(inet_ntop)),
    (c"if_nametoindex", function(if_nametoindex)),
    (c"if_indextoname", function(if_indextoname)),
    (c"htonl", function(swap_long)),
    (c"ntohl", function(swap_long)),
    (c"htons", function(swap_short)),
    (c"ntohs", function(swap_short)),
];

fn boolean(lua: Lua, value: bool) -> Outcome {
    lua.push_bool(value);
    Ok(Returns(1))
}

fn integer(lua: Lua, value: u32) -> Outcome {
    lua.push_integer(i64::from(value));
    Ok(Returns(1))
}

fn is_ipv4_address(lua: Lua) -> Outcome {
    boolean(lua, parse_ip(libc::AF_INET, lua.string(1)?).is_some())
}

fn is_ipv6_address(lua: Lua) -> Outcome {
    boolean(lua, parse_ip(libc::AF_INET6, lua.string(1)?).is_some())
}

fn is_ip_address(lua: Lua) -> Outcome {
    let text = lua.string(1)?;
    boolean(lua, parse_ip(libc::AF_INET, text).is_some() || parse_ip(libc::AF_INET6, text).is_some())
}

/// The network-order bytes read as a number of this machine; 0 for bad text.
fn inet_aton(lua: Lua) -> Outcome {
    integer(lua, parse_loosely(lua.string(1)?))
}

fn inet_ntoa(lua: Lua) -> Outcome {
    let mut binary = [0; 16];
    binary[..4].copy_from_slice(&(lua.integer(1)? as u32).to_ne_bytes());
    format_ip(libc::AF_INET, &binary, |text| lua.push_bytes(text));
    Ok(Returns(1))
}

/// The family argument and how many bytes its addresses have.
fn family(lua: Lua) -> Result<(c_int, usize), Error> {
    match lua.int(1)? {
        libc::AF_INET => Ok((libc::AF_INET, 4)),
        libc::AF_INET6 => Ok((libc::AF_INET6, 16)),
        _ => Err(Error::argument(1, "family must be AF_INET or AF_INET6")),
    }
}

fn inet_pton(lua: Lua) -> Outcome {
    let (family, size) = family(lua)?;
    match parse_ip(family, lua.string(2)?) {
        Some(binary) => lua.push_bytes(&binary[..size]),
        None => lua.push_nil(),
    }
    Ok(Returns(1))
}

fn inet_ntop(lua: Lua) -> Outcome {
    let (family, size) = family(lua)?;
    let Some(address) = lua.string(2)?.get(..size) else {
        return Err(Error::argument(2, "address too short"));
    };
    let mut binary = [0; 16];
    binary[..size].copy_from_slice(address);
    format_ip(family, &binary, |text| lua.push_bytes(text));
    Ok(Returns(1))
}

fn if_nametoindex(lua: Lua) -> Outcome {
    match interface_index(lua.string(1)?) {
        0 => lua.push_nil(),
        index => lua.push_integer(i64::from(index)),
    }
    Ok(Returns(1))
}

fn if_indextoname(lua: Lua) -> Outcome {
    interface_name(lua.int(1)? as u32, |name| lua.push_bytes(name));
    Ok(Returns(1))
}

/// Between host and network order, which is the same both ways.
fn swap_long(lua: Lua) -> Outcome {
    integer(lua, (lua.integer(1)? as u32).to_be())
}

fn swap_short(lua: Lua) -> Outcome {
    integer(lua, u32::from((lua.integer(1)? as u16).to_be()))
}
