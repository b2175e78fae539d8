//! `eco.http.url` and `eco.http.server`, by bytes and with real clients.

use std::process::Command;

use crate::support::{emulated, lua_file, skip};

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
    let name = format!("eco-probe-{}", std::process::id());
    let netns = |action: &str| {
        let output = Command::new("ip").args(["netns", action, &name]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if emulated() || !netns("add") {
        skip(
            "http-veth.lua",
            "network namespaces are not permitted, or the machine is emulated",
        );
        return;
    }
    assert!(netns("del"));
    lua_file("http-veth.lua").limit(120).eco();
}

/// The stream hand-over that TLS uses: readers and writers with functions of a native module.
#[test]
fn masked_stream() {
    lua_file("http-stream.lua").module("mask").limit(60).both();
}
