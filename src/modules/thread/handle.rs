//! `thread.spawn` and what it gives.

use std::cell::RefCell;
use std::ffi::{c_int, CStr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::body::Begin;
use super::local::Local;
use super::wait::{self, Goal};
use super::{passing, refuse, settle};
use crate::abi::Core;
use crate::functions;
use crate::lua::{ffi, method, Error, Functions, Lua, Outcome, Returns, UserData, Word};
use crate::states::state::Inheritance;
use crate::states::thread::{Grip, Plan, Thread};
use crate::states::{Share, Shareable, Shared};

/// C stack of a thread: what is not used costs address space only.
const STACK: usize = 1 << 20;
const LEAST_STACK: i64 = 64 << 10;
/// Less than that is not enough for the standard libraries.
const LEAST_MEMORY: i64 = 256 << 10;
/// How long a state that closes waits for its threads: one that is in a C
/// function cannot be told to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer names are cut.
const LONGEST_NAME: usize = 64;
/// User value: the wait of who joins.
const JOINING: c_int = 1;

/// A thread, as scripts have it.
pub struct Handle(Local<Grip>);

impl Handle {
    fn thread(&self) -> &Arc<Thread> {
        self.0.thread()
    }

    /// `t:join([timeout])` -> the results of its function; nil and an error.
    fn join(lua: Lua, this: &Handle) -> Outcome {
        let timeout = lua.wait_timeout(2, None)?;
        if this.0.is_forked() {
            return refuse(lua, this.0.core(), "canceled");
        }
        if is_own(lua, this.thread()) {
            return Err("a thread cannot join itself".into());
        }
        if let Some(outcome) = this.thread().outcome() {
            let pushed = passing::push_outcome(lua, &outcome);
            drop(outcome);
            return settle(lua, this.0.core(), pushed?);
        }
        if timeout == Some(0) {
            return refuse(lua, this.0.core(), "timeout");
        }
        wait::push(lua, this.0.core(), 1, JOINING);
        let goal = Goal::Join(Arc::clone(this.thread()));
        wait::park(lua, this.0.core(), goal, timeout)
    }

    /// `t:cancel()`.
    fn cancel(lua: Lua, this: &Handle) -> Outcome {
        if is_own(lua, this.thread()) && is_main(lua) {
            return Err("the main thread cannot be canceled".into());
        }
        if !this.0.is_forked() {
            this.thread().cancel();
        }
        Ok(Returns(0))
    }

    /// `t:is_running()`.
    fn is_running(lua: Lua, this: &Handle) -> Outcome {
        lua.push_bool(!this.0.is_forked() && this.thread().is_running());
        Ok(Returns(1))
    }

    fn told(lua: Lua, this: &Handle) -> Outcome {
        let is_running = !this.0.is_forked() && this.thread().is_running();
        lua.told(&[
            Word::Text(b"eco.thread.thread ("),
            Word::Text(this.thread().name()),
            Word::Text(if is_running {
                b", running)"
            } else {
                b", ended)"
            }),
        ])
    }

    /// `t:name()`.
    fn name(lua: Lua, this: &Handle) -> Outcome {
        lua.push_bytes(this.thread().name());
        Ok(Returns(1))
    }
}

/// What tells threads apart.
fn address(thread: &Arc<Thread>) -> *const () {
    Arc::as_ptr(thread).cast()
}

impl UserData for Handle {
    const NAME: &'static CStr = c"eco.thread.thread";
    const METHODS: Functions = functions! {
        join: method(Handle::join),
        cancel: method(Handle::cancel),
        is_running: method(Handle::is_running),
        name: method(Handle::name),
        __tostring: method(Handle::told),
    };
}

impl Share for Grip {
    const NAME: &'static CStr = Handle::NAME;

    fn push(this: &Arc<Grip>, lua: Lua) {
        push(lua, this.thread());
    }
}

impl Shareable for Handle {
    fn shared(&self) -> Option<Shared> {
        (!self.0.is_forked()).then(|| Shared::new(Arc::new(Grip::clone(&self.0))))
    }
}

/// Pushes the handle of a thread. May raise.
fn push(lua: Lua, thread: &Arc<Thread>) {
    if passing::push_known(lua, address(thread)) {
        return;
    }
    let core = Threads::core(lua);
    let slot = lua.reserve::<Handle>(1, core.pointer());
    slot.fill(Handle(Local::new(core, Grip::new(thread))));
    passing::make_known(lua, address(thread));
}

/// What a state has to do with threads.
pub struct Threads {
    core: Core,
    process: u32,
    /// Its own, and whether it is one that was spawned.
    own: Arc<Thread>,
    is_main: bool,
    /// Those it has spawned, the ended ones until there are many.
    spawned: RefCell<Vec<Arc<Thread>>>,
}

/// Registry field.
const THREADS: &CStr = c"eco.thread.threads";
/// Threads that are remembered until ended ones are looked for.
const FEW: usize = 16;

impl Threads {
    /// That of the state, which is of `own` or else the main one. May raise.
    pub fn open(lua: Lua, core: Core, own: Option<&Arc<Thread>>) {
        if lua.get_field(ffi::LUA_REGISTRYINDEX, THREADS) == ffi::LUA_TUSERDATA {
            return lua.pop(1);
        }
        lua.pop(1);
        lua.reserve::<Threads>(0, core.pointer()).fill(Threads {
            core,
            process: core.process(),
            own: own.map_or_else(|| Thread::new(b"main".to_vec()), Arc::clone),
            is_main: own.is_none(),
            spawned: RefCell::default(),
        });
        lua.set_field(ffi::LUA_REGISTRYINDEX, THREADS);
    }

    /// The core of the state, which has loaded the module.
    pub fn core(lua: Lua) -> Core {
        let threads = push_threads(&lua).map(|threads| threads.core);
        lua.pop(1);
        match threads {
            Ok(core) => core,
            Err(error) => lua.raise(error),
        }
    }

    /// Remembers a thread; false when there is no memory for that.
    fn add(&self, thread: &Arc<Thread>) -> bool {
        let mut spawned = self.spawned.borrow_mut();
        if spawned.len() == spawned.capacity().max(FEW) {
            spawned.retain(|thread| !thread.has_ended());
        }
        if spawned.try_reserve(1).is_err() {
            return false;
        }
        spawned.push(Arc::clone(thread));
        true
    }
}

impl UserData for Threads {
    const NAME: &'static CStr = c"struct eco_threads *";
    const METHODS: Functions = Functions::NONE;

    /// The state closes: so do those of its threads.
    fn finalise(&self, _lua: Lua) {
        let spawned = self.spawned.take();
        if self.process != std::process::id() {
            return std::mem::forget(spawned);
        }
        let start = Instant::now();
        for pause in [Duration::from_secs(1), PATIENCE] {
            for thread in &spawned {
                thread.cancel();
            }
            for thread in &spawned {
                thread.await_end(pause.saturating_sub(start.elapsed()));
            }
        }
    }
}

/// Pushes what the state has to do with threads, and gives it.
fn push_threads(lua: &Lua) -> Result<&Threads, Error> {
    lua.get_field(ffi::LUA_REGISTRYINDEX, THREADS);
    lua.expect_userdata::<Threads>(-1)
}

fn is_own(lua: Lua, thread: &Arc<Thread>) -> bool {
    let own = push_threads(&lua).is_ok_and(|threads| Arc::ptr_eq(&threads.own, thread));
    lua.pop(1);
    own
}

fn is_main(lua: Lua) -> bool {
    let main = push_threads(&lua).is_ok_and(|threads| threads.is_main);
    lua.pop(1);
    main
}

/// `self()` -> the handle of the thread that calls.
pub fn own(lua: Lua) -> Outcome {
    lua.set_top(0);
    let threads = push_threads(&lua)?;
    push(lua, &threads.own);
    Ok(Returns(1))
}

/// The bytes that the option on top asks for, popped; `default` for nil.
fn size(lua: Lua, default: usize, least: i64) -> Result<usize, Error> {
    let asked = lua.to_integer(-1);
    let given = !lua.is_none_or_nil(-1);
    lua.pop(1);
    match asked {
        _ if !given => Ok(default),
        Some(asked) if asked >= least => Ok(usize::try_from(asked).unwrap_or(usize::MAX)),
        _ => Err(Error::argument(1, "a size is too small, or no number")),
    }
}

/// `spawn([options, ] f, ...)` -> handle, or nil and a message.
pub fn spawn(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    let (mut memory, mut stack, mut first) = (0, STACK, 1);
    if lua.type_of(1) == ffi::LUA_TTABLE {
        first = 2;
        lua.expect_options(1, "name memory stack");
        lua.get_field(1, c"memory");
        memory = size(lua, 0, LEAST_MEMORY)?;
        lua.get_field(1, c"stack");
        stack = size(lua, STACK, LEAST_STACK)?;
    }
    lua.expect(first, ffi::LUA_TFUNCTION)?;
    let last = lua.top();
    if first == 2 && lua.get_field(1, c"name") != ffi::LUA_TNIL {
        lua.string(-1)?;
    } else {
        lua.push_str("thread");
    }
    let threads = push_threads(&lua)?;
    // The thread is Lua's before anything else may raise.
    lua.reserve::<Handle>(1, core.pointer())
        .fill(Handle(Local::new(core, {
            let name = lua.to_bytes(last + 1);
            let length = name.len().min(LONGEST_NAME);
            Grip::new(&Thread::new(name[..length].to_vec()))
        })));
    let handle = lua.top();
    let this = lua.expect_userdata::<Handle>(handle)?;
    passing::make_known(lua, address(this.thread()));
    let started = {
        let message = passing::message(lua, first, last + 1 - first)?;
        match Inheritance::of(lua) {
            Some(inheritance) if threads.add(this.thread()) => this.thread().start(Plan {
                inheritance,
                memory,
                stack,
                body: Begin { message },
            }),
            _ => Err(Errno::ENOMEM),
        }
    };
    match started {
        Ok(()) => {
            lua.set_top(handle);
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}
