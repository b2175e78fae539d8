//! Signal listeners. All listeners of a signal share one signalfd and each
//! hears every delivery; the signal is blocked from the first listener's
//! opening to the last one's closing.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::unistd::read;

use super::calls::{open_signalfd, signal_set};
use crate::core::runtime::Runtime;
use crate::core::{Alarm, Cause, Core, Interest, Parked, Step};
use crate::lua::{ffi, method, Functions, Lua, Outcome, Returns, UserData};

/// Registry field of the table from signal numbers to their sources.
const SOURCES: &CStr = c"eco.signals";

/// What the kernel writes per signal (`struct signalfd_siginfo`).
const RECORD: usize = 128;

/// A signal somebody listens to.
#[repr(C)]
struct Source {
    alarm: Alarm,
    core: Core,
    signal: c_int,
    /// The process that opened it: a forked child starts with its own.
    process: u32,
    fd: RefCell<Option<OwnedFd>>,
    /// Each removes itself before it goes.
    listeners: RefCell<Vec<*const Listener>>,
}

crate::alarm!(Source);

impl Source {
    /// Pushes the source of `signal`, opened if need be. The inner error is
    /// for the caller's caller, nothing is pushed then. May raise.
    fn push<'a>(lua: Lua, core: Core, signal: c_int) -> Result<&'a Source, Errno> {
        if lua.get_field(ffi::LUA_REGISTRYINDEX, SOURCES) != ffi::LUA_TTABLE {
            lua.pop(1);
            lua.push_table(0, 1);
            lua.push_value(-1);
            lua.set_field(ffi::LUA_REGISTRYINDEX, SOURCES);
        }
        lua.raw_get_index(-1, i64::from(signal));
        if let Some(source) = lua.userdata::<Source>(-1) {
            if source.fd.borrow().is_some() && source.process == std::process::id() {
                lua.remove(-2);
                return Ok(source);
            }
        }
        lua.pop(1);
        let source = lua.reserve::<Source>(0, core.pointer()).fill(Source {
            alarm: Alarm::of::<Source>(),
            core,
            signal,
            process: std::process::id(),
            fd: RefCell::new(None),
            listeners: RefCell::default(),
        });
        lua.push_value(-1);
        lua.raw_set_index(-3, i64::from(signal));
        lua.remove(-2);
        match source.open() {
            Ok(()) => Ok(source),
            Err(errno) => {
                lua.pop(1);
                Err(errno)
            }
        }
    }

    /// Blocks the signal and watches for it.
    fn open(&self) -> Result<(), Errno> {
        let set = signal_set([self.signal])?;
        let fd = open_signalfd(&set)?;
        Runtime::of(self.core).watch(&self.alarm, fd.as_raw_fd())?;
        *self.fd.borrow_mut() = Some(fd);
        set.thread_block()
    }

    /// Stops watching and lets the signal through again.
    fn close(&self) {
        self.core.clear_alarm(&self.alarm);
        let was_open = self.fd.borrow_mut().take().is_some();
        if was_open && self.process == std::process::id() {
            if let Ok(set) = signal_set([self.signal]) {
                // Cannot fail: the set is a local and the operation is known.
                let _ = set.thread_unblock();
            }
        }
    }

    fn fire(&self, _lua: Lua) {
        let mut heard = false;
        if let Some(fd) = &*self.fd.borrow() {
            let mut record = [0; RECORD];
            while read(fd, &mut record).is_ok_and(|count| count > 0) {
                heard = true;
            }
            // Fails only for want of memory in the kernel; the signal is then
            // no longer heard, like any other it has no memory for.
            let _ = Runtime::of(self.core).watch(&self.alarm, fd.as_raw_fd());
        }
        if heard {
            for listener in &*self.listeners.borrow() {
                // SAFETY: listeners remove themselves before they go.
                let listener = unsafe { &**listener };
                listener.pending.set(true);
                self.core.wake(&listener.parked, Cause::WAKE);
            }
        }
    }
}

impl UserData for Source {
    const NAME: &'static CStr = c"eco.signal";
    const METHODS: Functions = &[];

    fn finalise(&self, _lua: Lua) {
        self.close();
    }
}

/// One listener; its own operation. The user value is the source.
#[repr(C)]
pub struct Listener {
    parked: Parked,
    core: Core,
    /// Null once closed.
    source: Cell<*const Source>,
    /// The signal came since the last callback.
    pending: Cell<bool>,
    /// The loop is kept going by it.
    holding: Cell<bool>,
}

crate::operation!(Listener);

impl Listener {
    /// Pushes a listener and the number of the signalfd; or gives why not.
    /// May raise.
    pub fn open(lua: Lua, core: Core, signal: c_int) -> Result<(), Errno> {
        // First, so that a listener that cannot be made leaves nothing open.
        let listener = lua.reserve::<Listener>(1, core.pointer()).fill(Listener {
            parked: Parked::new::<Listener>(),
            core,
            source: Cell::new(ptr::null()),
            pending: Cell::new(false),
            holding: Cell::new(false),
        });
        let source = Source::push(lua, core, signal)?;
        lua.set_user_value(-2, 1);
        listener.source.set(source);
        source.listeners.borrow_mut().push(listener);
        let fd = source.fd.borrow().as_ref().map_or(-1, AsRawFd::as_raw_fd);
        lua.push_integer(i64::from(fd));
        Ok(())
    }

    fn source(&self) -> Option<&Source> {
        // SAFETY: the user value keeps the source as long as the listener.
        unsafe { self.source.get().as_ref() }
    }

    fn let_go(&self) {
        if self.holding.replace(false) {
            self.core.hold(-1);
        }
    }

    /// Ends the listener; the last one closes the source.
    fn shut(&self) {
        self.pending.set(false);
        if let Some(source) = self.source() {
            self.source.set(ptr::null());
            let mut listeners = source.listeners.borrow_mut();
            listeners.retain(|&other| !ptr::eq(other, self));
            if listeners.is_empty() {
                source.close();
            }
        }
    }

    /// Result of `next` if there is one already.
    fn outcome(&self) -> Option<bool> {
        if self.source().is_none() {
            return Some(false);
        }
        self.pending.replace(false).then_some(true)
    }

    fn poll(&self, lua: Lua, _cause: Cause) -> Step {
        match self.outcome() {
            None => Step::Pending,
            Some(result) => {
                self.let_go();
                lua.push_bool(result);
                Step::Done(1)
            }
        }
    }

    fn abandon(&self) {
        self.let_go();
    }

    /// `next()`: waits for the signal; true when it came, false when closed.
    fn next(lua: Lua, this: &Listener) -> Outcome {
        if let Some(result) = this.outcome() {
            lua.push_bool(result);
            return Ok(Returns(1));
        }
        this.core.check_idle(&this.parked, -1, Interest::NONE)?;
        let outcome = this.core.park(lua, &this.parked, -1, Interest::NONE, 0)?;
        this.holding.set(true);
        this.core.hold(1);
        Ok(outcome)
    }

    /// `close()`.
    fn close(_: Lua, this: &Listener) -> Outcome {
        this.shut();
        this.core.wake(&this.parked, Cause::CANCEL);
        Ok(Returns(0))
    }
}

impl UserData for Listener {
    const NAME: &'static CStr = c"eco.listener";
    const METHODS: Functions = &[
        (c"next", method(Listener::next)),
        (c"close", method(Listener::close)),
        (c"cancel", method(Listener::close)),
    ];

    fn finalise(&self, _lua: Lua) {
        self.core.forget(&self.parked);
        self.let_go();
        self.shut();
    }
}

/// In a forked child: lets every signal through that listeners of the parent
/// have blocked.
pub fn unblock_all(lua: Lua) {
    if lua.get_field(ffi::LUA_REGISTRYINDEX, SOURCES) == ffi::LUA_TTABLE {
        lua.push_nil();
        while lua.next(-2) {
            if let Some(source) = lua.userdata::<Source>(-1).filter(|source| source.fd.borrow().is_some()) {
                if let Ok(set) = signal_set([source.signal]) {
                    // Cannot fail: the set is a local and the operation is known.
                    let _ = set.thread_unblock();
                }
            }
            lua.pop(1);
        }
    }
    lua.pop(1);
}
