//! Link arguments that Cargo has no key for.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The interpreter exports the Lua API to the modules it loads.
    println!("cargo:rustc-link-arg-bins=-rdynamic");
    // Closing a state unloads its C modules, but code of ours may still be on
    // the stack then (an uncaught error ends the process by closing the state).
    if std::env::var_os("CARGO_FEATURE_MODULE").is_some() {
        println!("cargo:rustc-link-arg=-Wl,-z,nodelete");
    }
}
