//! Sockets.

use crate::support::lua_file;

#[test]
fn streams() {
    lua_file("socket.lua").limit(60).both();
}

#[test]
fn datagrams_and_addresses() {
    lua_file("datagram.lua").both();
}
