//! Runs the tests while AddressSanitizer watches the memory of everything in the process (our code, std, Lua) and while
//! Lua checks every use of its API, its own assertions, and with a stack that moves as often as it may.

use crate::run::{fail, output, step, timed, write, Result};
use crate::test::EVERYTHING;
use crate::toolchain::{cargo, Compiler};
use crate::{setup, workspace};
use std::path::Path;
use std::process::Command;

/// How the C parts are compiled. `__builtin_setjmp` is out: the sanitizer must see each jump.
const C_FLAGS: &str =
    "-fsanitize=address -fno-omit-frame-pointer -DLUA_USE_APICHECK -include assert.h \
    -Dlua_assert=assert -DHARDSTACKTESTS";

/// How Rust is compiled. The runtime is the C compiler's, which is the same for both.
const RUST_FLAGS: &str = "-Zsanitizer=address -Zexternal-clangrt -Cforce-frame-pointers=yes";

/// Puts the runtime before all other libraries, as it wants to be. Rust knows its ways by the name of the file.
const LINKER: &str = "#!/bin/sh\nexec cc -Wl,--no-as-needed -lasan -Wl,--as-needed \"$@\"\n";

/// Leaks count as well; a process that found something says so with a status of its own.
const OPTIONS: &str = "detect_leaks=1:strict_string_checks=1:exitcode=99";

/// `cargo xtask sanitize [FILTER…]`
pub fn command(filters: &[String]) -> Result<()> {
    setup::ensure()?;
    let compiler = Compiler::choose()?;
    if !compiler.rebuilds_std {
        return fail("the sanitizer needs a std that is rebuilt with it: cargo xtask setup");
    }
    let triple = compiler.host_triple()?;
    let folder = workspace::root().join("target/sanitize");
    let linker = folder.join("gcc");
    if !linker.exists() {
        write(&linker, LINKER)?;
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&linker, std::fs::Permissions::from_mode(0o755))?;
    }
    let sanitizing = |subcommand: &str| {
        let mut command = cargo();
        command
            .current_dir(workspace::root())
            .env("RUSTC", &compiler.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", &folder)
            .env(
                "RUSTFLAGS",
                format!("{RUST_FLAGS} -Clinker={}", linker.display()),
            )
            .env(format!("CFLAGS_{}", triple.replace('-', "_")), C_FLAGS)
            .env("ASAN_OPTIONS", OPTIONS)
            .arg("-Zbuild-std=std,panic_unwind,test")
            .arg(subcommand)
            .args(["--package", "lua-eco", "--target", &triple])
            .args(["--features", EVERYTHING]);
        command
    };
    timed(
        "eco with sanitizer",
        sanitizing("build").args(["--bin", "eco"]),
    )?;
    let eco = folder.join(&triple).join("debug/eco");
    check(&eco)?;
    timed(
        "unit tests with sanitizer",
        sanitizing("test").arg("--lib").args(filters),
    )?;
    let mut tests = cargo();
    tests
        .current_dir(workspace::root())
        .env("ECO_BIN", &eco)
        .env("ECO_SANITIZED", "1")
        .env("ASAN_OPTIONS", OPTIONS)
        .args(["test", "--package", "lua-eco", "--test", "main"])
        .args(["--features", EVERYTHING])
        .args(filters);
    timed("integration tests with sanitizer", &mut tests)
}

/// A program without the sanitizer would pass every test.
fn check(eco: &Path) -> Result<()> {
    step("the sanitizer is in");
    let symbols = output(Command::new("nm").arg("-u").arg(eco))?;
    for symbol in [
        "__asan_report_load8",
        "__asan_register_elf_globals",
        "__assert_fail",
    ] {
        if !symbols.contains(symbol) {
            return fail(format!("{} does not use {symbol}", eco.display()));
        }
    }
    Ok(())
}
