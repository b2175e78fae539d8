//! Packs embedded Lua source; runs in the build script, `source` unpacks. Text
//! packs to about 40 %, code of the modules that hold it could not be that small.
//!
//! Two bytes of length, then bits, highest first: 1 and a byte, or 0, how many
//! bytes to go back (13 bits) and how many to copy from there, less 3 (5 bits).

use std::collections::HashMap;

const OFFSET_BITS: u32 = 13;
const COUNT_BITS: u32 = 5;
const SHORTEST: usize = 3;

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

/// Packs as tightly as the format allows.
pub fn pack(text: &[u8]) -> Vec<u8> {
    let matches = matches(text);
    // Cheapest way from each place to the end, last place first.
    let mut cost = vec![0; text.len() + 1];
    let mut step = vec![1; text.len()];
    for at in (0..text.len()).rev() {
        cost[at] = 9 + cost[at + 1];
        for count in SHORTEST..=matches[at].0 {
            let with_copy = 1 + OFFSET_BITS + COUNT_BITS + cost[at + count];
            if with_copy < cost[at] {
                cost[at] = with_copy;
                step[at] = count;
            }
        }
    }
    let mut bits = Bits::default();
    bits.put(text.len() as u32, 16);
    let mut at = 0;
    while at < text.len() {
        if step[at] == 1 {
            bits.put(1, 1);
            bits.put(u32::from(text[at]), 8);
        } else {
            bits.put(0, 1);
            bits.put(matches[at].1 as u32, OFFSET_BITS);
            bits.put((step[at] - SHORTEST) as u32, COUNT_BITS);
        }
        at += step[at];
    }
    bits.bytes
}

/// The longest earlier copy of what starts at each place: length and distance.
fn matches(text: &[u8]) -> Vec<(usize, usize)> {
    let longest = (1 << COUNT_BITS) - 1 + SHORTEST;
    let mut seen: HashMap<&[u8], Vec<usize>> = HashMap::new();
    let mut found = vec![(0, 0); text.len()];
    for at in 0..text.len() {
        let Some(start) = text.get(at..at + SHORTEST) else {
            break;
        };
        let places = seen.entry(start).or_default();
        for &place in places.iter().rev() {
            if at - place >= 1 << OFFSET_BITS {
                break;
            }
            let same = text[place..]
                .iter()
                .zip(&text[at..])
                .take(longest)
                .take_while(|(a, b)| a == b)
                .count();
            if same > found[at].0 {
                found[at] = (same, at - place);
            }
        }
        places.push(at);
    }
    found
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            if self.used.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= ((value >> bit & 1) as u8) << (7 - self.used % 8);
            self.used += 1;
        }
    }
}
