//! The one engine that waits: try, and if that would block, hand the coroutine
//! over until an fd is ready, then try again.
//!
//! Whatever can wait for an fd is an [`Attempt`]: it knows how to try once.
//! Fairness, timeouts, cancelling and closing, and the change of direction that
//! a TLS stream may ask for, are here and nowhere else.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_int;

use nix::errno::Errno;

use super::codes::{busy_text, refuse};
use super::{Cause, Core, Interest, Nanoseconds, Operation, Parked, Step};
use crate::lua::{Error, Lua, Outcome, Returns};

/// What a try came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Try {
    /// Finished: that many results were pushed.
    Done(c_int),
    /// It would block until the fd is ready in this direction, or, if that is
    /// none, until somebody wakes it.
    Again(Interest),
    /// Something was moved; there is more to do.
    Moved,
}

/// Why a wait ends before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Canceled,
    Timeout,
}

impl End {
    /// Pushes what the call gives: `nil, message`. May raise.
    pub fn push(self, lua: Lua) -> Try {
        lua.push_nil();
        lua.push_str(match self {
            End::Canceled => "canceled",
            End::Timeout => "timeout",
        });
        Try::Done(2)
    }
}

/// Tries in a row that moved something, until others get their turn.
const ROW: u32 = 16;

/// Who parks and wakes: the core's table, or in `eco.so` the runtime itself.
pub trait Host: Copy + 'static {
    /// Parks the running coroutine: 0, or a code for [`refuse`].
    ///
    /// # Safety
    ///
    /// The pointer is to the whole operation, which lives in userdata that the
    /// running call keeps, or is forgotten before it goes.
    unsafe fn park_raw(
        self,
        lua: Lua,
        operation: *const Parked,
        fd: c_int,
        interest: Interest,
        timeout: Nanoseconds,
    ) -> c_int;
    /// Whether an fd can be waited for: plain files cannot.
    fn can_wait(self, fd: c_int) -> bool;
    /// Makes the parked operation wait for something else: 0, or a code.
    fn change_interest(self, operation: &Parked, fd: c_int, interest: Interest) -> c_int;
    /// Starts the timeout of the parked operation anew, 0 for none.
    fn restart_timeout(self, operation: &Parked, timeout: Nanoseconds);
    /// Queues the parked operation for a poll.
    fn wake(self, operation: &Parked, cause: Cause);
    /// Ends a call that has pushed `count` results, or yields with them when
    /// the coroutine has had its share.
    fn settle(self, lua: Lua, count: c_int) -> Returns;

    /// Parks the running coroutine on `operation`, as the last thing a blocking
    /// call does: waits for `interest` on `fd` (-1 for none), at most `timeout`
    /// ns (0 = for ever). May raise.
    ///
    /// Ends with a yield, with `nil, message` when the fd cannot be waited
    /// for, or with an error when yielding is impossible or the fd is busy.
    fn park<T: Operation + ?Sized>(
        self,
        lua: Lua,
        operation: &T,
        fd: c_int,
        interest: Interest,
        timeout: Nanoseconds,
    ) -> Outcome {
        let whole = std::ptr::from_ref(operation).cast::<Parked>();
        // SAFETY: an operation begins with its header, the reference is to all
        // of it, and operations live in userdata (contract of the trait).
        match unsafe { self.park_raw(lua, whole, fd, interest, timeout) } {
            0 => Ok(Returns::YIELD),
            code => refuse(lua, code),
        }
    }
}

/// First field of everything that is attempted.
#[repr(C)]
pub struct Waiting<H = Core> {
    pub parked: Parked,
    pub host: H,
    /// What it is parked for.
    direction: Cell<Interest>,
    /// The next park starts the timeout anew.
    fresh: Cell<bool>,
    timeout: Cell<Nanoseconds>,
}

impl<H> Waiting<H> {
    /// The header of an attempt of type `T` that nobody waits on yet.
    pub const fn new<T: Operation>(host: H) -> Waiting<H> {
        Waiting {
            parked: Parked::new::<T>(),
            host,
            direction: Cell::new(Interest::NONE),
            fresh: Cell::new(false),
            timeout: Cell::new(0),
        }
    }

    /// The limit its call was started with.
    pub fn limit(&self) -> Nanoseconds {
        self.timeout.get()
    }

    /// Starts the timeout anew when the attempt next blocks.
    pub fn refresh(&self) {
        self.fresh.set(true);
    }
}

impl Waiting<Core> {
    /// Refuses a second coroutine.
    pub fn check_idle(&self) -> Result<(), Error> {
        if self.host.is_parked(&self.parked) {
            return Err("another coroutine is already waiting on this I/O object".into());
        }
        Ok(())
    }
}

/// Something that may have to wait for an fd.
///
/// A type becomes one by [`crate::attempt`], which makes it an operation, too.
pub trait Attempt: Operation {
    type Host: Host;

    /// Its header.
    fn waiting(&self) -> &Waiting<Self::Host>;

    /// The fd it waits for; below zero once that is closed.
    fn fd(&self) -> c_int;

    /// The direction it usually waits for, which is its own meanwhile.
    fn direction(&self) -> Interest;

    /// Tries once: at most one system call that moves anything. What it pushes
    /// are the results of the call. May raise.
    fn attempt(&self, lua: Lua) -> Try;

    /// The wait ends unfinished; pushes what the call gives. May raise.
    fn end(&self, lua: Lua, end: End) -> Try {
        self.drop_request();
        end.push(lua)
    }

    /// How long it may be parked without progress, in nanoseconds; 0 is for ever.
    fn limit(&self) -> Nanoseconds {
        self.waiting().limit()
    }

    /// Somebody woke it who did not say why (`eco._resume`). True ends a wait
    /// for readiness alone, with `true`.
    fn ends_when_woken(&self) -> bool {
        false
    }

    /// Lets go of what the request held: it ended without having been done.
    fn drop_request(&self) {}
}

/// Starts an attempt, as the last act of a call; `timeout` is its limit between
/// two signs of progress, in nanoseconds, 0 for none. May raise.
#[inline(never)]
pub fn start<H: Host>(attempt: &dyn Attempt<Host = H>, lua: Lua, timeout: Nanoseconds) -> Outcome {
    attempt.waiting().timeout.set(timeout);
    let mut first = attempt.attempt(lua);
    loop {
        match run(attempt, lua, first) {
            (Try::Done(count), _) => return Ok(attempt.waiting().host.settle(lua, count)),
            (Try::Again(direction), turn) => return wait(attempt, lua, direction, turn),
            (Try::Moved, _) if lua.is_yieldable() => {
                // Its direction stays its own, unless it is that of a plain
                // file, which is never waited for.
                let own = attempt.waiting().host.can_wait(attempt.fd());
                let direction = if own {
                    attempt.direction()
                } else {
                    Interest::NONE
                };
                return wait(attempt, lua, direction, true);
            }
            // There are no others to have their turn.
            (Try::Moved, _) => first = Try::Moved,
        }
    }
}

/// The same for calls that yield before they look: a turn of the others passes
/// first.
pub fn start_later<H: Host>(
    attempt: &dyn Attempt<Host = H>,
    lua: Lua,
    timeout: Nanoseconds,
) -> Outcome {
    attempt.waiting().timeout.set(timeout);
    wait(attempt, lua, attempt.direction(), true)
}

/// Parks the call; with `turn`, only until the others have run.
fn wait<H: Host>(
    attempt: &dyn Attempt<Host = H>,
    lua: Lua,
    direction: Interest,
    turn: bool,
) -> Outcome {
    let waiting = attempt.waiting();
    let fd = fd_for(attempt, direction);
    waiting.direction.set(direction);
    waiting.fresh.set(false);
    let limit = attempt.limit();
    match waiting.host.park(lua, attempt, fd, direction, limit) {
        Ok(Returns::YIELD) => {}
        refused => {
            attempt.drop_request();
            return refused.map(|Returns(count)| waiting.host.settle(lua, count));
        }
    }
    if turn {
        waiting.host.wake(&waiting.parked, Cause::TURN);
    }
    Ok(Returns::YIELD)
}

/// The fd to wait for in a direction, -1 for none.
fn fd_for<H: Host>(attempt: &dyn Attempt<Host = H>, direction: Interest) -> c_int {
    if direction == Interest::NONE {
        -1
    } else {
        attempt.fd()
    }
}

/// Tries until it is done or would block, or others must have their turn; then,
/// whether they must. May raise.
fn run<H: Host>(attempt: &dyn Attempt<Host = H>, lua: Lua, first: Try) -> (Try, bool) {
    let mut result = first;
    for _ in 0..ROW {
        if result != Try::Moved {
            return (result, false);
        }
        attempt.waiting().fresh.set(true);
        result = attempt.attempt(lua);
    }
    (result, result == Try::Moved)
}

/// The attempt's poll. May raise.
#[inline(never)]
pub fn poll<H: Host>(attempt: &dyn Attempt<Host = H>, lua: Lua, cause: Cause) -> Step {
    let waiting = attempt.waiting();
    let first = if cause.has(Cause::CANCEL) || attempt.fd() < 0 {
        attempt.end(lua, End::Canceled)
    } else if cause.has(Cause::TIMEOUT) {
        attempt.end(lua, End::Timeout)
    } else if cause.has(Cause::WAKE) && attempt.ends_when_woken() {
        lua.push_bool(true);
        return Step::Done(1);
    } else {
        attempt.attempt(lua)
    };
    let (result, turn) = run(attempt, lua, first);
    match result {
        Try::Done(count) => return Step::Done(count),
        Try::Moved => {}
        Try::Again(direction) => {
            if direction != waiting.direction.replace(direction) {
                let fd = fd_for(attempt, direction);
                let code = waiting.host.change_interest(&waiting.parked, fd, direction);
                if code != 0 {
                    attempt.drop_request();
                    return Step::Done(push_refusal(lua, code));
                }
            }
        }
    }
    if waiting.fresh.replace(false) {
        waiting
            .host
            .restart_timeout(&waiting.parked, attempt.limit());
    }
    if turn {
        waiting.host.wake(&waiting.parked, Cause::TURN);
    }
    Step::Pending
}

/// Pushes `nil` and what a code of [`Host::change_interest`] says.
fn push_refusal(lua: Lua, code: c_int) -> c_int {
    lua.push_nil();
    match busy_text(code) {
        Some(text) => lua.push_str(text),
        None => lua.push_errno(Errno::from_raw(-code)),
    }
    2
}

/// Makes an [`Attempt`] an operation: a `#[repr(C)]` type whose first field is
/// `waiting: Waiting<…>` (or begins with the one named).
#[macro_export]
macro_rules! attempt {
    ($type:ty) => {
        $crate::attempt!($type, waiting);
    };
    ($type:ty, $($header:ident).+) => {
        const _: () = assert!(
            std::mem::offset_of!($type, $($header).+) == 0
                && std::mem::offset_of!($crate::abi::attempt::Waiting, parked) == 0,
            "the header comes first"
        );
        #[allow(unsafe_code)]
        // SAFETY: the header is the first field (checked above); attempts live
        // in userdata, which does not move.
        unsafe impl $crate::abi::Operation for $type {
            fn poll(&self, lua: $crate::lua::Lua, cause: $crate::abi::Cause) -> $crate::abi::Step {
                $crate::abi::attempt::poll(self, lua, cause)
            }
            fn abandon(&self) {
                $crate::abi::Attempt::drop_request(self);
            }
        }
    };
}
