//! Userdata with visible fields: methods come from a table kept in the
//! metatable, fields from the type's own `__index` function, and what a script
//! sets lies in a table of its own, made at the first assignment.

use super::{ffi, Error, Lua, Outcome, Returns, METHODS};

/// Where a metatable keeps the tables of scripts by the values they belong to,
/// as weak keys: values without one pay nothing.
const OWN: i64 = -1;

/// From `__index`: pushes what the script has set under the name that is
/// argument 2, or the method of that name, or else nil; then gives the name's
/// place among `fields`, or their number.
pub fn push_method(lua: Lua, fields: &[&str]) -> usize {
    if push_own(lua) {
        lua.push_value(2);
        if lua.raw_get(-2) != ffi::LUA_TNIL {
            return fields.len();
        }
    }
    lua.raw_get_index(Lua::upvalue(2), METHODS);
    lua.push_value(2);
    if lua.raw_get(-2) != ffi::LUA_TNIL {
        return fields.len();
    }
    let name = lua.bytes(2).unwrap_or_default();
    let found = fields.iter().position(|field| field.as_bytes() == name);
    found.unwrap_or(fields.len())
}

/// Pushes the script's table for the value in argument 1, if there is one.
fn push_own(lua: Lua) -> bool {
    if lua.raw_get_index(Lua::upvalue(2), OWN) == ffi::LUA_TTABLE {
        lua.push_value(1);
        if lua.raw_get(-2) == ffi::LUA_TTABLE {
            return true;
        }
        lua.pop(1);
    }
    lua.pop(1);
    false
}

/// `__newindex`: fields of a script's own. Those that tell the state of the
/// value cannot be set. May raise.
pub fn set_own(lua: Lua) -> Outcome {
    lua.set_top(3);
    let has_own = push_own(lua);
    if has_own {
        lua.push_value(2);
        lua.raw_get(-2);
    } else {
        lua.push_nil();
    }
    lua.raw_get_index(Lua::upvalue(2), METHODS);
    lua.push_value(2);
    let is_new = lua.is_none_or_nil(-3) && lua.raw_get(-2) == ffi::LUA_TNIL;
    if is_new {
        lua.get_field(Lua::upvalue(2), c"__index");
        lua.push_value(1);
        lua.push_value(2);
        lua.call(2, 1);
        if !lua.is_none_or_nil(-1) {
            lua.push_where(1);
            lua.push_str("field '");
            lua.push_value(2);
            lua.to_text(-1);
            lua.push_str("' cannot be set");
            lua.concat(4);
            return Err(Error::raised());
        }
    }
    lua.set_top(3);
    if !push_own(lua) {
        if lua.raw_get_index(Lua::upvalue(2), OWN) != ffi::LUA_TTABLE {
            lua.push_table(0, 1);
            lua.push_table(0, 1);
            lua.set_bytes(-1, c"__mode", b"k");
            lua.set_metatable(-2);
            lua.push_value(-1);
            lua.raw_set_index(Lua::upvalue(2), OWN);
        }
        lua.push_table(0, 1);
        lua.push_value(1);
        lua.push_value(-2);
        lua.raw_set(-4);
    }
    lua.push_value(2);
    lua.push_value(3);
    lua.raw_set(-3);
    Ok(Returns(0))
}
