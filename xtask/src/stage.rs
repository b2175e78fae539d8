//! Which files a package puts where.

use crate::run::{copy, folder_for, Result};
use crate::table::{relative_link, Package, Table};
use crate::workspace;
use std::path::{Path, PathBuf};

/// One file or link of a package; `path` is absolute, as on the router.
#[derive(Debug, PartialEq)]
pub struct Entry {
    /// Where it is.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What stands at a path.
#[derive(Debug, PartialEq)]
pub enum EntryKind {
    /// A file anyone may run or load.
    Executable,
    /// A symbolic link with this text.
    Link(String),
    /// A file anyone may read, from the sources.
    Data(PathBuf),
    /// A program in Lua, from the sources.
    Script(PathBuf),
}

/// Everything a package installs, sorted by path.
pub fn entries(table: &Table, package: &Package) -> Vec<Entry> {
    let mut entries = Vec::new();
    if let Some(program) = &package.program {
        entries.push(Entry {
            path: program.path.clone(),
            kind: EntryKind::Executable,
        });
    }
    if let Some(script) = &package.script {
        let source = workspace::root().join("lua/bin").join(script);
        entries.push(Entry {
            path: format!("/usr/bin/{script}"),
            kind: EntryKind::Script(source),
        });
    }
    for module in &package.modules {
        let real = format!("{}/{}", table.directory, module.file);
        let aliases = module.aliases();
        let mut links: Vec<String> = aliases
            .iter()
            .map(|file| format!("{}/{file}", table.directory))
            .collect();
        for folder in &table.links {
            let files = aliases.iter().chain(std::iter::once(&module.file));
            links.extend(files.map(|file| format!("{folder}/{file}")));
        }
        for path in links {
            let link = relative_link(&path, &real);
            entries.push(Entry {
                path,
                kind: EntryKind::Link(link),
            });
        }
        entries.push(Entry {
            path: real,
            kind: EntryKind::Executable,
        });
    }
    if let Some(bundle) = &package.bundle {
        entries.push(Entry {
            path: bundle.loader.clone(),
            kind: EntryKind::Data(bundle.source()),
        });
        let names = package.modules.iter().flat_map(|module| &module.lua);
        for name in names.map(|name| name.replace('.', "/")) {
            for folder in &bundle.folders {
                let path = format!("{folder}/{name}.lua");
                let kind = EntryKind::Link(relative_link(&path, &bundle.loader));
                entries.push(Entry { path, kind });
            }
        }
    }
    entries.sort_by(|left, right| left.path.cmp(&right.path));
    entries
}

/// A router's absolute path below a folder here.
pub fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Creates a package's links below a root that holds what was built of it, and copies what is not built.
pub fn complete(table: &Table, package: &Package, root: &Path) -> Result<()> {
    for entry in entries(table, package) {
        let path = below(root, &entry.path);
        match entry.kind {
            EntryKind::Executable => {}
            EntryKind::Link(text) => make_link(&path, &text)?,
            EntryKind::Data(source) | EntryKind::Script(source) => copy(&source, &path)?,
        }
    }
    Ok(())
}

/// Creates a link, in place of what was there.
pub fn make_link(path: &Path, text: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        folder_for(parent)?;
    }
    let _ = std::fs::remove_file(path);
    std::os::unix::fs::symlink(text, path)
        .map_err(|error| format!("cannot link {}: {error}", path.display()).into())
}
