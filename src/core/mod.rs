//! The scheduler: ready queue, timers, reactor, parked operations, and the
//! table of functions through which modules reach them.
//!
//! One [`runtime::Runtime`] belongs to one Lua state and hangs off its
//! registry; nothing here is shared between states. Modules see it as a
//! [`Core`], a pointer to its [`abi::Abi`] table.

pub mod abi;
mod clock;
pub mod log_hook;
mod operation;
#[cfg(feature = "core")]
mod pool;
#[cfg(feature = "core")]
mod reactor;
#[cfg(feature = "core")]
mod ready;
#[cfg(feature = "core")]
pub mod runtime;
#[cfg(feature = "core")]
mod signals;
#[cfg(feature = "core")]
mod table;
#[cfg(feature = "core")]
mod tasks;
#[cfg(feature = "core")]
mod timers;

pub use abi::{Alarm, Core, Fires, ReadFunction, ReaderMethod, WriteFunction, WriterMethod};
#[cfg(feature = "core")]
pub use clock::{checked_duration, milliseconds, split};
pub use clock::{duration, monotonic, wall_clock, Clock, Nanoseconds, FOREVER};
pub use operation::{Cause, Interest, Operation, Parked, Step};
