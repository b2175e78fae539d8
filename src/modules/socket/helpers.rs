//! Functions on addresses and interfaces that ask the C library.

use std::ffi::c_int;

use crate::functions;
use crate::lua::{function, Error, Functions, Lua, Outcome, Returns};
use crate::system::socket::{format_ip, interface_index, interface_name, parse_ip, parse_loosely};

pub const FUNCTIONS: Functions = functions! {
    inet_aton: function(inet_aton),
    inet_pton: function(inet_pton),
    inet_ntop: function(inet_ntop),
    if_nametoindex: function(if_nametoindex),
    if_indextoname: function(if_indextoname),
};

/// The network-order bytes read as a number of this machine; 0 for bad text.
fn inet_aton(lua: Lua) -> Outcome {
    lua.push_integer(i64::from(parse_loosely(lua.string(1)?)));
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
    let mut binary = [0; 16];
    if parse_ip(family, lua.string(2)?, &mut binary) {
        lua.push_bytes(&binary[..size]);
    } else {
        lua.push_nil();
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
