//! Runs the benchmarks against a build for this machine.

use crate::run::{run, Result};
use crate::{build, setup, workspace};
use std::process::Command;

/// `cargo xtask bench [NAME…]`
pub fn command(arguments: &[String]) -> Result<()> {
    setup::ensure()?;
    build::host()?;
    run(Command::new("bash")
        .current_dir(workspace::root())
        .arg("benches/run.sh")
        .args(arguments))
}
