//! The scheduler: ready queue, timers, reactor, streams, pool and signals, and
//! the functions of the table through which modules reach them. Only `eco.so`
//! and `eco` hold it.
//!
//! One [`runtime::Runtime`] belongs to one Lua state and hangs off its
//! registry; nothing here is shared between states.

mod clock;
mod memory;
mod notifier;
mod pool;
mod queue;
mod reactor;
mod ready;
pub mod runtime;
mod signals;
pub mod stream;
mod table;
mod tasks;
mod ticker;
mod timers;

pub use clock::split;
#[cfg(test)]
pub use notifier::Notifier;
pub use queue::{Owner, Queue, Waiter};
