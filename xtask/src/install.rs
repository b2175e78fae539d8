//! Installs packages from a feed into a directory, trusting nothing but the key: the signature covers the index, the
//! index the files, and a file may only write below the directory.

use crate::build::hex;
use crate::index::{self, field, Record};
use crate::ipk::{self, Content, Contents, Item};
use crate::run::{fail, folder_for, read, read_text, write, Arguments, Result};
use crate::usign::{self, PublicKey};
use crate::version::{compare, Order, Relation};
use crate::workspace;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};

/// `cargo xtask install --root DIR [--arch ARCH | --feed DIR] [--key FILE] PACKAGE…`
pub fn command(arguments: &[String]) -> Result<()> {
    let arguments = Arguments::parse(arguments, &["root", "arch", "feed", "key"])?;
    let root = PathBuf::from(arguments.required("root")?);
    if arguments.words.is_empty() {
        return fail("name the packages to install");
    }
    let feed = match arguments.option("feed") {
        Some(folder) => PathBuf::from(folder),
        None => workspace::dist()
            .join(arguments.option("arch").unwrap_or("mipsel_24kc"))
            .join("ipk"),
    };
    let key = match arguments.option("key") {
        Some(file) => PathBuf::from(file),
        None => default_key(&feed),
    };
    install(&root, &feed, &key, &arguments.words)
}

/// The development key; a key that lies beside the feed would prove nothing, unless it is ours to sign with.
pub fn default_key(feed: &Path) -> PathBuf {
    if std::env::var_os("ECO_FEED_KEY").is_some() {
        return feed.join("feed.pub");
    }
    usign::public_key_file()
}

/// Installs packages and all they depend on, or brings them to the feed's version, by the rules of opkg. Everything is
/// verified before the first file is written.
pub fn install(root: &Path, feed: &Path, key: &Path, packages: &[String]) -> Result<()> {
    let key = PublicKey::decode(&read_text(key)?)
        .map_err(|error| format!("{}: {error}", key.display()))?;
    let text = read_text(&feed.join("Packages"))?;
    key.verify(text.as_bytes(), &read_text(&feed.join("Packages.sig"))?)
        .map_err(|error| format!("{}: {error}", feed.display()))?;
    let records = index::parse(&text)?;
    let mut opened = Vec::new();
    for record in resolve(&records, &installed(root)?, packages)? {
        let bytes = read(&feed.join(&record.filename))?;
        opened.push((
            record,
            open(record, &bytes).map_err(|error| format!("{}: {error}", record.filename))?,
        ));
    }
    for (record, contents) in opened {
        let folder = root.join(DATABASE);
        let list_file = folder.join(format!("{}.list", record.package));
        let old_list = std::fs::read_to_string(&list_file).unwrap_or_default();
        for item in &contents.items {
            place(root, item)?;
        }
        write(
            &folder.join(format!("{}.control", record.package)),
            &contents.control,
        )?;
        let paths = contents
            .items
            .iter()
            .map(|item| format!("/{}\n", item.path));
        write(&list_file, paths.collect::<String>())?;
        for path in old_list.lines() {
            let path = path.trim_start_matches('/');
            if !contents.items.iter().any(|item| item.path == path) {
                remove(root, path)?;
            }
        }
        println!("    installed {} {}", record.package, record.version);
    }
    Ok(())
}

/// Where opkg keeps what it knows about installed packages.
const DATABASE: &str = "usr/lib/opkg/info";

/// What a package in the feed or on the router says about itself and others.
#[derive(Clone)]
struct State {
    name: String,
    version: String,
    provides: Vec<String>,
}

impl State {
    fn of(record: &Record) -> State {
        State {
            name: record.package.clone(),
            version: record.version.clone(),
            provides: record.provides.clone(),
        }
    }

    /// Whether it is what a dependency asks for, be it under another name.
    fn satisfies(&self, relation: &Relation) -> bool {
        (self.name == relation.name || self.provides.contains(&relation.name))
            && relation.admits(&self.version)
    }
}

/// The packages below a root.
fn installed(root: &Path) -> Result<Vec<State>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root.join(DATABASE)).into_iter().flatten() {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "control")
        {
            let control = read_text(&path)?;
            let provides = Relation::parse_list(field(&control, "Provides").unwrap_or_default())?;
            found.push(State {
                name: field(&control, "Package")?.to_string(),
                version: field(&control, "Version")?.to_string(),
                provides: provides.into_iter().map(|one| one.name).collect(),
            });
        }
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(found)
}

/// The records of packages and all they need, needed ones first.
fn resolve<'a>(
    records: &'a [Record],
    installed: &[State],
    packages: &[String],
) -> Result<Vec<&'a Record>> {
    let mut plan = Plan {
        records,
        state: installed.to_vec(),
        order: Vec::new(),
    };
    for package in packages {
        let wanted = Relation::new(package, Order::Any, "");
        plan.visit(&wanted, &mut Vec::new())?;
    }
    Ok(plan.order)
}

/// What is to be installed, and what is then there.
struct Plan<'a> {
    records: &'a [Record],
    state: Vec<State>,
    order: Vec<&'a Record>,
}

impl<'a> Plan<'a> {
    fn visit(&mut self, wanted: &Relation, above: &mut Vec<String>) -> Result<()> {
        let candidates = self.records.iter();
        let Some(record) = candidates
            .filter(|record| State::of(record).satisfies(wanted))
            .max_by_key(|record| record.package == wanted.name)
        else {
            return fail(match above.last() {
                Some(needer) => format!("the feed has no package {wanted}, which {needer} needs"),
                None => format!("the feed has no package {wanted}"),
            });
        };
        let name = &record.package;
        if self.order.iter().any(|planned| planned.package == *name) {
            return Ok(());
        }
        if above.contains(name) {
            return fail(format!("{name} depends on itself: {}", above.join(" -> ")));
        }
        let old = self.state.iter().find(|state| state.name == *name);
        if let Some(old) = old.filter(|old| compare(&old.version, &record.version).is_gt()) {
            return fail(format!(
                "{name} {} is installed; the feed has only {}",
                old.version, record.version
            ));
        }
        // What is to be replaced later is still there now.
        let clashing = self.state.iter().filter(|state| {
            let mut conflicts = record.conflicts.iter();
            state.name != *name
                && conflicts.any(|one| one.name == state.name && one.admits(&state.version))
        });
        let clashing: Vec<String> = clashing
            .map(|state| format!("{} {}", state.name, state.version))
            .collect();
        if !clashing.is_empty() {
            return fail(format!(
                "{name} {} does not work beside {}: remove these first",
                record.version,
                clashing.join(", ")
            ));
        }
        above.push(name.clone());
        for needed in &record.depends {
            // Libraries, that of C first of all, are the firmware's own.
            let is_there = needed.name.starts_with("lib")
                || self.state.iter().any(|state| state.satisfies(needed));
            if !is_there {
                self.visit(needed, above)?;
            }
        }
        above.pop();
        self.state.retain(|state| state.name != *name);
        self.state.push(State::of(record));
        self.order.push(record);
        Ok(())
    }
}

/// Removes a file that no longer belongs to a package, and the folders that it leaves empty, never through a link.
fn remove(root: &Path, path: &str) -> Result<()> {
    let path = ipk::safe_path(path)?;
    let mut folders: Vec<PathBuf> = Vec::new();
    for (position, _) in path.match_indices('/') {
        let folder = root.join(&path[..position]);
        if !folder.symlink_metadata().is_ok_and(|data| data.is_dir()) {
            return Ok(());
        }
        folders.push(folder);
    }
    let file = root.join(&path);
    match file.symlink_metadata() {
        Ok(data) if !data.is_dir() => std::fs::remove_file(&file)
            .map_err(|error| format!("cannot remove {}: {error}", file.display()))?,
        _ => return Ok(()),
    }
    for folder in folders.iter().rev() {
        if std::fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

/// Checks a package file against its record and takes it apart.
fn open(record: &Record, bytes: &[u8]) -> Result<Contents> {
    if bytes.len() as u64 != record.size {
        return fail(format!(
            "has {} bytes, the index says {}",
            bytes.len(),
            record.size
        ));
    }
    if hex(&Sha256::digest(bytes)) != record.sha256 {
        return fail("its SHA-256 digest is not the one in the index");
    }
    let contents = ipk::unpack(bytes)?;
    for (name, value) in [
        ("Package", &record.package),
        ("Version", &record.version),
        ("Architecture", &record.architecture),
    ] {
        if field(&contents.control, name)? != value {
            return fail(format!("its {name} is not the one in the index"));
        }
    }
    Ok(contents)
}

/// Puts one file or link below the root, never through a link.
fn place(root: &Path, item: &Item) -> Result<()> {
    let path = root.join(&item.path);
    let mut folder = root.to_path_buf();
    folder_for(&folder)?;
    let parts: Vec<&str> = item.path.split('/').collect();
    for part in &parts[..parts.len() - 1] {
        folder.push(part);
        match folder.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                return fail(format!(
                    "{} is in the way of '{}'",
                    folder.display(),
                    item.path
                ))
            }
            Err(_) => std::fs::create_dir(&folder)
                .map_err(|error| format!("cannot create {}: {error}", folder.display()))?,
        }
    }
    if path.symlink_metadata().is_ok() {
        std::fs::remove_file(&path)
            .map_err(|error| format!("cannot replace {}: {error}", path.display()))?;
    }
    match &item.content {
        Content::Link(text) => std::os::unix::fs::symlink(text, &path)?,
        Content::File { mode, bytes } => {
            let mut options = std::fs::OpenOptions::new();
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, *mode);
            options
                .write(true)
                .create_new(true)
                .open(&path)?
                .write_all(bytes)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Table;
    use crate::usign::SecretKey;
    use crate::{feed, stage};

    /// A feed of two packages in a folder of its own, removed when dropped.
    struct Feed {
        folder: PathBuf,
    }

    impl Feed {
        fn new(name: &str) -> Feed {
            Feed::of(
                name,
                vec![
                    package("base", "libc", vec![file("usr/bin/eco", "program")]),
                    package(
                        "extra",
                        "libc, base",
                        vec![
                            file("usr/lib/extra.so", "module"),
                            link("usr/local/lib/extra.so", "../../lib/extra.so"),
                        ],
                    ),
                ],
            )
        }

        fn of(name: &str, packages: Vec<(String, Vec<u8>, String)>) -> Feed {
            let folder =
                std::env::temp_dir().join(format!("xtask-feed-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            let mut paragraphs = Vec::new();
            for (name, bytes, control) in packages {
                let filename = format!("{name}.ipk");
                paragraphs.push(index::paragraph(
                    &control,
                    &filename,
                    bytes.len(),
                    &hex(&Sha256::digest(&bytes)),
                ));
                write(&folder.join(filename), bytes).unwrap();
            }
            let feed = Feed { folder };
            feed.write_index(&index::join(&paragraphs));
            feed
        }

        fn write_index(&self, text: &str) {
            write(&self.folder.join("Packages"), text).unwrap();
            write(
                &self.folder.join("Packages.sig"),
                key(1).sign(text.as_bytes()),
            )
            .unwrap();
            write(&self.folder.join("key"), key(1).public().encode()).unwrap();
        }

        fn root(&self) -> PathBuf {
            self.folder.join("root")
        }

        fn install(&self, package: &str) -> std::result::Result<(), String> {
            self.install_into(&self.root(), &[package])
        }

        fn install_into(&self, root: &Path, packages: &[&str]) -> std::result::Result<(), String> {
            let packages: Vec<String> = packages.iter().map(|name| name.to_string()).collect();
            install(root, &self.folder, &self.folder.join("key"), &packages)
                .map_err(|error| error.to_string())
        }

        /// Installing must fail with this text and leave no file.
        fn refuses(&self, package: &str, text: &str) {
            let error = self.install(package).unwrap_err();
            assert!(error.contains(text), "{error}");
            assert!(!self.root().join("usr").exists(), "files were written");
        }

        fn damage(&self, file: &str, change: impl Fn(&mut Vec<u8>)) {
            let path = self.folder.join(file);
            let mut bytes = std::fs::read(&path).unwrap();
            change(&mut bytes);
            std::fs::write(path, bytes).unwrap();
        }
    }

    impl Drop for Feed {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_random(&[byte; 40])
    }

    fn package(name: &str, depends: &str, items: Vec<Item>) -> (String, Vec<u8>, String) {
        related(name, "1-1", &format!("Depends: {depends}"), items)
    }

    fn related(
        name: &str,
        version: &str,
        relations: &str,
        items: Vec<Item>,
    ) -> (String, Vec<u8>, String) {
        let control = format!(
            "Package: {name}\nVersion: {version}\n{relations}\nArchitecture: x\nDescription: d\n"
        );
        (
            name.to_string(),
            ipk::pack(&items, &control, 1).unwrap(),
            control,
        )
    }

    fn file(path: &str, text: &str) -> Item {
        Item {
            path: path.into(),
            content: Content::File {
                mode: 0o755,
                bytes: text.into(),
            },
        }
    }

    fn link(path: &str, text: &str) -> Item {
        Item {
            path: path.into(),
            content: Content::Link(text.into()),
        }
    }

    #[test]
    fn dependencies_come_along_and_links_work() {
        let feed = Feed::new("whole");
        feed.install("extra").unwrap();
        feed.install("extra").unwrap();
        assert_eq!(
            std::fs::read(feed.root().join("usr/bin/eco")).unwrap(),
            b"program"
        );
        assert_eq!(
            std::fs::read(feed.root().join("usr/local/lib/extra.so")).unwrap(),
            b"module"
        );
        assert!(feed.root().join("usr/lib/opkg/info/extra.list").exists());
    }

    #[test]
    fn flipped_and_missing_bytes_are_refused() {
        let feed = Feed::new("flipped");
        feed.damage("base.ipk", |bytes| bytes[30] ^= 1);
        feed.refuses("extra", "base.ipk: its SHA-256 digest");
        let feed = Feed::new("cut");
        feed.damage("base.ipk", |bytes| bytes.truncate(60));
        feed.refuses("extra", "base.ipk: has 60 bytes");
        let feed = Feed::new("index");
        feed.damage("Packages", |bytes| bytes[9] ^= 1);
        feed.refuses("extra", "the signature does not match");
        let feed = Feed::new("index-cut");
        feed.damage("Packages", |bytes| bytes.truncate(20));
        feed.refuses("extra", "the signature does not match");
    }

    #[test]
    fn another_key_is_refused() {
        let feed = Feed::new("key");
        write(&feed.folder.join("key"), key(2).public().encode()).unwrap();
        feed.refuses("extra", "signed by key 0101010101010101");
        std::fs::remove_file(feed.folder.join("Packages.sig")).unwrap();
        feed.refuses("extra", "Packages.sig");
    }

    #[test]
    fn a_package_that_is_not_what_the_index_says_is_refused() {
        let feed = Feed::new("other");
        let text = read_text(&feed.folder.join("Packages")).unwrap().replacen(
            "Version: 1-1",
            "Version: 9-1",
            1,
        );
        feed.write_index(&text);
        feed.refuses("base", "its Version is not the one in the index");
    }

    #[test]
    fn signed_packages_cannot_leave_the_root_either() {
        let feed = Feed::of(
            "escape",
            vec![package("bad", "libc", vec![file("../outside", "x")])],
        );
        feed.refuses("bad", "unsafe path");
        let feed = Feed::of(
            "escape-link",
            vec![package("bad", "libc", vec![link("a", "../../outside")])],
        );
        feed.refuses("bad", "unsafe link");
        let through = vec![link("a", "b"), file("a/x", "x")];
        let feed = Feed::of("through-link", vec![package("bad", "libc", through)]);
        assert!(feed.install("bad").unwrap_err().contains("in the way"));
        assert!(!feed.root().join("b").exists());
    }

    #[test]
    fn unmet_and_circular_dependencies_are_told() {
        let feed = Feed::of("unmet", vec![package("a", "b", vec![])]);
        feed.refuses("a", "no package b, which a needs");
        feed.refuses("c", "no package c");
        let feed = Feed::of(
            "circle",
            vec![package("a", "b", vec![]), package("b", "a", vec![])],
        );
        feed.refuses("a", "depends on itself");
    }

    /// A feed of lua-eco 4.1.4: its base, a module that is shipped here too, and one that is not.
    fn former(name: &str) -> Feed {
        let module = |name: &str| {
            let lua = format!("usr/local/lib/lua/5.4/eco/{name}.lua");
            let inner = format!("usr/local/lib/lua/5.4/eco/internal/{name}.so");
            vec![file(&lua, "old"), file(&inner, "old")]
        };
        let mut base = module("time");
        base.extend([
            file("usr/bin/eco", "old"),
            file("usr/local/lib/lua/5.4/eco.lua", "old"),
        ]);
        let of = |name: &str, depends: &str, items| {
            related(name, "4.1.4-r1", &format!("Depends: {depends}"), items)
        };
        Feed::of(
            &format!("{name}-former"),
            vec![
                of("lua-eco", "libc", base),
                of("lua-eco-socket", "libc, lua-eco", module("socket")),
                of(
                    "lua-eco-dns",
                    "libc, lua-eco, lua-eco-socket",
                    module("dns"),
                ),
            ],
        )
    }

    /// A feed of today's packages, related as the list says.
    fn present(name: &str) -> Feed {
        let table = Table::read().unwrap();
        let packages = table.packages.iter().map(|package| {
            let relations = feed::relations(&table, package).unwrap();
            let paths = stage::entries(&table, package).into_iter().map(|entry| {
                let path = entry.path.trim_start_matches('/').to_string();
                match entry.kind {
                    stage::EntryKind::Link(text) => link(&path, &text),
                    _ => file(&path, "new"),
                }
            });
            related(
                &package.name,
                &table.package_version(),
                &relations,
                paths.collect(),
            )
        });
        Feed::of(name, packages.collect())
    }

    /// Every file below a folder with its text, sorted; links are followed.
    fn texts(folder: &Path) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(texts(&path));
            } else {
                found.push((path.clone(), read_text(&path).unwrap()));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn upgrading_from_4_x_leaves_no_mixed_system() {
        let (old, new) = (former("mixed"), present("mixed"));
        let root = new.root();
        for names in [&["lua-eco-socket"][..], &["lua-eco-dns"]] {
            let _ = std::fs::remove_dir_all(&root);
            old.install_into(&root, names).unwrap();
            let before = texts(&root);
            for wanted in [
                &["lua-eco"][..],
                &["lua-eco-socket"],
                &["lua-eco-http"],
                &["lua-eco", "lua-eco-socket"],
            ] {
                let error = new.install_into(&root, wanted).unwrap_err();
                assert!(error.contains("lua-eco-socket 4.1.4-r1"), "{error}");
                assert_eq!(texts(&root), before, "{wanted:?}");
            }
        }
        // Without modules the interpreter is replaced, and nothing of the old one stays.
        std::fs::remove_dir_all(&root).unwrap();
        old.install_into(&root, &["lua-eco"]).unwrap();
        new.install_into(&root, &["lua-eco-http"]).unwrap();
        let after = texts(&root);
        assert!(after.iter().all(|(_, text)| text != "old"), "{after:?}");
        assert!(!root.join("usr/local/lib/lua/5.4/eco/internal").exists());
        assert!(root
            .join("usr/local/lib/lua/5.4/eco/http/server.so")
            .exists());
    }

    #[test]
    fn modules_need_the_abi_they_were_built_for() {
        let base = |version: &str, abi: u32| {
            let relations = format!("Provides: base-abi-{abi}\nConflicts: module (<< {version})");
            related("base", version, &relations, vec![file("base", version)])
        };
        let module = |version: &str, abi: u32| {
            let relations = format!("Depends: base (>= {version}), base-abi-{abi}");
            related("module", version, &relations, vec![file("module", version)])
        };
        let one = Feed::of("abi-one", vec![base("1-r1", 1), module("1-r1", 1)]);
        let two = Feed::of("abi-two", vec![base("2-r1", 2), module("2-r1", 2)]);
        let torn = Feed::of("abi-torn", vec![base("2-r1", 2), module("2-r1", 1)]);
        torn.refuses("module", "no package base-abi-1, which module needs");
        one.install("module").unwrap();
        let error = two.install_into(&one.root(), &["base"]).unwrap_err();
        assert!(
            error.contains("does not work beside module 1-r1"),
            "{error}"
        );
        let error = two.install_into(&one.root(), &["module"]).unwrap_err();
        assert!(
            error.contains("does not work beside module 1-r1"),
            "{error}"
        );
        two.install("base").unwrap();
        let error = one.install_into(&two.root(), &["base"]).unwrap_err();
        assert!(error.contains("base 2-r1 is installed"), "{error}");
    }
}
