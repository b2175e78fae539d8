//! Changes a package and records how.
//!
//! Every change is checked before anything happens, made at once in memory, and recorded; a value, a type or a position
//! that is so already is not.

use crate::change::{Aliases, Change, Command};
use crate::error::Error;
use crate::lookup::SectionKey;
use crate::name::{generated, is_name, is_type, is_value, looks_generated};
use crate::package::Package;
use crate::section::{Section, SectionId};
use crate::value::Value;

/// The one who changes a package.
///
/// Sections are named as for [`Package::section`]: `lan`, `@rule[-1]`. What an edit did stays when it is dropped.
///
/// ```
/// use uci::{Edit, Package};
///
/// let mut package = Package::parse("network", b"config interface 'lan'\n\toption proto 'dhcp'\n")?;
/// let mut changes = Vec::new();
/// let mut edit = Edit::new(&mut package, &mut changes);
/// edit.set("lan", "proto", "static")?;
/// edit.set_list("lan", "dns", &["192.0.2.1", "192.0.2.2"])?;
/// let route = edit.add_section("route")?;
/// edit.set(&route, "interface", "lan")?;
/// assert_eq!(changes.len(), 5);
/// assert_eq!(package.get("@route[0]", "interface").and_then(|value| value.as_str()), Some("lan"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Edit<'a> {
    pub(crate) package: &'a mut Package,
    pub(crate) changes: &'a mut Vec<Change>,
}

impl<'a> Edit<'a> {
    /// Changes `package` and appends every change to `changes`.
    pub fn new(package: &'a mut Package, changes: &'a mut Vec<Change>) -> Edit<'a> {
        Edit { package, changes }
    }

    /// The package as it is now.
    pub fn package(&self) -> &Package {
        self.package
    }

    /// Appends a section without a name and returns its generated one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an impossible type.
    pub fn add_section(&mut self, kind: &str) -> Result<String, Error> {
        check(is_type(kind.as_bytes()), "type")?;
        let mut number = self.package.created;
        let name = loop {
            number = number.wrapping_add(1);
            let name = generated(number, kind);
            if self.package.sections.find(&name).is_none() {
                break name;
            }
        };
        self.make(Command::Add, &name, None, Some(kind.as_bytes()));
        Ok(name)
    }

    /// Gives a section this type, or appends a section of this name and type. An empty type removes the section.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an impossible type or name, which includes new names that could be generated, and for a
    /// position (`@rule[9]`) where there is no section.
    pub fn set_section(&mut self, section: &str, kind: &str) -> Result<(), Error> {
        let found = self.find(section)?;
        if kind.is_empty() {
            return match found {
                Some(_) => self.remove_section(section),
                None => Ok(()),
            };
        }
        check(is_type(kind.as_bytes()), "type")?;
        let name = match found {
            Some(id) if self.section(id)?.kind() == kind => return Ok(()),
            Some(_) => self.existing(section)?,
            None => {
                check_new_name(section, "section")?;
                section.to_owned()
            }
        };
        self.make(Command::Set, &name, None, Some(kind.as_bytes()));
        Ok(())
    }

    /// Sets an option, where it stands or at the end of its section. An empty value removes it.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a missing section; [`Error::Invalid`] for an impossible option name, or control characters
    /// in the value.
    pub fn set(
        &mut self,
        section: &str,
        option: &str,
        value: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        self.set_value(section, option, value.as_ref())
    }

    fn set_value(&mut self, section: &str, option: &str, value: &[u8]) -> Result<(), Error> {
        let name = self.holder_of(section, option, value)?;
        let old = self.package.get(&name, option);
        if value.is_empty() {
            if old.is_some() {
                self.make(Command::Remove, &name, Some(option), None);
            }
        } else if old.and_then(Value::as_bytes) != Some(value) {
            self.make(Command::Set, &name, Some(option), Some(value));
        }
        Ok(())
    }

    /// Makes an option a list of these items. With one item, or an empty first item, the list comes last in its section;
    /// without items the option is removed.
    ///
    /// # Errors
    /// As for [`Edit::set`].
    pub fn set_list(
        &mut self,
        section: &str,
        option: &str,
        items: &[impl AsRef<[u8]>],
    ) -> Result<(), Error> {
        let items: Vec<&[u8]> = items.iter().map(AsRef::as_ref).collect();
        self.set_items(section, option, &items)
    }

    fn set_items(&mut self, section: &str, option: &str, items: &[&[u8]]) -> Result<(), Error> {
        check_option(option, b"")?;
        check(items.iter().all(|item| is_value(item)), "value")?;
        let name = self.existing(section)?;
        let old = self.package.get(&name, option);
        if old.is_some_and(|old| old.is_list() && old.items().eq(items.iter().copied())) {
            return Ok(());
        }
        // The first item of several is set like a single value, which keeps the place of the option.
        let mut rest = items;
        match items {
            [first, second @ ..] if !first.is_empty() && !second.is_empty() => {
                self.set_value(&name, option, first)?;
                rest = second;
            }
            _ if old.is_some() => self.make(Command::Remove, &name, Some(option), None),
            _ => {}
        }
        for item in rest {
            self.make(Command::Append, &name, Some(option), Some(item));
        }
        Ok(())
    }

    /// Appends an item to a list; a single value becomes the first item, a missing option a list.
    ///
    /// # Errors
    /// As for [`Edit::set`].
    pub fn append(
        &mut self,
        section: &str,
        option: &str,
        item: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        let item = item.as_ref();
        let name = self.holder_of(section, option, item)?;
        self.make(Command::Append, &name, Some(option), Some(item));
        Ok(())
    }

    /// Removes every item that equals this one from a list. It is no error if there is none; a list is recorded as
    /// changed all the same, for it may hold the item by the time the change is committed.
    ///
    /// # Errors
    /// As for [`Edit::set`].
    pub fn remove_value(
        &mut self,
        section: &str,
        option: &str,
        item: impl AsRef<[u8]>,
    ) -> Result<(), Error> {
        let item = item.as_ref();
        let name = self.holder_of(section, option, item)?;
        if self.package.get(&name, option).is_some_and(Value::is_list) {
            self.make(Command::RemoveValue, &name, Some(option), Some(item));
        }
        Ok(())
    }

    /// Removes a section with its options.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none, [`Error::Invalid`] if none can be called so.
    pub fn remove_section(&mut self, section: &str) -> Result<(), Error> {
        let name = self.existing(section)?;
        self.make(Command::Remove, &name, None, None);
        Ok(())
    }

    /// Removes an option.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it or its section does not exist, [`Error::Invalid`] if none can be called so.
    pub fn remove(&mut self, section: &str, option: &str) -> Result<(), Error> {
        let name = self.existing_option(section, option)?;
        self.make(Command::Remove, &name, Some(option), None);
        Ok(())
    }

    /// Removes the item at a position, from 0, of a list. Where the list has no such item nothing happens; a single
    /// value is removed whatever the position.
    ///
    /// # Errors
    /// As for [`Edit::remove`].
    pub fn remove_item(
        &mut self,
        section: &str,
        option: &str,
        position: usize,
    ) -> Result<(), Error> {
        let name = self.existing_option(section, option)?;
        match self.package.get(&name, option) {
            Some(Value::List(items)) if position >= items.len() => {}
            Some(Value::List(_)) => {
                let position = position.to_string();
                self.make(
                    Command::Remove,
                    &name,
                    Some(option),
                    Some(position.as_bytes()),
                );
            }
            _ => self.make(Command::Remove, &name, Some(option), None),
        }
        Ok(())
    }

    /// Renames a section where it stands; it has a given name then.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it does not exist, [`Error::Duplicate`] if the name is another's, [`Error::Invalid`] if it
    /// is no name, or one that could be generated.
    pub fn rename_section(&mut self, section: &str, new_name: &str) -> Result<(), Error> {
        let name = self.existing(section)?;
        check_new_name(new_name, "name")?;
        let (id, other) = (self.find(&name)?, self.find(new_name)?);
        if other.is_some() && other != id {
            return Err(Error::Duplicate { what: "section" });
        }
        self.make(Command::Rename, &name, None, Some(new_name.as_bytes()));
        Ok(())
    }

    /// Renames an option where it stands.
    ///
    /// # Errors
    /// As for [`Edit::rename_section`].
    pub fn rename(&mut self, section: &str, option: &str, new_name: &str) -> Result<(), Error> {
        let name = self.existing_option(section, option)?;
        check(is_name(new_name.as_bytes()), "name")?;
        if new_name != option && self.package.get(&name, new_name).is_some() {
            return Err(Error::Duplicate { what: "option" });
        }
        self.make(
            Command::Rename,
            &name,
            Some(option),
            Some(new_name.as_bytes()),
        );
        Ok(())
    }

    /// Moves a section to a position among all, from 0; too large means last, negative first. The position is recorded as
    /// it is given, unless the section stands there.
    ///
    /// # Errors
    /// As for [`Edit::remove_section`].
    pub fn reorder(&mut self, section: &str, position: i32) -> Result<(), Error> {
        let name = self.existing(section)?;
        let id = self.find(&name)?;
        let last = self.package.len().saturating_sub(1);
        let place = usize::try_from(position).unwrap_or(0).min(last);
        if id.and_then(|id| self.package.sections.position(id)) != Some(place) {
            let position = position.to_string();
            self.make(Command::Reorder, &name, None, Some(position.as_bytes()));
        }
        Ok(())
    }

    fn find(&self, section: &str) -> Result<Option<SectionId>, Error> {
        let key = SectionKey::parse(section.as_bytes())?;
        Ok(self.package.find(&key))
    }

    fn section(&self, id: SectionId) -> Result<&Section, Error> {
        self.package
            .sections
            .get(id)
            .ok_or(Error::NotFound { what: "section" })
    }

    /// The name of a section that must exist.
    fn existing(&self, section: &str) -> Result<String, Error> {
        let id = self
            .find(section)?
            .ok_or(Error::NotFound { what: "section" })?;
        let name = self.section(id)?.name();
        // Changes name sections, so a second one of a name is out of reach.
        match self.package.sections.find(name) == Some(id) {
            true => Ok(name.to_owned()),
            false => Err(Error::Duplicate { what: "section" }),
        }
    }

    /// The same, where an option may get a value.
    fn holder_of(&self, section: &str, option: &str, value: &[u8]) -> Result<String, Error> {
        check_option(option, value)?;
        self.existing(section)
    }

    fn existing_option(&self, section: &str, option: &str) -> Result<String, Error> {
        check_option(option, b"")?;
        let name = self.existing(section)?;
        match self.package.get(&name, option) {
            Some(_) => Ok(name),
            None => Err(Error::NotFound { what: "option" }),
        }
    }

    fn make(
        &mut self,
        command: Command,
        section: &str,
        option: Option<&str>,
        value: Option<&[u8]>,
    ) {
        let change = Change {
            command,
            section: section.into(),
            option: option.map(Into::into),
            value: value.map(Into::into),
        };
        if change.apply(self.package, &mut Aliases::default()) {
            self.changes.push(change);
        }
    }
}

fn check(right: bool, what: &'static str) -> Result<(), Error> {
    match right {
        true => Ok(()),
        false => Err(Error::Invalid { what }),
    }
}

fn check_new_name(name: &str, what: &'static str) -> Result<(), Error> {
    let name = name.as_bytes();
    check(is_name(name) && !looks_generated(name), what)
}

fn check_option(option: &str, value: &[u8]) -> Result<(), Error> {
    check(is_name(option.as_bytes()), "option")?;
    check(is_value(value), "value")
}
