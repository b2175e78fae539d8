//! System calls with types: sockets, addresses, files, processes, descriptors.
//!
//! The one place besides [`crate::lua`] and the table between shared objects
//! for unsafe code. Nothing here knows of Lua or of the scheduler.

#[cfg(feature = "socket")]
pub mod address;
#[cfg(feature = "socket")]
pub mod socket;
