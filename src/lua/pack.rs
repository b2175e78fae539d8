//! Packs embedded Lua source; runs in the build script, `source` unpacks. Text
//! packs to about a third, code of the modules that hold it could not be that small.
//!
//! Two bytes of length, then the code of [`super::model`].

use super::model::{Coder, LOWEST_RANGE, PLACES, SHARES, SHORTEST, SPEED};
use std::collections::HashMap;

/// Longest copy that is looked for.
const LONGEST: usize = 255 + SHORTEST - 1;

/// Drops comment lines and indentation; line numbers stay.
pub fn strip(source: &str) -> Vec<u8> {
    let mut kept = Vec::with_capacity(source.len());
    for line in source.split_inclusive('\n') {
        let line = line.trim_start_matches(' ');
        let text = if line.starts_with("--") {
            ""
        } else {
            line.trim_end_matches('\n')
        };
        kept.extend_from_slice(text.as_bytes());
        if line.ends_with('\n') {
            kept.push(b'\n');
        }
    }
    kept
}

/// Packs a text of less than 64 KB.
pub fn pack(text: &[u8]) -> Vec<u8> {
    assert!(
        text.len() <= usize::from(u16::MAX),
        "longer than its length"
    );
    let steps = steps(text);
    let mut encoder = Encoder::new();
    let (mut at, mut after_copy) = (0, false);
    while at < text.len() {
        let (length, distance) = steps[at];
        let is_copy = encoder.kind(after_copy, distance > 0);
        if is_copy {
            encoder.copy(length, distance);
        } else {
            encoder.byte(text[at]);
        }
        after_copy = is_copy;
        at += length;
    }
    let mut packed = (text.len() as u16).to_be_bytes().to_vec();
    packed.extend(encoder.finish());
    packed
}

/// The cheapest way from each place to the end, as length and distance (0 for a
/// single byte), by rough prices in tenths of a bit.
fn steps(text: &[u8]) -> Vec<(usize, usize)> {
    let copies = copies(text);
    let mut price = vec![0; text.len() + 1];
    let mut steps = vec![(1, 0); text.len()];
    for at in (0..text.len()).rev() {
        price[at] = 53 + price[at + 1];
        for &(length, distance) in &copies[at] {
            let copy = 65 + 6 * length.ilog2() + 9 * distance.ilog2() + price[at + length];
            if copy < price[at] {
                price[at] = copy;
                steps[at] = (length, distance);
            }
        }
    }
    steps
}

/// The nearest copy of each length for what starts at each place.
fn copies(text: &[u8]) -> Vec<Vec<(usize, usize)>> {
    let mut seen: HashMap<&[u8], Vec<usize>> = HashMap::new();
    let mut found = vec![Vec::new(); text.len()];
    for at in 0..text.len() {
        let Some(start) = text.get(at..at + SHORTEST) else {
            break;
        };
        let places = seen.entry(start).or_default();
        let mut longest = SHORTEST - 1;
        for &place in places.iter().rev() {
            let pairs = text[place..].iter().zip(&text[at..]).take(LONGEST);
            let same = pairs.take_while(|(a, b)| a == b).count();
            for length in longest + 1..=same {
                found[at].push((length, at - place));
            }
            longest = longest.max(same);
        }
        places.push(at);
    }
    found
}

/// A range coder that writes.
struct Encoder {
    places: [u16; PLACES],
    low: u64,
    range: u32,
    /// What is written once no carry can reach it: a byte, then bytes of ones.
    held: u8,
    ones: usize,
    bytes: Vec<u8>,
}

impl Encoder {
    fn new() -> Encoder {
        Encoder {
            places: [SHARES as u16 / 2; PLACES],
            low: 0,
            range: u32::MAX,
            held: 0,
            ones: 0,
            bytes: Vec::new(),
        }
    }

    fn shift(&mut self) {
        let carry = (self.low >> 32) as u8;
        if carry != 0 || self.low < 0xff00_0000 {
            self.bytes.push(self.held.wrapping_add(carry));
            for _ in 0..self.ones {
                self.bytes.push(0xff_u8.wrapping_add(carry));
            }
            self.ones = 0;
            self.held = (self.low >> 24) as u8;
        } else {
            self.ones += 1;
        }
        self.low = self.low << 8 & 0xffff_ffff;
    }

    /// The code. Its first byte is always 0, and zeros at its end need not be there.
    fn finish(mut self) -> Vec<u8> {
        for _ in 0..5 {
            self.shift();
        }
        while self.bytes.last() == Some(&0) {
            self.bytes.pop();
        }
        self.bytes.into_iter().skip(1).collect()
    }
}

impl Coder for Encoder {
    fn bit(&mut self, place: usize, bit: usize) -> usize {
        let share = u32::from(self.places[place]);
        let bound = (self.range / SHARES) * share;
        if bit == 0 {
            self.range = bound;
            self.places[place] += ((SHARES - share) >> SPEED) as u16;
        } else {
            self.low += u64::from(bound);
            self.range -= bound;
            self.places[place] -= (share >> SPEED) as u16;
        }
        while self.range < LOWEST_RANGE {
            self.range <<= 8;
            self.shift();
        }
        bit
    }
}
