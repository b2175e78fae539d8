//! `eco.internal.deflate`: packed messages, for `eco.websocket`.

use std::cell::RefCell;
use std::ffi::CStr;

use super::input::Input;
use crate::abi::Core;
use crate::deflate::{End, Packer, Unpacker};
use crate::functions;
use crate::lua::{function, method, Functions, Lua, Outcome, Returns, UserData};
use crate::lua_source;

const NATIVE: Functions = functions! {
    packer: function(packer),
    unpacker: function(unpacker),
};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.internal.deflate")?;
    lua.push_chunk(c"=eco.internal.deflate", lua_source!("deflate.lua"));
    lua.push_module(NATIVE, core.pointer());
    lua.call(1, 1);
    Ok(Returns(1))
}

/// One end that sends.
struct Sender {
    packer: RefCell<Packer>,
    out: RefCell<Vec<u8>>,
}

impl UserData for Sender {
    const NAME: &'static CStr = c"struct deflate_packer *";
    const METHODS: Functions = functions! {
        pack: method(Sender::pack),
    };
}

/// `packer(level)`: 1 to 9.
fn packer(lua: Lua) -> Outcome {
    let level = lua.within(1, 1, 9)? as u8;
    let slot = lua.reserve::<Sender>(0, Core::of(lua).pointer());
    slot.fill(Sender {
        packer: RefCell::new(Packer::new(level)),
        out: RefCell::default(),
    });
    Ok(Returns(1))
}

impl Sender {
    /// `pack(data, end)`: a piece of a message; 0: it goes on, 1: it ends, 2: it ends
    /// and is forgotten.
    fn pack(lua: Lua, this: &Sender) -> Outcome {
        let data = lua.string(2)?;
        let end = match lua.within(3, 0, 2)? {
            0 => End::Open,
            1 => End::Keep,
            _ => End::Forget,
        };
        let (packed, length) = {
            let mut out = this.out.borrow_mut();
            let packed = this.packer.borrow_mut().pack(data, end, &mut out);
            (packed, out.len())
        };
        if packed.is_err() {
            *this.out.borrow_mut() = Vec::new();
            return Err(lua.out_of_memory());
        }
        lua.push_part(&this.out, 0..length);
        *this.out.borrow_mut() = Vec::new();
        Core::of_any(lua).settle(lua, Returns(1))
    }
}

/// One end that receives.
struct Receiver {
    unpacker: RefCell<Unpacker>,
    input: Input,
    out: RefCell<Vec<u8>>,
}

impl UserData for Receiver {
    const NAME: &'static CStr = c"struct deflate_unpacker *";
    const METHODS: Functions = functions! {
        write: method(Receiver::write),
        read: method(Receiver::read),
        forget: method(Receiver::forget),
    };
}

/// `unpacker()`.
fn unpacker(lua: Lua) -> Outcome {
    let slot = lua.reserve::<Receiver>(0, Core::of(lua).pointer());
    slot.fill(Receiver {
        unpacker: RefCell::default(),
        input: Input::default(),
        out: RefCell::default(),
    });
    Ok(Returns(1))
}

impl Receiver {
    /// `write(data)`: takes packed bytes, which `read` works on.
    fn write(lua: Lua, this: &Receiver) -> Outcome {
        this.input.add(lua, lua.string(2)?)?;
        Ok(Returns(0))
    }

    /// `read()`: the next bytes, 32 KiB at most; none when more input is needed. Nil
    /// when it is no deflate.
    fn read(lua: Lua, this: &Receiver) -> Outcome {
        let step = {
            let (rest, mut out) = (this.input.rest(), this.out.borrow_mut());
            let mut unpacker = this.unpacker.borrow_mut();
            unpacker.step(&rest).map(|(used, made)| {
                let room = out.try_reserve_exact(made.len()).is_ok();
                if room {
                    out.extend_from_slice(made);
                }
                this.input.take(used);
                room.then_some(made.len())
            })
        };
        match step {
            Err(_) => lua.push_nil(),
            Ok(None) => return Err(lua.out_of_memory()),
            Ok(Some(length)) => lua.push_part(&this.out, 0..length),
        }
        *this.out.borrow_mut() = Vec::new();
        Core::of_any(lua).settle(lua, Returns(1))
    }

    /// `forget()`: all messages, also one under way.
    fn forget(_: Lua, this: &Receiver) -> Outcome {
        this.input.clear();
        this.unpacker.borrow_mut().forget();
        Ok(Returns(0))
    }
}
