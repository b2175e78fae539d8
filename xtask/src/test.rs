//! Runs the tests: on this machine, or under emulation, where unit tests are built for the router and the integration
//! tests start its interpreter. All tests of the libraries are built for the router.

use crate::run::{timed, Arguments, Result};
use crate::table::Table;
use crate::target::Target;
use crate::toolchain::{cargo, Compiler};
use crate::{build, setup, workspace};
use std::process::Command;

/// The features that have every module inside one program, as the tests need it.
pub const EVERYTHING: &str = "interpreter,all";

/// `cargo xtask test [--target ARCH [--library NAME]]`
pub fn command(arguments: &[String]) -> Result<()> {
    let arguments = Arguments::parse(arguments, &["target", "library"])?;
    setup::ensure()?;
    match arguments.option("target") {
        None => host(&arguments.words),
        Some(arch) => {
            let target = Target::read(arch)?;
            match arguments.option("library") {
                None => emulated(&target, &arguments.words),
                Some(library) => emulated_library(&target, library, &arguments.words),
            }
        }
    }
}

fn host(filters: &[String]) -> Result<()> {
    build::host()?;
    let mut command = cargo();
    command
        .current_dir(workspace::root())
        .args(["test", "--workspace", "--features", EVERYTHING]);
    // Features of a library are not those of the workspace.
    let libraries = Table::read()?.libraries;
    for library in &libraries {
        command.args(["--exclude", &library.name]);
    }
    timed("tests on this machine", command.args(filters))?;
    for library in &libraries {
        let mut command = cargo();
        command
            .current_dir(workspace::root())
            .args(["test", "--package", &library.name, "--all-features"])
            .args(filters);
        timed(&format!("tests of {}", library.name), &mut command)?;
    }
    Ok(())
}

fn emulated(target: &Target, filters: &[String]) -> Result<()> {
    build::arch(target)?;
    emulated_cargo(
        target,
        "unit tests",
        &["--package", "lua-eco", "--lib", "--features", EVERYTHING],
        filters,
    )?;
    for library in &Table::read()?.libraries {
        emulated_library(target, &library.name, filters)?;
    }
    let mut scripts = cargo();
    scripts
        .current_dir(workspace::root())
        .args([
            "test",
            "--package",
            "lua-eco",
            "--test",
            "main",
            "--features",
            EVERYTHING,
        ])
        .args(filters);
    scripts
        .env(
            "ECO_BIN",
            workspace::dist().join(&target.arch).join("eco-static"),
        )
        .env("ECO_RUNNER", &target.qemu);
    processor(&mut scripts, target);
    timed(
        &format!("{}: integration tests under {}", target.arch, target.qemu),
        &mut scripts,
    )
}

/// All tests of a library but those in its documents.
fn emulated_library(target: &Target, library: &str, filters: &[String]) -> Result<()> {
    emulated_cargo(
        target,
        &format!("tests of {library}"),
        &["--package", library, "--lib", "--tests", "--all-features"],
        filters,
    )
}

/// Builds tests for the router and starts them with its emulator. Programs that they start need it, too: ECO_RUNNER names it.
fn emulated_cargo(
    target: &Target,
    what: &str,
    arguments: &[&str],
    filters: &[String],
) -> Result<()> {
    let mut command = Compiler::choose()?.cross_test_cargo(target, "test")?;
    let runner = format!(
        "CARGO_TARGET_{}_RUNNER",
        target.variable_name().to_uppercase()
    );
    command
        .args(arguments)
        .args(["--target", &target.triple])
        .args(filters)
        .env(runner, &target.qemu)
        .env("ECO_RUNNER", &target.qemu);
    processor(&mut command, target);
    timed(
        &format!("{}: {what} under {}", target.arch, target.qemu),
        &mut command,
    )
}

/// Tells the emulator which processor to play.
pub fn processor(command: &mut Command, target: &Target) {
    if let Some(name) = &target.qemu_cpu {
        command.env("QEMU_CPU", name);
    }
}
