//! `sys.sh`: runs a command to its end as one parked operation that collects
//! both streams side by side, under one time limit.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};
use std::ptr;

use nix::errno::Errno;

use super::calls;
use super::child::Child;
use crate::core::runtime::Runtime;
use crate::core::{Alarm, Cause, Core, Interest, Nanoseconds, Parked, Step};
use crate::lua::{Error, Functions, Lua, Outcome, UserData};

/// Bytes asked for at once, and reads in a row before others get their turn.
const PIECE: usize = 16384;
const READS: usize = 16;

/// How long a command may take to end after SIGTERM, and after SIGKILL.
const GRACE: Nanoseconds = 200_000_000;
const LAST_WAIT: Nanoseconds = 1_000_000_000;

/// One output stream of the command.
#[repr(C)]
struct Stream {
    alarm: Alarm,
    shell: Cell<*const Shell>,
    /// -1 once it has ended.
    fd: Cell<c_int>,
    bytes: RefCell<Vec<u8>>,
    /// Why it could not be read to its end; 0 when it could.
    failure: Cell<c_int>,
}

crate::alarm!(Stream);

impl Stream {
    fn new(fd: c_int) -> Stream {
        Stream {
            alarm: Alarm::of::<Stream>(),
            shell: Cell::new(ptr::null()),
            fd: Cell::new(fd),
            bytes: RefCell::default(),
            failure: Cell::new(0),
        }
    }

    fn is_open(&self) -> bool {
        self.fd.get() >= 0
    }

    fn watch(&self, core: Core) {
        if let Err(errno) = Runtime::of(core).watch(&self.alarm, self.fd.get()) {
            self.failure.set(errno as c_int);
            self.close(core);
        }
    }

    fn close(&self, core: Core) {
        core.clear_alarm(&self.alarm);
        calls::close(self.fd.replace(-1));
    }

    /// Takes what there is; true when the stream has ended.
    fn collect(&self) -> bool {
        let mut bytes = self.bytes.borrow_mut();
        for _ in 0..READS {
            bytes.reserve(PIECE);
            match calls::read_into(self.fd.get(), bytes.spare_capacity_mut()) {
                Ok(0) => return true,
                Ok(count) => {
                    let length = bytes.len() + count;
                    // SAFETY: that many more bytes were just written.
                    unsafe { bytes.set_len(length) };
                }
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    self.failure.set(errno as c_int);
                    return true;
                }
            }
        }
        false
    }

    fn fire(&self, _lua: Lua) {
        // SAFETY: the stream is part of the shell, which clears the alarm
        // before it goes.
        let shell = unsafe { &*self.shell.get() };
        if self.collect() {
            self.close(shell.core);
            shell.core.wake(&shell.parked, Cause::WAKE);
        } else {
            self.watch(shell.core);
        }
    }

    /// Pushes what was collected. May raise.
    fn push(&self, lua: Lua) -> Result<(), Error> {
        lua.try_push_bytes(&self.bytes.borrow())
    }
}

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// SIGTERM was sent.
    Asked,
    /// SIGKILL was sent.
    Killed,
}

/// A running command. The userdata's user value is the child.
#[repr(C)]
pub struct Shell {
    parked: Parked,
    core: Core,
    child: *const Child,
    streams: [Stream; 2],
    phase: Cell<Phase>,
    /// The caller wants to know how it ended.
    with_status: bool,
}

crate::operation!(Shell);

impl Shell {
    /// Collects the output of the child on top of the stack and waits for its
    /// end, as the last act of a call. May raise.
    pub fn run(
        lua: Lua,
        core: Core,
        child: &Child,
        timeout: Nanoseconds,
        with_status: bool,
    ) -> Outcome {
        let slot = lua.reserve::<Shell>(1, core.pointer());
        // Only now: nothing is owned when the line above raises.
        let [stdout, stderr] = child.take_streams();
        let shell = slot.fill(Shell {
            parked: Parked::new::<Shell>(),
            core,
            child,
            streams: [Stream::new(stdout), Stream::new(stderr)],
            phase: Cell::new(Phase::Running),
            with_status,
        });
        lua.push_value(-2);
        lua.set_user_value(-2, 1);
        let outcome = core.park(lua, &shell.parked, -1, Interest::NONE, timeout)?;
        child.add_waiter(&shell.parked);
        for stream in &shell.streams {
            stream.shell.set(shell);
            stream.watch(core);
        }
        if shell.is_complete() {
            core.wake(&shell.parked, Cause::WAKE);
        }
        Ok(outcome)
    }

    fn child(&self) -> &Child {
        // SAFETY: the user value keeps the child at least as long as this.
        unsafe { &*self.child }
    }

    fn is_complete(&self) -> bool {
        self.child().has_ended() && !self.streams.iter().any(Stream::is_open)
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        let expired = cause.has(Cause::TIMEOUT);
        match self.phase.get() {
            Phase::Running if self.is_complete() => return self.finish(lua),
            Phase::Running if expired => {
                self.close_streams();
                if self.ask(libc::SIGTERM, Phase::Asked, GRACE) {
                    return Step::Pending;
                }
            }
            Phase::Asked if expired => {
                if self.ask(libc::SIGKILL, Phase::Killed, LAST_WAIT) {
                    return Step::Pending;
                }
            }
            Phase::Asked | Phase::Killed if expired || self.child().has_ended() => {}
            _ => return Step::Pending,
        }
        self.abandon();
        lua.push_nil();
        lua.push_nil();
        lua.push_str("timeout");
        Step::Done(3)
    }

    /// Sends a signal and gives the child time to end; false when it has.
    fn ask(&self, signal: i32, phase: Phase, time: Nanoseconds) -> bool {
        self.phase.set(phase);
        let sent = self.child().signal(signal).is_ok();
        if sent {
            self.core.restart_timeout(&self.parked, time);
        }
        sent
    }

    /// Results of a command that has ended.
    fn finish(&self, lua: Lua) -> Step {
        self.abandon();
        for stream in &self.streams {
            let failure = stream.failure.get();
            if failure != 0 {
                // nil for each stream from here on, and why.
                lua.push_nil();
                if ptr::eq(stream, &self.streams[0]) {
                    lua.push_nil();
                }
                lua.push_error_text(failure);
                return Step::Done(3);
            }
            if let Err(error) = stream.push(lua) {
                lua.raise(error);
            }
        }
        if !self.with_status {
            return Step::Done(2);
        }
        lua.push_nil();
        self.child().push_status(lua);
        Step::Done(4)
    }

    fn close_streams(&self) {
        for stream in &self.streams {
            stream.close(self.core);
        }
    }

    fn abandon(&self) {
        self.close_streams();
        self.child().remove_waiter(&self.parked);
    }
}

impl UserData for Shell {
    const NAME: &'static CStr = c"eco.shell";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _lua: Lua) {
        self.core.forget(&self.parked);
        self.abandon();
    }
}
