//! Userdata with visible fields: methods come from a table kept in the
//! metatable, fields from the type's own `__index` function.
//!
//! What a script sets lies in a table by value, with weak keys, made at the
//! first assignment. Until then no value and no look-up pays for it; then
//! [`own_index`] takes the place of `__index`.

use super::{ffi, function, Error, Lua, Outcome, Returns, METHODS};

/// Where a metatable keeps the tables of scripts by the values they belong to.
const OWN: i64 = METHODS + 1;

/// From `__index`: pushes the method that argument 2 names, or else nil;
/// then gives the name's place among `fields`, or their number.
pub fn push_method(lua: Lua, fields: &[&str]) -> usize {
    lua.raw_get_index(Lua::upvalue(2), METHODS);
    lua.push_value(2);
    if lua.raw_get(-2) != ffi::LUA_TNIL {
        return fields.len();
    }
    let name = lua.bytes(2).unwrap_or_default();
    let found = fields.iter().position(|field| field.as_bytes() == name);
    found.unwrap_or(fields.len())
}

/// `__index` of a type some of whose values have fields of a script's own:
/// upvalues are the tables of those and the `__index` for all else.
fn own_index(lua: Lua) -> Outcome {
    lua.set_top(2);
    lua.push_value(1);
    if lua.raw_get(Lua::upvalue(1)) == ffi::LUA_TTABLE {
        lua.push_value(2);
        if lua.raw_get(3) != ffi::LUA_TNIL {
            return Ok(Returns(1));
        }
    }
    lua.push_value(Lua::upvalue(2));
    lua.push_value(1);
    lua.push_value(2);
    lua.call(2, 1);
    Ok(Returns(1))
}

/// Pushes the tables of scripts of the type whose metatable is upvalue 2. May
/// raise.
fn push_owners(lua: Lua) {
    let metatable = Lua::upvalue(2);
    if lua.raw_get_index(metatable, OWN) == ffi::LUA_TTABLE {
        return;
    }
    lua.pop(1);
    lua.push_table(0, 1);
    lua.push_table(0, 1);
    lua.set_bytes(-1, c"__mode", b"k");
    lua.set_metatable(-2);
    lua.push_value(-1);
    lua.get_field(metatable, c"__index");
    lua.push_closure(function(own_index), 2);
    // There is room for it: nothing raises between the two.
    lua.push_value(-2);
    lua.raw_set_index(metatable, OWN);
    lua.set_field(metatable, c"__index");
}

/// `__newindex`: fields of a script's own. Those that tell the state of the
/// value cannot be set. May raise.
pub fn set_own(lua: Lua) -> Outcome {
    lua.set_top(3);
    push_owners(lua);
    lua.push_value(1);
    if lua.raw_get(4) != ffi::LUA_TTABLE {
        lua.pop(1);
        lua.push_table(0, 1);
        lua.push_value(1);
        lua.push_value(-2);
        lua.raw_set(4);
    }
    lua.push_value(2);
    if lua.raw_get(5) == ffi::LUA_TNIL {
        // What is found under the name is a method, or tells the state.
        lua.get_field(Lua::upvalue(2), c"__index");
        lua.push_value(1);
        lua.push_value(2);
        lua.call(2, 1);
        lua.raw_get_index(Lua::upvalue(2), METHODS);
        lua.push_value(2);
        if lua.raw_get(8) == ffi::LUA_TNIL && !lua.is_none_or_nil(7) {
            lua.push_where(1);
            lua.push_str("field '");
            lua.push_value(2);
            lua.to_text(-1);
            lua.push_str("' cannot be set");
            lua.concat(4);
            return Err(Error::raised());
        }
    }
    lua.set_top(5);
    lua.push_value(2);
    lua.push_value(3);
    lua.raw_set(5);
    Ok(Returns(0))
}
