//! Lua source inside the binary: packed by the build script (see `pack`),
//! unpacked when its module is loaded.

use super::model::{Coder, LOWEST_RANGE, PLACES, SHARES, SPEED};

/// A packed source text, made by [`lua_source!`](crate::lua_source).
#[derive(Clone, Copy)]
pub struct Source(pub &'static [u8]);

impl Source {
    /// The text, without comment lines and indentation.
    pub fn unpack(self) -> Vec<u8> {
        let mut decoder = Decoder {
            places: [SHARES as u16 / 2; PLACES],
            bytes: self.0,
            code: 0,
            range: u32::MAX,
        };
        let length = decoder.next() << 8 | decoder.next();
        for _ in 0..4 {
            decoder.code = decoder.code << 8 | decoder.next();
        }
        let length = length as usize;
        let mut text = Vec::with_capacity(length);
        let mut is_copy = false;
        while text.len() < length {
            is_copy = decoder.kind(is_copy, false);
            if !is_copy {
                text.push(decoder.byte(0));
                continue;
            }
            let (count, distance) = decoder.copy(0, 0);
            for _ in 0..count {
                let byte = text.len().checked_sub(distance).and_then(|at| text.get(at));
                text.push(byte.copied().unwrap_or(b' '));
            }
        }
        text
    }
}

/// A range coder that reads; after the end come zeros.
struct Decoder {
    places: [u16; PLACES],
    bytes: &'static [u8],
    code: u32,
    range: u32,
}

impl Decoder {
    fn next(&mut self) -> u32 {
        let Some((&first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        u32::from(first)
    }
}

impl Coder for Decoder {
    #[inline(never)]
    fn bit(&mut self, place: usize, _: usize) -> usize {
        let learnt = &mut self.places[place % PLACES];
        let share = u32::from(*learnt);
        let bound = (self.range / SHARES) * share;
        let bit = self.code >= bound;
        if bit {
            self.code -= bound;
            self.range -= bound;
            *learnt -= (share >> SPEED) as u16;
        } else {
            self.range = bound;
            *learnt += ((SHARES - share) >> SPEED) as u16;
        }
        while self.range < LOWEST_RANGE {
            self.range <<= 8;
            self.code = self.code << 8 | self.next();
        }
        usize::from(bit)
    }
}

/// The Lua source file of that name, wherever it is in `src/`: names are unique.
/// For [`Lua::push_chunk`](super::Lua::push_chunk). Lines of its long strings
/// must not begin with blanks or `--`.
#[macro_export]
macro_rules! lua_source {
    ($file:literal) => {
        $crate::lua::source::Source(include_bytes!(concat!(env!("OUT_DIR"), "/", $file)))
    };
}

#[cfg(test)]
use super::model;
#[cfg(test)]
#[path = "pack.rs"]
mod pack;

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &[u8]) -> usize {
        let packed: &'static [u8] = pack::pack(text).leak();
        assert_eq!(Source(packed).unpack(), text);
        packed.len()
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        round_trip(b"");
        round_trip(b"a");
        round_trip(b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        round_trip(&(0..=255).collect::<Vec<u8>>());
        let between: Vec<u8> = (0..9000u32)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let far = [&b"needle"[..], &between, b"needle"].concat();
        round_trip(&far);
    }

    #[test]
    fn source_is_stripped_and_shrinks() {
        let stripped = pack::strip("-- one\n  x = 1 -- two\n\n    --three\n  return x");
        assert_eq!(stripped, b"\nx = 1 -- two\n\n\nreturn x");
        let source = include_str!("../modules/http/server/methods.lua");
        let stripped = pack::strip(source);
        assert!(round_trip(&stripped) * 5 < stripped.len() * 2);
    }

    #[test]
    fn damage_is_harmless() {
        for length in 0..64u8 {
            let bytes: Vec<u8> = (0..length).map(|at| at.wrapping_mul(37) ^ 0x0f).collect();
            let mut short = vec![1, 0];
            short.extend_from_slice(&bytes);
            Source(short.leak()).unpack();
        }
    }
}
