//! Every function, method, constant and option of the real tables is in the documents and in the annotations.

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
        let is_other = [
            "abi.md",
            "dependencies.md",
            "differences.md",
            "editor.md",
            "weight.md",
        ];
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

/// Sources that name the options their functions take, with the pages and annotations that tell of them. What a
/// function hands on to TLS is told there.
const OPTIONS: &[(&str, &[&str], &[&str])] = &[
    ("bufio/bufio.lua", &["bufio"], &["bufio"]),
    (
        "database/database.lua",
        &["mysql", "postgres"],
        &["mysql", "postgres"],
    ),
    ("dns/dns.lua", &["dns"], &["dns"]),
    ("hash/argon2.rs", &["hash"], &["hash/argon2"]),
    (
        "http/client/client.lua",
        &["http-client", "ssl"],
        &["http/client", "ssl"],
    ),
    (
        "http/server/driver.lua",
        &["http-server", "ssl"],
        &["http/server", "ssl"],
    ),
    ("mqtt/mqtt.lua", &["mqtt", "ssl"], &["mqtt", "ssl"]),
    ("net/net.lua", &["net"], &["net"]),
    ("socket/helpers.lua", &["socket"], &["socket"]),
    ("sqlite3/sqlite3.lua", &["sqlite3"], &["sqlite3"]),
    ("ssh/ssh.lua", &["ssh"], &["ssh"]),
    ("ssl/ssl.lua", &["ssl"], &["ssl"]),
    ("sys/sys.lua", &["sys"], &["sys"]),
    ("thread/handle.rs", &["thread"], &["thread"]),
    ("thread/thread.lua", &["thread"], &["thread"]),
    (
        "websocket/websocket.lua",
        &["websocket", "ssl"],
        &["websocket", "ssl"],
    ),
];

/// Words of a text.
fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
}

/// The names of options in a source: quoted where they are checked, or listed for that.
fn options_of(source: &str) -> BTreeSet<&str> {
    let lists = ["local KNOWN =", "local GENERAL =", "local LISTENER ="];
    // Those of eco.mqtt are in a table, by the type of their values.
    let kinds = ["string = '", "boolean = '", "table = '"];
    let mut found = BTreeSet::new();
    let mut goes_on = false;
    for line in source.lines() {
        let line = line.trim();
        let lists_some = lists.iter().any(|list| line.starts_with(list))
            || goes_on && line.starts_with("..")
            || kinds.iter().any(|kind| line.starts_with(kind))
            || line.contains("_options(");
        goes_on = lists_some;
        if lists_some {
            let quote = if line.contains("expect_options(") {
                '"'
            } else {
                '\''
            };
            found.extend(line.split(quote).skip(1).step_by(2).flat_map(words_of));
        }
    }
    found
}

#[test]
fn every_option_is_documented_and_annotated() {
    let mut missing = Vec::new();
    let mut count = 0;
    for &(source, pages, annotations) in OPTIONS {
        let read = |path: String| std::fs::read_to_string(workspace().join(path)).expect("a file");
        let text = read(format!("src/modules/{source}"));
        let options = options_of(&text);
        assert!(options.len() > 2, "{source}: {options:?}");
        count += options.len();
        for (names, folder, kind) in [(pages, "docs", "md"), (annotations, "lua/types/eco", "lua")]
        {
            let text: String = names
                .iter()
                .map(|name| read(format!("{folder}/{name}.{kind}")))
                .collect();
            let known: BTreeSet<&str> = words_of(&text).collect();
            let unknown = options.iter().filter(|name| !known.contains(*name));
            // That one is between modules of ours.
            missing.extend(
                unknown
                    .filter(|name| **name != "lunet")
                    .map(|name| format!("{folder}: {source}: {name}")),
            );
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(count > 200, "{count}");
}

#[test]
fn every_source_that_checks_options_is_looked_at() {
    fn look(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                look(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a text");
            if text.contains("eco._options(")
                || text.contains("'eco'._options")
                || text.contains("expect_options(")
            {
                found.insert(path.to_string_lossy().into_owned());
            }
        }
    }
    let root = workspace().join("src/modules");
    let mut found = BTreeSet::new();
    look(&root, &mut found);
    let listed = OPTIONS
        .iter()
        .map(|(source, ..)| root.join(source).to_string_lossy().into_owned());
    assert_eq!(found, listed.collect());
}
