//! What can be set about encoding and decoding: a function for each setting,
//! which gives its value and changes it.

use std::cell::Cell;
use std::ffi::{c_int, CStr};

use crate::functions;
use crate::lua::{function, Error, Functions, Lua, Outcome, Returns, UserData};

use super::SETTINGS;

/// A setting: how it begins and how far it goes. Those up to 1 are booleans;
/// the one up to 2 may also be `'null'`.
struct Setting {
    name: &'static str,
    initial: c_int,
    least: c_int,
    most: c_int,
}

const fn setting(name: &'static str, initial: c_int, least: c_int, most: c_int) -> Setting {
    Setting {
        name,
        initial,
        least,
        most,
    }
}

/// Their places.
pub const ENCODE_DEPTH: usize = 0;
pub const DECODE_DEPTH: usize = 1;
pub const PRECISION: usize = 2;
pub const KEEP_BUFFER: usize = 3;
pub const ENCODE_INVALID: usize = 4;
pub const DECODE_INVALID: usize = 5;
pub const MARK_ARRAYS: usize = 6;
pub const ESCAPE_SLASH: usize = 7;
pub const EMPTY_IS_OBJECT: usize = 8;
pub const SPARSE_CONVERT: usize = 9;
pub const SPARSE_RATIO: usize = 10;
pub const SPARSE_SAFE: usize = 11;
const COUNT: usize = 12;

static ALL: [Setting; COUNT] = [
    setting("encode_max_depth", 1000, 1, c_int::MAX),
    setting("decode_max_depth", 1000, 1, c_int::MAX),
    setting("encode_number_precision", 14, 1, 17),
    setting("encode_keep_buffer", 1, 0, 1),
    setting("encode_invalid_numbers", 0, 0, 2),
    setting("decode_invalid_numbers", 1, 0, 1),
    setting("decode_array_with_array_mt", 0, 0, 1),
    setting("encode_escape_forward_slash", 1, 0, 1),
    setting("encode_empty_table_as_object", 1, 0, 1),
    // All three by one function.
    setting("encode_sparse_array", 0, 0, 1),
    setting("", 2, 0, c_int::MAX),
    setting("", 10, 0, c_int::MAX),
];

/// The settings of an instance.
pub struct Settings {
    values: [Cell<c_int>; COUNT],
    /// The memory of an earlier text.
    buffer: Cell<Vec<u8>>,
}

/// The most memory that is kept from one text to the next.
const MOST_KEPT: usize = 64 * 1024;

impl UserData for Settings {
    const NAME: &'static CStr = c"eco{json}";
    const METHODS: Functions = functions! {};
}

impl Settings {
    /// The value of one.
    pub fn get(&self, place: usize) -> c_int {
        self.values[place].get()
    }

    /// Whether one is set.
    pub fn is(&self, place: usize) -> bool {
        self.get(place) != 0
    }

    /// Memory to write a text to.
    pub fn take_buffer(&self) -> Vec<u8> {
        self.buffer.take()
    }

    /// Gives it back.
    pub fn keep_buffer(&self, mut buffer: Vec<u8>) {
        if self.is(KEEP_BUFFER) && buffer.capacity() <= MOST_KEPT {
            buffer.clear();
            self.buffer.set(buffer);
        }
    }
}

/// Pushes fresh settings. May raise.
pub fn push(lua: Lua) {
    lua.reserve(0, std::ptr::null()).fill(Settings {
        values: std::array::from_fn(|place| Cell::new(ALL[place].initial)),
        buffer: Cell::default(),
    });
}

/// The settings of the running function.
pub fn of(lua: &Lua) -> Result<&Settings, Error> {
    lua.userdata(SETTINGS).ok_or("no settings".into())
}

/// Sets the functions in the module, which is at the bottom of the stack with
/// the settings above it. May raise.
pub fn set_functions(lua: Lua) {
    for (place, setting) in ALL.iter().enumerate().take(SPARSE_CONVERT + 1) {
        lua.push_bytes(setting.name.as_bytes());
        lua.push_value(2);
        lua.push_integer(place as i64);
        lua.push_closure(function(change), 2);
        lua.raw_set(1);
    }
}

/// `name([value])` -> the value, changed if one is given; the one of sparse
/// arrays has three.
fn change(lua: Lua) -> Outcome {
    let settings = of(&lua)?;
    let first = lua.to_integer(Lua::upvalue(2)).unwrap_or_default() as usize;
    let count = if first == SPARSE_CONVERT { 3 } else { 1 };
    if lua.top() > count {
        return Err(Error::argument(count + 1, "found too many arguments"));
    }
    lua.set_top(count);
    // All are checked before one is changed.
    let mut values = [0; 3];
    for (argument, value) in (1..=count).zip(&mut values) {
        let place = first + argument as usize - 1;
        *value = settings.get(place);
        if !lua.is_none_or_nil(argument) {
            *value = read(lua, argument, &ALL[place])?;
        }
    }
    for (argument, value) in (1..=count).zip(values) {
        let place = first + argument as usize - 1;
        settings.values[place].set(value);
        match (ALL[place].most, value) {
            (1, _) | (2, 0..2) => lua.push_bool(value != 0),
            (2, _) => lua.push_str("null"),
            _ => lua.push_integer(value.into()),
        }
    }
    Ok(Returns(count))
}

/// An argument as the value of a setting.
fn read(lua: Lua, argument: c_int, setting: &Setting) -> Result<c_int, Error> {
    if setting.most > 2 {
        return lua
            .within(argument, setting.least.into(), setting.most.into())
            .map(|value| value as c_int);
    }
    match lua.bytes(argument) {
        Some(b"off") => return Ok(0),
        Some(b"on") => return Ok(1),
        Some(b"null") if setting.most == 2 => return Ok(2),
        Some(_) => return Err(Error::argument(argument, "invalid option")),
        None => {}
    }
    lua.expect(argument, crate::lua::ffi::LUA_TBOOLEAN)?;
    Ok(lua.to_bool(argument).into())
}
