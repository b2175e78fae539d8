//! Which compiler builds what, and with which flags: shipped builds rebuild std for size where its sources are at hand.

use crate::run::{fail, output, read_text, Result};
use crate::target::{Fixed, Target};
use crate::{link, workspace};
use serde::Deserialize;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The pinned versions (`targets/toolchain.toml`).
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pins {
    /// The compiler whose std is rebuilt.
    pub compiler: CompilerPin,
    /// Linker and C compiler for routers.
    pub zig: Pin,
    /// Drives zig from cargo.
    pub cargo_zigbuild: Pin,
    /// Drives libFuzzer from cargo.
    pub cargo_fuzz: Pin,
    /// Checks Lua as editors do.
    #[serde(rename = "emmylua_check")]
    pub emmylua_check: Pin,
    /// The C library whose loader is used under emulation.
    pub musl: Pin,
    /// What apt-get installs.
    pub system: Vec<SystemPackage>,
}

/// A version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Exactly this one.
    pub version: String,
}

/// A compiler, and the packages that bring it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompilerPin {
    /// Exactly this one.
    pub version: String,
    /// Where it is installed.
    pub path: PathBuf,
    /// The linker that is called in place of zig's where it is there.
    pub linker: String,
    /// What installs it, with the sources of its std.
    pub packages: Vec<String>,
}

/// A package of the distribution, and what shows that it is there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemPackage {
    /// Its name for apt-get.
    pub package: String,
    /// A program it brings.
    pub command: Option<String>,
    /// A file it brings.
    pub file: Option<PathBuf>,
}

impl Pins {
    /// Reads the pins.
    pub fn read() -> Result<Pins> {
        let file = workspace::root().join("targets/toolchain.toml");
        toml::from_str(&read_text(&file)?)
            .map_err(|error| format!("{}: {error}", file.display()).into())
    }
}

/// A Rust compiler for shipped builds.
pub struct Compiler {
    /// The program.
    pub rustc: PathBuf,
    /// Whether std can be rebuilt with it.
    pub rebuilds_std: bool,
}

impl Compiler {
    /// The pinned compiler with its std sources; else the user's own with its sources; else the user's own without.
    /// With `ECO_STD=prebuilt` in the environment, the last.
    pub fn choose() -> Result<Compiler> {
        Compiler::choose_telling(true)
    }

    /// The same for what may be larger: nothing is said of that.
    pub fn choose_quietly() -> Result<Compiler> {
        Compiler::choose_telling(false)
    }

    fn choose_telling(tells: bool) -> Result<Compiler> {
        let note = |text: &str| {
            if tells {
                eprintln!("{text}");
            }
        };
        let pins = Pins::read()?;
        let own = own_rustc();
        if wants_prebuilt(std::env::var_os("ECO_STD"))? {
            note("note: ECO_STD=prebuilt: every module is larger.");
        } else {
            if is_version(&pins.compiler.path, &pins.compiler.version)
                && has_std_sources(&pins.compiler.path)
            {
                return Ok(Compiler {
                    rustc: pins.compiler.path,
                    rebuilds_std: true,
                });
            }
            if has_std_sources(&own) && knows_immediate_abort(&own) {
                return Ok(Compiler {
                    rustc: own,
                    rebuilds_std: true,
                });
            }
            note("note: the sources of Rust's std are not at hand, so its prebuilt form is linked and every module is larger.");
            note("      To rebuild std for size: cargo xtask setup, or rustup component add rust-src.");
        }
        Ok(Compiler {
            rustc: own,
            rebuilds_std: false,
        })
    }

    /// The triple of this machine.
    pub fn host_triple(&self) -> Result<String> {
        let text = output(Command::new(&self.rustc).arg("-vV"))?;
        match text.lines().find_map(|line| line.strip_prefix("host: ")) {
            Some(triple) => Ok(triple.to_string()),
            None => fail(format!("{} does not tell its host", self.rustc.display())),
        }
    }

    /// A cargo command for this machine, up to the subcommand.
    pub fn host_cargo(&self, subcommand: &str) -> Command {
        let mut command = clean(cargo());
        self.finish(&mut command, subcommand, "panic_abort", &[]);
        command
    }

    /// A cargo command that builds for a router, up to the subcommand.
    pub fn cross_cargo(&self, target: &Target, subcommand: &str, link: Link) -> Result<Command> {
        self.check_std(target)?;
        let fixed = match link {
            Link::Module => None,
            _ if wants_pie(std::env::var_os("ECO_PROGRAM"))? => None,
            _ => target.fixed.as_ref(),
        };
        let mut command = zig_cargo(target, self.rebuilds_std, fixed)?;
        let mut flags = router_flags(target, link);
        if self.rebuilds_std && link == Link::Static {
            // Left to the linker, so that one build of std serves both.
            flags = router_flags(target, Link::Program);
            command.env("ECO_LINK", "static");
        }
        if let Some(fixed) = fixed {
            flags.extend(fixed.rustflags.iter().cloned());
            // Its std is another one.
            command.env("CARGO_TARGET_DIR", workspace::ship_target().join("fixed"));
        }
        self.finish(&mut command, subcommand, "panic_abort", &flags);
        Ok(command)
    }

    /// A cargo command that builds tests for a router: static, and with panics that unwind, so that a test can fail.
    pub fn cross_test_cargo(&self, target: &Target, subcommand: &str) -> Result<Command> {
        self.check_std(target)?;
        let mut command = zig_cargo(target, false, None)?;
        let compiler = Compiler {
            rustc: self.rustc.clone(),
            rebuilds_std: false,
        };
        if self.rebuilds_std {
            command.arg("-Zbuild-std=std,panic_unwind,test");
        }
        compiler.finish(
            &mut command,
            subcommand,
            "panic_unwind",
            &router_flags(target, Link::Static),
        );
        Ok(command)
    }

    fn check_std(&self, target: &Target) -> Result<()> {
        if self.rebuilds_std {
            return Ok(());
        }
        let prebuilt = sysroot(&self.rustc)
            .map(|root| root.join("lib/rustlib").join(&target.triple).join("lib"));
        if prebuilt.is_some_and(|folder| folder.exists()) {
            return Ok(());
        }
        fail(format!(
            "{0} has no prebuilt std for {1}. To rebuild std, unset ECO_STD and run `cargo xtask setup` or `rustup component add rust-src`; targets other than MIPS have one: `rustup target add {1}`",
            self.rustc.display(),
            target.triple
        ))
    }

    fn finish(&self, command: &mut Command, subcommand: &str, panics: &str, flags: &[String]) {
        let mut flags = flags.to_vec();
        command
            .env("RUSTC", &self.rustc)
            .env("RUSTC_BOOTSTRAP", "1");
        if self.rebuilds_std {
            flags.extend([
                "-Zunstable-options".into(),
                "-Cpanic=immediate-abort".into(),
            ]);
            command
                .arg(format!("-Zbuild-std=std,{panics}"))
                .arg("-Zbuild-std-features=optimize_for_size");
        }
        command.env("RUSTFLAGS", flags.join(" ")).arg(subcommand);
    }
}

/// Whether the environment asks for the prebuilt std.
fn wants_prebuilt(choice: Option<OsString>) -> Result<bool> {
    match choice {
        None => Ok(false),
        Some(choice) if choice == "prebuilt" => Ok(true),
        Some(choice) => fail(format!("ECO_STD may be 'prebuilt', not {choice:?}")),
    }
}

/// Whether the environment asks for position independent programs.
fn wants_pie(choice: Option<OsString>) -> Result<bool> {
    match choice {
        None => Ok(false),
        Some(choice) if choice == "pie" => Ok(true),
        Some(choice) => fail(format!("ECO_PROGRAM may be 'pie', not {choice:?}")),
    }
}

/// What is linked for a router.
#[derive(Clone, Copy, PartialEq)]
pub enum Link {
    /// A shared object.
    Module,
    /// A program that uses the router's C library.
    Program,
    /// A program with the C library inside.
    Static,
}

/// Cargo, the one that runs us.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A command for shipped builds, rid of what the user's environment or the outer cargo says about flags.
fn clean(mut command: Command) -> Command {
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "LD_LIBRARY_PATH",
        "RUSTC_WRAPPER",
    ] {
        command.env_remove(name);
    }
    command
        .current_dir(workspace::root())
        .env("CARGO_TARGET_DIR", workspace::ship_target());
    command
}

/// Tells the crate `libc` that musl is of version 1.2 or later, where dates have 64 bits on every machine.
pub const LONG_DATES: &str = "--cfg=libc_unstable_musl_v1_2";

fn router_flags(target: &Target, link: Link) -> Vec<String> {
    let mut flags = target.rustflags.clone();
    flags.push(LONG_DATES.into());
    // The start files come from zig, not from the compiler's own folder.
    flags.push("-Clink-self-contained=no".into());
    flags.push(match link {
        Link::Module | Link::Program => "-Ctarget-feature=-crt-static".into(),
        Link::Static => "-Ctarget-feature=+crt-static".into(),
    });
    flags
}

/// Where `setup` puts zig and cargo-zigbuild.
pub fn python_tools() -> PathBuf {
    workspace::tools().join("python")
}

/// The zig program.
pub fn zig() -> PathBuf {
    python_tools().join("ziglang/zig")
}

fn zig_cargo(target: &Target, small: bool, fixed: Option<&Fixed>) -> Result<Command> {
    let driver = python_tools().join("bin/cargo-zigbuild");
    if !driver.exists() {
        return fail("cargo-zigbuild is not installed: run `cargo xtask setup`");
    }
    let mut command = clean(Command::new(&driver));
    let mut path = OsString::from(python_tools().join("bin"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let name = target.variable_name();
    let mut cflags = link::c_flags(target);
    cflags.extend(fixed.into_iter().flat_map(|fixed| fixed.cflags.clone()));
    command
        .env("PATH", path)
        .env(
            "CARGO",
            std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
        )
        .env("CARGO_ZIGBUILD_ZIG_PATH", zig())
        // It would prefer a zig that the user's Python brings, of whatever version.
        .env("CARGO_ZIGBUILD_PYTHON_PATH", "/bin/false")
        .env(format!("CFLAGS_{name}"), cflags.join(" "))
        .env(
            format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()),
            link::linker(target, small, fixed.is_some())?,
        );
    Ok(command)
}

fn own_rustc() -> PathBuf {
    std::env::var_os("RUSTC")
        .map(PathBuf::from)
        .unwrap_or_else(|| "rustc".into())
}

fn is_version(rustc: &Path, version: &str) -> bool {
    output(Command::new(rustc).arg("--version"))
        .is_ok_and(|text| text.split(' ').nth(1) == Some(version))
}

fn sysroot(rustc: &Path) -> Option<PathBuf> {
    let text = output(Command::new(rustc).args(["--print", "sysroot"])).ok()?;
    Some(PathBuf::from(text.trim()))
}

fn has_std_sources(rustc: &Path) -> bool {
    sysroot(rustc).is_some_and(|root| {
        root.join("lib/rustlib/src/rust/library/std/Cargo.toml")
            .exists()
    })
}

fn knows_immediate_abort(rustc: &Path) -> bool {
    let mut command = Command::new(rustc);
    command.env("RUSTC_BOOTSTRAP", "1").args([
        "-Zunstable-options",
        "-Cpanic=immediate-abort",
        "--print",
        "cfg",
    ]);
    output(&mut command).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mips_has_no_prebuilt_std() {
        let compiler = Compiler {
            rustc: own_rustc(),
            rebuilds_std: false,
        };
        let target = Target::read("mipsel_24kc").unwrap();
        let error = compiler
            .cross_cargo(&target, "rustc", Link::Module)
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("no prebuilt std for mipsel-unknown-linux-musl"),
            "{error}"
        );
    }

    #[test]
    fn the_choice_of_std_is_checked() {
        assert!(!wants_prebuilt(None).unwrap());
        assert!(wants_prebuilt(Some("prebuilt".into())).unwrap());
        assert!(wants_prebuilt(Some("Prebuilt".into())).is_err());
    }

    #[test]
    fn the_choice_of_programs_is_checked() {
        assert!(!wants_pie(None).unwrap());
        assert!(wants_pie(Some("pie".into())).unwrap());
        assert!(wants_pie(Some("PIE".into())).is_err());
    }
}
