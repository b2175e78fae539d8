//! `eco.net`: round trips to other hosts.
//!
//! The order of waits is in `net.lua`; packets are in [`crate::packet::echo`].

use crate::abi::{monotonic, Core};
use crate::lua::{function, Functions, Lua, Outcome, Returns};
use crate::packet::echo::{self, Kind, Packet, HEADER, ICMP, ICMPV6};
use crate::system::random;
use crate::{functions, lua_source};

const FUNCTIONS: Functions = functions! {
    request: function(request),
    judge: function(judge),
    now: function(now),
    random: function(random_id),
};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.net")?;
    lua.push_chunk(c"=eco.net", lua_source!("net.lua"));
    lua.push_module(FUNCTIONS, core.pointer());
    lua.call(1, 1);
    Ok(Returns(1))
}

/// Nanoseconds of the monotonic clock.
fn now(lua: Lua) -> Outcome {
    lua.push_integer(monotonic());
    Ok(Returns(1))
}

/// `random()` -> 16 bits.
fn random_id(lua: Lua) -> Outcome {
    let mut id = [0; 2];
    random::fill(&mut id);
    lua.push_integer(u16::from_ne_bytes(id).into());
    Ok(Returns(1))
}

fn kind(lua: Lua) -> Kind {
    if lua.to_bool(1) {
        ICMPV6
    } else {
        ICMP
    }
}

/// `request(is_six, id, data)` -> packet.
fn request(lua: Lua) -> Outcome {
    let (id, data) = (lua.within(2, 0, u16::MAX.into())?, lua.string(3)?);
    let header = echo::request(kind(lua), id as u16, data);
    lua.push_filled(HEADER + data.len(), &mut |room| {
        for (place, byte) in room.iter_mut().zip(header.iter().chain(data)) {
            *place = *byte;
        }
    });
    Ok(Returns(1))
}

/// `judge(is_six, id, data, packet, has_ip)` -> true for the reply, or nil and
/// what else it is.
fn judge(lua: Lua) -> Outcome {
    let (id, data) = (lua.within(2, 0, u16::MAX.into())?, lua.string(3)?);
    let mut packet = lua.string(4)?;
    if lua.to_bool(5) {
        packet = echo::without_ip(packet);
    }
    let (text, number) = match echo::judge(packet, kind(lua), id as u16, data) {
        Packet::Reply => {
            lua.push_bool(true);
            return Ok(Returns(1));
        }
        Packet::OtherId(other) => ("unexpected icmp id: got ", other),
        Packet::OtherType(other) => ("unexpected type ICMP ", other.into()),
        Packet::Foreign => {
            lua.push_nil();
            lua.push_str("unexpected icmp packet");
            return Ok(Returns(2));
        }
    };
    lua.push_nil();
    lua.push_str(text);
    lua.push_integer(number.into());
    let mut parts = 2;
    if text.ends_with("got ") {
        lua.push_str(", expected ");
        lua.push_integer(id);
        parts = 4;
    }
    lua.concat(parts);
    Ok(Returns(2))
}
