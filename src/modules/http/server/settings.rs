//! What all connections of one listener share: limits, the current date as
//! text, and the working memory of requests that are not being served now.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;
use std::rc::Rc;

use nix::time::{clock_gettime, ClockId};

use super::exchange::Exchange;
use crate::abi::Core;
use crate::http::{date, head, request};
use crate::lua::{Functions, Lua, Outcome, Returns, UserData};

/// Working memory kept for the next request; busier servers allocate.
const SPARE: usize = 8;

/// Limits and times of a listener, read once from its options.
pub struct Settings {
    pub limits: head::Limits,
    values: [i64; VALUES],
    date: Cell<(i64, [u8; date::LENGTH])>,
    // Boxes, because they move between here and connections.
    #[allow(clippy::vec_box)]
    spare: RefCell<Vec<Box<Exchange>>>,
}

const VALUES: usize = 10;

/// Names the numbers of `Settings::values`, which are the arguments of `new`.
macro_rules! values {
    ($($(#[$doc:meta])* $name:ident = $index:literal;)*) => {
        impl Settings {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> i64 {
                    self.values[$index]
                }
            )*
        }
    };
}

values! {
    max_body = 3;
    max_drain = 4;
    /// Seconds an idle connection is kept, as the header announces them; 0: not at all.
    keepalive = 5;
    /// The same as the scheduler counts it, with what counts without keep-alive.
    idle = 6;
    /// For a whole head, and for reading away an unread body.
    head_timeout = 7;
    /// For a peer that does not read.
    send_timeout = 8;
    /// Not 0 without TLS: the socket may be shut down in one direction.
    plain = 9;
}

/// The Lua face of settings: what a driver hands to each new connection.
pub struct Shared(pub Rc<Settings>);

impl UserData for Shared {
    const NAME: &'static CStr = c"struct http_settings *";
    const METHODS: Functions = Functions::NONE;
}

/// `settings(...)`, for the driver, which checks what it passes.
pub fn new(lua: Lua) -> Outcome {
    let mut values = [0; VALUES];
    for (index, value) in (1..).zip(&mut values) {
        *value = lua.to_integer(index).unwrap_or(0).max(0);
    }
    let slot = lua.reserve::<Shared>(0, Core::of(lua).pointer());
    slot.fill(Shared(Rc::new(Settings {
        limits: head::Limits {
            request_line: values[0] as usize,
            head: values[1] as usize,
            headers: (values[2] as usize).min(request::HEADERS),
        },
        values,
        date: Cell::new((-1, [0; date::LENGTH])),
        spare: RefCell::default(),
    })));
    Ok(Returns(1))
}

impl Settings {
    /// The date as text, made anew each second.
    pub fn date(&self) -> [u8; date::LENGTH] {
        // The coarse clock is a few milliseconds late and costs next to nothing.
        let now =
            i64::from(clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map_or(0, |now| now.tv_sec()));
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
