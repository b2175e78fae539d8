//! Userdata with visible fields: methods come from a table kept in the
//! metatable, fields from the type's own `__index` function.

use crate::core::Core;
use crate::lua::{ffi, Lua, UserData};

/// Where the metatable keeps the methods.
const METHODS: i64 = 1;

/// Makes `T`'s methods ready for [`push_method`] and leaves their table on
/// top. For `luaopen_…`; may raise.
pub fn keep_methods<T: UserData>(lua: Lua, core: Core) {
    lua.push_metatable::<T>(core.pointer());
    lua.push_methods::<T>(core.pointer());
    lua.push_value(-1);
    lua.raw_set_index(-3, METHODS);
    lua.remove(-2);
}

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
