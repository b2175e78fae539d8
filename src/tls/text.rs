//! A short text of fixed room that ends with NUL: why something failed.

use std::ffi::{c_char, CStr};

const ROOM: usize = 160;

/// The text; what does not fit is cut.
#[derive(Clone, Copy)]
pub struct Text {
    bytes: [u8; ROOM],
    length: usize,
}

impl Text {
    pub const fn new() -> Text {
        Text {
            bytes: [0; ROOM],
            length: 0,
        }
    }

    pub fn clear(&mut self) {
        *self = Text::new();
    }

    pub fn push(&mut self, text: &[u8]) {
        for &byte in text {
            if self.length + 1 < ROOM {
                self.bytes[self.length] = byte;
                self.length += 1;
            }
        }
    }

    /// Pushes a C string, nothing for null.
    ///
    /// # Safety
    ///
    /// It ends with NUL and lives during the call.
    pub unsafe fn push_c(&mut self, text: *const c_char) {
        if !text.is_null() {
            // SAFETY: by the caller's promise.
            self.push(unsafe { CStr::from_ptr(text) }.to_bytes());
        }
    }

    pub fn push_number(&mut self, number: u32, base: u32) {
        if number >= base {
            self.push_number(number / base, base);
        }
        let digit = (number % base) as usize;
        self.push(&b"0123456789abcdef"[digit..=digit]);
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The text as C wants it, for as long as `self` is not changed.
    pub fn as_ptr(&self) -> *const c_char {
        self.bytes.as_ptr().cast()
    }
}

impl Default for Text {
    fn default() -> Text {
        Text::new()
    }
}
