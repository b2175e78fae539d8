//! `encode`: JSON text out of Lua values, whole or in pieces.
//!
//! How far the writing has come lies on Lua's stack, a frame for each table
//! that values are left in: an object and its last key; or an array, the place
//! in it, and nil. The frame of the table at hand is on top. So tables may be
//! nested as deep as the settings allow, and the writing may stop after any
//! value and go on from a copy of the frames.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};

use crate::json::writer::{self, NoMemory};
use crate::lua::{ffi, Error, Lua, Outcome, Returns};
use crate::system::number::{write_float, LONGEST_FLOAT};

use super::settings::{
    self, Settings, EMPTY_IS_OBJECT, ENCODE_DEPTH, ENCODE_INVALID, ESCAPE_SLASH, PRECISION,
    SPARSE_CONVERT, SPARSE_RATIO, SPARSE_SAFE,
};
use super::{empty_array, fail, ARRAY, EMPTY_ARRAY};

/// Why a value has no text.
#[derive(Clone, Copy)]
enum Problem {
    /// No memory for it.
    Memory,
    /// Lua has a type that JSON lacks.
    Type,
    /// A number that JSON lacks.
    Number,
    /// An array with too many holes.
    Sparse,
    /// A key that is neither string nor number.
    Key,
    /// Tables lie too deep in each other.
    Depth,
}

impl From<NoMemory> for Problem {
    fn from(_: NoMemory) -> Problem {
        Problem::Memory
    }
}

impl Problem {
    /// Ends the call with it; `kind` names the type of the value at hand.
    fn end(self, lua: Lua, kind: &'static CStr) -> Outcome {
        let (what, why) = match self {
            Problem::Memory => return Err("not enough memory".into()),
            Problem::Depth => {
                lua.push_str("Cannot serialise, excessively nested");
                return fail(lua);
            }
            Problem::Type => (kind, "type not supported"),
            Problem::Number => (c"number", "must not be NaN or Infinity"),
            Problem::Sparse => (c"table", "excessively sparse array"),
            Problem::Key => (c"table", "table key must be a number or string"),
        };
        lua.push_str("Cannot serialise ");
        lua.push_bytes(what.to_bytes());
        lua.push_str(": ");
        lua.push_str(why);
        lua.concat(4);
        fail(lua)
    }
}

/// Slots of the metatables in the frame of the protected call, below those of
/// the text; between them is the table of frames in [`pieces`].
const ARRAY_SLOT: c_int = 1;
const EMPTY_ARRAY_SLOT: c_int = 2;
const FRAMES_SLOT: c_int = 3;

/// What to do with the stack.
enum Next {
    /// The table on top is to be written.
    Enter,
    /// The writing goes on with the frame on top.
    Resume,
    /// Enough is written; the frame on top is complete.
    Pause,
}

/// A text under way.
struct Encoder<'a> {
    settings: &'a Settings,
    text: RefCell<Vec<u8>>,
    /// Where it stops, when the value at hand is written.
    limit: usize,
    /// How many tables values are left in.
    depth: Cell<c_int>,
    problem: Cell<Option<Problem>>,
    /// The type of a value that has no text.
    kind: Cell<&'static CStr>,
}

/// `encode(value)` -> text.
pub fn encode(lua: Lua) -> Outcome {
    if lua.top() != 1 {
        return Err(Error::argument(1, "one value expected"));
    }
    let settings = settings::of(&lua)?;
    lua.push_value(ARRAY);
    lua.push_value(EMPTY_ARRAY);
    lua.push_value(1);
    let encoder = Encoder {
        settings,
        text: RefCell::new(settings.take_buffer()),
        limit: usize::MAX,
        depth: Cell::new(0),
        problem: Cell::new(None),
        kind: Cell::new(c""),
    };
    let ended = lua.protect_with(3, 1, &encoder, |lua, encoder| {
        encoder.note(encoder.begin(lua));
        encoder.push_text(lua);
        lua.replace(1);
        lua.set_top(1);
    });
    let (problem, kind) = (encoder.problem.get(), encoder.kind.get());
    settings.keep_buffer(encoder.text.into_inner());
    ended?;
    match problem {
        None => Ok(Returns(1)),
        Some(problem) => problem.end(lua, kind),
    }
}

/// In the table of [`pieces`]: how many tables values are left in, -1 before the
/// first piece, and how many slots of frames follow.
const DEPTH: i64 = -1;
const COUNT: i64 = 0;

/// From Lua: `pieces(frames, size)` -> the next piece of the text, of about
/// that size, and whether more follow; or nil and a message.
pub fn pieces(lua: Lua) -> Outcome {
    lua.expect(1, ffi::LUA_TTABLE)?;
    let limit = lua.within(2, 1, i32::MAX.into())? as usize;
    let settings = settings::of(&lua)?;
    lua.push_value(ARRAY);
    lua.push_value(EMPTY_ARRAY);
    lua.push_value(1);
    let encoder = Encoder {
        settings,
        text: RefCell::default(),
        limit,
        depth: Cell::new(0),
        problem: Cell::new(None),
        kind: Cell::new(c""),
    };
    let ended = lua.protect_with(3, 2, &encoder, |lua, encoder| {
        encoder.note(encoder.go_on(lua));
        encoder.push_text(lua);
        lua.push_bool(encoder.depth.get() > 0);
        lua.replace(2);
        lua.replace(1);
        lua.set_top(2);
    });
    let (problem, kind) = (encoder.problem.get(), encoder.kind.get());
    drop(encoder);
    ended?;
    match problem {
        None => Ok(Returns(2)),
        Some(problem) => problem.end(lua, kind),
    }
}

impl Encoder<'_> {
    fn note(&self, outcome: Result<(), Problem>) {
        self.problem.set(outcome.err());
    }

    /// Pushes what is written. May raise.
    fn push_text(&self, lua: Lua) {
        let length = self.text.borrow().len();
        lua.push_part(&self.text, 0..length);
    }

    /// Adds to the text. Lua is not called meanwhile.
    fn put(&self, add: impl FnOnce(&mut Vec<u8>) -> Result<(), NoMemory>) -> Result<(), Problem> {
        Ok(add(&mut self.text.borrow_mut())?)
    }

    fn put_bytes(&self, bytes: &[u8]) -> Result<(), Problem> {
        self.put(|text| writer::raw(text, bytes))
    }

    fn is_full(&self) -> bool {
        self.text.borrow().len() >= self.limit
    }

    /// Writes the value on top, up to the limit.
    fn begin(&self, lua: Lua) -> Result<(), Problem> {
        if self.value(lua)? {
            return Ok(());
        }
        self.run(lua, Next::Enter)
    }

    /// Goes on with the frames of the table in their slot, and puts those that
    /// are left back into it. May raise.
    fn go_on(&self, lua: Lua) -> Result<(), Problem> {
        let field = |place: i64| {
            lua.raw_get_index(FRAMES_SLOT, place);
            let value = lua.to_integer(-1).unwrap_or_default();
            lua.pop(1);
            value
        };
        let (depth, count) = (field(DEPTH) as c_int, field(COUNT));
        if !lua.ensure(count as c_int + 8) {
            return Err(Problem::Depth);
        }
        for slot in 1..=count {
            lua.raw_get_index(FRAMES_SLOT, slot);
        }
        if depth < 0 {
            self.begin(lua)?;
        } else {
            self.depth.set(depth);
            self.run(lua, Next::Resume)?;
        }
        let count = i64::from(lua.top() - FRAMES_SLOT);
        for slot in (1..=count).rev() {
            lua.raw_set_index(FRAMES_SLOT, slot);
        }
        for (place, value) in [(DEPTH, self.depth.get().into()), (COUNT, count)] {
            lua.push_integer(value);
            lua.raw_set_index(FRAMES_SLOT, place);
        }
        Ok(())
    }

    /// Writes until no frame is left or the limit is reached. May raise, when
    /// a table was changed since it was left.
    fn run(&self, lua: Lua, mut next: Next) -> Result<(), Problem> {
        loop {
            next = match next {
                Next::Enter => self.enter(lua)?,
                Next::Resume if self.depth.get() > 0 && !self.is_full() => self.resume(lua)?,
                Next::Resume | Next::Pause => return Ok(()),
            };
        }
    }

    /// Begins with the table on top.
    fn enter(&self, lua: Lua) -> Result<Next, Problem> {
        if self.depth.get() >= self.settings.get(ENCODE_DEPTH) || !lua.ensure(16) {
            return Err(Problem::Depth);
        }
        self.depth.set(self.depth.get() + 1);
        match self.array_length(lua)? {
            Some(length) => {
                self.put_bytes(b"[")?;
                self.array(lua, 0, length)
            }
            None => {
                self.put_bytes(b"{")?;
                lua.push_nil();
                self.object(lua, true)
            }
        }
    }

    /// Goes on with the frame on top.
    fn resume(&self, lua: Lua) -> Result<Next, Problem> {
        if lua.type_of(-1) != ffi::LUA_TNIL {
            return self.object(lua, false);
        }
        let place = lua.to_integer(-2).unwrap_or_default();
        lua.pop(2);
        self.array(lua, (place >> 32) as u32, place as u32)
    }

    /// Pushes the rest of an array's frame, below the value on top if there is one.
    fn leave_array(lua: Lua, index: u32, length: u32) {
        lua.push_integer((i64::from(index) << 32) | i64::from(length));
        lua.push_nil();
    }

    /// The array on top has `length` elements, `index` of which are written.
    fn array(&self, lua: Lua, mut index: u32, length: u32) -> Result<Next, Problem> {
        while index < length {
            if index > 0 {
                self.put_bytes(b",")?;
            }
            index += 1;
            lua.raw_get_index(-1, index.into());
            if !self.value(lua)? {
                Self::leave_array(lua, index, length);
                // Table, value, place, nil.
                lua.push_value(-3);
                lua.remove(-4);
                return Ok(Next::Enter);
            }
            if self.is_full() {
                Self::leave_array(lua, index, length);
                return Ok(Next::Pause);
            }
        }
        self.put_bytes(b"]")?;
        self.leave(lua)
    }

    /// The object below the key on top has been written up to that key.
    fn object(&self, lua: Lua, mut is_first: bool) -> Result<Next, Problem> {
        while lua.next(-2) {
            if !is_first {
                self.put_bytes(b",")?;
            }
            is_first = false;
            match lua.type_of(-2) {
                ffi::LUA_TSTRING => self.string(lua, -2)?,
                ffi::LUA_TNUMBER => {
                    self.put_bytes(b"\"")?;
                    self.number(lua, -2)?;
                    self.put_bytes(b"\"")?;
                }
                _ => return Err(Problem::Key),
            }
            self.put_bytes(b":")?;
            if !self.value(lua)? {
                return Ok(Next::Enter);
            }
            if self.is_full() {
                return Ok(Next::Pause);
            }
        }
        self.put_bytes(b"}")?;
        self.leave(lua)
    }

    /// The table on top is written.
    fn leave(&self, lua: Lua) -> Result<Next, Problem> {
        lua.pop(1);
        self.depth.set(self.depth.get() - 1);
        Ok(Next::Resume)
    }

    /// Writes the value on top and pops it; false if it is a table.
    fn value(&self, lua: Lua) -> Result<bool, Problem> {
        let kind = lua.type_of(-1);
        match kind {
            ffi::LUA_TTABLE => return Ok(false),
            ffi::LUA_TSTRING => self.string(lua, -1)?,
            ffi::LUA_TNUMBER => self.number(lua, -1)?,
            ffi::LUA_TNIL => self.put_bytes(b"null")?,
            ffi::LUA_TBOOLEAN if lua.to_bool(-1) => self.put_bytes(b"true")?,
            ffi::LUA_TBOOLEAN => self.put_bytes(b"false")?,
            ffi::LUA_TLIGHTUSERDATA if lua.to_userdata(-1).is_null() => self.put_bytes(b"null")?,
            ffi::LUA_TLIGHTUSERDATA if lua.to_userdata(-1).cast_const() == empty_array() => {
                self.put_bytes(b"[]")?;
            }
            _ => {
                self.kind.set(lua.type_name(-1));
                return Err(Problem::Type);
            }
        }
        lua.pop(1);
        Ok(true)
    }

    fn string(&self, lua: Lua, index: c_int) -> Result<(), Problem> {
        let escapes_slash = self.settings.is(ESCAPE_SLASH);
        self.put(|text| writer::string(text, lua.to_bytes(index), escapes_slash))
    }

    /// Floats are taken apart by their bits, not computed with: see
    /// [`WIDE`](crate::json::WIDE).
    fn number(&self, lua: Lua, index: c_int) -> Result<(), Problem> {
        /// The bits of infinity; those of what is no number are more.
        const INFINITY: u64 = f64::INFINITY.to_bits();
        /// Up to here every integer is a float.
        const EXACT: u64 = 1 << 53;
        let is_integer = lua.is_integer(index);
        let value = if is_integer {
            0.0
        } else {
            lua.to_number(index).unwrap_or_default()
        };
        let is_negative = value.is_sign_negative();
        match lua.to_integer(index) {
            Some(0) if is_negative => return self.put_bytes(b"-0.0"),
            Some(whole) if is_integer || whole.unsigned_abs() <= EXACT => {
                return self.put(|text| writer::integer(text, whole));
            }
            _ => {}
        }
        let size = value.to_bits() & (u64::MAX >> 1);
        if size >= INFINITY {
            return match self.settings.get(ENCODE_INVALID) {
                0 => Err(Problem::Number),
                1 if size > INFINITY => self.put_bytes(b"NaN"),
                1 if is_negative => self.put_bytes(b"-Infinity"),
                1 => self.put_bytes(b"Infinity"),
                _ => self.put_bytes(b"null"),
            };
        }
        let precision = self.settings.get(PRECISION) as u8;
        self.put(|text| {
            if writer::short_float(text, value, precision)? {
                return Ok(());
            }
            let mut digits = [0; LONGEST_FLOAT];
            let length = write_float(value, precision, &mut digits);
            writer::raw(text, &digits[..length])
        })
    }

    /// The length of the table on top if it is an array; none is an object.
    fn array_length(&self, lua: Lua) -> Result<Option<u32>, Problem> {
        let mut empty_is_array = !self.settings.is(EMPTY_IS_OBJECT);
        if lua.get_metatable(-1) {
            let is_array = lua.raw_equal(-1, ARRAY_SLOT);
            empty_is_array |= lua.raw_equal(-1, EMPTY_ARRAY_SLOT);
            lua.pop(1);
            if is_array {
                return u32::try_from(lua.raw_len(-1))
                    .map(Some)
                    .map_err(|_| Problem::Sparse);
            }
        }
        let (mut most, mut count) = (0, 0);
        lua.push_nil();
        while lua.next(-2) {
            lua.pop(1);
            let key = lua.to_integer(-1).unwrap_or_default();
            if key < 1 || !lua.is_integer(-1) {
                lua.pop(1);
                return Ok(None);
            }
            most = most.max(key);
            count += 1;
        }
        if count == 0 {
            return Ok(empty_is_array.then_some(0));
        }
        let ratio = i64::from(self.settings.get(SPARSE_RATIO));
        let safe = i64::from(self.settings.get(SPARSE_SAFE));
        let is_sparse = ratio > 0 && most > safe && most > ratio.saturating_mul(count);
        match u32::try_from(most) {
            Ok(length) if !is_sparse => Ok(Some(length)),
            _ if self.settings.is(SPARSE_CONVERT) => Ok(None),
            _ => Err(Problem::Sparse),
        }
    }
}
