//! What only the scheduler needs of the clock: a cheap reading, and times in
//! the units of the kernel.

use crate::abi::{read, Nanoseconds};

/// CLOCK_MONOTONIC at the last tick (1 to 10 ms ago): costs a tenth.
pub fn monotonic_coarse() -> Nanoseconds {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

/// Whole seconds, and the nanoseconds that are left.
pub fn split(time: Nanoseconds) -> (i64, u32) {
    // 10^9 is 2^9 times this. Routers have no instruction that divides 64 bits,
    // and the general routine weighs four times as much.
    const ODD: u32 = 1_953_125;
    let mut units = time as u64 >> 9;
    let (mut seconds, mut rest) = (0, 0);
    for _ in 0..5 {
        let part: u32 = rest << 11 | (units >> 44) as u32 & 2047;
        units <<= 11;
        seconds = seconds << 11 | i64::from(part / ODD);
        rest = part % ODD;
    }
    (seconds, rest << 9 | time as u32 & 511)
}

/// Whole milliseconds.
pub fn milliseconds(time: Nanoseconds) -> i64 {
    let (seconds, rest) = split(time);
    seconds * 1000 + i64::from(rest / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_split() {
        for time in [
            0,
            1,
            511,
            512,
            999_999_999,
            1_000_000_000,
            1_999_999_999,
            i64::MAX,
        ] {
            let (seconds, rest) = split(time);
            assert_eq!(seconds, time / 1_000_000_000);
            assert_eq!(i64::from(rest), time % 1_000_000_000);
            assert_eq!(milliseconds(time), time / 1_000_000);
        }
        let mut time = 1_i64;
        for step in 0..1000 {
            time = time
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(step)
                & i64::MAX;
            assert_eq!(split(time).0, time / 1_000_000_000);
            assert_eq!(i64::from(split(time).1), time % 1_000_000_000);
        }
    }

    #[test]
    fn the_coarse_clock_is_never_ahead() {
        assert!(monotonic_coarse() <= crate::abi::monotonic());
    }
}
