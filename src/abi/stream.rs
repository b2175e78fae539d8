//! Readers and writers of the core, seen from another module.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ops::Deref;

use super::core::{idle, through};
use super::table::Handle;
use super::{Core, ReadFunction, ReaderMethod, WriteFunction, WriterMethod};
use crate::lua::{Error, Lua, Outcome, Returns};

impl Core {
    /// Pushes a new reader of `fd`, which is non-blocking already. May raise.
    pub fn new_reader(self, lua: Lua, fd: c_int) -> Reader {
        let context = std::ptr::null_mut();
        let handle = through!(self.new_reader(lua.state(), fd, None, context));
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
        let handle = through!(self.new_reader(lua.state(), fd, Some(read), context));
        Reader(Stream(self, handle))
    }

    /// The reader at `index`, if it is one.
    pub fn reader_at(self, lua: Lua, index: c_int) -> Option<Reader> {
        let handle = through!(self.reader_at(lua.state(), index));
        (!handle.is_null()).then_some(Reader(Stream(self, handle)))
    }

    /// Pushes a new writer of `fd`, which is non-blocking already. May raise.
    pub fn new_writer(self, lua: Lua, fd: c_int) -> Writer {
        let context = std::ptr::null_mut();
        let handle = through!(self.new_writer(lua.state(), fd, None, context));
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
        let handle = through!(self.new_writer(lua.state(), fd, Some(write), context));
        Writer(Stream(self, handle))
    }

    /// The writer at `index`, if it is one.
    pub fn writer_at(self, lua: Lua, index: c_int) -> Option<Writer> {
        let handle = through!(self.writer_at(lua.state(), index));
        (!handle.is_null()).then_some(Writer(Stream(self, handle)))
    }
}

/// What one attempt to move bytes gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// That many bytes; 0 is the end of the stream (readers only).
    Moved(usize),
    /// Try again when the fd is ready.
    WouldBlock,
    /// Failed; `push_error` gives the text.
    Failed,
}

fn attempt(result: isize) -> Attempt {
    match result {
        count if count >= 0 => Attempt::Moved(count as usize),
        code if code == -(libc::EAGAIN as isize) => Attempt::WouldBlock,
        _ => Attempt::Failed,
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
        through!(core.stream_cancel(handle));
    }

    /// Cancels and lets go of the fd: later calls fail with EBADF.
    pub fn close(self) {
        let Stream(core, handle) = self;
        through!(core.stream_close(handle));
    }

    /// Refuses when a coroutine waits already.
    pub fn check_idle(self) -> Result<(), Error> {
        let Stream(core, handle) = self;
        idle(through!(core.stream_check(handle)))
    }

    /// Pushes the text of the last failure. May raise.
    pub fn push_error(self, lua: Lua) {
        let Stream(core, handle) = self;
        through!(core.stream_error(lua.state(), handle));
    }

    /// The fd it reads or writes, -1 once closed.
    pub fn fd(self) -> c_int {
        let Stream(core, handle) = self;
        through!(core.stream_fd(handle))
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
        Ok(Returns(through!(core.reader_call(
            lua.state(),
            handle,
            method,
            first
        ))))
    }

    /// Bytes received and not consumed; valid until the next call on this reader.
    pub fn buffered<'a>(self) -> &'a [u8] {
        let Stream(core, handle) = self.0;
        let mut length = 0;
        let data = through!(core.reader_buffered(handle, &mut length));
        // SAFETY: the reader owns that many bytes until it is next called,
        // which callers do not do while they hold the slice.
        unsafe { std::slice::from_raw_parts(data, length) }
    }

    /// Drops `count` bytes from the front of the buffer.
    pub fn consume(self, count: usize) {
        let Stream(core, handle) = self.0;
        through!(core.reader_consume(handle, count));
    }

    /// Reads once, up to `want` more bytes, into the buffer. `want` 0 gives
    /// an empty buffer's memory back instead.
    pub fn fill(self, want: usize) -> Attempt {
        let Stream(core, handle) = self.0;
        attempt(through!(core.reader_fill(handle, want)))
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
        Ok(Returns(through!(core.writer_call(
            lua.state(),
            handle,
            method,
            first
        ))))
    }

    /// Writes once.
    pub fn send(self, data: &[u8]) -> Attempt {
        let Stream(core, handle) = self.0;
        attempt(through!(core.writer_send(
            handle,
            data.as_ptr(),
            data.len()
        )))
    }

    /// Sends once from a file, at most `length` bytes at `*offset`, which
    /// moves on. `Moved(0)` is the end of the file.
    pub fn send_file(self, file: c_int, offset: &mut i64, length: usize) -> Attempt {
        let Stream(core, handle) = self.0;
        attempt(through!(core.writer_send_file(handle, file, offset, length)))
    }
}
