//! Hardware addresses as text.

use super::Lua;

/// No hardware address is longer.
const LONGEST: usize = 32;

impl Lua {
    /// Pushes bytes as hexadecimal pairs between colons, the first 32 at most.
    /// May raise.
    pub fn push_hardware_address(self, bytes: &[u8]) {
        let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
        let mut text = [b':'; 3 * LONGEST];
        for (pair, byte) in text.chunks_exact_mut(3).zip(bytes) {
            pair[0] = digit(byte >> 4);
            pair[1] = digit(byte & 15);
        }
        let length = bytes.len().min(LONGEST) * 3;
        self.push_bytes(&text[..length.saturating_sub(1)]);
    }
}
