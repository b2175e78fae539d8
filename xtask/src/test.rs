//! Runs the tests: on this machine, or under emulation, where unit tests are built for the router and the integration
//! tests start its interpreter. The tests of a library are built for the router when it is named.

use crate::run::{timed_output, Arguments, Result};
use crate::table::Table;
use crate::target::Target;
use crate::toolchain::{cargo, Compiler};
use crate::{build, setup, workspace};
use std::fmt;
use std::process::Command;

/// The features that have every module inside one program, as the tests need it.
pub const EVERYTHING: &str = "interpreter,all";

/// `cargo xtask test [--target ARCH [--library NAME]]`
pub fn command(arguments: &[String]) -> Result<()> {
    let arguments = Arguments::parse(arguments, &["target", "library"])?;
    let target = arguments.option("target").map(Target::read).transpose()?;
    setup::ensure()?;
    let mut counts = Counts::default();
    let result = match target {
        None => host(&arguments.words, &mut counts),
        Some(target) => match arguments.option("library") {
            None => emulated(&target, &arguments.words, &mut counts),
            Some(library) => emulated_library(&target, library, &arguments.words, &mut counts),
        },
    };
    println!("\nin all: {counts}");
    result
}

/// What the test runners have counted.
#[derive(Default)]
struct Counts {
    passed: u32,
    failed: u32,
    ignored: u32,
}

impl Counts {
    /// Adds what a runner says in the end: `test result: ok. 12 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let words: Vec<&str> = result.split([' ', ';']).collect();
        for pair in words.windows(2) {
            let count = pair[0].parse().unwrap_or(0);
            match pair[1] {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        write!(to, "{} passed, {} failed", self.passed, self.failed)?;
        match self.ignored {
            0 => Ok(()),
            ignored => write!(to, ", {ignored} ignored"),
        }
    }
}

/// Runs tests as a named step.
fn counted(text: &str, command: &mut Command, counts: &mut Counts) -> Result<()> {
    timed_output(text, command, &mut |line| counts.add(line))
}

fn host(filters: &[String], counts: &mut Counts) -> Result<()> {
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
    counted("tests on this machine", command.args(filters), counts)?;
    for library in &libraries {
        let mut command = cargo();
        command
            .current_dir(workspace::root())
            .args(["test", "--package", &library.name, "--all-features"])
            .args(filters);
        counted(&format!("tests of {}", library.name), &mut command, counts)?;
    }
    Ok(())
}

fn emulated(target: &Target, filters: &[String], counts: &mut Counts) -> Result<()> {
    build::arch(target)?;
    emulated_cargo(
        target,
        "unit tests",
        &["--package", "lua-eco", "--lib", "--features", EVERYTHING],
        filters,
        counts,
    )?;
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
    counted(
        &format!("{}: integration tests under {}", target.arch, target.qemu),
        &mut scripts,
        counts,
    )
}

/// All tests of a library but those in its documents.
fn emulated_library(
    target: &Target,
    library: &str,
    filters: &[String],
    counts: &mut Counts,
) -> Result<()> {
    emulated_cargo(
        target,
        &format!("tests of {library}"),
        &["--package", library, "--lib", "--tests", "--all-features"],
        filters,
        counts,
    )
}

/// Builds tests for the router and starts them with its emulator. Programs that they start need it, too: ECO_RUNNER names it.
fn emulated_cargo(
    target: &Target,
    what: &str,
    arguments: &[&str],
    filters: &[String],
    counts: &mut Counts,
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
        // A process that the emulator forks while another thread holds one of its locks waits for ever: seen once in
        // the tests of `uci`, which start programs.
        .env("RUST_TEST_THREADS", "1")
        .env("ECO_RUNNER", &target.qemu);
    processor(&mut command, target);
    counted(
        &format!("{}: {what} under {}", target.arch, target.qemu),
        &mut command,
        counts,
    )
}

/// Tells the emulator which processor to play.
pub fn processor(command: &mut Command, target: &Target) {
    if let Some(name) = &target.qemu_cpu {
        command.env("QEMU_CPU", name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runners_say_adds_up() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.10s",
            "test a ... ok",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ] {
            counts.add(line);
        }
        assert_eq!(counts.to_string(), "14 passed, 1 failed, 1 ignored");
    }
}
