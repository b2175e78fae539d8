//! `eco.encoding.gzip`: packing and unpacking, of strings and of streams.

mod input;
mod messages;

use std::cell::{Cell, RefCell};
use std::ffi::CStr;

use self::input::Input;
use crate::abi::Core;
use crate::functions;
use crate::gzip::{Reader, Writer};
use crate::lua::{function, method, Functions, Lua, Outcome, Returns, UserData};
use crate::lua_source;

/// Bytes that come out at once, unless a size is given, and at most.
const PIECE: i64 = 16384;
const LARGEST: i64 = 1 << 20;

const NATIVE: Functions = functions! {
    compressor: function(compressor),
    decompressor: function(decompressor),
};

pub use messages::open as open_messages;

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.encoding.gzip")?;
    lua.push_chunk(c"=eco.encoding.gzip", lua_source!("gzip.lua"));
    lua.push_module(NATIVE, core.pointer());
    lua.call(1, 1);
    Ok(Returns(1))
}

/// A stream that is packed.
struct Compressor {
    writer: RefCell<Writer>,
    out: RefCell<Vec<u8>>,
    over: Cell<bool>,
}

impl UserData for Compressor {
    const NAME: &'static CStr = c"eco.gzip.compressor";
    const METHODS: Functions = functions! {
        update: method(Compressor::update),
        finish: method(Compressor::finish),
    };
}

/// `compressor([level])`: 0 packs nothing, 9 most; 6.
fn compressor(lua: Lua) -> Outcome {
    let level = if lua.is_none_or_nil(1) {
        6
    } else {
        lua.within(1, 0, 9)? as u8
    };
    let slot = lua.reserve::<Compressor>(0, Core::of(lua).pointer());
    slot.fill(Compressor {
        writer: RefCell::new(Writer::new(level)),
        out: RefCell::default(),
        over: Cell::new(false),
    });
    Ok(Returns(1))
}

impl Compressor {
    /// `update(data)`: what is ready of the packed bytes.
    fn update(lua: Lua, this: &Compressor) -> Outcome {
        this.pack(lua, lua.string(2)?, false)
    }

    /// `finish()`: the last of them.
    fn finish(lua: Lua, this: &Compressor) -> Outcome {
        this.pack(lua, b"", true)
    }

    fn pack(&self, lua: Lua, data: &[u8], finish: bool) -> Outcome {
        if self.over.get() {
            return Err("the stream is finished".into());
        }
        self.over.set(finish);
        let made = self.run(data, finish);
        if made.is_none() {
            return Err(lua.out_of_memory());
        }
        lua.push_part(&self.out, 0..made.unwrap_or(0));
        *self.out.borrow_mut() = Vec::new();
        Core::of_any(lua).settle(lua, Returns(1))
    }

    /// How many bytes were made, None when there is no memory for them.
    fn run(&self, data: &[u8], finish: bool) -> Option<usize> {
        let (mut writer, mut out) = (self.writer.borrow_mut(), self.out.borrow_mut());
        let (mut at, mut length) = (0, 0);
        loop {
            let rest = data.get(at..).unwrap_or_default();
            out.try_reserve(PIECE as usize).ok()?;
            out.resize(length + PIECE as usize, 0);
            let room = out.get_mut(length..).unwrap_or_default();
            let (used, made) = writer.step(rest, room, finish);
            at += used;
            length += made;
            if made < PIECE as usize && at == data.len() && finish == writer.finished() {
                return Some(length);
            }
        }
    }
}

/// A stream that is unpacked.
struct Decompressor {
    reader: RefCell<Reader>,
    input: Input,
    out: RefCell<Vec<u8>>,
    broken: Cell<bool>,
}

impl UserData for Decompressor {
    const NAME: &'static CStr = c"eco.gzip.decompressor";
    const METHODS: Functions = functions! {
        write: method(Decompressor::write),
        read: method(Decompressor::read),
        ended: method(Decompressor::ended),
        started: method(Decompressor::started),
    };
}

/// `decompressor()`.
fn decompressor(lua: Lua) -> Outcome {
    let slot = lua.reserve::<Decompressor>(0, Core::of(lua).pointer());
    slot.fill(Decompressor {
        reader: RefCell::default(),
        input: Input::default(),
        out: RefCell::default(),
        broken: Cell::new(false),
    });
    Ok(Returns(1))
}

impl Decompressor {
    /// `write(data)`: takes packed bytes, which `read` works on.
    fn write(lua: Lua, this: &Decompressor) -> Outcome {
        this.input.add(lua, lua.string(2)?)?;
        Core::of_any(lua).settle(lua, Returns(0))
    }

    /// `read([size])`: up to so many bytes; none when more input is needed, or
    /// there is nothing more. Nil and a message when the input is broken.
    fn read(lua: Lua, this: &Decompressor) -> Outcome {
        let size = lua.integer_or(2, PIECE)?.clamp(1, LARGEST) as usize;
        let step = match this.broken.get() {
            true => None,
            false => {
                let (rest, mut out) = (this.input.rest(), this.out.borrow_mut());
                if out.len() < size {
                    let more = size - out.len();
                    if out.try_reserve_exact(more).is_err() {
                        drop((rest, out));
                        return Err(lua.out_of_memory());
                    }
                    out.resize(size, 0);
                }
                let room = out.get_mut(..size).unwrap_or_default();
                this.reader.borrow_mut().step(&rest, room).ok()
            }
        };
        let Some((used, made)) = step else {
            this.broken.set(true);
            lua.push_nil();
            lua.push_str("input is malformed");
            return Core::of_any(lua).settle(lua, Returns(2));
        };
        this.input.take(used);
        lua.push_part(&this.out, 0..made);
        Core::of_any(lua).settle(lua, Returns(1))
    }

    /// `ended()`: the input so far is complete.
    fn ended(lua: Lua, this: &Decompressor) -> Outcome {
        lua.push_bool(this.reader.borrow().ended());
        Ok(Returns(1))
    }

    /// `started()`: there was any input.
    fn started(lua: Lua, this: &Decompressor) -> Outcome {
        lua.push_bool(this.reader.borrow().started());
        Ok(Returns(1))
    }
}
