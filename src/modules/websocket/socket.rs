//! One WebSocket: what is received of it, and what coroutines wait for meanwhile.
//! Sending is in [`super::sending`]; the protocol is in [`crate::websocket`].

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};

use nix::sys::socket::{shutdown, Shutdown};

use super::sending::Sending;
use crate::abi::attempt::{self, Attempt, End, Try, Waiting};
use crate::abi::{
    monotonic, Cause, Core, Host, Interest, Nanoseconds, Reader, Transfer, Turns, Writer,
};
use crate::lua::{Functions, Lua, Outcome, UserData};
use crate::system::random;
use crate::websocket::close::{Violation, ABNORMAL, NO_CODE};
use crate::websocket::frame::{Key, BINARY, TEXT};
use crate::websocket::outbox::Outbox;
use crate::websocket::receiver::{Receiver, Step};

/// User values: what keeps reader and writer alive.
pub const READER: c_int = 1;
pub const WRITER: c_int = 2;

/// Bytes asked of the stream at once at least.
const READ_AHEAD: usize = 4096;
/// What has to come for a frame under way to have its full time again.
const PROGRESS: usize = 1024;
/// After a violation: how long, and how many bytes, are read away so that the peer learns why.
const LINGER: Nanoseconds = 2_000_000_000;
const LINGER_BYTES: usize = 1 << 20;
/// Memory that is kept for the next message; also what is handed over without more ado.
const SMALL: usize = 512;

/// What the script chose.
#[derive(Clone, Copy)]
pub struct Settings {
    pub client: bool,
    /// Messages may be packed.
    pub packs: bool,
    /// Bytes of a frame's payload, and of a message.
    pub frame: u64,
    pub message: u64,
    /// Times, 0 for none.
    pub frame_timeout: Nanoseconds,
    pub send_timeout: Nanoseconds,
    pub ping_interval: Nanoseconds,
    pub ping_timeout: Nanoseconds,
}

/// What a call wants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Any frame.
    Frame,
    /// A whole message; control frames are dealt with.
    Message,
    /// The peer's close frame; what comes before it is dropped.
    Close,
}

/// How far a call got.
enum Progress {
    Wait(Interest),
    Moved,
    Frame(Step),
    /// Opcode of a message in the receiver.
    Message(u8),
    /// Both ends have said that it is over.
    Closed,
    /// The stream has ended.
    Ended,
    Violated(Violation),
    /// The reader has the text.
    Failed,
    Because(&'static str),
}

/// A WebSocket; its header is that of the call that receives.
#[repr(C)]
pub struct Socket {
    waiting: Waiting,
    pub reader: Reader,
    pub writer: Writer,
    pub settings: Settings,
    receiver: RefCell<Receiver>,
    pub outbox: RefCell<Outbox>,
    pub turns: Turns<Sending>,
    /// The call that receives has the turn to send: answers to control frames.
    answering: Cell<bool>,
    goal: Cell<Goal>,
    direction: Cell<Interest>,
    /// When the call ends, and when a frame under way has taken too long; 0 for never.
    deadline: Cell<Nanoseconds>,
    stalled: Cell<Nanoseconds>,
    /// Bytes since the latter was set.
    moved: Cell<usize>,
    /// When something was last heard of the peer, and asked, if there was no answer.
    heard: Cell<Nanoseconds>,
    asked: Cell<Nanoseconds>,
    /// After a violation: when reading away ends (0: it does not go on), and what is left of it.
    linger_end: Cell<Nanoseconds>,
    linger: Cell<usize>,
}

crate::attempt!(Socket);

impl UserData for Socket {
    const NAME: &'static CStr = c"struct eco_websocket *";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _: Lua) {
        self.core().forget(&self.waiting.parked);
    }
}

impl Socket {
    /// One over a reader and a writer that something else keeps alive.
    pub fn new(core: Core, reader: Reader, writer: Writer, settings: Settings) -> Socket {
        Socket {
            waiting: Waiting::new::<Socket>(core),
            reader,
            writer,
            settings,
            receiver: RefCell::new(Receiver::new(!settings.client, settings.packs)),
            outbox: RefCell::default(),
            turns: Turns::new(),
            answering: Cell::new(false),
            goal: Cell::new(Goal::Frame),
            direction: Cell::new(Interest::READ),
            deadline: Cell::new(0),
            stalled: Cell::new(0),
            moved: Cell::new(0),
            heard: Cell::new(monotonic()),
            asked: Cell::new(0),
            linger_end: Cell::new(0),
            linger: Cell::new(LINGER_BYTES),
        }
    }

    pub fn core(&self) -> Core {
        self.waiting.host
    }

    /// The key for the next frame to the peer; None where frames are not masked.
    pub fn key(&self) -> Option<Key> {
        let mut key = Key::default();
        if !self.settings.client {
            return None;
        }
        random::fill(&mut key);
        Some(key)
    }

    /// Receives, as the tail of a method. May raise.
    pub fn receive(&self, lua: Lua, goal: Goal, timeout: Nanoseconds) -> Outcome {
        self.waiting.check_idle()?;
        self.reader.check_idle()?;
        self.goal.set(goal);
        self.stalled.set(0);
        self.deadline.set(match goal {
            Goal::Frame => 0,
            Goal::Message | Goal::Close => after(timeout),
        });
        attempt::start(self, lua, timeout)
    }

    /// A close frame waits to be sent while a coroutine receives: it has that
    /// much time from now on. False when none does.
    pub fn hurry(&self, timeout: Nanoseconds) -> bool {
        if !self.core().is_parked(&self.waiting.parked) {
            return false;
        }
        if self.deadline.get() == 0 || after(timeout) < self.deadline.get() {
            self.deadline.set(after(timeout));
        }
        self.waiting.refresh();
        self.wake();
        true
    }

    /// Lets the call that receives look again, if there is one.
    pub fn wake(&self) {
        self.core().wake(&self.waiting.parked, Cause::WAKE);
    }

    /// Goes on; at most one system call moves anything.
    fn advance(&self) -> Progress {
        if let Some(progress) = self.answer() {
            return progress;
        }
        if self.linger_end.get() != 0 {
            return self.drain();
        }
        let limit = match self.goal.get() {
            Goal::Frame => self.settings.frame,
            Goal::Message | Goal::Close => self.settings.message,
        };
        let step = {
            let mut receiver = self.receiver.borrow_mut();
            if receiver.closed.is_some() {
                return Progress::Closed;
            }
            if let Some(violation) = receiver.violation {
                return Progress::Violated(violation);
            }
            let (used, step) = self.reader.peek(|input| receiver.step(input, limit));
            self.reader.consume(used);
            step
        };
        match step {
            Ok(Step::Need(count)) => self.fill(count),
            Ok(step) => {
                self.stalled.set(0);
                self.understood(step)
            }
            Err(violation) => {
                self.outbox
                    .borrow_mut()
                    .close(&violation.code().to_be_bytes());
                self.linger_end.set(after(LINGER));
                Progress::Moved
            }
        }
    }

    /// What a step means to the call.
    fn understood(&self, step: Step) -> Progress {
        let goal = self.goal.get();
        if goal == Goal::Frame {
            return Progress::Frame(step);
        }
        let mut receiver = self.receiver.borrow_mut();
        match step {
            Step::Message(_, opcode) if goal == Goal::Message => return Progress::Message(opcode),
            Step::Message(..) => receiver.data = Vec::new(),
            Step::Ping => self.outbox.borrow_mut().pong(&receiver.control),
            Step::Close(_) => {
                let code = receiver.control.get(..2).unwrap_or_default();
                self.outbox.borrow_mut().close(code);
            }
            Step::Pong | Step::Fragment(_) | Step::Need(_) => {}
        }
        Progress::Moved
    }

    /// Reads once.
    fn fill(&self, count: usize) -> Progress {
        match self.reader.fill(count.max(READ_AHEAD)) {
            Transfer::Moved(0) => Progress::Ended,
            Transfer::Moved(count) => {
                let moved = self.moved.get().saturating_add(count);
                self.moved.set(moved);
                if moved >= PROGRESS {
                    self.stalled.set(0);
                }
                if self.settings.ping_interval > 0 {
                    self.heard.set(monotonic());
                    self.asked.set(0);
                }
                Progress::Moved
            }
            Transfer::Blocked(direction) => {
                if self.reader.buffered() == 0 {
                    // Gives the empty buffer back.
                    self.reader.fill(0);
                    if !self.receiver.borrow().is_under_way() {
                        return Progress::Wait(direction);
                    }
                }
                self.stall();
                Progress::Wait(direction)
            }
            Transfer::Failed => Progress::Failed,
        }
    }

    /// The time of a frame under way begins, unless it runs.
    fn stall(&self) {
        if self.stalled.get() == 0 {
            self.moved.set(0);
            self.stalled.set(after(self.settings.frame_timeout));
        }
    }

    /// Sends control frames that wait; None when there is nothing to do, or whoever
    /// has the turn does it.
    fn answer(&self) -> Option<Progress> {
        if !self.answering.get() {
            if !self.outbox.borrow().has_waiting() || !self.turns.take() {
                return None;
            }
            self.answering.set(true);
        }
        match self.send_waiting() {
            Transfer::Blocked(direction) => {
                self.stall();
                return Some(Progress::Wait(direction));
            }
            Transfer::Moved(count) => {
                let mut outbox = self.outbox.borrow_mut();
                outbox.advance(count);
                if outbox.is_empty() && !outbox.has_waiting() {
                    drop(outbox);
                    self.stop_answering();
                }
            }
            // What reading gives will tell.
            Transfer::Failed => {
                self.outbox.borrow_mut().give_up();
                self.stop_answering();
            }
        }
        Some(Progress::Moved)
    }

    /// Sends once what is on its way, or else of the control frames that wait.
    fn send_waiting(&self) -> Transfer {
        let mut outbox = self.outbox.borrow_mut();
        if outbox.is_empty() && outbox.put_waiting(self.key()).is_err() {
            return Transfer::Failed;
        }
        self.writer.send(outbox.rest())
    }

    fn stop_answering(&self) {
        if self.answering.replace(false) {
            self.turns.pass_on();
        }
    }

    /// After a violation: says that no more comes, and reads away what does. Closing
    /// upon unread bytes would destroy the close frame on its way.
    fn drain(&self) -> Progress {
        let violation = self
            .receiver
            .borrow()
            .violation
            .unwrap_or(Violation::Memory);
        let gone = self.reader.buffered();
        self.reader.consume(gone);
        let left = self.linger.get().saturating_sub(gone);
        let first = self.linger.replace(left) == LINGER_BYTES;
        let sent = {
            let outbox = self.outbox.borrow();
            outbox.is_empty() && !outbox.has_waiting()
        };
        if first && sent && shutdown(self.reader.fd(), Shutdown::Write).is_err() || left == 0 {
            self.linger_end.set(0);
            return Progress::Violated(violation);
        }
        match self.reader.fill(READ_AHEAD) {
            Transfer::Blocked(direction) => Progress::Wait(direction),
            Transfer::Moved(count) if count > 0 => Progress::Moved,
            _ => {
                self.linger_end.set(0);
                Progress::Violated(violation)
            }
        }
    }

    /// Tells the engine that waits, or pushes the results. May raise.
    fn tell(&self, lua: Lua, progress: Progress) -> Try {
        match progress {
            Progress::Wait(direction) => {
                self.direction.set(direction);
                return Try::Again(direction);
            }
            Progress::Moved => return Try::Moved,
            _ => self.stop_answering(),
        }
        let goal = self.goal.get();
        match progress {
            Progress::Message(opcode) => return self.hand_over(lua, opcode, None),
            Progress::Frame(Step::Message(opcode, _)) => {
                return self.hand_over(lua, opcode, Some(false))
            }
            Progress::Frame(Step::Fragment(opcode)) => {
                return self.hand_over(lua, opcode, Some(true))
            }
            Progress::Frame(step) => return self.hand_over_control(lua, step),
            Progress::Closed if goal == Goal::Close => {
                lua.push_bool(true);
                return Try::Done(1);
            }
            _ => {}
        }
        lua.push_nil();
        if goal == Goal::Frame {
            lua.push_nil();
            lua.push_str(self.stage(&progress));
        }
        match progress {
            Progress::Violated(violation) => lua.push_str(violation.text()),
            Progress::Failed => self.reader.push_error(lua),
            Progress::Because(text) => lua.push_str(text),
            _ => lua.push_str("closed"),
        }
        match (goal, progress) {
            (Goal::Frame, _) => {
                lua.concat(2);
                Try::Done(3)
            }
            (Goal::Message, Progress::Closed) => {
                let mut reason = [0; SMALL];
                let (code, length) = {
                    let receiver = self.receiver.borrow();
                    let text = receiver.control.get(2..).unwrap_or_default();
                    for (place, byte) in reason.iter_mut().zip(text) {
                        *place = *byte;
                    }
                    (receiver.closed.unwrap_or(NO_CODE), text.len())
                };
                lua.push_integer(code.into());
                lua.push_bytes(reason.get(..length).unwrap_or_default());
                Try::Done(4)
            }
            (Goal::Message, Progress::Ended) => {
                lua.push_integer(ABNORMAL.into());
                lua.push_str("");
                Try::Done(4)
            }
            _ => Try::Done(2),
        }
    }

    /// How far a frame got that was not received, in words; nothing for violations.
    fn stage(&self, progress: &Progress) -> &'static str {
        if let Progress::Violated(_) = progress {
            return "";
        }
        if self.receiver.borrow().in_payload() {
            return "failed to read masking-len and payload: ";
        }
        self.reader.peek(|input| match input {
            [_, second, rest @ ..] => match second & 0x7f {
                126 if rest.len() < 2 => "failed to receive the 2 byte payload length: ",
                127 if rest.len() < 8 => "failed to receive the 8 byte payload length: ",
                _ => "failed to read masking-len and payload: ",
            },
            _ => "failed to receive the first 2 bytes: ",
        })
    }

    /// Pushes the data that lies in the receiver and its type, for a frame
    /// also whether the message goes on; behind them true when it is packed. May raise.
    fn hand_over(&self, lua: Lua, opcode: u8, goes_on: Option<bool>) -> Try {
        let mut small = [0; SMALL];
        let (large, length, packed) = {
            let mut receiver = self.receiver.borrow_mut();
            let packed = receiver.packed;
            let length = receiver.data.len();
            match small.get_mut(..length) {
                Some(place) => {
                    place.copy_from_slice(&receiver.data);
                    receiver.data.clear();
                    if receiver.data.capacity() > SMALL {
                        receiver.data = Vec::new();
                    }
                    (Vec::new(), length, packed)
                }
                None => (std::mem::take(&mut receiver.data), length, packed),
            }
        };
        if large.is_empty() {
            lua.push_bytes(small.get(..length).unwrap_or_default());
        } else {
            let pushed = lua.try_push_bytes(&large);
            drop(large);
            if pushed.is_err() {
                // The error value is on top.
                lua.push_nil();
                lua.insert(-2);
                if goes_on.is_some() {
                    lua.push_nil();
                    lua.insert(-2);
                }
                return Try::Done(2 + c_int::from(goes_on.is_some()));
            }
        }
        lua.push_str(match opcode {
            TEXT => "text",
            BINARY => "binary",
            _ => "continuation",
        });
        match goes_on {
            None => {}
            Some(true) => lua.push_str("again"),
            Some(false) => lua.push_nil(),
        }
        if packed {
            lua.push_bool(true);
        }
        Try::Done(2 + c_int::from(goes_on.is_some()) + c_int::from(packed))
    }

    /// Pushes a control frame. May raise.
    fn hand_over_control(&self, lua: Lua, step: Step) -> Try {
        let mut payload = [0; SMALL];
        let length = {
            let receiver = self.receiver.borrow();
            let skip = if let Step::Close(_) = step { 2 } else { 0 };
            let bytes = receiver.control.get(skip..).unwrap_or_default();
            for (place, byte) in payload.iter_mut().zip(bytes) {
                *place = *byte;
            }
            bytes.len()
        };
        lua.push_bytes(payload.get(..length).unwrap_or_default());
        lua.push_str(match step {
            Step::Ping => "ping",
            Step::Pong => "pong",
            _ => "close",
        });
        match step {
            Step::Close(code) if code != NO_CODE => lua.push_integer(code.into()),
            _ => lua.push_nil(),
        }
        Try::Done(3)
    }

    /// When the peer is to be asked whether it is there, or its answer is due.
    fn ping_due(&self) -> Option<Nanoseconds> {
        let Settings {
            ping_interval,
            ping_timeout,
            ..
        } = self.settings;
        if ping_interval == 0 || self.goal.get() != Goal::Message {
            return None;
        }
        Some(match self.asked.get() {
            0 => self.heard.get().saturating_add(ping_interval),
            asked => asked.saturating_add(ping_timeout),
        })
    }

    /// What the end of a wait means.
    fn timed_out(&self) -> Progress {
        let now = monotonic();
        let over = |at: &Cell<Nanoseconds>| at.get() != 0 && now >= at.get();
        if self.linger_end.get() != 0 {
            self.linger_end.set(0);
            return Progress::Violated(
                self.receiver
                    .borrow()
                    .violation
                    .unwrap_or(Violation::Memory),
            );
        }
        if self.goal.get() == Goal::Frame || over(&self.deadline) || over(&self.stalled) {
            return Progress::Because("timeout");
        }
        if self.ping_due().is_some_and(|due| now >= due) {
            if self.asked.get() != 0 {
                return Progress::Because("ping timeout");
            }
            self.asked.set(now);
            self.outbox.borrow_mut().ping();
        }
        Progress::Moved
    }
}

/// So much later than now; 0 for never.
fn after(time: Nanoseconds) -> Nanoseconds {
    match time {
        0 => 0,
        time => monotonic().saturating_add(time),
    }
}

impl Attempt for Socket {
    type Host = Core;

    fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    fn fd(&self) -> c_int {
        self.reader.fd()
    }

    fn direction(&self) -> Interest {
        self.direction.get()
    }

    fn attempt(&self, lua: Lua) -> Try {
        self.tell(lua, self.advance())
    }

    fn end(&self, lua: Lua, end: End) -> Try {
        let progress = match end {
            End::Canceled => Progress::Because("canceled"),
            End::Timeout => self.timed_out(),
        };
        self.tell(lua, progress)
    }

    /// The first of all that may end the wait.
    fn limit(&self) -> Nanoseconds {
        let silence = match self.goal.get() {
            Goal::Frame => self.waiting.limit(),
            Goal::Message | Goal::Close => 0,
        };
        let mut first = Nanoseconds::MAX;
        for at in [
            self.deadline.get(),
            self.stalled.get(),
            self.linger_end.get(),
            self.ping_due().unwrap_or(0),
        ] {
            if at != 0 {
                first = first.min(at);
            }
        }
        if first == Nanoseconds::MAX {
            return silence;
        }
        let left = (first - monotonic()).max(1);
        if silence == 0 {
            left
        } else {
            left.min(silence)
        }
    }

    fn drop_request(&self) {
        self.stop_answering();
    }
}
