//! Tests of the library as its users see it, and of the tool as users' scripts call it.

mod commit;
mod configs;
mod cursor;
mod delta;
mod edit;
mod examples;
mod format;
mod power;
mod properties;
mod reference;
mod scale;
mod support;
mod tool;
