//! Waiting for what comes in: `accept` and `recvfrom`.
//!
//! A connection the kernel has handed over is kept by its listener until the
//! object for it exists: memory that runs out loses none.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_int;
use std::mem::MaybeUninit;

use nix::errno::Errno;

use super::create::push_handle;
use super::handle::Handle;
use super::{address, object};
use crate::abi::attempt::{self, Attempt, Try, Waiting};
use crate::abi::{Core, Interest, Nanoseconds};
use crate::lua::{Error, Lua, Outcome, Returns};
use crate::system::address::SocketAddress;
use crate::system::socket as system;

/// Messages up to this size are received on the stack.
const SMALL: usize = 8192;
/// Instead of a size: a connection is wanted.
const CONNECTION: usize = 0;

/// What its handle knows of whoever waits: the first field of it.
#[repr(C)]
pub struct Incoming {
    pub waiting: Waiting,
    /// Bytes wanted, or [`CONNECTION`].
    size: Cell<usize>,
    /// Accepted but not an object yet; -1 for none.
    accepted: Cell<c_int>,
}

crate::attempt!(Handle, incoming.waiting);

impl Incoming {
    pub fn new(core: Core) -> Incoming {
        Incoming {
            waiting: Waiting::new::<Handle>(core),
            size: Cell::new(CONNECTION),
            accepted: Cell::new(-1),
        }
    }

    /// Drops a connection nobody got.
    pub fn close(&self) {
        match self.accepted.replace(-1) {
            -1 => {}
            fd => system::close(fd),
        }
    }
}

impl Attempt for Handle {
    type Host = Core;

    fn waiting(&self) -> &Waiting {
        &self.incoming.waiting
    }

    fn fd(&self) -> c_int {
        Handle::fd(self)
    }

    fn direction(&self) -> Interest {
        Interest::READ
    }

    fn attempt(&self, lua: Lua) -> Try {
        match try_once(lua, self, self.incoming.size.get(), true) {
            Some(count) => Try::Done(count),
            None => Try::Again(Interest::READ),
        }
    }
}

/// Tries once and pushes what came of it; None when it would block. May raise.
fn try_once(lua: Lua, handle: &Handle, size: usize, as_object: bool) -> Option<c_int> {
    let result = match (handle.open_fd(), size) {
        (Err(errno), _) => Err(errno),
        (Ok(fd), CONNECTION) => accept(lua, handle, fd, as_object),
        (Ok(fd), _) => receive(lua, fd, size),
    };
    match result {
        Ok(()) => Some(2),
        Err(Errno::EAGAIN) => {
            handle.core().drained(handle.fd(), Interest::READ);
            None
        }
        Err(errno) => {
            lua.push_nil();
            lua.push_errno(errno);
            Some(2)
        }
    }
}

/// Pushes the next connection and its peer's address. May raise.
fn accept(lua: Lua, handle: &Handle, fd: c_int, as_object: bool) -> Result<(), Errno> {
    let kept = &handle.incoming.accepted;
    let mut peer = SocketAddress::empty();
    if kept.get() < 0 {
        kept.set(system::accept(fd, &mut peer)?);
    } else if let Ok(address) = system::name(kept.get(), system::End::Peer) {
        peer = address;
    }
    let accepted = push_handle(&lua, handle.core(), handle.family());
    accepted.own(kept.replace(-1));
    if as_object {
        object::push(lua, accepted);
    }
    address::push(lua, &peer);
    Ok(())
}

/// Pushes the next message and its sender's address. May raise.
fn receive(lua: Lua, fd: c_int, wanted: usize) -> Result<(), Errno> {
    let mut sender = SocketAddress::empty();
    let size = if wanted > SMALL {
        system::next_length(fd)?.min(wanted)
    } else {
        wanted
    };
    if size <= SMALL {
        let mut room = [MaybeUninit::uninit(); SMALL];
        let length = wanted.min(SMALL);
        lua.push_bytes(system::receive_from(fd, &mut room[..length], &mut sender)?);
    } else {
        let room = lua.push_room(size);
        lua.push_bytes(system::receive_from(fd, room, &mut sender)?);
        lua.remove(-2);
    }
    address::push(lua, &sender);
    Ok(())
}

/// Tries, and waits for the rest.
fn wait(lua: Lua, handle: &Handle, size: usize, timeout: Nanoseconds) -> Outcome {
    handle.check_reader()?;
    handle.incoming.size.set(size);
    attempt::start(handle, lua, timeout)
}

fn message_size(lua: Lua) -> Result<usize, Error> {
    match usize::try_from(lua.integer(2)?) {
        Ok(size) if size > 0 => Ok(size),
        _ => Err(Error::argument(2, "must be greater than 0")),
    }
}

/// `s:accept([timeout])`
pub fn accept_object(lua: Lua, handle: &Handle) -> Outcome {
    wait(lua, handle, CONNECTION, handle.core().timeout(lua, 2))
}

/// `s:recvfrom(n [, timeout])`
pub fn recvfrom(lua: Lua, handle: &Handle) -> Outcome {
    wait(
        lua,
        handle,
        message_size(lua)?,
        handle.core().timeout(lua, 3),
    )
}

/// `accept()` of the raw module: what is there now.
pub fn accept_raw(lua: Lua, handle: &Handle) -> Outcome {
    if handle.fd() < 0 {
        return lua.fail("closed");
    }
    at_once(lua, handle, CONNECTION)
}

/// `recvfrom(n)` of the raw module: what is there now.
pub fn recvfrom_raw(lua: Lua, handle: &Handle) -> Outcome {
    at_once(lua, handle, message_size(lua)?)
}

fn at_once(lua: Lua, handle: &Handle, size: usize) -> Outcome {
    match try_once(lua, handle, size, false) {
        Some(count) => Ok(Returns(count)),
        None => lua.fail_errno(Errno::EAGAIN),
    }
}
