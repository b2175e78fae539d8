//! Many Lua states: what passes between them, and what runs them.
//!
//! [`codec`] turns Lua values into a [`Message`] and back. Its bytes are the
//! business of [`mod@format`] and [`reader`], which know nothing of Lua.
//! A [`mailbox`] is a queue of messages, a [`thread`] runs a [`state`] of its own.

pub mod codec;
mod decode;
mod encode;
pub mod format;
pub mod mailbox;
mod message;
pub mod reader;
pub mod state;
pub mod thread;
mod waiters;
#[cfg(feature = "node")]
pub mod workers;

pub use message::{Message, Share, Shareable, Shared};

#[cfg(test)]
mod tests;
