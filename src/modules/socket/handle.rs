//! The raw socket: owns one descriptor, closes it when it is collected, and
//! never touches its number afterwards.
//!
//! The socket object of scripts is a table around it; this userdata is its
//! field `sock`, and `mutex` too.

use std::cell::Cell;
use std::ffi::{c_int, CStr};

use nix::errno::Errno;

use super::incoming::Incoming;
use super::outgoing::{self, Outgoing};
use super::{address, incoming};
use crate::abi::{Cause, Core, Host, Interest, Nanoseconds, Reader, Turns, Writer};
use crate::functions;
use crate::lua::{field_method, method, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::system::address::{Parts, SocketAddress};
use crate::system::socket::{self as system, file_id, unlink, End, FileId};

/// User values of a handle: they keep what it points to alive.
pub const USER_VALUES: c_int = 2;
const READER: c_int = 1;
const WRITER: c_int = 2;

/// The raw socket.
#[repr(C)]
pub struct Handle {
    pub incoming: Incoming,
    /// -1 once closed.
    fd: Cell<c_int>,
    family: c_int,
    streams: Cell<Option<(Reader, Writer)>>,
    pub turns: Turns<Outgoing>,
    /// Of each wait of `sendto`, in nanoseconds; 0 is none.
    pub limit: Cell<Nanoseconds>,
    /// The process that bound it to a file, 0 for none, and which file that is:
    /// another one at its path stays.
    bound_by: Cell<u32>,
    file: Cell<FileId>,
}

impl Handle {
    /// A handle that owns nothing yet.
    pub fn new(core: Core, family: c_int) -> Handle {
        Handle {
            incoming: Incoming::new(core),
            fd: Cell::new(-1),
            family,
            streams: Cell::new(None),
            turns: Turns::new(),
            limit: Cell::new(outgoing::LIMIT),
            bound_by: Cell::new(0),
            file: Cell::new((0, 0)),
        }
    }

    pub fn core(&self) -> Core {
        self.incoming.waiting.host
    }

    /// Ends a call that did not need to wait, fair to others. May raise.
    pub fn settle(&self, lua: Lua, count: c_int) -> Outcome {
        Ok(Host::settle(self.core(), lua, count))
    }

    /// The same with `nil, text of errno`.
    pub fn fail(&self, lua: Lua, errno: Errno) -> Outcome {
        lua.push_nil();
        lua.push_errno(errno);
        self.settle(lua, 2)
    }

    /// Gives it its descriptor.
    pub fn own(&self, fd: c_int) {
        self.core().fd_reset(fd);
        self.fd.set(fd);
    }

    pub fn fd(&self) -> c_int {
        self.fd.get()
    }

    pub fn family(&self) -> c_int {
        self.family
    }

    /// The descriptor, or what calls on a closed socket say.
    pub fn open_fd(&self) -> Result<c_int, Errno> {
        match self.fd.get() {
            -1 => Err(Errno::EBADF),
            fd => Ok(fd),
        }
    }

    /// Gives the handle at `index` its reader and writer and pushes both.
    /// May raise.
    pub fn make_streams(&self, lua: Lua, index: c_int) {
        let index = lua.absolute(index);
        let reader = self.core().new_reader(lua, self.fd.get());
        let writer = self.core().new_writer(lua, self.fd.get());
        for (slot, position) in [(READER, -2), (WRITER, -1)] {
            lua.push_value(position);
            lua.set_user_value(index, slot);
        }
        self.streams.set(Some((reader, writer)));
    }

    /// Its reader and writer while it is open; raw handles have none.
    pub fn streams(&self) -> Option<(Reader, Writer)> {
        self.streams.get()
    }

    /// Closes it and wakes whoever waits; nothing happens the second time.
    pub fn close_now(&self) {
        let fd = self.fd.replace(-1);
        if fd < 0 {
            return;
        }
        if let Some((reader, writer)) = self.streams.take() {
            reader.close();
            writer.close();
        }
        self.core()
            .wake(&self.incoming.waiting.parked, Cause::CANCEL);
        self.incoming.close();
        self.remove_file(fd);
        system::close(fd);
        self.core().fd_reset(fd);
    }

    /// Removes the file of a Unix socket, if this object made it.
    fn remove_file(&self, fd: c_int) {
        if self.bound_by.replace(0) != std::process::id() {
            return;
        }
        if let Ok(address) = system::name(fd, End::Local) {
            if let Parts::Unix(path) = address.parts() {
                if file_id(path) == Some(self.file.get()) {
                    unlink(path);
                }
            }
        }
    }

    /// Refuses when a coroutine waits for something to come in.
    pub fn check_reader(&self) -> Result<(), Error> {
        let parked = &self.incoming.waiting.parked;
        self.core()
            .check_idle(parked, self.fd.get(), Interest::NONE)?;
        self.streams
            .get()
            .map_or(Ok(()), |(reader, _)| reader.check_idle())
    }
}

/// `bind(address…)`
fn bind(lua: Lua, this: &Handle) -> Outcome {
    let mut address = SocketAddress::empty();
    let refused = address::read(lua, 2, this.family, &mut address)?;
    if refused != Returns(0) {
        return Ok(refused);
    }
    let result = this.open_fd().and_then(|fd| system::bind(fd, &address));
    if result.is_ok() {
        if let Parts::Unix(path) = address.parts() {
            if let Some(file) = file_id(path) {
                this.bound_by.set(std::process::id());
                this.file.set(file);
            }
        }
    }
    lua.done(result)
}

/// `listen([backlog])`
fn listen(lua: Lua, this: &Handle) -> Outcome {
    let backlog = lua.int_or(2, libc::SOMAXCONN)?;
    lua.done(this.open_fd().and_then(|fd| system::listen(fd, backlog)))
}

/// `connect(address…)` -> true, false when it is under way, false and true when
/// a Unix socket has no room for it yet, or nil and a message.
fn connect(lua: Lua, this: &Handle) -> Outcome {
    let mut address = SocketAddress::empty();
    let refused = address::read(lua, 2, this.family, &mut address)?;
    if refused != Returns(0) {
        return Ok(refused);
    }
    let Returns(count) = match this.open_fd().and_then(|fd| system::connect(fd, &address)) {
        Err(Errno::EINPROGRESS) => {
            lua.push_bool(false);
            Returns(1)
        }
        Err(Errno::EAGAIN) if this.family == libc::AF_UNIX => {
            lua.push_bool(false);
            lua.push_bool(true);
            Returns(2)
        }
        result => lua.done(result)?,
    };
    this.settle(lua, count)
}

/// `sendto(data, address…)` -> bytes, at once or not at all.
fn sendto(lua: Lua, this: &Handle) -> Outcome {
    let mut address = SocketAddress::empty();
    let refused = address::read(lua, 3, this.family, &mut address)?;
    if refused != Returns(0) {
        return Ok(refused);
    }
    let data = lua.string(2)?;
    match this
        .open_fd()
        .and_then(|fd| system::send_to(fd, data, &address))
    {
        Ok(count) => {
            lua.push_integer(count as i64);
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `getsockname()`
pub fn getsockname(lua: Lua, this: &Handle) -> Outcome {
    name(lua, this, End::Local)
}

/// `getpeername()`
pub fn getpeername(lua: Lua, this: &Handle) -> Outcome {
    name(lua, this, End::Peer)
}

fn name(lua: Lua, this: &Handle, end: End) -> Outcome {
    match this.open_fd().and_then(|fd| system::name(fd, end)) {
        Ok(address) => {
            address::push(lua, &address);
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `kind()` -> `SOCK_STREAM` or another of them, or nil and a message.
fn kind(lua: Lua, this: &Handle) -> Outcome {
    let kind = this
        .open_fd()
        .and_then(|fd| system::option(fd, libc::SO_TYPE));
    match kind {
        Ok(kind) => {
            lua.push_integer(i64::from(kind));
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `getoption()` -> nil, or the text of the pending error. `helpers.lua` checks
/// the name.
fn getoption(lua: Lua, this: &Handle) -> Outcome {
    match this
        .open_fd()
        .and_then(|fd| system::option(fd, libc::SO_ERROR))
    {
        Ok(0) => lua.push_nil(),
        Ok(error) => lua.push_errno(Errno::from_raw(error)),
        Err(errno) => lua.push_errno(errno),
    }
    Ok(Returns(1))
}

/// `shutdown(how)` -> true, or nil and a message.
pub fn shutdown(lua: Lua, this: &Handle) -> Outcome {
    let how = match lua.bytes(2) {
        Some(b"read") => libc::SHUT_RD,
        Some(b"write") => libc::SHUT_WR,
        Some(b"both") => libc::SHUT_RDWR,
        _ => return Err(Error::argument(2, "'read', 'write' or 'both' expected")),
    };
    lua.done(this.open_fd().and_then(|fd| system::shutdown(fd, how)))
}

/// `getfd()`
pub fn getfd(lua: Lua, this: &Handle) -> Outcome {
    lua.push_integer(i64::from(this.fd.get()));
    Ok(Returns(1))
}

/// `closed()`
pub fn closed(lua: Lua, this: &Handle) -> Outcome {
    lua.push_bool(this.fd.get() < 0);
    Ok(Returns(1))
}

/// `close()`
pub fn close(_: Lua, this: &Handle) -> Outcome {
    this.close_now();
    Ok(Returns(0))
}

impl UserData for Handle {
    const NAME: &'static CStr = c"struct eco_socket *";
    const METHODS: Functions = functions! {
        bind: method(bind),
        listen: method(listen),
        accept: method(incoming::accept_raw),
        connect: method(connect),
        sendto: method(sendto),
        recvfrom: method(incoming::recvfrom_raw),
        getoption: method(getoption),
        // Those that objects have too.
        getsockname: field_method(getsockname),
        getpeername: field_method(getpeername),
        getfd: field_method(getfd),
        closed: field_method(closed),
        close: field_method(close),
        kind: method(kind),
        lock: method(outgoing::lock),
        unlock: method(outgoing::unlock),
        __close: field_method(close),
    };

    /// Its streams may have been collected with it: those still there end
    /// their waits, the others are left alone.
    fn finalise(&self, lua: Lua) {
        self.streams.set(None);
        lua.get_user_value(1, READER);
        lua.get_user_value(1, WRITER);
        if let Some(reader) = self.core().reader_at(lua, -2) {
            reader.close();
        }
        if let Some(writer) = self.core().writer_at(lua, -1) {
            writer.close();
        }
        lua.pop(2);
        self.close_now();
        self.core().forget(&self.incoming.waiting.parked);
    }
}
