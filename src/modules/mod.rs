//! The Lua modules, named as Lua sees them.

#[cfg(feature = "bufio")]
pub mod bufio;
#[cfg(feature = "channel")]
pub mod channel;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "core")]
pub mod eco;
#[cfg(feature = "file")]
pub mod file;
#[cfg(feature = "hex")]
pub mod hex;
#[cfg(any(feature = "http-url", feature = "http-server"))]
pub mod http;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "socket")]
pub mod socket;
#[cfg(feature = "core")]
pub mod socket_stub;
#[cfg(feature = "sync")]
pub mod sync;
#[cfg(feature = "sys")]
pub mod sys;
#[cfg(feature = "time")]
pub mod time;
