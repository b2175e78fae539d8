//! Runs the tests while AddressSanitizer watches the memory of everything in the process (our code, std, Lua) and while
//! Lua checks every use of its API, its own assertions, and with a stack that moves as often as it may. And runs what
//! several threads share while ThreadSanitizer watches who reads and writes what.

use crate::run::{fail, output, run, step, timed, write, Result};
use crate::test::EVERYTHING;
use crate::toolchain::{cargo, Compiler};
use crate::{setup, workspace};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How the C parts are compiled. `__builtin_setjmp` is out: the sanitizer must see each jump. Headers come before what
/// sources ask of them.
const C_FLAGS: &str =
    "-fsanitize=address -fno-omit-frame-pointer -DLUA_USE_APICHECK -D_GNU_SOURCE -include assert.h \
    -Dlua_assert=assert -DHARDSTACKTESTS";

/// How Rust is compiled. The runtime is the C compiler's, which is the same for both.
const RUST_FLAGS: &str = "-Zsanitizer=address -Zexternal-clangrt -Cforce-frame-pointers=yes";

/// Puts the runtime before all other libraries, as it wants to be. Rust knows its ways by the name of the file.
fn linker(folder: &Path, arguments: &str) -> Result<PathBuf> {
    let linker = folder.join("gcc");
    write(&linker, format!("#!/bin/sh\nexec cc {arguments}\n"))?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&linker, std::fs::Permissions::from_mode(0o755))?;
    Ok(linker)
}

/// A compiler that can rebuild std.
fn compiler() -> Result<Compiler> {
    setup::ensure()?;
    let compiler = Compiler::choose()?;
    if !compiler.rebuilds_std {
        return fail("the sanitizer needs a std that is rebuilt with it: cargo xtask setup");
    }
    Ok(compiler)
}

/// cargo for the crate and a std of its own, both made with those flags.
fn sanitizing(
    compiler: &Compiler,
    folder: &Path,
    flags: &str,
    subcommand: &str,
) -> Result<Command> {
    let mut command = cargo();
    command
        .current_dir(workspace::root())
        .env("RUSTC", &compiler.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", folder)
        .env("RUSTFLAGS", flags)
        .arg("-Zbuild-std=std,panic_unwind,test")
        .arg(subcommand)
        .args(["--package", "lua-eco", "--target", &compiler.host_triple()?]);
    Ok(command)
}

/// Leaks count as well; a process that found something says so with a status of its own.
const OPTIONS: &str = "detect_leaks=1:strict_string_checks=1:exitcode=99";

/// `cargo xtask sanitize [FILTER…]`
pub fn command(filters: &[String]) -> Result<()> {
    let compiler = compiler()?;
    let triple = compiler.host_triple()?;
    let folder = workspace::root().join("target/sanitize");
    let linker = linker(&folder, "-Wl,--no-as-needed -lasan -Wl,--as-needed \"$@\"")?;
    let flags = format!("{RUST_FLAGS} -Clinker={}", linker.display());
    let sanitizing = |subcommand| -> Result<Command> {
        let mut command = sanitizing(&compiler, &folder, &flags, subcommand)?;
        command
            .env(format!("CFLAGS_{}", triple.replace('-', "_")), C_FLAGS)
            .env("ASAN_OPTIONS", OPTIONS)
            .args(["--features", EVERYTHING]);
        Ok(command)
    };
    timed(
        "eco with sanitizer",
        sanitizing("build")?.args(["--bin", "eco"]),
    )?;
    let eco = folder.join(&triple).join("debug/eco");
    check(&eco)?;
    timed(
        "unit tests with sanitizer",
        sanitizing("test")?
            .env("ECO_SANITIZED", "1")
            .args(["--lib", "--"])
            .args(filters),
    )?;
    let mut tests = cargo();
    tests
        .current_dir(workspace::root())
        .env("ECO_BIN", &eco)
        .env("ECO_SANITIZED", "1")
        .env("ASAN_OPTIONS", OPTIONS)
        .args(["test", "--package", "lua-eco", "--test", "main"])
        .args(["--features", EVERYTHING, "--"])
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

/// How Rust is compiled for the other sanitizer.
const THREAD_FLAGS: &str = "-Zsanitizer=thread -Zexternal-clangrt";

/// What newer compilers call, in terms of what older runtimes watch.
const COPIES: &str = "#include <string.h>
void *__tsan_memcpy(void *to, const void *from, size_t size) { return memcpy(to, from, size); }
void *__tsan_memmove(void *to, const void *from, size_t size) { return memmove(to, from, size); }
void *__tsan_memset(void *to, int byte, size_t size) { return memset(to, byte, size); }
";

/// `cargo xtask races`: the unit tests of what threads share.
pub fn races(_: &[String]) -> Result<()> {
    let compiler = compiler()?;
    let folder = workspace::root().join("target/races");
    let (source, object) = (folder.join("copies.c"), folder.join("copies.o"));
    write(&source, COPIES)?;
    run(Command::new("cc")
        .args(["-O1", "-fno-builtin", "-c", "-o"])
        .args([&object, &source]))?;
    let libraries = "-Wl,--no-as-needed -ltsan -Wl,--as-needed";
    let linker = linker(
        &folder,
        &format!("{libraries} \"$@\" '{}'", object.display()),
    )?;
    let flags = format!("{THREAD_FLAGS} -Clinker={}", linker.display());
    timed(
        "unit tests with ThreadSanitizer",
        sanitizing(&compiler, &folder, &flags, "test")?
            .args([
                "--no-default-features",
                "--features",
                "interpreter,base,thread,node",
                "--lib",
            ])
            .args(["--", "states::", "node::", "core::", "system::"]),
    )
}
