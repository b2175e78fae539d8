//! What a call is about: one word (`'network.lan.ipaddr'`), or an argument for each part.

use std::ffi::c_int;

use uci::{Cursor, Lookup, Package, Section, SectionKey, Value};

use super::{Context, Failure, INVALID};
use crate::lua::{Error, Lua};

/// The arguments as they were passed; beside the first only in the form of several.
pub struct Words<'a> {
    first: &'a [u8],
    section: Option<&'a [u8]>,
    option: Option<&'a [u8]>,
}

/// The parts that they name. A name that is no text is an empty one, which nothing has.
pub struct Address<'a> {
    pub package: &'a str,
    pub section: Option<&'a str>,
    pub option: Option<&'a str>,
    /// What follows `=` in the form of one word.
    pub value: Option<&'a [u8]>,
}

impl<'a> Words<'a> {
    /// Reads a method's arguments, of which the first `most` are parts of the address.
    pub fn read(lua: &'a Lua, this: &Context, most: c_int) -> Result<Words<'a>, Error> {
        this.cursor()?;
        let given = lua.top() - 1;
        let first = lua.string(2)?;
        if given > 4 {
            return Err("invalid argument count".into());
        }
        let word = |number: c_int| match number <= given.min(most) {
            true => lua.string(number + 1).map(Some),
            false => Ok(None),
        };
        Ok(Words {
            first,
            section: word(2)?,
            option: word(3)?,
        })
    }

    /// Opens the package and reads the rest of the address.
    pub fn resolve(self, cursor: &mut Cursor) -> Result<Address<'a>, Failure> {
        let package = Lookup::package(self.first)?;
        cursor.open(package)?;
        let Some(section) = self.section else {
            return read(self.first);
        };
        if section.first() == Some(&b'@') {
            SectionKey::parse(section)?;
        }
        Ok(Address {
            package,
            section: Some(name(section)),
            option: self.option.map(name),
            value: None,
        })
    }
}

/// Reads an address in one word.
fn read(address: &[u8]) -> Result<Address<'_>, Failure> {
    let lookup = Lookup::parse(address)?;
    let behind = |length: Option<usize>| length.map_or(0, |length| length + 1);
    let end = address.len() - behind(lookup.value.map(<[u8]>::len));
    let section = lookup.section.map(|_| {
        let end = end - behind(lookup.option.map(str::len));
        name(
            address
                .get(lookup.package.len() + 1..end)
                .unwrap_or_default(),
        )
    });
    Ok(Address {
        package: lookup.package,
        section,
        option: lookup.option,
        value: lookup.value,
    })
}

fn name(word: &[u8]) -> &str {
    std::str::from_utf8(word).unwrap_or_default()
}

/// What an address leads to.
pub enum Found<'a> {
    Package(&'a Package),
    Section(&'a Section),
    Value(&'a Value),
}

impl Address<'_> {
    /// What it leads to, if that exists; `no_section` if not even the section does.
    pub fn find<'c>(&self, cursor: &'c Cursor, no_section: Failure) -> Result<Found<'c>, Failure> {
        let package = cursor.package(self.package).ok_or(super::NOT_FOUND)?;
        let Some(section) = self.section else {
            return Ok(Found::Package(package));
        };
        let section = package.section(section).ok_or(no_section)?;
        let Some(option) = self.option else {
            return Ok(Found::Section(section));
        };
        let value = section.get(option).ok_or(super::NOT_FOUND)?;
        Ok(Found::Value(value))
    }

    /// The section; to name none is an error.
    pub fn section(&self) -> Result<&str, Failure> {
        self.section.ok_or(INVALID)
    }
}
