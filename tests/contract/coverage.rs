//! Every function, method and constant of the real tables is in the documents and in the annotations.

use crate::support::{emulated, interpreter, module_path, sanitized, skip, workspace};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// What is nobody's to call: kinds of objects that modules keep to themselves, and names of theirs in others.
const INNER_KINDS: &[&str] = &[
    "eco_ssl_context",
    "eco_ssl_session",
    "eco_socket",
    "http_link",
];
const INNER_NAMES: &[&str] = &[
    "guard",
    "getoption",
    "execute",
    "interrupt",
    "sweep",
    "fetch",
    "drop",
    "tidy",
    "leave",
    "labelled",
    "forget_kept",
    "statement_of",
    "await_recv",
    "await_send",
    "knows",
];

/// The modules of the package list that a script may name.
fn modules() -> Vec<String> {
    let list =
        std::fs::read_to_string(workspace().join("package/packages.toml")).expect("the list");
    let lines = list.lines().filter_map(|line| line.strip_prefix("lua = ["));
    let names = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
    // The others are older names of parts of these.
    let is_outer = |name: &&str| !name.contains("internal") && !name.starts_with("eco.core.");
    names.filter(is_outer).map(str::to_owned).collect()
}

/// The words of all files below a folder, but for those that describe no module.
fn words(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            words(&path, found);
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_other = ["abi.md", "dependencies.md", "differences.md", "weight.md"];
        if is_other.contains(&name.as_ref()) || name.ends_with(".svg") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a text");
        let is_between = |letter: char| !letter.is_alphanumeric() && letter != '_';
        found.extend(text.split(is_between).map(str::to_owned));
    }
}

#[test]
fn every_name_is_documented_and_annotated() {
    if emulated() || sanitized() {
        skip("names", "they are the same on every machine");
        return;
    }
    let program = interpreter();
    let output = Command::new(&program[0])
        .args(&program[1..])
        .arg(workspace().join("tests/lua/names.lua"))
        .args(modules())
        .env("LUA_CPATH", format!("{};;", module_path()))
        .output()
        .expect("the interpreter");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut counts = [0; 3];
    let mut missing = Vec::new();
    for (what, folder) in [("documents", "docs"), ("annotations", "lua/types")] {
        let mut known = BTreeSet::new();
        words(&workspace().join(folder), &mut known);
        for line in listed.lines() {
            let row: Vec<&str> = line.split(' ').collect();
            let [module, kind, name] = row[..] else {
                panic!("{line:?}");
            };
            if INNER_KINDS.contains(&module) || INNER_NAMES.contains(&name) {
                continue;
            }
            let kinds = ["function", "method", "constant"];
            counts[kinds
                .iter()
                .position(|known| *known == kind)
                .expect("a kind")] += 1;
            if !known.contains(name) {
                missing.push(format!("{what}: {line}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    // The list is one of everything.
    let [functions, methods, constants] = counts;
    assert!(
        functions > 300 && methods > 300 && constants > 1500,
        "{counts:?}"
    );
}
