//! Sending, and what else waits for room: one message after the other, each in
//! one piece, whoever sends.
//!
//! A call tries at once. Only one that would block, or must wait for its turn,
//! makes an [`Outgoing`]: userdata in the frame of the call.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, CStr};

use nix::errno::Errno;

use super::address;
use super::handle::Handle;
use crate::abi::attempt::{self, Attempt, End, Try, Waiting};
use crate::abi::{Cause, Core, Host, InTurn, Interest, Nanoseconds, Transfer, Writer};
use crate::lua::{ffi, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::system::address::SocketAddress;
use crate::system::socket as system;

/// Limit of each wait of `sendto`, unless an option says another.
pub const LIMIT: Nanoseconds = 5_000_000_000;

/// What is left to do.
#[derive(Clone, Copy)]
enum Request {
    /// The rest of a string in a stack slot of the call.
    Data(*const [u8]),
    /// A whole message to an address, likewise.
    Message(*const [u8]),
    /// The lock itself.
    Lock,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Holds nothing.
    Over,
    /// In the queue of its socket.
    Queued,
    /// It is its turn, which it has not begun.
    Granted,
    /// It is its turn.
    Active,
}

/// One call that waits.
#[repr(C)]
pub struct Outgoing {
    waiting: Waiting,
    /// Kept reachable by the user value.
    handle: *const Handle,
    phase: Cell<Phase>,
    request: Cell<Request>,
    address: SocketAddress,
    /// Result of the call when it succeeds.
    total: usize,
    timeout: Nanoseconds,
    next: Cell<*const Outgoing>,
}

crate::attempt!(Outgoing);

impl UserData for Outgoing {
    const NAME: &'static CStr = c"struct eco_socket_wait *";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _: Lua) {
        self.handle().core().forget(&self.waiting.parked);
        self.drop_request();
    }
}

impl Outgoing {
    fn handle(&self) -> &Handle {
        // SAFETY: the handle was made before this operation, which keeps it
        // reachable: it is collected later.
        unsafe { &*self.handle }
    }

    /// The call is done: others may send.
    fn finish(&self, count: c_int) -> Try {
        self.drop_request();
        Try::Done(count)
    }

    fn succeed(&self, lua: Lua) -> Try {
        lua.push_integer(self.total as i64);
        self.finish(1)
    }

    fn refused(&self, lua: Lua, errno: Errno) -> Try {
        lua.push_nil();
        lua.push_errno(errno);
        self.finish(2)
    }
}

impl InTurn for Outgoing {
    fn next(&self) -> &Cell<*const Outgoing> {
        &self.next
    }

    fn grant(&self) {
        self.phase.set(Phase::Granted);
        self.waiting.refresh();
        self.handle().core().wake(&self.waiting.parked, Cause::WAKE);
    }
}

impl Attempt for Outgoing {
    type Host = Core;

    fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    fn fd(&self) -> c_int {
        self.handle().fd()
    }

    fn direction(&self) -> Interest {
        Interest::WRITE
    }

    fn attempt(&self, lua: Lua) -> Try {
        match self.phase.get() {
            Phase::Queued => return Try::Again(Interest::NONE),
            Phase::Granted => self.phase.set(Phase::Active),
            Phase::Active | Phase::Over => {}
        }
        let handle = self.handle();
        let (Ok(fd), Some((_, writer))) = (handle.open_fd(), handle.streams()) else {
            return self.refused(lua, Errno::EBADF);
        };
        match self.request.get() {
            Request::Data(data) => {
                // SAFETY: the string sits in a stack slot of the call, whose
                // frame is intact whenever the request is advanced.
                let data = unsafe { &*data };
                if data.is_empty() {
                    return self.succeed(lua);
                }
                match writer.send(data) {
                    Transfer::Moved(count) => {
                        let rest = data.get(count..).unwrap_or_default();
                        self.request.set(Request::Data(rest));
                        Try::Moved
                    }
                    Transfer::Blocked(direction) => Try::Again(direction),
                    Transfer::Failed => self.finish(push_failure(lua, writer)),
                }
            }
            Request::Message(data) => {
                // SAFETY: as for `Data`.
                let data = unsafe { &*data };
                match system::send_to(fd, data, &self.address) {
                    Ok(_) => self.succeed(lua),
                    Err(Errno::EAGAIN) => {
                        handle.core().drained(fd, Interest::WRITE);
                        Try::Again(Interest::WRITE)
                    }
                    Err(errno) => self.refused(lua, errno),
                }
            }
            Request::Lock => {
                // Whoever called holds it from now on.
                self.phase.set(Phase::Over);
                lua.push_bool(true);
                Try::Done(1)
            }
        }
    }

    /// Whose turn comes after the socket was closed finds it closed.
    fn end(&self, lua: Lua, end: End) -> Try {
        if self.phase.get() == Phase::Granted && self.fd() < 0 {
            return self.refused(lua, Errno::EBADF);
        }
        self.drop_request();
        end.push(lua)
    }

    /// A place in the queue has no limit, but that of the lock has.
    fn limit(&self) -> Nanoseconds {
        match (self.phase.get(), self.request.get()) {
            (Phase::Queued, Request::Data(_) | Request::Message(_)) => 0,
            _ => self.timeout,
        }
    }

    /// Ends the operation, however far it got.
    fn drop_request(&self) {
        match self.phase.replace(Phase::Over) {
            Phase::Over => {}
            Phase::Queued => self.handle().turns.leave(self),
            Phase::Granted | Phase::Active => self.handle().turns.pass_on(),
        }
    }
}

fn push_failure(lua: Lua, writer: Writer) -> c_int {
    lua.push_nil();
    writer.push_error(lua);
    2
}

/// Takes its turn at once, or waits for it, and does the rest then; the handle
/// is at stack index 1. May raise.
fn run(
    lua: Lua,
    handle: &Handle,
    request: Request,
    total: usize,
    timeout: Nanoseconds,
    address: &SocketAddress,
) -> Outcome {
    let slot = lua.reserve::<Outgoing>(1, handle.core().pointer());
    let operation = slot.fill(Outgoing {
        waiting: Waiting::new::<Outgoing>(handle.core()),
        handle,
        phase: Cell::new(Phase::Over),
        request: Cell::new(request),
        total,
        timeout,
        next: Cell::new(std::ptr::null()),
        address: *address,
    });
    lua.push_value(1);
    lua.set_user_value(-2, 1);
    if handle.turns.take() {
        operation.phase.set(Phase::Active);
    } else {
        operation.phase.set(Phase::Queued);
        handle.turns.join(operation);
    }
    attempt::start(operation, lua, timeout)
}

/// The writer of an open socket, when nobody waits for room past the queue.
fn idle_writer(handle: &Handle) -> Result<Option<Writer>, Error> {
    let Some((_, writer)) = handle.streams() else {
        return Ok(None);
    };
    if !handle.turns.is_taken() {
        writer.check_idle()?;
    }
    Ok(Some(writer))
}

/// `s:send(data [, timeout])`
pub fn send(lua: Lua, handle: &Handle) -> Outcome {
    let data = lua.string(2)?;
    let Some(writer) = idle_writer(handle)? else {
        return handle.fail(lua, Errno::EBADF);
    };
    let mut rest = data;
    if !handle.turns.is_taken() {
        match writer.send(data) {
            _ if data.is_empty() => rest = &[],
            Transfer::Moved(count) => rest = data.get(count..).unwrap_or_default(),
            Transfer::Blocked(_) => {}
            Transfer::Failed => return handle.settle(lua, push_failure(lua, writer)),
        }
        if rest.is_empty() {
            lua.push_integer(data.len() as i64);
            return handle.settle(lua, 1);
        }
    }
    let timeout = handle.core().timeout(lua, 3);
    let none = SocketAddress::empty();
    run(lua, handle, Request::Data(rest), data.len(), timeout, &none)
}

/// `s:sendto(data, address…)`
pub fn sendto(lua: Lua, handle: &Handle) -> Outcome {
    lua.expect(2, ffi::LUA_TSTRING)?;
    let mut address = SocketAddress::empty();
    let refused = address::read(lua, 3, handle.family(), &mut address)?;
    if refused != Returns(0) {
        return Ok(refused);
    }
    if idle_writer(handle)?.is_none() {
        return handle.fail(lua, Errno::EBADF);
    }
    let (fd, data) = (handle.fd(), lua.to_bytes(2));
    if data.is_empty() && system::option(fd, libc::SO_TYPE) != Ok(libc::SOCK_DGRAM) {
        lua.push_integer(0);
        return handle.settle(lua, 1);
    }
    if !handle.turns.is_taken() {
        match system::send_to(fd, data, &address) {
            Ok(_) => {
                lua.push_integer(data.len() as i64);
                return handle.settle(lua, 1);
            }
            Err(Errno::EAGAIN) => {}
            Err(errno) => return handle.fail(lua, errno),
        }
    }
    let request = Request::Message(data);
    run(
        lua,
        handle,
        request,
        data.len(),
        handle.limit.get(),
        &address,
    )
}

/// `set_limit(s, seconds)` of `sendto`, 0 for none.
pub fn set_limit(lua: Lua, handle: &Handle) -> Outcome {
    handle.limit.set(handle.core().timeout(lua, 2));
    Ok(Returns(0))
}

/// `mutex:lock([timeout])` -> true, or nil and a message.
pub fn lock(lua: Lua, handle: &Handle) -> Outcome {
    if handle.turns.take() {
        lua.push_bool(true);
        return Ok(Returns(1));
    }
    let timeout = handle.core().timeout(lua, 2);
    let none = SocketAddress::empty();
    run(lua, handle, Request::Lock, 0, timeout, &none)
}

/// `mutex:unlock()`
pub fn unlock(_: Lua, handle: &Handle) -> Outcome {
    if !handle.turns.is_taken() {
        return Err("unlock of unlocked mutex".into());
    }
    handle.turns.pass_on();
    Ok(Returns(0))
}
