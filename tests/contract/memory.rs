//! Memory: errors lose none of it, and Lua runs out of it at every allocation in turn.
//!
//! A C host loads the modules into a state whose allocator refuses from the Nth allocation on, for every N a script
//! needs; the script must end in a Lua error, the state stay usable, and closing it give every descriptor back.

use crate::support::{
    build_host, emulated, folder_of_tests, lua_file, modules_folder, raw, sanitized, skip, Scratch,
};
use std::process::Command;

fn starve(script: &str, mode: &str) {
    if emulated() || sanitized() {
        skip(script, "the C host is not built for what is tested");
        return;
    }
    let scratch = Scratch::new();
    let program = build_host("starve", &scratch.0);
    let output = Command::new(&program)
        .arg(folder_of_tests().join("lua").join(script))
        .arg(mode)
        .env("LUA_CPATH", format!("{}/?.so", modules_folder().display()))
        .current_dir(&scratch.0)
        .output()
        .expect("the C host");
    assert!(
        output.status.success(),
        "{script}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn in_calls_that_do_not_wait() {
    starve("starving-calls.lua", "strict");
}

#[test]
fn while_modules_load() {
    starve("starving-loading.lua", "strict");
}

/// Here an error may also reach the top of a coroutine, which ends the process with status 1.
#[test]
fn in_coroutines_that_wait() {
    starve("starving-coroutines.lua", "lenient");
}

/// The jump that raises an error runs no destructor: nothing that owns memory may be alive.
#[test]
fn errors_lose_no_memory() {
    lua_file("raising.lua").module("heap").limit(60).both();
}

#[test]
fn values_end_with_the_collector_alone() {
    lua_file("finalised.lua").limit(60).both();
}

#[test]
fn in_native_code_of_which_lua_does_not_know() {
    if emulated() {
        skip("memory.lua", "the limit would be the emulator's");
        return;
    }
    lua_file("memory.lua").memory(60_000).limit(120).both();
}

/// Where memory is watched, mistakes end the process: tests that pass there say something.
#[test]
fn mistakes_are_noticed() {
    if !sanitized() {
        return;
    }
    for (mistake, complaint, status) in [
        ("use_after_free", "heap-use-after-free", 99),
        ("lose", "detected memory leaks", 99),
        ("misuse", "invalid new top", 134),
    ] {
        raw(&format!("require 'trespass'.{mistake}()"))
            .module("trespass")
            .stderr_has(complaint)
            .status(status)
            .eco();
    }
}
