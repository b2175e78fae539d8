//! Userdata with visible fields: methods come from a table kept in the
//! metatable, fields from the type's own `__index` function.

use super::{ffi, Lua, METHODS};

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
