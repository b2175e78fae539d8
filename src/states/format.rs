//! The bytes of a message, as they are written. They are private: what wrote
//! them reads them.
//!
//! A message is a header and values: [`VERSION`], flags, and how many values
//! there are. A value is a tag and what the tag says; [`Tag`] has the list.
//! Numbers of things are LEB128 varints, integers zigzag ones. Objects (tables,
//! functions, hooks and shared ones) are numbered in the order of their tags,
//! and so are the variables that functions share.

/// First byte of every message.
pub const VERSION: u8 = 1;

/// Flag: values refer to objects or variables before them.
pub const REFERS: u8 = 1;

/// Length of the fixed part of the header.
pub const HEADER: usize = 2;

/// Tags from here on are strings of up to [`SHORT`] bytes, less this.
pub const SHORT_STRING: u8 = 0x80;
/// Tags from here on are integers from 0 to [`SHORT`], less this.
pub const SMALL_INTEGER: u8 = 0xc0;
/// The most that a tag holds besides.
pub const SHORT: u8 = 0x3f;

/// What a value is, or what else stands in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    /// The end of a table.
    End,
    /// In a table: what follows are keys, each with its value.
    Pairs,
    Nil,
    False,
    True,
    /// Its zigzag varint.
    Integer,
    /// Its eight bytes, least significant first.
    Float,
    /// Length and bytes.
    String,
    /// How many pairs it has (a byte: 0 for none, n for at most 2^(n-1)), how
    /// many elements (neither binds), values with the keys 1, 2, …, pairs, end.
    Table,
    /// The number of an object.
    Reference,
    /// The table of globals.
    Globals,
    /// A light userdata, as a varint.
    Pointer,
    /// How many upvalues it has, the length of its bytecode in four bytes,
    /// that, the upvalues.
    Function,
    /// An upvalue that is a variable of functions before: its number.
    Variable,
    /// What makes the value, and out of what: two values.
    Hook,
    /// Where among the objects beside the bytes.
    Shared,
    /// A module: its name, a string.
    Module,
    /// What a module holds: the name of that and its own, strings.
    Member,
}

impl Tag {
    /// The tag of a byte.
    pub fn of(byte: u8) -> Option<Tag> {
        const TAGS: [Tag; 18] = [
            Tag::End,
            Tag::Pairs,
            Tag::Nil,
            Tag::False,
            Tag::True,
            Tag::Integer,
            Tag::Float,
            Tag::String,
            Tag::Table,
            Tag::Reference,
            Tag::Globals,
            Tag::Pointer,
            Tag::Function,
            Tag::Variable,
            Tag::Hook,
            Tag::Shared,
            Tag::Module,
            Tag::Member,
        ];
        TAGS.get(usize::from(byte)).copied()
    }
}

/// Why something cannot be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The bytes are cut off, or no message.
    Bad,
    /// Bytecode is.
    Chunk,
    /// There is no memory for it.
    Memory,
    /// It is longer than the options allow.
    Long,
    /// Its tables lie deeper in each other than the options or Lua allow.
    Deep,
    /// It is what only trusted senders may send.
    Refused,
    /// A coroutine.
    Thread,
    /// A userdata that says nothing of how to pass it.
    Userdata,
    /// What a hook gave is none.
    Hook,
    /// A hook's payload refers to what it is the payload of.
    Loop,
    /// Lua has the message.
    Raised,
}

impl Problem {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Problem::Bad => "bad code",
            Problem::Chunk => "failed to load chunk",
            Problem::Memory => "not enough memory",
            Problem::Long => "the message is too long",
            Problem::Deep => "the message is nested too deep",
            Problem::Refused => "code from an untrusted sender is refused",
            Problem::Thread => "cannot encode a `thread'",
            Problem::Userdata => "cannot encode userdata",
            Problem::Hook => "__codec must return either a function or a string",
            Problem::Loop => "cannot encode a value that its __codec payload refers to",
            Problem::Raised => "",
        }
    }
}

/// Writes values. Memory is asked for fallibly.
#[derive(Debug)]
pub struct Writer {
    bytes: Vec<u8>,
    limit: usize,
}

/// The memory a message begins with.
const SHORTEST: usize = 40;

/// The most bytes of a varint.
const LONGEST: usize = 10;

impl Writer {
    /// Begins a message of `count` values, at most `limit` bytes.
    pub fn new(limit: usize, count: usize) -> Result<Writer, Problem> {
        let mut writer = Writer {
            bytes: Vec::new(),
            limit,
        };
        // One allocation is enough for what most messages are.
        writer
            .bytes
            .try_reserve(SHORTEST)
            .map_err(|_| Problem::Memory)?;
        writer.put(&[VERSION, 0])?;
        writer.number(count as u64)?;
        Ok(writer)
    }

    /// The message.
    pub fn finish(mut self, refers: bool) -> Vec<u8> {
        if let Some(flags) = self.bytes.get_mut(1).filter(|_| refers) {
            *flags |= REFERS;
        }
        self.bytes
    }

    /// How much is written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    fn room(&mut self, length: usize) -> Result<(), Problem> {
        if self.bytes.capacity() - self.bytes.len() < length {
            self.bytes
                .try_reserve(length)
                .map_err(|_| Problem::Memory)?;
        }
        if length > self.limit.saturating_sub(self.bytes.len()) {
            return Err(Problem::Long);
        }
        Ok(())
    }

    /// Bytes as they are.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.room(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// A tag alone.
    pub fn tag(&mut self, tag: Tag) -> Result<(), Problem> {
        self.put(&[tag as u8])
    }

    /// A varint.
    pub fn number(&mut self, value: u64) -> Result<(), Problem> {
        let (bytes, length) = varint(value);
        self.put(bytes.get(..length).unwrap_or_default())
    }

    /// A tag with a number.
    pub fn tagged(&mut self, tag: Tag, value: u64) -> Result<(), Problem> {
        self.tag(tag)?;
        self.number(value)
    }

    pub fn boolean(&mut self, value: bool) -> Result<(), Problem> {
        self.tag(if value { Tag::True } else { Tag::False })
    }

    pub fn integer(&mut self, value: i64) -> Result<(), Problem> {
        if (0..=SHORT.into()).contains(&value) {
            return self.put(&[SMALL_INTEGER + value as u8]);
        }
        self.tagged(Tag::Integer, ((value << 1) ^ (value >> 63)) as u64)
    }

    pub fn float(&mut self, value: f64) -> Result<(), Problem> {
        let mut bytes = [Tag::Float as u8; 9];
        bytes[1..].copy_from_slice(&value.to_le_bytes());
        self.put(&bytes)
    }

    pub fn string(&mut self, value: &[u8]) -> Result<(), Problem> {
        if value.len() <= usize::from(SHORT) {
            self.room(1 + value.len())?;
            self.bytes.push(SHORT_STRING + value.len() as u8);
        } else {
            self.tagged(Tag::String, value.len() as u64)?;
            self.room(value.len())?;
        }
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    /// The beginning of a table with about so many elements; gives the place
    /// for [`Writer::pairs`].
    pub fn table(&mut self, elements: usize) -> Result<usize, Problem> {
        self.put(&[Tag::Table as u8, 0])?;
        let place = self.bytes.len() - 1;
        self.number(elements as u64)?;
        Ok(place)
    }

    /// Notes how many pairs the table has that began at that place.
    pub fn pairs(&mut self, place: usize, count: u32) {
        if let Some(hint) = self.bytes.get_mut(place) {
            *hint = match count {
                0 => 0,
                _ => 1 + (u32::BITS - (count - 1).leading_zeros()) as u8,
            };
        }
    }

    /// The beginning of a function; gives the place for [`Writer::length`].
    pub fn function(&mut self, upvalues: u8) -> Result<usize, Problem> {
        self.tagged(Tag::Function, upvalues.into())?;
        self.put(&[0; 4])?;
        Ok(self.bytes.len())
    }

    /// The bytecode that begins at that place is written.
    pub fn length(&mut self, place: usize) -> Result<(), Problem> {
        let length = u32::try_from(self.bytes.len() - place).map_err(|_| Problem::Long)?;
        if let Some(bytes) = self.bytes.get_mut(place - 4..place) {
            bytes.copy_from_slice(&length.to_le_bytes());
        }
        Ok(())
    }
}

/// A number as a varint, and the length of that.
fn varint(mut value: u64) -> ([u8; LONGEST], usize) {
    let mut bytes = [0; LONGEST];
    let mut length = 0;
    for byte in &mut bytes {
        length += 1;
        *byte = value as u8 & 0x7f;
        value >>= 7;
        if value == 0 {
            break;
        }
        *byte |= 0x80;
    }
    (bytes, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_their_bytes() {
        for byte in 0..=u8::MAX {
            match Tag::of(byte) {
                Some(tag) => assert_eq!(tag as u8, byte),
                None => assert!(byte > Tag::Member as u8),
            }
        }
    }

    #[test]
    fn nothing_is_written_past_the_limit() {
        let mut writer = Writer::new(8, 1).unwrap();
        assert_eq!(writer.float(1.0), Err(Problem::Long));
        assert_eq!(writer.string(b"123456"), Err(Problem::Long));
        writer.string(b"1234").unwrap();
        assert_eq!(writer.tag(Tag::Nil), Err(Problem::Long));
        assert_eq!(writer.finish(false), b"\x01\x00\x01\x841234");
    }

    #[test]
    fn pairs_are_counted_by_powers_of_two() {
        for (count, hint) in [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (1024, 11)] {
            let mut writer = Writer::new(100, 1).unwrap();
            let place = writer.table(0).unwrap();
            writer.pairs(place, count);
            assert_eq!(writer.finish(false)[place], hint, "{count}");
        }
    }
}
