//! The library: encodings, and the client that waits.

#[cfg(feature = "client")]
mod client;
mod encoding;
mod manifest;
#[cfg(feature = "client")]
mod peer;
#[cfg(feature = "client")]
#[path = "../../src/testing.rs"]
mod testing;
