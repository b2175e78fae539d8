//! Installs packages from a feed into a directory, trusting nothing but the key: the signature covers the index, the
//! index the files, and a file may only write below the directory.

use crate::build::hex;
use crate::index::{self, field, Record};
use crate::ipk::{self, Content, Contents, Item};
use crate::run::{fail, folder_for, read, read_text, write, Arguments, Result};
use crate::usign::{self, PublicKey};
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

/// Installs packages and all they depend on. Everything is verified before the first file is written.
pub fn install(root: &Path, feed: &Path, key: &Path, packages: &[String]) -> Result<()> {
    let key = PublicKey::decode(&read_text(key)?)
        .map_err(|error| format!("{}: {error}", key.display()))?;
    let text = read_text(&feed.join("Packages"))?;
    key.verify(text.as_bytes(), &read_text(&feed.join("Packages.sig"))?)
        .map_err(|error| format!("{}: {error}", feed.display()))?;
    let records = index::parse(&text)?;
    let mut opened = Vec::new();
    for record in resolve(&records, packages)? {
        let bytes = read(&feed.join(&record.filename))?;
        opened.push((
            record,
            open(record, &bytes).map_err(|error| format!("{}: {error}", record.filename))?,
        ));
    }
    for (record, contents) in opened {
        for item in &contents.items {
            place(root, item)?;
        }
        let folder = root.join("usr/lib/opkg/info");
        write(
            &folder.join(format!("{}.control", record.package)),
            &contents.control,
        )?;
        let list: String = contents
            .items
            .iter()
            .map(|item| format!("/{}\n", item.path))
            .collect();
        write(&folder.join(format!("{}.list", record.package)), list)?;
        println!("    installed {} {}", record.package, record.version);
    }
    Ok(())
}

/// The records of packages and all they need, needed ones first.
fn resolve<'a>(records: &'a [Record], packages: &[String]) -> Result<Vec<&'a Record>> {
    let mut order = Vec::new();
    for package in packages {
        visit(records, package, &mut Vec::new(), &mut order)?;
    }
    Ok(order)
}

fn visit<'a>(
    records: &'a [Record],
    package: &str,
    above: &mut Vec<String>,
    order: &mut Vec<&'a Record>,
) -> Result<()> {
    // The C library is the firmware's own.
    if package == "libc" || order.iter().any(|record| record.package == package) {
        return Ok(());
    }
    if above.iter().any(|name| name == package) {
        return fail(format!(
            "{package} depends on itself: {}",
            above.join(" -> ")
        ));
    }
    let Some(record) = records.iter().find(|record| record.package == package) else {
        return fail(match above.last() {
            Some(needer) => format!("the feed has no package {package}, which {needer} needs"),
            None => format!("the feed has no package {package}"),
        });
    };
    above.push(package.to_string());
    for needed in &record.depends {
        visit(records, needed, above, order)?;
    }
    above.pop();
    order.push(record);
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
    use crate::usign::SecretKey;

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
            install(
                &self.root(),
                &self.folder,
                &self.folder.join("key"),
                &[package.to_string()],
            )
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
        let control = format!(
            "Package: {name}\nVersion: 1-1\nDepends: {depends}\nArchitecture: x\nDescription: d\n"
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
}
