//! Tables of the message bus as Lua values and back: nothing panics or raises, and what Lua can hold comes back as it was.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use lua_eco::lua::Lua;
use lua_eco::modules::ubus::values;
use ubus::blobmsg::{Builder, Table, TableBuf, Value};

thread_local! {
    // SAFETY: a state of the thread's own that is never closed.
    static LUA: Lua = unsafe { Lua::new(mlua::ffi::luaL_newstate()) };
}

/// Through Lua; nothing if it lies too deep or grows too long there.
fn pass(lua: Lua, table: Table<'_>) -> Option<TableBuf> {
    lua.set_top(0);
    let pushed = lua.protect(1, &table, |lua, table| values::push_table(lua, *table));
    assert!(pushed.is_ok());
    let builder = RefCell::new(Builder::new());
    match values::encode(lua, 1, &builder) {
        Ok(()) => builder.into_inner().finish().ok(),
        Err(_) => panic!("raised"),
    }
}

/// The same bytes for the same values, in whatever order Lua gives those of a table.
fn canonical(name: &[u8], value: Value<'_>) -> Vec<u8> {
    let mut bytes = vec![value.kind() as u8];
    bytes.extend_from_slice(&(name.len() as u32).to_be_bytes());
    bytes.extend_from_slice(name);
    match value {
        Value::Table(table) => bytes.extend(canonical_table(table)),
        Value::Array(array) => array.iter().for_each(|value| bytes.extend(canonical(b"", value))),
        Value::String(text) => bytes.extend_from_slice(text),
        Value::Double(number) => bytes.extend_from_slice(&number.to_bits().to_be_bytes()),
        other => bytes.extend_from_slice(&other.as_int().unwrap_or_default().to_be_bytes()),
    }
    bytes.push(0xff);
    bytes
}

fn canonical_table(table: Table<'_>) -> Vec<u8> {
    let mut entries: Vec<_> = table.iter().map(|entry| canonical(entry.name, entry.value)).collect();
    entries.sort();
    entries.concat()
}

fuzz_target!(|input: &[u8]| {
    LUA.with(|lua| {
        // Names end at their first NUL, what is unnamed gets a number as its name, and names that are there twice become one:
        // each takes a pass.
        let Some(first) = pass(*lua, Table::new(input)) else { return };
        let Some(second) = pass(*lua, first.as_table()) else { return };
        let third = pass(*lua, second.as_table()).expect("no longer than before");
        let fourth = pass(*lua, third.as_table()).expect("no longer than before");
        assert!(canonical_table(third.as_table()) == canonical_table(fourth.as_table()));
        // A signature is whatever methods can be found in the bytes.
        lua.set_top(0);
        assert!(lua.protect(1, &input, |lua, input| values::push_signature(lua, Table::new(input))).is_ok());
    });
});
