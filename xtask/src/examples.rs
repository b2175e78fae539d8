//! Runs every example in the real interpreter, and the Lua found in documents through its compiler.

use crate::run::{timed, Result};
use crate::toolchain::cargo;
use crate::{build, setup, test, workspace};

/// `cargo xtask examples`
pub fn command(_: &[String]) -> Result<()> {
    setup::ensure()?;
    build::host()?;
    let mut command = cargo();
    command.current_dir(workspace::root()).args([
        "test",
        "--package",
        "lua-eco",
        "--test",
        "main",
        "--features",
        test::EVERYTHING,
        "documents",
    ]);
    timed("examples and documents", &mut command)
}
