//! Rows of a result: gathered anywhere, as bytes in one piece, and made tables of Lua's later, a part a turn, so that
//! a large result keeps nobody waiting.

use std::cell::Cell;
use std::ffi::c_int;

use crate::lua::{ffi, Lua};

/// Why a result cannot grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    Memory,
    /// It is larger than the connection allows.
    Limit,
}

impl Full {
    pub const fn text(self) -> &'static str {
        match self {
            Full::Memory => "not enough memory",
            Full::Limit => "result too large",
        }
    }
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INTEGER: u8 = 3;
const REAL: u8 = 4;
const TEXT: u8 = 5;

/// The rows.
pub struct Rows {
    /// Names of columns, then values row by row. Each begins with its type; numbers have 8 bytes, texts their length
    /// in 8 bytes and themselves.
    bytes: Vec<u8>,
    columns: usize,
    rows: usize,
    limit: usize,
}

impl Rows {
    /// None yet; the values take `limit` bytes at most.
    pub fn new(limit: usize) -> Rows {
        Rows {
            bytes: Vec::new(),
            columns: 0,
            rows: 0,
            limit,
        }
    }

    /// Adds a column: all of them come before the first row.
    pub fn column(&mut self, name: &[u8]) -> Result<(), Full> {
        self.columns += 1;
        self.text(name)
    }

    pub fn null(&mut self) -> Result<(), Full> {
        self.add(&[NULL], &[])
    }

    pub fn boolean(&mut self, value: bool) -> Result<(), Full> {
        self.add(&[if value { TRUE } else { FALSE }], &[])
    }

    pub fn integer(&mut self, value: i64) -> Result<(), Full> {
        self.add(&head(INTEGER, value as u64), &[])
    }

    pub fn real(&mut self, value: f64) -> Result<(), Full> {
        self.add(&head(REAL, value.to_bits()), &[])
    }

    pub fn text(&mut self, value: &[u8]) -> Result<(), Full> {
        self.add(&head(TEXT, value.len() as u64), value)
    }

    /// As many values as there are columns were added.
    pub fn end_row(&mut self) {
        self.rows += 1;
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    /// What it takes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    fn add(&mut self, head: &[u8], value: &[u8]) -> Result<(), Full> {
        let size = head.len() + value.len();
        if self.bytes.len().saturating_add(size) > self.limit {
            return Err(Full::Limit);
        }
        self.bytes.try_reserve(size).or(Err(Full::Memory))?;
        self.bytes.extend_from_slice(head);
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    /// The value at `at`, and where the next one is.
    fn read(&self, at: usize) -> (Read<'_>, usize) {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let number = || {
            let bytes = rest.get(1..9).and_then(|bytes| bytes.try_into().ok());
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        match rest.first() {
            Some(&FALSE) => (Read::Boolean(false), at + 1),
            Some(&TRUE) => (Read::Boolean(true), at + 1),
            Some(&INTEGER) => (Read::Integer(number() as i64), at + 9),
            Some(&REAL) => (Read::Real(f64::from_bits(number())), at + 9),
            Some(&TEXT) => {
                let length = number() as usize;
                let text = rest.get(9..9 + length).unwrap_or_default();
                (Read::Text(text), at + 9 + length)
            }
            _ => (Read::Null, at + 1),
        }
    }
}

fn head(kind: u8, number: u64) -> [u8; 9] {
    let mut head = [kind; 9];
    head[1..].copy_from_slice(&number.to_le_bytes());
    head
}

#[derive(Debug, PartialEq)]
enum Read<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(&'a [u8]),
}

/// Values that become Lua's in one turn.
const TURN: usize = 2048;

/// How far rows have become tables.
pub struct Reading {
    /// In the registry, between two turns.
    anchor: Cell<c_int>,
    row: Cell<usize>,
    at: Cell<usize>,
}

impl Reading {
    pub const fn begin() -> Reading {
        Reading {
            anchor: Cell::new(ffi::LUA_NOREF),
            row: Cell::new(0),
            at: Cell::new(0),
        }
    }

    /// Goes on: true with the array of all rows on top, or false when the others are to have their turn first. The
    /// rows are kept by what outlives the call: may raise.
    pub fn push(&self, lua: Lua, rows: &Rows) -> bool {
        let anchor = self.anchor.get();
        if anchor == ffi::LUA_NOREF {
            lua.push_table(c_int::try_from(rows.rows).unwrap_or(0), 0);
        } else {
            lua.push_reference(anchor);
        }
        let base = lua.top();
        let columns = rows.columns as c_int;
        if !lua.ensure(columns.saturating_add(8)) {
            lua.raise("too many columns".into());
        }
        let mut at = 0;
        for _ in 0..rows.columns {
            let (name, next) = rows.read(at);
            push(lua, &name);
            at = next;
        }
        at = at.max(self.at.get());
        let first = self.row.get();
        let left = rows.rows - first;
        let count = left.min((TURN / rows.columns.max(1)).max(1));
        for row in first..first + count {
            lua.push_table(0, columns);
            for column in 1..=columns {
                let (value, next) = rows.read(at);
                lua.push_value(base + column);
                push(lua, &value);
                lua.raw_set(-3);
                at = next;
            }
            lua.raw_set_index(base, row as i64 + 1);
        }
        lua.set_top(base);
        self.at.set(at);
        self.row.set(first + count);
        if count == left {
            self.forget(lua);
            return true;
        }
        if anchor == ffi::LUA_NOREF {
            self.anchor.set(lua.reference());
        } else {
            lua.pop(1);
        }
        false
    }

    /// Lets go of what is done so far.
    pub fn forget(&self, lua: Lua) {
        let anchor = self.anchor.replace(ffi::LUA_NOREF);
        if anchor != ffi::LUA_NOREF {
            lua.unreference(anchor);
        }
    }
}

/// May raise.
fn push(lua: Lua, value: &Read) {
    match *value {
        Read::Null => lua.push_nil(),
        Read::Boolean(value) => lua.push_bool(value),
        Read::Integer(value) => lua.push_integer(value),
        Read::Real(value) => lua.push_number(value),
        Read::Text(value) => lua.push_bytes(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_read() {
        let mut rows = Rows::new(usize::MAX);
        rows.column(b"a").unwrap();
        rows.null().unwrap();
        rows.boolean(true).unwrap();
        rows.boolean(false).unwrap();
        rows.integer(i64::MIN).unwrap();
        rows.real(-0.5).unwrap();
        rows.text(b"t\0t").unwrap();
        let mut at = 0;
        let mut next = || {
            let (value, next) = rows.read(at);
            at = next;
            value
        };
        assert_eq!(next(), Read::Text(b"a"));
        assert_eq!(next(), Read::Null);
        assert_eq!(next(), Read::Boolean(true));
        assert_eq!(next(), Read::Boolean(false));
        assert_eq!(next(), Read::Integer(i64::MIN));
        assert_eq!(next(), Read::Real(-0.5));
        assert_eq!(next(), Read::Text(b"t\0t"));
        assert_eq!(at, rows.size());
    }

    #[test]
    fn a_result_grows_to_its_limit() {
        let mut rows = Rows::new(20);
        assert_eq!(rows.text(b"12345678901"), Ok(()));
        assert_eq!(rows.null(), Err(Full::Limit));
        assert_eq!(rows.size(), 20);
    }
}
