//! The engine of node-lua without its Lua: bytes that are shared until they are
//! changed, frames, timers, sockets and the thread that waits for them.

pub mod bytes;
pub mod errors;
pub mod event;
pub mod framing;
pub mod net;
pub mod socket;
pub mod timers;
