//! A package: the sections of one configuration file in order.

use crate::lookup::SectionKey;
use crate::name::generated;
use crate::section::{Section, SectionId};
use crate::sequence::Sequence;
use crate::value::Value;

/// A package. Reads borrow from it; changes go through an [`Edit`](crate::Edit).
#[derive(Clone, PartialEq)]
pub struct Package {
    pub(crate) name: Box<str>,
    pub(crate) sections: Sequence<Section>,
    /// How many sections have ever been created: what generated names are counted by.
    pub(crate) created: u32,
}

impl Package {
    /// A package without sections.
    pub fn new(name: &str) -> Package {
        Package {
            name: name.into(),
            sections: Sequence::new(),
            created: 0,
        }
    }

    /// Its name: that of its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its sections in order.
    pub fn sections(&self) -> impl DoubleEndedIterator<Item = &Section> {
        self.sections.iter()
    }

    /// Its sections of one type in order.
    pub fn sections_of<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl DoubleEndedIterator<Item = &'a Section> {
        self.sections()
            .filter(move |section| section.kind() == kind)
    }

    /// How many sections it has.
    pub fn len(&self) -> usize {
        self.sections.len()
    }

    /// Whether it has no section.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A section by its name, or by type and position: `lan`, `@rule[0]`, `@rule[-1]`, `@[3]`.
    pub fn section(&self, key: &str) -> Option<&Section> {
        self.section_at(&SectionKey::parse(key.as_bytes()).ok()?)
    }

    /// The same, with what has been read of its address.
    pub fn section_at(&self, key: &SectionKey) -> Option<&Section> {
        self.sections.get(self.find(key)?)
    }

    /// The value of an option; the section is named as for [`Package::section`].
    pub fn get(&self, section: &str, option: &str) -> Option<&Value> {
        self.section(section)?.get(option)
    }

    /// The position of a section among all, from 0.
    pub fn position(&self, section: &Section) -> Option<usize> {
        self.sections()
            .position(|other| std::ptr::eq(other, section))
    }

    pub(crate) fn find(&self, key: &SectionKey) -> Option<SectionId> {
        let (kind, index) = match *key {
            SectionKey::Name(name) => return self.sections.find(name),
            SectionKey::Nth { kind, index } => (kind, index),
        };
        let matches = |id: &SectionId| {
            let section = self.sections.get(*id);
            section.is_some_and(|section| kind.is_none_or(|kind| section.kind() == kind))
        };
        let steps = usize::try_from(if index < 0 { !index } else { index }).ok()?;
        if index < 0 {
            self.sections.ids().rev().filter(matches).nth(steps)
        } else {
            self.sections.ids().filter(matches).nth(steps)
        }
    }

    /// The section that was given this name, even if one that was not has it, too.
    pub(crate) fn find_given(&self, name: &str) -> Option<SectionId> {
        let given = |id: &SectionId| {
            let section = self.sections.get(*id);
            section.is_some_and(|section| !section.is_anonymous() && section.name() == name)
        };
        let found = self.sections.find(name)?;
        match given(&found) {
            true => Some(found),
            false => self.sections.ids().find(given),
        }
    }

    /// Appends a section; without a name it gets a generated one.
    pub(crate) fn append(&mut self, name: Option<&str>, kind: &str) -> SectionId {
        self.created = self.created.wrapping_add(1);
        let section = match name {
            Some(name) => Section::new(name, kind, false),
            None => Section::new(&generated(self.created, kind), kind, true),
        };
        self.sections.push(section)
    }
}
