//! How functions called by Lua end: with values, a yield, or an error that
//! the trampoline raises once nothing in Rust is alive any more.

use std::borrow::Cow;
use std::ffi::{c_int, CStr};

use super::{ffi, Lua, State};

/// What a function leaves for Lua.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returns(pub c_int);

impl Returns {
    /// The coroutine is parked: yield now; results come with the resumption.
    pub const YIELD: Returns = Returns(-1);
}

/// An error on its way to Lua. One word long, so that results of functions fit
/// into registers.
#[derive(Debug)]
pub struct Error(Box<Kind>);

/// What went wrong.
#[derive(Debug)]
enum Kind {
    /// The error value is on top of the stack.
    Raised,
    /// A message; the position of the caller is put in front.
    Message(Cow<'static, str>),
    /// Misuse of argument `index`, in words.
    Argument { index: c_int, message: &'static str },
    /// Misuse of the argument of that index, in the words on top of the stack.
    Words(c_int),
    /// Argument `index` is not of the type named.
    Type {
        index: c_int,
        expected: &'static CStr,
    },
}

impl Error {
    #[cold]
    #[inline(never)]
    fn new(kind: Kind) -> Error {
        Error(Box::new(kind))
    }

    /// The error value is on top of the stack.
    pub fn raised() -> Error {
        Error::new(Kind::Raised)
    }

    /// A message put together; the position of the caller is put in front.
    #[cold]
    #[inline(never)]
    pub fn owned(message: String) -> Error {
        Error::new(Kind::Message(Cow::Owned(message)))
    }

    /// An error about argument `index`.
    #[cold]
    #[inline(never)]
    pub fn argument(index: c_int, message: &'static str) -> Error {
        Error::new(Kind::Argument { index, message })
    }

    /// An error about argument `index`, in the words on top of the stack.
    pub fn words(index: c_int) -> Error {
        Error::new(Kind::Words(index))
    }

    /// Argument `index` is not of the type named.
    #[cold]
    #[inline(never)]
    pub fn wrong_type(index: c_int, expected: &'static CStr) -> Error {
        Error::new(Kind::Type { index, expected })
    }

    /// The message, if it is a plain one.
    pub fn message(&self) -> Option<&str> {
        match &*self.0 {
            Kind::Message(message) => Some(message),
            _ => None,
        }
    }

    /// The type expected, if another one was found.
    pub fn expected(&self) -> Option<&'static CStr> {
        match *self.0 {
            Kind::Type { expected, .. } => Some(expected),
            _ => None,
        }
    }
}

impl From<&'static str> for Error {
    #[cold]
    #[inline(never)]
    fn from(message: &'static str) -> Error {
        Error::new(Kind::Message(Cow::Borrowed(message)))
    }
}

/// Result of every function Lua can call.
pub type Outcome = Result<Returns, Error>;

/// Longest message text raised; longer ones are cut.
const MESSAGE_SIZE: usize = 256;

/// Ends a call from Lua: returns, yields or raises.
///
/// # Safety
///
/// `state` is the thread of the running C function, and the caller owns
/// nothing with a destructor: this may leave by `longjmp`.
pub(super) unsafe fn finish(state: State, outcome: Outcome) -> c_int {
    match outcome {
        Ok(Returns(count)) if count >= 0 => count,
        // SAFETY: the very last act of a C function called by Lua.
        Ok(_) => unsafe { ffi::lua_yield(state, 0) },
        // SAFETY: by the caller's promise.
        Err(error) => unsafe { raise(state, error) },
    }
}

/// Raises an error.
///
/// # Safety
///
/// As for [`finish`].
unsafe fn raise(state: State, error: Error) -> ! {
    // The text moves to the stack frame, so that an owned message is dropped
    // before Lua leaves this frame.
    let mut text = [0_u8; MESSAGE_SIZE];
    let mut copy = |message: &str| {
        let length = message.len().min(MESSAGE_SIZE - 1);
        text[..length].copy_from_slice(&message.as_bytes()[..length]);
    };
    // SAFETY: `text` ends with NUL and Lua copies it, names are static or kept
    // by the stack; from here on nothing droppable is alive.
    unsafe {
        match *error.0 {
            Kind::Raised => ffi::lua_error(state),
            Kind::Message(message) => {
                copy(&message);
                drop(message);
                ffi::luaL_error(state, c"%s".as_ptr(), text.as_ptr())
            }
            Kind::Words(index) => ffi::luaL_argerror(state, index, ffi::lua_tostring(state, -1)),
            Kind::Argument { index, message } => {
                copy(message);
                ffi::luaL_argerror(state, index, text.as_ptr().cast())
            }
            Kind::Type { index, expected } => {
                let named = ffi::luaL_getmetafield(state, index, c"__name".as_ptr());
                let actual = if named == ffi::LUA_TSTRING {
                    ffi::lua_tostring(state, -1)
                } else {
                    ffi::luaL_typename(state, index)
                };
                let format = c"%s expected, got %s".as_ptr();
                ffi::lua_pushfstring(state, format, expected.as_ptr(), actual);
                ffi::luaL_argerror(state, index, ffi::lua_tostring(state, -1))
            }
        };
    }
    unreachable!("raising an error does not return")
}

impl Lua {
    /// Raises an error at once, from a function called as the tail of one that
    /// owns nothing with a destructor.
    pub fn raise(self, error: Error) -> ! {
        // SAFETY: by the promise above.
        unsafe { raise(self.state(), error) }
    }

    /// Ends with `nil, message`. May raise for want of memory.
    pub fn fail(self, message: &str) -> Outcome {
        self.push_nil();
        self.push_str(message);
        Ok(Returns(2))
    }

    /// Ends with `nil, text of errno`. May raise for want of memory.
    pub fn fail_errno(self, errno: nix::errno::Errno) -> Outcome {
        self.push_nil();
        self.push_errno(errno);
        Ok(Returns(2))
    }

    /// Pushes the C library's text for an error number. May raise.
    pub fn push_errno(self, errno: nix::errno::Errno) {
        self.push_error_text(errno as c_int);
    }

    /// The same for any number. May raise.
    pub fn push_error_text(self, number: c_int) {
        let mut text = [0; 128];
        // SAFETY: the buffer is as long as stated and stays NUL-terminated,
        // whatever the C library writes.
        unsafe {
            libc::strerror_r(number, text.as_mut_ptr(), text.len() - 1);
            self.push_c_str(text.as_ptr());
        }
    }
}
