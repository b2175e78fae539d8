#![doc = include_str!("../README.md")]
//!
//! # Parts
//!
//! A [`Cursor`] is a view of the configuration folder. It gives a [`Package`] to read, an [`Edit`] to change it with, and
//! saves, commits and reverts. [`Package::parse`] and [`Package::to_text`] do without any folder. A [`Lookup`] is an
//! address as users type it, a [`Change`] a line of a file of pending changes.

mod change;
mod commit;
mod cursor;
mod edit;
mod error;
mod lexer;
mod lookup;
mod merge;
pub mod name;
mod package;
mod parse;
mod pending;
mod section;
mod sequence;
mod store;
mod value;
mod write;

pub use change::{Change, Command};
pub use cursor::{Cursor, CONFIG_DIR, OVERRIDE_DIR, SAVE_DIR};
pub use edit::Edit;
pub use error::{Error, Kind, ParseError, Reason};
pub use lexer::{LineEnd, Statements};
pub use lookup::{leading_number, Lookup, SectionKey};
pub use package::Package;
pub use parse::{import, import_leniently};
pub use pending::{changes, replay, Count};
pub use section::{Entry, Section};
pub use value::Value;
pub use write::{quote, Style};
