//! OpenWrt's configuration and message bus.

use crate::support::{broker, command, lua_file, workspace, Scratch, Script};
use nix::unistd::geteuid;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::path::Path;

#[test]
fn uci() {
    lua_file("uci.lua").limit(60).both();
}

/// Runs `run` with a folder where a daemon obeys (see `support/broker.rs`). The daemon knows clients by their users, and
/// lets scripts of the superuser in only.
pub fn with_daemon(run: impl FnOnce(&Path)) {
    if !geteuid().is_root() {
        eprintln!("skipped: only root may use the message bus");
        return;
    }
    let folder = Scratch::new();
    let thread = broker::control(&folder.0);
    let ended = catch_unwind(AssertUnwindSafe(|| run(&folder.0)));
    broker::tell(&folder.0, "quit");
    thread.join().expect("the daemon's thread");
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

/// The same for a script, which finds the folder in its environment.
fn script_with_daemon(name: &str, run: fn(Script)) {
    with_daemon(|folder| {
        let folder = folder.display().to_string();
        run(lua_file(name).limit(120).env("UBUS_FOLDER", &folder));
    });
}

#[test]
fn ubus() {
    script_with_daemon("ubus.lua", Script::both);
}

#[test]
fn ubus_reconnects_under_load() {
    script_with_daemon("ubus-restart.lua", Script::eco);
}

#[test]
fn ubus_survives_hostile_daemons() {
    script_with_daemon("ubus-hostile.lua", Script::eco);
}

#[test]
fn ubus_example() {
    with_daemon(|folder| {
        broker::tell(folder, "start");
        let example = workspace().join("examples/ubus_greeter.lua");
        let socket = folder.join("ubus");
        command(&[
            &example.display().to_string(),
            &socket.display().to_string(),
        ])
        .stdout_has("hello, router\nnil\tInvalid argument\nnil\ttimeout\n")
        .stdout_has("greeter.event\t3\n")
        .stdout_has("notification\t3\n")
        .eco();
    });
}
