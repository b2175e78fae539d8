//! Addresses of things in packages: `network.lan.ipaddr`, `firewall.@rule[-1].name=Allow-Ping`.
//!
//! An address only borrows from the text it was read from; whether what it names exists is decided by who uses it.

use crate::error::Error;
use crate::name::{is_name, is_type, is_value, text};
use std::fmt;

/// How a section is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKey<'a> {
    /// By its name, a generated one included.
    Name(&'a str),
    /// By its position among the sections of a type, or among all: `@rule[0]`, `@rule[-1]`, `@[2]`.
    Nth {
        /// The type; any if absent.
        kind: Option<&'a str>,
        /// From 0; negative numbers count from the end.
        index: i32,
    },
}

impl<'a> SectionKey<'a> {
    /// Reads a name, or the extended form if it begins with `@`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is neither.
    pub fn parse(key: &'a [u8]) -> Result<SectionKey<'a>, Error> {
        if is_name(key) {
            return Ok(SectionKey::Name(text(key)));
        }
        SectionKey::nth(key).ok_or(Error::Invalid { what: "section" })
    }

    fn nth(key: &'a [u8]) -> Option<SectionKey<'a>> {
        let rest = key.strip_prefix(b"@")?.strip_suffix(b"]")?;
        // Types may hold brackets, numbers cannot.
        let open = rest.iter().rposition(|&byte| byte == b'[')?;
        let (kind, number) = (&rest[..open], &rest[open + 1..]);
        let kind = match kind {
            b"" => None,
            _ if is_type(kind) => Some(text(kind)),
            _ => return None,
        };
        Some(SectionKey::Nth {
            kind,
            index: index(number)?,
        })
    }
}

impl fmt::Display for SectionKey<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SectionKey::Name(name) => formatter.write_str(name),
            SectionKey::Nth { kind, index } => {
                write!(formatter, "@{}[{index}]", kind.unwrap_or_default())
            }
        }
    }
}

/// A decimal number with blanks and a sign before it; nothing is 0.
fn index(number: &[u8]) -> Option<i32> {
    if number.is_empty() {
        return Some(0);
    }
    let (value, rest) = split_number(number)?;
    rest.is_empty().then_some(value)
}

/// What larger numbers are taken for: no package has that many sections.
const LARGE: i32 = 100_000_000;

/// The number at the beginning of a text, with blanks and a sign before it, and what follows.
fn split_number(text: &[u8]) -> Option<(i32, &[u8])> {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if count == 0 {
        return None;
    }
    let (digits, rest) = digits.split_at(count);
    let value = digits.iter().fold(0, |value, digit| {
        (value * 10 + i32::from(digit - b'0')).min(LARGE)
    });
    Some((if negative { -value } else { value }, rest))
}

/// The decimal number at the beginning of a text, with blanks and a sign before it: a position as users give it.
pub fn leading_number(text: &[u8]) -> Option<i32> {
    split_number(text).map(|(number, _)| number)
}

/// An address: `package[.section[.option]][=value]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookup<'a> {
    /// The package: a name, or a path that begins with `/` or `./`.
    pub package: &'a str,
    /// The section.
    pub section: Option<SectionKey<'a>>,
    /// The option.
    pub option: Option<&'a str>,
    /// What follows the first `=`.
    pub value: Option<&'a [u8]>,
}

impl<'a> Lookup<'a> {
    /// Reads an address.
    ///
    /// # Errors
    /// [`Error::Syntax`] if it has more than three parts, an impossible package or option name, or control characters in
    /// the value; [`Error::Invalid`] if the section cannot be called so.
    ///
    /// ```
    /// use uci::{Lookup, SectionKey};
    ///
    /// let lookup = Lookup::parse(b"firewall.@rule[-1].name=Allow-Ping")?;
    /// assert_eq!(lookup.package, "firewall");
    /// assert_eq!(lookup.section, Some(SectionKey::Nth { kind: Some("rule"), index: -1 }));
    /// assert_eq!(lookup.option, Some("name"));
    /// assert_eq!(lookup.value, Some(&b"Allow-Ping"[..]));
    /// # Ok::<(), uci::Error>(())
    /// ```
    pub fn parse(address: &'a [u8]) -> Result<Lookup<'a>, Error> {
        let (path, value) = match split(address, 0, b'=') {
            Some((path, value)) => (path, Some(value)),
            None => (address, None),
        };
        if value.is_some_and(|value| !is_value(value)) {
            return Err(Error::Syntax);
        }
        let (package, rest) = split_package(path);
        let mut lookup = Lookup {
            package: name_of_package(package)?,
            section: None,
            option: None,
            value,
        };
        if let Some(rest) = rest {
            let (section, option) = match split_section(rest) {
                Some((section, option)) => (section, Some(option)),
                None => (rest, None),
            };
            if let Some(option) = option {
                if !is_name(option) {
                    return Err(Error::Syntax);
                }
                lookup.option = Some(text(option));
            }
            lookup.section = Some(SectionKey::parse(section)?);
        }
        Ok(lookup)
    }

    /// Reads only which package an address is about, whatever follows.
    ///
    /// # Errors
    /// [`Error::Syntax`] if no package can be called so.
    pub fn package(address: &'a [u8]) -> Result<&'a str, Error> {
        let path = split(address, 0, b'=').map_or(address, |(path, _)| path);
        name_of_package(split_package(path).0)
    }
}

fn name_of_package(name: &[u8]) -> Result<&str, Error> {
    match is_type(name) {
        true => Ok(text(name)),
        false => Err(Error::Syntax),
    }
}

/// The package of an address, and what follows its dot. A path may begin with a dot of its own.
pub(crate) fn split_package(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    let own = if path.starts_with(b"./") { 2 } else { 0 };
    match split(path, own, b'.') {
        Some((package, rest)) => (package, Some(rest)),
        None => (path, None),
    }
}

/// Types may hold dots, so those of `@type[n]` do not count.
fn split_section(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let from = match rest.first() {
        Some(b'@') => rest.iter().position(|&byte| byte == b']').unwrap_or(0),
        _ => 0,
    };
    split(rest, from, b'.')
}

/// Splits at the first `byte` at or after `from`.
fn split(text: &[u8], from: usize, byte: u8) -> Option<(&[u8], &[u8])> {
    let at = from + text[from..].iter().position(|&other| other == byte)?;
    Some((&text[..at], &text[at + 1..]))
}
