//! The feed index (`Packages`): control paragraphs, each with the name, size and digest of its file.

use crate::run::{fail, Result};
use crate::version::Relation;
use std::fmt::Write;

/// One package of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The architecture it is for.
    pub architecture: String,
    /// The packages it needs.
    pub depends: Vec<Relation>,
    /// The packages it does not work with.
    pub conflicts: Vec<Relation>,
    /// Further names that it goes by.
    pub provides: Vec<String>,
    /// Its file beside the index.
    pub filename: String,
    /// How many bytes the file has.
    pub size: u64,
    /// The file's SHA-256 digest in hexadecimal.
    pub sha256: String,
}

/// A control paragraph with the three fields that tie it to its file, which stand before the description.
pub fn paragraph(control: &str, filename: &str, size: usize, sha256: &str) -> String {
    let file = format!("Filename: {filename}\nSize: {size}\nSHA256sum: {sha256}\n");
    match control.find("Description:") {
        Some(position) => format!("{}{file}{}", &control[..position], &control[position..]),
        None => format!("{control}{file}"),
    }
}

/// Joins paragraphs into an index.
pub fn join(paragraphs: &[String]) -> String {
    let mut index = String::new();
    for paragraph in paragraphs {
        let _ = writeln!(index, "{}\n", paragraph.trim_end());
    }
    // Some usign versions hash a message of such a length wrongly.
    if matches!((64 + index.len()) % 128, 110 | 111) {
        index.push_str("\n\n");
    }
    index
}

/// Reads an index; every record must be whole and safe to use as a file name.
pub fn parse(index: &str) -> Result<Vec<Record>> {
    let mut records: Vec<Record> = Vec::new();
    for paragraph in index
        .split("\n\n")
        .map(str::trim)
        .filter(|paragraph| !paragraph.is_empty())
    {
        let record = record(paragraph)?;
        if records.iter().any(|other| other.package == record.package) {
            return fail(format!("index lists {} twice", record.package));
        }
        records.push(record);
    }
    Ok(records)
}

fn record(paragraph: &str) -> Result<Record> {
    let package = field(paragraph, "Package")?;
    let filename = field(paragraph, "Filename")?;
    for name in [package, filename] {
        if !is_name(name) {
            return fail(format!("index holds an unsafe name {name:?}"));
        }
    }
    let sha256 = field(paragraph, "SHA256sum")?;
    if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return fail(format!("index holds no digest of {package}"));
    }
    let relations = |name| Relation::parse_list(field(paragraph, name).unwrap_or_default());
    let provides = relations("Provides")?;
    Ok(Record {
        package: package.to_string(),
        version: field(paragraph, "Version")?.to_string(),
        architecture: field(paragraph, "Architecture")?.to_string(),
        depends: relations("Depends")?,
        conflicts: relations("Conflicts")?,
        provides: provides.into_iter().map(|one| one.name).collect(),
        filename: filename.to_string(),
        size: field(paragraph, "Size")?
            .parse()
            .map_err(|_| format!("index holds no size of {package}"))?,
        sha256: sha256.to_ascii_lowercase(),
    })
}

/// The value of a field of a paragraph; exactly one line may have it.
pub fn field<'a>(paragraph: &'a str, name: &str) -> Result<&'a str> {
    let mut values = paragraph
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.trim()),
        (None, _) => fail(format!("field {name} is missing")),
        (Some(_), Some(_)) => fail(format!("field {name} twice")),
    }
}

/// Names: letters, digits, `_ . + -`, not beginning with a dot.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.+-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::list;

    fn sample() -> String {
        let control = "Package: a\nVersion: 1-1\nDepends: libc, b (>= 2)\nConflicts: c (<< 3)\nProvides: d\nArchitecture: x\nDescription: text\n more\n";
        join(&[paragraph(control, "a_1-1_x.ipk", 7, &"ab".repeat(32))])
    }

    #[test]
    fn what_is_written_is_read() {
        let records = parse(&sample()).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(
            (records[0].filename.as_str(), records[0].size),
            ("a_1-1_x.ipk", 7)
        );
        assert_eq!(list(&records[0].depends), "libc, b (>= 2)");
        assert_eq!(list(&records[0].conflicts), "c (<< 3)");
        assert_eq!(records[0].provides, ["d"]);
        assert!(sample().contains("SHA256sum: abab"));
        assert!(sample().find("SHA256sum").unwrap() < sample().find("Description").unwrap());
    }

    #[test]
    fn lengths_that_usign_hashes_wrongly_are_avoided() {
        for length in 0..300 {
            let index = join(&["x".repeat(length)]);
            assert!(!matches!((64 + index.len()) % 128, 110 | 111), "{length}");
        }
    }

    #[test]
    fn unsafe_names_are_refused() {
        for name in ["../a.ipk", "/a.ipk", "a/b.ipk", ".ipk", "", "a b.ipk"] {
            assert!(
                parse(&sample().replace("a_1-1_x.ipk", name)).is_err(),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_missing_or_doubled_field_is_refused() {
        for field in [
            "Package",
            "Version",
            "Architecture",
            "Filename",
            "Size",
            "SHA256sum",
        ] {
            assert!(
                parse(&sample().replace(&format!("{field}:"), "Other:")).is_err(),
                "{field}"
            );
            assert!(
                parse(&sample().replacen(
                    &format!("{field}:"),
                    &format!("{field}: q\n{field}:"),
                    1
                ))
                .is_err(),
                "{field}"
            );
        }
    }

    #[test]
    fn no_cut_panics() {
        let index = sample();
        for length in 0..index.len() {
            let _ = parse(&index[..length]);
        }
    }
}
