//! The frontend/backend protocol 3.0 of PostgreSQL, as its manual gives it:
//! messages taken apart where they lie, requests written, and the digests of
//! its passwords. No I/O, no Lua.

pub mod message;
pub mod password;
pub mod write;
