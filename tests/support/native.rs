//! C code that tests bring along: Lua modules and host programs, built where they are used.

use super::target::folder_of_tests;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the Lua module `name` from `tests/c/` into a folder.
pub fn build_module(name: &str, folder: &Path) {
    gcc(
        name,
        &folder.join(format!("{name}.so")),
        &["-shared", "-fPIC"],
        &[],
    );
}

/// Builds the program `name` from `tests/c/` into a folder: a host with the distribution's Lua.
pub fn build_host(name: &str, folder: &Path) -> PathBuf {
    let program = folder.join(name);
    gcc(name, &program, &[], &["-Wl,-E", "-llua5.4"]);
    program
}

fn gcc(name: &str, output: &Path, options: &[&str], libraries: &[&str]) {
    let built = Command::new("gcc")
        .args(["-O1", "-g", "-Wall", "-I/usr/include/lua5.4"])
        .args(options)
        .arg("-o")
        .arg(output)
        .arg(folder_of_tests().join("c").join(format!("{name}.c")))
        .args(libraries)
        .output()
        .expect("gcc; `cargo xtask setup` installs it");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
}
