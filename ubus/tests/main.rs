//! Behaviour of the crate from outside.

#[cfg(feature = "ubusd")]
mod daemon;
mod library;
