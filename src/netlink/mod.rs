//! Netlink messages and their attributes, taken apart and put together without
//! I/O: netlink(7), `linux/netlink.h`.
//!
//! Numbers are in the order of the machine. Whatever the bytes say, nothing is
//! read beyond them; what does not fit is refused.

pub mod attribute;
pub mod builder;
pub mod message;

/// `len` rounded up to the alignment of messages and attributes.
pub const fn align(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// The `N` bytes at `offset`.
pub fn part<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}
