//! `node-lua`: contexts, each a Lua state of its own, on all cores; another
//! system's calls.
//!
//! What scripts see is made in the Lua files: `node.lua` runs coroutines and hands
//! events to whom they belong, `node_tcp.lua` and `node_buffer.lua` are loaded when they
//! are used. Native are the engine, what crosses from one context to another, and
//! sockets.

mod buffer;
mod context;
mod engine;
mod here;
mod host;
mod layer;
mod pack;
mod sockets;

use std::ffi::c_int;

use context::{Begin, Context};
use here::here;

use crate::functions;
use crate::lua::{ffi, function, Error, Functions, Lua, Outcome, Returns};
use crate::lua_source;
use crate::node::event::{Event, Handle, Id};
use crate::node::{errors, event};
use crate::system::output;

const FUNCTIONS: Functions = functions! {
    create: function(create),
    send: function(send),
    reply: function(reply),
    refuse: function(refuse),
    forget: function(forget),
    wait: function(wait),
    unwait: function(unwait),
    destroy: function(destroy),
    timer: function(timer),
    untimer: function(untimer),
    turn: function(turn),
    again: function(again),
    thread: function(thread),
    error: function(report),
    print: function(print),
    strerror: function(strerror),
    integer: function(integer),
    chunk: function(chunk),
    next: function(host::next),
    live: function(host::live),
    leave: function(host::leave),
    retire: function(host::retire),
};

/// Opens `node-lua`. May raise.
pub fn open(lua: Lua) -> Outcome {
    host::open(lua)
}

/// Pushes what the Lua part is made of; the context is the `Here` at that index.
/// May raise.
fn push_native(lua: Lua, index: c_int) {
    let index = lua.absolute(index);
    lua.push_table(0, 30);
    here::set_functions(lua, index, FUNCTIONS);
    lua.push_value(index);
    lua.push_closure(function(facts), 1);
    lua.push_value(-2);
    lua.call(1, 0);
}

/// `facts(native)`: adds what never changes.
fn facts(lua: Lua) -> Outcome {
    let context = here(&lua);
    lua.set_integer(1, c"self", context.handle().into());
    lua.set_integer(1, c"parent", context.parent.into());
    lua.set_integer(1, c"ncpu", context.engine.cores as i64);
    lua.set_bytes(1, c"name", context.name());
    lua.set_bool(1, c"shipped", context.engine.is_shipped);
    Ok(Returns(0))
}

/// `chunk(name)` -> a part of the module that is not always needed, as a function.
fn chunk(lua: Lua) -> Outcome {
    let push = |text| lua.push_chunk(c"=node-lua", text);
    match lua.string(1)? {
        b"tcp" => {
            push(lua_source!("node_tcp.lua"));
            lua.push_table(0, 17);
            here::set_functions(lua, Lua::upvalue(1), sockets::FUNCTIONS);
            return Ok(Returns(2));
        }
        b"more" => push(lua_source!("node_more.lua")),
        b"coroutine" => push(lua_source!("node_coroutine.lua")),
        b"host" => push(lua_source!("node_host.lua")),
        b"buffer" => {
            push(lua_source!("node_buffer.lua"));
            lua.push_table(0, buffer::FUNCTION_COUNT as c_int + 8);
            const NEW: Functions = functions! { new: function(buffer::new) };
            here::set_functions(lua, Lua::upvalue(1), NEW);
            here::set_functions(
                lua,
                Lua::upvalue(1),
                buffer::METHODS.first(buffer::FUNCTION_COUNT),
            );
            lua.push_methods::<buffer::Buffer>(std::ptr::null());
            return Ok(Returns(3));
        }
        b"compat" => push(lua_source!("node_compat.lua")),
        name => return layer::open_library(lua, name),
    }
    Ok(Returns(1))
}

fn handle(lua: Lua, index: c_int) -> Result<Handle, Error> {
    lua.within(index, 0, u32::MAX.into())
        .map(|handle| handle as Handle)
}

/// A copy of a string; None when there is no memory.
fn copied(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).ok()?;
    copy.extend_from_slice(bytes);
    Some(copy)
}

/// Most words that a context begins with.
const MOST_WORDS: c_int = 512;

/// `create(file, ...)` -> handle.
fn create(lua: Lua) -> Outcome {
    let context = here(&lua);
    let count = lua.top();
    if count == 0 || lua.is_none_or_nil(1) {
        return Err("lua file is needed to initialize lua context".into());
    }
    if count > MOST_WORDS {
        return Err("too many arguments to initialize lua context".into());
    }
    for index in 1..=count {
        // Numbers become texts in their places.
        lua.string(index)?;
    }
    if !lua.ensure(8) {
        return Err("stack overflow".into());
    }
    lua.push_global(c"package");
    for (index, name) in (count + 2..).zip([c"path", c"cpath"]) {
        if lua.type_of(count + 1) == ffi::LUA_TTABLE {
            lua.get_field(count + 1, name);
        } else {
            lua.push_nil();
        }
        debug_assert_eq!(index, lua.top());
    }
    let made = || {
        let text = |index| copied(lua.bytes(index).unwrap_or_default());
        let words: Option<Vec<_>> = (1..=count).map(text).collect();
        let begin = Begin {
            words: words?,
            path: text(count + 2)?,
            cpath: text(count + 3)?,
        };
        let name = begin.words.join(&b' ');
        let created = Context::new(&context.engine, context.handle(), name, Some(begin));
        context.engine.start(&created).then(|| created.handle())
    };
    let Some(handle) = made() else {
        return Err("no context can be created".into());
    };
    lua.push_integer(handle.into());
    Ok(Returns(1))
}

/// Ends a call with nothing, or with the number of an error.
fn unless(lua: Lua, done: bool, number: i32) -> Outcome {
    if done {
        return Ok(Returns(0));
    }
    lua.push_integer(number.into());
    Ok(Returns(1))
}

/// `send(handle, session, ...)` -> nothing, or a number.
fn send(lua: Lua) -> Outcome {
    let context = here(&lua);
    let to = handle(lua, 1)?;
    let session = lua.integer(2)?;
    let done = match pack::pack(lua, 3, lua.top() - 2) {
        Ok(parcel) => {
            let from = context.handle();
            let message = Event::Message {
                from,
                session,
                parcel,
            };
            Ok(context.engine.send(to, message))
        }
        Err(refused) => Err(refused),
    };
    match done {
        Ok(done) => unless(lua, done, errors::NO_CONTEXT),
        Err(refused) => Err(pack::error(lua, refused)),
    }
}

/// `reply(handle, session, ...)` -> nothing, or a number.
fn reply(lua: Lua) -> Outcome {
    let context = here(&lua);
    let to = handle(lua, 1)?;
    let session = lua.integer(2)?;
    let own = context.handle();
    let packed = pack::pack(lua, 3, lua.top() - 2);
    context.answered(to, session);
    match packed {
        Ok(parcel) => {
            let done = context.engine.reply(own, to, session, Ok(parcel));
            unless(lua, done, errors::NO_CONTEXT)
        }
        Err(refused) => {
            context
                .engine
                .reply(own, to, session, Err(errors::BAD_TYPE));
            Err(pack::error(lua, refused))
        }
    }
}

/// `refuse(handle, session)`: nobody takes that query.
fn refuse(lua: Lua) -> Outcome {
    let context = here(&lua);
    let (to, session) = (handle(lua, 1)?, lua.integer(2)?);
    context.answered(to, session);
    context.engine.refuse(context.handle(), to, session);
    Ok(Returns(0))
}

/// `forget(handle, session)`: the answer to a query is not waited for any more.
fn forget(lua: Lua) -> Outcome {
    let context = here(&lua);
    let (to, session) = (handle(lua, 1)?, lua.integer(2)?);
    let from = context.handle();
    context.engine.send(to, Event::Forget { from, session });
    Ok(Returns(0))
}

fn waiter(context: &Context, id: Id) -> (Handle, Id) {
    (context.handle(), id)
}

/// `wait(handle, id)` -> nothing, and `id` will be told; 0 when it has ended; a
/// number when it never was.
fn wait(lua: Lua) -> Outcome {
    let context = here(&lua);
    let target = handle(lua, 1)?;
    let waiter = waiter(context, lua.integer(2)?);
    let found = context.engine.find(target);
    if found.is_some_and(|other| other.wait(waiter)) {
        return Ok(Returns(0));
    }
    let has_been = context.engine.has_been(target);
    unless(lua, false, if has_been { 0 } else { errors::NO_CONTEXT })
}

/// `unwait(handle, id)`.
fn unwait(lua: Lua) -> Outcome {
    let context = here(&lua);
    let target = handle(lua, 1)?;
    let waiter = waiter(context, lua.integer(2)?);
    if let Some(other) = context.engine.find(target) {
        other.leave(waiter);
    }
    Ok(Returns(0))
}

/// `destroy(handle, reason)`.
fn destroy(lua: Lua) -> Outcome {
    let context = here(&lua);
    let target = handle(lua, 1)?;
    let by = context.handle();
    if let Some(reason) = copied(lua.string(2)?) {
        context.engine.send(target, Event::Destroy { by, reason });
    }
    Ok(Returns(0))
}

/// `timer(id, milliseconds, repeat)`.
fn timer(lua: Lua) -> Outcome {
    let context = here(&lua);
    let id = lua.integer(1)?;
    let time = |index| lua.within(index, 0, i64::MAX).map(|time| time as u64);
    let (delay, repeat) = (time(2)?, time(3)?);
    if !context.engine.ensure_network() {
        return Err("no thread for timers".into());
    }
    let net = &context.engine.net;
    net.set_timer((context.handle(), id), net.after(delay), repeat);
    Ok(Returns(0))
}

/// `untimer(id)`.
fn untimer(lua: Lua) -> Outcome {
    let context = here(&lua);
    let key = (context.handle(), lua.integer(1)?);
    context.engine.net.clear_timer(key);
    Ok(Returns(0))
}

/// Queues an event for the context itself.
fn to_self(lua: Lua, event: event::Event) -> Outcome {
    let context = here(&lua);
    context.engine.send(context.handle(), event);
    Ok(Returns(0))
}

/// `turn(id, number)`: `id` is told at a later turn.
fn turn(lua: Lua) -> Outcome {
    let (id, error) = (lua.integer(1)?, lua.int(2)?);
    to_self(lua, Event::Done { id, error })
}

/// `again(number)`: the socket is looked at in a later turn.
fn again(lua: Lua) -> Outcome {
    let socket = lua.within(1, 0, i64::MAX)? as u64;
    to_self(lua, Event::Ready { socket })
}

/// `thread()` -> the worker's number.
fn thread(lua: Lua) -> Outcome {
    lua.push_integer(here(&lua).worker() as i64);
    Ok(Returns(1))
}

/// `error(value [, coroutine])`: a line about an error, and where the coroutine
/// was, or the one that runs.
fn report(lua: Lua) -> Outcome {
    let context = here(&lua);
    lua.set_top(2);
    let thread = layer::thread_at(lua, 2);
    lua.push_value(1);
    lua.error_to_report(thread.unwrap_or(lua), i32::from(thread.is_none()));
    context.engine.error(context.handle(), lua.string(-1)?);
    Ok(Returns(0))
}

/// `integer(value)` -> the integer that it is, or nil.
fn integer(lua: Lua) -> Outcome {
    match lua.to_integer(1) {
        Some(number) => lua.push_integer(number),
        None => lua.push_nil(),
    }
    Ok(Returns(1))
}

/// `print(text)`: in one piece.
fn print(lua: Lua) -> Outcome {
    output::print(lua.string(1)?);
    Ok(Returns(0))
}

/// `strerror(number)` -> text.
fn strerror(lua: Lua) -> Outcome {
    lua.push_str(errors::text(lua.integer(1)?));
    Ok(Returns(1))
}
