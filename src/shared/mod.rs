//! A dictionary in memory that several processes share: what is where, how it
//! is found, and how it is put right after a process ended in the middle of a
//! change. No locks and no files here; no bytes in the memory are trusted.
//!
//! The memory: a header, hash buckets, and an area of records, packed one behind
//! the other. Records of a bucket are chained, each one to an earlier one. A
//! change says so first (`CHANGING`), so that whoever comes next after an end in
//! the middle builds buckets and chains anew from the records. Records end up at
//! other places, or change in place, only under a note of what is to be done.

mod dict;
mod record;

pub use dict::{Dict, NoMemory, Number};
pub use record::{Kind, Record};

use crate::system::map::Map;

/// Bytes of a record besides key and value.
pub const OVERHEAD: u32 = 24;

/// What a file begins with.
const MAGIC: [u8; 8] = *b"ecoDICT\x01";
/// Fields of the header.
const SIZE: usize = 8;
const BUCKETS: usize = 12;
const END: usize = 16;
const CHANGING: usize = 20;
/// How much of the area has memory behind it.
const ALLOCATED: usize = 24;
/// A record on its way to another place.
const MOVE_LENGTH: usize = 28;
const MOVE_FROM: usize = 32;
const MOVE_TO: usize = 36;
const MOVE_DONE: usize = 40;
/// A record that changes in place: its place and 1, kind, expiry, value.
const PATCH: usize = 44;
const PATCH_KIND: usize = 48;
const PATCH_EXPIRY: usize = 56;
const PATCH_VALUE: usize = 64;
const HEADER: usize = 72;

/// How a file is divided. Read once, so that nobody can change it afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes of the area.
    size: u32,
    /// A power of two.
    buckets: u32,
}

/// Why a file is no dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    TooSmall,
    NoHeader,
}

impl Geometry {
    /// That of a new dictionary.
    pub fn new(size: u32) -> Geometry {
        // One for four records of usual size, or fewer.
        let buckets = (size / 256).clamp(8, 1 << 16).next_power_of_two();
        Geometry { size, buckets }
    }

    /// That of a map.
    pub fn read(map: &Map) -> Result<Geometry, Problem> {
        let (Some(size), Some(buckets)) = (map.load(SIZE), map.load(BUCKETS)) else {
            return Err(Problem::TooSmall);
        };
        if map.len() < HEADER {
            return Err(Problem::TooSmall);
        }
        let geometry = Geometry { size, buckets };
        let fits = geometry.length() == map.len() as u64;
        if !map.holds(0, &MAGIC) || !buckets.is_power_of_two() || size == 0 || !fits {
            return Err(Problem::NoHeader);
        }
        Ok(geometry)
    }

    /// Bytes of the whole.
    pub fn length(self) -> u64 {
        self.area() + u64::from(self.size)
    }

    /// Where records begin.
    pub fn area(self) -> u64 {
        HEADER as u64 + 4 * u64::from(self.buckets)
    }

    /// Writes the header of an empty dictionary over zeros.
    pub fn write(self, map: &Map) -> Option<()> {
        map.store(SIZE, self.size)?;
        map.store(BUCKETS, self.buckets)?;
        map.write(0, &MAGIC)
    }
}

/// FNV-1a of nothing.
const NO_HASH: u32 = 0x811c_9dc5;

/// FNV-1a of what `hash` is that of, and more.
fn mix(hash: u32, more: &[u8]) -> u32 {
    let mut hash = hash;
    for &byte in more {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash
}
