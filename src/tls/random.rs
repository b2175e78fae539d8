//! Random bytes, from the kernel alone.

use std::ffi::{c_int, c_void};
use std::slice;

use crate::system::random::secure;

/// Whether there are any.
pub fn is_there() -> bool {
    secure(&mut [0; 16])
}

/// What the library calls for all it needs.
#[no_mangle]
unsafe extern "C" fn eco_tls_random(_: *mut c_void, into: *mut u8, length: usize) -> c_int {
    const FAILED: c_int = -0x34;
    if length == 0 {
        return 0;
    }
    // SAFETY: the library passes that many bytes of its own.
    if secure(unsafe { slice::from_raw_parts_mut(into, length) }) {
        0
    } else {
        FAILED
    }
}
