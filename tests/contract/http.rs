//! `eco.http.url` and `eco.http.server`, by bytes and with real clients.

use crate::support::{emulated, folder_of_tests, lua_file, skip, Scratch};
use std::process::Command;

#[test]
fn url() {
    lua_file("http-url.lua").both();
}

#[test]
fn server() {
    lua_file("http-server.lua").limit(60).both();
}

#[test]
fn real_clients() {
    lua_file("http-clients.lua").limit(60).eco();
}

/// The stream hand-over that TLS uses: readers and writers with functions of a native module.
#[test]
fn masked_stream() {
    if emulated() {
        skip(
            "http-stream.lua",
            "the stream layer is not built for the emulated machine",
        );
        return;
    }
    let scratch = Scratch::new();
    let built = Command::new("gcc")
        .args([
            "-O1",
            "-Wall",
            "-shared",
            "-fPIC",
            "-I/usr/include/lua5.4",
            "-o",
        ])
        .arg(scratch.0.join("mask.so"))
        .arg(folder_of_tests().join("c/mask.c"))
        .output()
        .expect("gcc; `cargo xtask setup` installs it");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    lua_file("http-stream.lua")
        .env("MASK_FOLDER", &scratch.0.to_string_lossy())
        .limit(60)
        .both();
}
