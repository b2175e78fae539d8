//! How a state with a scheduler of `eco`'s takes part: a coroutine of it waits for
//! what comes.

use std::ffi::{c_int, CStr};
use std::ptr;
use std::sync::Arc;

use super::context::Context;
use super::here::{self, Here};
use super::{engine::Engine, layer, pack, push_native};
use crate::abi::{Cause, Core, Host, Interest, Parked, Step};
use crate::lua::{Error, Functions, Lua, Outcome, Returns, UserData, FOREVER};
use crate::node::event::Event;
use crate::states::state::Inheritance;

/// The wait for the next event.
#[repr(C)]
struct Next {
    parked: Parked,
    core: Core,
    context: Arc<Context>,
}

crate::operation!(Next);

impl Next {
    /// An event, or the wait will be woken; an error when there is no memory for that.
    fn attempt(&self) -> Result<Option<Event>, ()> {
        if let Some(event) = self.context.next(&mut None) {
            return Ok(Some(event));
        }
        let mut token = Some(self.core.token(&self.parked).map_err(|_| ())?);
        let event = self.context.next(&mut token);
        Ok(event)
    }

    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        if cause.has(Cause::CANCEL) {
            self.context.stop_waiting();
            return Step::Done(0);
        }
        match self.attempt() {
            Ok(None) => Step::Pending,
            Ok(Some(event)) => {
                self.context.note(&event);
                let pushed = push(lua, &event);
                drop(event);
                Step::Done(pushed.unwrap_or_else(|_| {
                    lua.pop(1);
                    0
                }))
            }
            Err(()) => Step::Done(0),
        }
    }

    fn abandon(&self) {
        self.context.stop_waiting();
    }
}

impl UserData for Next {
    const NAME: &'static CStr = c"node-lua wait";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _lua: Lua) {
        self.core.forget(&self.parked);
        self.context.stop_waiting();
    }
}

/// Pushes an event; the number of values.
fn push(lua: Lua, event: &Event) -> Result<c_int, Error> {
    let top = lua.top();
    lua.protect(-1, event, |lua, event| {
        pack::push_event(lua, event);
    })?;
    Ok(lua.top() - top)
}

/// `next()` -> the next event, which is waited for; nothing when that is over.
pub fn next(lua: Lua) -> Outcome {
    let core = Core::open(lua, "node-lua")?;
    let next = lua.reserve::<Next>(0, ptr::null()).fill(Next {
        parked: Parked::new::<Next>(),
        core,
        context: here::share(&lua),
    });
    if let Some(event) = next.context.next(&mut None) {
        next.context.note(&event);
        let pushed = push(lua, &event);
        drop(event);
        return Ok(Host::settle(core, lua, pushed?));
    }
    match core.park(lua, next, -1, Interest::NONE, FOREVER) {
        Ok(Returns::YIELD) => {
            let Ok(token) = core.token(&next.parked) else {
                core.forget(&next.parked);
                return Err(lua.out_of_memory());
            };
            // Something may have come meanwhile: it stays, and the token is spent.
            next.context.watch(token);
            Ok(Returns::YIELD)
        }
        refused => refused,
    }
}

/// Makes this state a context, the first of an engine of its own: pushes what
/// takes events, and the globals' table. May raise.
pub fn open(lua: Lua) -> Outcome {
    Core::open(lua, "node-lua")?;
    layer::push_source(lua);
    let chunk = lua.top();
    let made = {
        let mut code = Vec::new();
        let is_dumped = lua.dump(true, &mut |piece| {
            let has_room = code.try_reserve(piece.len()).is_ok();
            if has_room {
                code.extend_from_slice(piece);
            }
            has_room
        });
        match Inheritance::of(lua) {
            Some(inheritance) if is_dumped => {
                Engine::new(inheritance).inspect(|engine| drop(engine.layer.set(code)))
            }
            _ => Err(nix::errno::Errno::ENOMEM),
        }
    };
    let context = match made {
        Ok(engine) => {
            let context = Context::new(&engine, 0, b"host".to_vec(), None);
            engine.admit(&context);
            context
        }
        Err(errno) => {
            lua.push_errno(errno);
            return Err(Error::raised());
        }
    };
    // From here on the context is Lua's.
    let pushed = lua.protect(1, &context, |lua, context| {
        Here::push(lua, context, true);
    });
    if pushed.is_err() {
        context.engine.leave(&context);
    }
    drop(context);
    pushed?;
    lua.push_value(chunk);
    push_native(lua, chunk + 1);
    lua.require(c"eco");
    lua.call(2, 1);
    Ok(Returns(1))
}

/// `leave()`: the state is a context no more, and the next one is the first.
pub fn leave(lua: Lua) -> Outcome {
    let context = here::here(&lua);
    context.engine.leave(context);
    Ok(Returns(0))
}

/// `retire()`: the state's context ends, and with it what it has to do with others.
pub fn retire(lua: Lua) -> Outcome {
    let context = here::here(&lua);
    context.retire();
    context.engine.forget_host(context);
    Ok(Returns(0))
}

/// `live()` -> how many other contexts there are.
pub fn live(lua: Lua) -> Outcome {
    lua.push_integer(here::here(&lua).engine.live() as i64);
    Ok(Returns(1))
}
