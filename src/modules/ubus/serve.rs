//! Calls of methods of ours: what a script answers them with.

use std::cell::Cell;
use std::ffi::{c_int, CStr};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use nix::errno::Errno;
use ubus::{CallToken, Status};

use super::ask::push_fd;
use super::bus::{Bus, Shared};
use crate::lua::{ffi, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::system::fd;

/// A call that is being served, as its callback knows it.
pub struct Served {
    pub shared: Rc<Shared>,
    /// What the call is answered with; nothing once it has ended.
    token: Cell<Option<CallToken>>,
    /// The descriptor that came with the call, and the one that goes with its end.
    came: Cell<Option<OwnedFd>>,
    goes: Cell<Option<OwnedFd>>,
}

impl UserData for Served {
    const NAME: &'static CStr = c"eco.ubus.request";
    const METHODS: Functions = Functions::NONE;
}

impl Served {
    pub fn new(shared: &Rc<Shared>, token: Option<CallToken>, fd: Option<OwnedFd>) -> Served {
        Served {
            shared: Rc::clone(shared),
            token: Cell::new(token),
            came: Cell::new(fd),
            goes: Cell::new(None),
        }
    }
}

impl Served {
    /// What the call is answered with.
    pub fn token(&self) -> Option<CallToken> {
        let token = self.token.take();
        self.token.set(token.clone());
        token
    }
}

/// Argument `index` as a call being served; nothing for other userdata.
pub fn served(lua: &Lua, index: c_int) -> Result<Option<&Served>, Error> {
    if lua.type_of(index) != ffi::LUA_TUSERDATA {
        return Err(Error::wrong_type(index, c"userdata"));
    }
    Ok(lua.userdata::<Served>(index))
}

/// A descriptor of our own for what a script has.
pub fn duplicate(fd: c_int) -> Result<OwnedFd, Error> {
    fd::duplicate(fd).map_err(Error::failure)
}

/// `finish(request, status, …)`: the callback has returned; its first result is the status if that is a number.
pub fn finish(lua: Lua, bus: &Bus) -> Outcome {
    let status = match lua.type_of(3) {
        ffi::LUA_TNUMBER => Status(lua.int(3)?),
        _ => Status::OK,
    };
    let Some(served) = lua.userdata::<Served>(2) else {
        return Ok(Returns(0));
    };
    drop(served.came.take());
    let goes = served.goes.take();
    if let Some(token) = served.token.take() {
        let connection = &mut bus.shared.io.borrow_mut().connection;
        // It may be that nobody waits any more.
        let _ = match goes {
            Some(fd) => connection.finish_with_fd(token, status, fd),
            None => connection.finish(token, status),
        };
    }
    bus.kick();
    Ok(Returns(0))
}

/// `take_fd(request)`: the descriptor that came with a call, or false; it is the script's from now on.
pub fn take_fd(lua: Lua, _: &Bus) -> Outcome {
    match served(&lua, 2)? {
        Some(served) => push_fd(lua, &served.came),
        None => lua.push_bool(false),
    }
    Ok(Returns(1))
}

/// `reply_fd(request, fd)`: has a descriptor go to the caller with the end of the call.
pub fn reply_fd(lua: Lua, _: &Bus) -> Outcome {
    let served = served(&lua, 2)?;
    let fd = lua.int(3)?;
    let Some(served) = served else {
        return lua.fail_errno(Errno::EINVAL);
    };
    served.goes.set(Some(duplicate(fd)?));
    lua.push_bool(true);
    Ok(Returns(1))
}
