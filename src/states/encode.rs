//! Lua values to bytes.
//!
//! What is under way lies on Lua's stack, in the frame of a protected call:
//! each table above it the key it has come to. The bytes lie outside of that
//! call, so nothing is lost when Lua raises.

use std::cell::Cell;
use std::ffi::{c_int, c_void, CStr};

use super::codec::Options;
use super::format::{Problem, Tag, Writer};
use super::{Message, Shared};
use crate::lua::{ffi, Error, Lua};

/// What the protected call gets.
struct Call<'a> {
    encoder: Cell<Option<&'a mut Encoder>>,
    count: c_int,
    problem: Cell<Option<Problem>>,
}

/// Makes a message of values on the stack.
pub fn encode(lua: Lua, first: c_int, count: c_int, options: &Options) -> Result<Message, Error> {
    let first = lua.absolute(first);
    let end = first + count;
    let mut writer = Writer::new(options.limit, count as usize)?;
    // Most messages have nothing that can raise, and need no protected call.
    let mut first = first;
    while first < end && plain(&mut writer, lua, first)? {
        first += 1;
    }
    let count = end - first;
    if count == 0 {
        return Ok(Message {
            bytes: writer.finish(false),
            objects: Vec::new(),
        });
    }
    if !lua.ensure(count.saturating_add(8)) {
        return Err(Problem::Deep.into());
    }
    let mut encoder = Encoder {
        writer,
        frames: Vec::new(),
        shared: Vec::new(),
        options: *options,
        seen: 0,
        objects: 0,
        variables: 0,
        globals: std::ptr::null(),
        functions: 0,
        refers: false,
    };
    for index in first..end {
        lua.push_value(index);
    }
    let call = Call {
        encoder: Cell::new(Some(&mut encoder)),
        count,
        problem: Cell::new(None),
    };
    lua.protect_with(count, 0, &call, |lua, call| {
        let Some(encoder) = call.encoder.take() else {
            return;
        };
        match encoder.run(lua, call.count) {
            Ok(()) => lua.set_top(0),
            Err(Problem::Raised) => lua.raise(Error::raised()),
            Err(problem) => {
                call.problem.set(Some(problem));
                lua.set_top(0);
            }
        }
    })?;
    if let Some(problem) = call.problem.get() {
        return Err(problem.into());
    }
    Ok(Message {
        bytes: encoder.writer.finish(encoder.refers),
        objects: encoder.shared,
    })
}

/// Writes the value at `index`, if it is one without identity; false if not.
/// Nothing is raised.
fn plain(writer: &mut Writer, lua: Lua, index: c_int) -> Result<bool, Problem> {
    match lua.type_of(index) {
        ffi::LUA_TSTRING => writer.string(lua.to_bytes(index))?,
        ffi::LUA_TNUMBER if lua.is_integer(index) => {
            writer.integer(lua.to_integer(index).unwrap_or_default())?;
        }
        ffi::LUA_TNUMBER => writer.float(lua.to_number(index).unwrap_or_default())?,
        ffi::LUA_TBOOLEAN => writer.boolean(lua.to_bool(index))?,
        ffi::LUA_TNIL => writer.tag(Tag::Nil)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Slots a frame needs at most, those of a step in it included.
const FRAME: c_int = 16;

/// What is open, from the outermost on; the last one is at hand.
#[derive(Clone, Copy)]
enum Frame {
    /// On the stack: the table and the last key; above, if `has_key`, value
    /// of a key that is written.
    Table {
        /// Where the number of pairs belongs.
        place: usize,
        /// The index of the next element; 0 when there are only pairs.
        next: i64,
        pairs: u32,
        has_key: bool,
    },
    /// On the stack: the function.
    Function { n: u16, count: u8 },
    /// On the stack: the object, and above what is left of payload and hook.
    Hook { object: i64, left: Left },
}

/// What of a hook is to be written.
#[derive(Clone, Copy)]
enum Left {
    Both,
    Payload,
    Nothing,
}

struct Encoder {
    writer: Writer,
    frames: Vec<Frame>,
    shared: Vec<Shared>,
    options: Options,
    /// Slot of the table of numbers by object, and by variable (as light
    /// userdata), nil until there is one. A hook under way has -1.
    seen: c_int,
    objects: i64,
    variables: i64,
    /// Where the table of globals is.
    globals: *const c_void,
    /// How many functions are open.
    functions: u32,
    refers: bool,
}

impl Encoder {
    /// Writes the `count` values of the frame. May raise.
    fn run(&mut self, lua: Lua, count: c_int) -> Result<(), Problem> {
        lua.raw_get_index(ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
        self.globals = lua.to_address(-1);
        lua.pop(1);
        lua.push_nil();
        self.seen = count + 1;
        for index in 1..=count {
            lua.push_value(index);
            self.value(lua)?;
            while let Some(&frame) = self.frames.last() {
                match frame {
                    Frame::Table {
                        place,
                        next,
                        pairs,
                        has_key,
                    } => self.table(lua, place, next, pairs, has_key)?,
                    Frame::Function { n, count } => self.function(lua, n, count)?,
                    Frame::Hook { object, left } => self.hook(lua, object, left)?,
                }
            }
        }
        Ok(())
    }

    /// Writes the value on top and pops it, or opens it: true when it is open.
    fn value(&mut self, lua: Lua) -> Result<bool, Problem> {
        if !plain(&mut self.writer, lua, -1)? {
            match lua.type_of(-1) {
                ffi::LUA_TLIGHTUSERDATA => {
                    self.only_trusted()?;
                    self.writer
                        .tagged(Tag::Pointer, lua.to_userdata(-1) as usize as u64)?;
                }
                kind @ (ffi::LUA_TTABLE | ffi::LUA_TFUNCTION | ffi::LUA_TUSERDATA) => {
                    return self.object(lua, kind);
                }
                _ => return Err(Problem::Thread),
            }
        }
        lua.pop(1);
        Ok(false)
    }

    fn only_trusted(&self) -> Result<(), Problem> {
        if self.options.is_trusted {
            Ok(())
        } else {
            Err(Problem::Refused)
        }
    }

    /// The number under which the key on top, which it pops, was seen.
    fn number_of(&self, lua: Lua) -> Option<i64> {
        if lua.type_of(self.seen) == ffi::LUA_TNIL {
            lua.pop(1);
            return None;
        }
        lua.raw_get(self.seen);
        let number = lua.to_integer(-1);
        lua.pop(1);
        number
    }

    /// Notes a number for the key on top, which it pops. May raise.
    fn note(&self, lua: Lua, number: i64) {
        if lua.type_of(self.seen) == ffi::LUA_TNIL {
            lua.push_table(0, 4);
            lua.replace(self.seen);
        }
        lua.push_integer(number);
        lua.raw_set(self.seen);
    }

    /// The same for the object on top, which stays; gives its number. May raise.
    fn note_object(&mut self, lua: Lua) -> i64 {
        let number = self.objects;
        self.objects += 1;
        lua.push_value(-1);
        self.note(lua, number);
        number
    }

    fn enter(&mut self, lua: Lua, frame: Frame) -> Result<bool, Problem> {
        if self.frames.len() >= self.options.depth || !lua.ensure(FRAME) {
            return Err(Problem::Deep);
        }
        self.frames.try_reserve(1).map_err(|_| Problem::Memory)?;
        self.frames.push(frame);
        Ok(true)
    }

    /// [`Encoder::value`] for what has an identity.
    fn object(&mut self, lua: Lua, kind: c_int) -> Result<bool, Problem> {
        lua.push_value(-1);
        match self.number_of(lua) {
            Some(number) if number >= 0 => {
                self.writer.tagged(Tag::Reference, number as u64)?;
                self.refers = true;
                lua.pop(1);
                return Ok(false);
            }
            Some(_) => return Err(Problem::Loop),
            None => {}
        }
        if kind == ffi::LUA_TFUNCTION {
            return self.begin_function(lua);
        }
        if kind == ffi::LUA_TTABLE && self.is_named(lua)? {
            lua.pop(1);
            return Ok(false);
        }
        if let Some(hooked) = self.begin_hook(lua)? {
            return Ok(hooked);
        }
        if kind == ffi::LUA_TTABLE {
            let place = self.writer.table(lua.raw_len(-1))?;
            self.note_object(lua);
            self.enter(
                lua,
                Frame::Table {
                    place,
                    next: 1,
                    pairs: 0,
                    has_key: false,
                },
            )?;
            lua.push_nil();
            return Ok(true);
        }
        self.shared.try_reserve(1).map_err(|_| Problem::Memory)?;
        let shared = lua.shared_at(-1).ok_or(Problem::Userdata)?;
        self.shared.push(shared);
        self.writer
            .tagged(Tag::Shared, self.shared.len() as u64 - 1)?;
        self.note_object(lua);
        lua.pop(1);
        Ok(false)
    }

    /// Writes the table on top if it is one that the receiver has as well. May
    /// raise.
    fn is_named(&mut self, lua: Lua) -> Result<bool, Problem> {
        if lua.to_address(-1) == self.globals {
            self.only_trusted()?;
            self.writer.tag(Tag::Globals)?;
            return Ok(true);
        }
        if !self.options.by_name || !self.options.is_trusted || self.functions == 0 {
            return Ok(false);
        }
        let table = lua.top();
        let is_module = find(lua, LOADED, table);
        if is_module {
            self.writer.tag(Tag::Module)?;
            self.long_string(lua.to_bytes(-1))?;
        }
        lua.set_top(table);
        Ok(is_module)
    }

    /// A string whose place says that it is one.
    fn long_string(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.writer.number(bytes.len() as u64)?;
        self.writer.put(bytes)
    }

    /// Goes on with the table below the key on top. May raise.
    fn table(
        &mut self,
        lua: Lua,
        place: usize,
        mut next: i64,
        mut pairs: u32,
        mut has_key: bool,
    ) -> Result<(), Problem> {
        loop {
            if !has_key {
                if !lua.next(-2) {
                    break;
                }
                if next > 0 && lua.is_integer(-2) && lua.to_integer(-2) == Some(next) {
                    next += 1;
                } else {
                    if next > 0 {
                        next = 0;
                        self.writer.tag(Tag::Pairs)?;
                    }
                    pairs = pairs.saturating_add(1);
                    lua.push_value(-2);
                    let at = self.frames.len();
                    if self.value(lua)? {
                        self.keep(at, place, next, pairs, true);
                        return Ok(());
                    }
                }
            }
            has_key = false;
            let at = self.frames.len();
            if self.value(lua)? {
                self.keep(at, place, next, pairs, false);
                return Ok(());
            }
        }
        self.writer.tag(Tag::End)?;
        self.writer.pairs(place, pairs);
        self.frames.pop();
        lua.pop(1);
        Ok(())
    }

    /// Keeps how far a table is that something was opened in, of which there
    /// were `at` frames then.
    fn keep(&mut self, at: usize, place: usize, next: i64, pairs: u32, has_key: bool) {
        if let Some(frame) = self.frames.get_mut(at - 1) {
            *frame = Frame::Table {
                place,
                next,
                pairs,
                has_key,
            };
        }
    }

    /// Opens the function on top, or writes it by its name. May raise.
    fn begin_function(&mut self, lua: Lua) -> Result<bool, Problem> {
        self.only_trusted()?;
        if lua.is_c_function(-1) {
            self.named_function(lua)?;
            lua.pop(1);
            return Ok(false);
        }
        let count = lua.upvalue_count(-1);
        let place = self.writer.function(count)?;
        let mut problem = None;
        let writer = &mut self.writer;
        lua.dump(false, &mut |piece| {
            problem = writer.put(piece).err();
            problem.is_none()
        });
        if let Some(problem) = problem {
            return Err(problem);
        }
        self.writer.length(place)?;
        self.note_object(lua);
        self.functions += 1;
        self.enter(lua, Frame::Function { n: 1, count })
    }

    /// Goes on with the function on top. May raise.
    fn function(&mut self, lua: Lua, mut n: u16, count: u8) -> Result<(), Problem> {
        let at = self.frames.len();
        while n <= count.into() {
            let id = lua.upvalue_id(-1, n as u8);
            lua.push_pointer(id);
            if let Some(number) = self.number_of(lua) {
                self.writer.tagged(Tag::Variable, number as u64)?;
                self.refers = true;
                n += 1;
                continue;
            }
            lua.push_pointer(id);
            self.note(lua, self.variables);
            self.variables += 1;
            if !lua.push_upvalue_of(-1, n as u8) {
                lua.push_nil();
            }
            n += 1;
            if self.value(lua)? {
                if let Some(frame) = self.frames.get_mut(at - 1) {
                    *frame = Frame::Function { n, count };
                }
                return Ok(());
            }
        }
        self.frames.pop();
        self.functions -= 1;
        lua.pop(1);
        Ok(())
    }

    /// Writes the C function on top by the name it has in a module. May raise.
    fn named_function(&mut self, lua: Lua) -> Result<(), Problem> {
        let function = lua.top();
        lua.get_field(ffi::LUA_REGISTRYINDEX, LOADED);
        lua.push_nil();
        while lua.type_of(-2) == ffi::LUA_TTABLE && lua.next(-2) {
            // Modules, name, module.
            if lua.type_of(-1) == ffi::LUA_TTABLE && lua.type_of(-2) == ffi::LUA_TSTRING {
                lua.push_nil();
                while lua.next(-2) {
                    let is_found =
                        lua.raw_equal(-1, function) && lua.type_of(-2) == ffi::LUA_TSTRING;
                    lua.pop(1);
                    if !is_found {
                        continue;
                    }
                    if self.options.by_name {
                        self.writer.tag(Tag::Member)?;
                        self.long_string(lua.to_bytes(-3))?;
                        self.long_string(lua.to_bytes(-1))?;
                        lua.set_top(function);
                        return Ok(());
                    }
                    return Err(refuse_function(lua));
                }
            }
            lua.pop(1);
        }
        lua.push_str("(null)");
        Err(refuse_function(lua))
    }

    /// Opens the object on top if its metatable has a hook: calls that. None if
    /// there is none. May raise.
    fn begin_hook(&mut self, lua: Lua) -> Result<Option<bool>, Problem> {
        if !lua.get_metatable(-1) {
            return Ok(None);
        }
        lua.push_str("__codec");
        let has_hook = lua.raw_get(-2) != ffi::LUA_TNIL;
        lua.remove(-2);
        if !has_hook {
            lua.pop(1);
            return Ok(None);
        }
        self.only_trusted()?;
        if !lua.ensure(FRAME) {
            return Err(Problem::Deep);
        }
        lua.push_value(-2);
        lua.call(1, 2);
        // Object, hook, payload.
        if !matches!(lua.type_of(-2), ffi::LUA_TFUNCTION | ffi::LUA_TSTRING) {
            return Err(Problem::Hook);
        }
        self.writer.tag(Tag::Hook)?;
        let object = self.objects;
        self.objects += 1;
        lua.push_value(-3);
        self.note(lua, -1);
        lua.insert(-2);
        self.enter(
            lua,
            Frame::Hook {
                object,
                left: Left::Both,
            },
        )
        .map(Some)
    }

    /// Goes on with a hook. May raise.
    fn hook(&mut self, lua: Lua, object: i64, left: Left) -> Result<(), Problem> {
        let left = match left {
            Left::Both => Left::Payload,
            Left::Payload => Left::Nothing,
            Left::Nothing => {
                lua.push_value(-1);
                self.note(lua, object);
                lua.pop(1);
                self.frames.pop();
                return Ok(());
            }
        };
        if let Some(frame) = self.frames.last_mut() {
            *frame = Frame::Hook { object, left };
        }
        self.value(lua)?;
        Ok(())
    }
}

/// Registry field of the table of modules.
const LOADED: &CStr = c"_LOADED";

/// Pushes the key under which a table of the registry has the value at `index`,
/// if that is a string; false (and who knows what pushed) when it has not. May
/// raise.
fn find(lua: Lua, table: &CStr, index: c_int) -> bool {
    if lua.get_field(ffi::LUA_REGISTRYINDEX, table) != ffi::LUA_TTABLE {
        return false;
    }
    lua.push_nil();
    while lua.next(-2) {
        let is_found = lua.raw_equal(-1, index) && lua.type_of(-2) == ffi::LUA_TSTRING;
        lua.pop(1);
        if is_found {
            return true;
        }
    }
    false
}

/// Makes the message about the C function whose name is on top. May raise.
#[cold]
fn refuse_function(lua: Lua) -> Problem {
    // Who called the function that encodes.
    lua.push_where(2);
    lua.insert(-2);
    lua.push_str("attempt to persist a C function '");
    lua.insert(-2);
    lua.push_str("'");
    lua.concat(4);
    Problem::Raised
}
