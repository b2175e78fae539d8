//! `luv.zmq`: sockets of libzmq whose calls suspend one fiber.
//!
//! Tries and waits of a socket are here, what scripts see of it in `zmq.lua`. A
//! socket's descriptor tells only that its state may have changed, and only once:
//! so the state is looked at before each wait, and after each try for whoever
//! waits in the other direction.

use std::cell::Cell;
use std::ffi::{c_int, CStr};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::abi::attempt::{self, Attempt, End, Try, Waiting};
use crate::abi::{Cause, Core, Host, Interest, Nanoseconds};
use crate::lua::{ffi, function, method, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::states::{Share, Shareable, Shared};
use crate::system::zmq::{self as system, Context, Endings, Message, Socket, AGAIN};
use crate::{functions, lua_source};

const FUNCTIONS: Functions = functions! {
    context: function(context),
    find: function(find),
    socket: function(socket),
};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "luv.zmq")?;
    if !system::is_there() {
        return Err("luv.zmq needs the library libzmq (package libzmq)".into());
    }
    lua.require(c"luv");
    lua.share::<Handle>(core.pointer());
    lua.push_chunk(c"=luv.zmq", lua_source!("zmq.lua"));
    lua.push_module(FUNCTIONS, core.pointer());
    lua.push_methods::<Handle>(core.pointer());
    lua.push_methods::<Pair>(core.pointer());
    lua.call(3, 1);
    Ok(Returns(1))
}

/// What a state knows of contexts that it was the last to let go of. It is made
/// before all that may do so, and collected after that when the state closes.
struct Keeper {
    core: Core,
    endings: Arc<Endings>,
}

impl UserData for Keeper {
    const NAME: &'static CStr = c"luv.zmq.keeper";
    const METHODS: Functions = Functions::NONE;

    /// The state closes: what was sent goes out first.
    fn finalise(&self, _: Lua) {
        if self.core.process() == std::process::id() {
            self.endings.wait();
        }
    }
}

/// Registry field.
const KEEPER: &CStr = c"luv.zmq";

/// Pushes that of the state. May raise.
fn push_keeper(lua: &Lua) -> Result<&Keeper, Error> {
    if lua.get_field(ffi::LUA_REGISTRYINDEX, KEEPER) != ffi::LUA_TUSERDATA {
        lua.pop(1);
        let core = Core::open(*lua, "luv.zmq")?;
        lua.reserve::<Keeper>(0, core.pointer()).fill(Keeper {
            core,
            endings: Arc::default(),
        });
        lua.push_value(-1);
        lua.set_field(ffi::LUA_REGISTRYINDEX, KEEPER);
    }
    lua.expect_userdata::<Keeper>(-1)
}

/// A share in a context.
struct Held {
    context: Option<Arc<Context>>,
    endings: Arc<Endings>,
}

impl Held {
    fn new(context: &Arc<Context>, endings: &Arc<Endings>) -> Held {
        Held {
            context: Some(Arc::clone(context)),
            endings: Arc::clone(endings),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(context) = self.context.take().and_then(Arc::into_inner) {
            context.end(&self.endings);
        }
    }
}

/// A context, as a state has it.
struct Handle(Held);

impl UserData for Handle {
    const NAME: &'static CStr = c"luv.zmq.context";
    const METHODS: Functions = functions! {
        number: method(number),
        term: method(shut_down),
    };
}

impl Handle {
    fn context(&self) -> Result<&Arc<Context>, Error> {
        self.0.context.as_ref().ok_or_else(|| "no context".into())
    }
}

impl Share for Context {
    const NAME: &'static CStr = Handle::NAME;

    fn push(this: &Arc<Context>, lua: Lua) {
        let pushed = push_handle(lua, &mut || Ok(Arc::clone(this)));
        if let Err(error) = pushed {
            lua.raise(error);
        }
    }
}

impl Shareable for Handle {
    fn shared(&self) -> Option<Shared> {
        self.0.context.clone().map(Shared::new)
    }
}

/// Pushes a handle of the context that `get` gives, once nothing can fail any
/// more. May raise.
fn push_handle(
    lua: Lua,
    get: &mut dyn FnMut() -> Result<Arc<Context>, c_int>,
) -> Result<(), Error> {
    let keeper = push_keeper(&lua)?;
    let slot = lua.reserve::<Handle>(0, keeper.core.pointer());
    match get() {
        Ok(context) => {
            slot.fill(Handle(Held {
                context: Some(context),
                endings: Arc::clone(&keeper.endings),
            }));
        }
        Err(code) => {
            push_text(lua, code);
            return Err(Error::raised());
        }
    }
    lua.remove(-2);
    Ok(())
}

/// `context(threads)` -> handle.
fn context(lua: Lua) -> Outcome {
    let threads = lua.int(1)?;
    push_handle(lua, &mut || Context::new(threads))?;
    Ok(Returns(1))
}

/// `find(number)` -> handle.
fn find(lua: Lua) -> Outcome {
    let number = lua.integer(1)?;
    push_handle(lua, &mut || Context::find(number))?;
    Ok(Returns(1))
}

/// `number()`: the same for every handle of the context in this process.
fn number(lua: Lua, this: &Handle) -> Outcome {
    lua.push_integer(this.context()?.number());
    Ok(Returns(1))
}

/// `term()`: waits on its sockets end.
fn shut_down(_: Lua, this: &Handle) -> Outcome {
    this.context()?.shut_down();
    Ok(Returns(0))
}

/// One direction of a socket, and whoever waits for it.
#[repr(C)]
struct Half {
    waiting: Waiting,
    socket: Weak<Both>,
    sends: bool,
    /// What was received and not taken, or is to be sent.
    message: Message,
    /// Another part of the message will follow.
    more: Cell<bool>,
}

crate::attempt!(Half);

/// A socket.
struct Both {
    socket: Socket,
    /// -1 once closed.
    fd: Cell<c_int>,
    receiving: Half,
    sending: Half,
    /// After the socket, which is part of it.
    _context: Held,
}

/// A socket, as Lua has it.
struct Pair(Rc<Both>);

impl UserData for Pair {
    const NAME: &'static CStr = c"luv.zmq.handle";
    const METHODS: Functions = functions! {
        bind: method(bind),
        connect: method(connect),
        recv: method(receive),
        await_recv: method(await_receive),
        send: method(send),
        await_send: method(await_send),
        get: method(get),
        set: method(set),
        close: method(close),
    };

    fn finalise(&self, _: Lua) {
        self.0.close();
        for half in [&self.0.receiving, &self.0.sending] {
            half.waiting.host.forget(&half.waiting.parked);
        }
    }
}

impl Both {
    fn close(&self) {
        let fd = self.fd.replace(-1);
        if fd < 0 {
            return;
        }
        let host = self.receiving.waiting.host;
        for half in [&self.receiving, &self.sending] {
            host.wake(&half.waiting.parked, Cause::CANCEL);
        }
        self.socket.close();
        host.fd_reset(fd);
    }

    fn once(&self, half: &Half) -> Result<(), c_int> {
        if half.sends {
            self.socket.send_message(&half.message, half.more.get())
        } else {
            self.socket.receive(&half.message)
        }
    }

    fn step(&self, half: &Half) -> Result<(), c_int> {
        self.attempt(half, &|| self.once(half))
    }

    /// Tries once, or twice where others have done something meanwhile. Then it
    /// is as far as it can be until the descriptor tells of something new.
    fn attempt(&self, half: &Half, call: &dyn Fn() -> Result<(), c_int>) -> Result<(), c_int> {
        let mut result = call();
        if result == Err(AGAIN) && self.socket.events()? & half.bit() != 0 {
            result = call();
        }
        self.tell(half);
        result
    }

    /// Something else was done with the socket, of which the descriptor does not
    /// tell either: who waits tries again.
    fn stir(&self) {
        for half in [&self.receiving, &self.sending] {
            half.waiting.host.wake(&half.waiting.parked, Cause::READY);
        }
    }

    /// A try in one direction may have taken note of what somebody waits for in the
    /// other: the descriptor does not tell of that any more.
    fn tell(&self, half: &Half) {
        let other = if half.sends {
            &self.receiving
        } else {
            &self.sending
        };
        if !other.waiting.parked.is_held() {
            return;
        }
        // A failure is one in both directions.
        if self
            .socket
            .events()
            .map_or(true, |events| events & other.bit() != 0)
        {
            other.waiting.host.wake(&other.waiting.parked, Cause::READY);
        }
    }
}

impl Half {
    fn new(core: Core, socket: Weak<Both>, sends: bool, message: Message) -> Half {
        Half {
            waiting: Waiting::new::<Half>(core),
            socket,
            sends,
            message,
            more: Cell::new(false),
        }
    }

    fn bit(&self) -> c_int {
        if self.sends {
            system::WRITABLE
        } else {
            system::READABLE
        }
    }

    fn step(&self) -> Result<(), c_int> {
        // The handle of a call that waits keeps it.
        let socket = self.socket.upgrade().ok_or(libc::ENOTSOCK)?;
        socket.step(self)
    }

    /// Pushes the result of a step that came to an end. May raise: a message stays
    /// then.
    fn push(&self, lua: Lua, result: Result<(), c_int>) -> c_int {
        match result {
            Ok(()) if self.sends => lua.push_bool(true),
            Ok(()) => {
                lua.push_bytes(self.message.bytes());
                self.message.empty();
            }
            Err(code) => return push_failure(lua, code),
        }
        1
    }

    /// Starts a call that may wait, as the last thing of it.
    fn start(&self, lua: Lua, socket: &Both, option: c_int) -> Outcome {
        let milliseconds = socket.socket.int(option).unwrap_or(-1);
        if milliseconds == 0 {
            let result = socket.step(self);
            if result.is_err() {
                self.drop_request();
            }
            return Ok(Returns(self.push(lua, result)));
        }
        let limit = Nanoseconds::from(milliseconds.max(0)) * 1_000_000;
        attempt::start(self, lua, limit)
    }
}

impl Attempt for Half {
    type Host = Core;

    fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    fn fd(&self) -> c_int {
        self.socket.upgrade().map_or(-1, |socket| socket.fd.get())
    }

    /// All that the descriptor tells is that it can be read, and with every such
    /// event that it can be written, as it always can: so both directions have an
    /// event of their own to wait for.
    fn direction(&self) -> Interest {
        if self.sends {
            Interest::WRITE
        } else {
            Interest::READ
        }
    }

    fn attempt(&self, lua: Lua) -> Try {
        let result = self.step();
        if result == Err(AGAIN) {
            return Try::Again(self.direction());
        }
        if result.is_err() {
            self.drop_request();
        }
        Try::Done(self.push(lua, result))
    }

    fn end(&self, lua: Lua, end: End) -> Try {
        self.drop_request();
        if end == End::Timeout {
            return Try::Done(push_failure(lua, AGAIN));
        }
        lua.push_bool(false);
        lua.push_str("operation canceled");
        Try::Done(2)
    }

    fn drop_request(&self) {
        if self.sends {
            self.message.empty();
        }
    }
}

fn push_text(lua: Lua, code: c_int) {
    system::error(code, |text| lua.push_bytes(text.to_bytes()));
}

/// Pushes false and why; their number. May raise.
fn push_failure(lua: Lua, code: c_int) -> c_int {
    lua.push_bool(false);
    push_text(lua, code);
    2
}

fn done(lua: Lua, result: Result<(), c_int>) -> Outcome {
    Ok(Returns(match result {
        Ok(()) => {
            lua.push_bool(true);
            1
        }
        Err(code) => push_failure(lua, code),
    }))
}

/// `socket(context, type)` -> socket; false, why, and its number.
fn socket(lua: Lua) -> Outcome {
    let context = lua.expect_userdata::<Handle>(1)?.context()?;
    let kind = lua.int(2)?;
    let keeper = push_keeper(&lua)?;
    let core = keeper.core;
    let slot = lua.reserve::<Pair>(0, core.pointer());
    let made = Socket::new(context, kind).and_then(|socket| {
        let fd = socket.int(system::FD)?;
        Ok((socket, fd))
    });
    match made {
        Ok((socket, fd)) => {
            core.fd_reset(fd);
            let both = Rc::new_cyclic(|weak| Both {
                receiving: Half::new(core, Weak::clone(weak), false, socket.message()),
                sending: Half::new(core, Weak::clone(weak), true, socket.message()),
                socket,
                fd: Cell::new(fd),
                _context: Held::new(context, &keeper.endings),
            });
            slot.fill(Pair(both));
            Ok(Returns(1))
        }
        Err(code) => {
            push_failure(lua, code);
            lua.push_integer(code.into());
            Ok(Returns(3))
        }
    }
}

/// `bind(address)` -> true; false and why.
fn bind(lua: Lua, this: &Pair) -> Outcome {
    let result = this.0.socket.bind(lua.c_string(2)?);
    this.0.stir();
    done(lua, result)
}

/// `connect(address)` -> true; false and why.
fn connect(lua: Lua, this: &Pair) -> Outcome {
    let result = this.0.socket.connect(lua.c_string(2)?);
    this.0.stir();
    done(lua, result)
}

/// `recv()` -> message; nil where it would wait; false and why.
fn receive(lua: Lua, this: &Pair) -> Outcome {
    let half = &this.0.receiving;
    match this.0.step(half) {
        Err(AGAIN) => {
            lua.push_nil();
            Ok(Returns(1))
        }
        result => {
            let count = half.push(lua, result);
            half.waiting.host.settle(lua, Returns(count))
        }
    }
}

/// `await_recv()` -> message; false and why.
fn await_receive(lua: Lua, this: &Pair) -> Outcome {
    let half = &this.0.receiving;
    half.waiting.check_idle()?;
    half.start(lua, &this.0, system::RECEIVE_TIMEOUT)
}

/// `send(text, more)` -> true; nil where it would wait; false and why.
fn send(lua: Lua, this: &Pair) -> Outcome {
    let (text, more) = (lua.string(2)?, lua.to_bool(3));
    let (half, socket) = (&this.0.sending, &this.0.socket);
    let result = this.0.attempt(half, &|| socket.send(text, more));
    if result == Err(AGAIN) {
        lua.push_nil();
        return Ok(Returns(1));
    }
    let outcome = done(lua, result)?;
    half.waiting.host.settle(lua, outcome)
}

/// `await_send(text, more)` -> true; false and why.
fn await_send(lua: Lua, this: &Pair) -> Outcome {
    let half = &this.0.sending;
    half.waiting.check_idle()?;
    if !half.message.set(lua.string(2)?) {
        return Ok(Returns(push_failure(lua, libc::ENOMEM)));
    }
    half.more.set(lua.to_bool(3));
    half.start(lua, &this.0, system::SEND_TIMEOUT)
}

/// Bytes that a text among the options has at most.
const LONGEST: usize = 1024;

/// `get(option, size)` -> value; false and why. The size is that of an integer,
/// 0 for a text.
fn get(lua: Lua, this: &Pair) -> Outcome {
    let (option, size) = (lua.int(2)?, lua.within(3, 0, 8)?);
    let mut value = [0; LONGEST];
    let length = match size {
        0 => LONGEST,
        size => size as usize,
    };
    match this.0.socket.get(option, &mut value[..length]) {
        Ok(length) if size == 0 => lua.push_bytes(&value[..length]),
        Ok(4) => lua.push_integer(i32::from_ne_bytes(*first(&value)).into()),
        Ok(_) => lua.push_integer(i64::from_ne_bytes(*first(&value))),
        Err(code) => return Ok(Returns(push_failure(lua, code))),
    }
    Ok(Returns(1))
}

/// So many bytes of the beginning.
fn first<const N: usize>(value: &[u8; LONGEST]) -> &[u8; N] {
    const { assert!(N <= LONGEST) };
    value.first_chunk().unwrap_or(&[0; N])
}

/// `set(option, size, value)` -> true; false and why.
fn set(lua: Lua, this: &Pair) -> Outcome {
    let (option, socket) = (lua.int(2)?, &this.0.socket);
    let result = match lua.within(3, 0, 8)? {
        0 => socket.set(option, lua.string(4)?),
        4 => socket.set(option, &lua.int(4)?.to_ne_bytes()),
        _ => socket.set(option, &lua.integer(4)?.to_ne_bytes()),
    };
    this.0.stir();
    done(lua, result)
}

/// `close()`
fn close(_: Lua, this: &Pair) -> Outcome {
    this.0.close();
    Ok(Returns(0))
}
