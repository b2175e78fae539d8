//! Terminals and serial ports.

use crate::support::{lua_file, sanitized, skip};

#[test]
fn termios() {
    lua_file("termios.lua").both();
}

#[test]
fn serial() {
    lua_file("serial.lua").limit(60).both();
}

/// Modem lines are not what pseudo-terminals have: a library in front of ioctl(2) gives them some.
#[test]
fn modem_lines() {
    if sanitized() {
        skip(
            "serial-lines.lua",
            "what watches memory has to be loaded first",
        );
        return;
    }
    lua_file("serial-lines.lua")
        .module("lines")
        .env("LD_PRELOAD", "./lines.so")
        .limit(60)
        .both();
}
