//! Values of rows on their way to Lua, parameters on their way out.

use std::ffi::c_int;

use crate::lua::Lua;
use crate::modules::database::parameter;
use crate::mysql::packet::{Bytes, Column, Malformed};
use crate::mysql::value::{self, Nulls, Value};
use crate::mysql::write::Parameter;

/// What is known of a column.
#[derive(Clone, Copy)]
pub struct Kind {
    kind: u8,
    unsigned: bool,
    decimals: u8,
}

impl Kind {
    pub fn of(column: &Column) -> Kind {
        Kind {
            kind: column.kind,
            unsigned: column.unsigned,
            decimals: column.decimals,
        }
    }
}

/// Pushes a value. May raise.
fn push(lua: Lua, value: Value, kind: Kind) {
    match value {
        Value::Null => lua.push_nil(),
        Value::Integer(value) => lua.push_integer(value),
        Value::Large(value) => lua.push_bytes(value::number_text(value, 1).as_bytes()),
        Value::Number(value) => lua.push_number(value),
        Value::Text(text) => lua.push_bytes(text),
        Value::Digits(text) => {
            // An integer that is none of Lua's stays a text.
            let fits = !kind.unsigned
                || kind.kind != value::LONGLONG
                || text.len() < 19
                || text.len() == 19 && text <= &b"9223372036854775807"[..];
            if !fits || !lua.push_number_text(text) {
                lua.push_bytes(text);
            }
        }
        Value::Date(date) => lua.push_bytes(date.text(kind.kind, kind.decimals).as_bytes()),
        Value::Time(time) => lua.push_bytes(time.text(kind.decimals).as_bytes()),
        Value::Year(year) => lua.push_bytes(value::number_text(year.into(), 4).as_bytes()),
    }
}

/// Pushes a table of a row, whose names are in the table at `names`. May raise.
pub fn push_row(
    lua: Lua,
    names: c_int,
    kinds: &[Kind],
    body: &[u8],
    binary: bool,
) -> Result<(), Malformed> {
    let mut rest = Bytes(body);
    let nulls = if binary {
        Some(Nulls::read(&mut rest, kinds.len())?)
    } else {
        None
    };
    lua.push_table(0, kinds.len() as c_int);
    for (place, &kind) in kinds.iter().enumerate() {
        let value = match nulls {
            Some(nulls) if nulls.has(place) => Value::Null,
            Some(_) => value::binary(&mut rest, kind.kind, kind.unsigned)?,
            None => value::text(&mut rest, kind.kind)?,
        };
        lua.raw_get_index(names, place as i64 + 1);
        push(lua, value, kind);
        lua.raw_set(-3);
    }
    rest.end()
}

/// Makes parameters of the arguments from `first` on. May raise.
pub fn normalise(lua: Lua, first: c_int) {
    for index in first..=lua.top() {
        parameter::normalise(lua, index);
    }
}

/// The one at `index`.
pub fn parameter(lua: &Lua, index: c_int) -> Parameter<'_> {
    if lua.is_integer(index) {
        return Parameter::Integer(lua.to_integer(index).unwrap_or_default());
    }
    match lua.bytes(index) {
        Some(text) => Parameter::Text(text),
        None => lua
            .to_number(index)
            .map_or(Parameter::Null, Parameter::Number),
    }
}
