//! The C ABI between `eco.so` and every other module: a versioned table of
//! functions in the registry. [`Core`](super::Core) is its safe face.
//!
//! Modules are separate shared objects. They share no Rust type with
//! `eco.so` but the `#[repr(C)]` ones named here; change any of them, the
//! order or the meaning of a function, and [`VERSION`] goes up. A module that
//! finds another version refuses to load.

use std::ffi::{c_char, c_int, c_void, CStr};

use super::{Alarm, Cause, Clock, Interest, Nanoseconds, Parked};
use crate::lua::State;

/// Version of the table; goes up with every change a module could notice.
pub const VERSION: u32 = 2;

/// What stands in its place once the state has begun to close.
pub const CLOSED: u32 = 0;
/// What functions raise then.
pub const CLOSING: &str = "the Lua state is closing";

/// Registry field that holds the core.
pub const REGISTRY_KEY: &CStr = c"eco.core";

/// Reads up to `length` bytes into `buffer` on behalf of `context`.
/// Returns a count, 0 at the end, `-EAGAIN` when it would block, or another
/// negative number with the reason in `*error` (a static or context-owned
/// C string).
pub type ReadFunction = unsafe extern "C" fn(
    buffer: *mut c_void,
    length: usize,
    context: *mut c_void,
    error: *mut *const c_char,
) -> c_int;

/// Writes up to `length` bytes from `buffer`; results like [`ReadFunction`].
pub type WriteFunction = unsafe extern "C" fn(
    buffer: *const c_void,
    length: usize,
    context: *mut c_void,
    error: *mut *const c_char,
) -> c_int;

/// Blocking work for the pool, or what frees its context: runs on any thread,
/// touches no Lua state.
pub type WorkFunction = unsafe extern "C" fn(context: *mut c_void);

/// Methods of a reader, for modules whose objects contain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ReaderMethod {
    /// `wait([timeout])`
    Wait,
    /// `read(format [, timeout])`
    Read,
    /// `readfull(n [, timeout])`
    ReadFull,
    /// `readuntil(needle [, timeout])`
    ReadUntil,
    /// `read2b(buffer, n [, timeout])`
    ReadToBuffer,
}

/// Methods of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum WriterMethod {
    /// `wait([timeout])`
    Wait,
    /// `write(data [, timeout])`
    Write,
    /// `sendfile(path, offset, length [, timeout])`
    SendFile,
}

/// Result codes of `park` and `stream_check` besides 0 and negative error numbers.
pub const OUTSIDE_COROUTINE: c_int = 1;
pub const READ_BUSY: c_int = 2;
pub const WRITE_BUSY: c_int = 3;
pub const OBJECT_BUSY: c_int = 4;
/// The error value is on top of the stack.
pub const RAISED: c_int = 5;

pub type This = *const Abi;
/// An `eco_reader` or `eco_writer`, seen from another module.
pub type Handle = *const c_void;

/// The table. Every function takes the table itself first.
#[repr(C)]
pub struct Abi {
    pub version: u32,
    /// Bytes in this table.
    pub size: u32,
    pub park: unsafe extern "C-unwind" fn(
        This,
        State,
        *const Parked,
        c_int,
        Interest,
        Nanoseconds,
    ) -> c_int,
    pub restart_timeout: unsafe extern "C-unwind" fn(This, *const Parked, Nanoseconds),
    pub change_interest: unsafe extern "C-unwind" fn(This, *const Parked, c_int, Interest) -> c_int,
    pub wake: unsafe extern "C-unwind" fn(This, *const Parked, Cause),
    pub forget: unsafe extern "C-unwind" fn(This, *const Parked),
    pub is_parked: unsafe extern "C-unwind" fn(This, *const Parked) -> bool,
    pub is_busy: unsafe extern "C-unwind" fn(This, c_int, Interest) -> bool,
    pub may_be_ready: unsafe extern "C-unwind" fn(This, c_int, Interest) -> bool,
    pub drained: unsafe extern "C-unwind" fn(This, c_int, Interest),
    pub fd_reset: unsafe extern "C-unwind" fn(This, c_int),
    pub spend: unsafe extern "C-unwind" fn(This, State) -> bool,
    pub spawn: unsafe extern "C-unwind" fn(This, State, c_int),
    pub main_loop: unsafe extern "C-unwind" fn(This, State) -> c_int,
    pub set_alarm: unsafe extern "C-unwind" fn(This, *const Alarm, Clock, Nanoseconds) -> c_int,
    pub clear_alarm: unsafe extern "C-unwind" fn(This, *const Alarm),
    pub hold: unsafe extern "C-unwind" fn(This, c_int),
    pub offload: unsafe extern "C-unwind" fn(
        This,
        State,
        *const Parked,
        WorkFunction,
        WorkFunction,
        *mut c_void,
    ) -> c_int,
    pub new_reader: unsafe extern "C-unwind" fn(
        This,
        State,
        c_int,
        Option<ReadFunction>,
        *mut c_void,
    ) -> Handle,
    pub reader_at: unsafe extern "C-unwind" fn(This, State, c_int) -> Handle,
    pub reader_call: unsafe extern "C-unwind" fn(This, State, Handle, ReaderMethod, c_int) -> c_int,
    pub reader_buffered: unsafe extern "C-unwind" fn(This, Handle, *mut usize) -> *const u8,
    pub reader_consume: unsafe extern "C-unwind" fn(This, Handle, usize),
    pub reader_fill: unsafe extern "C-unwind" fn(This, Handle, usize) -> isize,
    pub new_writer: unsafe extern "C-unwind" fn(
        This,
        State,
        c_int,
        Option<WriteFunction>,
        *mut c_void,
    ) -> Handle,
    pub writer_at: unsafe extern "C-unwind" fn(This, State, c_int) -> Handle,
    pub writer_call: unsafe extern "C-unwind" fn(This, State, Handle, WriterMethod, c_int) -> c_int,
    pub writer_send: unsafe extern "C-unwind" fn(This, Handle, *const u8, usize) -> isize,
    pub writer_send_file:
        unsafe extern "C-unwind" fn(This, Handle, c_int, *mut i64, usize) -> isize,
    pub stream_cancel: unsafe extern "C-unwind" fn(This, Handle),
    pub stream_close: unsafe extern "C-unwind" fn(This, Handle),
    pub stream_check: unsafe extern "C-unwind" fn(This, Handle) -> c_int,
    pub stream_error: unsafe extern "C-unwind" fn(This, State, Handle),
    pub stream_fd: unsafe extern "C-unwind" fn(This, Handle) -> c_int,
    pub timeout: unsafe extern "C-unwind" fn(This, State, c_int) -> Nanoseconds,
}
