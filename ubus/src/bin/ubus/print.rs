//! What the command prints: JSON, and the lines around it.

use super::Failure;
use std::fmt;
use std::io::{self, Write};
use ubus::blobmsg::{to_json, Builder, JsonStyle, Table, TooDeep, Type};
use ubus::client::ObjectInfo;
use ubus::signature::Signature;

/// Names of the types of messages, by their numbers.
pub const KINDS: [&str; 12] = [
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
    "monitor",
];

const COMPACT: JsonStyle = JsonStyle {
    indent: false,
    six_decimals: true,
};

const INDENTED: JsonStyle = JsonStyle {
    indent: true,
    six_decimals: true,
};

/// Prints a line at once, so that whoever reads it need not wait for others.
pub fn line(text: fmt::Arguments<'_>) -> io::Result<()> {
    line_of(&[text.to_string().as_bytes()])
}

/// Prints a line that may be of any encoding.
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
    let mut builder = Builder::new();
    builder.null(name);
    let quoted = compact(builder.finish()?.as_table())?;
    let name = quoted.strip_prefix(b"{").unwrap_or(&quoted);
    let name = name.strip_suffix(b":null}").unwrap_or(name);
    Ok(line_of(&[b"{ ", name, b": ", &compact(data)?, b" }"])?)
}

/// An object: its path, and with `is_verbose` its id and its methods.
pub fn object(object: &ObjectInfo, is_verbose: bool) -> Result<(), Failure> {
    if !is_verbose {
        return Ok(line_of(&[&object.path])?);
    }
    let id = format!("' @{:08x}", object.id);
    line_of(&[b"'", &object.path, id.as_bytes()])?;
    for method in Signature::new(object.signature.as_table()).methods() {
        let mut builder = Builder::new();
        builder.open_table(method.name);
        for (name, number) in method.arguments() {
            builder.string(name, type_name(number));
        }
        builder.close();
        let json = compact(builder.finish()?.as_table())?;
        let inner = json.get(1..json.len() - 1).unwrap_or_default();
        line_of(&[b"\t", inner])?;
    }
    Ok(())
}

fn type_name(number: u32) -> &'static str {
    match Type::from_number(number) {
        Some(Type::Array) => "Array",
        Some(Type::Table) => "Table",
        Some(Type::String) => "String",
        Some(Type::Int64 | Type::Int32 | Type::Int16) => "Integer",
        Some(Type::Int8) => "Boolean",
        Some(Type::Double) => "Double",
        Some(Type::Unspec) | None => "(unknown)",
    }
}
