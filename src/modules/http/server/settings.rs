//! What all connections of one listener share: limits, the current date as
//! text, and the working memory of requests that are not being served now.

use std::cell::{Cell, Ref, RefCell};
use std::ffi::CStr;
use std::rc::Rc;

use nix::time::{clock_gettime, ClockId};

use super::exchange::Exchange;
use crate::abi::Core;
use crate::http::head;
use crate::http::response::Prepared;
use crate::lua::{ffi, Functions, Lua, Outcome, Returns, UserData};

/// Working memory kept for the next request; busier servers allocate.
const SPARE: usize = 8;

/// Makes the settings that are plain numbers, from the fields of a table that
/// the driver made of the options.
macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident = $field:literal,)*) => {
        /// Limits and times of a listener, read once from its options.
        pub struct Settings {
            $($(#[$doc])* pub $name: i64,)*
            pub limits: head::Limits,
            /// Bytes of bodies held now.
            pub held: Cell<usize>,
            prepared: RefCell<Prepared>,
            // Boxes, because they move between here and connections.
            #[allow(clippy::vec_box)]
            spare: RefCell<Vec<Box<Exchange>>>,
        }

        impl Settings {
            /// The settings in the table at index 1. May raise.
            fn read(lua: Lua) -> Settings {
                let size = |name| usize::try_from(number(lua, name)).unwrap_or(usize::MAX);
                Settings {
                    limits: head::Limits {
                        request_line: size(c"max_request_line"),
                        head: size(c"max_head"),
                        headers: size(c"max_headers"),
                    },
                    $($name: number(lua, $field),)*
                    held: Cell::new(0),
                    prepared: RefCell::new(Prepared::new(number(lua, c"keepalive") as u32)),
                    spare: RefCell::default(),
                }
            }
        }
    };
}

settings! {
    /// Bytes of a body; more is refused.
    max_body = c"max_body",
    /// Bytes of an unread body that are read away to keep the connection.
    max_drain = c"max_drain",
    /// Seconds an idle connection is kept, as the header announces them; 0: not at all.
    keepalive = c"keepalive",
    /// The same in nanoseconds, with what counts without keep-alive.
    idle = c"idle",
    /// Bytes of bodies that all connections may hold at once.
    max_buffered = c"max_buffered",
    /// Bytes a peer may still send while it is waited for to take the last answer.
    max_linger = c"max_linger",
    /// Nanoseconds for a whole head, and for reading away an unread body.
    head_timeout = c"head_timeout",
    /// Nanoseconds for a peer that sends no body, when the caller gives no limit.
    body_timeout = c"body_timeout",
    /// Nanoseconds to wait for a peer to take the last answer: of silence, and altogether.
    linger_timeout = c"linger_timeout",
    linger_time = c"linger_time",
    /// Nanoseconds for a peer that does not read.
    send_timeout = c"send_timeout",
    /// Not 0 without TLS: the socket may be shut down in one direction.
    plain = c"plain",
}

/// A number from the table at index 1. May raise.
#[inline(never)]
fn number(lua: Lua, name: &CStr) -> i64 {
    lua.get_field(1, name);
    let value = lua.to_integer(-1).unwrap_or(0).max(0);
    lua.pop(1);
    value
}

/// The Lua face of settings: what a driver hands to each new connection.
pub struct Shared(pub Rc<Settings>);

impl UserData for Shared {
    const NAME: &'static CStr = c"struct http_settings *";
    const METHODS: Functions = Functions::NONE;
}

/// `settings(limits)`, for the driver, which checks what it passes.
pub fn new(lua: Lua) -> Outcome {
    lua.expect(1, ffi::LUA_TTABLE)?;
    let slot = lua.reserve::<Shared>(0, Core::of(lua).pointer());
    slot.fill(Shared(Rc::new(Settings::read(lua))));
    Ok(Returns(1))
}

impl Settings {
    /// Seconds since 1970: of the coarse clock, which is a few milliseconds late
    /// and costs next to nothing.
    pub fn now() -> i64 {
        clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map_or(0, |now| i64::from(now.tv_sec()))
    }

    /// What responses of this second have in common.
    pub fn prepared(&self) -> Ref<'_, Prepared> {
        self.prepared.borrow_mut().refresh(Settings::now());
        self.prepared.borrow()
    }

    /// Working memory for a request.
    pub fn take(&self) -> Box<Exchange> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Keep working memory for the next request, or let it go.
    pub fn give_back(&self, mut exchange: Box<Exchange>) {
        self.held.set(self.held.get().saturating_sub(exchange.held));
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE {
            exchange.clear();
            spare.push(exchange);
        }
    }
}
