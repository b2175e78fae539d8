//! `eco.writer`: writing everything to an fd that never blocks the thread.
//!
//! The data is the caller's string, kept alive by its stack slot while the
//! coroutine is parked: nothing is copied.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void, CStr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{open, OFlag};
use nix::sys::stat::Mode;

use super::{is_ready, Stream};
use crate::abi::attempt::{self, Attempt, Try, Waiting};
use crate::abi::{Core, Interest, WriteFunction, WriterMethod};
use crate::core::runtime::Home;
use crate::functions;
use crate::lua::{method, Error, Functions, Lua, Outcome, Returns, UserData};

/// Bytes of a file passed to a write function at once.
const FILE_PIECE: usize = 4096;
/// Most bytes of a file given to one sendfile(2).
const LARGEST_SEND: usize = 1 << 20;

/// What a write call is to deliver.
#[derive(Clone, Copy)]
enum Request {
    /// Room for more only.
    Wait,
    /// The rest of a string in a stack slot of the call.
    Data(*const [u8]),
    /// Bytes from `offset` of the open file.
    File { offset: i64, left: u64 },
}

/// The writer; its header is the stream's.
#[repr(C)]
pub struct Writer {
    pub stream: Stream,
    write: Option<WriteFunction>,
    context: *mut c_void,
    /// Sockets are written with MSG_NOSIGNAL, until send(2) says it is none.
    is_socket: Cell<bool>,
    request: Cell<Request>,
    /// Result of the call when it succeeds.
    total: Cell<u64>,
    file: RefCell<Option<OwnedFd>>,
}

crate::attempt!(Writer, stream.waiting);

impl Writer {
    /// Pushes a writer of `fd`. May raise.
    pub fn push(
        lua: Lua,
        core: Core,
        fd: c_int,
        write: Option<WriteFunction>,
        context: *mut c_void,
    ) -> *const Writer {
        ptr::from_ref(lua.reserve::<Writer>(0, core.pointer()).fill(Writer {
            stream: Stream::new::<Writer>(core, Interest::WRITE, fd),
            write,
            context,
            is_socket: Cell::new(true),
            request: Cell::new(Request::Wait),
            total: Cell::new(0),
            file: RefCell::new(None),
        }))
    }

    // ---- one attempt ---------------------------------------------------------------

    /// Writes once: a count, a negative error number, or what it waits for.
    pub fn send(&self, data: &[u8]) -> isize {
        if let Some(write) = self.write {
            let mut text = ptr::null();
            // SAFETY: by the contract of write functions.
            let result =
                unsafe { write(data.as_ptr().cast(), data.len(), self.context, &mut text) };
            return self.stream.note(result, text);
        }
        let fd = self.stream.fd();
        loop {
            // SAFETY: both calls only read `data`.
            let result = unsafe {
                if self.is_socket.get() {
                    libc::send(fd, data.as_ptr().cast(), data.len(), libc::MSG_NOSIGNAL)
                } else {
                    libc::write(fd, data.as_ptr().cast(), data.len())
                }
            };
            if result < 0 && self.is_socket.get() && Errno::last() == Errno::ENOTSOCK {
                self.is_socket.set(false);
            } else if let Some(result) = self.stream.result(result) {
                return result;
            }
        }
    }

    /// Sends once from a file: a count (0 at its end) or a negative error number.
    pub fn send_file(&self, file: c_int, offset: &mut i64, length: usize) -> isize {
        if self.write.is_none() {
            let fd = self.stream.fd();
            let length = length.min(LARGEST_SEND);
            let mut position: libc::off64_t = *offset;
            loop {
                // SAFETY: the kernel moves bytes between the two fds.
                let result = unsafe { libc::sendfile64(fd, file, &mut position, length) };
                if let Some(result) = self.stream.result(result) {
                    *offset = position;
                    return result;
                }
            }
        }
        let mut piece = [0_u8; FILE_PIECE];
        // SAFETY: reads into a local of that size.
        let read = unsafe {
            libc::pread64(
                file,
                piece.as_mut_ptr().cast(),
                length.min(FILE_PIECE),
                *offset,
            )
        };
        if read <= 0 {
            let error = if read == 0 { 0 } else { -Errno::last_raw() };
            return self.stream.note(error, ptr::null());
        }
        let sent = self.send(&piece[..read as usize]);
        if sent > 0 {
            *offset += sent as i64;
        }
        sent
    }

    // ---- requests ------------------------------------------------------------------

    /// Parses and starts the method's request; arguments begin at `first`.
    pub fn call(&self, lua: Lua, method: WriterMethod, first: c_int) -> Outcome {
        self.stream.check_idle()?;
        let (request, timeout) = match method {
            WriterMethod::Wait => (Request::Wait, first),
            WriterMethod::Write => {
                let data = lua.string(first)?;
                self.total.set(data.len() as u64);
                (Request::Data(data), first + 1)
            }
            WriterMethod::SendFile => {
                lua.string(first)?;
                let offset = lua.integer(first + 1)?;
                let length = lua.integer(first + 2)?;
                if offset < 0 {
                    let message = "offset must be greater than or equal to 0";
                    return Err(Error::argument(first + 1, message));
                }
                if length <= 0 {
                    return Err(Error::argument(first + 2, "len must be great than 0"));
                }
                self.total.set(length as u64);
                let left = length as u64;
                (Request::File { offset, left }, first + 3)
            }
        };
        if self.stream.is_closed() {
            return self.stream.refuse(lua, "closed");
        }
        if let Request::File { .. } = request {
            let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
            match open(lua.c_string(first)?, flags, Mode::empty()) {
                Ok(file) => *self.file.borrow_mut() = Some(file),
                Err(errno) => {
                    lua.push_nil();
                    lua.push_errno(errno);
                    return Ok(self.stream.waiting.host.settle(lua, 2, true));
                }
            }
        }
        self.request.set(request);
        attempt::start(self, lua, lua.stream_timeout(timeout))
    }

    fn finish(&self, lua: Lua) -> Try {
        self.drop_request();
        lua.push_integer(self.total.get() as i64);
        Try::Done(1)
    }

    /// What the result of one attempt means for the request. May raise.
    fn outcome(&self, lua: Lua, sent: isize) -> Try {
        if sent >= 0 {
            return Try::Moved;
        }
        let stopped = self.stream.stopped(lua, sent);
        if let Try::Done(_) = stopped {
            self.drop_request();
        }
        stopped
    }

    // ---- methods -------------------------------------------------------------------

    fn wait(lua: Lua, this: &Writer) -> Outcome {
        this.call(lua, WriterMethod::Wait, 2)
    }

    fn write(lua: Lua, this: &Writer) -> Outcome {
        this.call(lua, WriterMethod::Write, 2)
    }

    fn sendfile(lua: Lua, this: &Writer) -> Outcome {
        this.call(lua, WriterMethod::SendFile, 2)
    }

    fn cancel(_: Lua, this: &Writer) -> Outcome {
        this.stream.cancel();
        Ok(Returns(0))
    }

    fn close(_: Lua, this: &Writer) -> Outcome {
        this.stream.end()
    }
}

impl Attempt for Writer {
    type Host = Home;

    fn waiting(&self) -> &Waiting<Home> {
        &self.stream.waiting
    }

    fn fd(&self) -> c_int {
        self.stream.fd()
    }

    fn direction(&self) -> Interest {
        Interest::WRITE
    }

    fn attempt(&self, lua: Lua) -> Try {
        match self.request.get() {
            Request::Wait => {
                if !is_ready(self.stream.fd(), Interest::WRITE) {
                    return Try::Again(Interest::WRITE);
                }
                lua.push_bool(true);
                Try::Done(1)
            }
            Request::Data(data) => {
                // SAFETY: the string sits in a stack slot of the call, whose
                // frame is intact whenever the request is advanced.
                let data = unsafe { &*data };
                if data.is_empty() {
                    return self.finish(lua);
                }
                let sent = self.send(data);
                if sent > 0 {
                    self.request.set(Request::Data(&data[sent as usize..]));
                }
                self.outcome(lua, sent)
            }
            Request::File { mut offset, left } => {
                if left == 0 {
                    return self.finish(lua);
                }
                let file = self.file.borrow().as_ref().map_or(-1, AsRawFd::as_raw_fd);
                let length = usize::try_from(left).unwrap_or(usize::MAX);
                let sent = self.send_file(file, &mut offset, length);
                if sent == 0 {
                    // The file is shorter than asked.
                    self.drop_request();
                    return self.stream.push_end(lua);
                }
                if sent > 0 {
                    let left = left - sent as u64;
                    self.request.set(Request::File { offset, left });
                }
                self.outcome(lua, sent)
            }
        }
    }

    fn ends_when_woken(&self) -> bool {
        matches!(self.request.get(), Request::Wait)
    }

    /// Closes the file of an unfinished sendfile.
    fn drop_request(&self) {
        *self.file.borrow_mut() = None;
    }
}

impl UserData for Writer {
    const NAME: &'static CStr = c"struct eco_writer *";
    const METHODS: Functions = functions! {
        wait: method(Writer::wait),
        write: method(Writer::write),
        sendfile: method(Writer::sendfile),
        cancel: method(Writer::cancel),
        __close: method(Writer::close),
    };

    fn finalise(&self, _lua: Lua) {
        self.stream.forget();
        // As in a reader.
        self.stream.fd.set(-1);
        self.file.take();
    }
}
