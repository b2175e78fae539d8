//! What all connections of one listener share: limits, the current date as
//! text, and the working memory of requests that are not being served now.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::rc::Rc;

use super::exchange::Exchange;
use super::{date, head};
use crate::core::{wall_clock, Core, Nanoseconds};
use crate::lua::{Functions, Lua, Outcome, Returns, UserData};

/// Working memory kept for the next request; busier servers allocate.
const SPARE: usize = 8;

/// Limits and times of a listener, read once from its options.
pub struct Settings {
    pub limits: head::Limits,
    pub max_body: u64,
    pub max_drain: u64,
    /// Seconds an idle connection is kept, as the header announces them; 0: not at all.
    pub keepalive: u32,
    /// The same as the scheduler counts it, with what counts without keep-alive.
    pub idle: Nanoseconds,
    /// For a whole head, and for reading away an unread body.
    pub head_timeout: Nanoseconds,
    /// For a peer that does not read.
    pub send_timeout: Nanoseconds,
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

/// `settings(...)`, for the driver, which checks what it passes.
pub fn new(lua: Lua) -> Outcome {
    let mut values = [0; 10];
    for (index, value) in (1..).zip(&mut values) {
        *value = lua.to_integer(index).unwrap_or(0).max(0);
    }
    let [request_line, head, headers, max_body, max_drain, keepalive, idle, head_timeout, send_timeout, plain] =
        values;
    let slot = lua.reserve::<Shared>(0, Core::of(lua).pointer());
    slot.fill(Shared(Rc::new(Settings {
        limits: head::Limits {
            request_line: request_line as usize,
            head: head as usize,
            headers: (headers as usize).min(head::HEADERS),
        },
        max_body: max_body as u64,
        max_drain: max_drain as u64,
        keepalive: keepalive as u32,
        idle,
        head_timeout,
        send_timeout,
        plain: plain != 0,
        date: Cell::new((-1, [0; date::LENGTH])),
        spare: RefCell::default(),
    })));
    Ok(Returns(1))
}

impl Settings {
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
