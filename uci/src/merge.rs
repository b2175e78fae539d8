//! Makes the statements of a text changes of a package: what they would add to its file, they add to its pending changes.

use crate::edit::Edit;
use crate::error::{Error, ParseError, Reason};
use crate::parse::{no_section, read, Statement, Target};

impl Edit<'_> {
    /// Makes the changes that a text stands for, as if it stood behind the text of the package: named sections go on,
    /// lists grow. What the text calls its package does not matter.
    ///
    /// # Errors
    /// The first thing in it that is wrong; nothing has been changed then.
    pub fn merge(&mut self, text: &[u8]) -> Result<(), ParseError> {
        self.merge_all(text, None)
    }

    /// Makes the changes that stand for what is right in a text, and returns all that is wrong with it.
    pub fn merge_leniently(&mut self, text: &[u8]) -> Vec<ParseError> {
        let mut errors = Vec::new();
        let _ = self.merge_all(text, Some(&mut errors));
        errors
    }

    fn merge_all(
        &mut self,
        text: &[u8],
        errors: Option<&mut Vec<ParseError>>,
    ) -> Result<(), ParseError> {
        let (mut package, mut changes) = (self.package.clone(), Vec::new());
        let mut merging = Merging {
            edit: Edit::new(&mut package, &mut changes),
            section: None,
        };
        read(text, &mut merging, errors)?;
        *self.package = package;
        self.changes.append(&mut changes);
        Ok(())
    }
}

/// Statements become edits.
struct Merging<'a> {
    edit: Edit<'a>,
    section: Option<String>,
}

impl Target for Merging<'_> {
    fn obstacle(&self, statement: Statement) -> Option<Reason> {
        no_section(statement, self.section.is_some())
    }

    fn package(&mut self, _: &str) -> Result<(), Reason> {
        Ok(())
    }

    fn close_section(&mut self) {
        self.section = None;
    }

    fn open_section(&mut self, kind: &str, name: &str, retype: bool) -> Result<bool, Reason> {
        let known = self.edit.package().section(name);
        let other = known.is_some_and(|section| section.kind() != kind);
        if other && !retype {
            return Err(Reason::TypeConflict);
        }
        let name = match name {
            "" => self.edit.add_section(kind),
            _ => self.edit.set_section(name, kind).map(|()| name.to_owned()),
        };
        self.section = Some(name.map_err(reason)?);
        Ok(other)
    }

    fn option(&mut self, name: &str, value: &[u8], list: bool) -> Result<(), Reason> {
        let section = self.section.as_deref().ok_or(Reason::NoSection)?;
        let result = match list {
            true => self.edit.append(section, name, value),
            // Such a statement takes nothing away.
            false if value.is_empty() => Ok(()),
            false => self.edit.set(section, name, value),
        };
        result.map_err(reason)
    }
}

/// Names have been checked by now, but pending changes cannot hold every one, nor every value.
fn reason(error: Error) -> Reason {
    match error {
        Error::Invalid { what: "value" } => Reason::BadValue,
        _ => Reason::BadName,
    }
}
