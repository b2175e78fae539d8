//! Writing text into a buffer without the machinery of `format!`, and finding bytes
//! in it by words.

/// Append: one call instead of the whole of `extend_from_slice` in every place.
#[inline(never)]
pub fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

/// Append a number in decimal. Powers are subtracted: 64-bit division is a
/// function of its own on 32-bit machines.
pub fn put_number(out: &mut Vec<u8>, number: u64) {
    const POWERS: [u64; 19] = {
        let mut powers = [1; 19];
        let mut at = 1;
        while at < powers.len() {
            powers[at] = powers[at - 1] * 10;
            at += 1;
        }
        powers
    };
    let mut rest = number;
    let length = out.len();
    for &power in POWERS.iter().rev() {
        if rest < power && out.len() == length && power > 1 {
            continue;
        }
        let mut digit = 0;
        while rest >= power {
            rest -= power;
            digit += 1;
        }
        out.push(b'0' + digit);
    }
}

/// Append a number in lower-case hex.
pub fn put_hex(out: &mut Vec<u8>, number: u64) {
    let mut shift = (number | 1).ilog2() & !3;
    loop {
        let digit = (number >> shift) as u8 & 15;
        out.push(if digit < 10 {
            b'0' + digit
        } else {
            b'a' - 10 + digit
        });
        match shift {
            0 => break,
            _ => shift -= 4,
        }
    }
}

/// Bytes that are looked at together, without a library of vector code.
pub const WORD: usize = size_of::<usize>();

/// The lowest bit of each byte of a word.
const LOW: usize = usize::MAX / 255;

/// The highest bits of the bytes that are below `limit`, which is at most 128; and of others above the first of them.
fn below(word: usize, limit: u8) -> usize {
    word.wrapping_sub(LOW * limit as usize) & !word & (LOW << 7)
}

/// Where a byte is.
pub fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<WORD>();
    for (at, word) in words.iter().enumerate() {
        let zeros = below(usize::from_le_bytes(*word) ^ (LOW * wanted as usize), 1);
        if zeros != 0 {
            return Some(at * WORD + zeros.trailing_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|&byte| byte == wanted)?;
    Some(words.len() * WORD + at)
}

/// Whether no byte is a control character.
pub fn is_visible(word: &[u8; WORD]) -> bool {
    let word = usize::from_le_bytes(*word);
    below(word, b' ') | below(word ^ (LOW * 0x7f), 1) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_wherever_they_are() {
        for length in 0..40 {
            for at in 0..length {
                for (wanted, other) in [(b'\n', b'\r'), (0, 1), (255, 254), (128, 0), (b'a', 0xe1)]
                {
                    let mut bytes = vec![other; length];
                    assert_eq!(position(&bytes, wanted), None);
                    bytes[at..].fill(wanted);
                    assert_eq!(position(&bytes, wanted), Some(at));
                }
            }
        }
    }

    #[test]
    fn control_characters_are_seen_wherever_they_are() {
        for at in 0..WORD {
            for byte in 0..=255u8 {
                for other in [b' ', b'a', 0x80, 0xff] {
                    let mut word = [other; WORD];
                    word[at] = byte;
                    assert_eq!(is_visible(&word), byte >= b' ' && byte != 0x7f, "{word:?}");
                }
            }
        }
    }

    #[test]
    fn numbers() {
        for number in [
            0,
            1,
            9,
            10,
            15,
            16,
            255,
            65535,
            u64::from(u32::MAX),
            1 << 32,
            i64::MAX as u64,
        ] {
            let mut out = Vec::new();
            put_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
            out.clear();
            put_hex(&mut out, number);
            assert_eq!(out, format!("{number:x}").as_bytes());
        }
    }
}
