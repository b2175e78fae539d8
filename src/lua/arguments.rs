//! Typed arguments: what the caller passed, or an error about it.

use std::ffi::{c_int, CStr};

use nix::errno::Errno;

use super::{ffi, Error, Lua};

impl Lua {
    /// Argument `index` as an integer; integral floats and numeric strings count.
    pub fn integer(self, index: c_int) -> Result<i64, Error> {
        self.to_integer(index).ok_or_else(|| {
            if self.to_number(index).is_some() {
                Error::argument(index, "number has no integer representation")
            } else {
                Error::wrong_type(index, c"number")
            }
        })
    }

    /// Argument `index` as an integer, `default` when nil or absent.
    pub fn integer_or(self, index: c_int, default: i64) -> Result<i64, Error> {
        if self.is_none_or_nil(index) {
            Ok(default)
        } else {
            self.integer(index)
        }
    }

    /// Argument `index` as an integer from `low` to `high`.
    pub fn within(self, index: c_int, low: i64, high: i64) -> Result<i64, Error> {
        match self.integer(index)? {
            value if value >= low && value <= high => Ok(value),
            _ => Err(Error::argument(index, "out of range")),
        }
    }

    /// Argument `index` as a C int.
    pub fn int(self, index: c_int) -> Result<c_int, Error> {
        self.within(index, c_int::MIN.into(), c_int::MAX.into())
            .map(|value| value as c_int)
    }

    /// Argument `index` as a C int, `default` when nil or absent.
    pub fn int_or(self, index: c_int, default: c_int) -> Result<c_int, Error> {
        if self.is_none_or_nil(index) {
            Ok(default)
        } else {
            self.int(index)
        }
    }

    /// Argument `index` as 32 bits of flags, or a number that may be -1 for
    /// "none"; `default` when nil or absent.
    pub fn bits_or(self, index: c_int, default: u32) -> Result<u32, Error> {
        if self.is_none_or_nil(index) {
            return Ok(default);
        }
        self.within(index, c_int::MIN.into(), u32::MAX.into())
            .map(|value| value as u32)
    }

    /// Argument `index` as a float.
    pub fn number(self, index: c_int) -> Result<f64, Error> {
        self.to_number(index)
            .ok_or_else(|| Error::wrong_type(index, c"number"))
    }

    /// Argument `index` as a byte string; numbers are converted (may raise for
    /// want of memory).
    pub fn string(&self, index: c_int) -> Result<&[u8], Error> {
        match self.type_of(index) {
            ffi::LUA_TSTRING | ffi::LUA_TNUMBER => Ok(self.to_bytes(index)),
            _ => Err(Error::wrong_type(index, c"string")),
        }
    }

    /// Argument `index` as a C string: a name of something in the system. None
    /// of those has a NUL byte in it: the call fails with an argument that does.
    pub fn c_string(&self, index: c_int) -> Result<&CStr, Error> {
        let bytes = self.string(index)?;
        // SAFETY: Lua ends every string with a NUL.
        let name = unsafe { CStr::from_ptr(bytes.as_ptr().cast()) };
        if name.count_bytes() == bytes.len() {
            Ok(name)
        } else {
            Err(Error::failure(Errno::EINVAL))
        }
    }

    /// Argument `index` as a byte string, `default` when nil or absent.
    pub fn string_or<'a>(&'a self, index: c_int, default: &'a [u8]) -> Result<&'a [u8], Error> {
        if self.is_none_or_nil(index) {
            Ok(default)
        } else {
            self.string(index)
        }
    }

    /// Checks that argument `index` has the type `tag` (a `LUA_T…` constant).
    pub fn expect(self, index: c_int, tag: c_int) -> Result<(), Error> {
        if self.type_of(index) == tag {
            return Ok(());
        }
        let expected = match tag {
            ffi::LUA_TFUNCTION => c"function",
            ffi::LUA_TTABLE => c"table",
            ffi::LUA_TTHREAD => c"thread",
            ffi::LUA_TBOOLEAN => c"boolean",
            ffi::LUA_TSTRING => c"string",
            _ => c"userdata",
        };
        Err(Error::wrong_type(index, expected))
    }
}
