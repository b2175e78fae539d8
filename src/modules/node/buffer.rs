//! `buffer`: bytes that contexts share until one of them changes them.

use std::cell::RefCell;
use std::ffi::{c_int, CStr};
use std::ptr;

use crate::functions;
use crate::lua::{ffi, function, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::node::bytes::{Bytes, LONGEST};

/// A buffer, or one that was released.
pub struct Buffer(RefCell<Option<Bytes>>);

impl Buffer {
    /// What it holds, to be held by others, too.
    pub fn share(&self) -> Option<Bytes> {
        self.0.borrow().clone()
    }

    /// Pushes a new one, that shares those bytes. May raise.
    pub fn push(lua: Lua, bytes: Option<&Bytes>) {
        let slot = lua.reserve::<Buffer>(0, ptr::null());
        slot.fill(Buffer(RefCell::new(bytes.cloned())));
    }

    /// Pushes one that takes over what is there, once it can. May raise.
    pub fn push_from(lua: Lua, place: &RefCell<Option<Bytes>>) {
        let made = Buffer::reserve(&lua);
        made.0.replace(place.take());
    }

    /// The same with an empty one, to be filled.
    fn reserve(lua: &Lua) -> &Buffer {
        let slot = lua.reserve::<Buffer>(0, ptr::null());
        slot.fill(Buffer(RefCell::new(None)))
    }

    fn length(&self) -> usize {
        self.0.borrow().as_ref().map_or(0, Bytes::len)
    }
}

impl UserData for Buffer {
    const NAME: &'static CStr = c"node-lua buffer";
    const METHODS: Functions = METHODS;
}

/// What buffers can do, as methods and as functions.
pub const METHODS: Functions = functions! {
    append: function(append),
    split: function(split),
    remove: function(remove),
    clear: function(clear),
    length: function(length),
    unfill: function(unfill),
    find: function(find),
    tostring: function(text),
    valid: function(valid),
    release: function(release),
    __tostring: function(text),
    __len: function(length),
};

/// Those of them that are functions of the module.
pub const FUNCTION_COUNT: usize = 10;

fn this(lua: &Lua) -> Result<&Buffer, Error> {
    lua.expect_userdata::<Buffer>(1)
}

/// `buffer.new([string | buffer | capacity [, string]])`.
pub fn new(lua: Lua) -> Outcome {
    lua.set_top(2);
    let (mut room, mut text) = (0, 1);
    match lua.type_of(1) {
        ffi::LUA_TNIL => {}
        ffi::LUA_TSTRING => {}
        ffi::LUA_TNUMBER => {
            room = lua.within(1, 0, LONGEST as i64)? as usize;
            text = 2;
            if !lua.is_none_or_nil(2) {
                lua.expect(2, ffi::LUA_TSTRING)?;
            }
        }
        _ => match lua.userdata::<Buffer>(1) {
            Some(other) => {
                let bytes = ptr::from_ref(other);
                let made = Buffer::reserve(&lua);
                // The argument keeps it.
                debug_assert!(!ptr::eq(bytes, made));
                made.0.replace(other.share());
                return Ok(Returns(1));
            }
            None => return Err(Error::argument(1, "unexpected argument type")),
        },
    }
    let made = Buffer::reserve(&lua);
    match Bytes::new(lua.bytes(text).unwrap_or_default(), room) {
        Ok(bytes) => made.0.replace(Some(bytes)),
        Err(_) => return Err(lua.out_of_memory()),
    };
    Ok(Returns(1))
}

/// `b:append(string | buffer)` -> boolean.
fn append(lua: Lua) -> Outcome {
    let this = this(&lua)?;
    let other = lua.userdata::<Buffer>(2);
    if other.is_none() {
        lua.string(2)?;
    }
    let done = {
        let shared = other.map(Buffer::share);
        let mut held = this.0.borrow_mut();
        match (held.as_mut(), &shared) {
            (None, _) | (_, Some(None)) => Ok(false),
            (Some(bytes), Some(Some(more))) => bytes.append(more.as_slice()).map(|()| true),
            (Some(bytes), None) => bytes.append(lua.to_bytes(2)).map(|()| true),
        }
    };
    match done {
        Ok(done) => lua.push_bool(done),
        Err(_) => return Err(lua.out_of_memory()),
    }
    Ok(Returns(1))
}

/// The count at `index`: all for nil, nothing below zero.
fn count(lua: Lua, index: c_int) -> Result<usize, Error> {
    let count = lua.integer_or(index, i64::MAX)?.max(0);
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// `b:split([n])` -> buffer.
fn split(lua: Lua) -> Outcome {
    let this = this(&lua)?;
    let count = count(lua, 2)?;
    let made = Buffer::reserve(&lua);
    let front = this.0.borrow_mut().as_mut().map(|bytes| bytes.split(count));
    made.0.replace(Some(front.unwrap_or_default()));
    Ok(Returns(1))
}

/// `b:remove([position [, n]])` -> how many.
fn remove(lua: Lua) -> Outcome {
    let this = this(&lua)?;
    let position = lua.integer_or(2, 1)?;
    let count = count(lua, 3)?;
    let length = this.length() as i64;
    let start = if position < 0 {
        length.saturating_add(position).max(0)
    } else {
        position.max(1) - 1
    };
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let removed = match this.0.borrow_mut().as_mut() {
        Some(bytes) => bytes.remove(start, count),
        None => Ok(0),
    };
    match removed {
        Ok(removed) => lua.push_integer(removed as i64),
        Err(_) => return Err(lua.out_of_memory()),
    }
    Ok(Returns(1))
}

/// `b:clear()` -> boolean.
fn clear(lua: Lua) -> Outcome {
    let this = this(&lua)?;
    let cleared = this
        .0
        .borrow_mut()
        .as_mut()
        .map(|bytes| drop(bytes.split(usize::MAX)));
    lua.push_bool(cleared.is_some());
    Ok(Returns(1))
}

/// `b:length()`, `#b`.
fn length(lua: Lua) -> Outcome {
    lua.push_integer(this(&lua)?.length() as i64);
    Ok(Returns(1))
}

/// `b:unfill()` -> spare capacity.
fn unfill(lua: Lua) -> Outcome {
    let spare = this(&lua)?.0.borrow().as_ref().map_or(0, Bytes::spare);
    lua.push_integer(spare as i64);
    Ok(Returns(1))
}

/// `b:find([text])` -> position, or nothing.
fn find(lua: Lua) -> Outcome {
    let this = this(&lua)?;
    let part = lua.string_or(2, b"")?;
    let place = this.0.borrow().as_ref().and_then(|bytes| bytes.find(part));
    match place {
        Some(place) => {
            lua.push_integer(place as i64 + 1);
            Ok(Returns(1))
        }
        None => Ok(Returns(0)),
    }
}

/// `b:tostring()`, `tostring(b)`.
fn text(lua: Lua) -> Outcome {
    let shared = this(&lua)?.share();
    let pushed = lua.try_push_bytes(shared.as_ref().map_or(&[][..], Bytes::as_slice));
    drop(shared);
    pushed.map(|()| Returns(1))
}

/// `b:valid()` -> boolean.
fn valid(lua: Lua) -> Outcome {
    lua.push_bool(this(&lua)?.0.borrow().is_some());
    Ok(Returns(1))
}

/// `b:release()`.
fn release(lua: Lua) -> Outcome {
    let bytes = this(&lua)?.0.take();
    drop(bytes);
    Ok(Returns(0))
}
