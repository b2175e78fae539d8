//! Builds every artefact of the package list, for this machine and for routers.

use crate::run::{copy, fail, folder_for, fresh_folder, run, step, write, Arguments, Result, Sign};
use crate::stage;
use crate::table::{relative_link, Library, Table};
use crate::target::Target;
use crate::toolchain::{Compiler, Link};
use crate::{setup, workspace};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// `cargo xtask host`
pub fn host_command(arguments: &[String]) -> Result<()> {
    Arguments::parse(arguments, &[])?;
    // A C compiler has linked us, and nothing else is needed.
    host()
}

/// `cargo xtask build --arch ARCH`
pub fn arch_command(arguments: &[String]) -> Result<()> {
    let arguments = Arguments::parse(arguments, &["arch"])?;
    let target = Target::read(arguments.required("arch")?)?;
    setup::ensure()?;
    arch(&target)
}

/// Builds for this machine, for speed.
pub fn host() -> Result<()> {
    let table = Table::read()?;
    let compiler = Compiler::choose_quietly()?;
    let triple = compiler.host_triple()?;
    let dist = workspace::dist().join("host");
    // Nothing of what has gone stays.
    fresh_folder(&dist.join("lib"))?;
    // A bundle is for routers: here all of its modules are.
    for mut artefact in artefacts(&table, false) {
        if let Kind::Program { .. } = artefact.kind {
            // Here is a keyboard.
            artefact.features.push_str(",console");
        }
        let destination = match &artefact.kind {
            Kind::Module { file } => dist.join("lib/lua/5.4").join(file),
            Kind::Program { path } => dist.join("bin").join(file_name(path)),
        };
        let command = compiler.host_cargo(CARGO_RUSTC);
        artefact.build("host", command, &triple, "fast", &destination)?;
    }
    for (_, module) in table.modules() {
        for alias in module.aliases() {
            let text = relative_link(&format!("/{alias}"), &format!("/{}", module.file));
            stage::make_link(&dist.join("lib/lua/5.4").join(alias), &text)?;
        }
    }
    Ok(())
}

/// Builds for a router, for size: its part of the file system, and the static program.
pub fn arch(target: &Target) -> Result<()> {
    let table = Table::read()?;
    let compiler = Compiler::choose()?;
    let dist = workspace::dist().join(&target.arch);
    fresh_folder(&dist.join("root"))?;
    for artefact in artefacts(&table, true) {
        let path = match &artefact.kind {
            Kind::Module { file } => format!("{}/{file}", table.directory),
            Kind::Program { path } => path.clone(),
        };
        let link = match artefact.kind {
            Kind::Module { .. } => Link::Module,
            Kind::Program { .. } => Link::Program,
        };
        let command = compiler.cross_cargo(target, CARGO_RUSTC, link)?;
        artefact.build(
            &target.arch,
            command,
            &target.triple,
            "release",
            &stage::below(&dist.join("root"), &path),
        )?;
    }
    for package in &table.packages {
        stage::complete(&table, package, &dist.join("root"))?;
    }
    let everything = Artefact {
        kind: Kind::Program {
            path: "eco-static".into(),
        },
        features: "interpreter,all".into(),
    };
    let command = compiler.cross_cargo(target, CARGO_RUSTC, Link::Static)?;
    everything.build(
        &target.arch,
        command,
        &target.triple,
        "release",
        &dist.join("eco-static"),
    )
}

/// The feature of an interpreter that uses the system's Lua library.
pub const SHARED_LUA: &str = "shared-lua";

/// Tells the build of the Lua bindings the name of that library, so that pkg-config is not asked.
pub fn name_shared_lua(command: &mut Command) {
    command.env("LUA_LIB_NAME", "lua5.4");
}

/// Builds the interpreter for this machine with the system's Lua library, and returns where it is.
pub fn host_shared_lua() -> Result<PathBuf> {
    let compiler = Compiler::choose()?;
    let triple = compiler.host_triple()?;
    // Beside the other one, so that it finds the same modules.
    let destination = workspace::dist().join("host/bin/eco-shared");
    let artefact = Artefact {
        kind: Kind::Program {
            path: "eco-shared".into(),
        },
        features: SHARED_LUA.into(),
    };
    let mut command = compiler.host_cargo(CARGO_RUSTC);
    name_shared_lua(&mut command);
    artefact.build("host", command, &triple, "fast", &destination)?;
    Ok(destination)
}

/// Builds, for this machine, TLS by the system's Mbed TLS, and returns a folder that has it beside the other modules.
pub fn host_system_tls() -> Result<PathBuf> {
    let table = Table::read()?;
    let compiler = Compiler::choose_quietly()?;
    let triple = compiler.host_triple()?;
    let dist = workspace::dist().join("host");
    let folder = dist.join("system-tls");
    fresh_folder(&folder)?;
    for (_, module) in table.modules() {
        if module.bundled {
            continue;
        }
        let destination = folder.join(&module.file);
        if module.features != ["ssl"] {
            copy(&dist.join("lib/lua/5.4").join(&module.file), &destination)?;
            continue;
        }
        let artefact = Artefact {
            kind: Kind::Module {
                // Kept beside the one of that name.
                file: "system-tls".into(),
            },
            features: "module,ssl-system".into(),
        };
        let command = compiler.host_cargo(CARGO_RUSTC);
        artefact.build("host", command, &triple, "fast", &destination)?;
    }
    Ok(folder)
}

/// Builds, for size, what the least use of a library needs on a router, and returns the file.
pub fn consumer(target: &Target, library: &Library) -> Result<PathBuf> {
    let destination = workspace::dist().join(format!("{}/{}.so", target.arch, library.name));
    let built = format!("examples/lib{}.so", library.consumer);
    let job = Job {
        package: &library.name,
        name: &library.name,
        features: "",
        what: &["--example", &library.consumer],
        built: &built,
    };
    let command = Compiler::choose()?.cross_cargo(target, CARGO_RUSTC, Link::Module)?;
    job.run(
        &target.arch,
        command,
        &target.triple,
        "release",
        &destination,
    )?;
    Ok(destination)
}

/// Unlike `cargo build` it can leave out the crate's other library type, without which nothing is optimised across crates.
const CARGO_RUSTC: &str = "rustc";

/// One file that one run of cargo makes.
struct Artefact {
    kind: Kind,
    features: String,
}

enum Kind {
    Module { file: String },
    Program { path: String },
}

/// What the package list asks for, modules first, with bundles of them or without.
fn artefacts(table: &Table, bundles: bool) -> Vec<Artefact> {
    let modules = table.modules().map(|(_, module)| module);
    let modules = modules.filter(|module| bundles || !module.bundled);
    let modules = modules.map(|module| Artefact {
        kind: Kind::Module {
            file: module.file.clone(),
        },
        features: module.feature_list(),
    });
    let programs = table
        .packages
        .iter()
        .filter_map(|package| package.program.as_ref())
        .map(|program| Artefact {
            kind: Kind::Program {
                path: program.path.clone(),
            },
            features: program.features.join(","),
        });
    modules.chain(programs).collect()
}

impl Artefact {
    fn name(&self) -> &str {
        match &self.kind {
            Kind::Module { file } => file,
            Kind::Program { path } => file_name(path),
        }
    }

    /// Builds it and puts it at `destination`.
    fn build(
        &self,
        place: &str,
        command: Command,
        triple: &str,
        profile: &str,
        destination: &Path,
    ) -> Result<()> {
        let (what, built): (&[&str], &str) = match self.kind {
            Kind::Module { .. } => (&["--lib", "--crate-type", "cdylib"], "liblua_eco.so"),
            Kind::Program { .. } => (&["--bin", "eco"], "eco"),
        };
        let job = Job {
            package: "lua-eco",
            name: self.name(),
            features: &self.features,
            what,
            built,
        };
        job.run(place, command, triple, profile, destination)
    }
}

/// One run of cargo that makes one file.
struct Job<'a> {
    package: &'a str,
    name: &'a str,
    features: &'a str,
    /// The arguments that choose it from the package.
    what: &'a [&'a str],
    /// Where cargo puts it, below the folder of the profile.
    built: &'a str,
}

impl Job<'_> {
    /// Runs cargo unless the same inputs have been built before, and puts the result at `destination`.
    fn run(
        &self,
        place: &str,
        mut command: Command,
        triple: &str,
        profile: &str,
        destination: &Path,
    ) -> Result<()> {
        command.args([
            "--package",
            self.package,
            "--profile",
            profile,
            "--target",
            triple,
        ]);
        command.args(["--no-default-features", "--features", self.features]);
        command.args(self.what);
        let target_folder = command
            .get_envs()
            .find_map(|(name, value)| value.filter(|_| name == "CARGO_TARGET_DIR"))
            .map_or_else(workspace::ship_target, PathBuf::from);
        let folder = target_folder.join(triple).join(profile);
        let key = input_key(&command)?;
        let kept_folder = workspace::ship_target().join("kept").join(place);
        let kept = kept_folder.join(self.name.replace('/', "-"));
        let key_file = kept_folder.join(format!("{}.key", self.name.replace('/', "-")));
        if kept.exists() && std::fs::read_to_string(&key_file).is_ok_and(|old| old == key) {
            return copy(&kept, destination);
        }
        step(format!("{place}: {} {}", self.name, self.features).trim_end());
        let start = Instant::now();
        // All modules share one output name, so cargo would take another's file for this one's.
        for stale in [
            folder.join(self.built),
            folder.join("deps").join(self.built),
        ] {
            let _ = std::fs::remove_file(stale);
        }
        forget_lua(&command, &folder)?;
        command.env("CARGO_TERM_PROGRESS_WHEN", "never");
        let sign = Sign::new();
        run(&mut command)?;
        drop(sign);
        let made = folder.join(self.built);
        if !made.exists() {
            return fail(format!("cargo did not make {}", made.display()));
        }
        copy(&made, &kept)?;
        write(&key_file, &key)?;
        copy(&made, destination)?;
        let bytes = made.metadata()?.len();
        println!(
            "    {:.1} KB in {:.1} s",
            bytes as f64 / 1000.0,
            start.elapsed().as_secs_f32()
        );
        Ok(())
    }
}

/// Has Lua compiled anew when the flags of the C compiler have changed, which cargo does not notice.
fn forget_lua(command: &Command, folder: &Path) -> Result<()> {
    let flags = command
        .get_envs()
        .filter(|(name, _)| name.to_string_lossy().starts_with("CFLAGS"));
    let flags = format!("{:?}", flags.collect::<Vec<_>>());
    let stamp = folder.join("cflags");
    if std::fs::read_to_string(&stamp).is_ok_and(|old| old == flags) {
        return Ok(());
    }
    for kept in ["build", ".fingerprint"] {
        for entry in std::fs::read_dir(folder.join(kept)).into_iter().flatten() {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("mlua-sys-") {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
    }
    write(&stamp, flags)
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A digest of everything an artefact depends on: the sources, and the command with its environment.
fn input_key(command: &Command) -> Result<String> {
    let root = workspace::root();
    let mut files = vec![
        root.join("Cargo.toml"),
        root.join("Cargo.lock"),
        root.join("build.rs"),
        root.join(".cargo/config.toml"),
        root.join("targets/toolchain.toml"),
        root.join("targets/long-double-math.h"),
    ];
    for folder in ["src", "lua", "uci", "ubus"] {
        list_files(&root.join(folder), &mut files)?;
    }
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        digest.update(file.to_string_lossy().as_bytes());
        digest.update(std::fs::read(&file).unwrap_or_default());
        digest.update([0]);
    }
    for argument in command.get_args() {
        digest.update(argument.to_string_lossy().as_bytes());
        digest.update([0]);
    }
    for (name, value) in command.get_envs() {
        if name != "PATH" {
            digest.update(format!("{name:?}={value:?}\n"));
        }
        // A linker is a script of ours: its text counts, and that of what it passes on.
        if let Some(value) = value.filter(|_| name.to_string_lossy().ends_with("_LINKER")) {
            let script = std::fs::read_to_string(value).unwrap_or_default();
            for file in script.split("-Wl,-T,").skip(1) {
                let file = file.split('\'').next().unwrap_or_default();
                digest.update(std::fs::read(file).unwrap_or_default());
            }
            digest.update(script);
        }
    }
    Ok(hex(&digest.finalize()))
}

fn list_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list_files(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes the folder where a job keeps what it makes in passing, and returns it.
pub fn work_folder(name: &str) -> Result<PathBuf> {
    let folder = workspace::cargo_target().join(name);
    folder_for(&folder)?;
    Ok(folder)
}
