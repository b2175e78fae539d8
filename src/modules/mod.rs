//! The Lua modules, named as Lua sees them.

#[cfg(feature = "core")]
pub mod eco;
