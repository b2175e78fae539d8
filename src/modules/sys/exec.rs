//! The program that a script wants started: its words and variables, checked.

use std::ffi::c_int;

use crate::lua::{ffi, Error, Lua};
use crate::system::program::{Program, Words};

/// The program that the arguments of the running function name. Leaves values
/// on the stack that keep it. May raise.
pub fn program<'a>(lua: &'a Lua) -> Result<Program<'a>, Error> {
    let is_array = lua.type_of(1) == ffi::LUA_TTABLE;
    if lua.top() == 0 || (is_array && lua.raw_len(1) == 0) {
        return Err(Error::argument(1, "command expected"));
    }
    let has_environment = is_array && !lua.is_none_or_nil(2);
    if has_environment {
        lua.expect(2, ffi::LUA_TTABLE)?;
    }
    let words = push_words(lua, 1)?;
    let environment = if has_environment {
        Some(push_words(lua, 2)?)
    } else {
        None
    };
    Ok(Program::new(words, environment))
}

/// Pushes the words of a command, each checked to be a string: from the array
/// at `index`, or from the values that start there; and room for their
/// addresses. May raise.
fn push_words<'a>(lua: &'a Lua, index: c_int) -> Result<Words<'a>, Error> {
    let is_array = lua.type_of(index) == ffi::LUA_TTABLE;
    let count = if is_array {
        lua.raw_len(index) as c_int
    } else {
        lua.top() - index + 1
    };
    lua.push_table(count, 0);
    let mut words = Words::new(lua.push_room(Words::size(count as usize)));
    for word in 1..=count {
        if is_array {
            lua.raw_get_index(index, i64::from(word));
        } else {
            lua.push_value(index + word - 1);
        }
        let tag = lua.type_of(-1);
        if tag != ffi::LUA_TSTRING && tag != ffi::LUA_TNUMBER {
            let at = if is_array { index } else { index + word - 1 };
            return Err(Error::argument(at, "string expected"));
        }
        // Makes a number a string; the table keeps it.
        if lua.to_bytes(-1).contains(&0) {
            return Err(Error::argument(index, "string contains zeros"));
        }
        words.push(lua.c_string(-1)?);
        lua.raw_set_index(-3, i64::from(word));
    }
    Ok(words)
}
