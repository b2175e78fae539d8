//! Local dates as text, by the C library and its time zones.
#![allow(unsafe_code)]

use std::ffi::CStr;

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
