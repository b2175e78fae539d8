//! Checks that run nothing of ours: types, features, lints; and fuzzing.

use crate::build::{name_shared_lua, work_folder, SHARED_LUA};
use crate::run::{fail, find_program, fresh_folder, read_text, run, timed, Result};
use crate::table::Table;
use crate::target::Target;
use crate::test::EVERYTHING;
use crate::toolchain::{cargo, Compiler, Link, Pins};
use crate::{setup, workspace};
use std::path::PathBuf;
use std::process::Command;

/// `cargo xtask check`
pub fn mipsel_command(_: &[String]) -> Result<()> {
    setup::ensure()?;
    let target = Target::read("mipsel_24kc")?;
    let compiler = Compiler::choose()?;
    let check = |package: &str, arguments: &[&str]| {
        let mut command = compiler.cross_cargo(&target, "check", Link::Module)?;
        command
            .args(["--package", package, "--target", &target.triple])
            .args(arguments);
        timed(&format!("mipsel: types of {package}"), &mut command)
    };
    check(
        "lua-eco",
        &["--lib", "--bin", "eco", "--features", EVERYTHING],
    )?;
    for library in &Table::read()?.libraries {
        check(&library.name, &["--lib", "--bins", "--all-features"])?;
    }
    Ok(())
}

/// `cargo xtask features`
pub fn features_command(_: &[String]) -> Result<()> {
    // These choose where Lua comes from; the others are modules.
    for feature in features(".")? {
        if !["module", "interpreter", SHARED_LUA, "program"].contains(&feature.as_str()) {
            check("lua-eco", &["--lib"], &format!("module,{feature}"))?;
        }
    }
    check("lua-eco", &["--lib", "--bins"], "interpreter")?;
    check("lua-eco", &["--lib", "--bins"], SHARED_LUA)?;
    check("lua-eco", &["--all-targets"], EVERYTHING)?;
    for library in &Table::read()?.libraries {
        let features = features(&library.name)?;
        check(&library.name, &["--lib"], "")?;
        for feature in &features {
            check(&library.name, &["--lib", "--bins"], feature)?;
        }
        check(&library.name, &["--all-targets"], &features.join(","))?;
    }
    Ok(())
}

/// The features of the crate in a folder, without the default.
fn features(folder: &str) -> Result<Vec<String>> {
    let file = workspace::root().join(folder).join("Cargo.toml");
    let manifest: toml::Table = read_text(&file)?.parse()?;
    let features = manifest.get("features").and_then(toml::Value::as_table);
    let names = features.into_iter().flat_map(|table| table.keys());
    Ok(names.filter(|name| *name != "default").cloned().collect())
}

fn check(package: &str, what: &[&str], features: &str) -> Result<()> {
    let mut command = cargo();
    command
        .current_dir(workspace::root())
        .env("RUSTFLAGS", "-Dwarnings");
    name_shared_lua(&mut command);
    command
        .args([
            "check",
            "--quiet",
            "--package",
            package,
            "--no-default-features",
            "--features",
            features,
        ])
        .args(what);
    timed(&format!("{package}, features: {features}"), &mut command)
}

/// `cargo xtask lint`
pub fn lint_command(_: &[String]) -> Result<()> {
    setup::ensure()?;
    let root = workspace::root();
    timed(
        "formatting",
        cargo().current_dir(&root).args(["fmt", "--all", "--check"]),
    )?;
    let mut clippy = cargo();
    clippy.current_dir(&root).args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--features",
        EVERYTHING,
        "--",
        "-D",
        "warnings",
    ]);
    timed("clippy", &mut clippy)?;
    for library in &Table::read()?.libraries {
        let mut clippy = cargo();
        clippy.current_dir(&root).args([
            "clippy",
            "--package",
            &library.name,
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ]);
        timed(&format!("clippy: {}", library.name), &mut clippy)?;
    }
    Ok(())
}

/// `cargo xtask fuzz [SECONDS [TARGET…]]`; without a second only what is kept is tried, which finds the same every time.
pub fn fuzz_command(arguments: &[String]) -> Result<()> {
    let seconds: u32 = match arguments.first() {
        Some(text) => text
            .parse()
            .map_err(|_| format!("'{text}' is not a number of seconds"))?,
        None => 30,
    };
    let root = workspace::root();
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(root.join("fuzz/fuzz_targets"))? {
        if let Some(name) = entry?.file_name().to_string_lossy().strip_suffix(".rs") {
            names.push(name.to_string());
        }
    }
    names.sort();
    if let Some(wanted) = arguments.get(1..).filter(|wanted| !wanted.is_empty()) {
        if let Some(unknown) = wanted.iter().find(|name| !names.contains(name)) {
            return fail(format!("there is no fuzz target '{unknown}'"));
        }
        names.retain(|name| wanted.contains(name));
    }
    setup::ensure()?;
    let limit = match seconds {
        0 => "-runs=0".to_string(),
        seconds => format!("-max_total_time={seconds}"),
    };
    let path = std::env::join_paths(
        std::iter::once(cargo_tool("cargo-fuzz", &Pins::read()?.cargo_fuzz.version)?).chain(
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()),
        ),
    )?;
    for name in names {
        // New inputs go to a folder of their own; the kept corpus is only read.
        let found = work_folder("fuzz-found")?.join(&name);
        fresh_folder(&found)?;
        let mut command = cargo();
        command
            .current_dir(&root)
            .env("PATH", &path)
            .env("RUSTC_BOOTSTRAP", "1");
        command
            .args(["fuzz", "run", "--sanitizer", "none", &name])
            .arg(&found)
            .arg(format!("fuzz/corpus/{name}"));
        command.args([
            "--",
            &limit,
            "-timeout=10",
            "-verbosity=0",
            "-print_final_stats=1",
        ]);
        timed(&format!("fuzz: {name}, {seconds} s"), &mut command)?;
    }
    Ok(())
}

/// The folder of a program from crates.io, which is installed where it is missing.
pub fn cargo_tool(name: &str, version: &str) -> Result<PathBuf> {
    if let Some(folder) = find_program(name).and_then(|program| program.parent().map(PathBuf::from))
    {
        return Ok(folder);
    }
    let folder = workspace::tools().join("cargo");
    let program = folder.join("bin").join(name);
    if !program.exists() {
        let mut command: Command = cargo();
        command
            .args([
                "install",
                "--locked",
                "--quiet",
                name,
                "--version",
                version,
                "--root",
            ])
            .arg(&folder);
        timed(&format!("cargo install {name} {version}"), &mut command)?;
        run(Command::new(program).arg("--version"))?;
    }
    Ok(folder.join("bin"))
}
