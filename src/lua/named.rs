//! Names with values beside them, such as the functions of a module.
//!
//! All names are one text: a table of pointers to each of them would cost a
//! router three words and two relocations a name.

use std::ffi::{c_int, c_void};

use super::{CFunction, Lua};

/// Functions of a module or a metatable, made by [`functions!`](crate::functions).
pub type Functions = Named<CFunction>;

/// Integers that scripts know by name, made by [`constants!`](crate::constants).
pub type Constants = Named<c_int>;

/// Values with names, in a fixed order.
#[derive(Clone, Copy)]
pub struct Named<T: 'static> {
    /// The names, each followed by a blank.
    pub names: &'static str,
    /// Their values.
    pub values: &'static [T],
}

impl<T: Copy> Named<T> {
    /// No names at all.
    pub const NONE: Named<T> = Named {
        names: "",
        values: &[],
    };

    /// The first `count` of them.
    pub fn first(self, count: usize) -> Named<T> {
        Named {
            values: self.values.get(..count).unwrap_or(self.values),
            ..self
        }
    }

    /// Each name with its value.
    pub fn each(self) -> impl Iterator<Item = (&'static [u8], T)> {
        let names = self.names.as_bytes().split(|&byte| byte == b' ');
        names.zip(self.values.iter().copied())
    }
}

/// Functions by name: `functions! { sleep: function(sleep), … }`.
#[macro_export]
macro_rules! functions {
    ($($name:tt: $function:expr),* $(,)?) => {
        $crate::lua::Named {
            names: concat!($(stringify!($name), " "),*),
            values: &[$($function),*],
        }
    };
}

/// Integer constants by name; a name alone is one of the C library's:
/// `constants! { AF_UNIX AF_INET ARPOP_REPLY = 2; }`.
#[macro_export]
macro_rules! constants {
    ($($name:ident $(= $value:expr;)?)*) => {
        $crate::lua::Named {
            names: concat!($(stringify!($name), " "),*),
            values: &[$($crate::constant!($name $($value)?)),*],
        }
    };
}

/// The value of one of [`constants!`].
#[macro_export]
macro_rules! constant {
    ($name:ident) => {
        libc::$name as std::ffi::c_int
    };
    ($name:ident $value:expr) => {
        $value as std::ffi::c_int
    };
}

impl Lua {
    /// Sets functions in the table on top; each gets the core's pointer as
    /// upvalue 1. May raise.
    pub fn set_functions(self, functions: Functions, core: *const c_void) {
        for (name, function) in functions.each() {
            self.push_bytes(name);
            self.push_function(function, core);
            self.raw_set(-3);
        }
    }

    /// Pushes a new table holding `functions`. May raise.
    pub fn push_module(self, functions: Functions, core: *const c_void) {
        self.push_table(0, functions.values.len() as c_int);
        self.set_functions(functions, core);
    }

    /// Sets constants in the table on top. May raise.
    pub fn set_constants(self, constants: Constants) {
        for (name, value) in constants.each() {
            self.push_bytes(name);
            self.push_integer(i64::from(value));
            self.raw_set(-3);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_keep_their_values() {
        let table: super::Named<i32> = constants! { EPERM answer = 42; SIGKILL };
        let each: Vec<_> = table.each().collect();
        assert_eq!(
            each,
            [
                (&b"EPERM"[..], libc::EPERM),
                (b"answer", 42),
                (b"SIGKILL", 9)
            ]
        );
        assert_eq!(super::Named::<i32>::NONE.each().count(), 0);
    }
}
