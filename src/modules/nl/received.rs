//! A cursor over the messages of a datagram. The datagram stays the string it
//! came as: user value 1.

use std::cell::Cell;
use std::ffi::CStr;

use crate::functions;
use crate::lua::{method, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::netlink::message::{self, Header};
use crate::netlink::{align, part};

use super::attributes;

/// Longest datagram.
const LONGEST: usize = i32::MAX as usize;

/// Where the cursor stands in the datagram.
pub struct Received {
    /// Start of the current message, before the first call of `next` and after
    /// the last message that of none.
    current: Cell<usize>,
    next: Cell<usize>,
}

/// The start of no message.
const NONE: usize = usize::MAX;

impl UserData for Received {
    const NAME: &'static CStr = c"eco.nlmsg_ker";
    const METHODS: Functions = functions! {
        next: method(next),
        payload: method(payload),
        parse_attr: method(parse_attr),
        parse_error: method(parse_error),
    };
}

/// `nlmsg_ker(data)`
pub fn new(lua: Lua) -> Outcome {
    if lua.string(1)?.len() > LONGEST {
        return Err(Error::argument(1, "datagram is too large"));
    }
    lua.reserve(1, std::ptr::null()).fill(Received {
        current: Cell::new(NONE),
        next: Cell::new(0),
    });
    lua.push_value(1);
    lua.set_user_value(-2, 1);
    Ok(Returns(1))
}

/// Pushes the datagram of the cursor at `index`, then gives the current
/// message: its header and payload.
fn current<'a>(lua: &'a Lua, index: i32, this: &Received) -> Option<(Header, &'a [u8])> {
    lua.get_user_value(index, 1);
    let datagram = lua.to_bytes(-1);
    let (header, place) = message::at(datagram, this.current.get())?;
    Some((header, datagram.get(place)?))
}

fn invalid(lua: Lua) -> Outcome {
    lua.fail("invalid nlmsg")
}

/// `ker:next()`
fn next(lua: Lua, this: &Received) -> Outcome {
    lua.get_user_value(1, 1);
    let start = this.next.get();
    let Some((header, place)) = message::at(lua.to_bytes(-1), start) else {
        this.current.set(NONE);
        this.next.set(NONE);
        lua.push_nil();
        return Ok(Returns(1));
    };
    this.current.set(start);
    this.next.set(message::next(place.end));
    lua.push_table(0, 4);
    lua.set_integer(-1, c"type", header.kind.into());
    lua.set_integer(-1, c"flags", header.flags.into());
    lua.set_integer(-1, c"seq", header.sequence.into());
    lua.set_integer(-1, c"pid", header.port.into());
    Ok(Returns(1))
}

/// `ker:payload()`
fn payload(lua: Lua, this: &Received) -> Outcome {
    match current(&lua, 1, this) {
        Some((_, payload)) => lua.push_bytes(payload),
        None => return invalid(lua),
    }
    Ok(Returns(1))
}

/// `ker:parse_attr(offset)`
fn parse_attr(lua: Lua, this: &Received) -> Outcome {
    let offset = lua.integer(2)?;
    let Some((_, payload)) = current(&lua, 1, this) else {
        return invalid(lua);
    };
    let start = usize::try_from(offset)
        .ok()
        .filter(|&offset| offset <= payload.len())
        .ok_or(Error::argument(2, "invalid offset"))?;
    let attributes = payload.get(align(start)..).unwrap_or_default();
    if attributes::push_table(lua, attributes) {
        Ok(Returns(1))
    } else {
        lua.fail("malformed attributes")
    }
}

/// `ker:parse_error()`
fn parse_error(lua: Lua, this: &Received) -> Outcome {
    match current(&lua, 1, this) {
        Some((header, _)) if header.kind != message::TYPE_ERROR => {
            lua.fail("not a nlmsg with type NLMSG_ERROR")
        }
        Some((_, payload)) if payload.len() >= message::ERROR => {
            let error = part(payload, 0).map_or(0, i32::from_ne_bytes);
            lua.push_integer(error.into());
            Ok(Returns(1))
        }
        _ => invalid(lua),
    }
}

/// `head(ker, size)`, for the modules of headers: type and at most `size` bytes
/// of the current message's payload, or nil and a message.
pub fn head(lua: Lua) -> Outcome {
    let this = lua.expect_userdata::<Received>(1)?;
    let size = lua.int(2)? as usize;
    let Some((header, payload)) = current(&lua, 1, this) else {
        return invalid(lua);
    };
    lua.push_integer(header.kind.into());
    lua.push_bytes(payload.get(..size).unwrap_or(payload));
    Ok(Returns(2))
}
