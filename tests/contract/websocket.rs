//! `eco.websocket` and server-sent events: by bytes, against `ws` of Node, and in a browser.

use std::process::Command;

use crate::support::{emulated, lua_file, sanitized, skip, workspace};

/// Handshakes, frames, messages, and peers that do what they must not.
#[test]
fn websocket() {
    lua_file("websocket.lua").limit(120).both();
}

/// permessage-deflate: what is agreed on, the bytes, what is given up, bombs.
#[test]
fn websocket_deflate() {
    lua_file("websocket-deflate.lua").limit(60).both();
}

/// The same over streams of another module, and what `wss://` hands to TLS.
#[test]
fn websocket_over_a_masked_stream() {
    lua_file("websocket-stream.lua")
        .module("mask")
        .limit(60)
        .both();
}

/// The substance of the Autobahn suite against our server, our client and `ws` of Node.
#[test]
fn websocket_cases() {
    if has_ws("websocket-cases.lua") {
        lua_file("websocket-cases.lua").limit(180).eco();
    }
}

/// `ws` of Node as server and as client; curl for server-sent events.
#[test]
fn websocket_and_ws() {
    if has_ws("websocket-ws.lua") {
        lua_file("websocket-ws.lua").limit(60).eco();
    }
}

/// A page in Chromium; what it looked like is in `target/tests/websocket.png`.
#[test]
fn websocket_in_a_browser() {
    if emulated() || sanitized() || !answers(Command::new("chromium").arg("--version")) {
        skip(
            "websocket-browser.lua",
            "chromium is not installed, or the machine is emulated",
        );
        return;
    }
    let folder = workspace().join("target/tests");
    std::fs::create_dir_all(&folder).expect("a folder");
    lua_file("websocket-browser.lua")
        .env("TEST_ARTEFACTS", &folder.display().to_string())
        .limit(90)
        .eco();
}

fn answers(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// Whether Node and its `ws` are there; says so if not.
fn has_ws(name: &str) -> bool {
    let mut node = Command::new("node");
    node.env("NODE_PATH", "/usr/share/nodejs")
        .args(["-e", "require('ws')"]);
    let there = !emulated() && answers(&mut node);
    if !there {
        skip(
            name,
            "Node with the package ws is not installed, or the machine is emulated",
        );
    }
    there
}
