//! Sockets, and TLS over them.

use crate::support::{emulated, folder_of_tests, lua_file, namespaces, raw, skip, Script};
use std::process::Command;

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

/// Names, by a resolver that lies.
#[test]
fn names() {
    lua_file("dns.lua").limit(120).both();
}

#[test]
fn pings() {
    lua_file("net.lua").both();
}

/// LuaAsio, as its contract says.
#[test]
fn light_threads() {
    lua_file("light-threads.lua").limit(120).both();
}

/// What its documents show runs where the main chunk is no coroutine, too.
#[test]
fn light_threads_of_a_main_chunk() {
    raw(r#"
        local asio = require 'asio'
        local port = math.random(10000, 30000)
        local holder
        for _ = 1, 50 do
            port = port + 1
            holder = asio.server('127.0.0.1', port, function(con)
                asio.spawn_light_thread(function()
                    con:write(con:read(5) .. '-pong')
                    con:close()
                end)
            end)
            if holder then break end
        end
        local function ping(text)
            local con = asio.connect('localhost', tostring(port))
            con:write(text)
            print(con:read(10))
            con:close()
        end
        asio.spawn_light_thread(ping, 'ping1')
        asio.run_once()
        asio.spawn_light_thread(function()
            ping('ping2')
            asio.destory_server(holder)
            holder = asio.server('127.0.0.1', port, function() error('own') end)
            asio.connect('127.0.0.1', port)
        end)
        print(pcall(asio.run))
        asio.destory_server(holder)
        asio.run()
        print(pcall(asio.sleep, 1))
    "#)
    .stdout_has("ping1-pong")
    .stdout_has("ping2-pong")
    .stdout_has("own")
    .stdout_has("need be called in light thread.")
    .both();
}

/// The transparent proxy of `examples/proxy`, by real netfilter.
#[test]
fn redirected_connections() {
    let has_nft = Command::new("nft").arg("--version").output();
    if !has_nft.is_ok_and(|output| output.status.success()) {
        skip("asio-redirect.lua", "nft is not installed");
    } else if namespaces("asio-redirect.lua") {
        let example = folder_of_tests().join("../examples/proxy");
        lua_file("asio-redirect.lua")
            .env("PROXY", &example.display().to_string())
            .limit(120)
            .eco();
    }
}

/// Pings among foreign packets, by both kinds of sockets.
#[test]
fn pings_over_a_device_of_the_test() {
    if !std::path::Path::new("/dev/net/tun").exists() {
        skip("net-tun.lua", "there is no /dev/net/tun");
    } else if namespaces("net-tun.lua") {
        lua_file("net-tun.lua").limit(60).eco();
    }
}

/// Names, by dnsmasq.
#[test]
fn names_of_a_real_server() {
    if emulated() {
        skip("dns-dnsmasq.lua", "real peers are not started there");
        return;
    }
    lua_file("dns-dnsmasq.lua").limit(60).eco();
}

/// A TLS test script with the certificates of `tests/tls/` beside it.
pub fn with_certificates(script: Script) -> Script {
    let folder = folder_of_tests().join("tls");
    let mut script = script;
    for name in [
        "ca.pem",
        "other.pem",
        "server.pem",
        "rsa.pem",
        "www.pem",
        "client.pem",
        "expired.pem",
        "other.key",
        "server.key",
        "rsa.key",
        "www.key",
        "client.key",
        "expired.key",
    ] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        script = script.file(name, &text);
    }
    script
}

#[test]
fn tls() {
    with_certificates(lua_file("ssl.lua")).limit(120).both();
}

/// OpenSSL, GnuTLS and curl at the other end.
#[test]
fn tls_peers() {
    if emulated() {
        skip("ssl-peers.lua", "programs of this machine take part");
        return;
    }
    with_certificates(lua_file("ssl-peers.lua"))
        .limit(180)
        .eco();
}
