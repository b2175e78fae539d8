//! One section of a package: its type, its name, and its options in order.

use crate::sequence::{Id, Named, Sequence};
use crate::value::Value;

/// An option with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub(crate) name: Box<str>,
    pub(crate) value: Value,
}

impl Entry {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it holds.
    pub fn value(&self) -> &Value {
        &self.value
    }
}

impl Named for Entry {
    fn name(&self) -> &str {
        &self.name
    }
}

/// A section.
#[derive(Clone, PartialEq)]
pub struct Section {
    pub(crate) name: Box<str>,
    pub(crate) kind: Box<str>,
    pub(crate) anonymous: bool,
    pub(crate) entries: Sequence<Entry>,
}

impl Section {
    pub(crate) fn new(name: &str, kind: &str, anonymous: bool) -> Section {
        Section {
            name: name.into(),
            kind: kind.into(),
            anonymous,
            entries: Sequence::new(),
        }
    }

    /// Its name; a generated one (`cfg02a18a`) if the file gives none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether its name is a generated one, which is not written to the file.
    pub fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// Its options in order.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The value of an option.
    pub fn get(&self, option: &str) -> Option<&Value> {
        let id = self.entries.find(option)?;
        Some(&self.entries.get(id)?.value)
    }

    pub(crate) fn value_mut(&mut self, option: &str) -> Option<&mut Value> {
        let id = self.entries.find(option)?;
        Some(&mut self.entries.get_mut(id)?.value)
    }

    /// The value of an option, which is appended as an empty list if it is missing.
    pub(crate) fn value_or_new(&mut self, option: &str) -> &mut Value {
        let id = self.entries.find(option).unwrap_or_else(|| {
            self.entries.push(Entry {
                name: option.into(),
                value: Value::List(Vec::new()),
            })
        });
        &mut self.entries.at(id).value
    }

    pub(crate) fn remove(&mut self, option: &str) -> bool {
        let found = self.entries.find(option);
        found.is_some_and(|id| self.entries.remove(id).is_some())
    }
}

impl Named for Section {
    fn name(&self) -> &str {
        &self.name
    }
}

/// Where a section stands; valid as long as the section exists.
pub(crate) type SectionId = Id;
