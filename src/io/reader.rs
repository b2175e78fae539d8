//! `eco.reader`: buffered reading from an fd that never blocks the thread.
//!
//! The buffer's memory is taken when bytes arrive and given back when it runs
//! empty, so an idle connection holds none. What a call has received but not
//! returned stays in the buffer when it times out or is cancelled.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_void, CStr};
use std::ptr;

use nix::errno::Errno;

use super::buffer::find;
use super::{is_ready, stream_timeout, Buffer};
use crate::core::runtime::Runtime;
use crate::core::{Cause, Core, Interest, Nanoseconds, Parked, ReadFunction, ReaderMethod, Step};
use crate::functions;
use crate::lua::{method, Error, Functions, Lua, Outcome, Returns, UserData};

/// Bytes read ahead for lines and needles.
const READ_AHEAD: usize = 4096;
/// Most bytes asked for in one system call.
const LARGEST_READ: usize = 65536;

/// What a read call is to deliver.
#[derive(Clone, Copy)]
pub enum Request {
    /// Readiness only.
    Wait,
    /// Up to that many bytes, as soon as any are there.
    Some(usize),
    /// A line, with or without its end.
    Line { keep_end: bool },
    /// All until the end.
    All,
    /// Exactly that many bytes.
    Full(usize),
    /// Bytes before the needle: a string in a stack slot of the call.
    Until(*const [u8]),
    /// Up to that many bytes into a buffer: a userdata in a slot of the call.
    Buffer(*const Buffer, usize),
}

/// How far a request got.
enum Progress {
    Done(c_int),
    /// Blocked; true when bytes arrived on the way.
    Blocked(bool),
}

/// The reader. `repr(C)` with the operation first: it is its own operation.
#[repr(C)]
pub struct Reader {
    parked: Parked,
    core: Core,
    fd: Cell<c_int>,
    read: Option<ReadFunction>,
    context: *mut c_void,
    buffer: RefCell<Vec<u8>>,
    /// Bytes at the front of the buffer already consumed.
    head: Cell<usize>,
    /// Bytes after `head` known to hold no line end.
    scanned: Cell<usize>,
    /// The end was reported and nothing came since.
    at_end: Cell<bool>,
    closed: Cell<bool>,
    /// A TCP socket: a short read means that it is drained. None: not known.
    is_tcp: Cell<Option<bool>>,
    /// Text or number of the last failure.
    failure_text: Cell<*const c_char>,
    failure: Cell<Errno>,
    request: Cell<Request>,
    timeout: Cell<Nanoseconds>,
}

crate::operation!(Reader);

impl Reader {
    /// Pushes a reader of `fd`. May raise.
    pub fn push<'a>(
        lua: Lua,
        core: Core,
        fd: c_int,
        read: Option<ReadFunction>,
        context: *mut c_void,
    ) -> &'a Reader {
        lua.reserve::<Reader>(0, core.pointer()).fill(Reader {
            parked: Parked::new::<Reader>(),
            core,
            fd: Cell::new(fd),
            read,
            context,
            buffer: RefCell::default(),
            head: Cell::new(0),
            scanned: Cell::new(0),
            at_end: Cell::new(false),
            closed: Cell::new(false),
            is_tcp: Cell::new(if read.is_some() { Some(false) } else { None }),
            failure_text: Cell::new(ptr::null()),
            failure: Cell::new(Errno::UnknownErrno),
            request: Cell::new(Request::Wait),
            timeout: Cell::new(0),
        })
    }

    // ---- the buffer --------------------------------------------------------------

    /// Bytes received and not consumed.
    fn front(&self) -> &[u8] {
        let buffer = self.buffer.borrow();
        let bytes = buffer.get(self.head.get()..).unwrap_or_default();
        // SAFETY: the buffer changes only in `fill`, `consume` and `release`;
        // nothing here calls them while the slice is in use. Pushing it to Lua
        // copies it before a finaliser can run.
        unsafe { &*ptr::from_ref(bytes) }
    }

    /// The same, for the core's table.
    pub fn buffered(&self, length: &mut usize) -> *const u8 {
        let front = self.front();
        *length = front.len();
        front.as_ptr()
    }

    /// Drops bytes from the front.
    pub fn consume(&self, count: usize) {
        self.scanned.set(0);
        let head = self.head.get() + count;
        let mut buffer = self.buffer.borrow_mut();
        if head >= buffer.len() {
            self.head.set(0);
            if buffer.capacity() > READ_AHEAD {
                *buffer = Vec::new();
            } else {
                buffer.clear();
            }
        } else {
            self.head.set(head);
        }
    }

    /// Gives an empty buffer's memory back, for the next reader of any.
    fn release(&self) {
        let mut buffer = self.buffer.borrow_mut();
        if buffer.is_empty() && buffer.capacity() > 0 {
            *Runtime::of(self.core).spare() = std::mem::take(&mut *buffer);
        }
    }

    /// Reads once, up to `want` bytes: a count (0 at the end) or a negative
    /// error number.
    fn fill(&self, want: usize) -> isize {
        let fd = self.fd.get();
        if self.read.is_none() && !self.core.may_be_ready(fd, Interest::READ) {
            return -(libc::EAGAIN as isize);
        }
        let want = want.min(LARGEST_READ);
        let mut buffer = self.buffer.borrow_mut();
        if self.head.get() > 0 {
            buffer.drain(..self.head.replace(0));
        }
        if buffer.capacity() == 0 {
            *buffer = std::mem::take(&mut *Runtime::of(self.core).spare());
        }
        buffer.reserve(want);
        let length = buffer.len();
        let result = self.read_once(
            buffer.spare_capacity_mut()[..want].as_mut_ptr().cast(),
            want,
        );
        if result > 0 {
            // SAFETY: that many bytes after `length` were just written.
            unsafe { buffer.set_len(length + result as usize) };
            self.at_end.set(false);
            if (result as usize) < want && self.is_tcp() {
                self.core.drained(fd, Interest::READ);
            }
        }
        result
    }

    fn read_once(&self, into: *mut u8, want: usize) -> isize {
        self.failure_text.set(ptr::null());
        if let Some(read) = self.read {
            let mut text = ptr::null();
            // SAFETY: by the contract of read functions; `into` has room.
            let result = unsafe { read(into.cast(), want, self.context, &mut text) };
            if result < 0 && result != -libc::EAGAIN {
                self.failure_text.set(text);
                self.failure.set(Errno::from_raw(-result));
            }
            return result as isize;
        }
        loop {
            let fd = self.fd.get();
            // SAFETY: `into` has room for `want` bytes.
            let result = unsafe {
                // Shorter than the way through the file system.
                if self.is_tcp.get() == Some(true) {
                    libc::recv(fd, into.cast(), want, 0)
                } else {
                    libc::read(fd, into.cast(), want)
                }
            };
            if result >= 0 {
                return result;
            }
            match Errno::last() {
                Errno::EINTR => {}
                Errno::EAGAIN => {
                    self.core.drained(self.fd.get(), Interest::READ);
                    return -(libc::EAGAIN as isize);
                }
                errno => {
                    self.failure.set(errno);
                    return -(errno as isize);
                }
            }
        }
    }

    fn is_tcp(&self) -> bool {
        self.is_tcp.get().unwrap_or_else(|| {
            let is_tcp = socket_option(self.fd.get(), libc::SO_PROTOCOL) == Some(libc::IPPROTO_TCP);
            self.is_tcp.set(Some(is_tcp));
            is_tcp
        })
    }

    /// `fill` for the core's table; 0 bytes wanted releases the buffer.
    pub fn fill_for(&self, _core: Core, want: usize) -> isize {
        if want == 0 {
            self.release();
            return 0;
        }
        self.fill(want)
    }

    pub fn fd(&self) -> c_int {
        self.fd.get()
    }

    /// Pushes the text of the last failure. May raise.
    pub fn push_error(&self, lua: Lua) {
        if self.failure_text.get().is_null() {
            lua.push_errno(self.failure.get());
        } else {
            // SAFETY: read functions give static or context-owned texts.
            unsafe { lua.push_c_str(self.failure_text.get()) };
        }
    }

    // ---- requests ------------------------------------------------------------------

    /// 0, or which busy text applies.
    pub fn busy(&self, core: Core) -> c_int {
        if core.is_parked(&self.parked) {
            1
        } else {
            c_int::from(core.is_busy(self.fd.get(), Interest::READ)) * 2
        }
    }

    /// Parses and starts the method's request; arguments begin at `first`.
    pub fn call(&self, lua: Lua, core: Core, method: ReaderMethod, first: c_int) -> Outcome {
        core.check_idle(&self.parked, self.fd.get(), Interest::READ)?;
        let (request, timeout) = match method {
            ReaderMethod::Wait => (Request::Wait, first),
            ReaderMethod::Read => (read_format(lua, first)?, first + 1),
            ReaderMethod::ReadFull => (full_size(lua, first)?, first + 1),
            ReaderMethod::ReadUntil => {
                let needle = lua.string(first)?;
                if needle.is_empty() || needle.len() > 256 {
                    return Err(Error::argument(first, "needle length must be 1~256 bytes"));
                }
                (Request::Until(needle), first + 1)
            }
            ReaderMethod::ReadToBuffer => (buffer_request(lua, first)?, first + 2),
        };
        if let Request::Buffer(_, 0) = request {
            return lua.fail("buffer is full");
        }
        self.start(lua, core, request, stream_timeout(lua, timeout))
    }

    fn start(&self, lua: Lua, core: Core, request: Request, timeout: Nanoseconds) -> Outcome {
        if self.closed.get() {
            return lua.fail("closed");
        }
        self.request.set(request);
        self.timeout.set(timeout);
        if !matches!(request, Request::Wait) && core.spend(lua) {
            let outcome = core.park(lua, &self.parked, -1, Interest::NONE, 0)?;
            core.wake(&self.parked, Cause::WAKE);
            return Ok(outcome);
        }
        match self.advance(lua) {
            Progress::Done(count) => Ok(Returns(count)),
            Progress::Blocked(_) => {
                self.release();
                core.park(lua, &self.parked, self.fd.get(), Interest::READ, timeout)
            }
        }
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        if cause.has(Cause::CANCEL) || self.fd.get() < 0 {
            return failed(lua, "canceled");
        }
        if cause.has(Cause::TIMEOUT) {
            return failed(lua, "timeout");
        }
        if cause.has(Cause::WAKE) && matches!(self.request.get(), Request::Wait) {
            lua.push_bool(true);
            return Step::Done(1);
        }
        let moved = match self.advance(lua) {
            Progress::Done(count) => return Step::Done(count),
            Progress::Blocked(moved) => moved,
        };
        self.release();
        if cause.has(Cause::WAKE) {
            // It may not have waited for the fd yet (see `start`).
            if let Err(errno) =
                self.core
                    .change_interest(&self.parked, self.fd.get(), Interest::READ)
            {
                lua.push_nil();
                lua.push_errno(errno);
                return Step::Done(2);
            }
        }
        if moved || cause.has(Cause::WAKE) {
            self.core.restart_timeout(&self.parked, self.timeout.get());
        }
        Step::Pending
    }

    fn abandon(&self) {}

    /// Moves the request on until it is done or would block. May raise.
    fn advance(&self, lua: Lua) -> Progress {
        let mut moved = false;
        loop {
            let want = match self.satisfy(lua) {
                Ok(count) => return Progress::Done(count),
                Err(want) => want,
            };
            if want == 0 {
                return Progress::Blocked(false);
            }
            match self.fill(want) {
                0 => return Progress::Done(self.end(lua)),
                count if count > 0 => moved = true,
                code if code == -(libc::EAGAIN as isize) => return Progress::Blocked(moved),
                _ => {
                    lua.push_nil();
                    self.push_error(lua);
                    return Progress::Done(2);
                }
            }
        }
    }

    /// Results from what is buffered, or how many bytes to ask for (0: wait
    /// without reading).
    fn satisfy(&self, lua: Lua) -> Result<c_int, usize> {
        let front = self.front();
        match self.request.get() {
            Request::Wait => {
                if !is_ready(self.fd.get(), Interest::READ) {
                    self.core.drained(self.fd.get(), Interest::READ);
                    return Err(0);
                }
                lua.push_bool(true);
                Ok(1)
            }
            Request::Some(size) => {
                if front.is_empty() {
                    return Err(size);
                }
                Ok(self.give(lua, size.min(front.len()), 0))
            }
            Request::Full(size) => {
                if front.len() < size {
                    return Err(size - front.len());
                }
                Ok(self.give(lua, size, 0))
            }
            Request::All => Err(front.len().max(READ_AHEAD)),
            Request::Line { keep_end } => {
                let scanned = self.scanned.get().min(front.len());
                let Some(at) = front[scanned..].iter().position(|&byte| byte == b'\n') else {
                    self.scanned.set(front.len());
                    return Err(READ_AHEAD);
                };
                let end = scanned + at;
                if keep_end {
                    return Ok(self.give(lua, end + 1, 0));
                }
                let has_cr = end > 0 && front[end - 1] == b'\r';
                Ok(self.give(lua, end - usize::from(has_cr), 1 + usize::from(has_cr)))
            }
            Request::Until(needle) => {
                // SAFETY: the string sits in a stack slot of the call, whose
                // frame is intact whenever the request is advanced.
                let needle = unsafe { &*needle };
                if let Some(at) = find(front, needle) {
                    self.give(lua, at, needle.len());
                    lua.push_bool(true);
                    return Ok(2);
                }
                if front.len() > needle.len() {
                    return Ok(self.give(lua, front.len() - (needle.len() - 1), 0));
                }
                Err(READ_AHEAD)
            }
            Request::Buffer(buffer, size) => {
                if front.is_empty() {
                    return Err(size);
                }
                // SAFETY: the userdata sits in a stack slot of the call.
                let count = unsafe { &*buffer }.append(&front[..size.min(front.len())]);
                self.consume(count);
                lua.push_integer(count as i64);
                Ok(1)
            }
        }
    }

    /// Pushes `count` bytes and drops them and `skip` more.
    fn give(&self, lua: Lua, count: usize, skip: usize) -> c_int {
        lua.push_bytes(&self.front()[..count]);
        self.consume(count + skip);
        1
    }

    /// Results at the end of the stream.
    fn end(&self, lua: Lua) -> c_int {
        let seen = self.at_end.replace(true);
        let rest = self.front().len();
        match self.request.get() {
            Request::All if rest > 0 || !seen => return self.give(lua, rest, 0),
            Request::Until(_) if rest > 0 => return self.give(lua, rest, 0),
            // An unterminated last line or a short block is dropped.
            _ => self.consume(rest),
        }
        lua.push_nil();
        lua.push_str(if is_socket(self.fd.get()) {
            "closed"
        } else {
            "eof"
        });
        2
    }

    pub fn cancel(&self, core: Core) {
        core.wake(&self.parked, Cause::CANCEL);
    }

    /// Cancels and lets go of the fd.
    pub fn close(&self, core: Core) {
        self.cancel(core);
        // Operations of other modules wait on their own account.
        Runtime::of(core).cancel_waiter(self.fd.replace(-1), Interest::READ);
    }

    // ---- methods -------------------------------------------------------------------

    fn wait(lua: Lua, this: &Reader) -> Outcome {
        this.call(lua, this.core, ReaderMethod::Wait, 2)
    }

    fn read(lua: Lua, this: &Reader) -> Outcome {
        this.call(lua, this.core, ReaderMethod::Read, 2)
    }

    fn readfull(lua: Lua, this: &Reader) -> Outcome {
        this.call(lua, this.core, ReaderMethod::ReadFull, 2)
    }

    fn readuntil(lua: Lua, this: &Reader) -> Outcome {
        this.call(lua, this.core, ReaderMethod::ReadUntil, 2)
    }

    fn read2b(lua: Lua, this: &Reader) -> Outcome {
        this.call(lua, this.core, ReaderMethod::ReadToBuffer, 2)
    }

    fn cancel_method(_: Lua, this: &Reader) -> Outcome {
        this.cancel(this.core);
        Ok(Returns(0))
    }

    fn close_method(_: Lua, this: &Reader) -> Outcome {
        this.cancel(this.core);
        this.closed.set(true);
        Ok(Returns(0))
    }
}

impl UserData for Reader {
    const NAME: &'static CStr = c"struct eco_reader *";
    const METHODS: Functions = functions! {
        wait: method(Reader::wait),
        read: method(Reader::read),
        readfull: method(Reader::readfull),
        readuntil: method(Reader::readuntil),
        read2b: method(Reader::read2b),
        cancel: method(Reader::cancel_method),
        __close: method(Reader::close_method),
    };

    fn finalise(&self, _lua: Lua) {
        self.core.forget(&self.parked);
    }
}

/// Finishes a poll with `nil, message`.
pub(super) fn failed(lua: Lua, message: &str) -> Step {
    lua.push_nil();
    lua.push_str(message);
    Step::Done(2)
}

/// The format argument of `read`.
fn read_format(lua: Lua, index: c_int) -> Result<Request, Error> {
    if lua.is_integer(index) {
        return match byte_count(lua, index)? {
            Some(size) => Ok(Request::Some(size)),
            None => Err(Error::argument(
                index,
                "expected size must be greater than 0",
            )),
        };
    }
    let format = lua.bytes(index).unwrap_or_default();
    match format.strip_prefix(b"*").unwrap_or(format) {
        b"l" => Ok(Request::Line { keep_end: false }),
        b"L" => Ok(Request::Line { keep_end: true }),
        b"a" => Ok(Request::All),
        _ => Err(Error::argument(index, "invalid format")),
    }
}

/// A positive number of bytes; more than this machine can address means all it can.
fn byte_count(lua: Lua, index: c_int) -> Result<Option<usize>, Error> {
    let size = lua.integer(index)?;
    Ok((size > 0).then(|| usize::try_from(size).unwrap_or(usize::MAX)))
}

fn full_size(lua: Lua, index: c_int) -> Result<Request, Error> {
    match byte_count(lua, index)? {
        Some(size) => Ok(Request::Full(size)),
        None => Err(Error::argument(index, "size must be greater than 0")),
    }
}

/// The buffer and size arguments of `read2b`.
fn buffer_request(lua: Lua, index: c_int) -> Result<Request, Error> {
    let buffer = lua.expect_userdata::<Buffer>(index)?;
    match lua.integer(index + 1)? {
        0 => Err(Error::argument(index + 1, "expected size cannot be 0")),
        size => {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            Ok(Request::Buffer(buffer, size.min(buffer.room())))
        }
    }
}

/// An integer socket option at SOL_SOCKET; None for what is no socket.
fn socket_option(fd: c_int, option: c_int) -> Option<c_int> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: value and length are locals of the size stated.
    let result = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            option,
            ptr::from_mut(&mut value).cast(),
            &mut length,
        )
    };
    (result == 0).then_some(value)
}

/// True when the fd is a socket now.
pub(super) fn is_socket(fd: c_int) -> bool {
    socket_option(fd, libc::SO_TYPE).is_some()
}
