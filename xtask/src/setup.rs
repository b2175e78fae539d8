//! Installs what the builds need: by package name, only what is missing, and telling what it does.

use crate::run::{fail, find_program, folder_for, output, step, timed, Result};
use crate::toolchain::{python_tools, zig, Pins, SystemPackage};
use crate::workspace;
use std::process::Command;

/// `cargo xtask setup`
pub fn command(_: &[String]) -> Result<()> {
    ensure()?;
    println!("setup: everything that the builds need is installed");
    Ok(())
}

/// Looks for everything that is needed and installs what is missing.
pub fn ensure() -> Result<()> {
    let pins = Pins::read()?;
    system_packages(&pins)?;
    python_packages(&pins)
}

/// Whether the optional packages that rebuild std have been looked for: on other systems they do not exist.
fn compiler_stamp() -> std::path::PathBuf {
    workspace::tools().join("compiler-looked-for")
}

fn system_packages(pins: &Pins) -> Result<()> {
    let missing: Vec<&str> = pins
        .system
        .iter()
        .filter(|package| !is_there(package))
        .map(|package| package.package.as_str())
        .collect();
    let wanted = pins.compiler.packages.join("\n");
    let compiler_missing = !pins.compiler.path.exists()
        || !std_sources_there(pins)
        || find_program(&pins.compiler.linker).is_none();
    let wants_compiler = compiler_missing
        && std::fs::read_to_string(compiler_stamp()).ok().as_ref() != Some(&wanted);
    if missing.is_empty() && !wants_compiler {
        return Ok(());
    }
    if find_program("apt-get").is_none() {
        if missing.is_empty() {
            return Ok(());
        }
        return fail(format!(
            "this system has no apt-get; install by its own means: {}",
            missing.join(" ")
        ));
    }
    timed(
        "apt-get update",
        apt(&["update", "-qq"])?.stdout(std::process::Stdio::null()),
    )?;
    if !missing.is_empty() {
        let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
        arguments.extend(&missing);
        timed(
            &format!("apt-get install {}", missing.join(" ")),
            apt(&arguments)?.stdout(std::process::Stdio::null()),
        )?;
    }
    if wants_compiler {
        // A compiler that the user chose stays.
        let mut arguments = vec![
            "install",
            "-y",
            "-qq",
            "--no-install-recommends",
            "--no-remove",
        ];
        arguments.extend(pins.compiler.packages.iter().map(String::as_str));
        let text = format!("apt-get install {}", pins.compiler.packages.join(" "));
        if let Err(error) = timed(&text, apt(&arguments)?.stdout(std::process::Stdio::null())) {
            eprintln!("note: {error}");
            eprintln!(
                "note: without these, std comes from `rustup component add rust-src` or prebuilt"
            );
        }
        folder_for(&workspace::tools())?;
        std::fs::write(compiler_stamp(), wanted)?;
    }
    let still: Vec<&str> = pins
        .system
        .iter()
        .filter(|package| !is_there(package))
        .map(|package| package.package.as_str())
        .collect();
    if !still.is_empty() {
        return fail(format!(
            "apt-get installed these, but what they bring is not found: {}",
            still.join(" ")
        ));
    }
    Ok(())
}

fn is_there(package: &SystemPackage) -> bool {
    package
        .command
        .as_ref()
        .is_none_or(|command| find_program(command).is_some())
        && package.file.as_ref().is_none_or(|file| file.exists())
}

fn std_sources_there(pins: &Pins) -> bool {
    let folder = pins.compiler.path.parent().and_then(|bin| bin.parent());
    folder.is_some_and(|root| {
        root.join("lib/rustlib/src/rust/library/std/Cargo.toml")
            .exists()
    })
}

/// apt-get, waiting for others who hold its lock, with sudo where we are not root.
fn apt(arguments: &[&str]) -> Result<Command> {
    let root = output(Command::new("id").arg("-u"))?.trim() == "0";
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        command.args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    }
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(std::process::Stdio::null());
    command
        .args([
            "-o",
            "DPkg::Lock::Timeout=600",
            "-o",
            "Acquire::Retries=3",
            "-o",
            "Dpkg::Use-Pty=0",
        ])
        .args(arguments);
    Ok(command)
}

/// zig and its cargo driver come from PyPI, into a folder of ours.
fn python_packages(pins: &Pins) -> Result<()> {
    let folder = python_tools();
    let wanted = [
        format!("ziglang=={}", pins.zig.version),
        format!("cargo-zigbuild=={}", pins.cargo_zigbuild.version),
    ];
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|text| text == wanted.join("\n")) && zig().exists()
    {
        return Ok(());
    }
    let _ = std::fs::remove_dir_all(&folder);
    folder_for(&folder)?;
    let mut command = Command::new(pip_python()?);
    command.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--root-user-action=ignore",
        "--target",
    ]);
    command
        .arg(&folder)
        .args(&wanted)
        .stdin(std::process::Stdio::null());
    timed(&format!("pip install {}", wanted.join(" ")), &mut command)?;
    let version = output(Command::new(zig()).arg("version"))?;
    if version.trim() != pins.zig.version {
        return fail(format!(
            "zig says it is {}, not {}",
            version.trim(),
            pins.zig.version
        ));
    }
    std::fs::write(stamp, wanted.join("\n"))?;
    step(&format!(
        "zig {} and cargo-zigbuild {} are in {}",
        pins.zig.version,
        pins.cargo_zigbuild.version,
        folder.display()
    ));
    Ok(())
}

/// A Python that has pip: the user's, or the system's.
fn pip_python() -> Result<&'static str> {
    for python in ["python3", "/usr/bin/python3"] {
        if output(Command::new(python).args(["-m", "pip", "--version"])).is_ok() {
            return Ok(python);
        }
    }
    fail("no python3 with pip is found")
}
