//! `eco.nl`, `eco.genl` and `eco.rtnl`: netlink messages, sockets, and the
//! headers of generic netlink and of rtnetlink.
//!
//! Messages are put together in a [`builder`] and taken apart by a cursor over
//! a datagram ([`received`]); both stand on [`crate::netlink`]. What waits is
//! made of calls of `eco.socket`, in `nl.lua`. Fixed headers are strings, which
//! `genl_header.lua` and `rtnl.lua` pack and unpack.

mod attributes;
mod builder;
mod constants;
mod received;

use std::ffi::CStr;

use crate::functions;
use crate::lua::{function, Constants, Functions, Lua, Outcome, Returns};
use crate::lua_source;

const FUNCTIONS: Functions = functions! {
    nlmsg: function(builder::new),
    nlmsg_ker: function(received::new),
};

/// Opens `eco.internal.nl`. May raise.
pub fn open_internal(lua: Lua) -> Outcome {
    lua.push_module(FUNCTIONS, std::ptr::null());
    lua.set_functions(attributes::FUNCTIONS, std::ptr::null());
    lua.set_constants(constants::NETLINK);
    Ok(Returns(1))
}

/// Opens `eco.nl`. May raise.
pub fn open(lua: Lua) -> Outcome {
    above(lua, c"=eco.nl", lua_source!("nl.lua"), c"eco.internal.nl")
}

/// Opens `eco.internal.genl`. May raise.
pub fn open_internal_genl(lua: Lua) -> Outcome {
    headers(
        lua,
        c"=eco.internal.genl",
        lua_source!("genl_header.lua"),
        constants::GENERIC,
    )
}

/// Opens `eco.genl`. May raise.
pub fn open_genl(lua: Lua) -> Outcome {
    above(
        lua,
        c"=eco.genl",
        lua_source!("genl.lua"),
        c"eco.internal.genl",
    )
}

/// Opens `eco.rtnl`. May raise.
pub fn open_rtnl(lua: Lua) -> Outcome {
    headers(lua, c"=eco.rtnl", lua_source!("rtnl.lua"), constants::ROUTE)
}

/// Runs a module's Lua part on the module below it.
fn above(lua: Lua, name: &CStr, source: &str, below: &CStr) -> Outcome {
    lua.push_chunk(name, source);
    lua.require(below);
    lua.call(1, 1);
    Ok(Returns(1))
}

/// Runs the Lua part of a module of headers: on its table of constants, and
/// what looks at the message a cursor stands on.
fn headers(lua: Lua, name: &CStr, source: &str, constants: Constants) -> Outcome {
    lua.push_chunk(name, source);
    lua.push_table(0, 0);
    lua.set_constants(constants);
    lua.push_closure(function(received::head), 0);
    lua.call(2, 1);
    Ok(Returns(1))
}
