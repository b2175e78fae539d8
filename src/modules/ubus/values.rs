//! Lua values as tables of the bus, and back.
//!
//! Both ways go down nested tables by recursion of bounded depth. What owns memory meanwhile belongs to the caller, for
//! whom Lua may raise at any time.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};

use ubus::blob::{BuildError, MAX_DEPTH};
use ubus::blobmsg::{Array, Builder, Entries, Table, TableBuf, Value};
use ubus::signature::{Signature, SignatureBuilder};

use crate::lua::{ffi, Error, Lua};

/// Longest name of a value; there is no way to write a longer one.
const LONGEST_NAME: usize = u16::MAX as usize;

/// Stack slots that one level of tables needs at most.
const SLOTS: c_int = 6;

const MOST_ROOM: usize = 64;

/// Why a Lua value cannot be sent.
#[derive(Clone, Copy)]
pub enum Problem {
    /// To be raised.
    Raised(Error),
    /// Longer than a message may be.
    TooLong,
    /// Nested too deep.
    Invalid,
}

impl From<BuildError> for Problem {
    fn from(error: BuildError) -> Problem {
        match error {
            BuildError::TooLong { .. } => Problem::TooLong,
            _ => Problem::Invalid,
        }
    }
}

/// A table under construction.
struct Encoder<'a> {
    builder: &'a RefCell<Builder>,
    is_circular: Cell<bool>,
}

/// The tables that the one at hand lies in.
struct Chain<'a> {
    address: *const c_void,
    outer: Option<&'a Chain<'a>>,
    depth: usize,
}

/// Writes the table at `index` to an empty builder as a table of the bus, whatever its keys; nothing is an empty one.
/// May raise.
pub fn encode(lua: Lua, index: c_int, builder: &RefCell<Builder>) -> Result<(), Problem> {
    if lua.is_none_or_nil(index) {
        return Ok(());
    }
    let index = lua.absolute(index);
    let encoder = Encoder {
        builder,
        is_circular: Cell::new(false),
    };
    let chain = Chain {
        address: lua.to_address(index),
        outer: None,
        depth: 0,
    };
    let top = lua.top();
    encoder.fields(lua, index, &chain);
    lua.set_top(top);
    match encoder.is_circular.get() {
        true => Err(Problem::Raised("circular reference in table".into())),
        false => Ok(()),
    }
}

impl Encoder<'_> {
    /// Whether there is no use in going on.
    fn has_failed(&self) -> bool {
        self.is_circular.get() || self.builder.borrow().error().is_some()
    }

    /// Adds the fields of the table at `index` under their names. May raise.
    fn fields(&self, lua: Lua, index: c_int, chain: &Chain<'_>) {
        lua.push_nil();
        while lua.next(index) {
            let value = lua.top();
            let name = match lua.type_of(value - 1) {
                ffi::LUA_TSTRING => until_nul(lua.to_bytes(value - 1)),
                ffi::LUA_TNUMBER => {
                    // A copy: the number is the key that the walk goes on from.
                    lua.push_value(value - 1);
                    lua.to_bytes(value + 1)
                }
                _ => b"",
            };
            if name.len() <= LONGEST_NAME {
                self.value(lua, name, value, chain);
            }
            lua.set_top(value - 1);
            if self.has_failed() {
                return;
            }
        }
    }

    /// Adds the value at `index`, unless there is no such thing on the bus. May raise.
    fn value(&self, lua: Lua, name: &[u8], index: c_int, chain: &Chain<'_>) {
        match lua.type_of(index) {
            ffi::LUA_TBOOLEAN => {
                self.builder.borrow_mut().bool(name, lua.to_bool(index));
            }
            ffi::LUA_TNUMBER if lua.is_integer(index) => {
                let value = lua.to_integer(index).unwrap_or_default();
                self.builder.borrow_mut().int(name, value);
            }
            ffi::LUA_TNUMBER => {
                let value = lua.to_number(index).unwrap_or_default();
                self.builder.borrow_mut().double(name, value);
            }
            ffi::LUA_TSTRING => {
                let text = until_nul(lua.to_bytes(index));
                self.builder.borrow_mut().string(name, text);
            }
            ffi::LUA_TTABLE => self.table(lua, name, index, chain),
            _ => {}
        }
    }

    fn table(&self, lua: Lua, name: &[u8], index: c_int, outer: &Chain<'_>) {
        let chain = Chain {
            address: lua.to_address(index),
            outer: Some(outer),
            depth: outer.depth + 1,
        };
        let mut above = Some(outer);
        while let Some(link) = above {
            if link.address == chain.address {
                self.is_circular.set(true);
                return;
            }
            above = link.outer;
        }
        let length = array_length(lua, index);
        match length {
            Some(_) => self.builder.borrow_mut().open_array(name),
            None => self.builder.borrow_mut().open_table(name),
        };
        // The builder has noted what is too deep.
        if chain.depth > MAX_DEPTH || !lua.ensure(SLOTS) {
            return;
        }
        match length {
            None => self.fields(lua, index, &chain),
            Some(length) => {
                for place in 1..=length {
                    lua.raw_get_index(index, place);
                    self.value(lua, b"", lua.top(), &chain);
                    lua.pop(1);
                    if self.has_failed() {
                        return;
                    }
                }
            }
        }
        self.builder.borrow_mut().close();
    }
}

/// The length of the table at `index` if it is an array: if it has as many fields as elements.
fn array_length(lua: Lua, index: c_int) -> Option<i64> {
    let length = lua.raw_len(index);
    let mut fields = 0;
    lua.push_nil();
    while lua.next(index) {
        lua.pop(1);
        fields += 1;
        if fields > length {
            lua.pop(1);
            return None;
        }
    }
    (fields == length).then_some(length as i64)
}

fn until_nul(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&byte| byte == 0);
    &text[..end.unwrap_or(text.len())]
}

/// Pushes a table of the bus. May raise.
pub fn push_table(lua: Lua, table: Table<'_>) {
    fields(lua, table, 0);
}

/// Room for as many entries as there are, at first: whoever sends more has them paid by the growth of the table.
fn room(entries: Entries<'_>) -> c_int {
    entries.take(MOST_ROOM).count() as c_int
}

fn fields(lua: Lua, table: Table<'_>, depth: usize) {
    lua.push_table(0, room(table.iter()));
    let mut unnamed = 0;
    for entry in table {
        if entry.name.is_empty() {
            unnamed += 1;
            if push(lua, entry.value, depth) {
                lua.raw_set_index(-2, unnamed);
            }
            continue;
        }
        lua.push_bytes(entry.name);
        match push(lua, entry.value, depth) {
            true => lua.raw_set(-3),
            false => lua.pop(1),
        }
    }
}

fn elements(lua: Lua, array: Array<'_>, depth: usize) {
    lua.push_table(room(array.entries()), 0);
    for (index, value) in (1..).zip(array.iter()) {
        if push(lua, value, depth) {
            lua.raw_set_index(-2, index);
        }
    }
}

/// Pushes a value; false, with nothing pushed, for null and for what is nested too deep.
fn push(lua: Lua, value: Value<'_>, depth: usize) -> bool {
    match value {
        Value::Unspec(_) => return false,
        Value::Array(_) | Value::Table(_) if depth >= MAX_DEPTH || !lua.ensure(SLOTS) => {
            return false;
        }
        Value::Array(array) => elements(lua, array, depth + 1),
        Value::Table(table) => fields(lua, table, depth + 1),
        Value::String(text) => lua.push_bytes(text),
        Value::Int64(number) => lua.push_integer(number),
        Value::Int32(number) => lua.push_integer(number.into()),
        Value::Int16(number) => lua.push_integer(number.into()),
        Value::Int8(number) => lua.push_bool(number != 0),
        Value::Double(number) => lua.push_number(number),
    }
    true
}

/// The methods of an object, from the table at `index` of `name = { callback, policy }`, which has been checked.
pub fn encode_signature(lua: Lua, index: c_int) -> Result<TableBuf, Problem> {
    let builder = RefCell::new(SignatureBuilder::new());
    lua.push_value(index);
    let done = lua.protect_with(1, 0, &builder, |lua, builder| {
        lua.push_nil();
        while lua.next(1) {
            lua.push_value(2);
            let name = until_nul(lua.to_bytes(4));
            builder.borrow_mut().method(name);
            if lua.raw_get_index(3, 2) == ffi::LUA_TTABLE {
                lua.push_nil();
                while lua.next(5) {
                    lua.push_value(6);
                    let name = until_nul(lua.to_bytes(8));
                    let number = lua.to_integer(7).unwrap_or_default() as u32;
                    builder.borrow_mut().argument(name, number);
                    lua.set_top(6);
                }
            }
            lua.set_top(2);
        }
    });
    done.map_err(Problem::Raised)?;
    Ok(builder.into_inner().finish()?)
}

/// Pushes a table of methods, each a table of type numbers by argument. May raise.
pub fn push_signature(lua: Lua, table: Table<'_>) {
    lua.push_table(0, 0);
    for method in Signature::new(table).methods() {
        lua.push_bytes(method.name);
        lua.push_table(0, 0);
        for (name, number) in method.arguments() {
            lua.push_bytes(name);
            lua.push_integer(number.into());
            lua.raw_set(-3);
        }
        lua.raw_set(-3);
    }
}
