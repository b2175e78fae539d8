//! A dictionary that processes share.

use crate::support::lua_file;

#[test]
fn shared() {
    lua_file("shared.lua").limit(120).both();
}
