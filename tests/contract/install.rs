//! What `make host` builds is installed where the interpreter and the stock `lua5.4` find it.

use crate::support::{modules_folder, skip, workspace, Scratch};
use std::path::Path;
use std::process::{Command, Output};

fn make(words: &[&str], root: &Path) -> Output {
    Command::new("make")
        .current_dir(workspace())
        .env_remove("MAKEFLAGS")
        .arg("--no-print-directory")
        .args(words)
        .arg(format!("DESTDIR={}", root.display()))
        .output()
        .expect("make")
}

fn said(command: &mut Command) -> String {
    let output = command.output().expect("a program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn files_are_where_both_hosts_look() {
    let built = workspace().join("target/dist/host/bin/eco");
    if std::env::var_os("ECO_BIN").is_some() || !built.exists() || !modules_folder().exists() {
        skip(
            "make install",
            "`make host` has built nothing for this test",
        );
        return;
    }
    let scratch = Scratch::new();
    let made = make(&["install"], &scratch.0);
    assert!(made.status.success(), "{made:?}");
    let root = scratch.0.join("usr/local");

    // Of all places, the interpreter finds its own neighbours.
    let script =
        "print(package.searchpath('eco.socket', package.cpath), require 'eco.socket' ~= nil)";
    let mut eco = Command::new(root.join("bin/eco"));
    eco.env_remove("LUA_CPATH").env_remove("LUA_CPATH_5_4");
    let expected = root.join("lib/lua/5.4/eco/socket.so");
    let found = said(eco.args(["-e", script]));
    assert_eq!(found, format!("{}\ttrue\n", expected.display()));

    // The stock one looks in such a folder by itself.
    let mut stock = Command::new("lua5.4");
    stock.env_remove("LUA_CPATH").env_remove("LUA_CPATH_5_4");
    let path = said(stock.args(["-e", "print(package.cpath)"]));
    assert!(path.contains("/usr/local/lib/lua/5.4/?.so"), "{path}");
    let mut stock = Command::new("lua5.4");
    stock.env("LUA_CPATH", root.join("lib/lua/5.4/?.so"));
    let loaded = said(stock.args([
        "-l",
        "eco",
        "-e",
        "print(eco.VERSION, require 'eco.http.url' ~= nil)",
    ]));
    assert_eq!(loaded, "5.0.0\ttrue\n");

    assert!(root.join("share/lua-eco/types/eco/eco.lua").exists());
    let lunet = std::fs::read_to_string(root.join("bin/lunet")).expect("a program");
    assert!(lunet.starts_with("#!/usr/local/bin/eco\n"), "{lunet}");

    let made = make(&["uninstall"], &scratch.0);
    assert!(made.status.success(), "{made:?}");
    let left = said(Command::new("find").arg(&scratch.0).args(["-type", "f"]));
    assert_eq!(left, "");
}

#[test]
fn a_package_for_debian_is_whole() {
    let built = workspace().join("target/dist/host");
    if std::env::var_os("ECO_BIN").is_some() || !built.join("bin/eco").exists() {
        skip("make deb", "`make host` has built nothing for this test");
        return;
    }
    let scratch = Scratch::new();
    let place = |name: &str| scratch.0.join(name).display().to_string();
    let made = make(
        &[
            "deb",
            &format!("HOST={}", built.display()),
            &format!("DEB={}", place("deb")),
            &format!("DIST={}", place("")),
        ],
        Path::new(""),
    );
    assert!(made.status.success(), "{made:?}");
    let mut found = std::fs::read_dir(&scratch.0).expect("a folder");
    let package = found
        .find_map(|entry| {
            let path = entry.expect("an entry").path();
            path.extension()
                .is_some_and(|is| is == "deb")
                .then_some(path)
        })
        .expect("a package");
    let fields = said(Command::new("dpkg-deb").arg("-f").arg(&package));
    assert!(fields.contains("Version: 5.0.0-1\n"), "{fields}");
    let root = scratch.0.join("root");
    said(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&root));
    let mut eco = Command::new(root.join("usr/bin/eco"));
    assert_eq!(
        said(eco.args(["-e", "print(require 'eco.socket' ~= nil)"])),
        "true\n"
    );
    assert!(root.join("usr/lib/lua/5.4/eco.so").exists());
}

#[test]
fn what_is_missing_is_named() {
    let scratch = Scratch::new();
    let without = |present: &[&str]| {
        let folder = scratch.0.join(present.len().to_string());
        std::fs::create_dir(&folder).expect("a folder");
        for name in present {
            let link = folder.join(name);
            std::os::unix::fs::symlink("/bin/true", link).expect("a link");
        }
        let shell = "/bin/sh";
        let output = Command::new("/usr/bin/make")
            .current_dir(workspace())
            .env_clear()
            .env("PATH", &folder)
            .args(["--no-print-directory", &format!("SHELL={shell}"), "host"])
            .output()
            .expect("make");
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let neither = without(&[]);
    assert!(neither.contains("missing: cargo (Rust 1.89 or later: https://rustup.rs), a C compiler (Debian: apt-get install gcc libc6-dev)"), "{neither}");
    let no_compiler = without(&["cargo"]);
    assert!(
        no_compiler.contains("missing: a C compiler"),
        "{no_compiler}"
    );
}
