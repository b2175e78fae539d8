//! Wake-ups from any thread: a [`Token`] wakes one wait of one coroutine, once.
#![allow(unsafe_code)]

use std::ffi::c_void;

/// The function of tokens.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TokenTable {
    /// Wakes the wait and ends the token.
    pub notify: unsafe extern "C" fn(shared: *const c_void, task: u32, mark: u32),
}

/// Wakes a wait when it is dropped: from any thread, also after the Lua state is
/// gone, and whatever became of the sender. A wait that has ended meanwhile is
/// not disturbed.
///
/// The wait's operation is polled with [`Cause::WAKE`](super::Cause::WAKE).
/// Until then it keeps the loop going.
#[repr(C)]
pub struct Token {
    pub table: *const TokenTable,
    /// A counted reference to what the receiver shares with its senders.
    pub shared: *const c_void,
    pub task: u32,
    pub mark: u32,
}

// SAFETY: `notify` may be called on any thread; a token is not shared.
unsafe impl Send for Token {}

impl Token {
    /// Wakes the wait.
    pub fn notify(self) {}
}

impl Drop for Token {
    fn drop(&mut self) {
        // SAFETY: the table is static, and the reference is the token's, which
        // ends here.
        unsafe { ((*self.table).notify)(self.shared, self.task, self.mark) };
    }
}
