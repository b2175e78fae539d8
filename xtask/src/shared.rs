//! Tests what uses the system's libraries in place of its own. An interpreter with the system's Lua: it must need that
//! library, load every module, and pass the tests of the interpreter. TLS by the system's Mbed TLS: it must need that one,
//! and pass the tests of TLS.

use crate::build::work_folder;
use crate::run::{fail, output, run, step, timed, write, Result};
use crate::table::Table;
use crate::toolchain::cargo;
use crate::{build, dlopen, setup, test, workspace};
use std::path::Path;
use std::process::Command;

/// What tests the interpreter; the modules are those that `make test` has tried in two others.
const INTERPRETER: [&str; 11] = [
    "contract::base",
    "contract::closing",
    "contract::errors",
    "contract::faults",
    "contract::interpreter",
    "contract::load",
    "contract::memory",
    "contract::processes",
    "contract::scheduler",
    "contract::signals",
    "contract::threads",
];

/// `cargo xtask shared-test`
pub fn command(_: &[String]) -> Result<()> {
    setup::ensure()?;
    build::host()?;
    let eco = build::host_shared_lua()?;
    step("eco-shared: every module, with the system's liblua5.4");
    needs(&eco, "liblua5.4.so")?;
    let script = work_folder("shared")?.join("load.lua");
    write(&script, dlopen::script(&Table::read()?))?;
    run(Command::new(&eco).arg(&script))?;
    let mut tests = cargo();
    tests
        .current_dir(workspace::root())
        .env("ECO_BIN", &eco)
        .args(["test", "--package", "lua-eco", "--test", "main"])
        .args(["--features", test::EVERYTHING, "--"])
        .args(INTERPRETER);
    timed("integration tests with the system's liblua5.4", &mut tests)?;
    system_tls()
}

/// TLS by the system's Mbed TLS, which may be an old one: its tests leave out what it cannot do.
fn system_tls() -> Result<()> {
    let modules = build::host_system_tls()?;
    needs(&modules.join("eco/ssl.so"), "libmbedtls.so")?;
    let eco = workspace::dist().join("host/bin/eco");
    let script = work_folder("shared")?.join("tls.lua");
    write(
        &script,
        "local ssl = require 'eco.ssl'\nprint(ssl.VERSION .. (ssl.TLS13 and '' or ': no TLS 1.3, its tests are skipped'))\n",
    )?;
    let path = format!("{}/?.so", modules.display());
    let version = output(
        Command::new(&eco)
            .env("LUA_CPATH", &path)
            .env_remove("LUA_CPATH_5_4")
            .arg(&script),
    )?;
    step(&format!("eco.ssl with the system's {}", version.trim_end()));
    let mut tests = cargo();
    tests
        .current_dir(workspace::root())
        .env("ECO_BIN", &eco)
        .env("ECO_LIB", &modules)
        .args(["test", "--package", "lua-eco", "--test", "main"])
        .args([
            "--features",
            test::EVERYTHING,
            "--",
            "contract::network::tls",
        ]);
    timed("integration tests with the system's Mbed TLS", &mut tests)
}

/// Fails unless a file needs a shared library.
fn needs(file: &Path, library: &str) -> Result<()> {
    let sections = output(Command::new("readelf").arg("-dW").arg(file))?;
    let wanted = format!("[{library}");
    if sections
        .lines()
        .any(|line| line.contains("(NEEDED)") && line.contains(&wanted))
    {
        return Ok(());
    }
    fail(format!(
        "{} does not need {library}:\n{sections}",
        file.display()
    ))
}
