//! The C ABI between `eco.so` and every other module: a versioned table of
//! functions in the registry, and [`Core`], the safe face of it.
//!
//! Modules are separate shared objects. They share no Rust type with
//! `eco.so` but the `#[repr(C)]` ones named here; change any of them, the
//! order or the meaning of a function, and [`VERSION`] goes up. A module that
//! finds another version refuses to load.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void, CStr};
use std::ops::Deref;

use nix::errno::Errno;

use super::operation::{Cause, Interest, Parked, NO_TASK};
use super::{Clock, Nanoseconds};
use crate::lua::{ffi, Error, Lua, Outcome, Returns, State};

/// Version of the table; goes up with every change a module could notice.
pub const VERSION: u32 = 2;

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

/// Blocking work for the pool: runs on another thread, touches no Lua state.
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

/// A timer that calls `fire` from the loop. Lives in userdata; whoever owns it
/// keeps the userdata reachable while it is set, and clears it before it goes.
#[repr(C)]
pub struct Alarm {
    /// Called from the loop's thread; may raise.
    pub fire: unsafe extern "C-unwind" fn(*const Alarm, State),
    /// Slot in the scheduler, `u32::MAX` when not set.
    pub slot: Cell<u32>,
}

impl Alarm {
    /// An alarm that is not set.
    pub const fn new(fire: unsafe extern "C-unwind" fn(*const Alarm, State)) -> Alarm {
        Alarm {
            fire,
            slot: Cell::new(u32::MAX),
        }
    }

    /// The alarm in the first field of a type made ready by [`crate::alarm`].
    pub const fn of<T: Fires>() -> Alarm {
        Alarm::new(fire::<T>)
    }

    /// True from `set_alarm` until it fires or is cleared.
    pub fn is_set(&self) -> bool {
        self.slot.get() != u32::MAX
    }
}

/// Something an alarm wakes up.
///
/// # Safety
///
/// The type is `#[repr(C)]` and its first field is its [`Alarm`]. Use
/// [`crate::alarm`] to implement it.
pub unsafe trait Fires: 'static {
    /// The alarm went off; it is not set any more. May raise.
    fn fire(&self, lua: Lua);
}

unsafe extern "C-unwind" fn fire<T: Fires>(alarm: *const Alarm, state: State) {
    // SAFETY: the alarm is the first field of a live T (trait contract); the
    // scheduler passes its own live thread.
    let (this, lua) = unsafe { (&*alarm.cast::<T>(), Lua::new(state)) };
    this.fire(lua);
}

/// Implements [`Fires`] for a `#[repr(C)]` type whose first field is
/// `alarm: Alarm`, by its inherent `fire` method.
#[macro_export]
macro_rules! alarm {
    ($type:ty) => {
        const _: () = assert!(
            std::mem::offset_of!($type, alarm) == 0,
            "the alarm comes first"
        );
        #[allow(unsafe_code)]
        // SAFETY: the alarm is the first field (checked above); types with
        // alarms live in userdata, which does not move.
        unsafe impl $crate::core::Fires for $type {
            fn fire(&self, lua: $crate::lua::Lua) {
                <$type>::fire(self, lua);
            }
        }
    };
}

/// Result codes of `park` and `stream_check` besides 0 and negative error numbers.
pub(super) const OUTSIDE_COROUTINE: c_int = 1;
pub(super) const READ_BUSY: c_int = 2;
pub(super) const WRITE_BUSY: c_int = 3;
pub(super) const OBJECT_BUSY: c_int = 4;

type This = *const Abi;
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
    pub offload:
        unsafe extern "C-unwind" fn(This, State, *const Parked, WorkFunction, *mut c_void) -> c_int,
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

/// The scheduler of the state a function runs in.
#[derive(Clone, Copy)]
pub struct Core(This);

/// Each wrapper below calls through the table: sound because a `Core` is only
/// made from a live state's core, and the objects passed are borrowed live.
macro_rules! through {
    ($self:ident.$name:ident($($arg:expr),*)) => {{
        // SAFETY: as stated at the macro.
        unsafe { ((*$self.0).$name)($self.0 $(, $arg)*) }
    }};
}

impl Core {
    /// The core of a function registered with [`Core::pointer`] as upvalue 1.
    pub fn of(lua: Lua) -> Core {
        Core(lua.to_userdata(Lua::upvalue(1)).cast())
    }

    /// A core from its table.
    ///
    /// # Safety
    ///
    /// `table` is the table of a live state's core.
    pub const unsafe fn from_table(table: *const Abi) -> Core {
        Core(table)
    }

    /// Loads `eco` if need be and returns its core. For `luaopen_…` of other
    /// modules; may raise.
    pub fn open(lua: Lua, module: &str) -> Result<Core, Error> {
        lua.require(c"eco");
        lua.get_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
        let table = lua.to_userdata(-1).cast::<Abi>();
        lua.pop(2);
        // SAFETY: the field holds the userdata eco.so put there, which starts
        // with the version in every version.
        let found = unsafe { table.as_ref() }.map_or(0, |abi| abi.version);
        if found == VERSION {
            return Ok(Core(table));
        }
        Err(Error::owned(
            [
                module,
                " and eco come from different versions of lua-eco: update both",
            ]
            .concat(),
        ))
    }

    /// The pointer to register functions and userdata with.
    pub fn pointer(self) -> *const c_void {
        self.0.cast()
    }

    /// Parks the running coroutine on `operation`, as the last thing a blocking
    /// call does: waits for `interest` on `fd` (-1 for none), at most `timeout`
    /// ns (0 = for ever). May raise.
    ///
    /// Ends with a yield, with `nil, message` when the fd cannot be waited
    /// for, or with an error when yielding is impossible or the fd is busy.
    pub fn park(
        self,
        lua: Lua,
        operation: &Parked,
        fd: c_int,
        interest: Interest,
        timeout: Nanoseconds,
    ) -> Outcome {
        match through!(self.park(lua.state(), operation, fd, interest, timeout)) {
            0 => Ok(Returns::YIELD),
            OUTSIDE_COROUTINE => Err("attempt to yield from outside a coroutine".into()),
            code if code > 0 => idle(code).map(|()| Returns(0)),
            errno => lua.fail_errno(Errno::from_raw(-errno)),
        }
    }

    /// Runs `work(context)` on the pool and parks the running coroutine until
    /// it is done, when the operation is polled with [`Cause::WAKE`]. An
    /// operation that ends earlier leaves the work running: `context` must
    /// stay valid until it is done.
    ///
    /// # Safety
    ///
    /// `work` may be called with `context` on another thread.
    pub unsafe fn offload(
        self,
        lua: Lua,
        operation: &Parked,
        work: WorkFunction,
        context: *mut c_void,
    ) -> Outcome {
        match through!(self.offload(lua.state(), operation, work, context)) {
            0 => Ok(Returns::YIELD),
            OUTSIDE_COROUTINE => Err("attempt to yield from outside a coroutine".into()),
            errno => lua.fail_errno(Errno::from_raw(-errno)),
        }
    }

    /// The timeout argument of stream operations at `index`: here, so that
    /// modules need no arithmetic with floats, large where there is no unit for it.
    pub fn timeout(self, lua: Lua, index: c_int) -> Nanoseconds {
        through!(self.timeout(lua.state(), index))
    }

    /// Restarts the parked operation's timeout; 0 removes it.
    pub fn restart_timeout(self, operation: &Parked, timeout: Nanoseconds) {
        through!(self.restart_timeout(operation, timeout));
    }

    /// From inside a poll: goes on to wait for `interest` on `fd` (-1 for none).
    pub fn change_interest(
        self,
        operation: &Parked,
        fd: c_int,
        interest: Interest,
    ) -> Result<(), Errno> {
        match through!(self.change_interest(operation, fd, interest)) {
            0 => Ok(()),
            errno => Err(Errno::from_raw(-errno)),
        }
    }

    /// Queues the parked operation for a poll, unless it is queued already.
    pub fn wake(self, operation: &Parked, cause: Cause) {
        if operation.task.get() != NO_TASK {
            through!(self.wake(operation, cause));
        }
    }

    /// Withdraws an operation whose owner goes away; nobody is resumed.
    pub fn forget(self, operation: &Parked) {
        if operation.task.get() != NO_TASK {
            through!(self.forget(operation));
        }
    }

    /// True while a coroutine really waits on the operation.
    pub fn is_parked(self, operation: &Parked) -> bool {
        operation.task.get() != NO_TASK && through!(self.is_parked(operation))
    }

    /// True when some coroutine waits for any of `interest` on `fd`.
    pub fn is_busy(self, fd: c_int, interest: Interest) -> bool {
        through!(self.is_busy(fd, interest))
    }

    /// Refuses a second waiter per handle and per direction of an fd.
    pub fn check_idle(
        self,
        operation: &Parked,
        fd: c_int,
        interest: Interest,
    ) -> Result<(), Error> {
        idle(self.busy(operation, fd, interest))
    }

    /// The same as a code, 0 when idle.
    pub(crate) fn busy(self, operation: &Parked, fd: c_int, interest: Interest) -> c_int {
        if self.is_parked(operation) {
            OBJECT_BUSY
        } else if interest.wants(Interest::READ) && self.is_busy(fd, Interest::READ) {
            READ_BUSY
        } else if interest.wants(Interest::WRITE) && self.is_busy(fd, Interest::WRITE) {
            WRITE_BUSY
        } else {
            0
        }
    }

    /// False when the reactor knows that a try would block: nothing happened
    /// on the fd since [`Core::drained`].
    pub fn may_be_ready(self, fd: c_int, interest: Interest) -> bool {
        through!(self.may_be_ready(fd, interest))
    }

    /// Notes that the fd has nothing more to give in this direction.
    pub fn drained(self, fd: c_int, interest: Interest) {
        through!(self.drained(fd, interest));
    }

    /// Forgets what was known about an fd number: it was opened or closed.
    pub fn fd_reset(self, fd: c_int) {
        through!(self.fd_reset(fd));
    }

    /// Counts one non-blocking operation of the running coroutine; true when
    /// it has had its share and should let others run first.
    pub fn spend(self, lua: Lua) -> bool {
        through!(self.spend(lua.state()))
    }

    /// Starts a coroutine of the function below `arguments` values, as
    /// `eco.run` does; leaves the thread in their place. May raise.
    pub fn spawn(self, lua: Lua, arguments: c_int) {
        through!(self.spawn(lua.state(), arguments));
    }

    /// Runs the interpreter's own loop, unless an explicit one was stopped.
    pub fn main_loop(self, lua: Lua) -> Result<(), Errno> {
        match through!(self.main_loop(lua.state())) {
            0 => Ok(()),
            errno => Err(Errno::from_raw(-errno)),
        }
    }

    /// Sets or moves an alarm to `at` on `clock`.
    pub fn set_alarm(self, alarm: &Alarm, clock: Clock, at: Nanoseconds) -> Result<(), Errno> {
        match through!(self.set_alarm(alarm, clock, at)) {
            0 => Ok(()),
            errno => Err(Errno::from_raw(-errno)),
        }
    }

    /// Clears an alarm; nothing happens when it is not set.
    pub fn clear_alarm(self, alarm: &Alarm) {
        if alarm.is_set() {
            through!(self.clear_alarm(alarm));
        }
    }

    /// Adds to the count of things that keep the loop going though no
    /// coroutine waits for an fd or a timer.
    pub fn hold(self, change: c_int) {
        through!(self.hold(change));
    }

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

/// Who waits already, as an error.
fn idle(code: c_int) -> Result<(), Error> {
    Err(match code {
        0 => return Ok(()),
        READ_BUSY => "another coroutine is already waiting for read on this file descriptor",
        WRITE_BUSY => "another coroutine is already waiting for write on this file descriptor",
        _ => "another coroutine is already waiting on this I/O object",
    }
    .into())
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
