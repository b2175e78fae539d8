//! Values that cross from one context to another: copies, tables as trees, and
//! buffers by reference.

use std::ffi::{c_int, c_void};

use super::buffer::Buffer;
use crate::lua::{ffi, Error, Lua};
use crate::node::event::{Event, Parcel};

/// How deep tables may lie in each other.
const DEPTH: usize = 256;

const NIL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INTEGER: u8 = 3;
const FLOAT: u8 = 4;
const STRING: u8 = 5;
const TABLE: u8 = 6;
const END: u8 = 7;
const BUFFER: u8 = 8;
const POINTER: u8 = 9;

/// Why values do not pass.
pub enum Refused {
    /// A value of that kind cannot be sent at all.
    Type,
    /// The error value is on top.
    Inside,
    Memory,
}

struct Packer {
    lua: Lua,
    parcel: Parcel,
}

impl Packer {
    fn put(&mut self, tag: u8, bytes: &[u8]) -> Result<(), Refused> {
        let room = &mut self.parcel.bytes;
        room.try_reserve(1 + bytes.len())
            .map_err(|_| Refused::Memory)?;
        room.push(tag);
        room.extend_from_slice(bytes);
        Ok(())
    }

    fn string(&mut self, index: c_int) -> Result<(), Refused> {
        let lua = self.lua;
        let bytes = lua.to_bytes(index);
        self.put(STRING, &bytes.len().to_ne_bytes())?;
        let room = &mut self.parcel.bytes;
        room.try_reserve(bytes.len()).map_err(|_| Refused::Memory)?;
        room.extend_from_slice(bytes);
        Ok(())
    }

    /// What may be anywhere; None for other types.
    fn plain(&mut self, index: c_int) -> Option<Result<(), Refused>> {
        let lua = self.lua;
        Some(match lua.type_of(index) {
            ffi::LUA_TBOOLEAN if lua.to_bool(index) => self.put(TRUE, &[]),
            ffi::LUA_TBOOLEAN => self.put(FALSE, &[]),
            ffi::LUA_TNUMBER if lua.is_integer(index) => {
                let value = lua.to_integer(index).unwrap_or_default();
                self.put(INTEGER, &value.to_ne_bytes())
            }
            ffi::LUA_TNUMBER => {
                let value = lua.to_number(index).unwrap_or_default();
                self.put(FLOAT, &value.to_ne_bytes())
            }
            ffi::LUA_TSTRING => self.string(index),
            _ => return None,
        })
    }

    fn value(&mut self, index: c_int) -> Result<(), Refused> {
        if let Some(done) = self.plain(index) {
            return done;
        }
        let lua = self.lua;
        match lua.type_of(index) {
            ffi::LUA_TNIL => self.put(NIL, &[]),
            ffi::LUA_TTABLE => self.table(index, 1),
            ffi::LUA_TLIGHTUSERDATA => {
                let address = lua.to_userdata(index) as usize;
                self.put(POINTER, &address.to_ne_bytes())
            }
            ffi::LUA_TUSERDATA => match lua.userdata::<Buffer>(index).and_then(Buffer::share) {
                Some(bytes) => {
                    let buffers = &mut self.parcel.buffers;
                    buffers.try_reserve(1).map_err(|_| Refused::Memory)?;
                    buffers.push(bytes);
                    self.put(BUFFER, &[])
                }
                None => Err(Refused::Type),
            },
            _ => Err(Refused::Type),
        }
    }

    fn table(&mut self, index: c_int, depth: usize) -> Result<(), Refused> {
        let lua = self.lua;
        if depth > DEPTH {
            return Err(self.raise("too deep(257, limit 256) while packing table"));
        }
        if !lua.ensure(4) {
            return Err(Refused::Memory);
        }
        let index = lua.absolute(index);
        let length = lua.raw_len(index).min(c_int::MAX as usize) as u32;
        self.put(TABLE, &length.to_ne_bytes())?;
        lua.push_nil();
        // The keys are the table's own, and nothing changes it: this raises nothing.
        while lua.next(index) {
            for place in [-2, -1] {
                match self.plain(place) {
                    Some(done) => done?,
                    None if lua.type_of(place) == ffi::LUA_TTABLE => {
                        self.table(place, depth + 1)?
                    }
                    None => {
                        let name = lua.type_name(place).to_string_lossy();
                        return Err(self.raise(&format!("attempt to pack a {name} value")));
                    }
                }
            }
            lua.pop(1);
        }
        self.put(END, &[])
    }

    /// The error of what a table holds.
    #[cold]
    fn raise(&self, text: &str) -> Refused {
        match self.lua.try_push_bytes(text.as_bytes()) {
            Ok(()) | Err(_) => Refused::Inside,
        }
    }
}

/// Packs `count` values from stack index `first` on. Raises nothing.
pub fn pack(lua: Lua, first: c_int, count: c_int) -> Result<Parcel, Refused> {
    let mut packer = Packer {
        lua,
        parcel: Parcel::default(),
    };
    for index in first..first + count {
        packer.value(index)?;
    }
    Ok(packer.parcel)
}

/// The error to raise for it, after what was packed is gone.
pub fn error(lua: Lua, refused: Refused) -> Error {
    match refused {
        Refused::Type => "transfer data type not supported".into(),
        Refused::Inside => Error::raised(),
        Refused::Memory => lua.out_of_memory(),
    }
}

/// The bytes of a parcel, which only `pack` makes.
struct Reader<'a> {
    rest: &'a [u8],
    parcel: &'a Parcel,
    buffers: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at_checked(count).unwrap_or_default();
        self.rest = rest;
        bytes
    }

    fn fixed<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap_or([0; N])
    }

    /// Pushes the next value; false at an end. May raise.
    fn push(&mut self, lua: Lua) -> bool {
        let Some(tag) = self.take(1).first() else {
            return false;
        };
        match *tag {
            NIL => lua.push_nil(),
            FALSE => lua.push_bool(false),
            TRUE => lua.push_bool(true),
            INTEGER => lua.push_integer(i64::from_ne_bytes(self.fixed())),
            FLOAT => lua.push_number(f64::from_ne_bytes(self.fixed())),
            STRING => {
                let length = usize::from_ne_bytes(self.fixed());
                lua.push_bytes(self.take(length));
            }
            BUFFER => {
                let bytes = self.parcel.buffers.get(self.buffers);
                self.buffers += 1;
                Buffer::push(lua, bytes);
            }
            POINTER => lua.push_pointer(usize::from_ne_bytes(self.fixed()) as *const c_void),
            TABLE => {
                lua.push_table(u32::from_ne_bytes(self.fixed()) as c_int, 0);
                if !lua.ensure(4) {
                    lua.raise("stack overflow".into());
                }
                while self.push(lua) && self.push(lua) {
                    lua.raw_set(-3);
                }
            }
            _ => return false,
        }
        true
    }
}

/// Pushes the values of a parcel; gives their number. May raise.
fn push_parcel(lua: Lua, parcel: &Parcel) -> c_int {
    let mut reader = Reader {
        rest: &parcel.bytes,
        parcel,
        buffers: 0,
    };
    let top = lua.top();
    loop {
        if !lua.ensure(4) {
            lua.raise("stack overflow".into());
        }
        if !reader.push(lua) {
            return lua.top() - top;
        }
    }
}

/// The kinds of events, as the Lua part knows them.
const MESSAGE: i64 = 1;
const REPLY: i64 = 2;
const DONE: i64 = 3;
const TIMER: i64 = 4;
const READY: i64 = 5;
pub const BEGIN: i64 = 6;
const DESTROY: i64 = 7;
const NOTHING: i64 = 8;

/// Pushes an event's kind and what belongs to it; gives the number of values.
/// May raise.
pub fn push_event(lua: Lua, event: &Event) -> c_int {
    let numbers = |values: &[i64]| {
        for value in values {
            lua.push_integer(*value);
        }
        values.len() as c_int
    };
    match event {
        Event::Message {
            from,
            session,
            parcel,
        } => numbers(&[MESSAGE, i64::from(*from), *session]) + push_parcel(lua, parcel),
        Event::Reply {
            from,
            session,
            result,
        } => {
            let count = numbers(&[REPLY, i64::from(*from), *session]);
            lua.push_bool(result.is_ok());
            count
                + 1
                + match result {
                    Ok(parcel) => push_parcel(lua, parcel),
                    Err(number) => numbers(&[i64::from(*number)]),
                }
        }
        Event::Done { id, error } => {
            numbers(&[DONE, *id]);
            lua.push_bool(*error == 0);
            numbers(&[i64::from(*error)]);
            4
        }
        Event::Timer { id, .. } => numbers(&[TIMER, *id]),
        Event::Ready { socket } => numbers(&[READY, *socket as i64]),
        Event::Destroy { by, .. } => numbers(&[DESTROY, i64::from(*by)]),
        Event::Begin | Event::Forget { .. } | Event::Alone => numbers(&[NOTHING]),
    }
}
