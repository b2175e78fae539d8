//! JSON in and out. Nothing is held in between, and the order of names is kept.
//!
//! | JSON | entry |
//! | --- | --- |
//! | integer | int32 if it fits, else int64 |
//! | number with a fraction or an exponent | double |
//! | `true`, `false` | int8 |
//! | `null` | unspec |
//! | string, array, object | string, array, table |
//!
//! Int16 becomes a number and int8 a boolean.

#[cfg(feature = "lenient-json")]
mod lenient;
#[cfg(feature = "json")]
mod strict;
mod write;

#[cfg(feature = "lenient-json")]
pub use lenient::{from_lenient_json, LenientJsonError};
#[cfg(feature = "json")]
pub use strict::{from_json, JsonError};
pub use write::{to_json, JsonStyle};
