//! What `eco.log` asks of the C library: local time, process name, standard
//! output.
#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;

use super::record::Moment;

/// Local time at `seconds` since 1970.
pub fn local_time(seconds: i64) -> Moment {
    let seconds = seconds as libc::time_t;
    // SAFETY: an all-zero `tm` is a valid value (a null zone name included);
    // localtime_r writes to that local only and returns null when it fails.
    let time = unsafe {
        let mut time = std::mem::zeroed::<libc::tm>();
        libc::localtime_r(&seconds, &mut time);
        time
    };
    Moment {
        year: (time.tm_year + 1900) as u32,
        month: (time.tm_mon + 1) as u32,
        day: time.tm_mday as u32,
        hour: time.tm_hour as u32,
        minute: time.tm_min as u32,
        second: time.tm_sec as u32,
    }
}

/// Name of the process as the kernel shows it: at most 15 bytes and a NUL.
pub fn process_name() -> [u8; 16] {
    let mut name = [0; 16];
    // SAFETY: the kernel writes 16 bytes at most.
    unsafe {
        libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr());
    }
    name
}

/// Standard output, without the buffer of the standard library.
pub fn standard_output() -> BorrowedFd<'static> {
    // SAFETY: a number for single system calls; should the script have closed
    // it, they fail with EBADF.
    unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) }
}
