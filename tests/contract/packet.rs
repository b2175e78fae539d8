//! Packets taken apart and put together.

use crate::support::lua_file;

#[test]
fn packets() {
    lua_file("packet.lua").limit(60).both();
}
