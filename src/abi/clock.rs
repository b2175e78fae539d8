//! The two clocks, read in nanoseconds.
#![allow(unsafe_code)]

pub use crate::lua::Nanoseconds;

/// Which clock an alarm follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Clock {
    /// CLOCK_MONOTONIC: durations.
    Monotonic = 0,
    /// CLOCK_REALTIME: dates; follows when the clock is set.
    Wall = 1,
    /// CLOCK_MONOTONIC, and the alarm does not keep the loop going.
    Idle = 2,
}

/// A clock of the system now.
pub fn read(clock: libc::clockid_t) -> Nanoseconds {
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

/// CLOCK_REALTIME now.
pub fn wall_clock() -> Nanoseconds {
    read(libc::CLOCK_REALTIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_advance() {
        let start = monotonic();
        assert!(monotonic() >= start);
        assert!(wall_clock() > 1_600_000_000_000_000_000);
    }
}
