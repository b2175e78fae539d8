//! How functions called by Lua end: with values, a yield, or an error that
//! the trampoline raises once nothing in Rust is alive any more.

use std::ffi::{c_int, CStr};
use std::ptr::NonNull;

use nix::errno::Errno;

use super::{ffi, Lua, State};

/// What a function leaves for Lua.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Returns(pub c_int);

impl Returns {
    /// The coroutine is parked: yield now; results come with the resumption.
    pub const YIELD: Returns = Returns(-1);
}

/// An error on its way to Lua. It owns nothing: raising it may jump over every
/// frame and leaves nothing behind. Two words long, so that results of
/// functions fit into registers.
#[derive(Clone, Copy)]
pub struct Error {
    /// The words, of the length below, for the program's lifetime.
    text: NonNull<u8>,
    /// Kind, length of the text, argument: see [`Error::new`].
    rest: u32,
}

const _: () = assert!(!std::mem::needs_drop::<Error>());
const _: () = assert!(size_of::<Error>() == 2 * size_of::<usize>());
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Outcome>() == 16);
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<Outcome>() == 8);

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The error value is on top of the stack.
    Raised,
    /// A message; the position of the caller is put in front.
    Message,
    /// Misuse of an argument, in words.
    Argument,
    /// An argument is not of the type that the text names.
    Type,
    /// No misuse: the call ends with `nil` and the text of an error number.
    Failure,
}

/// Bits for the length of the text, and for an argument's number: Lua's stack
/// holds a million values.
const LENGTH_BITS: u32 = 9;
const ARGUMENT_BITS: u32 = 20;
const LONGEST: usize = (1 << LENGTH_BITS) - 1;

impl Error {
    #[cold]
    #[inline(never)]
    fn new(kind: Kind, index: c_int, text: &'static [u8]) -> Error {
        debug_assert!(text.len() <= LONGEST, "the text would be cut");
        let length = text.len().min(LONGEST) as u32;
        let argument = index as u32 & ((1 << ARGUMENT_BITS) - 1);
        Error {
            text: NonNull::from(text).cast(),
            rest: (kind as u32) << (LENGTH_BITS + ARGUMENT_BITS)
                | length << ARGUMENT_BITS
                | argument,
        }
    }

    /// The call is to end with `nil` and the text of an error number.
    pub fn failure(errno: Errno) -> Error {
        Error::new(Kind::Failure, errno as c_int, b"")
    }

    /// The error value is on top of the stack.
    pub fn raised() -> Error {
        Error::new(Kind::Raised, 0, b"")
    }

    /// An error about argument `index`.
    pub fn argument(index: c_int, message: &'static str) -> Error {
        Error::new(Kind::Argument, index, message.as_bytes())
    }

    /// Argument `index` is not of the type named.
    pub fn wrong_type(index: c_int, expected: &'static CStr) -> Error {
        Error::new(Kind::Type, index, expected.to_bytes())
    }

    fn kind(self) -> Kind {
        match self.rest >> (LENGTH_BITS + ARGUMENT_BITS) {
            0 => Kind::Raised,
            1 => Kind::Message,
            2 => Kind::Argument,
            3 => Kind::Type,
            _ => Kind::Failure,
        }
    }

    /// The number of the argument it is about, or of the error.
    fn index(self) -> c_int {
        (self.rest & ((1 << ARGUMENT_BITS) - 1)) as c_int
    }

    fn text(self) -> &'static [u8] {
        let length = (self.rest >> ARGUMENT_BITS) as usize & LONGEST;
        // SAFETY: `new` took both from one slice that lives for ever.
        unsafe { std::slice::from_raw_parts(self.text.as_ptr(), length) }
    }

    /// Why, if it is no misuse.
    pub fn errno(self) -> Option<Errno> {
        (self.kind() == Kind::Failure).then(|| Errno::from_raw(self.index()))
    }

    /// The message, if it is a plain one.
    pub fn message(self) -> Option<&'static [u8]> {
        (self.kind() == Kind::Message).then(|| self.text())
    }
}

impl From<&'static str> for Error {
    fn from(message: &'static str) -> Error {
        Error::new(Kind::Message, 0, message.as_bytes())
    }
}

/// Result of every function Lua can call.
pub type Outcome = Result<Returns, Error>;

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
        Err(error) => unsafe { fail(state, error) },
    }
}

/// Ends a call that failed, raising unless it is no more than a failure.
///
/// # Safety
///
/// As for [`finish`].
#[cold]
unsafe fn fail(state: State, error: Error) -> c_int {
    if error.kind() == Kind::Failure {
        // SAFETY: a live thread.
        let lua = unsafe { Lua::new(state) };
        lua.push_nil();
        lua.push_error_text(error.index());
        return 2;
    }
    // SAFETY: by the caller's promise.
    unsafe { raise(state, error) }
}

/// Raises an error.
///
/// # Safety
///
/// As for [`finish`].
#[cold]
unsafe fn raise(state: State, error: Error) -> ! {
    let (text, index) = (error.text(), error.index());
    // SAFETY: nothing here has a destructor. What is pushed fits into the
    // stack every C function gets; names are static or kept by the stack.
    unsafe {
        if error.kind() == Kind::Message {
            ffi::luaL_where(state, 1);
        }
        match error.kind() {
            Kind::Raised => {}
            Kind::Failure => Lua::new(state).push_error_text(index),
            _ => {
                ffi::lua_pushlstring(state, text.as_ptr().cast(), text.len());
            }
        }
        match error.kind() {
            Kind::Raised | Kind::Failure => {}
            Kind::Message => ffi::lua_concat(state, 2),
            Kind::Argument => {
                ffi::luaL_argerror(state, index, ffi::lua_tostring(state, -1));
            }
            Kind::Type => {
                let expected = ffi::lua_tostring(state, -1);
                let named = ffi::luaL_getmetafield(state, index, c"__name".as_ptr());
                // The text took the place of an argument that is not there.
                let actual = if ffi::lua_gettop(state) <= index {
                    c"no value".as_ptr()
                } else if named == ffi::LUA_TSTRING {
                    ffi::lua_tostring(state, -1)
                } else {
                    ffi::luaL_typename(state, index)
                };
                let format = c"%s expected, got %s".as_ptr();
                ffi::lua_pushfstring(state, format, expected, actual);
                ffi::luaL_argerror(state, index, ffi::lua_tostring(state, -1));
            }
        }
        ffi::lua_error(state)
    }
}

impl Lua {
    /// The error of memory that Lua does not know of having run out. May raise.
    #[cold]
    #[inline(never)]
    pub fn out_of_memory(self) -> Error {
        self.push_str("not enough memory");
        Error::raised()
    }

    /// Why the running coroutine cannot yield.
    #[cold]
    pub fn cannot_yield(self) -> Error {
        let is_main = self.push_thread();
        self.pop(1);
        if is_main {
            "attempt to yield from outside a coroutine".into()
        } else {
            "attempt to yield across a C-call boundary".into()
        }
    }

    /// Ends a function that [`finish`] is not called for: gives the number of
    /// results, or raises as [`Lua::raise`] does.
    pub fn end_with(self, error: Error) -> c_int {
        // SAFETY: by the promise above.
        unsafe { fail(self.state(), error) }
    }

    /// Raises an error at once, from a function called as the tail of one that
    /// owns nothing with a destructor.
    pub fn raise(self, error: Error) -> ! {
        // SAFETY: by the promise above.
        unsafe { raise(self.state(), error) }
    }

    /// Raises that argument `index` is bad, for the reason on top of the stack.
    pub fn raise_argument(self, index: c_int) -> ! {
        // SAFETY: by the promise above; the text stays on the stack.
        unsafe {
            ffi::luaL_argerror(self.state(), index, ffi::lua_tostring(self.state(), -1));
            ffi::lua_error(self.state())
        }
    }

    /// Ends with `nil, message`. May raise for want of memory.
    pub fn fail(self, message: &str) -> Outcome {
        self.push_nil();
        self.push_str(message);
        Ok(Returns(2))
    }

    /// Ends with `nil, text of errno`. May raise for want of memory.
    pub fn fail_errno(self, errno: Errno) -> Outcome {
        self.push_nil();
        self.push_errno(errno);
        Ok(Returns(2))
    }

    /// Ends with true, or with `nil, text of errno`. May raise for want of memory.
    pub fn done(self, result: Result<(), Errno>) -> Outcome {
        match result {
            Ok(()) => {
                self.push_bool(true);
                Ok(Returns(1))
            }
            Err(errno) => self.fail_errno(errno),
        }
    }

    /// Pushes the C library's text for an error number. May raise.
    pub fn push_errno(self, errno: Errno) {
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
