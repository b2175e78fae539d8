//! HTTP/1.1 (RFC 9110, 9112), URLs and forms as functions over bytes: no I/O and
//! no Lua. What a peer sent goes in, what it means comes out; nothing is copied
//! that can be pointed at. Server, client and WebSocket stand on this.

#[cfg(feature = "http-server")]
pub mod body;
#[cfg(feature = "http-server")]
pub mod conditions;
#[cfg(feature = "http-server")]
pub mod date;
#[cfg(feature = "http-server")]
pub mod fields;
#[cfg(feature = "http-server")]
pub mod head;
#[cfg(feature = "http-server")]
pub mod multipart;
pub mod percent;
#[cfg(feature = "http-server")]
pub mod request;
#[cfg(feature = "http-server")]
pub mod response;
#[cfg(feature = "http-server")]
pub mod status;
#[cfg(feature = "http-server")]
pub mod target;
#[cfg(feature = "http-server")]
pub mod text;
#[cfg(feature = "http-url")]
pub mod url;
