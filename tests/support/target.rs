//! Finds what is under test: interpreter, modules, emulator.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of `Cargo.toml`.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of `main.rs`.
pub fn folder_of_tests() -> PathBuf {
    workspace().join("tests")
}

/// What a variable names, which must be there; else what `make host` builds.
fn named(variable: &str, default: &str) -> PathBuf {
    let Some(path) = std::env::var_os(variable).map(PathBuf::from) else {
        return workspace().join(default);
    };
    let shown = path.display();
    assert!(path.exists(), "{shown} is missing, which {variable} names");
    path
}

/// The words that start the interpreter: the emulator, if any, comes first.
pub fn interpreter() -> Vec<String> {
    let mut words = runner();
    let mut program = named("ECO_BIN", "target/dist/host/bin/eco");
    if !program.exists() {
        // A bare `cargo test` has built one with all modules inside.
        let built = option_env!("CARGO_BIN_EXE_eco");
        program = PathBuf::from(built.expect("neither `make host` nor cargo has built an eco"));
    }
    words.push(program.display().to_string());
    words
}

/// The folder that holds `eco.so`.
pub fn modules_folder() -> PathBuf {
    named("ECO_LIB", "target/dist/host/lib/lua/5.4")
}

/// The search path of C modules; empty where all modules are inside the interpreter.
pub fn module_path() -> String {
    if emulated() || sanitized() {
        return String::new();
    }
    let folder: &Path = &modules_folder();
    format!("{}/?.so", folder.display())
}

fn runner() -> Vec<String> {
    let words = std::env::var("ECO_RUNNER").unwrap_or_default();
    words.split_whitespace().map(str::to_owned).collect()
}

/// Whether the interpreter is built for another processor.
pub fn emulated() -> bool {
    !runner().is_empty()
}

/// Whether the interpreter watches its own memory (`cargo xtask sanitize`): it is slower, and the only host.
pub fn sanitized() -> bool {
    std::env::var_os("ECO_SANITIZED").is_some()
}

/// How much longer than on this machine at its own speed things may take.
pub fn slowness() -> u32 {
    if emulated() || sanitized() {
        10
    } else {
        1
    }
}

/// Whether tests may make network namespaces; else says that `what` is not tested.
pub fn namespaces(what: &str) -> bool {
    let name = format!("eco-probe-{}-{what}", std::process::id());
    let netns = |action: &str| {
        let output = Command::new("ip").args(["netns", action, &name]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if emulated() || !netns("add") {
        skip(
            what,
            "network namespaces are not permitted, or the machine is emulated",
        );
        return false;
    }
    assert!(netns("del"));
    true
}

/// Says on the real standard error, past the capture of the test harness, that something is not tested here.
pub fn skip(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}: {why}");
}
