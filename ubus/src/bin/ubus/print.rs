//! What the command prints: JSON, and the lines around it.

use super::Failure;
use std::io::{self, Write};
use ubus::blobmsg::{to_json, Builder, JsonStyle, Table, TableBuf, TooDeep, Type, Value, Visit};
use ubus::client::ObjectInfo;

/// Names of the types of messages that are copied, by their numbers.
pub const KINDS: [&str; 11] = [
    "hello",
    "status",
    "data",
    "ping",
    "lookup",
    "invoke",
    "add_object",
    "remove_object",
    "subscribe",
    "unsubscribe",
    "notify",
];

const COMPACT: JsonStyle = JsonStyle {
    indent: false,
    as_ubus: true,
};

const INDENTED: JsonStyle = JsonStyle {
    indent: true,
    as_ubus: true,
};

/// Prints a line of any encoding at once, so that whoever reads it need not wait for others.
pub fn line_of(parts: &[&[u8]]) -> io::Result<()> {
    let mut line = parts.concat();
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

/// One JSON object on a line.
pub fn compact(table: Table<'_>) -> Result<Vec<u8>, TooDeep> {
    to_json(table, COMPACT)
}

/// The result of a call.
pub fn result(table: Table<'_>, is_simple: bool) -> Result<(), Failure> {
    let style = if is_simple { COMPACT } else { INDENTED };
    Ok(line_of(&[&to_json(table, style)?])?)
}

/// An event or a notification.
pub fn notice(name: &[u8], data: Table<'_>) -> Result<(), Failure> {
    // A name with quotes or line breaks cannot pass for something else.
    let mut builder = Builder::new();
    builder.string("", name);
    let json = compact(builder.finish()?.as_table())?;
    Ok(line_of(&[
        b"{ ",
        inside(&json),
        b": ",
        &compact(data)?,
        b" }",
    ])?)
}

/// An object: its path, and with `is_verbose` its id and its methods.
pub fn object(object: &ObjectInfo, is_verbose: bool) -> Result<(), Failure> {
    if !is_verbose {
        return Ok(line_of(&[&object.path])?);
    }
    let id = format!("' @{:08x}", object.id);
    line_of(&[b"'", &object.path, id.as_bytes()])?;
    for method in with_type_names(object.signature.as_table())?.iter() {
        let mut builder = Builder::new();
        builder.value(method.name, method.value);
        let json = compact(builder.finish()?.as_table())?;
        line_of(&[b"\t", inside(&json)])?;
    }
    Ok(())
}

/// What stands between the braces of an object.
fn inside(json: &[u8]) -> &[u8] {
    json.get(1..json.len() - 1).unwrap_or_default()
}

/// A signature with names instead of numbers.
fn with_type_names(signature: Table<'_>) -> Result<TableBuf, Failure> {
    let mut builder = Builder::new();
    for visit in signature.walk() {
        match visit? {
            Visit::End => builder.close(),
            Visit::Entry(entry) => match entry.value {
                Value::Table(_) => builder.open_table(entry.name),
                Value::Array(_) => builder.open_array(entry.name),
                Value::Int32(number) => builder.string(entry.name, type_name(number)),
                value => builder.value(entry.name, value),
            },
        };
    }
    Ok(builder.finish()?)
}

/// Types without a name have always been unknown here.
fn type_name(number: i32) -> &'static str {
    match Type::from_number(number as u32) {
        Some(Type::Array) => "Array",
        Some(Type::Table) => "Table",
        Some(Type::String) => "String",
        Some(Type::Int32) => "Integer",
        Some(Type::Int8) => "Boolean",
        _ => "(unknown)",
    }
}
