//! `eco.http.url` and `eco.http.server`, by bytes and with real clients.

use crate::support::lua_file;

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
    lua_file("http-stream.lua").module("mask").limit(60).both();
}
