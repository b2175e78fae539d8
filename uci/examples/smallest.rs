//! The least use of the library, as a C library: loads a package and exports it to a buffer. What it weighs on a router
//! has a budget (`cargo xtask size uci`).
#![allow(unsafe_code)]

use std::ffi::{c_char, CStr};

/// Exports the package of this name, up to `room` bytes of it, and returns the length of the whole; 0 if it cannot be
/// loaded.
///
/// # Safety
/// `package` is a string that ends with a NUL, `buffer` has room for `room` bytes, and both live until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn uci_export(package: *const c_char, buffer: *mut u8, room: usize) -> usize {
    // SAFETY: the caller promises a string that outlives the call.
    let package = unsafe { CStr::from_ptr(package) };
    // SAFETY: the caller promises a buffer of this size that nobody else uses meanwhile.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, room) };
    let Ok(name) = package.to_str() else {
        return 0;
    };
    match uci::Cursor::new().load(name) {
        Ok(package) => {
            let text = package.export();
            let count = text.len().min(room);
            buffer[..count].copy_from_slice(&text[..count]);
            text.len()
        }
        Err(_) => 0,
    }
}
