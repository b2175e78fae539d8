//! Router architectures: one file each in `targets/`.

use crate::run::{fail, read_text, Result};
use crate::workspace;
use serde::Deserialize;

/// An architecture we build for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// OpenWrt's name for it.
    pub arch: String,
    /// Rust's name for it.
    pub triple: String,
    /// zig's name for it.
    pub zig: String,
    /// The emulator that runs its programs here.
    pub qemu: String,
    /// The processor that the emulator plays; its own choice when absent.
    pub qemu_cpu: Option<String>,
    /// The file name of the C library's loader.
    pub loader: String,
    /// More flags for the Rust compiler.
    pub rustflags: Vec<String>,
    /// More flags for the C compiler; `@ROOT@` in them is this repository.
    pub cflags: Vec<String>,
    /// More options for the linker, where LLD is there to take them.
    #[serde(default)]
    pub linkflags: Vec<String>,
    /// What builds programs that are not position independent, where that is the custom.
    pub fixed: Option<Fixed>,
}

/// More flags for programs that are loaded at one address.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    /// For the Rust compiler.
    pub rustflags: Vec<String>,
    /// For the C compiler.
    pub cflags: Vec<String>,
}

impl Target {
    /// Reads the file of one architecture.
    pub fn read(arch: &str) -> Result<Target> {
        let known = names()?;
        if !known.iter().any(|name| name == arch) {
            return fail(format!(
                "no architecture '{arch}'; there are: {}",
                known.join(", ")
            ));
        }
        let file = workspace::root().join(format!("targets/{arch}.toml"));
        let target: Target = toml::from_str(&read_text(&file)?)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        if target.arch != arch {
            return fail(format!("{} says arch = {:?}", file.display(), target.arch));
        }
        Ok(target)
    }

    /// The triple as it stands in the names of environment variables.
    pub fn variable_name(&self) -> String {
        self.triple.replace('-', "_")
    }
}

/// The names of all architectures.
pub fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(workspace::root().join("targets"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(arch) = name
            .strip_suffix(".toml")
            .filter(|arch| *arch != "toolchain")
        {
            names.push(arch.to_string());
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_file_is_read() {
        let names = names().unwrap();
        assert!(names.len() >= 7);
        for name in names {
            Target::read(&name).unwrap();
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = Target::read("pdp11").err().unwrap().to_string();
        assert!(error.contains("mipsel_24kc"), "{error}");
    }
}
