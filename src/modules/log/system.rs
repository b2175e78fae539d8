//! What `eco.log` asks of the C library: dates, the process's name, paths as C
//! strings, standard output.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

/// A point in time, in seconds since 1970.
pub type Seconds = i64;

/// Now.
pub fn now() -> Seconds {
    // SAFETY: a null pointer asks for the result alone.
    unsafe { libc::time(std::ptr::null_mut()) as Seconds }
}

/// Formats of [`Stamp::new`].
pub const RECORD_DATE: &CStr = c"%Y/%m/%d %H:%M:%S ";
pub const SYSLOG_DATE: &CStr = c"%b %e %H:%M:%S ";
pub const FILE_DATE: &CStr = c"%Y%m%d-%H%M%S";

/// The text of a local date.
pub struct Stamp {
    text: [u8; 24],
    length: usize,
}

impl Stamp {
    /// The date at `seconds` in one of the formats above; empty if it does not
    /// fit.
    pub fn new(seconds: Seconds, format: &CStr) -> Stamp {
        let mut text = [0; 24];
        // SAFETY: an all-zero `tm` is a valid value (a null zone name
        // included), and stays what it is should localtime_r fail; strftime
        // writes at most as much as `text` holds.
        let length = unsafe {
            let mut time = std::mem::zeroed::<libc::tm>();
            libc::localtime_r(&(seconds as _), &mut time);
            libc::strftime(text.as_mut_ptr().cast(), text.len(), format.as_ptr(), &time)
        };
        Stamp { text, length }
    }

    pub fn bytes(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }
}

/// A path as the C library takes it. Cut at a NUL, should one be in it.
pub struct Path(Vec<u8>);

impl Path {
    pub fn new(path: &[u8]) -> Path {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(path);
        bytes.push(0);
        Path(bytes)
    }

    pub fn as_c_str(&self) -> &CStr {
        // SAFETY: the vector ends with NUL and lives as long as the result.
        unsafe { CStr::from_ptr(self.0.as_ptr().cast()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_on_after_2038() {
        // Noon of 20 June 2099 in UTC: the same month everywhere.
        let stamp = Stamp::new(4_085_640_000, RECORD_DATE);
        assert_eq!(stamp.bytes().len(), 20);
        assert!(stamp.bytes().starts_with(b"2099/06/"));
        assert!(Stamp::new(4_085_640_000, FILE_DATE)
            .bytes()
            .starts_with(b"209906"));
    }
}
