//! Packs the Lua source that goes into the binary, and passes link arguments
//! that Cargo has no key for.

use std::path::{Path, PathBuf};

#[path = "src/lua/model.rs"]
mod model;
#[path = "src/lua/pack.rs"]
mod pack;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Lua files may come and go anywhere in it.
    println!("cargo:rerun-if-changed=src");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    pack_folder(Path::new("src"), &out);
    // The interpreter exports the Lua API to the modules it loads.
    println!("cargo:rustc-link-arg-bins=-rdynamic");
    // Closing a state unloads its C modules, but code of ours may still be on
    // the stack then (an uncaught error ends the process by closing the state).
    if std::env::var_os("CARGO_FEATURE_MODULE").is_some() {
        println!("cargo:rustc-link-arg=-Wl,-z,nodelete");
    }
}

/// Writes the packed form of every Lua file below `folder` to `out`, under its own name.
fn pack_folder(folder: &Path, out: &Path) {
    for entry in std::fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("a source file").path();
        if path.is_dir() {
            pack_folder(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "lua") {
            let source = std::fs::read_to_string(&path).expect("Lua source");
            let name = path.file_name().expect("a file name");
            std::fs::write(out.join(name), pack::pack(&pack::strip(&source)))
                .expect("room for packed source");
        }
    }
}
