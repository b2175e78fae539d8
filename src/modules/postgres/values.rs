//! Values on their way between Lua and texts of PostgreSQL.

use std::ffi::c_int;

use crate::lua::Lua;
use crate::modules::database::parameter;
use crate::postgres::message::{decode_hex, integer};

/// What becomes of a column's values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Integer,
    Number,
    Boolean,
    /// A `bytea`.
    Bytes,
    Text,
}

impl Kind {
    pub fn of(oid: u32) -> Kind {
        match oid {
            20 | 21 | 23 => Kind::Integer,
            700 | 701 | 1700 => Kind::Number,
            16 => Kind::Boolean,
            17 => Kind::Bytes,
            _ => Kind::Text,
        }
    }
}

/// Pushes a value from its text; `decode` those of `bytea`. May raise.
pub fn push(lua: Lua, kind: Kind, text: &[u8], decode: bool) {
    match kind {
        Kind::Integer => {
            if let Some(value) = integer(text) {
                return lua.push_integer(value);
            }
        }
        Kind::Number => match text {
            b"NaN" => return lua.push_number(f64::NAN),
            b"Infinity" => return lua.push_number(f64::INFINITY),
            b"-Infinity" => return lua.push_number(f64::NEG_INFINITY),
            text => {
                if lua.push_number_text(text) {
                    return;
                }
            }
        },
        Kind::Boolean => return lua.push_bool(text == b"t"),
        Kind::Bytes if decode => {
            if let Some(length) = decode_hex(text, |_| {}) {
                return lua.push_filled(length, &mut |out| {
                    let mut places = out.iter_mut();
                    decode_hex(text, |byte| {
                        if let Some(place) = places.next() {
                            *place = byte;
                        }
                    });
                });
            }
        }
        Kind::Bytes | Kind::Text => {}
    }
    lua.push_bytes(text);
}

/// Makes texts of the arguments from `first` on; nil stays. May raise.
pub fn to_texts(lua: Lua, first: c_int) {
    for index in first..=lua.top() {
        match parameter::normalise(lua, index) {
            parameter::Kind::Null | parameter::Kind::Text => {}
            parameter::Kind::Integer => {
                lua.to_bytes(index);
            }
            parameter::Kind::Number => {
                parameter::push_float(lua, index);
                lua.replace(index);
            }
        }
    }
}
