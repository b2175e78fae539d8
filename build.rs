//! Strips the Lua source that goes into the binary, and passes link arguments
//! that Cargo has no key for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[path = "src/lua/strip.rs"]
mod strip;
#[cfg(feature = "ssl")]
#[path = "src/tls/build.rs"]
mod tls;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Lua files may come and go anywhere in it.
    println!("cargo:rerun-if-changed=src");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let mut found = BTreeMap::new();
    if let Err(error) = strip::collect(Path::new("src"), &mut found) {
        panic!("{error}");
    }
    for (name, path) in found {
        let source = std::fs::read_to_string(&path).expect("Lua source");
        std::fs::write(out.join(name), strip::strip(&source)).expect("room for stripped source");
    }
    #[cfg(feature = "ssl")]
    if let Err(error) = tls::build(&out) {
        println!("cargo:warning={error}");
        panic!("eco.ssl cannot be built: {error}");
    }
    // The interpreter exports the Lua API to the modules it loads.
    println!("cargo:rustc-link-arg-bins=-rdynamic");
    // Closing a state unloads its C modules, but code of ours may still be on
    // the stack then (an uncaught error ends the process by closing the state).
    if std::env::var_os("CARGO_FEATURE_MODULE").is_some() {
        println!("cargo:rustc-link-arg=-Wl,-z,nodelete");
    }
}
