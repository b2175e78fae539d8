//! System calls with types: sockets, addresses, files, processes, descriptors.
//!
//! The one place besides [`crate::lua`] and the table between shared objects
//! for unsafe code. Nothing here knows of Lua or of the scheduler.

#[cfg(feature = "luv")]
pub mod action;
pub mod address;
pub mod date;
pub mod fd;
pub mod file;
#[cfg(any(feature = "lunet", feature = "luv"))]
pub mod job;
#[cfg(feature = "shared")]
pub mod map;
#[cfg(any(feature = "json", feature = "postgres"))]
pub mod number;
#[cfg(feature = "node")]
pub mod output;
pub mod process;
pub mod program;
pub mod random;
#[cfg(feature = "node")]
pub mod resolve;
pub mod signal;
pub mod socket;
#[cfg(feature = "sqlite3")]
pub mod sqlite;
#[cfg(feature = "ssh")]
pub mod ssh;
#[cfg(any(feature = "termios", feature = "serial"))]
pub mod terminal;
pub mod thread;
pub mod user;
#[cfg(feature = "zmq")]
pub mod zmq;
