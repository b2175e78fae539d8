//! The proof in the opening handshake (RFC 6455, 4).

use crate::base64;

/// What every server appends to a key.
const MAGIC: &[u8; 36] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Text of 16 random bytes, and of the 20 that answer them.
pub const KEY: usize = 24;
pub const ACCEPT: usize = 28;

/// A key of random bytes.
pub fn key(random: &[u8; 16]) -> [u8; KEY] {
    let mut text = [0; KEY];
    base64::encode(random, &mut text);
    text
}

/// Whether it is Base64 of 16 bytes.
pub fn is_key(text: &[u8]) -> bool {
    let is_symbol = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let symbols = text.strip_suffix(b"==").unwrap_or_default();
    symbols.len() == KEY - 2 && symbols.iter().all(is_symbol)
}

/// The answer to a key; None for what is none.
pub fn accept(key: &[u8]) -> Option<[u8; ACCEPT]> {
    if !is_key(key) {
        return None;
    }
    // One block of 64 bytes would do but for the nine of its end.
    let mut blocks = [0; 128];
    let (message, end) = blocks.split_at_mut(KEY + MAGIC.len());
    for (place, byte) in message.iter_mut().zip(key.iter().chain(MAGIC)) {
        *place = *byte;
    }
    end[0] = 0x80;
    let bits = (8 * (KEY + MAGIC.len()) as u64).to_be_bytes();
    blocks[120..].copy_from_slice(&bits);
    let mut text = [0; ACCEPT];
    base64::encode(&sha1(&blocks), &mut text);
    Some(text)
}

/// SHA-1 (RFC 3174) of what is padded to two blocks already: once in a connection's
/// life, so it is small rather than fast.
fn sha1(blocks: &[u8; 128]) -> [u8; 20] {
    let mut state = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0_u32,
    ];
    for block in blocks.as_chunks::<64>().0 {
        let mut words = [0_u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        for at in 16..80 {
            let mixed = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
            words[at] = mixed.rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in words.iter().enumerate() {
            let (f, constant) = match at / 20 {
                0 => (b & c | !b & d, 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => (b & c | b & d | c & d, 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6),
            };
            let sum = a.rotate_left(5).wrapping_add(f).wrapping_add(e);
            let next = sum.wrapping_add(constant).wrapping_add(*word);
            (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut digest = [0; 20];
    for (place, word) in digest.as_chunks_mut().0.iter_mut().zip(state) {
        *place = word.to_be_bytes();
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        let accepted = accept(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(&accepted, b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(&key(b"the sample nonce"), b"dGhlIHNhbXBsZSBub25jZQ==");
    }

    #[test]
    fn keys_are_base64_of_16_bytes() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for bad in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZSE=",
            "dGhlIHNhbXBsZSBub25j====",
            "dGhlIHNhbXBsZSBub25jZQ= ",
            "dGhlIHNhbXBsZSBub-5jZQ==",
            "dGhlIHNhbXBsZSBub25jZSEhISEh",
        ] {
            assert!(!is_key(bad.as_bytes()), "{bad}");
            assert!(accept(bad.as_bytes()).is_none());
        }
    }

    #[test]
    fn the_digest_is_that_of_the_crate() {
        use sha1::Digest;
        let mut random = [0_u8; 16];
        for round in 0..500_u32 {
            for (at, byte) in random.iter_mut().enumerate() {
                *byte = byte
                    .wrapping_mul(31)
                    .wrapping_add((round + at as u32) as u8);
            }
            let text = key(&random);
            let digest = sha1::Sha1::digest([&text[..], MAGIC].concat());
            let mut expected = [0; ACCEPT];
            base64::encode(&digest, &mut expected);
            assert_eq!(accept(&text), Some(expected));
        }
    }
}
