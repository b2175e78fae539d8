//! `eco.mysql` and `lunet.mysql`: by bytes, and with the server.

use super::network::with_certificates;
use crate::support::{emulated, lua_file, skip};

#[test]
fn by_bytes() {
    lua_file("mysql.lua").limit(120).both();
}

#[test]
fn with_a_server() {
    if emulated() {
        return skip("mysql-server.lua", "the machine is emulated");
    }
    with_certificates(lua_file("mysql-server.lua"))
        .limit(180)
        .eco();
}
