//! Lua values to bytes and back.
//!
//! What passes: nil, booleans, integers, floats, strings; tables with what is
//! in them, the same table once and as often as it is met, metatables left
//! out; Lua functions with their upvalues, which they share with each other as
//! before; light userdata; things that several states share; and what has a
//! `__codec` in its metatable, as that says. The table of globals becomes that
//! of the receiver.
//!
//! Bytecode is believed: it can crash the receiver, and hooks can call any
//! global of it. So bytes that may come from elsewhere than this process are
//! read with `is_trusted` off, which refuses functions, hooks, modules, globals
//! and light userdata, when they are written as well.

use std::ffi::c_int;

pub use super::format::Problem;
use super::{decode, encode, Message};
use crate::lua::{Error, Lua};

/// What passes, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Code passes, and what else a stranger must not send.
    pub is_trusted: bool,
    /// Modules among the upvalues of functions, and functions written in C that
    /// modules hold, pass by name: the receiver requires them. Otherwise a
    /// module passes as the table it is, and a C function not at all.
    pub by_name: bool,
    /// How deep tables may lie in each other.
    pub depth: usize,
    /// How many bytes a message may have.
    pub limit: usize,
}

impl Options {
    /// Everything passes that can, up to what memory and Lua's stack hold.
    pub const DEFAULT: Options = Options {
        is_trusted: true,
        by_name: false,
        depth: 100_000,
        limit: usize::MAX,
    };
}

/// Makes a message of `count` values from stack index `first` on, which stay.
/// Hooks are called, which cannot yield. Nothing is raised.
pub fn encode(lua: Lua, first: c_int, count: c_int, options: &Options) -> Result<Message, Error> {
    encode::encode(lua, first, count, options)
}

/// Pushes the values of a message, and gives their number. Hooks are called,
/// which cannot yield. Nothing is raised; after an error, nothing but its value
/// is pushed.
pub fn decode(lua: Lua, message: &Message, options: &Options) -> Result<c_int, Error> {
    decode::decode(lua, &message.bytes, &message.objects, options)
}

/// The same of bytes without objects.
pub fn decode_bytes(lua: Lua, bytes: &[u8], options: &Options) -> Result<c_int, Error> {
    decode::decode(lua, bytes, &[], options)
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        match problem {
            Problem::Raised => Error::raised(),
            other => other.text().into(),
        }
    }
}
