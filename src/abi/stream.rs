//! Readers and writers of the core, seen from another module.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ops::Deref;

use nix::errno::Errno;

use super::codes::idle;
use super::table::{Handle, WANTS_READ, WANTS_WRITE};
use super::{Core, Interest, ReadFunction, ReaderMethod, WriteFunction, WriterMethod};
use crate::lua::{Error, Lua, Outcome};

impl Core {
    /// Pushes a new reader of `fd`, which is non-blocking already. May raise.
    pub fn new_reader(self, lua: Lua, fd: c_int) -> Reader {
        let handle = self.0.new_reader(lua, fd, None, std::ptr::null_mut());
        Reader(Stream(self, handle))
    }

    /// Pushes a new reader that moves its bytes through `read`. May raise.
    ///
    /// # Safety
    ///
    /// `read` may be called with `context` for as long as the reader lives.
    pub unsafe fn new_stream_reader(
        self,
        lua: Lua,
        fd: c_int,
        read: ReadFunction,
        context: *mut c_void,
    ) -> Reader {
        Reader(Stream(
            self,
            self.0.new_reader(lua, fd, Some(read), context),
        ))
    }

    /// The reader at `index`, if it is one.
    pub fn reader_at(self, lua: Lua, index: c_int) -> Option<Reader> {
        let handle = self.0.reader_at(lua, index);
        (!handle.is_null()).then_some(Reader(Stream(self, handle)))
    }

    /// Pushes a new writer of `fd`, which is non-blocking already. May raise.
    pub fn new_writer(self, lua: Lua, fd: c_int) -> Writer {
        let handle = self.0.new_writer(lua, fd, None, std::ptr::null_mut());
        Writer(Stream(self, handle))
    }

    /// Pushes a new writer that moves its bytes through `write`. May raise.
    ///
    /// # Safety
    ///
    /// `write` may be called with `context` for as long as the writer lives.
    pub unsafe fn new_stream_writer(
        self,
        lua: Lua,
        fd: c_int,
        write: WriteFunction,
        context: *mut c_void,
    ) -> Writer {
        Writer(Stream(
            self,
            self.0.new_writer(lua, fd, Some(write), context),
        ))
    }

    /// The writer at `index`, if it is one.
    pub fn writer_at(self, lua: Lua, index: c_int) -> Option<Writer> {
        let handle = self.0.writer_at(lua, index);
        (!handle.is_null()).then_some(Writer(Stream(self, handle)))
    }
}

/// What one attempt to move bytes gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// That many bytes; 0 is the end of the stream (readers only).
    Moved(usize),
    /// Try again, with the same bytes at the same place, when the fd is ready
    /// in this direction.
    Blocked(Interest),
    /// Failed; `push_error` gives the text.
    Failed,
}

fn transfer(result: isize) -> Transfer {
    match result as c_int {
        _ if result >= 0 => Transfer::Moved(result as usize),
        WANTS_READ => Transfer::Blocked(Interest::READ),
        WANTS_WRITE => Transfer::Blocked(Interest::WRITE),
        _ => Transfer::Failed,
    }
}

/// What readers and writers have in common. Their owner keeps the userdata
/// reachable while it uses this.
#[derive(Clone, Copy)]
pub struct Stream(Core, Handle);

impl Stream {
    /// Wakes the waiting coroutine with `canceled`.
    pub fn cancel(self) {
        let Stream(core, handle) = self;
        core.0.stream_cancel(handle);
    }

    /// Cancels and lets go of the fd: later calls fail with EBADF.
    pub fn close(self) {
        let Stream(core, handle) = self;
        core.0.stream_close(handle);
    }

    /// Refuses when a coroutine waits already.
    pub fn check_idle(self) -> Result<(), Error> {
        let Stream(core, handle) = self;
        idle(core.0.stream_busy(handle))
    }

    /// Pushes the text of the last failure. May raise.
    pub fn push_error(self, lua: Lua) {
        let Stream(core, handle) = self;
        core.0.stream_error(lua, handle);
    }

    /// The fd it reads or writes, -1 once closed.
    pub fn fd(self) -> c_int {
        let Stream(core, handle) = self;
        core.0.stream_fd(handle)
    }
}

fn try_transfer(result: isize) -> Result<Transfer, Errno> {
    match transfer(result) {
        Transfer::Failed => Err(Errno::from_raw(-result as i32)),
        moved => Ok(moved),
    }
}

impl Deref for Reader {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.0
    }
}

impl Deref for Writer {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        &self.0
    }
}

/// An `eco_reader`.
#[derive(Clone, Copy)]
pub struct Reader(Stream);

impl Reader {
    /// Runs a method whose arguments start at stack index `first`, as the tail
    /// of the calling function. May raise.
    pub fn call(self, lua: Lua, method: ReaderMethod, first: c_int) -> Outcome {
        let Stream(core, handle) = self.0;
        Ok(core.0.reader_call(lua, handle, method, first))
    }

    /// Shows the bytes that were received and not consumed. Meanwhile the reader
    /// takes none in and drops none.
    pub fn peek<R>(self, look: impl FnOnce(&[u8]) -> R) -> R {
        let Stream(core, handle) = self.0;
        let mut length = 0;
        let data = core.0.reader_lend(handle, &mut length);
        let returned = Return(self);
        // SAFETY: the reader owns that many bytes, and leaves them where they
        // are until they are given back.
        let result = look(unsafe { std::slice::from_raw_parts(data, length) });
        drop(returned);
        result
    }

    /// How many there are.
    pub fn buffered(self) -> usize {
        self.peek(<[u8]>::len)
    }

    /// Drops `count` bytes from the front of the buffer.
    pub fn consume(self, count: usize) {
        let Stream(core, handle) = self.0;
        core.0.reader_consume(handle, count);
    }

    /// The same as [`Reader::fill`], with the error number of what failed.
    pub fn try_fill(self, want: usize) -> Result<Transfer, Errno> {
        let Stream(core, handle) = self.0;
        try_transfer(core.0.reader_fill(handle, want))
    }

    /// Reads once, up to `want` more bytes, into the buffer. `want` 0 gives
    /// an empty buffer's memory back instead.
    pub fn fill(self, want: usize) -> Transfer {
        let Stream(core, handle) = self.0;
        transfer(core.0.reader_fill(handle, want))
    }
}

/// Gives the lent bytes back, also when the looker panics.
struct Return(Reader);

impl Drop for Return {
    fn drop(&mut self) {
        let Stream(core, handle) = self.0 .0;
        core.0.reader_return(handle);
    }
}

/// An `eco_writer`.
#[derive(Clone, Copy)]
pub struct Writer(Stream);

impl Writer {
    /// Runs a method whose arguments start at stack index `first`, as the tail
    /// of the calling function. May raise.
    pub fn call(self, lua: Lua, method: WriterMethod, first: c_int) -> Outcome {
        let Stream(core, handle) = self.0;
        Ok(core.0.writer_call(lua, handle, method, first))
    }

    /// Writes once.
    pub fn send(self, data: &[u8]) -> Transfer {
        let Stream(core, handle) = self.0;
        transfer(core.0.writer_send(handle, data.as_ptr(), data.len()))
    }

    /// The same, with the error number of what failed.
    pub fn try_send(self, data: &[u8]) -> Result<Transfer, Errno> {
        let Stream(core, handle) = self.0;
        try_transfer(core.0.writer_send(handle, data.as_ptr(), data.len()))
    }

    /// Sends once from a file, at most `length` bytes at `*offset`, which
    /// moves on. `Moved(0)` is the end of the file.
    pub fn send_file(self, file: c_int, offset: &mut i64, length: usize) -> Transfer {
        let Stream(core, handle) = self.0;
        transfer(core.0.writer_send_file(handle, file, offset, length))
    }
}
