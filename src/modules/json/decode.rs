//! `decode`: tables out of JSON text.
//!
//! What is under way lies on Lua's stack: each container above the key or
//! index it gets in the one around it. Nothing here owns anything.

use crate::json::reader::{read, unescape, Builder, Number, Place, Problem, Text};
use crate::json::WIDE;
use crate::lua::{Lua, Outcome, Returns};

use super::settings::{self, DECODE_DEPTH, DECODE_INVALID, MARK_ARRAYS};
use super::{fail, ARRAY};

/// `decode(text)` -> value.
pub fn decode(lua: Lua) -> Outcome {
    let text = lua.string(1)?;
    let settings = settings::of(&lua)?;
    let mut tables = Tables {
        lua,
        depth: 0,
        most: settings.get(DECODE_DEPTH),
        place: Place::Top,
        index: 0,
        fields: None,
        hint: 0,
        marks_arrays: settings.is(MARK_ARRAYS),
    };
    match read(text, settings.is(DECODE_INVALID), &mut tables) {
        Ok(()) => Ok(Returns(1)),
        Err(problem) => {
            lua.set_top(1);
            push_message(lua, &problem);
            fail(lua)
        }
    }
}

/// Pushes the message about text that is no JSON: argument 1. May raise.
fn push_message(lua: Lua, problem: &Problem) {
    let text = lua.to_bytes(1);
    let before = text.get(..problem.at).unwrap_or(text);
    let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
    let (begin, expected, between) = match problem.expected {
        Some(expected) => ("Expected ", expected, " but found "),
        None => ("Found ", "", ""),
    };
    for part in [begin, expected, between, problem.found, " at character "] {
        lua.push_str(part);
    }
    lua.push_integer(before.len() as i64 + 1);
    lua.push_str(", line ");
    lua.push_integer(line as i64);
    lua.concat(8);
}

/// Objects are made with room for as many fields as the last one had, up to this.
const MOST_HINTED: i32 = 8;

struct Tables {
    lua: Lua,
    depth: i32,
    most: i32,
    /// What the next value is in.
    place: Place,
    /// The index it gets in an array.
    index: i64,
    /// How many fields the object has so far, if no other container was in it.
    fields: Option<i32>,
    hint: i32,
    marks_arrays: bool,
}

impl Tables {
    /// Puts the value on top where it belongs. May raise.
    fn store(&mut self) {
        match self.place {
            Place::Top => {}
            Place::Array => {
                self.lua.raw_set_index(-2, self.index);
                self.index += 1;
            }
            Place::Object => self.lua.raw_set(-3),
        }
    }

    /// Makes room for a container; false if it lies too deep.
    fn enter(&mut self, place: Place) -> bool {
        if self.depth >= self.most || !self.lua.ensure(8) {
            return false;
        }
        self.depth += 1;
        if self.place == Place::Array {
            self.lua.push_integer(self.index);
        }
        self.place = place;
        true
    }

    /// Pushes a string. May raise.
    fn push(&self, text: Text<'_>) -> Result<(), usize> {
        if !text.escaped {
            self.lua.push_bytes(text.raw);
            return Ok(());
        }
        let mut short = [0; 128];
        if let Some(room) = short.get_mut(..text.raw.len()).filter(|_| WIDE) {
            let length = unescape(text.raw, room)?;
            self.lua.push_bytes(&short[..length]);
            return Ok(());
        }
        let length = unescape(text.raw, &mut [])?;
        self.lua.push_filled(length, &mut |room| {
            let _ = unescape(text.raw, room);
        });
        Ok(())
    }
}

impl Builder for Tables {
    fn literal(&mut self, value: Option<bool>) {
        match value {
            Some(value) => self.lua.push_bool(value),
            None => self.lua.push_pointer(std::ptr::null()),
        }
        self.store();
    }

    fn number(&mut self, value: Number<'_>) -> bool {
        match value {
            Number::Integer(value) => self.lua.push_integer(value),
            Number::Float(value) => self.lua.push_number(value),
            Number::Text(text) => {
                if !self.lua.push_number_text(text) {
                    return false;
                }
            }
            // Lua would let hexadecimal integers wrap around.
            Number::Odd(text) => {
                if text.len() > 16 || !self.lua.push_number_text(text) {
                    return false;
                }
            }
        }
        self.store();
        true
    }

    fn string(&mut self, text: Text<'_>) -> Result<(), usize> {
        self.push(text)?;
        self.store();
        Ok(())
    }

    fn key(&mut self, text: Text<'_>) -> Result<(), usize> {
        self.fields = self.fields.map(|count| count + 1);
        self.push(text)
    }

    fn begin_array(&mut self) -> bool {
        if !self.enter(Place::Array) {
            return false;
        }
        self.lua.push_table(0, 0);
        if self.marks_arrays {
            self.lua.push_value(ARRAY);
            self.lua.set_metatable(-2);
        }
        self.index = 1;
        self.fields = None;
        true
    }

    fn begin_object(&mut self) -> bool {
        if !self.enter(Place::Object) {
            return false;
        }
        self.lua.push_table(0, self.hint);
        self.fields = Some(0);
        true
    }

    fn leave(&mut self) -> Place {
        if let Some(count) = self.fields.take() {
            self.hint = count.min(MOST_HINTED);
        }
        self.depth -= 1;
        self.place = Place::Top;
        if self.depth > 0 {
            self.place = Place::Object;
            if self.lua.is_integer(-2) {
                self.place = Place::Array;
                self.index = self.lua.to_integer(-2).unwrap_or_default() + 1;
            }
            self.lua.raw_set(-3);
        }
        self.place
    }
}
