//! What every module compiles in to reach the scheduler in `eco.so`: the
//! versioned table of functions, the operations they park, and the clocks.
//!
//! Nothing here holds state; [`Core`] is a pointer to the table of a live
//! Lua state.

mod alarm;
pub mod attempt;
mod clock;
mod codes;
mod core;
pub mod log_hook;
mod offload;
mod operation;
mod stream;
mod table;
mod token;
mod turns;

pub use self::core::{fair, Core};
pub use alarm::{Alarm, Callback, Fires, Slot, Watch, Watches};
pub use attempt::{Attempt, Host};
pub use clock::{monotonic, read, wall_clock, Clock, Nanoseconds};
pub use codes::idle;
pub use offload::{offload, Offloaded};
pub use operation::{Cause, Interest, Operation, Parked, Step};
pub use stream::{Reader, Stream, Transfer, Writer};
pub use table::{
    ReadFunction, ReaderMethod, WorkFunction, WriteFunction, WriterMethod, FAILURE, PROMPT,
    WANTS_READ, WANTS_WRITE,
};
pub use token::Token;
pub use turns::{InTurn, Turns};
#[cfg(feature = "core")]
pub use {
    operation::{poll_header, NO_TASK},
    table::*,
    token::TokenTable,
};
