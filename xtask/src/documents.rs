//! Checks what the documents say about commands and packages against the commands and the package list.

use crate::run::read_text;
use crate::table::Table;
use crate::{target, workspace, COMMANDS};
use std::path::PathBuf;

/// Every document for people.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "feeds", "openwrt", "benches"] {
        for entry in std::fs::read_dir(workspace::root().join(folder))
            .into_iter()
            .flatten()
        {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The words that follow each `prefix` in a text, up to the end of the line or of the quoted code.
fn mentions<'a>(text: &'a str, prefix: &str) -> Vec<Vec<&'a str>> {
    let rests = text.split(prefix).skip(1);
    rests
        .map(|rest| {
            rest.split(['\n', '`'])
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .collect()
        })
        .collect()
}

#[test]
fn documents_name_commands_that_exist() {
    let makefile = read_text(&workspace::root().join("Makefile")).unwrap();
    let rules: Vec<&str> = makefile
        .lines()
        .find_map(|line| line.strip_prefix(".PHONY: "))
        .unwrap()
        .split(' ')
        .collect();
    let architectures = target::names().unwrap();
    for path in documents() {
        let text = read_text(&path).unwrap();
        for words in mentions(&text, "cargo xtask ") {
            let name = words.first().copied().unwrap_or_default();
            assert!(
                name == "…" || COMMANDS.iter().any(|command| command.name == name),
                "{}: cargo xtask {name}",
                path.display()
            );
        }
        // A sentence may use the word, too: only a line or a quotation that begins with it is a command.
        for start in ["`make ", "\nmake "] {
            for words in mentions(&text, start) {
                let name = words.first().copied().unwrap_or_default();
                let of_the_buildroot =
                    path.ends_with("openwrt/README.md") && !rules.contains(&name);
                assert!(
                    of_the_buildroot || rules.contains(&name),
                    "{}: make {name}",
                    path.display()
                );
            }
        }
        for words in mentions(&text, "ARCH=") {
            let name = words
                .first()
                .copied()
                .unwrap_or_default()
                .trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
            assert!(
                ["", "NAME"].contains(&name) || architectures.iter().any(|known| known == name),
                "{}: {name}",
                path.display()
            );
        }
    }
}

#[test]
fn the_rock_is_of_this_version() {
    let rock = format!("lua-eco-{}-1", workspace::version());
    let file = workspace::root().join(format!("package/{rock}.rockspec"));
    let text = read_text(&file).unwrap();
    let version = format!("version = '{}-1'", workspace::version());
    assert!(text.contains(&version), "{}", file.display());
    let tag = format!("tag = 'v{}'", workspace::version());
    assert!(text.contains(&tag), "{}", file.display());
}

#[test]
fn the_readme_names_every_package_and_module() {
    let table = Table::read().unwrap();
    let readme = read_text(&workspace::root().join("README.md")).unwrap();
    for package in &table.packages {
        assert!(
            readme.contains(&format!("`{}`", package.name)),
            "the README does not name {}",
            package.name
        );
    }
    for (_, module) in table.modules() {
        for name in module.outer_names() {
            assert!(
                readme.contains(&format!("`{name}`")),
                "the README does not name {name}"
            );
        }
    }
}
