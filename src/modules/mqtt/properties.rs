//! Properties of packets as tables, and back.

use std::cell::RefCell;
use std::ffi::c_int;

use crate::lua::{ffi, Error, Lua};
use crate::mqtt::properties::{Kind, Properties, Property, Value, SUBSCRIPTION};
use crate::mqtt::PUBLISH;

/// Writes the bytes of the properties in the table at `index` (none for nil),
/// for a packet of that type. May raise.
pub fn read(lua: Lua, index: c_int, place: u8, out: &RefCell<Vec<u8>>) -> Result<(), Error> {
    out.borrow_mut().clear();
    if lua.is_none_or_nil(index) {
        return Ok(());
    }
    if lua.type_of(index) != ffi::LUA_TTABLE {
        return Err("expecting properties to be a table".into());
    }
    let mut known = 0;
    for (name, property) in Property::each() {
        if !property.is_for(place) {
            continue;
        }
        lua.push_str(name);
        if lua.raw_get(index) != ffi::LUA_TNIL {
            known += 1;
            if !put(lua, property, out)? {
                return Err(complain(lua, name));
            }
        }
        lua.pop(1);
    }
    lua.push_nil();
    while lua.next(index) {
        known -= 1;
        lua.pop(1);
    }
    if known == 0 {
        Ok(())
    } else {
        Err("a property is unknown or not one of this packet".into())
    }
}

/// The error of a bad value.
#[cold]
fn complain(lua: Lua, name: &str) -> Error {
    lua.push_where(1);
    lua.push_str("invalid value of property ");
    lua.push_str(name);
    lua.concat(3);
    Error::raised()
}

/// Writes the value on top; false if the property has no such value. May raise.
fn put(lua: Lua, property: &Property, out: &RefCell<Vec<u8>>) -> Result<bool, Error> {
    match property.kind {
        Kind::Pair => put_pairs(lua, property, out),
        Kind::Text | Kind::Binary => match lua.bytes(-1) {
            Some(bytes) => add(lua, property, Value::Bytes(bytes), out),
            None => Ok(false),
        },
        _ => {
            let number = match lua.type_of(-1) {
                ffi::LUA_TBOOLEAN => Some(i64::from(lua.to_bool(-1))),
                ffi::LUA_TNUMBER => lua.to_integer(-1),
                _ => None,
            };
            match number.and_then(|number| u32::try_from(number).ok()) {
                Some(number) => add(lua, property, Value::Number(number), out),
                None => Ok(false),
            }
        }
    }
}

/// The same for a table of names and values, or of pairs of both.
fn put_pairs(lua: Lua, property: &Property, out: &RefCell<Vec<u8>>) -> Result<bool, Error> {
    let table = lua.top();
    if lua.type_of(table) != ffi::LUA_TTABLE {
        return Ok(false);
    }
    lua.push_nil();
    while lua.next(table) {
        let (mut name, mut value) = (table + 1, table + 2);
        if lua.type_of(value) == ffi::LUA_TTABLE {
            lua.raw_get_index(value, 1);
            lua.raw_get_index(value, 2);
            (name, value) = (table + 3, table + 4);
        }
        let (Some(name), Some(value)) = (lua.bytes(name), lua.bytes(value)) else {
            return Ok(false);
        };
        if !add(lua, property, Value::Pair(name, value), out)? {
            return Ok(false);
        }
        lua.set_top(table + 1);
    }
    Ok(true)
}

fn add(lua: Lua, property: &Property, value: Value, out: &RefCell<Vec<u8>>) -> Result<bool, Error> {
    if !property.allows(value) {
        return Ok(false);
    }
    let put = property.put(&mut out.borrow_mut(), value);
    match put {
        Some(()) => Ok(true),
        None => Err(lua.out_of_memory()),
    }
}

/// Pushes a table of them. May raise.
pub fn push(lua: Lua, properties: Properties, place: u8) {
    lua.push_table(0, 0);
    for (property, value) in properties {
        let name = Property::each()
            .find(|(_, one)| one.id == property.id)
            .map_or("", |(name, _)| name);
        lua.push_str(name);
        // There may be any number of these: their field is an array.
        let many = property.kind == Kind::Pair || property.id == SUBSCRIPTION && place == PUBLISH;
        if many {
            lua.push_value(-1);
            if lua.raw_get(-3) == ffi::LUA_TNIL {
                lua.pop(1);
                lua.push_table(1, 0);
            }
        }
        match value {
            Value::Number(number) if property.kind == Kind::Flag => lua.push_bool(number != 0),
            Value::Number(number) => lua.push_integer(number.into()),
            Value::Bytes(bytes) => lua.push_bytes(bytes),
            Value::Pair(name, value) => {
                lua.push_table(2, 0);
                lua.push_bytes(name);
                lua.raw_set_index(-2, 1);
                lua.push_bytes(value);
                lua.raw_set_index(-2, 2);
            }
        }
        if many {
            let place = lua.raw_len(-2) as i64 + 1;
            lua.raw_set_index(-2, place);
        }
        lua.raw_set(-3);
    }
}
