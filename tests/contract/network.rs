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

/// A direction that turns, a busy one, and bytes that come again at their place.
#[test]
fn streams_that_wait_in_the_other_direction() {
    lua_file("directions.lua").module("contrary").both();
}
