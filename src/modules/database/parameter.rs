//! Values of Lua as parameters of a statement.

use std::ffi::c_int;

use crate::lua::{ffi, Lua};
#[cfg(feature = "postgres")]
use crate::system::number::{write_float, LONGEST_FLOAT};

/// What a parameter is, once it is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Integer,
    Number,
    Text,
}

/// Replaces the value at `index` by what it stands for: integral numbers and
/// booleans are integers, what has no text of its own is NULL. May raise.
pub fn normalise(lua: Lua, index: c_int) -> Kind {
    match lua.type_of(index) {
        ffi::LUA_TSTRING => Kind::Text,
        ffi::LUA_TNUMBER => match lua.to_integer(index) {
            Some(value) => {
                lua.push_integer(value);
                lua.replace(index);
                Kind::Integer
            }
            None => Kind::Number,
        },
        ffi::LUA_TBOOLEAN => {
            lua.push_integer(lua.to_bool(index).into());
            lua.replace(index);
            Kind::Integer
        }
        ffi::LUA_TNIL | ffi::LUA_TNONE => Kind::Null,
        _ => {
            if lua.get_metatable(index) {
                let converts = lua.get_field(-1, c"__tostring") != ffi::LUA_TNIL;
                lua.pop(2);
                if converts {
                    lua.to_text(index);
                    return Kind::Text;
                }
            }
            lua.push_nil();
            lua.replace(index);
            Kind::Null
        }
    }
}

/// Pushes the shortest text that reads as the float at `index`. May raise.
#[cfg(feature = "postgres")]
pub fn push_float(lua: Lua, index: c_int) {
    let value = lua.to_number(index).unwrap_or_default();
    if value.is_nan() {
        return lua.push_str("NaN");
    }
    let mut text = [0; LONGEST_FLOAT];
    for digits in 15..=17 {
        let length = write_float(value, digits, &mut text);
        let text = text.get(..length).unwrap_or_default();
        let same = lua.push_number_text(text) && {
            let read = lua.to_number(-1);
            lua.pop(1);
            read == Some(value)
        };
        if same || digits == 17 {
            return lua.push_bytes(text);
        }
    }
}
