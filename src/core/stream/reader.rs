//! `eco.reader`: buffered reading from an fd that never blocks the thread.
//!
//! The buffer's memory is taken when bytes arrive and given back when it runs
//! empty, so an idle connection holds none. What a call has received but not
//! returned stays in the buffer when it times out or is cancelled.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void, CStr};
use std::ptr;

use nix::sys::stat::fstat;

use super::buffer::find;
use super::{is_ready, socket_option, Buffer, Stream};
use crate::abi::attempt::{self, Attempt, Try, Waiting};
use crate::abi::{Core, Interest, ReadFunction, ReaderMethod};
use crate::core::runtime::Home;
use crate::functions;
use crate::lua::{method, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::system::fd::borrow;

/// Bytes read ahead for lines and needles.
const READ_AHEAD: usize = 4096;
/// What `fill` gives when the buffer cannot grow.
const NO_MEMORY: isize = -libc::ENOMEM as isize;
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

/// The reader; its header is the stream's.
#[repr(C)]
pub struct Reader {
    pub stream: Stream,
    read: Option<ReadFunction>,
    context: *mut c_void,
    buffer: RefCell<Vec<u8>>,
    /// Bytes at the front of the buffer already consumed.
    head: Cell<usize>,
    /// Bytes after `head` known to hold no line end.
    scanned: Cell<usize>,
    /// The end was reported and nothing came since.
    at_end: Cell<bool>,
    /// A TCP socket: a short read means that it is drained. None: not known.
    is_tcp: Cell<Option<bool>>,
    /// The last read gave all that one takes at once: there may be more.
    goes_on: Cell<bool>,
    request: Cell<Request>,
    /// Lenders of the buffer that have not given it back: it stays as it is.
    lent: Cell<u32>,
}

crate::attempt!(Reader, stream.waiting);

impl Reader {
    /// Pushes a reader of `fd`. May raise.
    pub fn push(
        lua: Lua,
        core: Core,
        fd: c_int,
        read: Option<ReadFunction>,
        context: *mut c_void,
    ) -> *const Reader {
        ptr::from_ref(lua.reserve::<Reader>(0, core.pointer()).fill(Reader {
            stream: Stream::new::<Reader>(core, Interest::READ, fd),
            read,
            context,
            buffer: RefCell::default(),
            head: Cell::new(0),
            scanned: Cell::new(0),
            at_end: Cell::new(false),
            is_tcp: Cell::new(if read.is_some() { Some(false) } else { None }),
            goes_on: Cell::new(false),
            request: Cell::new(Request::Wait),
            lent: Cell::new(0),
        }))
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

    /// The same, for the core's table: the buffer stays as it is until it is
    /// given back.
    pub fn lend(&self, length: &mut usize) -> *const u8 {
        self.lent.set(self.lent.get() + 1);
        let front = self.front();
        *length = front.len();
        front.as_ptr()
    }

    pub fn take_back(&self) {
        self.lent.set(self.lent.get() - 1);
    }

    fn is_lent(&self) -> bool {
        self.lent.get() > 0
    }

    /// Drops bytes from the front.
    pub fn consume(&self, count: usize) {
        if self.is_lent() {
            return;
        }
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
        if self.is_lent() {
            return;
        }
        let mut buffer = self.buffer.borrow_mut();
        if buffer.is_empty() && buffer.capacity() > 0 {
            *self.stream.waiting.host.spare() = std::mem::take(&mut *buffer);
        }
    }

    /// Reads once, up to `want` bytes: a count (0 at the end), a negative error
    /// number, or what it waits for.
    fn fill(&self, want: usize) -> isize {
        let stream = &self.stream;
        let (host, fd) = (stream.waiting.host, stream.fd());
        if self.is_lent() {
            return stream.note(-libc::EBUSY, ptr::null());
        }
        if self.read.is_none() && !host.may_be_ready(fd, Interest::READ) {
            return stream.blocked();
        }
        let more = want > LARGEST_READ;
        let want = want.min(LARGEST_READ);
        let mut buffer = self.buffer.borrow_mut();
        if self.head.get() > 0 {
            buffer.drain(..self.head.replace(0));
        }
        if buffer.capacity() == 0 {
            *buffer = std::mem::take(&mut *host.spare());
        }
        // Twice as much at a time, but not at the price of none.
        if buffer.try_reserve(want).is_err() && buffer.try_reserve_exact(want).is_err() {
            return stream.note(-libc::ENOMEM, ptr::null());
        }
        let length = buffer.len();
        let result = self.read_once(
            buffer.spare_capacity_mut()[..want].as_mut_ptr().cast(),
            want,
        );
        self.goes_on
            .set(more && result == want as isize && self.is_file());
        if result > 0 {
            // SAFETY: that many bytes after `length` were just written.
            unsafe { buffer.set_len(length + result as usize) };
            self.at_end.set(false);
            if (result as usize) < want && self.is_tcp() {
                host.drained(fd, Interest::READ);
            }
        }
        result
    }

    fn read_once(&self, into: *mut u8, want: usize) -> isize {
        if let Some(read) = self.read {
            let mut text = ptr::null();
            // SAFETY: by the contract of read functions; `into` has room.
            let result = unsafe { read(into.cast(), want, self.context, &mut text) };
            return self.stream.note(result, text);
        }
        let fd = self.stream.fd();
        loop {
            // SAFETY: `into` has room for `want` bytes.
            let result = unsafe {
                // Shorter than the way through the file system.
                if self.is_tcp.get() == Some(true) {
                    libc::recv(fd, into.cast(), want, 0)
                } else {
                    libc::read(fd, into.cast(), want)
                }
            };
            if let Some(result) = self.stream.result(result) {
                return result;
            }
        }
    }

    /// A file or a pipe, which may have more to give than one read takes.
    fn is_file(&self) -> bool {
        self.read.is_none()
            && borrow(self.stream.fd())
                .and_then(fstat)
                .is_ok_and(|stat| stat.st_mode & libc::S_IFMT != libc::S_IFSOCK)
    }

    fn is_tcp(&self) -> bool {
        self.is_tcp.get().unwrap_or_else(|| {
            let protocol = socket_option(self.stream.fd(), libc::SO_PROTOCOL);
            let is_tcp = protocol == Some(libc::IPPROTO_TCP);
            self.is_tcp.set(Some(is_tcp));
            is_tcp
        })
    }

    /// `fill` for the core's table; 0 bytes wanted releases the buffer.
    pub fn fill_for(&self, want: usize) -> isize {
        if want == 0 {
            self.release();
            return 0;
        }
        self.fill(want)
    }

    // ---- requests ------------------------------------------------------------------

    /// Parses and starts the method's request; arguments begin at `first`.
    pub fn call(&self, lua: Lua, method: ReaderMethod, first: c_int) -> Outcome {
        self.stream.check_idle()?;
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
            return self.stream.refuse(lua, "buffer is full");
        }
        if self.stream.is_closed() {
            return self.stream.refuse(lua, "closed");
        }
        self.request.set(request);
        attempt::start(self, lua, lua.stream_timeout(timeout))
    }

    /// Results from what is buffered, or how many bytes to ask for (0: wait
    /// without reading).
    fn satisfy(&self, lua: Lua) -> Result<c_int, usize> {
        let front = self.front();
        match self.request.get() {
            Request::Wait => {
                if self.read.is_some() {
                    // What the stream has taken from its fd tells poll nothing.
                    if front.is_empty() && !self.at_end.get() {
                        return Err(READ_AHEAD);
                    }
                } else {
                    let fd = self.stream.fd();
                    if !is_ready(fd, Interest::READ) {
                        self.stream.waiting.host.drained(fd, Interest::READ);
                        return Err(0);
                    }
                }
                lua.push_bool(true);
                Ok(1)
            }
            Request::Some(size) => {
                if front.is_empty() || (self.goes_on.get() && front.len() < size) {
                    return Err(size - front.len());
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
                let buffer = unsafe { &*buffer };
                let Some(count) = buffer.append(&front[..size.min(front.len())]) else {
                    lua.raise(lua.out_of_memory());
                };
                self.consume(count);
                lua.push_integer(count as i64);
                Ok(1)
            }
        }
    }

    /// Pushes `count` bytes and drops them and `skip` more.
    fn give(&self, lua: Lua, count: usize, skip: usize) -> c_int {
        let head = self.head.get();
        lua.push_part(&self.buffer, head..head + count);
        self.consume(count + skip);
        1
    }

    /// Results at the end of the stream.
    fn finish(&self, lua: Lua) -> Try {
        let seen = self.at_end.replace(true);
        let rest = self.front().len();
        match self.request.get() {
            Request::Wait => {
                // The end is there to be read.
                lua.push_bool(true);
                return Try::Done(1);
            }
            Request::All if rest > 0 || !seen => return Try::Done(self.give(lua, rest, 0)),
            Request::Until(_) if rest > 0 => return Try::Done(self.give(lua, rest, 0)),
            // An unterminated last line or a short block is dropped.
            _ => self.consume(rest),
        }
        self.stream.push_end(lua)
    }

    // ---- methods -------------------------------------------------------------------

    fn wait(lua: Lua, this: &Reader) -> Outcome {
        this.call(lua, ReaderMethod::Wait, 2)
    }

    fn read(lua: Lua, this: &Reader) -> Outcome {
        this.call(lua, ReaderMethod::Read, 2)
    }

    fn readfull(lua: Lua, this: &Reader) -> Outcome {
        this.call(lua, ReaderMethod::ReadFull, 2)
    }

    fn readuntil(lua: Lua, this: &Reader) -> Outcome {
        this.call(lua, ReaderMethod::ReadUntil, 2)
    }

    fn read2b(lua: Lua, this: &Reader) -> Outcome {
        this.call(lua, ReaderMethod::ReadToBuffer, 2)
    }

    fn cancel(_: Lua, this: &Reader) -> Outcome {
        this.stream.cancel();
        Ok(Returns(0))
    }

    fn close(_: Lua, this: &Reader) -> Outcome {
        this.stream.end()
    }
}

impl Attempt for Reader {
    type Host = Home;

    fn waiting(&self) -> &Waiting<Home> {
        &self.stream.waiting
    }

    fn fd(&self) -> c_int {
        self.stream.fd()
    }

    fn direction(&self) -> Interest {
        Interest::READ
    }

    fn attempt(&self, lua: Lua) -> Try {
        let goes_on = self.goes_on.get();
        match self.satisfy(lua) {
            Ok(count) => Try::Done(count),
            Err(0) => Try::Again(Interest::READ),
            Err(want) => match self.fill(want) {
                count if count > 0 => Try::Moved,
                // All that was there has been read before.
                _ if goes_on && matches!(self.request.get(), Request::Some(_)) => Try::Moved,
                0 => self.finish(lua),
                NO_MEMORY => lua.raise(lua.out_of_memory()),
                code => {
                    self.release();
                    self.stream.stopped(lua, code)
                }
            },
        }
    }

    fn ends_when_woken(&self) -> bool {
        matches!(self.request.get(), Request::Wait)
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
        cancel: method(Reader::cancel),
        __close: method(Reader::close),
    };

    fn finalise(&self, _lua: Lua) {
        self.stream.forget();
        // Who holds a handle of it finds it closed, and empty.
        self.stream.fd.set(-1);
        self.head.set(0);
        self.buffer.take();
    }
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
