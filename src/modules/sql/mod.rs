//! What modules of databases share: parameters, results, whose turn it is, and in `sql.lua` and `sql_lunet.lua` what
//! scripts see. What a driver gives to those is written at the head of `sql.lua`.

pub mod faces;
#[cfg(feature = "sqlite3")]
pub mod queue;
#[cfg(feature = "sqlite3")]
pub mod rows;
#[cfg(feature = "sqlite3")]
pub mod value;

#[cfg(feature = "sqlite3")]
pub use queue::{Call, Queue};
#[cfg(feature = "sqlite3")]
pub use rows::{Full, Reading, Rows};
#[cfg(feature = "sqlite3")]
pub use value::{parameters, Value};
