//! The queue of fibers that are ready: first in, first out, and all of them run
//! before the loop polls for anything.
//!
//! A fiber is a coroutine that `eco.run` has started. Where it waits as any other
//! does, the scheduler resumes it; where it yields, or waits for another fiber,
//! it is resumed from here, by the one coroutine that drains the queue. The table
//! of fibers that Lua has keeps each of them until it ends.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::{c_int, CStr};

use crate::abi::Core;
use crate::lua::{ffi, function, Functions, Lua, Outcome, Returns, State, UserData};

/// A fiber whose turn it will be, and how many values on top of its stack it
/// is to get.
#[derive(Clone, Copy)]
struct Entry {
    thread: State,
    count: c_int,
}

#[derive(Default)]
struct Queue {
    entries: RefCell<VecDeque<Entry>>,
    /// The fiber that was resumed from here, as long as it runs.
    current: Cell<Option<State>>,
    /// The thread's own state is to go on: nobody runs after this pass.
    is_halted: Cell<bool>,
}

impl UserData for Queue {
    const NAME: &'static CStr = c"luv.queue";
    const METHODS: Functions = Functions::NONE;
}

/// Upvalues of the functions here.
const QUEUE: c_int = 2;
const FIBERS: c_int = 3;
const HOOKS: c_int = 4;

/// Adds the functions to the table on top: `yield`, `drain`, `ready`, `pending`,
/// `halt`, the table `fibers`, whose keys are the fibers, and `hooks`, whose function
/// `drive` sees to it that they are drained. May raise.
pub fn set_functions(lua: Lua, core: Core) {
    let table = lua.top();
    lua.push_table(0, 0);
    lua.push_value(-1);
    lua.set_field(table, c"fibers");
    lua.reserve::<Queue>(0, core.pointer())
        .fill(Queue::default());
    lua.push_table(0, 1);
    lua.push_value(-1);
    lua.set_field(table, c"hooks");
    for (name, function) in [
        (c"yield", yield_now as crate::lua::CFunction),
        (c"drain", drain),
        (c"ready", function(ready)),
        (c"pending", function(pending)),
        (c"halt", function(halt)),
    ] {
        lua.push_pointer(core.pointer());
        lua.push_value(table + 2);
        lua.push_value(table + 1);
        lua.push_value(table + 3);
        lua.push_closure(function, 4);
        lua.set_field(table, name);
    }
    lua.set_top(table);
}

/// The queue of the running function.
fn queue(lua: &Lua) -> &Queue {
    let block = lua.to_userdata(Lua::upvalue(QUEUE));
    // SAFETY: `set_functions` put a queue there, which the upvalue keeps.
    unsafe { &*block.cast::<Queue>() }
}

impl Queue {
    /// False when there is no memory for it.
    fn push(&self, thread: State, count: c_int) -> bool {
        let mut entries = self.entries.borrow_mut();
        if entries.len() == entries.capacity() && entries.try_reserve(1).is_err() {
            return false;
        }
        entries.push_back(Entry { thread, count });
        true
    }

    /// Whether the running coroutine is a fiber. May raise.
    fn is_fiber(&self, lua: Lua) -> bool {
        if self.current.get() == Some(lua.state()) {
            return true;
        }
        lua.push_thread();
        let found = lua.raw_get(Lua::upvalue(FIBERS)) != ffi::LUA_TNIL;
        lua.pop(1);
        found
    }
}

/// `coroutine.yield(...)`: a fiber goes to the end of the queue, and gets its own
/// arguments when it is resumed.
unsafe extern "C-unwind" fn yield_now(state: State) -> c_int {
    // SAFETY: Lua called us with a live thread; nothing here has a destructor when
    // Lua jumps. The values of a fiber stay on its stack, where resuming finds them.
    unsafe {
        let lua = Lua::new(state);
        let count = lua.top();
        let queue = queue(&lua);
        if !lua.is_yieldable() || !queue.is_fiber(lua) {
            return ffi::lua_yield(state, count);
        }
        if !queue.push(state, count) {
            lua.raise(lua.out_of_memory());
        }
        if queue.current.get() != Some(state) {
            lua.ensure(4);
            lua.get_field(Lua::upvalue(HOOKS), c"drive");
            lua.call(0, 0);
        }
        ffi::lua_yield(state, 0)
    }
}

/// `drain()`: runs all that are ready, those as well that become so meanwhile. An
/// error that a fiber leaves is raised.
unsafe extern "C-unwind" fn drain(state: State) -> c_int {
    // SAFETY: as above. The threads are alive: the table of fibers keeps them.
    unsafe {
        let lua = Lua::new(state);
        let queue = queue(&lua);
        loop {
            let pass = queue.entries.borrow().len();
            if pass == 0 {
                return 0;
            }
            for _ in 0..pass {
                let next = queue.entries.borrow_mut().pop_front();
                let Some(Entry { thread, count }) = next else {
                    break;
                };
                if ffi::lua_status(thread) != ffi::LUA_YIELD {
                    // Somebody else has closed or resumed it.
                    continue;
                }
                queue.current.set(Some(thread));
                let mut results = 0;
                let status = ffi::lua_resume(thread, state, count, &mut results);
                queue.current.set(None);
                if status == ffi::LUA_YIELD || status == ffi::LUA_OK {
                    if results > 0 {
                        ffi::lua_settop(thread, -results - 1);
                    }
                    continue;
                }
                ffi::lua_xmove(thread, state, 1);
                ffi::lua_error(state);
            }
            if queue.is_halted.get() {
                return 0;
            }
        }
    }
}

/// `ready(thread)`: puts a fiber that has yielded into the queue.
fn ready(lua: Lua) -> Outcome {
    let thread = lua.to_thread(1);
    lua.push_value(1);
    if thread.is_null() || lua.raw_get(Lua::upvalue(FIBERS)) == ffi::LUA_TNIL {
        return Err("not a fiber".into());
    }
    if !queue(&lua).push(thread, 0) {
        return Err(lua.out_of_memory());
    }
    Ok(Returns(0))
}

/// `pending()` -> whether a fiber is ready.
fn pending(lua: Lua) -> Outcome {
    let is_pending = !queue(&lua).entries.borrow().is_empty();
    lua.push_bool(is_pending);
    Ok(Returns(1))
}

/// `halt(boolean)`: whether draining is to end with the pass.
fn halt(lua: Lua) -> Outcome {
    queue(&lua).is_halted.set(lua.to_bool(1));
    Ok(Returns(0))
}
