//! UTF-8 that comes in pieces: checked as it comes, wherever it is cut.

const SIZE: usize = size_of::<usize>();
/// The highest bit of every byte of a word.
const HIGH: usize = (usize::MAX / 255) << 7;

/// How far a text was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Utf8 {
    /// Bytes that the character under way still needs.
    left: u8,
    /// What the next of them may be.
    low: u8,
    high: u8,
}

impl Utf8 {
    /// Goes on with `bytes`; false when they cannot be part of the text.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        loop {
            if self.left == 0 {
                let words = rest.as_chunks::<SIZE>().0.iter();
                let plain = words.take_while(|word| usize::from_ne_bytes(**word) & HIGH == 0);
                rest = rest.get(plain.count() * SIZE..).unwrap_or_default();
            }
            let Some((&byte, after)) = rest.split_first() else {
                return true;
            };
            rest = after;
            if self.left > 0 {
                if byte < self.low || byte > self.high {
                    return false;
                }
                (self.left, self.low, self.high) = (self.left - 1, 0x80, 0xbf);
                continue;
            }
            // No character has two forms, none is a surrogate or above U+10FFFF.
            (self.left, self.low, self.high) = match byte {
                0..=0x7f => continue,
                0xc2..=0xdf => (1, 0x80, 0xbf),
                0xe0 => (2, 0xa0, 0xbf),
                0xed => (2, 0x80, 0x9f),
                0xe1..=0xef => (2, 0x80, 0xbf),
                0xf0 => (3, 0x90, 0xbf),
                0xf1..=0xf3 => (3, 0x80, 0xbf),
                0xf4 => (3, 0x80, 0x8f),
                _ => return false,
            };
        }
    }

    /// True when the text may end here.
    pub fn is_complete(self) -> bool {
        self.left == 0
    }
}

/// Whether all of `bytes` is UTF-8.
pub fn is_utf8(bytes: &[u8]) -> bool {
    let mut check = Utf8::default();
    check.push(bytes) && check.is_complete()
}

#[cfg(test)]
mod tests {
    use super::{is_utf8, Utf8};

    /// Whole, and cut at every place: the same as std says.
    fn check(bytes: &[u8]) {
        let expected = std::str::from_utf8(bytes).is_ok();
        assert_eq!(is_utf8(bytes), expected, "{bytes:x?}");
        for cut in 0..=bytes.len() {
            let mut state = Utf8::default();
            let valid = state.push(&bytes[..cut]) && state.push(&bytes[cut..]);
            assert_eq!(
                valid && state.is_complete(),
                expected,
                "{bytes:x?} at {cut}"
            );
        }
    }

    #[test]
    fn every_character_is_one() {
        for character in '\0'..=char::MAX {
            let mut room = [0; 4];
            assert!(is_utf8(character.encode_utf8(&mut room).as_bytes()));
        }
        for text in [
            "",
            "plain words, more than one word",
            "κόσμε",
            "a😀b",
            "\u{10ffff}\u{800}",
        ] {
            check(text.as_bytes());
        }
    }

    #[test]
    fn what_std_refuses_is_refused() {
        const BYTES: [u8; 24] = [
            0, b'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
            0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff,
        ];
        for one in BYTES {
            for two in BYTES {
                for three in BYTES {
                    check(&[one, two, three]);
                    for four in BYTES {
                        let bytes = [one, two, three, four];
                        assert_eq!(is_utf8(&bytes), std::str::from_utf8(&bytes).is_ok());
                    }
                }
            }
        }
    }

    #[test]
    fn it_is_known_as_soon_as_possible_that_a_text_is_none() {
        let mut state = Utf8::default();
        assert!(state.push(b"\xf4"));
        assert!(!state.push(b"\x90"));
    }
}
