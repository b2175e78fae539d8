//! HTTP/1.1 (RFC 9110, 9112), URLs and forms as functions over bytes: no I/O and
//! no Lua. What a peer sent goes in, what it means comes out; nothing is copied
//! that can be pointed at. Server and client stand on this.

#[cfg(any(feature = "http-server", feature = "http-client"))]
pub mod body;
#[cfg(feature = "http-server")]
pub mod conditions;
#[cfg(feature = "http-server")]
pub mod date;
#[cfg(any(feature = "http-server", feature = "http-client"))]
pub mod fields;
#[cfg(feature = "http-server")]
pub mod head;
#[cfg(feature = "http-server")]
pub mod multipart;
pub mod percent;
#[cfg(any(feature = "http-server", feature = "http-client"))]
pub mod reply;
#[cfg(feature = "http-server")]
pub mod request;
#[cfg(feature = "http-server")]
pub mod response;
#[cfg(feature = "http-server")]
pub mod status;
#[cfg(feature = "http-server")]
pub mod target;
#[cfg(any(feature = "http-server", feature = "http-client"))]
pub mod text;
#[cfg(any(feature = "http-url", feature = "http-client"))]
pub mod url;
