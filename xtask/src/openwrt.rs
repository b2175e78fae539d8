//! Checks `package/lua-eco/Makefile` against the package list: GNU make runs it with stand-ins for the buildroot's
//! includes and for cargo, and every package must come out with the files, links, flags and dependencies that the list and
//! the targets say, whatever the menu asks for.

use crate::run::{output, read_text};
use crate::stage::{below, entries, EntryKind};
use crate::table::{abi_package, Package, Table};
use crate::target::Target;
use crate::toolchain::LONG_DATES;
use crate::version::list;
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

/// The menu's symbols: an interpreter without a Lua of its own, and one that is position independent.
const SHARED_LUA: &str = "LUA_ECO_SHARED_LUA";
const PIE: &str = "LUA_ECO_PIE";
/// And TLS by the device's library.
const SYSTEM_MBEDTLS: &str = "LUA_ECO_SYSTEM_MBEDTLS";
const TLS: &str = "lua-eco-ssl";

#[test]
fn the_buildroot_makefile_builds_what_the_list_says() {
    expand("mipsel_24kc", &[]);
}

#[test]
fn the_menu_offers_the_shared_lua_library() {
    expand("mipsel_24kc", &[SHARED_LUA]);
}

#[test]
fn the_menu_offers_a_position_independent_interpreter() {
    expand("mipsel_24kc", &[PIE]);
}

#[test]
fn the_menu_offers_the_shared_tls_library() {
    expand("mipsel_24kc", &[SYSTEM_MBEDTLS]);
}

#[test]
fn other_processors_get_their_flags() {
    expand("aarch64_cortex-a53", &[]);
}

#[test]
fn apk_is_told_of_conflicts_as_dependencies() {
    expand("mipsel_24kc", &["USE_APK"]);
}

/// Runs the Makefile for an architecture with symbols of the menu set, and compares.
fn expand(arch: &str, symbols: &[&str]) {
    let (shared_lua, pie) = (symbols.contains(&SHARED_LUA), symbols.contains(&PIE));
    let table = Table::read().unwrap();
    let target = Target::read(arch).unwrap();
    let processor = arch.split('_').next().unwrap();
    let root = workspace::root();
    let name = format!(
        "xtask-buildroot-{}-{arch}-{}",
        std::process::id(),
        symbols.join("-")
    );
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
        .arg(format!("STAGE={}", stage.display()))
        .arg(format!("ARCH={processor}"));
    make.args(symbols.iter().map(|symbol| format!("CONFIG_{symbol}=y")));
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

    let build = work
        .0
        .join(format!("build/lua-eco-{}", workspace::version()));
    let flags = Flags::of(&target, &build.to_string_lossy(), pie);
    for package in &table.packages {
        let library = match package.name.as_str() {
            _ if shared_lua && package.program.is_some() => " +liblua5.4",
            TLS if symbols.contains(&SYSTEM_MBEDTLS) => " +libmbedtls",
            _ => "",
        };
        menu_entry(&table, package, processor, library, &stage);
        control(&table, package, symbols.contains(&"USE_APK"), &stage);

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

        for entry in &listed {
            if let EntryKind::Data(source) | EntryKind::Script(source) = &entry.kind {
                let copied = read_text(&below(&installed, &entry.path)).unwrap();
                assert_eq!(copied, read_text(source).unwrap(), "{}", entry.path);
            }
        }

        for module in &package.modules {
            let path = format!("{}/{}", table.directory, module.file);
            let built = read_text(&below(&installed, &path)).unwrap();
            let mut features = module.feature_list();
            if package.name == TLS && symbols.contains(&SYSTEM_MBEDTLS) {
                features = features.replace("ssl", "ssl-system");
            }
            assert_eq!(built, flags.told(&features, false), "{path}");
        }
        if let Some(program) = &package.program {
            let built = read_text(&below(&installed, &program.path)).unwrap();
            let features = if shared_lua {
                build::SHARED_LUA.to_string()
            } else {
                program.features.join(",")
            };
            assert_eq!(built, flags.told(&features, true), "{}", program.path);
        }
    }
}

/// What the menu knows of a package, and when it is built anew.
fn menu_entry(table: &Table, package: &Package, processor: &str, library: &str, stage: &Path) {
    let info = read_text(&stage.join(format!("{}.info", package.name))).unwrap();
    let depends: String = package
        .depends
        .iter()
        .chain(&package.system)
        .map(|name| format!(" +{name}"))
        .collect();
    let (info, sources) = info.trim_end().split_once("\nsources=").unwrap();
    let expected = format!(
        "maintainer={}\nsection={}\nmenu=Languages/Lua\ntitle={}\ndepends=@({processor}){depends}{library}\nrebuilt=CONFIG_{SHARED_LUA} CONFIG_{PIE} CONFIG_{SYSTEM_MBEDTLS}",
        table.maintainer, table.section, package.title
    );
    let description = read_text(&stage.join(format!("{}.description", package.name))).unwrap();
    assert_eq!(description.trim(), package.description);
    assert_eq!(info, expected, "{}", package.name);
    for source in [
        "src",
        "lua",
        "targets",
        "build.rs",
        "Cargo.toml",
        "Cargo.lock",
    ] {
        let path = workspace::root().join(source);
        let listed = sources.split(' ').any(|one| Path::new(one) == path);
        assert!(listed && path.exists(), "{source} is not among {sources}");
    }

    let options = read_text(&stage.join(format!("{}.options", package.name))).unwrap();
    for (symbol, here) in [
        (SHARED_LUA, package.program.is_some()),
        (PIE, package.program.is_some()),
        (SYSTEM_MBEDTLS, package.name == TLS),
    ] {
        assert_eq!(
            options.contains(&format!("config {symbol}\n")),
            here,
            "{options}"
        );
    }
    // The package selects another through it: with this the menu would be refused as recursive.
    assert!(!options.contains("depends on"), "{options}");
}

/// What the control paragraph says about other packages.
fn control(table: &Table, package: &Package, apk: bool, stage: &Path) {
    let text = read_text(&stage.join(format!("{}.control", package.name))).unwrap();
    let line = |name: &str| {
        let start = format!("{name}: ");
        let found = text.lines().find_map(|line| line.strip_prefix(&start));
        found.unwrap_or_default().trim()
    };
    assert_eq!(line("Version"), table.package_version());
    let conflicts = table.conflicts(package);
    let mut needs = list(&table.needs(package).unwrap()).replace(">= ", ">=");
    if apk {
        let nots = list(&conflicts).replace("lua-eco-", "!lua-eco-");
        needs.push_str(&nots.replace("<< ", "<"));
    }
    assert_eq!(line("Extra"), needs, "{}", package.name);
    let expected = if apk { String::new() } else { list(&conflicts) };
    assert_eq!(line("Conflicts"), expected, "{}", package.name);
    let abi = abi_package().unwrap();
    let expected = if conflicts.is_empty() { "" } else { &abi };
    assert_eq!(line("Provides"), expected, "{}", package.name);
}

/// The flags of a target as far as the buildroot knows them: it has its own processor, C compiler and linker.
struct Flags {
    rust: String,
    c: String,
    program_rust: String,
    program_c: String,
}

impl Flags {
    fn of(target: &Target, build: &str, pie: bool) -> Flags {
        let join = |flags: &[String], foreign: &[&str]| -> String {
            let mut kept = String::new();
            let mut flags = flags.iter();
            while let Some(flag) = flags.next() {
                if flag == "-mllvm" {
                    flags.next();
                } else if !foreign.iter().any(|start| flag.starts_with(start)) {
                    kept.push_str(&format!(" {}", flag.replace("@ROOT@", build)));
                }
            }
            kept
        };
        let mut rust = join(&target.rustflags, &["-Ctarget-cpu="]);
        if let Some(style) = target
            .linkflags
            .iter()
            .find(|flag| flag.starts_with("--hash-style"))
        {
            rust.push_str(&format!(" -Clink-arg=-Wl,{style}"));
        }
        let fixed = target.fixed.as_ref().filter(|_| !pie);
        let own = if target.triple.starts_with("aarch64") {
            " -mno-outline-atomics"
        } else {
            ""
        };
        Flags {
            rust: format!(
                "-Ctarget-feature=-crt-static -Clink-arg=-Wl,-z,max-page-size=4096{rust}"
            ),
            c: format!("-Os -pipe{own}{}", join(&target.cflags, &["-m"])),
            program_rust: fixed.map_or(String::new(), |fixed| join(&fixed.rustflags, &[])),
            program_c: fixed.map_or(String::new(), |fixed| join(&fixed.cflags, &[])),
        }
    }

    /// What the stand-in for cargo writes.
    fn told(&self, features: &str, program: bool) -> String {
        let own = |flags| if program { flags } else { "" };
        format!(
            "{features} {}{} -Zunstable-options -Cpanic=immediate-abort {LONG_DATES} | {}{} | abort false /staging/usr/lib/liblua5.4.so",
            self.rust,
            own(&self.program_rust),
            self.c,
            own(&self.program_c)
        )
    }
}

/// A buildroot as `openwrt/build.sh` sees it, with stand-ins for `scripts/feeds` and make.
struct Tree(PathBuf);

/// As the real one: a feed that `feeds.conf` does not name is passed over in silence, and a package that another feed has
/// put in is not put in again.
const FEEDS: &str = r#"#!/bin/sh
set -eu
case "$1" in
    update)
        shift
        for feed do
            if grep -q "^src-[a-z]* $feed " feeds.conf; then mkdir -p "feeds/$feed"; fi
        done
        if [ -d feeds/packages ]; then
            mkdir -p feeds/packages/lang/rust
            echo "PKG_VERSION:=$(cat rust)" > feeds/packages/lang/rust/Makefile
        fi ;;
    install)
        [ "$*" = 'install -a -p eco' ]
        for other in package/feeds/*/lua-eco; do
            [ -e "$other" ] && exit 0
        done
        mkdir -p package/feeds/eco/lua-eco ;;
    uninstall)
        rm -r package/feeds/*/"$2" ;;
esac
"#;

impl Tree {
    fn new(name: &str) -> Tree {
        let name = format!("xtask-tree-{}-{name}", std::process::id());
        let tree = Tree(std::env::temp_dir().join(name));
        let _ = std::fs::remove_dir_all(&tree.0);
        tree.write(
            "feeds.conf.default",
            "src-git packages https://example.org/packages\n",
        );
        tree.write("rust", "1.96.0");
        tree.write("scripts/feeds", FEEDS);
        tree.write("bin/make", "#!/bin/sh\necho \"$@\" >> made\n");
        for program in ["scripts/feeds", "bin/make"] {
            let path = tree.0.join(program);
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(path, mode).unwrap();
        }
        tree
    }

    fn write(&self, file: &str, text: &str) {
        crate::run::write(&self.0.join(file), text).unwrap();
    }

    fn text(&self, file: &str) -> String {
        read_text(&self.0.join(file)).unwrap()
    }

    fn build(&self) -> std::result::Result<(), String> {
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", self.0.join("bin").display());
        let script = workspace::root().join("openwrt/build.sh");
        let mut command = Command::new(script);
        let output = command.current_dir(&self.0).env("PATH", path).output();
        let output = output.unwrap();
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8(output.stderr).unwrap()),
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_fresh_tree_is_made_ready() {
    let tree = Tree::new("fresh");
    for _ in 0..2 {
        tree.build().unwrap();
        let ours = format!("src-link eco {}\n", workspace::root().display());
        let feeds = tree.text("feeds.conf.default") + &ours;
        assert_eq!(tree.text("feeds.conf"), feeds);
        assert!(tree.0.join("package/feeds/eco/lua-eco").exists());
        let names = Table::read().unwrap().packages;
        let lines = names
            .iter()
            .map(|package| format!("CONFIG_PACKAGE_{}=m\n", package.name));
        assert_eq!(tree.text(".config"), lines.collect::<String>());
    }
    let once = "defconfig\npackage/lua-eco/compile\n";
    assert_eq!(tree.text("made"), once.repeat(2));
}

#[test]
fn the_package_of_another_feed_is_replaced() {
    let tree = Tree::new("replaced");
    tree.write("package/feeds/packages/lua-eco/Makefile", "");
    tree.build().unwrap();
    assert!(tree.0.join("package/feeds/eco/lua-eco").exists());
    assert!(!tree.0.join("package/feeds/packages/lua-eco").exists());
}

#[test]
fn a_tree_that_cannot_build_is_told_why() {
    let tree = Tree::new("no-packages");
    tree.write("feeds.conf", "src-git luci https://example.org/luci\n");
    let error = tree.build().unwrap_err();
    assert!(
        error.contains("feeds.conf names no feed 'packages'"),
        "{error}"
    );

    let tree = Tree::new("old-rust");
    for (version, good) in [
        ("1.85.0", false),
        ("1.91.1", false),
        ("1.92.0", true),
        ("2.0.0", true),
    ] {
        tree.write("rust", version);
        let built = tree.build();
        assert_eq!(built.is_ok(), good, "{version}: {built:?}");
        if let Err(error) = built {
            assert!(
                error.contains(&format!("Rust {version}")) && error.contains("1.92"),
                "{error}"
            );
        }
    }

    let tree = Tree::new("no-tree");
    std::fs::remove_file(tree.0.join("scripts/feeds")).unwrap();
    assert!(tree.build().unwrap_err().contains("top folder"));
}
