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
use super::incoming::failed;
pub use super::turns::Turns;
use crate::abi::{Attempt, Cause, Interest, Nanoseconds, Parked, Step, Writer};
use crate::lua::{ffi, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::system::address::SocketAddress;
use crate::system::socket as system;

/// Limit of each wait of `sendto`.
const LIMIT: Nanoseconds = 5_000_000_000;

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
    /// It is its turn, and it does not wait for the descriptor yet.
    Granted,
    /// Waits for room.
    Active,
}

/// How far a request got.
enum Progress {
    /// Results are pushed.
    Done(c_int),
    /// Blocked; true when something was sent.
    Blocked(bool),
}

/// One call that waits.
#[repr(C)]
pub struct Outgoing {
    parked: Parked,
    /// Kept reachable by the user value.
    handle: *const Handle,
    phase: Cell<Phase>,
    request: Cell<Request>,
    address: SocketAddress,
    /// Result of the call when it succeeds.
    total: usize,
    timeout: Nanoseconds,
    pub next: Cell<*const Outgoing>,
}

crate::operation!(Outgoing);

impl UserData for Outgoing {
    const NAME: &'static CStr = c"struct eco_socket_wait *";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _: Lua) {
        self.handle().core.forget(&self.parked);
        self.abandon();
    }
}

impl Outgoing {
    fn handle(&self) -> &Handle {
        // SAFETY: the handle was made before this operation, which keeps it
        // reachable: it is collected later.
        unsafe { &*self.handle }
    }

    /// It is its turn: called by its queue.
    pub fn grant(&self) {
        self.phase.set(Phase::Granted);
        self.handle().core.wake(&self.parked, Cause::WAKE);
    }

    /// Ends the operation, however far it got.
    fn abandon(&self) {
        match self.phase.replace(Phase::Over) {
            Phase::Over => {}
            Phase::Queued => self.handle().turns.leave(self),
            Phase::Granted | Phase::Active => self.handle().turns.pass_on(),
        }
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        let handle = self.handle();
        match self.phase.get() {
            Phase::Queued if cause.has(Cause::TIMEOUT) => return self.fail(lua, "timeout"),
            Phase::Queued | Phase::Over => return Step::Pending,
            Phase::Granted if matches!(self.request.get(), Request::Lock) => {
                // Whoever called holds it from now on.
                self.phase.set(Phase::Over);
                lua.push_bool(true);
                return Step::Done(1);
            }
            Phase::Active if cause.has(Cause::CANCEL) || handle.fd() < 0 => {
                return self.fail(lua, "canceled")
            }
            Phase::Active if cause.has(Cause::TIMEOUT) => return self.fail(lua, "timeout"),
            Phase::Granted | Phase::Active => {}
        }
        let moved = match self.advance(lua) {
            Progress::Done(count) => {
                self.abandon();
                return Step::Done(count);
            }
            Progress::Blocked(moved) => moved,
        };
        if self.phase.replace(Phase::Active) == Phase::Granted {
            if let Err(errno) =
                handle
                    .core
                    .change_interest(&self.parked, handle.fd(), Interest::WRITE)
            {
                self.abandon();
                lua.push_nil();
                lua.push_errno(errno);
                return Step::Done(2);
            }
            handle.core.restart_timeout(&self.parked, self.timeout);
        } else if moved {
            handle.core.restart_timeout(&self.parked, self.timeout);
        }
        Step::Pending
    }

    fn fail(&self, lua: Lua, message: &str) -> Step {
        self.abandon();
        failed(lua, message)
    }

    /// Works on the request until it is done or would block. May raise.
    fn advance(&self, lua: Lua) -> Progress {
        let handle = self.handle();
        let (Ok(fd), Some((_, writer))) = (handle.open_fd(), handle.streams()) else {
            return refused(lua, Errno::EBADF);
        };
        let mut moved = false;
        loop {
            let attempt = match self.request.get() {
                Request::Data(data) => {
                    // SAFETY: the string sits in a stack slot of the call, whose
                    // frame is intact whenever the request is advanced.
                    let data = unsafe { &*data };
                    if data.is_empty() {
                        return self.succeed(lua);
                    }
                    let attempt = writer.send(data);
                    if let Attempt::Moved(count) = attempt {
                        self.request
                            .set(Request::Data(data.get(count..).unwrap_or_default()));
                    }
                    attempt
                }
                Request::Message(data) => {
                    // SAFETY: as for `Data`.
                    let data = unsafe { &*data };
                    return match system::send_to(fd, data, &self.address) {
                        Ok(_) => self.succeed(lua),
                        Err(Errno::EAGAIN) => {
                            handle.core.drained(fd, Interest::WRITE);
                            Progress::Blocked(false)
                        }
                        Err(errno) => refused(lua, errno),
                    };
                }
                Request::Lock => return self.succeed(lua),
            };
            match attempt {
                Attempt::Moved(_) => moved = true,
                Attempt::WouldBlock => return Progress::Blocked(moved),
                Attempt::Failed => return Progress::Done(push_failure(lua, writer)),
            }
        }
    }

    fn succeed(&self, lua: Lua) -> Progress {
        lua.push_integer(self.total as i64);
        Progress::Done(1)
    }
}

fn refused(lua: Lua, errno: Errno) -> Progress {
    lua.push_nil();
    lua.push_errno(errno);
    Progress::Done(2)
}

fn push_failure(lua: Lua, writer: Writer) -> c_int {
    lua.push_nil();
    writer.push_error(lua);
    2
}

/// Pushes an operation for the handle at stack index 1; it holds nothing yet.
/// May raise.
fn operation<'a>(
    lua: &'a Lua,
    handle: &Handle,
    request: Request,
    total: usize,
    timeout: Nanoseconds,
    address: &SocketAddress,
) -> &'a Outgoing {
    let slot = lua.reserve::<Outgoing>(1, handle.core.pointer());
    let operation = slot.fill(Outgoing {
        parked: Parked::new::<Outgoing>(),
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
    operation
}

/// Parks the call until it is its turn.
fn queue(lua: Lua, operation: &Outgoing, timeout: Nanoseconds) -> Outcome {
    let handle = operation.handle();
    let outcome = handle
        .core
        .park(lua, &operation.parked, -1, Interest::NONE, timeout)?;
    if outcome == Returns::YIELD {
        operation.phase.set(Phase::Queued);
        handle.turns.join(operation);
    }
    Ok(outcome)
}

/// Takes its turn at once, or waits for it and does the rest then.
fn run(lua: Lua, operation: &Outgoing) -> Outcome {
    let handle = operation.handle();
    let core = handle.core;
    let outcome = if handle.turns.is_taken() {
        queue(lua, operation, 0)?
    } else if core.spend(lua) {
        let outcome = core.park(lua, &operation.parked, -1, Interest::NONE, 0)?;
        if outcome == Returns::YIELD {
            handle.turns.take();
            operation.grant();
        }
        outcome
    } else {
        match operation.advance(lua) {
            Progress::Done(count) => Returns(count),
            Progress::Blocked(_) => park(lua, operation)?,
        }
    };
    if outcome != Returns::YIELD {
        operation.abandon();
    }
    Ok(outcome)
}

/// Waits for room.
fn park(lua: Lua, operation: &Outgoing) -> Outcome {
    let handle = operation.handle();
    let outcome = handle.core.park(
        lua,
        &operation.parked,
        handle.fd(),
        Interest::WRITE,
        operation.timeout,
    )?;
    if outcome == Returns::YIELD {
        handle.turns.take();
        operation.phase.set(Phase::Active);
    }
    Ok(outcome)
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
        return lua.fail_errno(Errno::EBADF);
    };
    let mut rest = data;
    if !handle.turns.is_taken() && !handle.core.spend(lua) {
        match writer.send(data) {
            _ if data.is_empty() => rest = &[],
            Attempt::Moved(count) => rest = data.get(count..).unwrap_or_default(),
            Attempt::WouldBlock => {}
            Attempt::Failed => return Ok(Returns(push_failure(lua, writer))),
        }
        if rest.is_empty() {
            lua.push_integer(data.len() as i64);
            return Ok(Returns(1));
        }
    }
    let timeout = handle.core.timeout(lua, 3);
    let request = Request::Data(rest);
    run(
        lua,
        operation(
            &lua,
            handle,
            request,
            data.len(),
            timeout,
            &SocketAddress::empty(),
        ),
    )
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
        return lua.fail_errno(Errno::EBADF);
    }
    let (fd, data) = (handle.fd(), lua.to_bytes(2));
    if data.is_empty() && system::option(fd, libc::SO_TYPE) != Ok(libc::SOCK_DGRAM) {
        lua.push_integer(0);
        return Ok(Returns(1));
    }
    if !handle.turns.is_taken() && !handle.core.spend(lua) {
        match system::send_to(fd, data, &address) {
            Ok(_) => {
                lua.push_integer(data.len() as i64);
                return Ok(Returns(1));
            }
            Err(Errno::EAGAIN) => {}
            Err(errno) => return lua.fail_errno(errno),
        }
    }
    run(
        lua,
        operation(
            &lua,
            handle,
            Request::Message(data),
            data.len(),
            LIMIT,
            &address,
        ),
    )
}

/// `mutex:lock([timeout])` -> true, or nil and a message.
pub fn lock(lua: Lua, handle: &Handle) -> Outcome {
    if handle.turns.take() {
        lua.push_bool(true);
        return Ok(Returns(1));
    }
    let timeout = handle.core.timeout(lua, 2);
    let operation = operation(
        &lua,
        handle,
        Request::Lock,
        0,
        timeout,
        &SocketAddress::empty(),
    );
    queue(lua, operation, timeout)
}

/// `mutex:unlock()`
pub fn unlock(_: Lua, handle: &Handle) -> Outcome {
    if !handle.turns.is_taken() {
        return Err("unlock of unlocked mutex".into());
    }
    handle.turns.pass_on();
    Ok(Returns(0))
}
