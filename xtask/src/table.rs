//! The list of packages and modules (`package/packages.toml`), which everything shipped derives from.

use crate::run::{fail, read_text, Result};
use crate::version::{Order, Relation};
use crate::workspace;
use serde::Deserialize;
use std::path::PathBuf;

/// The whole list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The most that a squashfs of all packages may weigh on mipsel, in KB of 1000 bytes.
    pub squashfs: f64,
    /// Counts repackagings of one version.
    pub release: u32,
    /// The first version with the ABI of this one.
    #[serde(rename = "abi-since")]
    pub abi_since: String,
    /// Packages of lua-eco 4.x that are not among these.
    pub former: Vec<String>,
    /// Who answers for the packages.
    pub maintainer: String,
    /// The section of the package manager's menu.
    pub section: String,
    /// Where modules live on a router.
    pub directory: String,
    /// Folders that get links to the modules.
    pub links: Vec<String>,
    /// The packages, each after those it depends on.
    #[serde(rename = "package")]
    pub packages: Vec<Package>,
    /// The crates that other programs may depend on.
    #[serde(rename = "library", default)]
    pub libraries: Vec<Library>,
}

/// What a user installs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// One line.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// Packages of ours it needs.
    pub depends: Vec<String>,
    /// Packages of the firmware it needs, of any version; not to build it.
    #[serde(default)]
    pub system: Vec<String>,
    /// The most it may weigh.
    pub budget: Budget,
    /// The program in it, if any.
    pub program: Option<Program>,
    /// The program in Lua, of `lua/bin/`, that goes to `/usr/bin`, if any.
    pub script: Option<String>,
    /// Its shared objects.
    #[serde(rename = "module", default)]
    pub modules: Vec<Module>,
    /// The one that holds what is in other packages.
    pub bundle: Option<Bundle>,
}

/// A shared object with the modules of other packages, which may be installed beside it: no file of theirs leads to it, but
/// a loader in Lua, under the names that `require` looks for before those of shared objects.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// Its path below the module folder.
    pub file: String,
    /// Packages that are not in it. Nor is one that it depends on.
    pub without: Vec<String>,
    /// Where the loader is installed; a file of that name is in `lua/`.
    pub loader: String,
    /// Folders where Lua looks for modules written in Lua.
    pub folders: Vec<String>,
}

impl Bundle {
    /// The file here that is installed as the loader.
    pub fn source(&self) -> PathBuf {
        let name = self.loader.rsplit('/').next().unwrap_or_default();
        workspace::root().join("lua").join(name)
    }
}

/// A crate of this workspace that other programs may depend on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// Its name.
    pub name: String,
    /// The example, a cdylib, that makes the least use of it.
    pub consumer: String,
    /// The most that example may weigh.
    pub budget: Budget,
}

/// A program in a package.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Where it is installed.
    pub path: String,
    /// The cargo features it is built with.
    pub features: Vec<String>,
}

impl Program {
    /// What it is called.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// The most something may weigh on mipsel, in KB of 1000 bytes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// As packed by gzip: of a package, its ipk.
    pub gzip: f64,
    /// As packed by xz, each file alone.
    pub xz: f64,
}

/// One shared object: one build of the crate.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// Its path below the module folder.
    pub file: String,
    /// The cargo features it is built with, beside `module`.
    pub features: Vec<String>,
    /// The names that `require` finds in it.
    pub lua: Vec<String>,
    /// Whether these are modules of other packages, to which a loader leads.
    #[serde(skip)]
    pub bundled: bool,
}

impl Table {
    /// Reads the list and checks that it makes sense.
    pub fn read() -> Result<Table> {
        let file = workspace::root().join("package/packages.toml");
        let mut table: Table = toml::from_str(&read_text(&file)?)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        table.check()?;
        let Table {
            former, packages, ..
        } = &mut table;
        former.retain(|name| packages.iter().all(|package| package.name != *name));
        table.fill_bundles();
        Ok(table)
    }

    /// Gives each bundle its module: what is in it follows from the other packages.
    fn fill_bundles(&mut self) {
        for index in 0..self.packages.len() {
            let package = &self.packages[index];
            let Some(bundle) = &package.bundle else {
                continue;
            };
            let held = self.packages.iter().filter(|other| {
                !package.depends.contains(&other.name) && !bundle.without.contains(&other.name)
            });
            let held: Vec<&Module> = held.flat_map(|other| &other.modules).collect();
            let all = |list: fn(&Module) -> &Vec<String>| {
                held.iter()
                    .flat_map(|module| list(module))
                    .cloned()
                    .collect()
            };
            let module = Module {
                file: bundle.file.clone(),
                features: all(|module| &module.features),
                lua: all(|module| &module.lua),
                bundled: true,
            };
            self.packages[index].modules.push(module);
        }
    }

    fn check(&self) -> Result<()> {
        for (position, package) in self.packages.iter().enumerate() {
            for needed in &package.depends {
                if !self.packages[..position]
                    .iter()
                    .any(|earlier| &earlier.name == needed)
                {
                    return fail(format!(
                        "{} depends on {needed}, which is not listed before it",
                        package.name
                    ));
                }
            }
        }
        Ok(())
    }

    /// Every module with its package.
    pub fn modules(&self) -> impl Iterator<Item = (&Package, &Module)> {
        self.packages
            .iter()
            .flat_map(|package| package.modules.iter().map(move |module| (package, module)))
    }

    /// Version and release, as packages carry them.
    pub fn package_version(&self) -> String {
        format!("{}-r{}", workspace::version(), self.release)
    }

    /// What a package needs: others of its version, and the ABI, which a package without needs provides.
    pub fn needs(&self, package: &Package) -> Result<Vec<Relation>> {
        if package.depends.is_empty() {
            return Ok(Vec::new());
        }
        let abi = [abi_package()?];
        let names = package.depends.iter().chain(&abi);
        let version = self.package_version();
        Ok(names
            .map(|name| Relation::new(name, Order::AtLeast, &version))
            .collect())
    }

    /// The packages that do not work beside one that provides the ABI.
    pub fn conflicts(&self, package: &Package) -> Vec<Relation> {
        if !package.depends.is_empty() {
            return Vec::new();
        }
        let others = self.packages.iter().map(|other| &other.name);
        let others = others.filter(|name| **name != package.name);
        let mut names: Vec<&String> = self.former.iter().chain(others).collect();
        names.sort();
        let older = |name| Relation::new(name, Order::Before, &self.abi_since);
        names.into_iter().map(|name| older(name)).collect()
    }
}

/// The name of the virtual package that stands for the ABI, whose number the sources of the modules have.
pub fn abi_package() -> Result<String> {
    let text = read_text(&workspace::root().join("src/abi/table.rs"))?;
    let number = text.lines().find_map(|line| {
        line.strip_prefix("pub const VERSION: u32 = ")?
            .strip_suffix(';')
    });
    match number {
        Some(number) => Ok(format!("lua-eco-abi-{number}")),
        None => fail("src/abi/table.rs does not tell the version of the ABI"),
    }
}

impl Module {
    /// Its names without the inner ones, which old scripts load: those share the documents of the others.
    pub fn outer_names(&self) -> impl Iterator<Item = &String> {
        let inner =
            |name: &&String| name.starts_with("eco.internal.") || name.starts_with("eco.core.");
        self.lua.iter().filter(move |name| !inner(name))
    }

    /// Where `require` looks for one of its names: the file itself, another one, which has to be a link to it, or the
    /// file of the name's first part, where it finds every name below.
    fn searched(&self, name: &str) -> String {
        let file = format!("{}.so", name.replace('.', "/"));
        let root = format!("{}.so", name.split('.').next().unwrap_or_default());
        if root == self.file {
            root
        } else {
            file
        }
    }

    /// The files besides its own that must lead to it, below the module folder.
    pub fn aliases(&self) -> Vec<String> {
        if self.bundled {
            return Vec::new();
        }
        let mut files: Vec<String> = self.lua.iter().map(|name| self.searched(name)).collect();
        files.retain(|file| *file != self.file);
        files
    }

    /// What `cargo --features` gets.
    pub fn feature_list(&self) -> String {
        format!("module,{}", self.features.join(","))
    }
}

/// The text of a link at `from` that leads to `to`, both absolute: relative, so that it holds below any root.
pub fn relative_link(from: &str, to: &str) -> String {
    let from: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
    let to: Vec<&str> = to.split('/').filter(|part| !part.is_empty()).collect();
    let folders = from.len().saturating_sub(1);
    let common = from
        .iter()
        .take(folders)
        .zip(&to)
        .take_while(|(left, right)| left == right)
        .count();
    let mut parts = vec![".."; folders - common];
    parts.extend(&to[common..]);
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_climbs_to_the_common_folder() {
        assert_eq!(
            relative_link(
                "/usr/local/lib/lua/5.4/eco/log.so",
                "/usr/lib/lua/5.4/eco/log.so"
            ),
            "../../../../../lib/lua/5.4/eco/log.so"
        );
        assert_eq!(relative_link("/a", "/b/c"), "b/c");
    }

    #[test]
    fn every_library_has_its_consumer() {
        for library in Table::read().unwrap().libraries {
            let folder = workspace::root().join(&library.name);
            let example = folder.join(format!("examples/{}.rs", library.consumer));
            assert!(example.exists(), "{} is missing", example.display());
        }
    }

    #[test]
    fn the_list_is_sound() {
        let table = Table::read().unwrap();
        let own = || table.modules().filter(|(_, module)| !module.bundled);
        let mut files: Vec<&str> = own().map(|(_, module)| module.file.as_str()).collect();
        let mut names: Vec<&str> = own()
            .flat_map(|(_, module)| module.lua.iter().map(String::as_str))
            .collect();
        let (file_count, name_count) = (files.len(), names.len());
        files.sort();
        files.dedup();
        names.sort();
        names.dedup();
        assert_eq!(
            (files.len(), names.len()),
            (file_count, name_count),
            "a file or a Lua name is listed twice"
        );
        for (package, module) in table.modules() {
            assert!(
                module.aliases().len() < module.lua.len(),
                "{}: require would not look into {}",
                package.name,
                module.file
            );
        }
    }

    #[test]
    fn a_bundle_holds_what_it_may_and_nothing_twice() {
        let table = Table::read().unwrap();
        let package = table
            .packages
            .iter()
            .find(|package| package.bundle.is_some())
            .unwrap();
        let bundle = package.bundle.as_ref().unwrap();
        let [module] = &package.modules[..] else {
            panic!("one module in a bundle");
        };
        for (other, held) in table.modules().filter(|(_, module)| !module.bundled) {
            let apart =
                bundle.without.contains(&other.name) || package.depends.contains(&other.name);
            for name in &held.lua {
                let count = module.lua.iter().filter(|one| *one == name).count();
                assert_eq!(count, usize::from(!apart), "{name}");
            }
        }
        for name in &bundle.without {
            assert!(
                table.packages.iter().any(|other| other.name == *name),
                "{name}"
            );
        }
        assert!(bundle.source().exists());
    }

    /// A package manager refuses two packages with one file.
    #[test]
    fn no_two_packages_have_a_file_in_common() {
        let table = Table::read().unwrap();
        let mut owners = std::collections::BTreeMap::new();
        for package in &table.packages {
            for entry in crate::stage::entries(&table, package) {
                let other = owners.insert(entry.path.clone(), &package.name);
                assert_eq!(other, None, "{} is also in {}", entry.path, package.name);
            }
        }
    }
}
