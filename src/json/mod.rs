//! JSON (RFC 8259) without Lua and without I/O: a reader that feeds a builder,
//! and the texts of strings and numbers.
//!
//! The reader neither recurses nor allocates: how deep containers lie, and in
//! what kind of container a value is, is the builder's to keep.

pub mod reader;
pub mod writer;

/// Whether words have 64 bits. Routers of 32 bits have little flash and mostly
/// no floating point unit: there, what makes things fast but heavy is left out,
/// and floats go through Lua and the C library.
pub const WIDE: bool = cfg!(target_pointer_width = "64");

/// Powers of ten that floats hold exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
