//! Parameters of statements: values of Lua, copied so that they outlive the call.

use std::ffi::c_int;

use crate::lua::{ffi, Error, Lua};

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
}

/// The arguments from `first` to `last`: as many parameters as there are arguments, nils at the end included. Floats
/// with whole values are integers. What has no form in SQL gives its `tostring` if its metatable has one, else NULL.
/// May raise.
pub fn parameters(lua: Lua, first: c_int, last: c_int) -> Result<Vec<Value>, Error> {
    // What scripts have a say in comes first, while nothing is owned.
    for index in first..=last {
        let other = !matches!(
            lua.type_of(index),
            ffi::LUA_TNIL | ffi::LUA_TBOOLEAN | ffi::LUA_TNUMBER | ffi::LUA_TSTRING
        );
        if other && has_text(lua, index) {
            lua.to_text(index);
        }
    }
    let mut values = Vec::new();
    let count = usize::try_from(last - first + 1).unwrap_or(0);
    if values.try_reserve_exact(count).is_err() {
        return Err(lua.out_of_memory());
    }
    for index in first..=last {
        let Some(value) = value(lua, index) else {
            drop(values);
            return Err(lua.out_of_memory());
        };
        values.push(value);
    }
    Ok(values)
}

/// Whether the value says itself what its text is. May raise.
fn has_text(lua: Lua, index: c_int) -> bool {
    if !lua.get_metatable(index) {
        return false;
    }
    lua.push_str("__tostring");
    let found = lua.raw_get(-2) != ffi::LUA_TNIL;
    lua.pop(2);
    found
}

/// The value at `index`; None when there is no memory for it.
fn value(lua: Lua, index: c_int) -> Option<Value> {
    Some(match lua.type_of(index) {
        ffi::LUA_TBOOLEAN => Value::Boolean(lua.to_bool(index)),
        ffi::LUA_TNUMBER => match lua.to_integer(index) {
            Some(integer) => Value::Integer(integer),
            None => Value::Real(lua.to_number(index).unwrap_or_default()),
        },
        ffi::LUA_TSTRING => Value::Text(copy(lua.to_bytes(index))?),
        _ => Value::Null,
    })
}

/// A copy; None when there is no memory for it.
pub fn copy(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).ok()?;
    copy.extend_from_slice(bytes);
    Some(copy)
}
