//! DNS (RFC 1035, 2308, 2782, 3596, 6891) without Lua and without I/O: messages,
//! and the two files that say how names are resolved.
//!
//! Nothing here allocates, recurses or follows a pointer twice: work grows with
//! the length of what was received, times the longest name.

pub mod files;
pub mod message;
pub mod name;

pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const PTR: u16 = 12;
pub const MX: u16 = 15;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;
pub const OPT: u16 = 41;
pub const SPF: u16 = 99;

/// The class of the Internet.
pub const IN: u16 = 1;
