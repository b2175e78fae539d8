//! What all connections of one listener share: limits, the current date as
//! text, and the working memory of requests that are not being served now.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};
use std::rc::Rc;

use super::exchange::Exchange;
use super::{date, head};
use crate::core::{duration, wall_clock, Nanoseconds};
use crate::lua::{ffi, Error, Functions, Lua, UserData};

/// Working memory kept for the next request; busier servers allocate.
const SPARE: usize = 8;

/// Limits and times of a listener, read once from its options.
pub struct Settings {
    pub limits: head::Limits,
    /// Seconds an idle connection is kept, as the header announces them; 0: not at all.
    pub keepalive: u32,
    /// The same as the scheduler counts it, with what counts without keep-alive.
    pub idle: Nanoseconds,
    /// For a whole head, and for reading away an unread body.
    pub head_timeout: Nanoseconds,
    /// For a peer that does not read.
    pub send_timeout: Nanoseconds,
    pub max_body: u64,
    pub max_drain: u64,
    /// No TLS: the socket may be shut down in one direction.
    pub plain: bool,
    date: Cell<(Nanoseconds, [u8; date::LENGTH])>,
    // Boxes, because they move between here and connections.
    #[allow(clippy::vec_box)]
    spare: RefCell<Vec<Box<Exchange>>>,
}

/// The Lua face of settings: what a driver hands to each new connection.
pub struct Shared(pub Rc<Settings>);

impl UserData for Shared {
    const NAME: &'static CStr = c"struct http_settings *";
    const METHODS: Functions = &[];
}

/// A size option; absent means `default`.
fn size(lua: Lua, table: c_int, name: &CStr, default: u64) -> Result<u64, Error> {
    let kind = lua.get_field(table, name);
    let value = lua.to_integer(-1);
    lua.pop(1);
    match value {
        Some(value) if value >= 0 => Ok(value as u64),
        None if kind == ffi::LUA_TNIL => Ok(default),
        _ => Err(bad_option(name)),
    }
}

/// A time option in seconds; absent means `default`.
fn seconds(lua: Lua, table: c_int, name: &CStr, default: f64) -> Result<f64, Error> {
    let kind = lua.get_field(table, name);
    let value = lua.to_number(-1);
    lua.pop(1);
    match value {
        Some(value) => Ok(value),
        None if kind == ffi::LUA_TNIL => Ok(default),
        None => Err(bad_option(name)),
    }
}

fn bad_option(name: &CStr) -> Error {
    let name = name.to_str().unwrap_or("");
    Error::Message(["number expected for option ", name].concat().into())
}

impl Settings {
    /// Read the option table at `table`. May raise.
    pub fn read(lua: Lua, table: c_int, plain: bool) -> Result<Settings, Error> {
        let keepalive = seconds(lua, table, c"http_keepalive", 30.0)?;
        let headers = size(lua, table, c"max_headers", head::HEADERS as u64)?;
        Ok(Settings {
            limits: head::Limits {
                request_line: size(lua, table, c"max_request_line", 8192)? as usize,
                head: size(lua, table, c"max_head", 16384)? as usize,
                headers: headers.min(head::HEADERS as u64) as usize,
            },
            keepalive: if keepalive >= 1.0 {
                keepalive as u32
            } else {
                0
            },
            idle: duration(if keepalive > 0.0 { keepalive } else { 3.0 }),
            head_timeout: duration(seconds(lua, table, c"head_timeout", 10.0)?),
            send_timeout: duration(seconds(lua, table, c"send_timeout", 60.0)?),
            max_body: size(lua, table, c"max_body", u64::MAX)?,
            max_drain: size(lua, table, c"max_drain", 262_144)?,
            plain,
            date: Cell::new((-1, [0; date::LENGTH])),
            spare: RefCell::default(),
        })
    }

    /// The date as text, made anew each second.
    pub fn date(&self) -> [u8; date::LENGTH] {
        let now = wall_clock().div_euclid(1_000_000_000);
        let (second, text) = self.date.get();
        if second == now {
            return text;
        }
        let text = date::format(now);
        self.date.set((now, text));
        text
    }

    /// Working memory for a request.
    pub fn take(&self) -> Box<Exchange> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Keep working memory for the next request, or let it go.
    pub fn give_back(&self, mut exchange: Box<Exchange>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE {
            exchange.clear();
            spare.push(exchange);
        }
    }
}
