//! Named and typed values in attributes: what calls, answers and events carry.
//!
//! An entry is an extended attribute: its id is the type, its payload a name header (16-bit length, name, NUL, padded to four
//! bytes), then the value. Entries of a table have names, those of an array do not.
//!
//! Reading borrows and never fails: an entry that breaks its type's rules is left out, the others stay. A nested value is read only
//! when asked for, and [`Walk`] visits any nesting without recursion.

mod build;
#[cfg(any(feature = "json", feature = "lenient-json"))]
mod json;
mod walk;

pub use build::{Builder, TableBuf, MAX_PAYLOAD};
#[cfg(any(feature = "json", feature = "lenient-json"))]
pub use json::*;
pub use walk::{TooDeep, Visit, Walk};

use crate::blob::{padded, text, Attr, Attrs};
use std::fmt;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Type {
    /// Nothing: JSON's null.
    Unspec = 0,
    /// Values in a row.
    Array = 1,
    /// Values with names.
    Table = 2,
    /// Bytes up to a NUL.
    String = 3,
    /// A signed 64-bit number.
    Int64 = 4,
    /// A signed 32-bit number.
    Int32 = 5,
    /// A signed 16-bit number.
    Int16 = 6,
    /// A signed 8-bit number, and the form a boolean takes.
    Int8 = 7,
    /// A floating point number.
    Double = 8,
}

impl Type {
    /// The type of a number on the wire, if there is one.
    pub fn from_number(number: u32) -> Option<Type> {
        Some(match number {
            0 => Type::Unspec,
            1 => Type::Array,
            2 => Type::Table,
            3 => Type::String,
            4 => Type::Int64,
            5 => Type::Int32,
            6 => Type::Int16,
            7 => Type::Int8,
            8 => Type::Double,
            _ => return None,
        })
    }

    /// The number on the wire.
    pub fn number(self) -> u32 {
        self as u32
    }
}

/// One value, borrowed from the bytes it was read from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing, and perhaps bytes without a meaning.
    Unspec(&'a [u8]),
    /// Values in a row.
    Array(Array<'a>),
    /// Values with names.
    Table(Table<'a>),
    /// Text up to its first NUL, of any encoding.
    String(&'a [u8]),
    /// A signed 64-bit number.
    Int64(i64),
    /// A signed 32-bit number.
    Int32(i32),
    /// A signed 16-bit number.
    Int16(i16),
    /// A signed 8-bit number, or a boolean.
    Int8(i8),
    /// A floating point number.
    Double(f64),
}

impl<'a> Value<'a> {
    fn read(kind: u8, value: &'a [u8]) -> Option<Value<'a>> {
        Some(match Type::from_number(kind.into())? {
            Type::Unspec => Value::Unspec(value),
            Type::Array => Value::Array(Array { bytes: value }),
            Type::Table => Value::Table(Table { bytes: value }),
            Type::String => Value::String(text(value)?),
            Type::Int64 => Value::Int64(i64::from_be_bytes(value.try_into().ok()?)),
            Type::Int32 => Value::Int32(i32::from_be_bytes(value.try_into().ok()?)),
            Type::Int16 => Value::Int16(i16::from_be_bytes(value.try_into().ok()?)),
            Type::Int8 => Value::Int8(i8::from_be_bytes(value.try_into().ok()?)),
            Type::Double => Value::Double(f64::from_be_bytes(*value.first_chunk()?)),
        })
    }

    /// What the value is.
    pub fn kind(self) -> Type {
        match self {
            Value::Unspec(_) => Type::Unspec,
            Value::Array(_) => Type::Array,
            Value::Table(_) => Type::Table,
            Value::String(_) => Type::String,
            Value::Int64(_) => Type::Int64,
            Value::Int32(_) => Type::Int32,
            Value::Int16(_) => Type::Int16,
            Value::Int8(_) => Type::Int8,
            Value::Double(_) => Type::Double,
        }
    }

    /// An integer of any width.
    pub fn as_int(self) -> Option<i64> {
        match self {
            Value::Int64(value) => Some(value),
            Value::Int32(value) => Some(value.into()),
            Value::Int16(value) => Some(value.into()),
            Value::Int8(value) => Some(value.into()),
            _ => None,
        }
    }

    /// A 32-bit integer as an id of an object or a client.
    pub fn as_id(self) -> Option<u32> {
        match self {
            Value::Int32(value) => Some(value as u32),
            _ => None,
        }
    }

    /// A boolean: an 8-bit integer other than zero is true.
    pub fn as_bool(self) -> Option<bool> {
        match self {
            Value::Int8(value) => Some(value != 0),
            _ => None,
        }
    }

    /// A floating point number.
    pub fn as_double(self) -> Option<f64> {
        match self {
            Value::Double(value) => Some(value),
            _ => None,
        }
    }

    /// Text as bytes.
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Text, if it is UTF-8.
    pub fn as_str(self) -> Option<&'a str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// Values with names.
    pub fn as_table(self) -> Option<Table<'a>> {
        match self {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Values in a row.
    pub fn as_array(self) -> Option<Array<'a>> {
        match self {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }
}

/// A value and its name, which is empty in arrays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<'a> {
    /// The name, of any encoding.
    pub name: &'a [u8],
    /// The value.
    pub value: Value<'a>,
}

impl<'a> Entry<'a> {
    /// Reads an attribute, if it follows the rules of its type.
    pub fn read(attr: Attr<'a>) -> Option<Entry<'a>> {
        let payload = attr.payload();
        let (name, value) = if attr.is_extended() {
            let length = usize::from(u16::from_be_bytes(*payload.first_chunk()?));
            if *payload.get(2 + length)? != 0 {
                return None;
            }
            (
                payload.get(2..2 + length)?,
                payload.get(padded(2 + length + 1)..)?,
            )
        } else {
            (&[][..], payload)
        };
        Some(Entry {
            name,
            value: Value::read(attr.id(), value)?,
        })
    }

    /// The name, if it is UTF-8.
    pub fn name_str(self) -> Option<&'a str> {
        std::str::from_utf8(self.name).ok()
    }
}

/// The valid entries in a row of bytes, in order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Entries<'a> {
    attrs: Attrs<'a>,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        self.attrs.find_map(Entry::read)
    }
}

/// Values with names, borrowed: the arguments of a call, its result, a nested table.
///
/// ```
/// use ubus::blobmsg::{Builder, Value};
///
/// let mut builder = Builder::new();
/// builder.string("text", "hi").int32("n", 7);
/// let table = builder.finish().unwrap();
///
/// assert_eq!(table.get("n"), Some(Value::Int32(7)));
/// assert_eq!(table.get("text").and_then(Value::as_str), Some("hi"));
/// let names: Vec<_> = table.iter().filter_map(|entry| entry.name_str()).collect();
/// assert_eq!(names, ["text", "n"]);
/// ```
#[derive(Clone, Copy, Default)]
pub struct Table<'a> {
    bytes: &'a [u8],
}

impl<'a> Table<'a> {
    /// Takes `bytes` for entries.
    pub fn new(bytes: &'a [u8]) -> Table<'a> {
        Table { bytes }
    }

    /// The entries as they travel.
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The entries in order.
    pub fn iter(self) -> Entries<'a> {
        Entries {
            attrs: Attrs::new(self.bytes),
        }
    }

    /// The value of a name; the last one where it is there more than once.
    pub fn get(self, name: impl AsRef<[u8]>) -> Option<Value<'a>> {
        let name = name.as_ref();
        let found = self.iter().filter(|entry| entry.name == name).last();
        found.map(|entry| entry.value)
    }

    /// Whether there is no entry.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// Visits every value in it, nested ones too.
    pub fn walk(self) -> Walk<'a> {
        Walk::new(self)
    }
}

/// Values in a row, borrowed.
#[derive(Clone, Copy, Default)]
pub struct Array<'a> {
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    /// The values in order.
    pub fn iter(self) -> impl Iterator<Item = Value<'a>> + Clone {
        self.entries().map(|entry| entry.value)
    }

    /// The values with the names they carry against the rule.
    pub fn entries(self) -> Entries<'a> {
        Entries {
            attrs: Attrs::new(self.bytes),
        }
    }

    /// The values as they travel.
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> IntoIterator for Table<'a> {
    type Item = Entry<'a>;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

/// The same values under the same names in the same order.
impl PartialEq for Table<'_> {
    fn eq(&self, other: &Table<'_>) -> bool {
        walk::equal(*self, *other)
    }
}

/// The same values in the same order.
impl PartialEq for Array<'_> {
    fn eq(&self, other: &Array<'_>) -> bool {
        walk::equal(Table::new(self.bytes), Table::new(other.bytes))
    }
}

impl fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        walk::debug(*self, f)
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        walk::debug(Table::new(self.bytes), f)
    }
}

#[cfg(test)]
mod tests;
