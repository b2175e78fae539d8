//! `eco.termios`: attributes of terminals as `termios.h` has them, for descriptors
//! that are numbers. Nothing yields, and nothing reaches the device until
//! `tcsetattr`.

mod constants;

use std::cell::Cell;
use std::ffi::CStr;

use nix::errno::Errno;

use crate::functions;
use crate::lua::{function, method, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::system::terminal::{self, Attributes};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    const FUNCTIONS: Functions = functions! {
        tcgetattr: function(tcgetattr),
        tcsetattr: function(tcsetattr),
        tcflush: function(tcflush),
        tcflow: function(tcflow),
    };
    lua.push_module(FUNCTIONS, std::ptr::null());
    lua.set_constants(constants::TERMINALS);
    lua.set_integer(-1, c"CRTSCTS", libc::CRTSCTS.into());
    Ok(Returns(1))
}

/// Control characters as C libraries have them; the kernel has fewer.
const NCCS: i64 = 32;

/// The attributes of a terminal, or what they are to be.
struct Attr(Cell<Attributes>);

impl UserData for Attr {
    const NAME: &'static CStr = c"struct eco_termios *";
    const METHODS: Functions = functions! {
        set_flag: method(set_flag),
        clr_flag: method(clear_flag),
        get_flag: method(get_flag),
        set_cc: method(set_cc),
        get_cc: method(get_cc),
        get_ispeed: method(get_speed),
        get_ospeed: method(get_speed),
        set_ispeed: method(set_ispeed),
        set_ospeed: method(set_ospeed),
        set_speed: method(set_speed),
        clone: method(clone),
    };
}

impl Attr {
    /// Pushes an object with these attributes. May raise.
    fn push(lua: Lua, attributes: Attributes) -> Outcome {
        let slot = lua.reserve::<Attr>(0, std::ptr::null());
        slot.fill(Attr(Cell::new(attributes)));
        Ok(Returns(1))
    }

    /// Changes the flags that argument 2 names, and gives what they are then.
    fn change(&self, lua: Lua, change: impl FnOnce(u32) -> u32) -> Result<u32, Error> {
        let mut attributes = self.0.get();
        let flags = match lua.string(2)?.first() {
            Some(b'i') => &mut attributes.c_iflag,
            Some(b'o') => &mut attributes.c_oflag,
            Some(b'c') => &mut attributes.c_cflag,
            Some(b'l') => &mut attributes.c_lflag,
            _ => return Err(Error::argument(2, "invalid type")),
        };
        *flags = change(*flags);
        let flags = *flags;
        self.0.set(attributes);
        Ok(flags)
    }
}

/// `tcgetattr(fd)` -> attributes.
fn tcgetattr(lua: Lua) -> Outcome {
    match terminal::attributes(lua.int(1)?) {
        Ok(attributes) => Attr::push(lua, attributes),
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `tcsetattr(fd, action, attributes)` -> true.
fn tcsetattr(lua: Lua) -> Outcome {
    let (fd, action) = (lua.int(1)?, lua.int(2)?);
    let attributes = lua.expect_userdata::<Attr>(3)?.0.get();
    lua.done(terminal::set_attributes(fd, action, &attributes))
}

/// `tcflush(fd, selector)` -> true.
fn tcflush(lua: Lua) -> Outcome {
    lua.done(terminal::flush(lua.int(1)?, lua.int(2)?))
}

/// `tcflow(fd, action)` -> true.
fn tcflow(lua: Lua) -> Outcome {
    lua.done(terminal::flow(lua.int(1)?, lua.int(2)?))
}

/// Argument 3 as one word; also with its highest bit as a sign.
fn mask(lua: Lua) -> Result<u32, Error> {
    lua.within(3, i32::MIN.into(), u32::MAX.into())
        .map(|mask| mask as u32)
}

/// `attr:set_flag(kind, mask)`
fn set_flag(lua: Lua, this: &Attr) -> Outcome {
    let mask = mask(lua)?;
    this.change(lua, |flags| flags | mask)?;
    Ok(Returns(0))
}

/// `attr:clr_flag(kind, mask)`
fn clear_flag(lua: Lua, this: &Attr) -> Outcome {
    let mask = mask(lua)?;
    this.change(lua, |flags| flags & !mask)?;
    Ok(Returns(0))
}

/// `attr:get_flag(kind)` -> flags.
fn get_flag(lua: Lua, this: &Attr) -> Outcome {
    let flags = this.change(lua, |flags| flags)?;
    lua.push_integer(flags.into());
    Ok(Returns(1))
}

/// Argument 2 as the index of a control character.
fn cc(lua: Lua) -> Result<usize, Error> {
    match lua.integer(2)? {
        index @ 0..NCCS => Ok(index as usize),
        _ => Err(Error::argument(2, "invalid cc name")),
    }
}

/// `attr:set_cc(index, value)`; those that the kernel does not have stay 0.
fn set_cc(lua: Lua, this: &Attr) -> Outcome {
    let (index, value) = (cc(lua)?, lua.integer(3)?);
    let mut attributes = this.0.get();
    if let Some(place) = attributes.c_cc.get_mut(index) {
        *place = value as u8;
        this.0.set(attributes);
    }
    Ok(Returns(0))
}

/// `attr:get_cc(index)` -> value.
fn get_cc(lua: Lua, this: &Attr) -> Outcome {
    let value = this.0.get().c_cc.get(cc(lua)?).copied();
    lua.push_integer(value.unwrap_or(0).into());
    Ok(Returns(1))
}

/// `attr:get_ispeed()`, `attr:get_ospeed()` -> code; C libraries know one speed.
fn get_speed(lua: Lua, this: &Attr) -> Outcome {
    lua.push_integer((this.0.get().c_cflag & libc::CBAUD).into());
    Ok(Returns(1))
}

/// `attr:set_ispeed(code)` -> true. 0 is the speed of the output.
fn set_ispeed(lua: Lua, this: &Attr) -> Outcome {
    if lua.integer(2)? == 0 {
        return lua.done(Ok(()));
    }
    set_ospeed(lua, this)
}

/// `attr:set_ospeed(code)` -> true.
fn set_ospeed(lua: Lua, this: &Attr) -> Outcome {
    set(lua, this, |speed| speed)
}

/// `attr:set_speed(code or bauds)` -> true.
fn set_speed(lua: Lua, this: &Attr) -> Outcome {
    set(lua, this, |speed| terminal::code(speed).unwrap_or(speed))
}

#[inline(never)]
fn set(lua: Lua, this: &Attr, code: fn(u32) -> u32) -> Outcome {
    let code = u32::try_from(lua.integer(2)?).map_or(u32::MAX, code);
    if code & !libc::CBAUD != 0 {
        return lua.fail_errno(Errno::EINVAL);
    }
    let mut attributes = this.0.get();
    // Without bits of its own, the input has the speed of the output.
    attributes.c_cflag = attributes.c_cflag & !(libc::CBAUD | libc::CIBAUD) | code;
    this.0.set(attributes);
    lua.done(Ok(()))
}

/// `attr:clone()` -> an object of its own.
fn clone(lua: Lua, this: &Attr) -> Outcome {
    Attr::push(lua, this.0.get())
}
