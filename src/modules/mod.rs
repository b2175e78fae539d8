//! The Lua modules, named as Lua sees them.

#[cfg(feature = "core")]
pub mod eco;
#[cfg(any(feature = "http-url", feature = "http-server"))]
pub mod http;
