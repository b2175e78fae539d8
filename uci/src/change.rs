//! One change to a package, as the files of pending changes hold it, one a line: `+network.cfg04a18a='interface'`.
//!
//! Making a change and replaying it are the same code, so that what was recorded leads to what was seen.

use crate::lookup::leading_number;
use crate::name::{is_name, is_type, is_value, looks_generated, text};
use crate::package::Package;
use crate::section::SectionId;
use crate::value::Value;
use crate::write::quote;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `+`: a section without a name is added; the value is its type.
    Add,
    /// No sign: a section of the type, or an option with the value.
    Set,
    /// `-`: a section, an option, or the item of a list at the position that the value gives.
    Remove,
    /// `@`: a section or an option is renamed to the value.
    Rename,
    /// `^`: a section moves to the position that the value gives.
    Reorder,
    /// `|`: the value is appended to a list.
    Append,
    /// `~`: every item that equals the value is removed from a list.
    RemoveValue,
}

impl Command {
    /// The sign at the beginning of its line.
    pub fn sign(self) -> Option<char> {
        match self {
            Command::Add => Some('+'),
            Command::Set => None,
            Command::Remove => Some('-'),
            Command::Rename => Some('@'),
            Command::Reorder => Some('^'),
            Command::Append => Some('|'),
            Command::RemoveValue => Some('~'),
        }
    }

    fn of_sign(sign: u8) -> Command {
        match sign {
            b'+' => Command::Add,
            b'-' => Command::Remove,
            b'@' => Command::Rename,
            b'^' => Command::Reorder,
            b'|' => Command::Append,
            b'~' => Command::RemoveValue,
            _ => Command::Set,
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub(crate) command: Command,
    pub(crate) section: Box<str>,
    pub(crate) option: Option<Box<str>>,
    pub(crate) value: Option<Box<[u8]>>,
}

impl Change {
    /// What is done.
    pub fn command(&self) -> Command {
        self.command
    }

    /// The name of the section it is done to.
    pub fn section(&self) -> &str {
        &self.section
    }

    /// The option, unless it is done to the section itself.
    pub fn option(&self) -> Option<&str> {
        self.option.as_deref()
    }

    /// What it is done with; only removals may do without.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    /// Appends the line of this change in the file of a package.
    pub fn write(&self, package: &str, line: &mut Vec<u8>) {
        if let Some(sign) = self.command.sign() {
            line.push(sign as u8);
        }
        line.extend_from_slice(package.as_bytes());
        for part in [Some(&self.section), self.option.as_ref()]
            .into_iter()
            .flatten()
        {
            line.push(b'.');
            line.extend_from_slice(part.as_bytes());
        }
        if let Some(value) = &self.value {
            line.push(b'=');
            quote(value, line);
        }
        line.push(b'\n');
    }

    /// Reads one line, unquoted.
    pub(crate) fn parse(package: &str, line: &[u8]) -> Option<Change> {
        let command = Command::of_sign(*line.first()?);
        let line = match command {
            Command::Set => line,
            _ => &line[1..],
        };
        let (path, value) = match line.iter().position(|&byte| byte == b'=') {
            Some(at) => (&line[..at], Some(&line[at + 1..])),
            None => (line, None),
        };
        let mut parts = path
            .strip_prefix(package.as_bytes())?
            .split(|&byte| byte == b'.');
        if !parts.next()?.is_empty() {
            return None;
        }
        let section = parts.next().filter(|part| is_name(part))?;
        let option = parts.next();
        if !option.is_none_or(is_name) || parts.next().is_some() || !value.is_none_or(is_value) {
            return None;
        }
        let fits = match command {
            Command::Add => option.is_none(),
            Command::Reorder => option.is_none(),
            Command::Append | Command::RemoveValue => option.is_some(),
            Command::Rename => value.is_some_and(is_name),
            Command::Set | Command::Remove => true,
        };
        if !fits || value.is_none() && command != Command::Remove {
            return None;
        }
        Some(Change {
            command,
            section: text(section).into(),
            option: option.map(|option| text(option).into()),
            value: value.map(Into::into),
        })
    }

    /// Makes the change; false if it does not apply, because what it is done to does not exist or cannot become so.
    pub(crate) fn apply(&self, package: &mut Package, aliases: &mut Aliases) -> bool {
        let value = self.value.as_deref().unwrap_or_default();
        if self.command == Command::Add {
            return is_type(value) && self.add(package, text(value), aliases);
        }
        let Some(id) = aliases.find(package, &self.section) else {
            let creates = self.command == Command::Set
                && self.option.is_none()
                && is_type(value)
                && !looks_generated(self.section.as_bytes());
            if creates {
                package.append(Some(&self.section), text(value));
            }
            return creates;
        };
        let applied = match &self.option {
            None => self.apply_to_section(package, id, value),
            Some(option) => self.apply_to_option(package, id, option, value),
        };
        let renamed = self.command == Command::Rename && self.option.is_none();
        if renamed || package.sections.get(id).is_none() {
            aliases.0.retain(|(_, added)| *added != id);
        }
        applied.is_some()
    }

    fn add(&self, package: &mut Package, kind: &str, aliases: &mut Aliases) -> bool {
        let taken = package.sections.find(&self.section).is_some();
        let id = package.append(None, kind);
        if taken {
            aliases.0.push((self.section.clone(), id));
        } else {
            package
                .sections
                .rename(id, |section| section.name = self.section.clone());
        }
        true
    }

    fn apply_to_section(&self, package: &mut Package, id: SectionId, value: &[u8]) -> Option<()> {
        match self.command {
            Command::Set if !value.is_empty() => {
                if !is_type(value) {
                    return None;
                }
                package.sections.get_mut(id)?.kind = text(value).into();
            }
            Command::Set | Command::Remove => {
                package.sections.remove(id)?;
            }
            Command::Rename => {
                let name = text(value);
                let taken = package.sections.find(name).is_some_and(|other| other != id);
                if taken || looks_generated(value) {
                    return None;
                }
                package.sections.rename(id, |section| {
                    section.name = name.into();
                    section.anonymous = false;
                });
            }
            Command::Reorder => {
                let position = leading_number(value).unwrap_or(0);
                let position = usize::try_from(position).unwrap_or(0);
                package.sections.move_to(id, position);
            }
            Command::Add | Command::Append | Command::RemoveValue => return None,
        }
        Some(())
    }

    fn apply_to_option(
        &self,
        package: &mut Package,
        id: SectionId,
        option: &str,
        value: &[u8],
    ) -> Option<()> {
        let section = package.sections.get_mut(id)?;
        match self.command {
            Command::Set if value.is_empty() => {
                section.remove(option);
            }
            Command::Set => *section.value_or_new(option) = Value::Single(value.into()),
            Command::Append => section.value_or_new(option).push(value),
            Command::Remove => match section.value_mut(option)? {
                Value::List(items) if !value.is_empty() => {
                    let position = leading_number(value).and_then(|at| usize::try_from(at).ok());
                    if let Some(position) = position.filter(|&at| at < items.len()) {
                        items.remove(position);
                    }
                }
                _ => {
                    section.remove(option);
                }
            },
            Command::RemoveValue => {
                if let Value::List(items) = section.value_mut(option)? {
                    items.retain(|item| **item != *value);
                }
            }
            Command::Rename => {
                let (name, entry) = (text(value), section.entries.find(option)?);
                if section
                    .entries
                    .find(name)
                    .is_some_and(|other| other != entry)
                {
                    return None;
                }
                section
                    .entries
                    .rename(entry, |entry| entry.name = name.into());
            }
            Command::Add | Command::Reorder => return None,
        }
        Some(())
    }
}

/// Sections that a series of changes has added under a name that another section has by now. In what follows in the
/// series that name means the added section.
#[derive(Default)]
pub(crate) struct Aliases(Vec<(Box<str>, SectionId)>);

impl Aliases {
    fn find(&self, package: &Package, name: &str) -> Option<SectionId> {
        let added = self.0.iter().rev().find(|(known, _)| **known == *name);
        added.map_or_else(|| package.sections.find(name), |(_, id)| Some(*id))
    }
}
