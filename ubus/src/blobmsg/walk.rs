//! Visits a table and all that is nested in it without recursion.
//!
//! The depth is bounded by [`MAX_DEPTH`], so neither stack nor memory grows with hostile nesting.

use super::{Entries, Entry, Table, Value};
use crate::blob::MAX_DEPTH;
use std::fmt;

/// One step through a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Visit<'a> {
    /// A value. After a table or an array come the values in it, then its [`Visit::End`].
    Entry(Entry<'a>),
    /// The table or array opened last has ended.
    End,
}

/// Containers inside each other, more than [`MAX_DEPTH`] of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooDeep;

impl fmt::Display for TooDeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {MAX_DEPTH} nested tables")
    }
}

impl std::error::Error for TooDeep {}

/// Every value of a table in order, nested ones included.
///
/// ```
/// use ubus::blobmsg::{Builder, Visit};
///
/// let mut builder = Builder::new();
/// builder.open_array("a").int32("", 1).close();
/// let table = builder.finish().unwrap();
///
/// let mut walk = table.as_table().walk();
/// assert!(matches!(walk.next(), Some(Ok(Visit::Entry(entry))) if entry.name == b"a"));
/// assert!(matches!(walk.next(), Some(Ok(Visit::Entry(entry))) if entry.value.as_int() == Some(1)));
/// assert_eq!(walk.next(), Some(Ok(Visit::End)));
/// assert_eq!(walk.next(), None);
/// ```
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    current: Entries<'a>,
    outer: Vec<Entries<'a>>,
}

impl<'a> Walk<'a> {
    /// Starts before the first entry.
    pub fn new(table: Table<'a>) -> Walk<'a> {
        Walk {
            current: table.iter(),
            outer: Vec::new(),
        }
    }

    /// How many containers are open.
    pub fn depth(&self) -> usize {
        self.outer.len()
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<Visit<'a>, TooDeep>;

    fn next(&mut self) -> Option<Result<Visit<'a>, TooDeep>> {
        let Some(entry) = self.current.next() else {
            self.current = self.outer.pop()?;
            return Some(Ok(Visit::End));
        };
        let inner = match entry.value {
            Value::Array(array) => Some(array.entries()),
            Value::Table(table) => Some(table.iter()),
            _ => None,
        };
        if let Some(inner) = inner {
            if self.outer.len() == MAX_DEPTH {
                *self = Walk::new(Table::default());
                return Some(Err(TooDeep));
            }
            self.outer.push(std::mem::replace(&mut self.current, inner));
        }
        Some(Ok(Visit::Entry(entry)))
    }
}

/// Whether both hold the same values; never for what is too deep to tell.
pub(super) fn equal(one: Table<'_>, other: Table<'_>) -> bool {
    let (mut one, mut other) = (one.walk(), other.walk());
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(Ok(Visit::End)), Some(Ok(Visit::End))) => {}
            (Some(Ok(Visit::Entry(one))), Some(Ok(Visit::Entry(other))))
                if one.name == other.name && same(one.value, other.value) => {}
            _ => return false,
        }
    }
}

fn same(one: Value<'_>, other: Value<'_>) -> bool {
    match (one, other) {
        (Value::Array(_), Value::Array(_)) | (Value::Table(_), Value::Table(_)) => true,
        (Value::Array(_) | Value::Table(_), _) | (_, Value::Array(_) | Value::Table(_)) => false,
        _ => one == other,
    }
}

/// Writes a table for people who look for a mistake.
pub(super) fn debug(table: Table<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("{")?;
    for visit in table.walk() {
        match visit {
            Ok(Visit::End) => f.write_str(" }")?,
            Err(TooDeep) => f.write_str(" ...")?,
            Ok(Visit::Entry(entry)) => {
                write!(f, " \"{}\": ", entry.name.escape_ascii())?;
                match entry.value {
                    Value::Array(_) | Value::Table(_) => write!(f, "{:?} {{", entry.value.kind())?,
                    Value::String(text) => write!(f, "\"{}\"", text.escape_ascii())?,
                    scalar => write!(f, "{scalar:?}")?,
                }
            }
        }
    }
    f.write_str(" }")
}
