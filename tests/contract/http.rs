//! `eco.http.url`, `eco.http.client` and `eco.http.server`, by bytes and with real clients.

use crate::support::{emulated, lua_file, namespaces, raw, skip};

#[test]
fn url() {
    lua_file("http-url.lua").both();
}

#[test]
fn server() {
    lua_file("http-server.lua").limit(60).both();
}

/// The client and peers that do everything wrong.
#[test]
fn client() {
    lua_file("http-client.lua").limit(120).both();
}

/// Connections that wait for another request keep no process.
#[test]
fn kept_connections_do_not_keep_the_loop() {
    raw(r#"
        local eco, http, socket = require 'eco', require 'eco.http.client', require 'eco.socket'
        local listener = assert(socket.listen_tcp('127.0.0.1', 0))
        eco.run(function()
            con = listener:accept()
            con:readuntil('\r\n\r\n')
            con:send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nover')
        end)
        client = http.new { reuse = 300 }
        print(client:get('http://127.0.0.1:' .. listener:getsockname().port).body)
    "#)
    .stdout("over\n")
    .eco();
}

/// The client and nginx: as a server, as a proxy, and with TLS.
#[test]
fn client_and_nginx() {
    if emulated() {
        skip("http-nginx.lua", "the machine is emulated");
        return;
    }
    lua_file("http-nginx.lua").limit(120).eco();
}

#[test]
fn real_clients() {
    lua_file("http-clients.lua").limit(60).eco();
}

/// Bounds on bodies, connections, time and memory; broken bodies, wrong lengths, odd handlers.
#[test]
fn limits() {
    lua_file("http-limits.lua").limit(120).both();
}

/// Raw requests, each with the answer of the RFCs; nginx beside it where that is installed.
#[test]
fn raw_requests() {
    lua_file("http-raw.lua").limit(120).eco();
}

/// Refusals of uploads reach clients that send on, over a veth pair.
#[test]
fn refused_uploads_hear_why() {
    if namespaces("http-veth.lua") {
        lua_file("http-veth.lua").limit(120).eco();
    }
}

/// The stream hand-over that TLS uses: readers and writers with functions of a native module.
#[test]
fn masked_stream() {
    lua_file("http-stream.lua").module("mask").limit(60).both();
}
