//! The C ABI between `eco.so` and every other module: a versioned table of
//! functions in the registry, written down once, in [`table!`].
//! [`Core`](super::Core) is its safe face.
//!
//! Modules are separate shared objects. They share no Rust type with
//! `eco.so` but the `#[repr(C)]` ones named here; change any of them, the
//! order or the meaning of a function, and [`VERSION`] goes up. A module that
//! finds another version refuses to load.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, c_void, CStr};
use std::mem::MaybeUninit;

use super::{Alarm, Callback, Cause, Clock, Interest, Nanoseconds, Parked, Token, Watch};
use crate::lua::{Lua, Returns};

/// Version of the table; goes up with every change a module could notice.
pub const VERSION: u32 = 4;

/// What stands in its place once the state has begun to close.
pub const CLOSED: u32 = 0;
/// What functions raise then.
pub const CLOSING: &str = "the Lua state is closing";

/// Registry field that holds the core.
pub const REGISTRY_KEY: &CStr = c"eco.core";

/// Registry field of a program that somebody types into: a function that tells whether
/// a loop that was stopped goes on. There a panic hook may have an error survived.
pub const PROMPT: &CStr = c"eco.prompt";

/// Registry field that holds the first error nobody caught in a state that is
/// contained: an array of the value, its traceback if there was memory for it,
/// and true.
pub const FAILURE: &CStr = c"eco.failure";

/// Results of attempts to move bytes besides counts and negative error numbers:
/// the attempt would block until the fd is readable, or writable.
pub const WANTS_READ: c_int = -0x1_0001;
pub const WANTS_WRITE: c_int = -0x1_0002;

/// Reads up to `length` bytes into `buffer` on behalf of `context`.
/// Returns a count, 0 at the end, [`WANTS_READ`] or [`WANTS_WRITE`] when it
/// would block (`-EAGAIN` means the function's own direction), or another
/// negative number with the reason in `*error` (a static or context-owned
/// C string).
pub type ReadFunction = unsafe extern "C" fn(
    buffer: *mut c_void,
    length: usize,
    context: *mut c_void,
    error: *mut *const c_char,
) -> c_int;

/// Writes up to `length` bytes from `buffer`; results like [`ReadFunction`].
/// After it would block, the next call brings the same bytes at the same place.
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

/// Codes of functions that park besides 0 and negative error numbers.
pub const OUTSIDE_COROUTINE: c_int = 1;
pub const READ_BUSY: c_int = 2;
pub const WRITE_BUSY: c_int = 3;
pub const OBJECT_BUSY: c_int = 4;
/// The error value is on top of the stack.
pub const RAISED: c_int = 5;

/// An `eco_reader` or `eco_writer`, seen from another module.
pub type Handle = *const c_void;

/// The functions of the table, in its order. Each takes the table itself first.
/// `$use` makes of them what it needs: the table, the calls through it, what
/// fills it.
#[macro_export]
#[doc(hidden)]
macro_rules! table {
    ($use:ident) => {
        $use! {
            /// Parks the running coroutine on an operation, which the pointer covers
            /// whole; the caller yields next. 0, a code, or a negative error number.
            park(lua: Lua, operation: *const Parked, fd: c_int, interest: Interest, timeout: Nanoseconds) -> c_int;
            /// Runs `run(context)` on the pool and parks like `park` until it is done; then,
            /// or when it cannot be run, `release(context)`.
            offload(lua: Lua, operation: *const Parked, run: WorkFunction, release: WorkFunction, context: *mut c_void) -> c_int;
            /// Makes a token that wakes the wait of a parked operation from any thread. 0, or a
            /// negative error number.
            token(operation: &Parked, token: &mut MaybeUninit<Token>) -> c_int;
            /// Starts the timeout of a parked operation anew, 0 for none.
            restart_timeout(operation: &Parked, timeout: Nanoseconds);
            /// Makes a parked operation wait for something else. 0, a code, or a negative
            /// error number.
            change_interest(operation: &Parked, fd: c_int, interest: Interest) -> c_int;
            /// Queues a parked operation for a poll.
            wake(operation: &Parked, cause: Cause);
            /// Withdraws an operation whose owner goes away; nobody is resumed.
            forget(operation: &Parked);
            /// Whether a coroutine still waits on an operation.
            is_parked(operation: &Parked) -> bool;
            /// Who waits already, on the operation or for the fd: a code, or 0.
            busy(operation: &Parked, fd: c_int, interest: Interest) -> c_int;
            /// Ends a call that pushed `count` results: their number, or a yield with them
            /// when the coroutine has had its share. `waits` is false for calls that never wait.
            settle(lua: Lua, count: c_int, waits: bool) -> Returns;
            /// False when the reactor knows that a try would block.
            may_be_ready(fd: c_int, interest: Interest) -> bool;
            /// Whether the fd can be waited for: plain files cannot.
            can_wait(fd: c_int) -> bool;
            /// Notes that the fd has nothing more to give in this direction.
            drained(fd: c_int, interest: Interest);
            /// Forgets what was known about an fd number: it was opened or closed.
            fd_reset(fd: c_int);
            /// Starts a coroutine of the function below `arguments` values.
            spawn(lua: Lua, arguments: c_int);
            /// Runs the interpreter's own loop; it begins with the function below
            /// `arguments` values, if not negative. 0, or a negative error number.
            main_loop(lua: Lua, arguments: c_int) -> c_int;
            /// Sets or moves an alarm. 0, or a negative error number.
            set_alarm(alarm: &Alarm, callback: Callback, clock: Clock, at: Nanoseconds) -> c_int;
            /// Clears an alarm.
            clear_alarm(alarm: &Alarm);
            /// Calls back once, when an fd is readable; this does not keep the loop going.
            /// 0, or a negative error number.
            watch(watch: &Watch, callback: Callback, fd: c_int) -> c_int;
            /// Ends a watch, before its fd is closed.
            unwatch(watch: &Watch);
            /// Adds to the reasons to stay in the loop.
            hold(change: c_int);
            /// The timeout argument of stream operations.
            timeout(lua: Lua, index: c_int) -> Nanoseconds;
            /// Pushes a reader of an fd, or of a function.
            new_reader(lua: Lua, fd: c_int, read: Option<ReadFunction>, context: *mut c_void) -> Handle;
            /// The reader at an index, null for anything else.
            reader_at(lua: Lua, index: c_int) -> Handle;
            /// Runs a method of a reader as the tail of the calling function.
            reader_call(lua: Lua, reader: Handle, method: ReaderMethod, first: c_int) -> Returns;
            /// Lends the bytes that were received and not consumed: until they are given
            /// back, the reader takes none in and drops none.
            reader_lend(reader: Handle, length: &mut usize) -> *const u8;
            /// Gives them back.
            reader_return(reader: Handle);
            /// Drops bytes from the front of them.
            reader_consume(reader: Handle, count: usize);
            /// Reads once into the buffer: a count, a negative error number, or what it
            /// waits for. 0 bytes wanted gives an empty buffer's memory back.
            reader_fill(reader: Handle, want: usize) -> isize;
            /// Pushes a writer of an fd, or of a function.
            new_writer(lua: Lua, fd: c_int, write: Option<WriteFunction>, context: *mut c_void) -> Handle;
            /// The writer at an index, null for anything else.
            writer_at(lua: Lua, index: c_int) -> Handle;
            /// Runs a method of a writer as the tail of the calling function.
            writer_call(lua: Lua, writer: Handle, method: WriterMethod, first: c_int) -> Returns;
            /// Writes once; results as of `reader_fill`. What would block is tried again
            /// with the same bytes at the same place.
            writer_send(writer: Handle, data: *const u8, length: usize) -> isize;
            /// Sends once from a file; results likewise, 0 at its end.
            writer_send_file(writer: Handle, file: c_int, offset: &mut i64, length: usize) -> isize;
            /// Wakes whoever waits for the stream's direction with `canceled`.
            stream_cancel(stream: Handle);
            /// The same, and lets go of the fd.
            stream_close(stream: Handle);
            /// Who waits already: a code, or 0.
            stream_busy(stream: Handle) -> c_int;
            /// Pushes the text of the last failure.
            stream_error(lua: Lua, stream: Handle);
            /// The fd, -1 once closed.
            stream_fd(stream: Handle) -> c_int;
            /// From now on nothing of the state ends the process: what nobody catches ends
            /// the loop, and is in the registry as `eco.failure`.
            contain(lua: Lua);
            /// Makes a token that stops the loop. 0, or a negative error number.
            stopper(token: &mut MaybeUninit<Token>) -> c_int;
            /// No loop of the state goes on, and the coroutine that runs gets an error. May be
            /// called by any thread while the state lives; one that sleeps is woken by a token.
            cancel();
            /// The process that the state's waits belong to: another one in a forked child.
            process() -> u32;
        }
    };
}
#[cfg(feature = "core")]
pub use table;

macro_rules! declare {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) $(-> $ret:ty)?;)*) => {
        /// The table.
        #[repr(C)]
        pub struct Abi {
            pub version: u32,
            /// Bytes in this table.
            pub size: u32,
            $($(#[$doc])* pub $name: unsafe extern "C-unwind" fn(*const Abi $(, $type)*) $(-> $ret)?,)*
        }

        /// Calls through the table of a live state.
        #[derive(Clone, Copy)]
        pub struct Table(pub(super) *const Abi);

        impl Table {
            $(
                $(#[$doc])*
                #[inline(always)]
                pub(super) fn $name(self $(, $arg: $type)*) $(-> $ret)? {
                    // SAFETY: a table is only made from a live state's core, and
                    // the objects passed are borrowed live.
                    unsafe { ((*self.0).$name)(self.0 $(, $arg)*) }
                }
            )*
        }

        /// Names and signatures, to tell when the table changes.
        #[cfg(test)]
        pub const SIGNATURES: &[(&str, &str)] = &[
            $((stringify!($name), stringify!(($($arg: $type),*) $(-> $ret)?)),)*
        ];
    };
}

table!(declare);

#[cfg(test)]
mod tests {
    use super::*;

    /// A change of any name, type or place is a new version: change both numbers.
    #[test]
    fn the_version_goes_up_with_the_table() {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for (name, signature) in SIGNATURES {
            for byte in name
                .bytes()
                .chain(signature.bytes())
                .filter(|byte| !byte.is_ascii_whitespace())
            {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
        assert_eq!((VERSION, hash), (4, 0xc94f_7a6c_c6bb_af0c), "{hash:#x}");
    }

    #[test]
    fn the_table_has_no_gaps() {
        let pointers = SIGNATURES.len() * size_of::<usize>();
        assert_eq!(size_of::<Abi>(), 2 * size_of::<u32>() + pointers);
    }

    #[test]
    fn every_function_is_documented() {
        let document = include_str!("../../docs/abi.md");
        for (name, _) in SIGNATURES {
            assert!(
                document.contains(&format!("`{name}`")),
                "{name} is not in docs/abi.md"
            );
        }
    }
}
