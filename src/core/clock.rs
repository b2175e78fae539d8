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
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
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

/// Seconds as Lua gives them; clamped to about 146 years, below zero and NaN
/// give zero. A positive duration never becomes zero.
pub fn duration(seconds: f64) -> Nanoseconds {
    const LIMIT: f64 = 4.6e9;
    if seconds >= LIMIT {
        4_600_000_000_000_000_000
    } else if seconds > 0.0 {
        ((seconds * 1e9) as i64).max(1)
    } else {
        0
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
