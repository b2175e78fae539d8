//! `eco`: the scheduler as scripts see it.

use std::ffi::c_int;
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use std::os::fd::BorrowedFd;

use crate::abi::{Core, Interest};
use crate::core::runtime::{Home, Runtime};
use crate::core::stream::{Buffer, Io, Reader, Writer};
use crate::lua::{
    checked_duration, ffi, function, options, told, Constants, Error, Functions, Lua, Outcome,
    Returns,
};
use crate::system::fd::complain;
use crate::{constants, functions};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Runtime::open(lua)?;
    lua.push_module(FUNCTIONS, core.pointer());
    lua.set_bytes(-1, c"VERSION", env!("CARGO_PKG_VERSION").as_bytes());
    lua.set_constants(CONSTANTS);
    Ok(Returns(1))
}

const CONSTANTS: Constants = constants! {
    VERSION_MAJOR = number(env!("CARGO_PKG_VERSION_MAJOR"));
    VERSION_MINOR = number(env!("CARGO_PKG_VERSION_MINOR"));
    VERSION_PATCH = number(env!("CARGO_PKG_VERSION_PATCH"));
    READ = Interest::READ.0;
    WRITE = Interest::WRITE.0;
};

/// The number that a row of digits stands for.
const fn number(digits: &str) -> c_int {
    let (digits, mut value, mut at) = (digits.as_bytes(), 0, 0);
    while at < digits.len() {
        value = value * 10 + (digits[at] - b'0') as c_int;
        at += 1;
    }
    value
}

const FUNCTIONS: Functions = functions! {
    run: function(run),
    sleep: function(sleep),
    yield: function(yield_now),
    count: function(count),
    all: function(all),
    tasks: function(tasks),
    dump: function(dump),
    dump_on: function(dump_on),
    set_panic_hook: function(set_panic_hook),
    set_watchdog_timeout: function(set_watchdog_timeout),
    loop: function(run_loop),
    unloop: function(unloop),
    io: function(io),
    reader: function(reader),
    writer: function(writer),
    buffer: function(buffer),
    _kind: function(told::kind),
    _options: function(options::options),
    _resume: function(resume),
    resume: function(resume),
    _init: function(init),
    init: function(init),
    _set_sigchld_hook: function(set_child_hook),
};

fn runtime(lua: Lua) -> Home {
    Home::of(Core::of(lua))
}

/// The same for what is called very often, and finds out by itself when the
/// state is closing.
fn any_runtime(lua: Lua) -> Home {
    Home::of(Core::of_any(lua))
}

/// `run(f, ...)` -> thread.
fn run(lua: Lua) -> Outcome {
    lua.expect(1, ffi::LUA_TFUNCTION)?;
    runtime(lua).spawn(lua, lua.top() - 1);
    Ok(Returns(1))
}

/// `sleep(delay)`, in seconds. May be called in any coroutine.
pub fn sleep(lua: Lua) -> Outcome {
    match checked_duration(lua.number(1)?) {
        Some(delay) => any_runtime(lua).sleep(lua, delay),
        None => Err(Error::argument(
            1,
            "delay must be greater than or equal to 0",
        )),
    }
}

/// `yield()`: lets every other ready coroutine run first.
fn yield_now(lua: Lua) -> Outcome {
    any_runtime(lua).yield_now(lua)
}

/// `count()` -> number of live coroutines, and of timers about to start one.
fn count(lua: Lua) -> Outcome {
    lua.push_integer(i64::from(runtime(lua).count(lua)));
    Ok(Returns(1))
}

/// `all()` -> array of their threads.
fn all(lua: Lua) -> Outcome {
    let runtime = runtime(lua);
    let length = runtime.push_all(lua);
    #[cfg(feature = "time")]
    super::time::push_threads(lua, &runtime, length);
    #[cfg(not(feature = "time"))]
    let _ = length;
    Ok(Returns(1))
}

/// `tasks()` -> array of tables that tell what each coroutine waits for.
fn tasks(lua: Lua) -> Outcome {
    push_tasks(lua, false);
    Ok(Returns(1))
}

/// `dump()`: writes the same to standard error.
fn dump(lua: Lua) -> Outcome {
    push_tasks(lua, true);
    complain(lua.to_bytes(-1));
    Ok(Returns(0))
}

/// Pushes the list, as a table or as text. May raise.
fn push_tasks(lua: Lua, as_text: bool) {
    let runtime = runtime(lua);
    // Compiled each time: it is seldom asked for.
    lua.push_chunk(c"=eco.tasks", crate::lua_source!("tasks.lua"));
    let length = runtime.push_tasks(lua);
    #[cfg(feature = "time")]
    super::time::push_timers(lua, &runtime, length);
    #[cfg(not(feature = "time"))]
    let _ = length;
    lua.push_bool(as_text);
    lua.call(2, 1);
}

/// `dump_on(signal | nil)` -> true, or nil and a message: `dump()` whenever it comes.
fn dump_on(lua: Lua) -> Outcome {
    let signal = if lua.is_none_or_nil(1) {
        0
    } else {
        lua.int(1)?
    };
    if signal < 0 {
        return Err(Error::argument(1, "not a signal"));
    }
    lua.done(runtime(lua).dump_on(signal))
}

/// `set_panic_hook(f | nil)`.
fn set_panic_hook(lua: Lua) -> Outcome {
    let runtime = runtime(lua);
    let hook = runtime.panic_hook();
    if !lua.is_none_or_nil(1) && lua.type_of(1) != ffi::LUA_TFUNCTION {
        Runtime::set_hook(lua, hook, lua.top() + 1);
        lua.expect(1, ffi::LUA_TFUNCTION)?;
    }
    Runtime::set_hook(lua, hook, 1);
    Ok(Returns(0))
}

/// `set_watchdog_timeout(ms)`: 0 turns it off.
fn set_watchdog_timeout(lua: Lua) -> Outcome {
    if lua.type_of(1) != ffi::LUA_TNUMBER {
        return Err(Error::wrong_type(1, c"number"));
    }
    match lua.integer(1)? {
        limit @ 0..=5000 => {
            runtime(lua).set_watchdog(limit * 1_000_000);
            Ok(Returns(0))
        }
        _ => Err(Error::argument(1, "timeout must be in range [0, 5000]")),
    }
}

/// `loop()` -> true, or nil and a message.
fn run_loop(lua: Lua) -> Outcome {
    runtime(lua).run_loop(lua)
}

/// `unloop([inner])`.
fn unloop(lua: Lua) -> Outcome {
    runtime(lua).unloop(lua.to_bool(1));
    Ok(Returns(0))
}

/// `_resume(co)`: queues a coroutine that has not ended.
fn resume(lua: Lua) -> Outcome {
    let thread = lua.to_thread(1);
    if thread.is_null() {
        lua.expect(1, ffi::LUA_TTHREAD)?;
    }
    runtime(lua).resume_later(lua, thread)?;
    Ok(Returns(0))
}

/// `_init()`: starts anew in a forked child.
fn init(lua: Lua) -> Outcome {
    let runtime = runtime(lua);
    if runtime.process.get() == std::process::id() {
        return Err("eco._init() is only allowed in child process after fork()".into());
    }
    runtime.restart(lua);
    Ok(Returns(0))
}

/// `_set_sigchld_hook(f | nil)`: `f(pid, status)` for each child that ended.
fn set_child_hook(lua: Lua) -> Outcome {
    if !lua.is_none_or_nil(1) {
        lua.expect(1, ffi::LUA_TFUNCTION)?;
    }
    Runtime::set_hook(lua, &runtime(lua).child_hook, 1);
    Ok(Returns(0))
}

/// Argument 1 as an fd, made non-blocking; None after pushing `nil, message`.
fn descriptor(lua: Lua) -> Result<Result<i32, Errno>, Error> {
    let fd = lua.int(1)?;
    Ok(set_nonblocking(fd).map(|()| fd))
}

/// Sets O_NONBLOCK.
pub fn set_nonblocking(fd: i32) -> Result<(), Errno> {
    if fd < 0 {
        return Err(Errno::EBADF);
    }
    let fd = borrow(fd);
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    if !flags.contains(OFlag::O_NONBLOCK) {
        fcntl(fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    }
    Ok(())
}

/// A script's fd number for the length of one system call: a number that is
/// no open fd makes the call fail with EBADF, nothing worse.
#[allow(unsafe_code)]
pub fn borrow<'a>(fd: i32) -> BorrowedFd<'a> {
    // SAFETY: only used as a number, and never -1 (checked by callers).
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// `io(fd)` -> io object, or nil and a message.
fn io(lua: Lua) -> Outcome {
    match descriptor(lua)? {
        Ok(fd) => {
            let core = Core::of(lua);
            core.fd_reset(fd);
            Io::push(lua, core, fd);
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// Checks the optional native callback and its context.
fn callback(lua: Lua) -> Result<*mut std::ffi::c_void, Error> {
    if lua.is_none_or_nil(2) {
        return Ok(ptr::null_mut());
    }
    lua.expect(2, ffi::LUA_TLIGHTUSERDATA)?;
    Ok(lua.to_userdata(2))
}

/// `reader(fd [, read_function [, context]])` -> reader, or nil and a message.
#[allow(unsafe_code)]
fn reader(lua: Lua) -> Outcome {
    let read = callback(lua)?;
    match descriptor(lua)? {
        Ok(fd) => {
            let core = Core::of(lua);
            core.fd_reset(fd);
            // SAFETY: a native module passes the address of a ReadFunction;
            // null is None.
            let read =
                unsafe { std::mem::transmute::<*mut _, Option<crate::abi::ReadFunction>>(read) };
            Reader::push(lua, core, fd, read, lua.to_userdata(3));
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `writer(fd [, write_function [, context]])` -> writer, or nil and a message.
#[allow(unsafe_code)]
fn writer(lua: Lua) -> Outcome {
    let write = callback(lua)?;
    match descriptor(lua)? {
        Ok(fd) => {
            let core = Core::of(lua);
            core.fd_reset(fd);
            // SAFETY: a native module passes the address of a WriteFunction;
            // null is None.
            let write =
                unsafe { std::mem::transmute::<*mut _, Option<crate::abi::WriteFunction>>(write) };
            Writer::push(lua, core, fd, write, lua.to_userdata(3));
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `buffer([size])` -> buffer object.
fn buffer(lua: Lua) -> Outcome {
    let size = lua.integer_or(1, Buffer::DEFAULT_SIZE)?;
    let slot = lua.reserve::<Buffer>(0, Core::of(lua).pointer());
    slot.fill(Buffer::with_capacity(size)?);
    Ok(Returns(1))
}
