//! Checks `package/lua-eco/Makefile` against the package list: GNU make runs it with stand-ins for the buildroot's
//! includes and for cargo, and every package must come out with the files, links and dependencies that the list says,
//! whether or not the menu asks for the shared Lua library.

use crate::run::{output, read_text};
use crate::stage::{below, entries, EntryKind};
use crate::table::Table;
use crate::target::Target;
use crate::toolchain::LONG_DATES;
use crate::{build, workspace};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything below a folder, as absolute router paths, sorted.
fn files(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), &path, found);
        } else {
            found.push(path);
        }
    }
    found.sort();
}

/// A folder for one test, removed when dropped.
struct Work(PathBuf);

impl Drop for Work {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The menu's symbol for an interpreter without a Lua of its own.
const SHARED_LUA: &str = "LUA_ECO_SHARED_LUA";

#[test]
fn the_buildroot_makefile_builds_what_the_list_says() {
    expand(false);
}

#[test]
fn the_menu_offers_the_shared_lua_library() {
    expand(true);
}

fn expand(shared_lua: bool) {
    let table = Table::read().unwrap();
    let root = workspace::root();
    let name = format!("xtask-buildroot-{}-{shared_lua}", std::process::id());
    let work = Work(std::env::temp_dir().join(name));
    let stage = work.0.join("stage");
    std::fs::create_dir_all(&stage).unwrap();
    let mut make = Command::new("make");
    make.current_dir(root.join("package/lua-eco"))
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL");
    make.arg("-s")
        .arg(format!("TOPDIR={}", root.join("xtask/buildroot").display()));
    make.arg(format!("BUILD_DIR={}", work.0.join("build").display()))
        .arg(format!("STAGE={}", stage.display()));
    if shared_lua {
        make.arg(format!("CONFIG_{SHARED_LUA}=y"));
    }
    output(&mut make).unwrap();

    let mut packages = 0;
    for entry in std::fs::read_dir(&stage).unwrap() {
        packages += usize::from(entry.unwrap().path().is_dir());
    }
    assert_eq!(
        packages,
        table.packages.len(),
        "the Makefile has other packages than the list"
    );

    for package in &table.packages {
        let info = read_text(&stage.join(format!("{}.info", package.name))).unwrap();
        let depends: String = package
            .depends
            .iter()
            .map(|name| format!(" +{name}"))
            .collect();
        let library = if shared_lua && package.program.is_some() {
            " +liblua5.4"
        } else {
            ""
        };
        let expected = format!(
            "version={}\nsection={}\nmenu=Languages/Lua\ntitle={}\ndepends=@(mipsel){depends}{library}\nrebuilt=CONFIG_{SHARED_LUA}\n",
            table.package_version(),
            table.section,
            package.title
        );
        assert_eq!(info, expected, "{}", package.name);

        let installed = stage.join(&package.name);
        let mut found = Vec::new();
        files(&installed, "", &mut found);
        let listed = entries(&table, package);
        assert_eq!(
            found,
            listed
                .iter()
                .map(|entry| entry.path.clone())
                .collect::<Vec<_>>(),
            "{}",
            package.name
        );
        for entry in &listed {
            if let EntryKind::Link(text) = &entry.kind {
                let link = std::fs::read_link(below(&installed, &entry.path)).unwrap();
                assert_eq!(link.to_string_lossy(), *text, "{}", entry.path);
            }
        }

        let options = read_text(&stage.join(format!("{}.options", package.name))).unwrap();
        assert_eq!(
            options.contains(&format!("config {SHARED_LUA}\n")),
            package.program.is_some(),
            "{options}"
        );
        // The package selects another through it: with this the menu would be refused as recursive.
        assert!(!options.contains("depends on"), "{options}");

        let own = Target::read("mipsel_24kc").unwrap().rustflags.join(" ");
        let flags = format!(
            "-Ctarget-feature=-crt-static {own} -Zunstable-options -Cpanic=immediate-abort {LONG_DATES} abort /staging/usr/lib/liblua5.4.so"
        );
        for module in &package.modules {
            let built = read_text(&below(
                &installed,
                &format!("{}/{}", table.directory, module.file),
            ))
            .unwrap();
            assert_eq!(
                built,
                format!("{} {flags}", module.feature_list()),
                "{}",
                module.file
            );
        }
        if let Some(program) = &package.program {
            let built = read_text(&below(&installed, &program.path)).unwrap();
            let features = if shared_lua {
                build::SHARED_LUA.to_string()
            } else {
                program.features.join(",")
            };
            assert_eq!(built, format!("{features} {flags}"), "{}", program.path);
        }
    }
}
