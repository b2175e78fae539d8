//! Builds tables: the first error is kept and reported at the end, so what is finished can be sent as it is.

use super::{Table, Type, Value};
use crate::blob::{self, BuildError};
use std::fmt;

/// The most bytes of entries that one message can carry.
pub const MAX_PAYLOAD: usize = blob::MAX_MESSAGE - 4;

/// A table of one's own.
#[derive(Clone, Default, PartialEq)]
pub struct TableBuf {
    bytes: Vec<u8>,
}

impl TableBuf {
    /// A table without entries.
    pub const fn new() -> TableBuf {
        TableBuf { bytes: Vec::new() }
    }

    /// Takes `bytes` for entries.
    pub fn from_bytes(bytes: Vec<u8>) -> TableBuf {
        TableBuf { bytes }
    }

    /// The table as readers and senders take it.
    pub fn as_table(&self) -> Table<'_> {
        Table::new(&self.bytes)
    }

    /// The entries in order.
    pub fn iter(&self) -> super::Entries<'_> {
        self.as_table().iter()
    }

    /// The value of a name; the last one where it is there more than once.
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<Value<'_>> {
        self.as_table().get(name)
    }

    /// The entries as they travel.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl fmt::Debug for TableBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_table().fmt(f)
    }
}

impl<'a> From<&'a TableBuf> for Table<'a> {
    fn from(table: &'a TableBuf) -> Table<'a> {
        table.as_table()
    }
}

impl From<Table<'_>> for TableBuf {
    fn from(table: Table<'_>) -> TableBuf {
        TableBuf::from_bytes(table.as_bytes().to_vec())
    }
}

/// Writes a table entry by entry. Names are given for tables; in an array they should be empty.
///
/// Names and texts end at a NUL for every reader, so one inside them is an error.
///
/// ```
/// use ubus::blobmsg::Builder;
///
/// let mut builder = Builder::new();
/// builder
///     .string("name", "lan")
///     .bool("up", true)
///     .int("bytes", 1 << 40)
///     .open_array("addresses")
///     .string("", "192.168.1.1")
///     .close();
/// let table = builder.finish()?;
/// assert_eq!(table.get("bytes").and_then(|value| value.as_int()), Some(1 << 40));
/// # Ok::<(), ubus::blob::BuildError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    blob: blob::Builder,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// An empty table that may grow to [`MAX_PAYLOAD`].
    pub fn new() -> Builder {
        Builder::with_limit(MAX_PAYLOAD)
    }

    /// An empty table that may grow to `limit` bytes.
    pub fn with_limit(limit: usize) -> Builder {
        Builder {
            blob: blob::Builder::with_limit(limit),
        }
    }

    /// An empty table like that of [`Builder::new`], in memory that was used before: of [`TableBuf::into_bytes`].
    pub fn reusing(memory: Vec<u8>) -> Builder {
        Builder {
            blob: blob::Builder::reusing(memory, MAX_PAYLOAD),
        }
    }

    /// Adds nothing under a name: JSON's null.
    pub fn null(&mut self, name: impl AsRef<[u8]>) -> &mut Builder {
        self.put(Type::Unspec, name.as_ref(), &[])
    }

    /// Adds text, which may be of any encoding.
    pub fn string(&mut self, name: impl AsRef<[u8]>, text: impl AsRef<[u8]>) -> &mut Builder {
        self.put(Type::String, name.as_ref(), text.as_ref())
    }

    /// Adds a boolean.
    pub fn bool(&mut self, name: impl AsRef<[u8]>, value: bool) -> &mut Builder {
        self.int8(name, value.into())
    }

    /// Adds an 8-bit number, which readers take for a boolean.
    pub fn int8(&mut self, name: impl AsRef<[u8]>, value: i8) -> &mut Builder {
        self.put(Type::Int8, name.as_ref(), &value.to_be_bytes())
    }

    /// Adds a 16-bit number.
    pub fn int16(&mut self, name: impl AsRef<[u8]>, value: i16) -> &mut Builder {
        self.put(Type::Int16, name.as_ref(), &value.to_be_bytes())
    }

    /// Adds a 32-bit number.
    pub fn int32(&mut self, name: impl AsRef<[u8]>, value: i32) -> &mut Builder {
        self.put(Type::Int32, name.as_ref(), &value.to_be_bytes())
    }

    /// Adds the id of an object or a client.
    pub fn id(&mut self, name: impl AsRef<[u8]>, value: u32) -> &mut Builder {
        self.int32(name, value as i32)
    }

    /// Adds a 64-bit number.
    pub fn int64(&mut self, name: impl AsRef<[u8]>, value: i64) -> &mut Builder {
        self.put(Type::Int64, name.as_ref(), &value.to_be_bytes())
    }

    /// Adds a number as 32 bits if they hold it, else as 64.
    pub fn int(&mut self, name: impl AsRef<[u8]>, value: i64) -> &mut Builder {
        match i32::try_from(value) {
            Ok(value) => self.int32(name, value),
            Err(_) => self.int64(name, value),
        }
    }

    /// Adds a floating point number.
    pub fn double(&mut self, name: impl AsRef<[u8]>, value: f64) -> &mut Builder {
        self.put(Type::Double, name.as_ref(), &value.to_be_bytes())
    }

    /// Starts a table; what follows is in it, up to [`Builder::close`].
    pub fn open_table(&mut self, name: impl AsRef<[u8]>) -> &mut Builder {
        self.open(Type::Table, name.as_ref())
    }

    /// Starts an array; what follows is in it, up to [`Builder::close`].
    pub fn open_array(&mut self, name: impl AsRef<[u8]>) -> &mut Builder {
        self.open(Type::Array, name.as_ref())
    }

    /// Ends the table or array opened last.
    pub fn close(&mut self) -> &mut Builder {
        self.blob.close();
        self
    }

    /// Adds a whole table under a name.
    pub fn table(&mut self, name: impl AsRef<[u8]>, table: Table<'_>) -> &mut Builder {
        self.put(Type::Table, name.as_ref(), table.as_bytes())
    }

    /// Adds a value that was read. Nested values are copied as they are.
    pub fn value(&mut self, name: impl AsRef<[u8]>, value: Value<'_>) -> &mut Builder {
        let name = name.as_ref();
        match value {
            Value::Unspec(bytes) => self.put(Type::Unspec, name, bytes),
            Value::Array(array) => self.put(Type::Array, name, array.as_bytes()),
            Value::Table(table) => self.table(name, table),
            Value::String(text) => self.string(name, text),
            Value::Int64(number) => self.int64(name, number),
            Value::Int32(number) => self.int32(name, number),
            Value::Int16(number) => self.int16(name, number),
            Value::Int8(number) => self.int8(name, number),
            Value::Double(number) => self.double(name, number),
        }
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.blob.len()
    }

    /// The first error, if there was one: a long job may stop at it.
    pub fn error(&self) -> Option<BuildError> {
        self.blob.error()
    }

    /// The table built, or the first error on the way.
    pub fn finish(self) -> Result<TableBuf, BuildError> {
        self.blob.finish().map(TableBuf::from_bytes)
    }

    fn open(&mut self, kind: Type, name: &[u8]) -> &mut Builder {
        self.blob.open_named(kind as u8, name);
        self
    }

    fn put(&mut self, kind: Type, name: &[u8], value: &[u8]) -> &mut Builder {
        let is_text = kind == Type::String;
        self.blob.named(kind as u8, name, value, is_text);
        self
    }
}
