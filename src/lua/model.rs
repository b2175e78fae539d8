//! What packing and unpacking embedded Lua have in common: which bits follow
//! one another, and how likely each is, learnt as they go by.
//!
//! A text is copies of what came before and single bytes, coded as in LZMA
//! (Igor Pavlov, "LZMA specification", 2015), with fewer contexts.

/// Probabilities are of a 0, in units of 1/4096.
pub const SHARES: u32 = 1 << 12;
/// How fast they are learnt.
pub const SPEED: u32 = 4;
/// The range is kept above this, byte by byte.
pub const LOWEST_RANGE: u32 = 1 << 24;

/// Shortest copy.
pub const SHORTEST: usize = 3;

/// Number of probabilities.
pub const PLACES: usize = 1024;
/// Byte or copy, after either.
const KIND: usize = 0;
const BYTE: usize = 256;
const LENGTH: usize = 512;
const DISTANCE: usize = 696;

/// Puts bits, or takes them: then `bit` is nothing.
pub trait Coder {
    /// One bit, with the probability at `place`.
    fn bit(&mut self, place: usize, bit: usize) -> usize;

    /// Whether a copy follows. `after_copy` tells what came before.
    fn kind(&mut self, after_copy: bool, is_copy: bool) -> bool {
        self.bit(KIND + usize::from(after_copy), usize::from(is_copy)) != 0
    }

    /// A byte.
    fn byte(&mut self, byte: u8) -> u8 {
        self.tree(BYTE, 8, usize::from(byte)) as u8
    }

    /// Length and distance of a copy.
    fn copy(&mut self, length: usize, distance: usize) -> (usize, usize) {
        let length = self.number(LENGTH, (length + 1).wrapping_sub(SHORTEST));
        let distance = self.number(DISTANCE, distance);
        (length + SHORTEST - 1, distance)
    }

    /// A value of that many bits, highest first, each in the context of those
    /// before it.
    fn tree(&mut self, base: usize, bits: usize, value: usize) -> usize {
        let mut node = 1;
        for at in (0..bits).rev() {
            node = node * 2 + self.bit(base + node, value >> at & 1);
        }
        node - (1 << bits)
    }

    /// A positive number below 65536: the place of its highest bit, then the
    /// bits below.
    fn number(&mut self, base: usize, value: usize) -> usize {
        let highest = self.tree(base, 4, value.max(1).ilog2() as usize);
        let mut number = 1;
        for at in (0..highest).rev() {
            number = number * 2 + self.bit(base + 16 + highest * 16 + at, value >> at & 1);
        }
        number
    }
}
