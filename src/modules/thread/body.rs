//! What runs in the state of a thread: a function that came in a message, under
//! the state's own scheduler.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ptr;
use std::sync::Arc;

use super::handle::Threads;
use super::passing;
use crate::abi::Core;
use crate::lua::{ffi, function, Error, Lua, Outcome as Results, Returns};
use crate::states::state::OwnState;
use crate::states::thread::{failure_of, Body, Failure, Grip, Outcome, Thread};
use crate::states::{Message, Shared};

/// A function and its arguments.
pub struct Begin {
    pub message: Message,
}

/// Calls the function, and tells what it gives.
const CALL: &str = "local tell = ... return function(f, ...) tell(f(...)) end";

/// What a function has given.
type Told = RefCell<Option<Message>>;

impl Body for Begin {
    fn run(self, thread: &Arc<Thread>, state: &OwnState) -> Outcome {
        let lua = state.lua();
        let told = Told::new(None);
        match run(lua, thread, self.message, &told) {
            Err(error) => Outcome::Failed(failure_of(lua, error)),
            Ok(()) => match (passing::take_failure(lua), told.into_inner()) {
                (Some(failure), _) => Outcome::Failed(failure),
                (None, Some(message)) => Outcome::Returned(message),
                // SIGINT, say, has stopped the loop.
                (None, None) => {
                    thread.stopped();
                    Outcome::Failed(Failure::new("canceled"))
                }
            },
        }
    }

    fn grip(object: &Shared) -> Option<&Grip> {
        object.get()
    }
}

/// Runs it all to the end. An error value is on top if this fails.
fn run(lua: Lua, thread: &Arc<Thread>, message: Message, told: &Told) -> Result<(), Error> {
    let core = RefCell::new(None);
    lua.protect(0, &(thread, &core), |lua, (thread, core)| {
        if let Ok(opened) = prepare(lua, thread) {
            core.replace(Some(opened));
        }
    })?;
    let Some(core) = core.into_inner() else {
        return Err(
            "eco.thread and eco come from different versions of lua-eco: update both".into(),
        );
    };
    match thread.control(core) {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        Err(_) => return Err("not enough memory".into()),
    }
    let place = lua.top();
    let decoded = passing::push_message(lua, &message);
    drop(message);
    let count = decoded?;
    let failed = RefCell::new(None);
    lua.protect_with(
        count,
        0,
        &(core, told, &failed),
        |lua, (core, told, failed)| {
            lua.push_chunk(c"=eco.thread", CALL);
            lua.push_pointer(ptr::from_ref::<Told>(told).cast());
            lua.push_closure(function(tell), 1);
            lua.call(1, 1);
            lua.insert(1);
            let outcome = core.main_loop(lua, lua.top() - 1);
            failed.replace(outcome.err());
        },
    )?;
    lua.set_top(place);
    match failed.into_inner() {
        Some(errno) => {
            lua.protect(1, &errno, |lua, errno| lua.push_errno(*errno))?;
            Err(Error::raised())
        }
        None => Ok(()),
    }
}

/// Loads this module. May raise.
fn prepare(lua: Lua, thread: &Arc<Thread>) -> Result<Core, Error> {
    let core = Core::open(lua, "eco.thread")?;
    core.contain(lua);
    Threads::open(lua, core, Some(thread));
    lua.get_field(ffi::LUA_REGISTRYINDEX, c"_LOADED");
    super::open(lua)?;
    lua.set_field(-2, c"eco.thread");
    lua.pop(1);
    Ok(core)
}

/// `tell(...)`: what the function has given.
fn tell(lua: Lua) -> Results {
    // SAFETY: the place outlives the state's loop.
    let told = unsafe { &*lua.to_userdata(Lua::upvalue(1)).cast::<Told>() };
    let message = passing::message(lua, 1, lua.top())?;
    told.replace(Some(message));
    Ok(Returns(0))
}
