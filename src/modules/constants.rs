//! Tables of integer constants, kept small: all names in one string, the
//! platform's values beside them.

use std::ffi::c_int;

use crate::lua::Lua;

/// Names separated by blanks, and their values in the same order.
pub type Constants = (&'static str, &'static [c_int]);

/// Names and values of constants of the C library.
#[macro_export]
macro_rules! constants {
    ($($name:ident)*) => {
        (
            concat!($(stringify!($name), " "),*),
            &[$(libc::$name as std::ffi::c_int),*],
        )
    };
}

/// Sets tables of constants in the table on top. May raise.
pub fn set_constants(lua: Lua, tables: &[Constants]) {
    for (names, values) in tables {
        for (name, value) in names.as_bytes().split(|&byte| byte == b' ').zip(*values) {
            lua.push_bytes(name);
            lua.push_integer(i64::from(*value));
            lua.raw_set(-3);
        }
    }
}
