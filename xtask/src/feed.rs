//! A feed: the ipk files of one architecture, their index, and its signature.

use crate::build::{self, hex};
use crate::index;
use crate::ipk::{self, Content, Item};
use crate::run::{fresh_folder, read, read_text, step, write, Arguments, Result};
use crate::stage::{below, entries, EntryKind};
use crate::table::{abi_package, Package, Table};
use crate::target::Target;
use crate::version::{list, Order, Relation};
use crate::{setup, usign, workspace};
use sha2::{Digest, Sha256};
use std::path::Path;

/// `cargo xtask ipk --arch ARCH`
pub fn ipk_command(arguments: &[String]) -> Result<()> {
    let arguments = Arguments::parse(arguments, &["arch"])?;
    let target = Target::read(arguments.required("arch")?)?;
    setup::ensure()?;
    ipk(&target)
}

/// `cargo xtask index --arch ARCH`
pub fn index_command(arguments: &[String]) -> Result<()> {
    let arguments = Arguments::parse(arguments, &["arch"])?;
    let target = Target::read(arguments.required("arch")?)?;
    write_index(&workspace::dist().join(&target.arch).join("ipk"))
}

/// Builds everything for an architecture and packs it.
pub fn ipk(target: &Target) -> Result<()> {
    build::arch(target)?;
    step(&format!("{}: packages", target.arch));
    let table = Table::read()?;
    let dist = workspace::dist().join(&target.arch);
    let folder = dist.join("ipk");
    fresh_folder(&folder)?;
    for package in &table.packages {
        let items = items(&table, package, &dist.join("root"))?;
        let bytes = ipk::pack(
            &items,
            &control(&table, package, &target.arch)?,
            workspace::source_date(),
        )?;
        let name = file_name(&table, package, &target.arch);
        println!("    {name}: {:.1} KB", bytes.len() as f64 / 1000.0);
        write(&folder.join(name), bytes)?;
    }
    write_index(&folder)
}

/// The name of a package's file.
pub fn file_name(table: &Table, package: &Package, arch: &str) -> String {
    format!("{}_{}_{arch}.ipk", package.name, table.package_version())
}

/// The files and links of a package, from the root they were built into.
pub fn items(table: &Table, package: &Package, root: &Path) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for entry in entries(table, package) {
        let content = match entry.kind {
            EntryKind::Executable => Content::File {
                mode: 0o755,
                bytes: read(&below(root, &entry.path))?,
            },
            EntryKind::Link(text) => Content::Link(text),
            EntryKind::Data(source) => Content::File {
                mode: 0o644,
                bytes: read(&source)?,
            },
            EntryKind::Script(source) => Content::File {
                mode: 0o755,
                bytes: read(&source)?,
            },
        };
        items.push(Item {
            path: entry.path.trim_start_matches('/').to_string(),
            content,
        });
    }
    Ok(items)
}

fn control(table: &Table, package: &Package, arch: &str) -> Result<String> {
    let relations = relations(table, package)?;
    Ok(format!(
        "Package: {}\nVersion: {}\n{relations}\nSource: package/lua-eco\nSourceName: lua-eco\nLicense: MIT\nSection: {}\n\
         SourceDateEpoch: {}\nMaintainer: {}\nArchitecture: {arch}\nInstalled-Size: @INSTALLED_SIZE@\nDescription: {}\n {}\n",
        package.name,
        table.package_version(),
        table.section,
        workspace::source_date(),
        table.maintainer,
        package.title,
        package.description,
    ))
}

/// What a control paragraph says about other packages.
pub fn relations(table: &Table, package: &Package) -> Result<String> {
    let mut needs = vec![Relation::new("libc", Order::Any, "")];
    needs.extend(table.needs(package)?);
    let system = package.system.iter();
    needs.extend(system.map(|name| Relation::new(name, Order::Any, "")));
    let mut lines = format!("Depends: {}", list(&needs));
    let conflicts = table.conflicts(package);
    if !conflicts.is_empty() {
        let (abi, conflicts) = (abi_package()?, list(&conflicts));
        lines.push_str(&format!("\nProvides: {abi}\nConflicts: {conflicts}"));
    }
    Ok(lines)
}

/// Writes `Packages`, `Packages.gz`, `Packages.sig` and the public key beside the ipk files of a folder.
fn write_index(folder: &Path) -> Result<()> {
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(folder)
        .map_err(|error| format!("cannot read {}: {error}", folder.display()))?
    {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".ipk") {
            names.push(name);
        }
    }
    names.sort();
    let mut paragraphs = Vec::new();
    for name in &names {
        let bytes = read(&folder.join(name))?;
        let contents = ipk::unpack(&bytes).map_err(|error| format!("{name}: {error}"))?;
        let shown: String = contents
            .control
            .lines()
            .filter(|line| !is_private(line))
            .map(|line| format!("{line}\n"))
            .collect();
        paragraphs.push(index::paragraph(
            &shown,
            name,
            bytes.len(),
            &hex(&Sha256::digest(&bytes)),
        ));
    }
    let text = index::join(&paragraphs);
    let key = usign::feed_key()?;
    write(&folder.join("Packages"), &text)?;
    write(&folder.join("Packages.gz"), ipk::gzip(text.as_bytes())?)?;
    write(&folder.join("Packages.sig"), key.sign(text.as_bytes()))?;
    write(&folder.join("feed.pub"), key.public().encode())?;
    key.public()
        .verify(text.as_bytes(), &read_text(&folder.join("Packages.sig"))?)?;
    println!(
        "    {}: {} packages, signed by key {}",
        folder.display(),
        names.len(),
        key.public().name()
    );
    Ok(())
}

/// Fields that OpenWrt keeps out of its indexes.
fn is_private(line: &str) -> bool {
    ["Maintainer:", "Source:", "SourceName:", "SourceDateEpoch:"]
        .iter()
        .any(|field| line.starts_with(field))
}
