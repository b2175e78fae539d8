//! What the tool prints about packages and changes: the text that users' scripts read.

use uci::{Change, Command, Package, Section, Value};

/// How sections and lists are shown.
pub struct Form<'a> {
    pub delimiter: &'a [u8],
    /// Sections without a name by their generated names, not by type and position.
    pub generated_names: bool,
}

impl Form<'_> {
    /// All of a package.
    pub fn package(&self, package: &Package, text: &mut Vec<u8>) {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for section in package.sections() {
            let known = counts.iter().position(|(kind, _)| *kind == section.kind());
            let at = known.unwrap_or_else(|| {
                counts.push((section.kind(), 0));
                counts.len() - 1
            });
            let position = counts[at].1;
            counts[at].1 += 1;
            let by_position = section.is_anonymous() && !self.generated_names;
            let name = match by_position {
                true => format!("@{}[{position}]", section.kind()),
                false => section.name().to_owned(),
            };
            self.section(package, section, &name, text);
        }
    }

    /// A section, under this name.
    pub fn section(&self, package: &Package, section: &Section, name: &str, text: &mut Vec<u8>) {
        let line = format!("{}.{name}={}\n", package.name(), section.kind());
        text.extend_from_slice(line.as_bytes());
        for entry in section.entries() {
            self.option(package, name, entry.name(), entry.value(), text);
        }
    }

    /// An option of a section of this name.
    pub fn option(
        &self,
        package: &Package,
        section: &str,
        option: &str,
        value: &Value,
        text: &mut Vec<u8>,
    ) {
        let path = format!("{}.{section}.{option}=", package.name());
        text.extend_from_slice(path.as_bytes());
        for (position, item) in value.items().enumerate() {
            if position > 0 {
                text.extend_from_slice(self.delimiter);
            }
            uci::quote(item, text);
        }
        text.push(b'\n');
    }

    /// A value alone. Items of a list that hold blanks are quoted, or nobody could tell where they end.
    pub fn value(&self, value: &Value, text: &mut Vec<u8>) {
        for (position, item) in value.items().enumerate() {
            if position > 0 {
                text.extend_from_slice(self.delimiter);
            }
            match value.is_list() && item.iter().any(|byte| b" \t\r\n".contains(byte)) {
                true => uci::quote(item, text),
                false => text.extend_from_slice(item),
            }
        }
        text.push(b'\n');
    }
}

/// A pending change. Whether a section is set, added, renamed or moved looks the same, as it does in OpenWrt's tool.
pub fn change(package: &str, change: &Change, text: &mut Vec<u8>) {
    let operator = match change.command() {
        Command::Add | Command::Set | Command::Rename | Command::Reorder => "=",
        Command::Append => "+=",
        Command::RemoveValue => "-=",
        Command::Remove => {
            text.push(b'-');
            ""
        }
    };
    text.extend_from_slice(format!("{package}.{}", change.section()).as_bytes());
    if let Some(option) = change.option() {
        text.extend_from_slice(format!(".{option}").as_bytes());
    }
    if !operator.is_empty() {
        text.extend_from_slice(operator.as_bytes());
        uci::quote(change.value().unwrap_or_default(), text);
    }
    text.push(b'\n');
}
