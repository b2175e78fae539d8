//! Writes what derives from the package list into the files of others who need it: the buildroot's Makefile and the README.

use crate::run::{fail, read_text, write, Result};
use crate::stage::{entries, EntryKind};
use crate::table::{Module, Package, Table};
use crate::workspace;
use std::path::PathBuf;

/// `cargo xtask derive`
pub fn command(_: &[String]) -> Result<()> {
    for (file, text) in texts(&Table::read()?)? {
        if read_text(&file).ok().as_ref() != Some(&text) {
            write(&file, text)?;
            println!("    wrote {}", file.display());
        }
    }
    Ok(())
}

/// Every derived file as it should be.
fn texts(table: &Table) -> Result<Vec<(PathBuf, String)>> {
    let root = workspace::root();
    let readme = root.join("README.md");
    let text = with_modules(&read_text(&readme)?, table)?;
    let fragment = root.join("package/lua-eco/packages.mk");
    Ok(vec![(readme, text), (fragment, packages_mk(table))])
}

/// The packages as variables of make.
fn packages_mk(table: &Table) -> String {
    let mut text = String::from(
        "# Written by `cargo xtask derive` from ../packages.toml.\n\
         # A module is file:features, an alias name:file.\n",
    );
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name}:={value}\n"));
    line("ECO_VERSION", workspace::version());
    line("ECO_MAINTAINER", &table.maintainer);
    line("ECO_SECTION", &table.section);
    line("ECO_RELEASE", &table.release.to_string());
    line("ECO_DIRECTORY", &table.directory);
    line("ECO_LINKS", &table.links.join(" "));
    line("ECO_ABI_SINCE", &table.abi_since);
    line("ECO_FORMER", &table.former.join(" "));
    let modules = table.modules().map(|(_, module)| {
        let features = module.features.join(",");
        format!("{}:{features}", module.file)
    });
    line("ECO_MODULES", &modules.collect::<Vec<_>>().join(" "));
    let aliases = table.modules().flat_map(|(_, module)| {
        let names = module.aliases().into_iter();
        names.map(|name| format!("{name}:{}", module.file))
    });
    line("ECO_ALIASES", &aliases.collect::<Vec<_>>().join(" "));
    let names = table.packages.iter().map(|package| package.name.as_str());
    line("ECO_PACKAGES", &names.collect::<Vec<_>>().join(" "));
    for package in &table.packages {
        let mut of = |what: &str, value: &str| {
            if !value.is_empty() {
                line(&format!("{what}_{}", package.name), value);
            }
        };
        of("ECO_TITLE", &package.title);
        of("ECO_DESCRIPTION", &package.description);
        of("ECO_NEEDS", &package.depends.join(" "));
        of("ECO_SYSTEM", &package.system.join(" "));
        let files = package.modules.iter().map(|module| module.file.as_str());
        of("ECO_FILES", &files.collect::<Vec<_>>().join(" "));
        if let Some(bundle) = &package.bundle {
            of("ECO_LOADER", &bundle.loader);
            let links = entries(table, package).into_iter();
            let links = links.filter_map(|entry| match entry.kind {
                EntryKind::Link(text) if text.ends_with(".lua") => {
                    Some(format!("{}:{text}", entry.path))
                }
                _ => None,
            });
            of("ECO_LOADS", &links.collect::<Vec<_>>().join(" "));
        }
        let program = package.program.as_ref();
        of("ECO_PROGRAM", program.map_or("", |program| program.name()));
        of("ECO_SCRIPT", package.script.as_deref().unwrap_or_default());
    }
    text
}

const START: &str = "<!-- modules: written by `cargo xtask derive` -->\n";
const END: &str = "<!-- /modules -->";

/// The README with the table of modules between its marks.
fn with_modules(readme: &str, table: &Table) -> Result<String> {
    let parts = readme
        .split_once(START)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        return fail("README.md has no place for the table of modules");
    };
    let mut rows = String::from("| package | modules | documents |\n| --- | --- | --- |\n");
    for package in &table.packages {
        rows.push_str(&row(package)?);
    }
    Ok(format!("{before}{START}{rows}{END}{after}"))
}

fn row(package: &Package) -> Result<String> {
    if let Some(bundle) = &package.bundle {
        let without: Vec<String> = bundle
            .without
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        return Ok(format!(
            "| `{}` | all of these packages but {}, in one file | [openwrt](openwrt/README.md#all-modules-in-one-file) |\n",
            package.name,
            without.join(", ")
        ));
    }
    let mut modules = Vec::new();
    let mut documents = Vec::new();
    if package.program.is_some() {
        modules.push("the interpreter".to_string());
        documents.push("[interpreter](docs/interpreter.md)".to_string());
    }
    if let Some(script) = &package.script {
        modules.push(format!("the program `{script}`"));
    }
    for name in package.modules.iter().flat_map(Module::outer_names) {
        modules.push(format!("`{name}`"));
        let document = document(name)?;
        let link = format!("[{document}](docs/{document}.md)");
        if !documents.contains(&link) {
            documents.push(link);
        }
    }
    Ok(format!(
        "| `{}` | {} | {} |\n",
        package.name,
        modules.join(", "),
        documents.join(", ")
    ))
}

/// The name of a module's document: that of the module without `eco.`, that of the system it is of, its last part, or the
/// part before, which it shares with others.
fn document(module: &str) -> Result<String> {
    let whole = module.trim_start_matches("eco.").replace('.', "-");
    let system = module.split('.').next().filter(|name| *name != "eco");
    let last = module.rsplit('.').next();
    let shared = module.rsplit('.').nth(1);
    let there = |name: &&str| workspace::root().join(format!("docs/{name}.md")).exists();
    let names = [Some(whole.as_str()), system, last, shared];
    let found = names.into_iter().flatten().find(there);
    match found {
        Some(name) => Ok(name.to_string()),
        None => fail(format!("docs/ has nothing about {module}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn derived_texts_are_up_to_date() {
        for (file, text) in texts(&Table::read().unwrap()).unwrap() {
            let own = read_text(&file).unwrap_or_default();
            assert!(own == text, "{}: run `cargo xtask derive`", file.display());
        }
    }

    /// The features of the crate, each with those it brings.
    fn features() -> BTreeMap<String, Vec<String>> {
        let manifest = read_text(&workspace::root().join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        manifest["features"].clone().try_into().unwrap()
    }

    /// Everything that some features bring, themselves included.
    fn closure(names: &[String]) -> BTreeSet<String> {
        let features = features();
        let mut found = BTreeSet::new();
        let mut rest = names.to_vec();
        while let Some(name) = rest.pop() {
            if let Some(more) = features.get(&name).filter(|_| found.insert(name)) {
                rest.extend(more.iter().cloned());
            }
        }
        found
    }

    #[test]
    fn the_crate_has_the_features_of_the_list() {
        let known = features();
        let everything = closure(&["all".to_string()]);
        let mut used = BTreeSet::new();
        for (package, module) in Table::read().unwrap().modules() {
            for feature in &module.features {
                assert!(known.contains_key(feature), "{}: {feature}", package.name);
                assert!(everything.contains(feature), "`all` lacks {feature}");
            }
            used.extend(closure(&module.features));
        }
        let settings = [
            "default",
            "module",
            "interpreter",
            "shared-lua",
            "program",
            "console",
            "all",
            "ssl-system",
        ];
        for feature in known.keys() {
            let is_setting = settings.contains(&feature.as_str());
            assert!(
                is_setting || used.contains(feature),
                "no module uses {feature}"
            );
        }
    }

    #[test]
    fn the_crate_opens_the_modules_of_the_list() {
        // FEATURE c"NAME" SYMBOL = …
        let text = read_text(&workspace::root().join("src/lib.rs")).unwrap();
        let mut opened: BTreeMap<String, String> = BTreeMap::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [feature, name, symbol, "=", ..] = words[..] {
                let Some(name) = name.strip_prefix("c\"") else {
                    continue;
                };
                let name = name.trim_end_matches('"');
                // Lua cuts a name at its hyphen.
                let symbolic = name.split('-').next().unwrap_or(name);
                assert_eq!(symbol, format!("luaopen_{}", symbolic.replace('.', "_")));
                opened.insert(name.to_string(), feature.trim_matches('"').to_string());
            }
        }
        let table = Table::read().unwrap();
        for (_, module) in table.modules() {
            let features = closure(&module.features);
            for name in &module.lua {
                let feature = opened.get(name);
                let feature = feature.unwrap_or_else(|| panic!("src/lib.rs does not open {name}"));
                assert!(features.contains(feature), "{}: {feature}", module.file);
            }
        }
        for name in opened.keys().filter(|name| !name.contains(".internal.")) {
            let mut names = table.modules().flat_map(|(_, module)| &module.lua);
            assert!(
                names.any(|listed| listed == name),
                "packages.toml lacks {name}"
            );
        }
    }
}
