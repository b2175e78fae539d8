//! A timer of the processor time that a thread uses: while the thread waits, nothing happens.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr;

use super::clock::split;
use super::signals::TICK;
use crate::abi::Nanoseconds;

/// Sends [`TICK`] to the thread that made it, whenever that has used the processor
/// for some time. The C libraries disagree on this, so the kernel is asked.
pub struct Ticker(c_int);

impl Ticker {
    /// One that does not tick yet; None where the kernel has none.
    pub fn new() -> Option<Ticker> {
        let mut id = 0;
        // SAFETY: an event is numbers and pointers, which may be zero; the kernel
        // reads it and writes a number.
        let made = unsafe {
            let mut event: libc::sigevent = MaybeUninit::zeroed().assume_init();
            event.sigev_signo = TICK;
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_notify_thread_id = libc::syscall(libc::SYS_gettid) as c_int;
            libc::syscall(
                libc::SYS_timer_create,
                libc::CLOCK_THREAD_CPUTIME_ID,
                ptr::from_mut(&mut event),
                ptr::from_mut(&mut id),
            )
        };
        (made == 0).then_some(Ticker(id))
    }

    /// Ticks at that distance from now on; 0 stops it.
    pub fn set(&self, distance: Nanoseconds) {
        let (seconds, rest) = split(distance);
        let time = [seconds as libc::c_long, rest as libc::c_long];
        let interval_and_first = [time, time];
        // SAFETY: reads four numbers of the kernel's `long`, as this call takes them
        // on every machine.
        unsafe {
            libc::syscall(
                libc::SYS_timer_settime,
                self.0,
                0,
                ptr::from_ref(&interval_and_first),
                ptr::null_mut::<libc::c_long>(),
            );
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // SAFETY: a number. A forked child has no such timer.
        unsafe { libc::syscall(libc::SYS_timer_delete, self.0) };
    }
}
