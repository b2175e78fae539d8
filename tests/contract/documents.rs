//! Examples run as they stand; Lua in the documents is at least Lua.

use crate::support::{command, raw, workspace};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(workspace().join(folder)).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|is| is == extension))
        .collect();
    found.sort();
    found
}

/// A port nobody listens on.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    listener
        .local_addr()
        .expect("its address")
        .port()
        .to_string()
}

/// Servers go on until they are interrupted; the others end by themselves. Neither complains.
#[test]
fn examples_run() {
    for path in files("examples", "lua") {
        let text = std::fs::read_to_string(&path).expect("an example");
        let name = path.display().to_string();
        assert!(
            text.contains(&format!(
                "eco examples/{}",
                path.file_name().unwrap_or_default().display()
            )),
            "{name} does not say how to run it"
        );
        command(&[&name, &free_port()])
            .stdout_has("")
            .interrupt(400)
            .eco();
    }
}

fn lua_blocks(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a document");
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        let fence = line.trim_start();
        if fence.starts_with("```") {
            match block.take() {
                Some(done) => blocks.push(done),
                None if fence == "```lua" => block = Some(String::new()),
                None => {}
            }
        } else if let Some(block) = &mut block {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks
}

#[test]
fn lua_in_documents_compiles() {
    let mut documents = files("docs", "md");
    documents.extend(files(".", "md"));
    for path in documents {
        for block in lua_blocks(&path) {
            let checker = format!(
                "assert(load(io.read('a'):gsub('^#[^\\n]*', ''), '={}'))",
                path.display()
            );
            raw(&checker).stdin(&block).eco();
        }
    }
}
