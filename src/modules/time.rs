//! `eco.time`: the clock, sleeping, and timers that call back.
//!
//! A timer is an alarm of the scheduler. While it is set the registry holds
//! it, so that it needs no other owner; idle it is collected like any value.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, CStr};

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use std::os::fd::{IntoRawFd, OwnedFd};

use super::eco::sleep;
use crate::abi::{monotonic, wall_clock, Alarm, Clock, Core, Nanoseconds};
use crate::core::runtime::{is_new, Home, Runtime};
use crate::core::split;
use crate::lua::{
    checked_duration, ffi, function, method, Error, Functions, Lua, Outcome, Returns, UserData,
    Word,
};
use crate::lua::{push_method, set_own};
use crate::{constants, functions, lua_source};

#[cfg(target_env = "musl")]
const _: () = assert!(
    size_of::<libc::timespec>() == 16,
    "dates would end in 2038: pass RUSTFLAGS=--cfg=libc_unstable_musl_v1_2"
);

const FUNCTIONS: Functions = functions! {
    timer: function(timer),
    at: function(at),
    on: function(on),
    sleep: function(sleep),
};

const INTERNAL_FUNCTIONS: Functions = functions! {
    now: function(now),
    timerfd_create: function(timerfd_create),
    timerfd_settime: function(timerfd_settime),
};

/// Opens `eco.time`: what it lacks is looked up in the internal module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Runtime::open(lua)?;
    lua.push_module(FUNCTIONS, core.pointer());
    lua.push_table(0, 1);
    lua.require(c"eco.internal.time");
    lua.set_field(-2, c"__index");
    lua.set_metatable(-2);
    Ok(Returns(1))
}

/// Opens `eco.internal.time`. May raise.
pub fn open_internal(lua: Lua) -> Outcome {
    let core = Runtime::open(lua)?;
    lua.push_module(INTERNAL_FUNCTIONS, core.pointer());
    lua.set_constants(constants! { CLOCK_REALTIME CLOCK_MONOTONIC TFD_TIMER_ABSTIME });
    Ok(Returns(1))
}

/// `now()` -> seconds since the epoch.
fn now(lua: Lua) -> Outcome {
    // Lua divides: routers calculate with floats in software, and it has the routine.
    lua.push_integer(wall_clock());
    lua.push_integer(1_000_000_000);
    lua.divide();
    Ok(Returns(1))
}

// ---- timers --------------------------------------------------------------------

/// The user value that holds the callback; its arguments follow.
const CALLBACK: c_int = 1;
/// Most arguments a timer keeps.
const MOST_ARGUMENTS: c_int = 65_000;
/// What `set(0)` means.
const SOONEST: Nanoseconds = 1_000_000;

struct Timer {
    alarm: Alarm,
    core: Core,
    clock: Clock,
    arguments: c_int,
    /// Registry anchor while it is set.
    anchor: Cell<c_int>,
    closed: Cell<bool>,
}

/// Makes a timer of the callback at `index` and the arguments after it, and
/// leaves it on top. May raise.
fn create(lua: &Lua, index: c_int, clock: Clock) -> Result<&Timer, Error> {
    if lua.type_of(index) != ffi::LUA_TFUNCTION {
        return Err("assertion failed! the callback must be a function".into());
    }
    let arguments = lua.top() - index;
    if arguments > MOST_ARGUMENTS || !lua.ensure(arguments) {
        return Err("too many arguments".into());
    }
    let core = Core::of(*lua);
    let timer = lua
        .reserve::<Timer>(CALLBACK + arguments, core.pointer())
        .fill(Timer {
            alarm: Alarm::new(),
            core,
            clock,
            arguments,
            anchor: Cell::new(ffi::LUA_NOREF),
            closed: Cell::new(false),
        });
    for argument in 0..=arguments {
        lua.push_value(index + argument);
        lua.set_user_value(-2, CALLBACK + argument);
    }
    Ok(timer)
}

/// `timer(callback, ...)` -> timer.
fn timer(lua: Lua) -> Outcome {
    create(&lua, 1, Clock::Monotonic)?;
    Ok(Returns(1))
}

/// `at(delay, callback, ...)` -> timer, or nil and a message.
fn at(lua: Lua) -> Outcome {
    start(lua, Clock::Monotonic)
}

/// `on(date, callback, ...)` -> timer, or nil and a message.
fn on(lua: Lua) -> Outcome {
    start(lua, Clock::Wall)
}

fn start(lua: Lua, clock: Clock) -> Outcome {
    if lua.type_of(1) != ffi::LUA_TNUMBER {
        return Err("assertion failed! delay must be a number".into());
    }
    let timer = create(&lua, 2, clock)?;
    match timer.arm(lua, lua.top(), 1)? {
        Ok(()) => Ok(Returns(1)),
        Err(errno) => lua.fail_errno(errno),
    }
}

impl Timer {
    /// Sets the timer, which is at stack index `this`, for the delay or date
    /// at `index`. May raise.
    fn arm(&self, lua: Lua, this: c_int, index: c_int) -> Result<Result<(), Errno>, Error> {
        if lua.type_of(index) != ffi::LUA_TNUMBER {
            return Err("delay must be a number".into());
        }
        let Some(time) = checked_duration(lua.number(index)?) else {
            return Err("delay must be non-negative".into());
        };
        if self.anchor.get() == ffi::LUA_NOREF {
            lua.push_value(this);
            self.anchor.set(lua.reference());
        }
        let time = if time == 0 { SOONEST } else { time };
        let start = match self.clock {
            Clock::Wall => 0,
            _ => monotonic(),
        };
        let result = self
            .core
            .set_alarm(self, self.clock, start.saturating_add(time));
        if result.is_err() {
            self.disarm(lua);
        }
        if result == Err(Errno::ENOMEM) {
            return Err(lua.out_of_memory());
        }
        Ok(result)
    }

    fn disarm(&self, lua: Lua) {
        self.core.clear_alarm(&self.alarm);
        lua.unreference(self.anchor.replace(ffi::LUA_NOREF));
    }

    /// Starts a coroutine of the callback. The alarm is free already: the
    /// callback may set it again.
    fn fire(&self, lua: Lua) {
        // Raises at most for want of memory.
        if !lua.ensure(self.arguments + 6) {
            return self.disarm(lua);
        }
        lua.push_reference(self.anchor.get());
        self.disarm(lua);
        let timer = lua.absolute(-1);
        if self.take_thread(lua) {
            Home::of(self.core).spawn_thread(lua);
            lua.set_top(timer - 1);
            return;
        }
        lua.get_user_value(timer, CALLBACK);
        self.push_arguments(lua, timer);
        self.core.spawn(lua, self.arguments + 1);
        lua.pop(2);
    }

    /// `tmr:set(delay)` -> true, or nil and a message.
    fn set(lua: Lua, this: &Timer) -> Outcome {
        if this.closed.get() {
            return lua.fail("closed");
        }
        lua.done(this.arm(lua, 1, 2)?)
    }

    /// `tmr:cancel()`.
    fn cancel(lua: Lua, this: &Timer) -> Outcome {
        this.disarm(lua);
        Ok(Returns(0))
    }

    /// `tmr:close()`.
    fn close(lua: Lua, this: &Timer) -> Outcome {
        this.disarm(lua);
        this.closed.set(true);
        Ok(Returns(0))
    }

    fn told(lua: Lua, this: &Timer) -> Outcome {
        let state: &[u8] = if this.closed.get() {
            b"closed)"
        } else if this.anchor.get() == ffi::LUA_NOREF {
            b"not set)"
        } else {
            b"set)"
        };
        lua.told(&[Word::Text(b"eco.timer ("), Word::Text(state)])
    }

    /// Methods, and the fields of the original. There is no timerfd behind it.
    fn index(lua: Lua, this: &Timer) -> Outcome {
        match push_method(lua, &["tfd", "flags", "cb"]) {
            0 if !this.closed.get() => lua.push_integer(-1),
            1 => lua.push_integer(match this.clock {
                Clock::Wall => i64::from(libc::TFD_TIMER_ABSTIME),
                _ => 0,
            }),
            2 => {
                lua.get_user_value(1, CALLBACK);
            }
            _ => {}
        }
        Ok(Returns(1))
    }
}

crate::alarm!(Timer);

impl UserData for Timer {
    const NAME: &'static CStr = c"eco.timer";
    const METHODS: Functions = functions! {
        set: method(Timer::set),
        cancel: method(Timer::cancel),
        close: method(Timer::close),
        __index: method(Timer::index),
        __tostring: method(Timer::told),
        __newindex: function(set_own),
    };

    fn finalise(&self, lua: Lua) {
        self.disarm(lua);
    }
}

// ---- threads of timers that have not gone off -----------------------------------

/// Registry field of the table from timers to the threads that will run their
/// callbacks, made when somebody asks for them.
const THREADS: &CStr = c"eco.timer.threads";

/// Adds the threads of all timers that are set to the array of `length` threads
/// on top. May raise.
pub fn push_threads(lua: Lua, runtime: &Runtime, mut length: i64) {
    let mut slot = 0;
    while let Some((callback, next)) = runtime.next_armed(slot) {
        slot = next;
        let Some(timer) = callback.fires::<Timer>() else {
            continue;
        };
        // SAFETY: the registry keeps a timer while it is set.
        unsafe { &*timer }.push_thread(lua);
        length += 1;
        lua.raw_set_index(-2, length);
    }
}

/// Adds a table for each timer that is set to the array on top, which has `length`
/// values. May raise.
pub fn push_timers(lua: Lua, runtime: &Runtime, mut length: i64) {
    let mut slot = 0;
    while let Some((callback, next)) = runtime.next_armed(slot) {
        slot = next;
        let Some(timer) = callback.fires::<Timer>() else {
            continue;
        };
        lua.push_table(0, 6);
        // SAFETY: the registry keeps a timer while it is set.
        lua.push_reference(unsafe { &*timer }.anchor.get());
        lua.get_user_value(-1, CALLBACK);
        lua.set_field(-3, c"callback");
        lua.pop(1);
        lua.set_bytes(-1, c"state", b"waiting");
        lua.set_bytes(-1, c"waits", b"timer");
        lua.set_integer(-1, c"timeout", runtime.until_armed(next - 1));
        length += 1;
        lua.raw_set_index(-2, length);
    }
}

impl Timer {
    /// Pushes the arguments of the callback of this timer, at index `timer`.
    fn push_arguments(&self, lua: Lua, timer: c_int) {
        lua.push_value(timer);
        for argument in 1..=self.arguments {
            lua.get_user_value(timer, CALLBACK + argument);
        }
    }

    /// Pushes the thread that will run the callback. May raise.
    fn push_thread(&self, lua: Lua) {
        lua.push_reference(self.anchor.get());
        let timer = lua.top();
        if lua.get_field(ffi::LUA_REGISTRYINDEX, THREADS) != ffi::LUA_TTABLE {
            lua.pop(1);
            lua.push_table(0, 0);
            lua.push_table(0, 1);
            lua.set_bytes(-1, c"__mode", b"k");
            lua.set_metatable(-2);
            lua.push_value(-1);
            lua.set_field(ffi::LUA_REGISTRYINDEX, THREADS);
        }
        lua.push_value(timer);
        if !self.find_thread(lua) {
            let thread = lua.push_new_thread();
            if !lua.ensure(self.arguments + 6) {
                lua.raise("too many arguments".into());
            }
            lua.push_chunk(c"=eco.time", lua_source!("timer.lua"));
            lua.get_user_value(timer, CALLBACK);
            self.push_arguments(lua, timer);
            lua.call(self.arguments + 2, 1);
            lua.move_to(thread, 1);
            lua.push_value(timer);
            lua.push_value(-2);
            lua.raw_set(timer + 1);
        }
        lua.replace(timer);
        lua.set_top(timer);
    }

    /// Pushes the thread made for the timer on top, above the table of threads,
    /// if there is one that is as it was made.
    fn find_thread(&self, lua: Lua) -> bool {
        lua.push_value(-1);
        lua.raw_get(-3);
        let thread = lua.to_thread(-1);
        if !thread.is_null() && is_new(thread) {
            return true;
        }
        lua.pop(1);
        false
    }

    /// The same for the timer on top, which is about to use it.
    fn take_thread(&self, lua: Lua) -> bool {
        if lua.get_field(ffi::LUA_REGISTRYINDEX, THREADS) != ffi::LUA_TTABLE {
            lua.pop(1);
            return false;
        }
        lua.push_value(-2);
        let found = self.find_thread(lua);
        let timer = lua.top() - c_int::from(found);
        lua.push_value(timer);
        lua.push_nil();
        lua.raw_set(timer - 1);
        if !found {
            lua.set_top(timer - 2);
        }
        found
    }
}

// ---- raw timer descriptors -------------------------------------------------------

/// `timerfd_create(clock)` -> fd, or nil and a message.
fn timerfd_create(lua: Lua) -> Outcome {
    let clock = match lua.int(1)? {
        libc::CLOCK_REALTIME => ClockId::CLOCK_REALTIME,
        libc::CLOCK_MONOTONIC => ClockId::CLOCK_MONOTONIC,
        libc::CLOCK_BOOTTIME => ClockId::CLOCK_BOOTTIME,
        _ => return lua.fail_errno(Errno::EINVAL),
    };
    match TimerFd::new(clock, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK) {
        Ok(timer) => {
            let fd = OwnedFd::from(timer).into_raw_fd();
            Core::of_any(lua).fd_reset(fd);
            lua.push_integer(i64::from(fd));
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// Seconds at argument `index` as the kernel wants them; below zero they stay
/// wrong, for the kernel to refuse.
fn timespec(lua: Lua, index: c_int) -> Result<libc::timespec, Error> {
    let (seconds, rest) = match checked_duration(lua.number(index)?) {
        Some(time) => split(time),
        None => (-1, 0),
    };
    Ok(*TimeSpec::new(seconds as _, rest as _).as_ref())
}

/// `timerfd_settime(fd, flags, delay [, interval])` -> true, or nil and a message.
fn timerfd_settime(lua: Lua) -> Outcome {
    let (fd, flags) = (lua.int(1)?, lua.int(2)?);
    let delay = timespec(lua, 3)?;
    let interval = if lua.is_none_or_nil(4) {
        libc::timespec::default()
    } else {
        timespec(lua, 4)?
    };
    let setting = libc::itimerspec {
        it_interval: interval,
        it_value: delay,
    };
    // SAFETY: reads a local; the old setting is not asked for.
    let result = unsafe { libc::timerfd_settime(fd, flags, &setting, std::ptr::null_mut()) };
    lua.done(Errno::result(result).map(drop))
}
