//! TLS 1.2 and 1.3 by Mbed TLS, over anything that moves bytes.
//!
//! [`Settings`] collect what a client or server is to do; [`Config`] is what
//! the library makes of them; [`Connection`] speaks the protocol over a
//! [`Transport`]. Nothing here knows of Lua or waits.
#![allow(unsafe_code)]

mod config;
mod connection;
mod ffi;
mod random;
#[cfg(test)]
mod tests;
mod text;

pub use config::{find, suite, Chain, Config, Identity, Named, Resumption, Settings, Verify};
pub use connection::{Connection, Moved, Progress, Transport};
pub use text::Text;

use std::ffi::CStr;
use std::sync::Once;

/// Makes the library ready: false when the system has no random bytes, or no memory.
pub fn start() -> bool {
    static PREPARED: Once = Once::new();
    // SAFETY: neither call takes anything; the second may be made by many threads at once.
    unsafe {
        PREPARED.call_once(|| ffi::eco_tls_prepare());
        random::is_there() && ffi::eco_tls_start() == 0
    }
}

/// The library and its version.
pub fn version() -> &'static CStr {
    // SAFETY: a static text.
    unsafe { CStr::from_ptr(ffi::eco_tls_version()) }
}

/// Whether this build speaks TLS 1.3.
pub fn has_tls13() -> bool {
    // SAFETY: asks for a constant.
    unsafe { ffi::eco_tls_has_tls13() != 0 }
}
