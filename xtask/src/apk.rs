//! Packages and indexes of apk-tools 3, as OpenWrt writes them.

use crate::adb::{field, Builder, Container, Tree, Value, INDEX, NULL, PACKAGE};
use crate::ipk::{safe_path, Content, Item};
use crate::run::{fail, folder_for, fresh_folder, read, read_text, step, write, Arguments, Result};
use crate::table::{abi_package, Package, Table};
use crate::target::Target;
use crate::version::{Order, Relation};
use crate::{build, feed, setup, workspace};
use p256::ecdsa::{SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use sha2::{Digest, Sha256};
use std::path::Path;

/// What a package says of itself: names are those of apk's fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Info {
    pub name: String,
    pub version: String,
    pub description: String,
    pub arch: String,
    pub license: String,
    pub origin: String,
    pub maintainer: String,
    pub url: String,
    /// Packages it needs; those it does not work with have [`CONFLICT`] set.
    pub depends: Vec<Dependency>,
    pub provides: Vec<Dependency>,
    pub tags: Vec<String>,
}

/// Bits of a dependency's match.
const EQUAL: u8 = 1;
const LESS: u8 = 2;
const GREATER: u8 = 4;
const CONFLICT: u8 = 16;

/// A package by name, and which versions of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    pub name: String,
    pub version: String,
    /// 0 stands for any version, or for the one that is named.
    pub matches: u8,
}

impl Dependency {
    fn new(relation: &Relation, conflict: bool) -> Dependency {
        let matches = match relation.order {
            Order::Any if conflict => EQUAL | LESS | GREATER,
            Order::Any | Order::Equal => 0,
            Order::Before => LESS,
            Order::AtMost => LESS | EQUAL,
            Order::After => GREATER,
            Order::AtLeast => GREATER | EQUAL,
        };
        Dependency {
            name: relation.name.clone(),
            version: relation.version.clone(),
            matches: matches | if conflict { CONFLICT } else { 0 },
        }
    }

    fn build(&self, to: &mut Builder) -> Value {
        let name = to.blob(self.name.as_bytes());
        let version = to.blob(self.version.as_bytes());
        let matches = match self.matches {
            0 => NULL,
            bits => to.number(bits.into()),
        };
        to.object(&[name, version, matches])
    }

    fn read(tree: Tree, value: Value) -> Result<Dependency> {
        let slots = tree.slots(value)?;
        Ok(Dependency {
            name: tree.text(field(&slots, 1))?.to_string(),
            version: tree.text(field(&slots, 2))?.to_string(),
            matches: u8::try_from(tree.number(field(&slots, 3))?)?,
        })
    }
}

/// What runs at installation and removal: numbers are those of apk's fields.
type Scripts = Vec<(usize, String)>;

/// Numbers of the info fields.
const HASHES: usize = 3;
const INSTALLED_SIZE: usize = 12;
const FILE_SIZE: usize = 13;
const FIELDS: usize = 21;

/// Builds the info fields that come before the files, by their numbers.
fn info_fields(info: &Info, to: &mut Builder) -> [Value; FIELDS + 1] {
    let mut fields = [NULL; FIELDS + 1];
    for (number, text) in [
        (1, &info.name),
        (2, &info.version),
        (4, &info.description),
        (5, &info.arch),
        (6, &info.license),
        (7, &info.origin),
        (8, &info.maintainer),
        (9, &info.url),
    ] {
        fields[number] = to.blob(text.as_bytes());
    }
    for (number, list) in [(15, &info.depends), (16, &info.provides)] {
        let mut sorted = list.clone();
        sorted.sort();
        sorted.dedup();
        let values: Vec<Value> = sorted.iter().map(|one| one.build(to)).collect();
        fields[number] = to.object(&values);
    }
    let tags: Vec<Value> = info
        .tags
        .iter()
        .map(|tag| to.blob(tag.as_bytes()))
        .collect();
    fields[21] = to.object(&tags);
    fields
}

fn access(mode: u32, to: &mut Builder) -> Value {
    let mode = to.number(mode.into());
    let owner = to.blob(b"root");
    to.object(&[mode, owner, owner])
}

/// Folders in apk's order: the root, then all others by their paths.
fn folders<'a>(items: &[&'a Item]) -> Vec<&'a str> {
    let mut folders = vec![""];
    for item in items {
        let slashes = item.path.match_indices('/');
        folders.extend(slashes.map(|(position, _)| &item.path[..position]));
    }
    folders.sort_unstable();
    folders.dedup();
    folders
}

/// Builds a package.
pub fn package(info: &Info, items: &[Item], scripts: &Scripts, time: u64) -> Result<Container> {
    let mut to = Builder::new();
    let mut fields = info_fields(info, &mut to);
    let mut items: Vec<&Item> = items.iter().collect();
    items.sort_by(|left, right| left.path.cmp(&right.path));
    let (mut paths, mut data, mut installed) = (Vec::new(), Vec::new(), 0);
    for (place, folder) in folders(&items).into_iter().enumerate() {
        let mut files = Vec::new();
        let inside = items.iter().filter_map(|item| {
            let (parent, name) = item.path.rsplit_once('/').unwrap_or(("", &item.path));
            (parent == folder).then_some((name, &item.content))
        });
        for (name, content) in inside {
            let name = to.blob(name.as_bytes());
            let (hash, target, size, mode) = match content {
                Content::File { mode, bytes } => {
                    installed += bytes.len() as u64;
                    if !bytes.is_empty() {
                        data.push((place as u32 + 1, files.len() as u32 + 1, bytes.clone()));
                    }
                    (to.blob(&Sha256::digest(bytes)), NULL, bytes.len(), *mode)
                }
                Content::Link(text) => {
                    let target = [&[0x00, 0xa0], text.as_bytes()].concat();
                    (NULL, to.blob(&target), text.len(), 0o777)
                }
            };
            let time = to.number(time);
            let size = to.number(size as u64);
            let access = access(mode, &mut to);
            files.push(to.object(&[name, access, size, time, hash, target]));
        }
        let name = to.blob(folder.as_bytes());
        let access = access(0o755, &mut to);
        let files = to.object(&files);
        paths.push(to.object(&[name, access, files]));
    }
    fields[INSTALLED_SIZE] = to.number(installed.max(1));
    let (id, id_place) = to.room(20);
    fields[HASHES] = id;
    let info = to.object(&fields[1..]);
    let paths = to.object(&paths);
    let mut numbered = [NULL; 8];
    for (number, text) in scripts {
        numbered[*number] = to.blob(text.as_bytes());
    }
    let scripts = to.object(&numbered[1..]);
    let root = to.object(&[info, paths, scripts]);
    let mut tree = to.finish(root);
    let id = Sha256::digest(&tree);
    tree[id_place..id_place + 20].copy_from_slice(&id[..20]);
    let mut made = Container::new(PACKAGE, tree);
    made.data = data;
    Ok(made)
}

/// What a package holds.
#[derive(Debug, PartialEq)]
pub struct Contents {
    pub info: Info,
    pub items: Vec<Item>,
    pub installed_size: u64,
}

fn read_info(tree: Tree, slots: &[Value]) -> Result<Info> {
    let text = |number| tree.text(field(slots, number)).map(str::to_string);
    let list = |number| -> Result<Vec<Dependency>> {
        let values = tree.slots(field(slots, number))?;
        values
            .into_iter()
            .map(|value| Dependency::read(tree, value))
            .collect()
    };
    let tags = tree.slots(field(slots, 21))?;
    let tags: Result<Vec<String>> = tags
        .into_iter()
        .map(|tag| Ok(tree.text(tag)?.to_string()))
        .collect();
    Ok(Info {
        name: text(1)?,
        version: text(2)?,
        description: text(4)?,
        arch: text(5)?,
        license: text(6)?,
        origin: text(7)?,
        maintainer: text(8)?,
        url: text(9)?,
        depends: list(15)?,
        provides: list(16)?,
        tags: tags?,
    })
}

/// Takes a package apart and checks its id, every size and every digest.
pub fn contents(container: &Container) -> Result<Contents> {
    if container.schema != *PACKAGE {
        return fail("not a package");
    }
    let tree = Tree(&container.tree);
    let root = tree.slots(tree.root()?)?;
    let slots = tree.slots(field(&root, 1))?;
    check_id(container, tree.blob(field(&slots, HASHES))?)?;
    let mut data = container.data.iter();
    let mut items = Vec::new();
    for (place, folder) in tree.slots(field(&root, 2))?.into_iter().enumerate() {
        let folder = tree.slots(folder)?;
        let path = tree.text(field(&folder, 1))?;
        for (number, file) in tree.slots(field(&folder, 3))?.into_iter().enumerate() {
            let file = tree.slots(file)?;
            let name = tree.text(field(&file, 1))?;
            let path = if path.is_empty() {
                name.to_string()
            } else {
                format!("{path}/{name}")
            };
            safe_path(&path)?;
            let access = tree.slots(field(&file, 2))?;
            let size = tree.number(field(&file, 3))?;
            let content = match tree.blob(field(&file, 6))? {
                [] if size == 0 => Content::File {
                    mode: tree.number(field(&access, 1))? as u32,
                    bytes: Vec::new(),
                },
                [] => {
                    let Some((folder, file, bytes)) = data.next() else {
                        return fail(format!("'{path}' has no content"));
                    };
                    if (*folder as usize, *file as usize) != (place + 1, number + 1) {
                        return fail(format!("the content of '{path}' is at another place"));
                    }
                    Content::File {
                        mode: tree.number(field(&access, 1))? as u32,
                        bytes: bytes.clone(),
                    }
                }
                [0x00, 0xa0, text @ ..] => {
                    let text = std::str::from_utf8(text).map_err(|_| "a link is not UTF-8")?;
                    Content::Link(text.to_string())
                }
                _ => return fail(format!("'{path}' is of a kind that packages do not hold")),
            };
            if let Content::File { bytes, .. } = &content {
                let hash = tree.blob(field(&file, 5))?;
                if bytes.len() as u64 != size || hash != &Sha256::digest(bytes)[..] {
                    return fail(format!("'{path}' is damaged"));
                }
            }
            items.push(Item { path, content });
        }
    }
    if data.next().is_some() {
        return fail("content of no file");
    }
    Ok(Contents {
        info: read_info(tree, &slots)?,
        items,
        installed_size: tree.number(field(&slots, INSTALLED_SIZE))?,
    })
}

/// The id is the digest of the tree without it.
fn check_id(container: &Container, id: &[u8]) -> Result<()> {
    let start = id.as_ptr() as usize - container.tree.as_ptr() as usize;
    let mut tree = container.tree.clone();
    if id.len() != 20 {
        return fail("a package without its id");
    }
    tree[start..start + 20].fill(0);
    if Sha256::digest(&tree)[..20] != *id {
        return fail("the package's id is not that of its tree");
    }
    Ok(())
}

/// Builds an index of packages and the sizes of their files.
pub fn index(packages: &[(Container, u64)], description: &str) -> Result<Container> {
    let mut to = Builder::new();
    let description = to.blob(description.as_bytes());
    let mut records = Vec::new();
    for (package, size) in packages {
        let tree = Tree(&package.tree);
        let root = tree.slots(tree.root()?)?;
        let slots = tree.slots(field(&root, 1))?;
        let mut fields = [NULL; FIELDS + 1];
        for (number, place) in fields.iter_mut().enumerate().skip(1) {
            if number != HASHES && number != FILE_SIZE {
                *place = tree.copy(field(&slots, number), &mut to, 0)?;
            }
        }
        fields[HASHES] = to.blob(&package.digest());
        fields[FILE_SIZE] = to.number(*size);
        records.push(to.object(&fields[1..]));
    }
    let records = to.object(&records);
    let root = to.object(&[description, records]);
    Ok(Container::new(INDEX, to.finish(root)))
}

/// A package of an index.
#[derive(Debug, PartialEq)]
pub struct Record {
    pub info: Info,
    pub digest: Vec<u8>,
    pub file_size: u64,
}

/// Takes an index apart.
pub fn records(container: &Container) -> Result<Vec<Record>> {
    if container.schema != *INDEX {
        return fail("not an index");
    }
    let tree = Tree(&container.tree);
    let root = tree.slots(tree.root()?)?;
    let packages = tree.slots(field(&root, 2))?;
    packages
        .into_iter()
        .map(|package| {
            let slots = tree.slots(package)?;
            Ok(Record {
                info: read_info(tree, &slots)?,
                digest: tree.blob(field(&slots, HASHES))?.to_vec(),
                file_size: tree.number(field(&slots, FILE_SIZE))?,
            })
        })
        .collect()
}

/// The key that feeds of apk are signed with: the PEM file that ECO_APK_KEY names, else one made here once.
fn feed_key() -> Result<SigningKey> {
    if let Some(file) = std::env::var_os("ECO_APK_KEY") {
        return private_key(&read_text(Path::new(&file))?);
    }
    let file = workspace::keys().join("apk.pem");
    if file.exists() {
        return private_key(&read_text(&file)?);
    }
    folder_for(&workspace::keys())?;
    let key = loop {
        let mut random = [0; 32];
        std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut random)?;
        // One in 2^32 is no key.
        if let Ok(key) = SigningKey::from_slice(&random) {
            break key;
        }
    };
    let text = key
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| error.to_string())?;
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut made = options.write(true).create_new(true).open(&file)?;
    std::io::Write::write_all(&mut made, text.as_bytes())?;
    println!(
        "    made a development key, {}; set ECO_APK_KEY to sign with another",
        file.display()
    );
    Ok(key)
}

/// A key in PEM, as `openssl genpkey` and `openssl ecparam -genkey` write it.
fn private_key(text: &str) -> Result<SigningKey> {
    let key = p256::SecretKey::from_pkcs8_pem(text).map_err(|error| error.to_string());
    let key =
        key.or_else(|_| p256::SecretKey::from_sec1_pem(text).map_err(|error| error.to_string()));
    Ok(key
        .map(SigningKey::from)
        .map_err(|error| format!("no P-256 key: {error}"))?)
}

/// What OpenWrt runs after installing, before removing and after upgrading a package.
fn scripts(name: &str) -> Scripts {
    let start = "#!/bin/sh\n";
    let library = format!(
        "[ -s ${{IPKG_INSTROOT}}/lib/functions.sh ] || exit 0\n. ${{IPKG_INSTROOT}}/lib/functions.sh\n\
         export root=\"${{IPKG_INSTROOT}}\"\nexport pkgname=\"{name}\"\n"
    );
    let guard = "[ \"${IPKG_NO_SCRIPT}\" = \"1\" ] && exit 0\n";
    let install = format!("{guard}{library}add_group_and_user\ndefault_postinst\n");
    vec![
        (3, format!("{start}{install}")),
        (4, format!("{start}{library}default_prerm\n")),
        (7, format!("{start}export PKG_UPGRADE=1\n{install}")),
    ]
}

/// The file by which OpenWrt knows what a package brought.
fn list_of(name: &str, items: &[Item]) -> Item {
    let mut paths: Vec<String> = items
        .iter()
        .map(|item| format!("/{}\n", item.path))
        .collect();
    paths.sort();
    Item {
        path: format!("lib/apk/packages/{name}.list"),
        content: Content::File {
            mode: 0o644,
            bytes: paths.concat().into_bytes(),
        },
    }
}

fn info(table: &Table, package: &Package, arch: &str) -> Result<Info> {
    let mut depends = vec![Dependency::new(
        &Relation::new("libc", Order::Any, ""),
        false,
    )];
    depends.extend(
        table
            .needs(package)?
            .iter()
            .map(|relation| Dependency::new(relation, false)),
    );
    let conflicts = table.conflicts(package);
    depends.extend(
        conflicts
            .iter()
            .map(|relation| Dependency::new(relation, true)),
    );
    let mut provides = Vec::new();
    if package.depends.is_empty() {
        let abi = Relation::new(&abi_package()?, Order::Equal, &table.package_version());
        provides.push(Dependency::new(&abi, false));
    }
    Ok(Info {
        name: package.name.clone(),
        version: table.package_version(),
        description: format!("{}. {}", package.title, package.description),
        arch: arch.to_string(),
        license: "MIT".to_string(),
        origin: "package/lua-eco".to_string(),
        maintainer: table.maintainer.clone(),
        url: String::new(),
        depends,
        provides,
        tags: vec![format!("openwrt:section={}", table.section)],
    })
}

/// `cargo xtask apk --arch ARCH`
pub fn command(arguments: &[String]) -> Result<()> {
    let arguments = Arguments::parse(arguments, &["arch"])?;
    let target = Target::read(arguments.required("arch")?)?;
    setup::ensure()?;
    apk(&target)
}

/// Builds everything for an architecture and packs it for apk.
fn apk(target: &Target) -> Result<()> {
    build::arch(target)?;
    step(&format!("{}: packages for apk", target.arch));
    let table = Table::read()?;
    let dist = workspace::dist().join(&target.arch);
    let folder = dist.join("apk");
    fresh_folder(&folder)?;
    let key = feed_key()?;
    let mut packages = Vec::new();
    // The index is sorted by name.
    let mut listed: Vec<&Package> = table.packages.iter().collect();
    listed.sort_by_key(|package| &package.name);
    for package in listed {
        let mut items = feed::items(&table, package, &dist.join("root"))?;
        items.push(list_of(&package.name, &items));
        let info = info(&table, package, &target.arch)?;
        let mut made = self::package(
            &info,
            &items,
            &scripts(&package.name),
            workspace::source_date(),
        )?;
        made.sign(&key)?;
        let bytes = made.packed()?;
        let file = format!("{}-{}.apk", package.name, table.package_version());
        println!("    {file}: {:.1} KB", bytes.len() as f64 / 1000.0);
        write(&folder.join(file), &bytes)?;
        packages.push((made, bytes.len() as u64));
    }
    let mut index = index(&packages, "lua-eco")?;
    index.sign(&key)?;
    write(&folder.join("packages.adb"), index.packed()?)?;
    let public = key.verifying_key().to_public_key_pem(LineEnding::LF);
    write(
        &folder.join("lua-eco.pem"),
        public.map_err(|error| error.to_string())?,
    )?;
    let count = check(&folder, key.verifying_key())?;
    println!(
        "    {}: {count} packages, index and all signed and read back",
        folder.display()
    );
    Ok(())
}

/// Reads a folder of packages as a router would: the index, each file that it names, every digest and signature.
pub fn check(folder: &Path, key: &VerifyingKey) -> Result<usize> {
    let index = Container::read(&read(&folder.join("packages.adb"))?)?;
    index.verify(key)?;
    let records = records(&index)?;
    for record in &records {
        let file = format!("{}-{}.apk", record.info.name, record.info.version);
        let bytes = read(&folder.join(&file))?;
        let package = Container::read(&bytes).map_err(|error| format!("{file}: {error}"))?;
        package.verify(key)?;
        let found = contents(&package).map_err(|error| format!("{file}: {error}"))?;
        if record.digest != package.digest() || record.file_size != bytes.len() as u64 {
            return fail(format!("{file} is not what the index says"));
        }
        if record.info != found.info || found.installed_size == 0 {
            return fail(format!("{file}: the index tells something else of it"));
        }
    }
    Ok(records.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::pkcs8::DecodePublicKey;

    const SMALLEST: &[u8] = include_bytes!("../data/apk/smallest.apk");
    const SIGNED: &[u8] = include_bytes!("../data/apk/smallest-signed.apk");
    const PACKAGES: &[u8] = include_bytes!("../data/apk/packages.adb");
    const PUBLIC: &str = include_str!("../data/apk/smallest.pem");

    fn smallest() -> (Info, Vec<Item>) {
        let info = Info {
            name: "x".to_string(),
            version: "1.0-r1".to_string(),
            arch: "noarch".to_string(),
            depends: vec![Dependency::new(
                &Relation::new("libc", Order::Any, ""),
                false,
            )],
            ..Info::default()
        };
        let item = Item {
            path: "usr/share/x".to_string(),
            content: Content::File {
                mode: 0o644,
                bytes: b"hi\n".to_vec(),
            },
        };
        (info, vec![item])
    }

    #[test]
    fn the_smallest_package_has_the_bytes_that_apk_gives_it() {
        let (info, items) = smallest();
        let made = package(&info, &items, &Vec::new(), 0).unwrap();
        assert_eq!(made.plain(), SMALLEST);
        let found = contents(&Container::read(SMALLEST).unwrap()).unwrap();
        assert_eq!((found.info, found.items), (info, items));
        assert_eq!(found.installed_size, 3);
    }

    #[test]
    fn what_apk_signed_is_verified() {
        let key = VerifyingKey::from_public_key_pem(PUBLIC).unwrap();
        for bytes in [SIGNED, PACKAGES] {
            let mut container = Container::read(bytes).unwrap();
            container.verify(&key).unwrap();
            assert_eq!(container.plain(), bytes);
            let last = container.tree.len() - 1;
            container.tree[last] ^= 1;
            assert!(container.verify(&key).is_err());
        }
        assert!(Container::read(SMALLEST).unwrap().verify(&key).is_err());
        assert_eq!(
            Container::read(SIGNED).unwrap().tree,
            Container::read(SMALLEST).unwrap().tree
        );
    }

    #[test]
    fn an_index_tells_what_that_of_apk_tells() {
        let made = package(&smallest().0, &smallest().1, &Vec::new(), 0).unwrap();
        let size = made.plain().len() as u64;
        let ours = records(&index(&[(made, size)], "").unwrap()).unwrap();
        let theirs = records(&Container::read(PACKAGES).unwrap()).unwrap();
        assert_eq!(ours, theirs);
    }

    fn ours() -> Container {
        let (mut info, mut items) = smallest();
        let relation = Relation::new("old", Order::Before, "5.0.0");
        info.depends.push(Dependency::new(&relation, true));
        info.provides.push(Dependency::new(
            &Relation::new("abi", Order::Equal, "5.0.0-r1"),
            false,
        ));
        info.tags = vec!["openwrt:section=lang".to_string()];
        info.description = "d".repeat(300);
        items.push(Item {
            path: "usr/lib/y".to_string(),
            content: Content::Link("../share/x".to_string()),
        });
        items.push(list_of("x", &items));
        package(&info, &items, &scripts("x"), 1_700_000_000).unwrap()
    }

    #[test]
    fn what_is_signed_and_packed_comes_out_again() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let mut made = ours();
        made.sign(&key).unwrap();
        let read = Container::read(&made.packed().unwrap()).unwrap();
        assert_eq!(read, made);
        read.verify(key.verifying_key()).unwrap();
        assert!(read
            .verify(SigningKey::from_slice(&[8; 32]).unwrap().verifying_key())
            .is_err());
        let found = contents(&read).unwrap();
        assert_eq!(found.items.len(), 3);
        assert_eq!(found.info.depends[1].matches, CONFLICT | LESS);
        assert_eq!(
            found.items[0].content,
            Content::File {
                mode: 0o644,
                bytes: b"/usr/lib/y\n/usr/share/x\n".to_vec()
            }
        );
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_noticed() {
        let made = ours();
        let plain = made.plain();
        let whole = contents(&made).unwrap();
        for length in 0..plain.len() {
            let cut = Container::read(&plain[..length]).and_then(|found| contents(&found));
            assert!(cut.is_err(), "cut to {length}");
        }
        for position in 0..plain.len() {
            let mut damaged = plain.clone();
            damaged[position] ^= 0x41;
            let found = Container::read(&damaged).and_then(|found| contents(&found));
            assert!(
                found.map_or(true, |found| found == whole),
                "byte {position}"
            );
        }
        let packed = made.packed().unwrap();
        for length in 0..packed.len() {
            assert!(
                Container::read(&packed[..length]).is_err(),
                "cut to {length}"
            );
        }
    }

    #[test]
    fn keys_of_openssl_are_read() {
        for text in [
            include_str!("../data/apk/sec1.pem"),
            include_str!("../data/apk/pkcs8.pem"),
        ] {
            private_key(text).unwrap();
        }
        assert!(private_key("no key").is_err());
    }
}
