//! System calls with types: sockets, addresses, files, processes, descriptors.
//!
//! The one place besides [`crate::lua`] and the table between shared objects
//! for unsafe code. Nothing here knows of Lua or of the scheduler.

pub mod address;
pub mod date;
pub mod fd;
pub mod file;
#[cfg(feature = "json")]
pub mod number;
pub mod process;
pub mod program;
pub mod signal;
pub mod socket;
pub mod user;
