//! Lua source inside the binary: packed by the build script (see `pack`),
//! unpacked when its module is loaded.

/// A packed source text, made by [`lua_source!`](crate::lua_source).
#[derive(Clone, Copy)]
pub struct Source(pub &'static [u8]);

impl Source {
    /// The text, without comment lines and indentation.
    pub fn unpack(self) -> Vec<u8> {
        let mut bits = Bits {
            bytes: self.0,
            used: 0,
        };
        let length = bits.take(16);
        let mut text = Vec::with_capacity(length);
        while text.len() < length {
            if bits.take(1) == 1 {
                text.push(bits.take(8) as u8);
                continue;
            }
            let back = bits.take(13);
            for _ in 0..bits.take(5) + 3 {
                let byte = text.len().checked_sub(back).and_then(|at| text.get(at));
                text.push(byte.copied().unwrap_or(b' '));
            }
        }
        text
    }
}

struct Bits {
    bytes: &'static [u8],
    used: usize,
}

impl Bits {
    #[inline(never)]
    fn take(&mut self, count: u32) -> usize {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.used >> 3).copied().unwrap_or(0);
            value = value << 1 | usize::from(byte >> (7 - (self.used & 7)) & 1);
            self.used += 1;
        }
        value
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
        assert!(round_trip(&stripped) * 2 < stripped.len());
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
