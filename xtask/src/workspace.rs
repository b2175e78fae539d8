//! Where things are: every path that more than one job uses.

use std::path::PathBuf;

/// The repository's top folder.
pub fn root() -> PathBuf {
    // Cargo sets the variable at run time, too; the program may have been built from another clone.
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let manifest = PathBuf::from(manifest);
    manifest.parent().map(PathBuf::from).unwrap_or(manifest)
}

/// Where finished artefacts go.
pub fn dist() -> PathBuf {
    root().join("target/dist")
}

/// Where tools that `setup` fetches or builds are kept.
pub fn tools() -> PathBuf {
    root().join("target/tools")
}

/// Where feed keys are kept when nobody names one.
pub fn keys() -> PathBuf {
    root().join("target/keys")
}

/// Cargo's output folder for work with the user's own compiler.
pub fn cargo_target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// Cargo's output folder for shipped artefacts: another compiler may build them.
pub fn ship_target() -> PathBuf {
    cargo_target().join("ship")
}

/// The version of every crate and package here.
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The time stamp of everything packed, in seconds since 1970: the same sources give the same bytes.
pub fn source_date() -> u64 {
    if let Some(epoch) = std::env::var("SOURCE_DATE_EPOCH")
        .ok()
        .and_then(|text| text.parse().ok())
    {
        return epoch;
    }
    let git = std::process::Command::new("git")
        .args(["log", "-1", "--format=%ct"])
        .current_dir(root())
        .output();
    let text = git
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.trim().parse().unwrap_or(1)
}
