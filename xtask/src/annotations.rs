//! `cargo xtask annotations`: the checker of editors, over the examples, the annotations and the Lua in the documents.

use crate::build::work_folder;
use crate::check::cargo_tool;
use crate::run::{copy, fail, fresh_folder, read_text, step, timed, write, Result};
use crate::toolchain::Pins;
use crate::workspace;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a block in a document begins and ends with.
const FENCE: &str = "```";

pub fn command(_: &[String]) -> Result<()> {
    let root = workspace::root();
    let folder = work_folder("annotations")?;
    fresh_folder(&folder)?;
    copy(&root.join(".luarc.json"), &folder.join(".luarc.json"))?;
    let types = copy_lua(&root.join("lua/types"), &folder.join("lua/types"))?;
    let examples = copy_lua(&root.join("examples"), &folder.join("examples"))?;
    let mut blocks = 0;
    for document in documents(&root)? {
        let name = document.file_stem().unwrap_or_default().display();
        for (line, block) in lua_blocks(&read_text(&document)?) {
            // Its lines have the numbers that they have in the document.
            write(&folder.join(format!("documents/{name}-{line}.lua")), block)?;
            blocks += 1;
        }
    }
    if types == 0 || examples == 0 || blocks == 0 {
        return fail("there is nothing to check");
    }
    let version = Pins::read()?.emmylua_check.version;
    let checker = cargo_tool("emmylua_check", &version)?.join("emmylua_check");
    step(&format!(
        "{examples} files of examples, {blocks} blocks of documents, {types} files of annotations"
    ));
    // Hints stay out: a block shows functions that nobody calls there.
    timed(
        "annotations",
        Command::new(checker).current_dir(&folder).args([
            "--warnings-as-errors",
            "--severity",
            "warn",
            ".",
        ]),
    )
}

/// The documents whose blocks are whole scripts.
fn documents(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![root.join("README.md")];
    for entry in std::fs::read_dir(root.join("docs"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    Ok(found)
}

/// Copies the Lua files of a folder and those below it; says how many.
fn copy_lua(from: &Path, to: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            count += copy_lua(&path, &target)?;
        } else if path.extension().is_some_and(|extension| extension == "lua") {
            copy(&path, &target)?;
            count += 1;
        }
    }
    Ok(count)
}

/// The blocks of a document in Lua: the line of each, and its text after as many empty lines as come before it.
fn lua_blocks(document: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut block: Option<(usize, String)> = None;
    let mut is_other = false;
    for (index, line) in document.lines().enumerate() {
        if let Some(language) = line.trim_start().strip_prefix(FENCE) {
            if let Some(done) = block.take() {
                blocks.push(done);
            } else if is_other {
                is_other = false;
            } else if language == "lua" {
                block = Some((index + 2, "\n".repeat(index + 1)));
            } else {
                is_other = true;
            }
        } else if let Some((_, text)) = &mut block {
            // The name of an interpreter may be in the first line of a file alone.
            if !line.starts_with("#!") {
                text.push_str(line);
            }
            text.push('\n');
        }
    }
    blocks
}

#[test]
fn blocks_keep_their_lines() {
    let document = "text\n```lua\n#!/usr/bin/env eco\nprint(1)\n```\n```sh\neco x.lua\n```\n\n  ```lua\nf()\n```\n";
    let blocks = lua_blocks(document);
    assert_eq!(
        blocks,
        [
            (3, "\n\n\nprint(1)\n".to_string()),
            (11, format!("{}f()\n", "\n".repeat(10))),
        ]
    );
}
