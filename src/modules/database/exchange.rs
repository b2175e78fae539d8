//! Requests and answers over one stream: what the clients of databases wait on.
//! Requests are written whole, then answers are read until one of them ends the
//! wait. What they mean is the protocol's business.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;

use crate::abi::attempt::{Try, Waiting};
use crate::abi::{monotonic, Cause, Core, Host, Nanoseconds, Operation};
use crate::abi::{Reader, Transfer, Writer};
use crate::lua::{duration, Error, Lua};

/// Messages in a row, until others get their turn.
pub const ROW: usize = 64;

/// Bytes to read at once at least, and at most.
const READ: usize = 4096;
const MOST: usize = 65536;

/// Buffers of requests up to this size are kept.
const KEPT: usize = 4096;

/// What a look at the received bytes gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// So many more are missing, at least.
    Missing(usize),
    /// So many were taken; there is nothing to tell yet.
    Took(usize),
    /// So many were taken, and that many results were pushed.
    Told(usize, c_int),
    /// The server breaks the protocol, or a limit.
    Fatal(&'static str),
    /// The error value is on top.
    Raised,
}

impl From<Error> for Look {
    fn from(_: Error) -> Look {
        Look::Raised
    }
}

/// First field of the links of the clients.
#[repr(C)]
pub struct Exchange {
    pub waiting: Waiting,
    pub core: Core,
    reader: Cell<Option<Reader>>,
    writer: Cell<Option<Writer>>,
    /// Requests, of which `done` bytes are written.
    pub out: RefCell<Vec<u8>>,
    done: Cell<usize>,
    /// Writing failed; what the server said before is still read.
    failed: Cell<bool>,
    /// When the wait ends at the latest; 0 for never.
    deadline: Cell<Nanoseconds>,
}

impl Exchange {
    /// The field of a link of type `T`.
    pub fn new<T: Operation>(core: Core) -> Exchange {
        Exchange {
            waiting: Waiting::new::<T>(core),
            core,
            reader: Cell::new(None),
            writer: Cell::new(None),
            out: RefCell::default(),
            done: Cell::new(0),
            failed: Cell::new(false),
            deadline: Cell::new(0),
        }
    }

    /// Takes the stream whose reader and writer are arguments 2 and 3, and keeps
    /// them in two user values of argument 1.
    pub fn attach(&self, lua: Lua) -> Result<(), Error> {
        self.waiting.check_idle()?;
        let (Some(reader), Some(writer)) =
            (self.core.reader_at(lua, 2), self.core.writer_at(lua, 3))
        else {
            return Err("not a stream".into());
        };
        reader.check_idle()?;
        writer.check_idle()?;
        lua.set_top(3);
        lua.set_user_value(1, 2);
        lua.set_user_value(1, 1);
        self.reader.set(Some(reader));
        self.writer.set(Some(writer));
        self.failed.set(false);
        Ok(())
    }

    /// Ends the wait of whoever waits, with `canceled`.
    pub fn cancel(&self) {
        self.core.wake(&self.waiting.parked, Cause::CANCEL);
    }

    /// The wait that begins ends that many seconds later; nil is for ever. Zero
    /// and less are no time at all.
    pub fn limit(&self, lua: Lua, index: c_int) -> Result<(), Error> {
        self.waiting.check_idle()?;
        let deadline = if lua.is_none_or_nil(index) {
            0
        } else {
            let limit = duration(lua.number(index)?);
            monotonic().saturating_add(limit.max(1))
        };
        self.deadline.set(deadline);
        Ok(())
    }

    /// What is left of that time, 0 for ever.
    pub fn left(&self) -> Nanoseconds {
        match self.deadline.get() {
            0 => 0,
            deadline => (deadline - monotonic()).max(1),
        }
    }

    pub fn fd(&self) -> c_int {
        self.reader.get().map_or(-1, |reader| reader.fd())
    }

    /// Tries once: writes, or looks at what came and reads more. May raise.
    pub fn attempt(&self, lua: Lua, take: &mut dyn FnMut(Lua, &[u8]) -> Look) -> Try {
        let (Some(reader), Some(writer)) = (self.reader.get(), self.writer.get()) else {
            return fail(lua, "closed");
        };
        if let Some(tried) = self.write(writer) {
            return tried;
        }
        let mut look = Look::Missing(1);
        reader.peek(|received| look = take(lua, received));
        match look {
            Look::Took(count) => {
                reader.consume(count);
                Try::Moved
            }
            Look::Told(count, results) => {
                reader.consume(count);
                Try::Done(results)
            }
            Look::Fatal(text) => fail(lua, text),
            Look::Raised => {
                lua.push_nil();
                lua.insert(-2);
                Try::Done(2)
            }
            Look::Missing(missing) => match reader.fill(missing.clamp(READ, MOST)) {
                Transfer::Moved(0) => fail(lua, "closed"),
                Transfer::Moved(_) => Try::Moved,
                Transfer::Blocked(_) if self.failed.get() => {
                    lua.push_nil();
                    writer.push_error(lua);
                    Try::Done(2)
                }
                Transfer::Blocked(direction) => Try::Again(direction),
                Transfer::Failed => {
                    lua.push_nil();
                    reader.push_error(lua);
                    Try::Done(2)
                }
            },
        }
    }

    /// Writes once; None when all is written.
    fn write(&self, writer: Writer) -> Option<Try> {
        let mut out = self.out.borrow_mut();
        let rest = out.get(self.done.get()..).unwrap_or_default();
        if rest.is_empty() {
            return None;
        }
        match writer.send(rest) {
            Transfer::Moved(count) => self.done.set(self.done.get() + count),
            Transfer::Blocked(direction) => return Some(Try::Again(direction)),
            Transfer::Failed => {
                self.failed.set(true);
                self.done.set(out.len());
            }
        }
        if self.done.get() >= out.len() {
            self.done.set(0);
            out.clear();
            if out.capacity() > KEPT {
                *out = Vec::new();
            }
        }
        Some(Try::Moved)
    }
}

fn fail(lua: Lua, text: &str) -> Try {
    lua.push_nil();
    lua.push_str(text);
    Try::Done(2)
}

/// What a link of this kind has in common: how it is attempted. `$take` is its
/// method that takes messages.
#[macro_export]
macro_rules! exchange {
    ($link:ty, $take:ident) => {
        $crate::attempt!($link, exchange.waiting);

        impl $crate::abi::Attempt for $link {
            type Host = $crate::abi::Core;

            fn waiting(&self) -> &$crate::abi::attempt::Waiting {
                &self.exchange.waiting
            }

            fn fd(&self) -> std::ffi::c_int {
                self.exchange.fd()
            }

            fn direction(&self) -> $crate::abi::Interest {
                $crate::abi::Interest::READ
            }

            fn attempt(&self, lua: $crate::lua::Lua) -> $crate::abi::attempt::Try {
                self.exchange
                    .attempt(lua, &mut |lua, received| self.$take(lua, received))
            }

            fn limit(&self) -> $crate::abi::Nanoseconds {
                self.exchange.left()
            }
        }
    };
}
