//! Getters of attributes: each takes one as `parse_attr` gives it, a string of
//! header and payload.

use std::ffi::c_int;

use crate::functions;
use crate::lua::{ffi, function, Error, Functions, Lua, Outcome, Returns};
use crate::netlink::attribute::{Attribute, Attributes};
use crate::netlink::part;

pub const FUNCTIONS: Functions = functions! {
    attr_get_u8: function(|lua| number(lua, |bytes| part(bytes, 0).map(|n| u8::from_ne_bytes(n).into()))),
    attr_get_s8: function(|lua| number(lua, |bytes| part(bytes, 0).map(|n| i8::from_ne_bytes(n).into()))),
    attr_get_u16: function(|lua| number(lua, |bytes| part(bytes, 0).map(|n| u16::from_ne_bytes(n).into()))),
    attr_get_s16: function(|lua| number(lua, |bytes| part(bytes, 0).map(|n| i16::from_ne_bytes(n).into()))),
    attr_get_u32: function(|lua| number(lua, |bytes| part(bytes, 0).map(|n| u32::from_ne_bytes(n).into()))),
    attr_get_s32: function(|lua| number(lua, |bytes| part(bytes, 0).map(|n| i32::from_ne_bytes(n).into()))),
    attr_get_u64: function(|lua| number(lua, |bytes| part(bytes, 0).map(clamped))),
    attr_get_s64: function(|lua| number(lua, |bytes| part(bytes, 0).map(i64::from_ne_bytes))),
    attr_get_str: function(text),
    attr_get_payload: function(payload),
    parse_attr_nested: function(nested),
};

/// Lua has no integer above the largest signed one.
fn clamped(bytes: [u8; 8]) -> i64 {
    u64::from_ne_bytes(bytes).min(i64::MAX as u64) as i64
}

/// Argument 1, an attribute.
fn argument(lua: &Lua) -> Result<Attribute<'_>, Error> {
    lua.expect(1, ffi::LUA_TSTRING)?;
    Attribute::first(lua.to_bytes(1)).ok_or(Error::argument(1, "invalid attribute"))
}

fn too_short() -> Error {
    Error::argument(1, "attribute payload is too short")
}

#[inline(never)]
fn number(lua: Lua, read: fn(&[u8]) -> Option<i64>) -> Outcome {
    let value = read(argument(&lua)?.payload()).ok_or(too_short())?;
    lua.push_integer(value);
    Ok(Returns(1))
}

fn text(lua: Lua) -> Outcome {
    let payload = argument(&lua)?.payload();
    if payload.is_empty() {
        return Err(too_short());
    }
    let end = payload.iter().position(|&byte| byte == 0);
    let message = "attribute string is not NUL-terminated";
    let end = end.ok_or(Error::argument(1, message))?;
    lua.push_bytes(&payload[..end]);
    Ok(Returns(1))
}

fn payload(lua: Lua) -> Outcome {
    lua.push_bytes(argument(&lua)?.payload());
    Ok(Returns(1))
}

fn nested(lua: Lua) -> Outcome {
    if push_table(lua, argument(&lua)?.payload()) {
        Ok(Returns(1))
    } else {
        Err(Error::argument(1, "malformed nested attributes"))
    }
}

/// Pushes a table of the attributes in some bytes by their types; the last of
/// a type counts. False when there was more than attributes. May raise.
pub fn push_table(lua: Lua, bytes: &[u8]) -> bool {
    let mut all = Attributes::new(bytes);
    lua.push_table(0, all.clone().count().min(64) as c_int);
    for attribute in all.by_ref() {
        lua.push_bytes(attribute.whole);
        lua.raw_set_index(-2, attribute.kind.into());
    }
    all.is_whole()
}
