//! The Lua modules, named as Lua sees them.

#[cfg(feature = "base64")]
pub mod base64;
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
#[cfg(any(
    feature = "hash-md5",
    feature = "hash-sha1",
    feature = "hash-sha256",
    feature = "hash-hmac"
))]
pub mod hash;
#[cfg(feature = "hex")]
pub mod hex;
#[cfg(any(feature = "http-url", feature = "http-server"))]
pub mod http;
#[cfg(feature = "json")]
pub mod json;
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
