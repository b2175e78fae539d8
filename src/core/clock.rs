//! Clock readings and durations, in nanoseconds.
#![allow(unsafe_code)]

/// A point in time or a duration, in nanoseconds.
pub type Nanoseconds = i64;

/// The timeout that never comes.
pub const FOREVER: Nanoseconds = 0;

/// Which clock an alarm follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Clock {
    /// CLOCK_MONOTONIC: durations.
    Monotonic = 0,
    /// CLOCK_REALTIME: dates; follows when the clock is set.
    Wall = 1,
}

fn read(clock: libc::clockid_t) -> Nanoseconds {
    let mut now = libc::timespec::default();
    // SAFETY: writes to a local; the clocks named here exist on every Linux.
    unsafe {
        libc::clock_gettime(clock, &mut now);
    }
    now.tv_sec as i64 * 1_000_000_000 + now.tv_nsec as i64
}

/// CLOCK_MONOTONIC now.
pub fn monotonic() -> Nanoseconds {
    read(libc::CLOCK_MONOTONIC)
}

/// CLOCK_MONOTONIC at the last tick (1 to 10 ms ago): costs a tenth.
#[cfg(feature = "core")]
pub fn monotonic_coarse() -> Nanoseconds {
    read(libc::CLOCK_MONOTONIC_COARSE)
}

/// CLOCK_REALTIME now.
pub fn wall_clock() -> Nanoseconds {
    read(libc::CLOCK_REALTIME)
}

/// Seconds as Lua gives them, to the nearest nanosecond, clamped to about
/// 146 years; None below zero and for NaN. A positive duration never becomes zero.
///
/// In integers: most routers have no floating point unit, and its emulation
/// would weigh more than this.
pub fn checked_duration(seconds: f64) -> Option<Nanoseconds> {
    const INFINITY: i64 = f64::INFINITY.to_bits() as i64;
    const UNIT: i32 = 31;
    const MINUS_ZERO: i64 = i64::MIN;
    const LIMIT: i64 = 4.6e9_f64.to_bits() as i64;
    // The bits of floats from zero up are in the order of the floats.
    let bits = seconds.to_bits() as i64;
    if bits == MINUS_ZERO {
        return Some(0);
    }
    if !(0..=INFINITY).contains(&bits) {
        return None;
    }
    if bits >= LIMIT {
        return Some(4_600_000_000_000_000_000);
    }
    // seconds = mantissa / 2^shift, and shift is 20 at least; then in units of
    // half a nanosecond, which leaves 33 bits for whole seconds.
    let mantissa = bits as u64 & ((1 << 52) - 1) | 1 << 52;
    let shift = 1075 - (bits >> 52) as i32;
    let units = if shift < UNIT {
        mantissa << (UNIT - shift)
    } else {
        mantissa >> (shift - UNIT).min(63)
    };
    let rest = (units & ((1 << UNIT) - 1)) * 1_000_000_000 + (1 << (UNIT - 1));
    let time = (units >> UNIT) * 1_000_000_000 + (rest >> UNIT);
    Some((time as Nanoseconds).max(i64::from(bits != 0)))
}

/// The same, zero instead of None.
pub fn duration(seconds: f64) -> Nanoseconds {
    checked_duration(seconds).unwrap_or(0)
}

/// Whole seconds, and the nanoseconds that are left.
#[cfg(feature = "core")]
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
#[cfg(feature = "core")]
pub fn milliseconds(time: Nanoseconds) -> i64 {
    let (seconds, rest) = split(time);
    seconds * 1000 + i64::from(rest / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_clamped() {
        assert_eq!(duration(1.5), 1_500_000_000);
        assert_eq!(duration(1e-12), 1);
        assert_eq!(duration(0.0), 0);
        assert_eq!(duration(-1.0), 0);
        assert_eq!(duration(f64::NAN), 0);
        assert_eq!(duration(f64::INFINITY), 4_600_000_000_000_000_000);
        assert_eq!(duration(4.6e9), 4_600_000_000_000_000_000);
        assert_eq!(checked_duration(-0.0), Some(0));
        assert_eq!(checked_duration(-1e-300), None);
        assert_eq!(checked_duration(f64::NEG_INFINITY), None);
        assert_eq!(checked_duration(-f64::NAN), None);
    }

    #[test]
    fn durations_are_exact() {
        let mut seconds = 1e-300;
        while seconds < 4.6e9 {
            let time = i128::from(duration(seconds));
            // seconds * 10^9, times 2^shift, exactly.
            let bits = seconds.to_bits();
            let shift = 1075 - (bits >> 52) as u32;
            let exact = i128::from(bits << 12 >> 12 | 1 << 52) * 1_000_000_000;
            if shift < 84 {
                let error = (time << shift) - exact;
                assert!(error.abs() <= 1 << shift, "{seconds}: {time}");
            } else {
                assert_eq!(time, 1, "{seconds}");
            }
            seconds *= 1.37;
        }
        for tenths in 0..100_000 {
            assert_eq!(
                duration(f64::from(tenths) / 10.0),
                i64::from(tenths) * 100_000_000
            );
        }
    }

    #[test]
    #[cfg(feature = "core")]
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
    #[cfg(feature = "core")]
    fn clocks_advance() {
        let start = monotonic();
        assert!(monotonic() >= start);
        assert!(monotonic_coarse() <= monotonic());
        assert!(wall_clock() > 1_600_000_000_000_000_000);
    }
}
