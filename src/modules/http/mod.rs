//! HTTP: `eco.http.url` and `eco.http.server`. The protocol itself is pure
//! functions over bytes; only `server/connection` and its neighbours do I/O.

pub mod percent;
#[cfg(feature = "http-server")]
pub mod server;
#[cfg(feature = "http-url")]
pub mod url;
