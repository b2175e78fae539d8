//! Sending: one frame after the other, each in one piece, whoever sends.
//!
//! A call tries at once. Only one that would block, or must wait for its turn,
//! makes a [`Sending`]: userdata in the frame of the call. One that gives up leaves
//! the rest of its frame to whoever comes next: the stream stays in step.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, CStr};

use super::socket::Socket;
use crate::abi::attempt::{self, Attempt, End, Try, Waiting};
use crate::abi::{Cause, Core, Host, InTurn, Interest, Nanoseconds, Transfer};
use crate::lua::{Functions, Lua, Outcome, UserData};
use crate::websocket::frame::CLOSE;

/// A frame to be sent; the payload is a string in a stack slot of the call.
#[derive(Clone, Copy)]
pub struct Frame {
    pub fin: bool,
    pub opcode: u8,
    pub payload: *const [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Holds nothing.
    Over,
    /// In the queue of its socket.
    Queued,
    /// It is its turn.
    Active,
}

/// How far one try got.
enum Sent {
    All,
    Some,
    Blocked(Interest),
    Failed,
    Because(&'static str),
}

/// One call that waits.
#[repr(C)]
pub struct Sending {
    waiting: Waiting,
    /// Kept reachable by the user value.
    socket: *const Socket,
    phase: Cell<Phase>,
    frame: Frame,
    /// Length of the frame once it is on its way, else 0.
    put: Cell<usize>,
    next: Cell<*const Sending>,
}

crate::attempt!(Sending);

impl UserData for Sending {
    const NAME: &'static CStr = c"struct eco_websocket_wait *";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _: Lua) {
        self.socket().core().forget(&self.waiting.parked);
        self.drop_request();
    }
}

impl Sending {
    fn socket(&self) -> &Socket {
        // SAFETY: the socket was made before this operation, which keeps it
        // reachable: it is collected later.
        unsafe { &*self.socket }
    }
}

impl InTurn for Sending {
    fn next(&self) -> &Cell<*const Sending> {
        &self.next
    }

    fn grant(&self) {
        self.phase.set(Phase::Active);
        self.waiting.refresh();
        self.socket().core().wake(&self.waiting.parked, Cause::WAKE);
    }
}

impl Attempt for Sending {
    type Host = Core;

    fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    fn fd(&self) -> c_int {
        self.socket().writer.fd()
    }

    fn direction(&self) -> Interest {
        Interest::WRITE
    }

    fn attempt(&self, lua: Lua) -> Try {
        if self.phase.get() == Phase::Queued {
            return Try::Again(Interest::NONE);
        }
        let socket = self.socket();
        // SAFETY: the call's frame, and the string in it, are there while it waits.
        match unsafe { step(socket, &self.frame, &self.put) } {
            Sent::Some => Try::Moved,
            Sent::Blocked(direction) => Try::Again(direction),
            other => {
                self.drop_request();
                Try::Done(push(lua, socket, &other, self.put.get()))
            }
        }
    }

    fn end(&self, lua: Lua, end: End) -> Try {
        self.drop_request();
        let why = match end {
            End::Canceled => "canceled",
            End::Timeout => "timeout",
        };
        Try::Done(push(lua, self.socket(), &Sent::Because(why), 0))
    }

    /// A place in the queue has no limit.
    fn limit(&self) -> Nanoseconds {
        match self.phase.get() {
            Phase::Queued => 0,
            _ => self.waiting.limit(),
        }
    }

    /// Ends the operation, however far it got.
    fn drop_request(&self) {
        let socket = self.socket();
        match self.phase.replace(Phase::Over) {
            Phase::Over => {}
            Phase::Queued => socket.turns.leave(self),
            Phase::Active => {
                socket.turns.pass_on();
                // Answers that came meanwhile go with the next frame, or by
                // whoever receives.
                if !socket.turns.is_taken() && socket.outbox.borrow().has_waiting() {
                    socket.wake();
                }
            }
        }
    }
}

/// Tries once, having the turn.
///
/// # Safety
///
/// The frame's payload is live.
unsafe fn step(socket: &Socket, frame: &Frame, put: &Cell<usize>) -> Sent {
    let mut outbox = socket.outbox.borrow_mut();
    if outbox.is_empty() {
        let result = if outbox.has_waiting() {
            outbox.put_waiting(socket.key())
        } else if outbox.closing {
            return Sent::Because("a close frame was sent");
        } else {
            // SAFETY: by the caller's promise.
            let payload = unsafe { &*frame.payload };
            outbox.closing = frame.opcode == CLOSE;
            outbox
                .put(frame.fin, frame.opcode, payload, socket.key())
                .map(|length| put.set(length))
        };
        if result.is_err() {
            return Sent::Because("not enough memory");
        }
    }
    match socket.writer.send(outbox.rest()) {
        Transfer::Moved(count) => {
            outbox.advance(count);
            if outbox.is_empty() && put.get() > 0 {
                Sent::All
            } else {
                Sent::Some
            }
        }
        Transfer::Blocked(direction) => Sent::Blocked(direction),
        Transfer::Failed => {
            outbox.give_up();
            Sent::Failed
        }
    }
}

/// Pushes the results of a call; gives their number. May raise.
fn push(lua: Lua, socket: &Socket, sent: &Sent, length: usize) -> c_int {
    if let Sent::All = sent {
        lua.push_integer(length as i64);
        return 1;
    }
    lua.push_nil();
    lua.push_str("failed to send frame: ");
    match sent {
        Sent::Because(why) => lua.push_str(why),
        _ => socket.writer.push_error(lua),
    }
    lua.concat(2);
    2
}

/// Sends a frame whose payload is in a slot of the running call, as its tail; the
/// socket is at stack index 1. May raise.
pub fn send(lua: Lua, socket: &Socket, frame: Frame) -> Outcome {
    let core = socket.core();
    let put = Cell::new(0);
    let taken = socket.turns.is_taken();
    if !taken {
        socket.writer.check_idle()?;
        // SAFETY: the payload is in a slot of this call.
        match unsafe { step(socket, &frame, &put) } {
            Sent::Some | Sent::Blocked(_) => {}
            sent => {
                let count = push(lua, socket, &sent, put.get());
                return Ok(Host::settle(core, lua, count));
            }
        }
    }
    let slot = lua.reserve::<Sending>(1, core.pointer());
    let operation = slot.fill(Sending {
        waiting: Waiting::new::<Sending>(core),
        socket,
        phase: Cell::new(Phase::Over),
        frame,
        put,
        next: Cell::new(std::ptr::null()),
    });
    lua.push_value(1);
    lua.set_user_value(-2, 1);
    if socket.turns.take() {
        operation.phase.set(Phase::Active);
    } else {
        operation.phase.set(Phase::Queued);
        socket.turns.join(operation);
    }
    let timeout: Nanoseconds = socket.settings.send_timeout;
    attempt::start(operation, lua, timeout)
}
