//! Tests an interpreter that uses the system's Lua library in place of a Lua of its own: it must need that library, load
//! every module, and pass the tests of the interpreter.

use crate::build::work_folder;
use crate::run::{fail, output, run, step, timed, write, Result};
use crate::table::Table;
use crate::toolchain::cargo;
use crate::{build, dlopen, setup, test, workspace};
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
    let sections = output(Command::new("readelf").arg("-dW").arg(&eco))?;
    if !sections
        .lines()
        .any(|line| line.contains("(NEEDED)") && line.contains("[liblua5.4.so"))
    {
        return fail(format!(
            "{} does not need liblua5.4:\n{sections}",
            eco.display()
        ));
    }
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
    timed("integration tests with the system's liblua5.4", &mut tests)
}
