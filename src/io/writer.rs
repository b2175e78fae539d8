//! `eco.writer`: writing everything to an fd that never blocks the thread.
//!
//! The data is the caller's string, kept alive by its stack slot while the
//! coroutine is parked: nothing is copied.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_void, CStr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{open, OFlag};
use nix::sys::stat::Mode;

use super::reader::{failed, is_socket};
use super::{is_ready, stream_timeout};
use crate::core::runtime::Runtime;
use crate::core::{Cause, Core, Interest, Nanoseconds, Parked, Step, WriteFunction, WriterMethod};
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

enum Progress {
    Done(c_int),
    Blocked(bool),
}

/// The writer; its own operation.
#[repr(C)]
pub struct Writer {
    parked: Parked,
    core: Core,
    fd: Cell<c_int>,
    write: Option<WriteFunction>,
    context: *mut c_void,
    /// Sockets are written with MSG_NOSIGNAL, until send(2) says it is none.
    is_socket: Cell<bool>,
    closed: Cell<bool>,
    failure_text: Cell<*const c_char>,
    failure: Cell<Errno>,
    request: Cell<Request>,
    /// Result of the call when it succeeds.
    total: Cell<u64>,
    file: RefCell<Option<OwnedFd>>,
    timeout: Cell<Nanoseconds>,
}

crate::operation!(Writer);

impl Writer {
    /// Pushes a writer of `fd`. May raise.
    pub fn push<'a>(
        lua: Lua,
        core: Core,
        fd: c_int,
        write: Option<WriteFunction>,
        context: *mut c_void,
    ) -> &'a Writer {
        lua.reserve::<Writer>(0, core.pointer()).fill(Writer {
            parked: Parked::new::<Writer>(),
            core,
            fd: Cell::new(fd),
            write,
            context,
            is_socket: Cell::new(true),
            closed: Cell::new(false),
            failure_text: Cell::new(ptr::null()),
            failure: Cell::new(Errno::UnknownErrno),
            request: Cell::new(Request::Wait),
            total: Cell::new(0),
            file: RefCell::new(None),
            timeout: Cell::new(0),
        })
    }

    // ---- one attempt ---------------------------------------------------------------

    /// Writes once: a count or a negative error number.
    pub fn send(&self, core: Core, data: &[u8]) -> isize {
        if let Some(write) = self.write {
            let mut text = ptr::null();
            // SAFETY: by the contract of write functions.
            let result =
                unsafe { write(data.as_ptr().cast(), data.len(), self.context, &mut text) };
            return self.note(result as isize, text);
        }
        let fd = self.fd.get();
        loop {
            // SAFETY: both calls only read `data`.
            let result = unsafe {
                if self.is_socket.get() {
                    libc::send(fd, data.as_ptr().cast(), data.len(), libc::MSG_NOSIGNAL)
                } else {
                    libc::write(fd, data.as_ptr().cast(), data.len())
                }
            };
            if result >= 0 {
                return result;
            }
            match Errno::last() {
                Errno::EINTR => {}
                Errno::ENOTSOCK if self.is_socket.get() => self.is_socket.set(false),
                Errno::EAGAIN => {
                    core.drained(fd, Interest::WRITE);
                    return -(libc::EAGAIN as isize);
                }
                errno => return self.note(-(errno as isize), ptr::null()),
            }
        }
    }

    /// Sends once from a file: a count (0 at its end) or a negative error number.
    pub fn send_file(&self, core: Core, file: c_int, offset: &mut i64, length: usize) -> isize {
        if self.write.is_none() {
            let mut position: libc::off64_t = *offset;
            loop {
                // SAFETY: the kernel moves bytes between the two fds.
                let result = unsafe {
                    libc::sendfile64(self.fd.get(), file, &mut position, length.min(LARGEST_SEND))
                };
                if result >= 0 {
                    *offset = position;
                    return result;
                }
                match Errno::last() {
                    Errno::EINTR => {}
                    Errno::EAGAIN => {
                        core.drained(self.fd.get(), Interest::WRITE);
                        return -(libc::EAGAIN as isize);
                    }
                    errno => return self.note(-(errno as isize), ptr::null()),
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
            return if read == 0 {
                0
            } else {
                self.note(-(Errno::last_raw() as isize), ptr::null())
            };
        }
        let sent = self.send(core, &piece[..read as usize]);
        if sent > 0 {
            *offset += sent as i64;
        }
        sent
    }

    fn note(&self, result: isize, text: *const c_char) -> isize {
        if result < 0 && result != -(libc::EAGAIN as isize) {
            self.failure_text.set(text);
            self.failure.set(Errno::from_raw(-result as c_int));
        }
        result
    }

    /// Pushes the text of the last failure. May raise.
    pub fn push_error(&self, lua: Lua) {
        if self.failure_text.get().is_null() {
            lua.push_errno(self.failure.get());
        } else {
            // SAFETY: write functions give static or context-owned texts.
            unsafe { lua.push_c_str(self.failure_text.get()) };
        }
    }

    // ---- requests ------------------------------------------------------------------

    /// 0, or which busy text applies.
    pub fn busy(&self, core: Core) -> c_int {
        if core.is_parked(&self.parked) {
            1
        } else {
            c_int::from(core.is_busy(self.fd.get(), Interest::WRITE)) * 2
        }
    }

    /// Parses and starts the method's request; arguments begin at `first`.
    pub fn call(&self, lua: Lua, core: Core, method: WriterMethod, first: c_int) -> Outcome {
        core.check_idle(&self.parked, self.fd.get(), Interest::WRITE)?;
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
        if self.closed.get() {
            return lua.fail("closed");
        }
        if let Request::File { .. } = request {
            if let Err(errno) = self.open_file(lua, first) {
                return lua.fail_errno(errno);
            }
        }
        self.start(lua, core, request, stream_timeout(lua, timeout))
    }

    fn open_file(&self, lua: Lua, index: c_int) -> Result<(), Errno> {
        let bytes = lua.to_bytes(index);
        // SAFETY: Lua ends every string with a NUL.
        let path = unsafe { CStr::from_ptr(bytes.as_ptr().cast()) };
        if path.count_bytes() != bytes.len() {
            return Err(Errno::EINVAL);
        }
        let file = open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        *self.file.borrow_mut() = Some(file);
        Ok(())
    }

    fn start(&self, lua: Lua, core: Core, request: Request, timeout: Nanoseconds) -> Outcome {
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
                let parked = core.park(lua, &self.parked, self.fd.get(), Interest::WRITE, timeout);
                if !matches!(parked, Ok(Returns::YIELD)) {
                    self.abandon();
                }
                parked
            }
        }
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        let stopped = if cause.has(Cause::CANCEL) || self.fd.get() < 0 {
            Some("canceled")
        } else if cause.has(Cause::TIMEOUT) {
            Some("timeout")
        } else {
            None
        };
        if let Some(message) = stopped {
            self.abandon();
            return failed(lua, message);
        }
        if cause.has(Cause::WAKE) && matches!(self.request.get(), Request::Wait) {
            lua.push_bool(true);
            return Step::Done(1);
        }
        let moved = match self.advance(lua) {
            Progress::Done(count) => return Step::Done(count),
            Progress::Blocked(moved) => moved,
        };
        if cause.has(Cause::WAKE) {
            // It may not have waited for the fd yet (see `start`).
            if let Err(errno) =
                self.core
                    .change_interest(&self.parked, self.fd.get(), Interest::WRITE)
            {
                self.abandon();
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

    /// Closes the file of an unfinished sendfile.
    fn abandon(&self) {
        *self.file.borrow_mut() = None;
    }

    /// Moves the request on until it is done or would block. May raise.
    fn advance(&self, lua: Lua) -> Progress {
        let mut moved = false;
        loop {
            let sent = match self.request.get() {
                Request::Wait => {
                    if !is_ready(self.fd.get(), Interest::WRITE) {
                        return Progress::Blocked(false);
                    }
                    lua.push_bool(true);
                    return Progress::Done(1);
                }
                Request::Data(data) => {
                    // SAFETY: the string sits in a stack slot of the call, whose
                    // frame is intact whenever the request is advanced.
                    let data = unsafe { &*data };
                    if data.is_empty() {
                        return self.finish(lua);
                    }
                    let sent = self.send(self.core, data);
                    if sent > 0 {
                        self.request.set(Request::Data(&data[sent as usize..]));
                    }
                    sent
                }
                Request::File { mut offset, left } => {
                    if left == 0 {
                        return self.finish(lua);
                    }
                    let file = self.file.borrow().as_ref().map_or(-1, AsRawFd::as_raw_fd);
                    let length = usize::try_from(left).unwrap_or(usize::MAX);
                    let sent = self.send_file(self.core, file, &mut offset, length);
                    if sent == 0 {
                        // The file is shorter than asked.
                        self.abandon();
                        lua.push_nil();
                        lua.push_str(if is_socket(self.fd.get()) {
                            "closed"
                        } else {
                            "eof"
                        });
                        return Progress::Done(2);
                    }
                    if sent > 0 {
                        let left = left - sent as u64;
                        self.request.set(Request::File { offset, left });
                    }
                    sent
                }
            };
            if sent >= 0 {
                moved = true;
            } else if sent == -(libc::EAGAIN as isize) {
                return Progress::Blocked(moved);
            } else {
                self.abandon();
                lua.push_nil();
                self.push_error(lua);
                return Progress::Done(2);
            }
        }
    }

    fn finish(&self, lua: Lua) -> Progress {
        self.abandon();
        lua.push_integer(self.total.get() as i64);
        Progress::Done(1)
    }

    pub fn cancel(&self, core: Core) {
        core.wake(&self.parked, Cause::CANCEL);
    }

    /// Cancels and lets go of the fd.
    pub fn close(&self, core: Core) {
        self.cancel(core);
        // Operations of other modules wait on their own account.
        Runtime::of(core).cancel_waiter(self.fd.replace(-1), Interest::WRITE);
    }

    // ---- methods -------------------------------------------------------------------

    fn wait(lua: Lua, this: &Writer) -> Outcome {
        this.call(lua, this.core, WriterMethod::Wait, 2)
    }

    fn write_method(lua: Lua, this: &Writer) -> Outcome {
        this.call(lua, this.core, WriterMethod::Write, 2)
    }

    fn sendfile(lua: Lua, this: &Writer) -> Outcome {
        this.call(lua, this.core, WriterMethod::SendFile, 2)
    }

    fn cancel_method(_: Lua, this: &Writer) -> Outcome {
        this.cancel(this.core);
        Ok(Returns(0))
    }

    fn close_method(_: Lua, this: &Writer) -> Outcome {
        this.cancel(this.core);
        this.closed.set(true);
        Ok(Returns(0))
    }
}

impl UserData for Writer {
    const NAME: &'static CStr = c"struct eco_writer *";
    const METHODS: Functions = functions! {
        wait: method(Writer::wait),
        write: method(Writer::write_method),
        sendfile: method(Writer::sendfile),
        cancel: method(Writer::cancel_method),
        __close: method(Writer::close_method),
    };

    fn finalise(&self, _lua: Lua) {
        self.core.forget(&self.parked);
    }
}
