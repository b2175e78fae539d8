//! The signals that end a command which goes on, as a descriptor that can be read when one has come.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;

/// From here on SIGINT and SIGTERM end no process but can be read, unless whoever started it had them ignored.
pub fn catch() -> io::Result<SignalFd> {
    let ignored = ignored();
    let mut caught = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        if ignored >> (signal as u32 - 1) & 1 == 0 {
            caught.add(signal);
        }
    }
    caught.thread_block()?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    Ok(SignalFd::with_flags(&caught, flags)?)
}

/// The signals this process ignores, a bit each from 1 on; none if the system does not tell.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // On MIPS there are twice as many.
    let digits = mask.map(str::trim).unwrap_or_default();
    let low = digits.get(digits.len().saturating_sub(16)..);
    low.and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .unwrap_or_default()
}
