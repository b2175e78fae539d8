//! Times as Lua gives them: seconds, as floats, for arguments and fields; in
//! Rust they are nanoseconds.

use std::ffi::c_int;

use super::{Error, Lua};

/// A point in time or a duration, in nanoseconds.
pub type Nanoseconds = i64;

/// The timeout that never comes.
pub const FOREVER: Nanoseconds = 0;

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

impl Lua {
    /// The timeout argument of stream operations: seconds at `index`; anything
    /// but a positive number means for ever.
    pub fn stream_timeout(self, index: c_int) -> Nanoseconds {
        self.to_number(index).map_or(FOREVER, duration)
    }

    /// The timeout argument of other waits: None is for ever, zero and less is
    /// `Some(0)` and fails at once.
    pub fn wait_timeout(
        self,
        index: c_int,
        default: Option<Nanoseconds>,
    ) -> Result<Option<Nanoseconds>, Error> {
        if self.is_none_or_nil(index) {
            return Ok(default);
        }
        self.number(index).map(|seconds| Some(duration(seconds)))
    }
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
}
