//! Configurations like those of routers: in canonical form they are read and written byte for byte.

use crate::support::Router;
use uci::Package;

/// Name and text of each file in `tests/configs/`.
fn configs() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/configs");
    let entries = std::fs::read_dir(folder).expect("the folder of configurations");
    let mut configs: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, std::fs::read(path).expect("a configuration"))
        })
        .collect();
    configs.sort();
    assert!(configs.len() >= 10);
    configs
}

#[test]
fn canonical_configurations_are_written_as_they_were_read() {
    for (name, text) in configs() {
        let package =
            Package::parse(&name, &text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            String::from_utf8_lossy(&package.to_text()),
            String::from_utf8_lossy(&text),
            "{name}"
        );
        assert!(
            uci::import(&package.export()).is_ok_and(|read| read == [package]),
            "{name}"
        );
    }
}

#[test]
fn the_tool_exports_and_imports_all() {
    let router = Router::new();
    let mut all = Vec::new();
    for (name, text) in configs() {
        router.write(&format!("config/{name}"), &text);
        all.extend_from_slice(format!("package {name}\n").as_bytes());
        all.extend_from_slice(&text);
    }
    router.uci(&["export"]).stdout(&all).ok();
    let copy = Router::new();
    copy.uci(&["import"]).stdin(&all).ok();
    for (name, text) in configs() {
        assert_eq!(
            copy.read(&format!("config/{name}")).as_bytes(),
            text,
            "{name}"
        );
    }
}

/// Other spellings of the same data come out in the one form.
#[test]
fn spellings_of_the_same_data() {
    for (name, text) in configs() {
        let canonical = String::from_utf8(text).expect("text");
        if canonical.contains("'\\''") {
            continue;
        }
        // Inside of quotes a carriage return would count.
        let crlf = canonical
            .replace("\n\t", "\r\n\t")
            .replace("\n\n", "\r\n\r\n");
        let crlf = if name == "system" {
            canonical.clone()
        } else {
            crlf
        };
        let double = canonical.replace('\'', "\"");
        let short = canonical
            .replace("\noption ", "\no ")
            .replace("\tlist ", " l\t")
            .replace("config ", "c ");
        let unfinished = canonical.trim_end();
        for spelling in [crlf.as_str(), &double, &short, unfinished] {
            let package = Package::parse(&name, spelling.as_bytes())
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(
                String::from_utf8_lossy(&package.to_text()),
                canonical,
                "{name}"
            );
        }
    }
}
