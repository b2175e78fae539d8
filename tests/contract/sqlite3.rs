//! `eco.sqlite3`, and the application above it, `examples/conduit`.

use crate::contract::services::{artefacts, has_chromium};
use crate::support::{emulated, lua_file, raw, sanitized, skip, workspace, Script};

fn beside_conduit(name: &str) -> Script {
    let folder = workspace().join("examples/conduit");
    lua_file(name)
        .limit(120)
        .env("CONDUIT", &folder.display().to_string())
}

#[test]
fn conduit() {
    beside_conduit("conduit.lua").eco();
}

/// The page in Chromium; what it looked like is in `target/tests/conduit.png`.
#[test]
fn the_page_of_conduit() {
    if has_chromium("conduit-browser.lua") {
        beside_conduit("conduit-browser.lua")
            .env("TEST_ARTEFACTS", &artefacts())
            .eco();
    }
}

#[test]
fn module() {
    lua_file("sqlite3.lua").limit(60).both();
}

/// A result that does not fit into the memory there is fails; the program goes on.
#[test]
fn a_result_larger_than_memory_fails() {
    if emulated() || sanitized() {
        skip(
            "a limit of memory",
            "emulator and sanitizer take much more of it",
        );
        return;
    }
    raw("local sqlite3 = require 'eco.sqlite3'
         local db = assert(sqlite3.open())
         print(db:query('with recursive n(i) as (values(1) union all select i + 1 from n) select i, zeroblob(100000) from n'))
         print(db:query_row('select 1 as a').a)
         db:close()")
    .memory(400_000)
    .stdout("nil\tnot enough memory\n1\n")
    .eco();
}
