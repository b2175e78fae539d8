//! The raw socket: owns one descriptor, closes it when it is collected, and
//! never touches its number afterwards.
//!
//! The socket object of scripts is a table around it; this userdata is its
//! field `sock`, and `mutex` too.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;

use super::incoming::Incoming;
use super::options::{setoption, unsupported};
use super::outgoing::{self, Turns};
use super::system::{self, End};
use super::{address, incoming};
use crate::core::abi::{Reader, Writer};
use crate::core::{Cause, Core, Interest};
use crate::io::address::{Parts, SocketAddress};
use crate::lua::{method, Error, Functions, Lua, Outcome, Returns, UserData};

/// User values of a handle: they keep what it points to alive.
pub const USER_VALUES: c_int = 2;
const READER: c_int = 1;
const WRITER: c_int = 2;

/// The file of a Unix socket that this process has bound.
struct Bound {
    process: u32,
    /// Device and number of the file: another one at its path stays.
    file: (u64, u64),
}

/// The raw socket.
#[repr(C)]
pub struct Handle {
    pub incoming: Incoming,
    pub core: Core,
    /// -1 once closed.
    fd: Cell<c_int>,
    family: c_int,
    streams: Cell<Option<(Reader, Writer)>>,
    pub turns: Turns,
    bound: RefCell<Option<Box<Bound>>>,
}

impl Handle {
    pub fn new(core: Core, fd: c_int, family: c_int) -> Handle {
        core.fd_reset(fd);
        Handle {
            incoming: Incoming::new(),
            core,
            fd: Cell::new(fd),
            family,
            streams: Cell::new(None),
            turns: Turns::new(),
            bound: RefCell::new(None),
        }
    }

    /// Gives a handle made without one its descriptor.
    pub fn own(&self, fd: c_int) {
        self.core.fd_reset(fd);
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
        let reader = self.core.new_reader(lua, self.fd.get());
        let writer = self.core.new_writer(lua, self.fd.get());
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
        self.core.wake(&self.incoming.parked, Cause::CANCEL);
        self.incoming.close();
        self.remove_file(fd);
        system::close(fd);
        self.core.fd_reset(fd);
    }

    /// Removes the file of a Unix socket, if this object made it.
    fn remove_file(&self, fd: c_int) {
        let Some(bound) = self.bound.borrow_mut().take() else {
            return;
        };
        if bound.process != std::process::id() {
            return;
        }
        if let Ok(address) = system::name(fd, End::Local) {
            if let Some(path) = path_of(&address) {
                if file_at(path) == Some(bound.file) {
                    // It may be gone by now, which is as good.
                    let _ = nix::unistd::unlink(path);
                }
            }
        }
    }

    /// Refuses when a coroutine waits for something to come in.
    pub fn check_reader(&self) -> Result<(), Error> {
        self.core.check_idle(&self.incoming.parked, self.fd.get(), Interest::NONE)?;
        self.streams.get().map_or(Ok(()), |(reader, _)| reader.check_idle())
    }
}

/// The path of a Unix address that names a file.
fn path_of(address: &SocketAddress) -> Option<&Path> {
    match address.parts() {
        Parts::Unix(path) if path.first().is_some_and(|&byte| byte != 0) => {
            Some(Path::new(std::ffi::OsStr::from_bytes(path)))
        }
        _ => None,
    }
}

fn file_at(path: &Path) -> Option<(u64, u64)> {
    let status = nix::sys::stat::lstat(path).ok()?;
    Some((status.st_dev as u64, status.st_ino as u64))
}

/// Ends with true, or `nil, message`.
fn done(lua: Lua, result: Result<(), Errno>) -> Outcome {
    match result {
        Ok(()) => {
            lua.push_bool(true);
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `bind(address…)`
fn bind(lua: Lua, this: &Handle) -> Outcome {
    let Some(address) = address::read(lua, 2, this.family)? else {
        return Ok(Returns(2));
    };
    let result = this.open_fd().and_then(|fd| system::bind(fd, &address));
    if result.is_ok() {
        if let Some(file) = path_of(&address).and_then(file_at) {
            let process = std::process::id();
            *this.bound.borrow_mut() = Some(Box::new(Bound { process, file }));
        }
    }
    done(lua, result)
}

/// `listen([backlog])`
fn listen(lua: Lua, this: &Handle) -> Outcome {
    let backlog = lua.integer_or(2, i64::from(libc::SOMAXCONN))?;
    done(lua, this.open_fd().and_then(|fd| system::listen(fd, backlog as c_int)))
}

/// `connect(address…)` -> true, false when it is under way, or nil and a message.
fn connect(lua: Lua, this: &Handle) -> Outcome {
    let Some(address) = address::read(lua, 2, this.family)? else {
        return Ok(Returns(2));
    };
    match this.open_fd().and_then(|fd| system::connect(fd, &address)) {
        Err(Errno::EINPROGRESS) => {
            lua.push_bool(false);
            Ok(Returns(1))
        }
        result => done(lua, result),
    }
}

/// `sendto(data, address…)` -> bytes, at once or not at all.
fn sendto(lua: Lua, this: &Handle) -> Outcome {
    let Some(address) = address::read(lua, 3, this.family)? else {
        return Ok(Returns(2));
    };
    let data = lua.string(2)?;
    match this.open_fd().and_then(|fd| system::send_to(fd, data, &address)) {
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

/// `getoption('error')` -> nil, or the text of the pending error.
fn getoption(lua: Lua, this: &Handle) -> Outcome {
    let name = lua.string(2)?;
    if name != b"error" {
        return Err(unsupported(name));
    }
    match this.open_fd().and_then(pending_error) {
        Ok(()) => lua.push_nil(),
        Err(errno) => lua.push_errno(errno),
    }
    Ok(Returns(1))
}

/// Takes the pending error of a socket.
pub fn pending_error(fd: c_int) -> Result<(), Errno> {
    match system::option(fd, libc::SO_ERROR)? {
        0 => Ok(()),
        error => Err(Errno::from_raw(error)),
    }
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
    const METHODS: Functions = &[
        (c"bind", method(bind)),
        (c"listen", method(listen)),
        (c"accept", method(incoming::accept_raw)),
        (c"connect", method(connect)),
        (c"sendto", method(sendto)),
        (c"recvfrom", method(incoming::recvfrom_raw)),
        (c"getoption", method(getoption)),
        (c"setoption", method(setoption)),
        (c"getsockname", method(getsockname)),
        (c"getpeername", method(getpeername)),
        (c"getfd", method(getfd)),
        (c"closed", method(closed)),
        (c"close", method(close)),
        (c"lock", method(outgoing::lock)),
        (c"unlock", method(outgoing::unlock)),
    ];
    const METAMETHODS: Functions = &[(c"__close", method(close))];

    fn finalise(&self, lua: Lua) {
        finalise(self, lua);
    }
}

/// Finalises the handle at stack index 1. Its streams may have been collected
/// with it: those still there end their waits, the others are left alone.
fn finalise(handle: &Handle, lua: Lua) {
    handle.streams.set(None);
    lua.get_user_value(1, READER);
    lua.get_user_value(1, WRITER);
    if let Some(reader) = handle.core.reader_at(lua, -2) {
        reader.close();
    }
    if let Some(writer) = handle.core.writer_at(lua, -1) {
        writer.close();
    }
    lua.pop(2);
    handle.close_now();
    handle.core.forget(&handle.incoming.parked);
}

/// A TUN device: a handle with fewer methods.
#[repr(transparent)]
pub struct Tun(Handle);

impl Tun {
    pub fn new(handle: Handle) -> Tun {
        Tun(handle)
    }

    pub fn handle(&self) -> &Handle {
        &self.0
    }
}

impl UserData for Tun {
    const NAME: &'static CStr = c"struct eco_tun *";
    const METHODS: Functions = &[
        (c"getfd", method(|lua: Lua, this: &Tun| getfd(lua, &this.0))),
        (c"closed", method(|lua: Lua, this: &Tun| closed(lua, &this.0))),
        (c"close", method(|lua: Lua, this: &Tun| close(lua, &this.0))),
        (c"lock", method(|lua: Lua, this: &Tun| outgoing::lock(lua, &this.0))),
        (c"unlock", method(|lua: Lua, this: &Tun| outgoing::unlock(lua, &this.0))),
    ];
    const METAMETHODS: Functions = &[(c"__close", method(|lua: Lua, this: &Tun| close(lua, &this.0)))];

    fn finalise(&self, lua: Lua) {
        finalise(&self.0, lua);
    }
}
