//! What is read: values, sections and packages as Lua has them, and the walks over sections.

use std::ffi::c_int;

use uci::{Cursor, Lookup, Package, Section, SectionKey, Value};

use super::address::{Found, Words};
use super::{Context, Failure, INVALID, NOT_FOUND};
use crate::lua::{ffi, function, Lua, Outcome, Returns};

/// `get(address)`: a value, or the type and the name of a section.
pub fn get(lua: Lua, this: &Context) -> Outcome {
    let words = Words::read(&lua, this, 3)?;
    let mut cursor = this.cursor()?;
    let address = words.resolve(&mut cursor);
    let found = address.and_then(|address| address.find(&cursor, INVALID));
    let (failure, results) = match found {
        Ok(Found::Value(value)) => (None, lua.protect(1, value, push_value).map(|()| 1)),
        Ok(Found::Section(section)) => {
            let pushed = lua.protect(2, section, |lua, section| {
                lua.push_str(section.kind());
                lua.push_str(section.name());
            });
            (None, pushed.map(|()| 2))
        }
        Ok(Found::Package(_)) => (Some(INVALID), Ok(0)),
        Err(failure) => (Some(failure), Ok(0)),
    };
    drop(cursor);
    end(lua, failure, results)
}

/// `get_all(address)`: a value, or a table of a section or of a package.
pub fn get_all(lua: Lua, this: &Context) -> Outcome {
    let words = Words::read(&lua, this, 3)?;
    let mut cursor = this.cursor()?;
    let address = words.resolve(&mut cursor);
    let found = address.and_then(|address| address.find(&cursor, NOT_FOUND));
    let (failure, pushed) = match found {
        Ok(Found::Value(value)) => (None, lua.protect(1, value, push_value)),
        Ok(Found::Section(section)) => {
            let pushed = lua.protect(1, section, |lua, section| push_section(lua, section, None));
            (None, pushed)
        }
        Ok(Found::Package(package)) => (None, lua.protect(1, package, push_package)),
        Err(failure) => (Some(failure), Ok(())),
    };
    drop(cursor);
    end(lua, failure, pushed.map(|()| 1))
}

fn end(lua: Lua, failure: Option<Failure>, results: Result<c_int, crate::lua::Error>) -> Outcome {
    match failure {
        None => results.map(Returns),
        Some(failure) => failure.end(lua),
    }
}

fn push_value(lua: Lua, value: &Value) {
    if let Value::Single(value) = value {
        lua.push_bytes(value);
        return;
    }
    let items = value.items();
    lua.push_table(count(items.len()), 0);
    for (index, item) in (1..).zip(items) {
        lua.push_bytes(item);
        lua.raw_set_index(-2, index);
    }
}

fn push_package(lua: Lua, package: &Package) {
    lua.push_table(0, count(package.len()));
    for (index, section) in (0..).zip(package.sections()) {
        lua.push_str(section.name());
        push_section(lua, section, Some(index));
        lua.raw_set(-3);
    }
}

/// Pushes a section's table; `index` is its place among all.
fn push_section(lua: Lua, section: &Section, index: Option<i64>) {
    lua.push_table(0, count(section.entries().count().saturating_add(4)));
    for entry in section.entries() {
        lua.push_str(entry.name());
        push_value(lua, entry.value());
        lua.raw_set(-3);
    }
    lua.set_bool(-1, c".anonymous", section.is_anonymous());
    lua.set_bytes(-1, c".type", section.kind().as_bytes());
    lua.set_bytes(-1, c".name", section.name().as_bytes());
    if let Some(index) = index {
        lua.set_integer(-1, c".index", index);
    }
}

/// Room in a table: a hint.
fn count(length: usize) -> c_int {
    length.min(1 << 20) as c_int
}

/// Upvalues of the function that gives one section after the other: the cursor, the package, the names of its sections
/// at the beginning, each with a line feed behind it; how many bytes of them and how many sections are done; the type.
const CURSOR: c_int = Lua::upvalue(1);
const PACKAGE: c_int = Lua::upvalue(2);
const NAMES: c_int = Lua::upvalue(3);
const OFFSET: c_int = Lua::upvalue(4);
const INDEX: c_int = Lua::upvalue(5);
const KIND: c_int = Lua::upvalue(6);

/// `each(package [, type])`: a function that gives one section's table after the other.
pub fn each(lua: Lua, this: &Context) -> Outcome {
    lua.set_top(3);
    if !matches!(lua.type_of(3), ffi::LUA_TSTRING | ffi::LUA_TNUMBER) {
        lua.push_nil();
        lua.replace(3);
    }
    begin(lua, this)?;
    Ok(Returns(1))
}

/// For `foreach`: the same, but nothing if the package cannot be loaded.
pub fn walk(lua: Lua, this: &Context) -> Outcome {
    lua.set_top(3);
    match begin(lua, this)? {
        true => Ok(Returns(1)),
        false => Ok(Returns(0)),
    }
}

/// Pushes the function; false if there is no such package.
fn begin(lua: Lua, this: &Context) -> Result<bool, crate::lua::Error> {
    this.cursor()?;
    let address = lua.string(2)?;
    if !lua.is_none_or_nil(3) {
        lua.string(3)?;
    }
    let name = Lookup::package(address).unwrap_or_default();
    lua.push_value(1);
    lua.push_str(name);
    let (names, known) = names(&mut *this.cursor()?, name);
    let pushed = lua.try_push_bytes(&names);
    drop(names);
    pushed?;
    lua.push_integer(0);
    lua.push_integer(0);
    lua.push_value(3);
    lua.push_closure(function(next), 6);
    Ok(known)
}

/// The names of a package's sections, each with a line feed behind it.
fn names(cursor: &mut Cursor, package: &str) -> (Vec<u8>, bool) {
    let mut names = Vec::new();
    let Ok(package) = cursor.open(package) else {
        return (names, false);
    };
    for section in package.sections() {
        names.extend_from_slice(section.name().as_bytes());
        names.push(b'\n');
    }
    (names, true)
}

/// The next section that still exists and is of the type; nothing at the end, or when the cursor is closed.
fn next(lua: Lua) -> Outcome {
    let (Some(this), Some(package)) = (lua.userdata::<Context>(CURSOR), lua.bytes(PACKAGE)) else {
        return Ok(Returns(0));
    };
    let Ok(cursor) = this.cursor() else {
        return Ok(Returns(0));
    };
    let mut offset = lua.to_integer(OFFSET).unwrap_or_default() as usize;
    let mut index = lua.to_integer(INDEX).unwrap_or_default();
    let pushed = {
        let package = cursor.package(super::text(package).unwrap_or_default());
        loop {
            let rest = lua.bytes(NAMES).and_then(|names| names.get(offset..));
            let (Some(package), Some(rest @ [_, ..])) = (package, rest) else {
                break Ok(0);
            };
            let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(0);
            let name = super::text(&rest[..length]).unwrap_or_default();
            offset += length + 1;
            index += 1;
            let kind = lua.bytes(KIND);
            let found = package.section_at(&SectionKey::Name(name));
            if let Some(section) =
                found.filter(|section| kind.is_none_or(|kind| section.kind().as_bytes() == kind))
            {
                let at = index - 1;
                break lua
                    .protect(1, &(section, at), |lua, &(section, at)| {
                        push_section(lua, section, Some(at));
                    })
                    .map(|()| 1);
            }
        }
    };
    drop(cursor);
    lua.push_integer(offset as i64);
    lua.replace(OFFSET);
    lua.push_integer(index);
    lua.replace(INDEX);
    pushed.map(Returns)
}
