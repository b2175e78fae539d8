//! HTTP for Lua: `eco.http.url` and `eco.http.server`. The protocol itself is in
//! [`crate::http`].

#[cfg(feature = "http-server")]
pub mod server;
#[cfg(feature = "http-url")]
pub mod url;
