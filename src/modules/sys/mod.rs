//! `eco.sys`: processes, signals, users. `eco.internal.sys` holds the plain
//! functions and constants; `eco.sys` adds what yields and its objects, and
//! falls through to it.

mod child;
mod constants;
mod exec;
mod status;

use std::ffi::{c_int, CStr};
use std::mem::MaybeUninit;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::time::{clock_gettime, ClockId};
use nix::unistd::{getpid, getppid, sysconf, SysconfVar};

use child::{Child, NO_STREAMS};
use exec::program;
use status::{has_ended, push_status};

use crate::abi::{fair, Core};
use crate::core::runtime::Runtime;
use crate::functions;
use crate::lua::{ffi, function, Error, Functions, Lua, Outcome, Returns};
use crate::lua_source;
use crate::system::program::{Bond, Manner, Stream};
use crate::system::{fd, process, signal, user};

/// Opens `eco.internal.sys`.
pub fn open_internal(lua: Lua) -> Outcome {
    let core = Runtime::open(lua)?;
    lua.push_module(FUNCTIONS, core.pointer());
    for (which, name) in NUMBERS.iter().enumerate() {
        lua.push_pointer(core.pointer());
        lua.push_integer(which as i64);
        lua.push_closure(function(number), 2);
        lua.set_field(-2, name);
    }
    let tables = [
        constants::SIGNALS,
        constants::ERRORS,
        constants::MISSPELT,
        constants::ODD,
    ];
    for table in tables {
        lua.set_constants(table);
    }
    Ok(Returns(1))
}

/// Opens `eco.sys`.
pub fn open(lua: Lua) -> Outcome {
    let core = Runtime::open(lua)?;
    lua.push_chunk(c"=eco.sys", lua_source!("sys.lua"));
    lua.require(c"eco");
    lua.require(c"eco.internal.sys");
    lua.push_module(PARTS, core.pointer());
    lua.call(3, 1);
    Ok(Returns(1))
}

const FUNCTIONS: Functions = functions! {
    strerror: function(error_text),
    getpwnam: function(getpwnam),
    kill: function(kill),
    waitpid: function(fair(waitpid)),
    fork: function(fork),
    prctl: function(prctl),
    sigprocmask: function(sigprocmask),
    signalfd: function(signalfd),
    exec: function(exec),
};

/// What `sys.lua` builds on.
const PARTS: Functions = functions! {
    exec: function(fair(start)),
    fork: function(fork_tracked),
    close: function(close),
    listen: function(listen),
    leave: function(leave),
};

/// The functions that [`number`] stands for, by its second upvalue.
const NUMBERS: [&CStr; 4] = [c"uptime", c"getpid", c"getppid", c"get_nprocs"];

/// `uptime()` -> whole seconds since boot, `getpid()`, `getppid()`,
/// `get_nprocs()` -> processors online.
fn number(lua: Lua) -> Outcome {
    lua.push_integer(match lua.to_integer(Lua::upvalue(2)) {
        // Every Linux has this clock.
        Some(0) => clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| time.tv_sec() as i64),
        Some(1) => i64::from(getpid().as_raw()),
        Some(2) => i64::from(getppid().as_raw()),
        _ => sysconf(SysconfVar::_NPROCESSORS_ONLN)
            .ok()
            .flatten()
            .unwrap_or(1) as i64,
    });
    Ok(Returns(1))
}

/// `strerror(number)`.
fn error_text(lua: Lua) -> Outcome {
    lua.push_error_text(lua.int(1)?);
    Ok(Returns(1))
}

/// `getpwnam(name)` -> table.
fn getpwnam(lua: Lua) -> Outcome {
    let found = match user::find(lua.c_string(1)?, lua.push_room(user::ROOM)) {
        Ok(Some(found)) => found,
        Ok(None) => return lua.fail("not found"),
        Err(errno) => return lua.fail_errno(errno),
    };
    lua.push_table(0, 6);
    for (field, text) in [
        (c"username", found.name),
        (c"password", found.password),
        (c"home", found.home),
        (c"shell", found.shell),
    ] {
        lua.set_bytes(-1, field, text.to_bytes());
    }
    lua.set_integer(-1, c"uid", i64::from(found.uid));
    lua.set_integer(-1, c"gid", i64::from(found.gid));
    Ok(Returns(1))
}

/// `kill(pid, signal)`.
fn kill(lua: Lua) -> Outcome {
    lua.done(process::kill(lua.int(1)?, lua.int(2)?))
}

/// `waitpid(pid)` -> pid, status; `0, {}` when nothing changed.
fn waitpid(lua: Lua) -> Outcome {
    match process::wait_for(lua.int(1)?, libc::WUNTRACED) {
        Ok(None) => {
            lua.push_integer(0);
            lua.push_table(0, 0);
        }
        Ok(Some((pid, status))) => {
            if has_ended(status) {
                // One of ours: whoever waits for it hears of it as well.
                if let Some(child) = Child::find(&lua, pid) {
                    child.finish(lua, Some(status));
                }
            }
            lua.push_integer(i64::from(pid));
            push_status(lua, status);
        }
        Err(errno) => return lua.fail_errno(errno),
    }
    Ok(Returns(2))
}

/// `fork()` -> pid of the child, 0 in the child.
fn fork(lua: Lua) -> Outcome {
    match process::fork(false) {
        Ok(pid) => {
            lua.push_integer(i64::from(pid));
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `prctl(option, argument)`.
fn prctl(lua: Lua) -> Outcome {
    let (option, argument) = (lua.int(1)?, lua.int(2)?);
    if option != libc::PR_SET_PDEATHSIG {
        return lua.fail("unsupported option");
    }
    let signal = match argument {
        0 => Ok(None),
        number => Signal::try_from(number).map(Some),
    };
    lua.done(signal.and_then(nix::sys::prctl::set_pdeathsig))
}

/// Adds the signals in arguments from `first` on to the set.
fn add_signals(
    lua: Lua,
    first: c_int,
    set: &mut libc::sigset_t,
) -> Result<Result<(), Errno>, Error> {
    for index in first..=lua.top() {
        if let Err(errno) = signal::add_signal(set, lua.int(index)?) {
            return Ok(Err(errno));
        }
    }
    Ok(Ok(()))
}

/// `sigprocmask(how, signal...)`.
fn sigprocmask(lua: Lua) -> Outcome {
    let how = lua.int(1)?;
    let mut set = signal::no_signals();
    let added = add_signals(lua, 2, &mut set)?;
    lua.done(added.and_then(|()| signal::change_mask(how, &set)))
}

/// `signalfd(signal...)` -> fd.
fn signalfd(lua: Lua) -> Outcome {
    if lua.top() == 0 {
        return Err(Error::argument(1, "invalid argument"));
    }
    for index in 1..=lua.top() {
        // The kernel takes these and never delivers them.
        if matches!(lua.int(index)?, libc::SIGKILL | libc::SIGSTOP) {
            return Err(Error::argument(index, "the signal cannot be caught"));
        }
    }
    let mut set = signal::no_signals();
    match add_signals(lua, 1, &mut set)?.and_then(|()| signal::open_signalfd(&set)) {
        Ok(fd) => {
            Core::of_any(lua).fd_reset(fd);
            lua.push_integer(i64::from(fd));
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// How the program of the table at 1 is to be started, if that is one. What it
/// borrows stays in the table.
fn manner(lua: &Lua) -> Result<Manner<'_>, Error> {
    let mut manner = Manner::USUAL;
    if lua.type_of(1) != ffi::LUA_TTABLE {
        return Ok(manner);
    }
    // Command and environment.
    lua.set_top(2);
    // For `sh` it is a string.
    let kind = lua.get_field(1, c"group");
    if kind == ffi::LUA_TSTRING {
        manner.bond = Bond::Bound;
    } else if lua.to_bool(-1) {
        manner.bond = Bond::OwnGroup;
    }
    lua.get_field(1, c"session");
    manner.has_session = lua.to_bool(-1);
    lua.pop(2);
    let names = [c"stdin", c"stdout", c"stderr"];
    for (stream, name) in manner.streams.iter_mut().zip(names) {
        match lua.get_field(1, name) {
            ffi::LUA_TNIL => {}
            ffi::LUA_TBOOLEAN if !lua.to_bool(-1) => *stream = Stream::Null,
            _ => match lua.to_integer(-1).and_then(|fd| c_int::try_from(fd).ok()) {
                Some(fd) if fd >= 0 => *stream = Stream::Fd(fd),
                _ => {
                    return Err(Error::argument(
                        1,
                        "a stream is neither a descriptor nor false",
                    ))
                }
            },
        }
        lua.pop(1);
    }
    if lua.get_field(1, c"cwd") != ffi::LUA_TNIL {
        // It stays on the stack.
        manner.folder = Some(lua.c_string(-1)?);
    }
    Ok(manner)
}

/// Starts the program that the arguments name and pushes its record, above what
/// keeps its folder.
#[inline(never)]
fn launch(lua: &Lua) -> Result<Result<(&Child, Option<Errno>), Errno>, Error> {
    let manner = manner(lua)?;
    let program = program(lua)?;
    let child = Child::push(lua, Core::of(*lua));
    match program.start(&manner) {
        Ok(started) => {
            let leads = manner.bond != Bond::SameGroup;
            child.begin(started.pid, started.streams, leads);
            Ok(Ok((child, started.failure)))
        }
        Err(errno) => {
            child.release(*lua);
            Ok(Err(errno))
        }
    }
}

/// `exec(...)` -> pid, stdout fd, stderr fd: the caller owns the fds.
fn exec(lua: Lua) -> Outcome {
    let child = match launch(&lua)? {
        Ok((child, _)) => child,
        Err(errno) => return lua.fail_errno(errno),
    };
    lua.push_integer(i64::from(child.pid()));
    for stream in child.take_streams() {
        lua.push_integer(i64::from(stream));
    }
    Ok(Returns(3))
}

/// `exec(...)` of objects -> child, pid, stdout fd, stderr fd, their readers, nil
/// each where there is no pipe; why no program runs, or nil.
fn start(lua: Lua) -> Outcome {
    let (child, failure) = match launch(&lua)? {
        Ok(started) => started,
        Err(errno) => return lua.fail_errno(errno),
    };
    lua.push_integer(i64::from(child.pid()));
    let fds = child.streams();
    for fd in fds {
        if fd >= 0 {
            lua.push_integer(i64::from(fd));
        } else {
            lua.push_nil();
        }
    }
    for fd in fds {
        if fd >= 0 {
            Core::of(lua).new_reader(lua, fd);
        } else {
            lua.push_nil();
        }
    }
    match failure {
        Some(errno) => lua.push_errno(errno),
        None => lua.push_nil(),
    }
    Ok(Returns(7))
}

/// `fork()` of `spawn`: child, pid in the parent; nil, 0 in the child, with no
/// output of the parent waiting to be written.
fn fork_tracked(lua: Lua) -> Outcome {
    let child = Child::push(&lua, Core::of(lua));
    match process::fork(true) {
        Ok(0) => {
            Child::forget_all(lua);
            lua.push_nil();
            lua.push_integer(0);
            Ok(Returns(2))
        }
        Ok(pid) => {
            child.begin(pid, NO_STREAMS, false);
            lua.push_integer(i64::from(pid));
            Ok(Returns(2))
        }
        Err(errno) => {
            child.release(lua);
            lua.fail_errno(errno)
        }
    }
}

/// `close(fd, reader)`: ends what waits on the reader of a signalfd, takes the
/// signals that have come, and closes the fd.
fn close(lua: Lua) -> Outcome {
    let fd = lua.int(1)?;
    let mut record = [MaybeUninit::uninit(); 128];
    while fd::read(fd, &mut record).is_ok_and(|bytes| !bytes.is_empty()) {}
    if let Some(reader) = Core::of(lua).reader_at(lua, 2) {
        reader.close();
    }
    let _ = fd::close(fd);
    Core::of_any(lua).fd_reset(fd);
    Ok(Returns(0))
}

/// `listen(signal)`: from now on no thread of the process dies of it.
fn listen(lua: Lua) -> Outcome {
    lua.done(signal::listen(lua.int(1)?))
}

/// `leave(signal)`: the end of that.
fn leave(lua: Lua) -> Outcome {
    signal::leave(lua.int(1)?);
    Ok(Returns(0))
}
