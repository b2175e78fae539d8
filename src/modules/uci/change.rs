//! What changes a package: in memory, then in files.

use std::ffi::c_int;

use uci::{leading_number, Cursor, Error as Problem, Value};

use super::address::{Address, Found, Words};
use super::{package, status, text, Context, Failure, INVALID, NOT_FOUND};
use crate::lua::{ffi, Error, Lua, Outcome, Returns};

/// `add(package, type)`: the generated name of the new section.
pub fn add(lua: Lua, this: &Context) -> Outcome {
    let (package, kind) = (package(&lua, this)?, lua.string(3)?);
    let mut cursor = this.cursor()?;
    let added = package.and_then(|package| Ok(cursor.edit(package)?.add_section(text(kind)?)?));
    drop(cursor);
    match added {
        Ok(name) => {
            let pushed = lua.try_push_bytes(name.as_bytes());
            drop(name);
            pushed?;
            Ok(Returns(1))
        }
        Err(failure) => failure.end(lua),
    }
}

/// `set(address, value)`.
pub fn set(lua: Lua, this: &Context) -> Outcome {
    let given = lua.top() - 1;
    // Of several arguments the last is the value.
    let words = Words::read(&lua, this, (given - 1).max(1))?;
    if given == 4 && lua.type_of(5) == ffi::LUA_TTABLE {
        push_strings(lua)?;
        let items = strings(&lua)?;
        let changed = apply(this, words, |cursor, address| {
            let (section, option) = (address.section()?, address.option.ok_or(INVALID)?);
            let mut edit = cursor.edit(address.package)?;
            edit.set_list(section, option, &items).map_err(missing)
        });
        drop(items);
        return status(lua, changed?);
    }
    let last = match given {
        3 | 4 => Some(lua.string(given + 1)?),
        _ => None,
    };
    end(lua, this, words, |cursor, address| {
        let value = last.or(address.value).ok_or(INVALID)?;
        let section = address.section()?;
        let mut edit = cursor.edit(address.package)?;
        match address.option {
            Some(option) => edit.set(section, option, value).map_err(missing),
            None => Ok(edit.set_section(section, text(value)?)?),
        }
    })
}

/// An option cannot be set in a section that does not exist.
fn missing(error: Problem) -> Failure {
    match error {
        Problem::NotFound { .. } => INVALID,
        other => other.into(),
    }
}

/// Pushes a table of the items of argument 4, all of them strings. May raise.
fn push_strings(lua: Lua) -> Result<(), Error> {
    const LIST: c_int = 5;
    let length = lua.raw_len(LIST).min(c_int::MAX as usize);
    if length == 0 {
        return Err("Cannot set an uci option to an empty table value".into());
    }
    lua.push_table(length.min(1 << 16) as c_int, 0);
    for index in 1..=length as i64 {
        lua.raw_get_index(LIST, index);
        if !matches!(lua.type_of(-1), ffi::LUA_TSTRING | ffi::LUA_TNUMBER) {
            // The argument at fault is named, its item described.
            lua.replace(LIST);
            return Err(Error::wrong_type(LIST, c"string"));
        }
        lua.to_bytes(-1);
        lua.raw_set_index(-2, index);
    }
    Ok(())
}

/// The strings in the table on top, which keeps them.
fn strings(lua: &Lua) -> Result<Vec<&[u8]>, Error> {
    let length = lua.raw_len(-1);
    let mut items = Vec::new();
    if items.try_reserve_exact(length).is_err() {
        drop(items);
        return Err(lua.out_of_memory());
    }
    for index in 1..=length as i64 {
        lua.raw_get_index(-1, index);
        items.push(lua.bytes(-1).unwrap_or_default());
        lua.pop(1);
    }
    Ok(items)
}

/// `rename(address, name)`.
pub fn rename(lua: Lua, this: &Context) -> Outcome {
    let given = lua.top() - 1;
    let words = Words::read(&lua, this, (given - 1).max(1))?;
    let last = match given {
        3 | 4 => Some(lua.string(given + 1)?),
        _ => None,
    };
    end(lua, this, words, |cursor, address| {
        let name = text(last.or(address.value).ok_or(INVALID)?)?;
        let section = address.section()?;
        address.check(cursor)?;
        let mut edit = cursor.edit(address.package)?;
        let renamed = match address.option {
            Some(option) => edit.rename(section, option, name),
            None => edit.rename_section(section, name),
        };
        Ok(renamed?)
    })
}

impl Address<'_> {
    /// Whether what is to be changed exists.
    fn check(&self, cursor: &Cursor) -> Result<(), Failure> {
        let no_section = match self.option {
            Some(_) => INVALID,
            None => NOT_FOUND,
        };
        self.find(cursor, no_section).map(|_| ())
    }
}

/// `delete(address)`; behind `=`, or as the fourth argument, the place of a list's item.
pub fn delete(lua: Lua, this: &Context) -> Outcome {
    let given = lua.top() - 1;
    let words = Words::read(&lua, this, 3)?;
    let last = match given {
        4 => Some(lua.string(5)?),
        _ => None,
    };
    end(lua, this, words, |cursor, address| {
        let section = address.section()?;
        let is_list = matches!(
            address.find(cursor, NOT_FOUND)?,
            Found::Value(Value::List(_))
        );
        let mut edit = cursor.edit(address.package)?;
        let place = last.or(address.value).filter(|_| is_list);
        match (address.option, place) {
            (None, _) => edit.remove_section(section)?,
            (Some(option), None) => edit.remove(section, option)?,
            (Some(option), Some(place)) => {
                let place = leading_number(place).and_then(|place| usize::try_from(place).ok());
                if let Some(place) = place {
                    edit.remove_item(section, option, place)?;
                }
            }
        }
        Ok(())
    })
}

/// `reorder(address, place)`.
pub fn reorder(lua: Lua, this: &Context) -> Outcome {
    let given = lua.top() - 1;
    let words = Words::read(&lua, this, 2)?;
    let last = match given {
        3 => Some(lua.string(4)?),
        _ => None,
    };
    end(lua, this, words, |cursor, address| {
        let place = last.or(address.value).ok_or(INVALID)?;
        if address.option.is_some() || given == 4 {
            return Err(INVALID);
        }
        let place = leading_number(place).unwrap_or(0);
        let mut edit = cursor.edit(address.package)?;
        edit.reorder(address.section()?, place).map_err(missing)
    })
}

/// `save(package)`.
pub fn save(lua: Lua, this: &Context) -> Outcome {
    store(lua, this, |cursor, package| Ok(cursor.save(package)?))
}

/// `commit(package)`.
pub fn commit(lua: Lua, this: &Context) -> Outcome {
    store(lua, this, |cursor, package| {
        Ok(cursor.commit(package).map(|_| ())?)
    })
}

fn store(lua: Lua, this: &Context, store: fn(&mut Cursor, &str) -> Result<(), Failure>) -> Outcome {
    let alone = lua.top() == 2;
    let package = package(&lua, this)?;
    let stored = {
        let mut cursor = this.cursor()?;
        match (package, alone) {
            (Ok(package), true) => store(&mut cursor, package),
            (Ok(_), false) => Err(INVALID),
            (Err(failure), _) => Err(failure),
        }
    };
    status(lua, stored)
}

/// `revert(address)`.
pub fn revert(lua: Lua, this: &Context) -> Outcome {
    let words = Words::read(&lua, this, 3)?;
    end(lua, this, words, |cursor, address| {
        Ok(cursor.revert(address.package, address.section, address.option)?)
    })
}

/// Opens the package, makes a change, and tells whether that went well. The change owns nothing.
fn end<'a>(
    lua: Lua,
    this: &Context,
    words: Words<'a>,
    change: impl FnOnce(&mut Cursor, &Address<'a>) -> Result<(), Failure> + Copy,
) -> Outcome {
    let changed = apply(this, words, change)?;
    status(lua, changed)
}

fn apply<'a>(
    this: &Context,
    words: Words<'a>,
    change: impl FnOnce(&mut Cursor, &Address<'a>) -> Result<(), Failure>,
) -> Result<Result<(), Failure>, Error> {
    let mut cursor = this.cursor()?;
    let address = words.resolve(&mut cursor);
    Ok(address.and_then(|address| change(&mut cursor, &address)))
}
