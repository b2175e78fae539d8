//! `nlmsg`: a message under construction.

use std::cell::RefCell;
use std::ffi::CStr;

use crate::functions;
use crate::lua::{method, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::netlink::attribute::NESTED;
use crate::netlink::builder::{Builder, Refusal};

/// Largest room, so that lengths fit a C int.
const LARGEST: i64 = i32::MAX as i64 - 16;

pub struct Message(RefCell<Builder>);

impl UserData for Message {
    const NAME: &'static CStr = c"eco.nlmsg";
    const METHODS: Functions = functions! {
        binary: method(binary),
        put: method(put),
        put_attr: method(put_attr),
        put_attr_flag: method(|lua, this| put_payload(lua, this, 0, b"")),
        put_attr_u8: method(|lua, this| put_number(lua, this, 1)),
        put_attr_u16: method(|lua, this| put_number(lua, this, 2)),
        put_attr_u32: method(|lua, this| put_number(lua, this, 4)),
        put_attr_u64: method(|lua, this| put_number(lua, this, 8)),
        put_attr_str: method(|lua, this| put_text(lua, this, false)),
        put_attr_strz: method(|lua, this| put_text(lua, this, true)),
        put_attr_nest_start: method(|lua, this| put_payload(lua, this, NESTED, b"")),
        put_attr_nest_end: method(end_nest),
    };
}

/// `nlmsg(type, flags [, seq [, size]])`
pub fn new(lua: Lua) -> Outcome {
    let (kind, flags) = (lua.integer(1)? as u16, lua.integer(2)? as u16);
    let sequence = lua.integer_or(3, 0)? as u32;
    let size = lua.integer_or(4, 4096)?;
    if !(0..=LARGEST).contains(&size) {
        return Err(Error::argument(4, "invalid size"));
    }
    let slot = lua.reserve::<Message>(0, std::ptr::null());
    match Builder::new(kind, flags, sequence, size as usize) {
        Ok(builder) => slot.fill(Message(RefCell::new(builder))),
        Err(_) => return Err(lua.out_of_memory()),
    };
    Ok(Returns(1))
}

/// `msg:binary()`
fn binary(lua: Lua, this: &Message) -> Outcome {
    let length = this.0.borrow().bytes().len();
    lua.push_filled(length, &mut |out| {
        for (place, byte) in out.iter_mut().zip(this.0.borrow().bytes()) {
            *place = *byte;
        }
    });
    Ok(Returns(1))
}

/// Ends a call that put something in: with the builder, or why it did not.
#[inline(never)]
fn done(lua: Lua, result: Result<(), Refusal>) -> Outcome {
    match result {
        Ok(()) => {
            lua.push_value(1);
            Ok(Returns(1))
        }
        Err(Refusal::Full) => lua.fail("buf is full"),
        Err(Refusal::TooLarge) => lua.fail("attr is too large"),
        Err(Refusal::OutOfMemory) => Err(lua.out_of_memory()),
    }
}

/// `msg:put(data)`
fn put(lua: Lua, this: &Message) -> Outcome {
    let data = lua.string(2)?;
    if data.len() > i32::MAX as usize {
        return lua.fail("data is too large");
    }
    let result = this.0.borrow_mut().put(data);
    done(lua, result)
}

/// Puts an attribute of the type in argument 2, and of these marks.
#[inline(never)]
fn put_payload(lua: Lua, this: &Message, marks: u16, payload: &[u8]) -> Outcome {
    let kind = lua.integer(2)? as u16 | marks;
    let result = this.0.borrow_mut().put_attribute(kind, payload);
    done(lua, result)
}

/// `msg:put_attr(type, data)`
fn put_attr(lua: Lua, this: &Message) -> Outcome {
    lua.integer(2)?;
    put_payload(lua, this, 0, lua.string(3)?)
}

#[inline(never)]
fn put_number(lua: Lua, this: &Message, width: usize) -> Outcome {
    lua.integer(2)?;
    let number = lua.integer(3)?;
    // The least significant bytes, in the machine's order.
    let bytes = number.to_ne_bytes();
    let start = if cfg!(target_endian = "big") {
        8 - width
    } else {
        0
    };
    put_payload(lua, this, 0, &bytes[start..start + width])
}

/// `msg:put_attr_str(type, s)`, and with `ends` `msg:put_attr_strz(type, s)`
#[inline(never)]
fn put_text(lua: Lua, this: &Message, ends: bool) -> Outcome {
    lua.integer(2)?;
    let text = lua.string(3)?;
    let end = text
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(text.len());
    lua.push_bytes(&text[..end]);
    if ends {
        lua.push_bytes(b"\0");
        lua.concat(2);
    }
    put_payload(lua, this, 0, lua.to_bytes(-1))
}

/// `msg:put_attr_nest_end()`
fn end_nest(lua: Lua, this: &Message) -> Outcome {
    this.0.borrow_mut().end_nest();
    done(lua, Ok(()))
}
