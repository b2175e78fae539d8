//! `eco.postgres` and `lunet.postgres`: by bytes, and with the server.

use super::network::with_certificates;
use crate::support::{emulated, lua_file, raw, skip};

#[test]
fn by_bytes() {
    lua_file("postgres.lua").limit(120).both();
}

#[test]
fn with_a_server() {
    if emulated() {
        return skip("postgres-server.lua", "the machine is emulated");
    }
    with_certificates(lua_file("postgres-server.lua"))
        .limit(180)
        .eco();
}

#[test]
fn without_its_package_tls_names_it() {
    raw(r#"
        local eco, socket = require 'eco', require 'eco.socket'
        local postgres = require 'eco.postgres'
        package.preload['eco.ssl'] = nil
        package.cpath = ''
        local listener = assert(socket.listen_tcp('127.0.0.1', 0))
        eco.run(function()
            local peer = listener:accept()
            peer:readfull(8)
            peer:send 'S'
            peer:read(1)
        end)
        print(postgres.open { host = '127.0.0.1', port = listener:getsockname().port, ssl = true })
        listener:close()
    "#)
    .stdout("nil\tTLS needs the package lua-eco-ssl\n")
    .eco();
}
