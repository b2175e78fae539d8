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
