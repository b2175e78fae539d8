//! Writes packages in their one canonical form, which every reader of the format takes for the same data.

use crate::package::Package;
use crate::value::Value;

/// What a text of a package holds beside its sections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// The `package` line.
    pub package_line: bool,
    /// Generated names, as if somebody had given them.
    pub generated_names: bool,
}

impl Package {
    /// The text of its configuration file.
    ///
    /// ```
    /// let package = uci::Package::parse("demo", b"config demo s1; option foo \"it's\"\nlist arr x\nlist arr y")?;
    /// let text = package.to_text();
    /// assert_eq!(text, b"\nconfig demo 's1'\n\toption foo 'it'\\''s'\n\tlist arr 'x'\n\tlist arr 'y'\n\n");
    /// # Ok::<(), uci::ParseError>(())
    /// ```
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        self.write(Style::default(), &mut text);
        text
    }

    /// Its text with a `package` line, for [`import`](crate::import).
    pub fn export(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let style = Style {
            package_line: true,
            ..Style::default()
        };
        self.write(style, &mut text);
        text
    }

    /// Appends its text.
    pub fn write(&self, style: Style, text: &mut Vec<u8>) {
        if style.package_line {
            text.extend_from_slice(b"package ");
            text.extend_from_slice(self.name().as_bytes());
            text.push(b'\n');
        }
        for section in self.sections() {
            text.extend_from_slice(b"\nconfig ");
            write_type(section.kind().as_bytes(), text);
            if style.generated_names || !section.is_anonymous() {
                text.push(b' ');
                quote(section.name().as_bytes(), text);
            }
            text.push(b'\n');
            for entry in section.entries() {
                let command: &[u8] = match entry.value() {
                    Value::Single(_) => b"\toption ",
                    Value::List(_) => b"\tlist ",
                };
                for item in entry.value().items() {
                    text.extend_from_slice(command);
                    text.extend_from_slice(entry.name().as_bytes());
                    text.push(b' ');
                    quote(item, text);
                    text.push(b'\n');
                }
            }
        }
        text.push(b'\n');
    }
}

/// A type stands as it is, unless it would be read as something else.
fn write_type(kind: &[u8], text: &mut Vec<u8>) {
    match kind.iter().any(|byte| b"#;\\'\"".contains(byte)) {
        true => quote(kind, text),
        false => text.extend_from_slice(kind),
    }
}

/// Appends a value in single quotes, as files of this format and shells read it; a quote in it is written as `'\''`.
pub fn quote(value: &[u8], text: &mut Vec<u8>) {
    text.push(b'\'');
    for &byte in value {
        if byte == b'\'' {
            text.extend_from_slice(b"'\\'");
        }
        text.push(byte);
    }
    text.push(b'\'');
}
