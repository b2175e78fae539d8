//! The checksum of the internet protocols (RFC 1071).

/// A sum under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checksum(u32);

impl Checksum {
    /// Adds bytes; of several pieces only the last may be of odd length.
    pub fn with(self, bytes: &[u8]) -> Checksum {
        let mut sum = self.0;
        // Pieces whose sum stays within 32 bits.
        for piece in bytes.chunks(1 << 16) {
            let (words, odd) = piece.as_chunks::<2>();
            for word in words {
                sum += u32::from(u16::from_be_bytes(*word));
            }
            if let Some(&last) = odd.first() {
                sum += u32::from(last) << 8;
            }
            sum = fold(sum);
        }
        Checksum(sum)
    }

    /// The pseudo-header above IP: both addresses, of four bytes or sixteen,
    /// the protocol and the length of what it carries.
    pub fn pseudo(source: &[u8], dest: &[u8], protocol: u8, length: u32) -> Checksum {
        Checksum::default()
            .with(source)
            .with(dest)
            .with(&[0, protocol])
            .with(&length.to_be_bytes())
    }

    /// What goes into the header; over a whole packet with its checksum, 0.
    pub fn finish(self) -> u16 {
        !(fold(self.0) as u16)
    }
}

fn fold(sum: u32) -> u32 {
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum & 0xffff) + (sum >> 16)
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    /// As the definition has it: one's complement addition, word by word.
    fn slow(bytes: &[u8]) -> u16 {
        let mut sum = 0_u64;
        for word in bytes.chunks(2) {
            sum += u64::from(word[0]) << 8 | u64::from(*word.get(1).unwrap_or(&0));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn known_sums() {
        // The example of RFC 1071.
        let sum = Checksum::default().with(&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.finish(), !0xddf2);
        assert_eq!(Checksum::default().finish(), 0xffff);
        assert_eq!(Checksum::default().with(&[0xff; 200_000]).finish(), 0);
    }

    #[test]
    fn any_length_and_any_cut() {
        let bytes: Vec<u8> = (0..200_001_u32)
            .map(|at| (at.wrapping_mul(at) >> 3) as u8)
            .collect();
        for length in (0..70).chain([65535, 65536, 65537, 131_071, 200_001]) {
            let bytes = &bytes[..length];
            assert_eq!(Checksum::default().with(bytes).finish(), slow(bytes));
            for cut in [2, 20, 40] {
                if let Some((first, rest)) = bytes.split_at_checked(cut) {
                    assert_eq!(
                        Checksum::default().with(first).with(rest).finish(),
                        slow(bytes)
                    );
                }
            }
        }
    }

    #[test]
    fn pseudo_headers() {
        let all = [1, 2, 3, 4, 5, 6, 7, 8, 0, 17, 0, 0, 1, 2];
        let sum = Checksum::pseudo(&all[..4], &all[4..8], 17, 0x102);
        assert_eq!(sum.finish(), slow(&all));
    }
}
