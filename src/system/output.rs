//! Standard output through the C library's stream: what Lua's own `print` and
//! `io.write` put there keeps its order, and a line comes in one piece.
#![allow(unsafe_code)]

/// Writes a text and flushes; nobody is told of a failure.
pub fn print(text: &[u8]) {
    extern "C" {
        static stdout: *mut libc::FILE;
    }
    // SAFETY: the C library's stream, which locks itself, and bytes that are
    // only read.
    unsafe {
        libc::fwrite(text.as_ptr().cast(), 1, text.len(), stdout);
        libc::fflush(stdout);
    }
}
