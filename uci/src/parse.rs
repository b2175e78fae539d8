//! Reads the text of configuration files.
//!
//! A text is taken whole or not at all, unless the caller wants to know the errors and keep the rest.

use crate::error::{ParseError, Reason};
use crate::lexer::{Lexer, Next};
use crate::name::{is_name, is_statement_name, is_type, text};
use crate::package::Package;
use crate::section::SectionId;
use crate::value::Value;

impl Package {
    /// Reads the text of a configuration file.
    ///
    /// # Errors
    /// The first thing in it that is wrong.
    ///
    /// ```
    /// let package = uci::Package::parse("network", b"config interface 'lan'\n\toption proto 'static'\n")?;
    /// assert_eq!(package.get("lan", "proto").and_then(|value| value.as_str()), Some("static"));
    ///
    /// let error = uci::Package::parse("network", b"config interface lan\n option 'proto\n").err().unwrap();
    /// assert_eq!(error.to_string(), "Parse error (EOF with unterminated ') at line 2, byte 15");
    /// # Ok::<(), uci::ParseError>(())
    /// ```
    pub fn parse(name: &str, text: &[u8]) -> Result<Package, ParseError> {
        let mut package = Package::new(name);
        package.merge(text)?;
        Ok(package)
    }

    /// Reads what is right in a text, and returns all that is wrong with it. Options below a wrong `config` line are
    /// wrong, too. Surplus arguments are left out, and a section that goes on with another type gets that.
    pub fn parse_leniently(name: &str, text: &[u8]) -> (Package, Vec<ParseError>) {
        let (mut package, mut errors) = (Package::new(name), Vec::new());
        let _ = package.read(text, Some(&mut errors));
        (package, errors)
    }

    /// Reads a text as if it stood behind the text of this package: named sections go on, lists grow.
    ///
    /// # Errors
    /// The first thing in the text that is wrong; what stands before it has been taken.
    pub fn merge(&mut self, text: &[u8]) -> Result<(), ParseError> {
        self.read(text, None)
    }

    /// Reads a text. Errors are added to `errors` and passed over, if there is such a list.
    pub(crate) fn read(
        &mut self,
        text: &[u8],
        errors: Option<&mut Vec<ParseError>>,
    ) -> Result<(), ParseError> {
        let mut loading = Loading {
            package: self,
            section: None,
        };
        read(text, &mut loading, errors)
    }
}

/// Reads a text that holds packages, each behind a `package` line of its own: what [`Package::export`] writes.
///
/// # Errors
/// The first thing in it that is wrong.
pub fn import(text: &[u8]) -> Result<Vec<Package>, ParseError> {
    let mut importing = Importing::default();
    read(text, &mut importing, None)?;
    Ok(importing.packages)
}

/// Reads what is right in such a text, and returns all that is wrong with it.
///
/// # Errors
/// A package that is named twice.
pub fn import_leniently(text: &[u8]) -> Result<(Vec<Package>, Vec<ParseError>), ParseError> {
    let (mut importing, mut errors) = (Importing::default(), Vec::new());
    read(text, &mut importing, Some(&mut errors))?;
    Ok((importing.packages, errors))
}

/// Where the statements of a text go.
pub(crate) trait Target {
    /// Why a statement of this kind cannot stand here.
    fn obstacle(&self, statement: Statement) -> Option<Reason>;

    /// A `package` line.
    fn package(&mut self, name: &str) -> Result<(), Reason>;

    /// Options that follow belong to nothing.
    fn close_section(&mut self);

    /// A `config` line; the name may be empty. A section that exists with another type is refused, or gets this one: that
    /// is what is returned.
    fn open_section(&mut self, kind: &str, name: &str, retype: bool) -> Result<bool, Reason>;

    /// An `option` or `list` line of the open section.
    fn option(&mut self, name: &str, value: &[u8], list: bool) -> Result<(), Reason>;
}

/// Statements make up a package, whatever `package` lines say.
struct Loading<'a> {
    package: &'a mut Package,
    section: Option<SectionId>,
}

impl Target for Loading<'_> {
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
        let name = (!name.is_empty()).then_some(name);
        let known = name.and_then(|name| self.package.find_given(name));
        let id = known.unwrap_or_else(|| self.package.append(name, kind));
        let section = self.package.sections.at(id);
        let other = section.kind() != kind;
        if other {
            if !retype {
                return Err(Reason::TypeConflict);
            }
            section.kind = kind.into();
        }
        self.section = Some(id);
        Ok(other)
    }

    fn option(&mut self, name: &str, value: &[u8], list: bool) -> Result<(), Reason> {
        let section = self
            .section
            .and_then(|id| self.package.sections.get_mut(id));
        let section = section.ok_or(Reason::NoSection)?;
        if list {
            section.value_or_new(name).push(value);
        } else if !value.is_empty() {
            *section.value_or_new(name) = Value::Single(value.into());
        }
        Ok(())
    }
}

pub(crate) fn no_section(statement: Statement, open: bool) -> Option<Reason> {
    let needed = matches!(statement, Statement::Option | Statement::List);
    (needed && !open).then_some(Reason::NoSection)
}

/// Statements make up the package that the last `package` line names.
#[derive(Default)]
struct Importing {
    packages: Vec<Package>,
    section: Option<SectionId>,
}

impl Importing {
    /// Does something with the last package.
    fn load<T>(
        &mut self,
        job: impl FnOnce(&mut Loading) -> Result<T, Reason>,
    ) -> Result<T, Reason> {
        let mut loading = Loading {
            package: self.packages.last_mut().ok_or(Reason::NoPackage)?,
            section: self.section,
        };
        let result = job(&mut loading);
        self.section = loading.section;
        result
    }
}

impl Target for Importing {
    fn obstacle(&self, statement: Statement) -> Option<Reason> {
        let orphan = statement == Statement::Config && self.packages.is_empty();
        match orphan {
            true => Some(Reason::NoPackage),
            false => no_section(statement, self.section.is_some()),
        }
    }

    fn package(&mut self, name: &str) -> Result<(), Reason> {
        if self.packages.iter().any(|package| package.name() == name) {
            return Err(Reason::PackageTwice);
        }
        self.packages.push(Package::new(name));
        self.section = None;
        Ok(())
    }

    fn close_section(&mut self) {
        self.section = None;
    }

    fn open_section(&mut self, kind: &str, name: &str, retype: bool) -> Result<bool, Reason> {
        self.load(|loading| loading.open_section(kind, name, retype))
    }

    fn option(&mut self, name: &str, value: &[u8], list: bool) -> Result<(), Reason> {
        self.load(|loading| loading.option(name, value, list))
    }
}

/// Hands the statements of a text to a target. Errors are added to `errors` and passed over, if there is such a list.
///
/// Generic, so that whoever only loads packages carries nothing else.
pub(crate) fn read<T: Target>(
    text: &[u8],
    target: &mut T,
    errors: Option<&mut Vec<ParseError>>,
) -> Result<(), ParseError> {
    let mut reader = Reader {
        lexer: Lexer::new(text),
        target,
        errors,
        first: Vec::new(),
        second: Vec::new(),
        surplus: Vec::new(),
    };
    if let Some(at) = text.iter().position(|&byte| byte == 0) {
        // It would cut a value or a line short when it is read by others.
        let error = reader.lexer.error_anywhere(Reason::NulByte, at);
        return reader.pass_over(error);
    }
    reader.read()
}

/// The state of reading.
struct Reader<'a, T> {
    lexer: Lexer<'a>,
    target: &'a mut T,
    errors: Option<&'a mut Vec<ParseError>>,
    /// The arguments of the statement, and one too many.
    first: Vec<u8>,
    second: Vec<u8>,
    surplus: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Statement {
    Package,
    Config,
    Option,
    List,
}

/// The commands, which may be shortened to one letter, and what is wrong when the text ends behind them.
const COMMANDS: [(&[u8], Statement, Reason); 4] = [
    (b"package", Statement::Package, Reason::PackageWithoutName),
    (b"config", Statement::Config, Reason::ConfigWithoutName),
    (b"option", Statement::Option, Reason::OptionWithoutName),
    (b"list", Statement::List, Reason::OptionWithoutName),
];

impl<T: Target> Reader<'_, T> {
    fn read(&mut self) -> Result<(), ParseError> {
        loop {
            match self.lexer.next() {
                Next::End => return Ok(()),
                Next::Comment => {}
                Next::Statement => {
                    if let Err(error) = self.statement() {
                        self.pass_over(error)?;
                        self.lexer.skip_line();
                    }
                }
            }
        }
    }

    fn pass_over(&mut self, error: ParseError) -> Result<(), ParseError> {
        match &mut self.errors {
            Some(errors) if error.reason != Reason::PackageTwice => errors.push(error),
            _ => return Err(error),
        }
        Ok(())
    }

    /// The same for one at the reader's place, which does not end the statement.
    fn forgive(&mut self, reason: Reason) -> Result<(), ParseError> {
        let error = self.wrong(reason);
        self.pass_over(error)
    }

    fn statement(&mut self) -> Result<(), ParseError> {
        let start = self.lexer.at();
        let word = self.lexer.word();
        let known = COMMANDS
            .iter()
            .find(|(name, ..)| word == *name || word == &name[..1]);
        let Some(&(_, statement, unfinished)) = known else {
            return Err(self.lexer.error(Reason::UnknownCommand, start));
        };
        if let Some(reason) = self.target.obstacle(statement) {
            let error = self.lexer.error(reason, start);
            // Its value may go on in lines that are no statements.
            while self.lexer.argument(&mut self.surplus) == Ok(true) {}
            return Err(error);
        }
        if self.lexer.at_end() {
            return Err(self.lexer.error(unfinished, start));
        }
        if statement == Statement::Config {
            self.target.close_section();
        }
        let arguments = self.arguments(statement);
        if arguments.map_err(|reason| self.wrong(reason))? {
            self.forgive(Reason::SurplusArgument)?;
        }
        match self.hand_over(statement) {
            Ok(false) => Ok(()),
            Ok(true) => self.forgive(Reason::TypeConflict),
            Err(reason) => Err(self.wrong(reason)),
        }
    }

    /// Gives the statement that has been read to the target. True if that changed the type of a section.
    fn hand_over(&mut self, statement: Statement) -> Result<bool, Reason> {
        let first = text(&self.first);
        match statement {
            Statement::Package => self.target.package(first)?,
            Statement::Config => {
                let (name, retype) = (text(&self.second), self.errors.is_some());
                return self.target.open_section(first, name, retype);
            }
            Statement::Option | Statement::List => {
                let list = statement == Statement::List;
                self.target.option(first, &self.second, list)?;
            }
        }
        Ok(false)
    }

    /// An error at the reader's place.
    fn wrong(&mut self, reason: Reason) -> ParseError {
        self.lexer.error(reason, self.lexer.at())
    }

    /// Reads the arguments of a statement; true if there is one too many. An empty one ends the statement as `;` does.
    fn arguments(&mut self, statement: Statement) -> Result<bool, Reason> {
        self.lexer.argument(&mut self.first)?;
        if self.first.is_empty() {
            return Err(Reason::MissingArgument);
        }
        let (right, reason) = match statement {
            Statement::Package => (is_statement_name(&self.first), Reason::BadName),
            Statement::Config => (is_type(&self.first), Reason::BadType),
            Statement::Option | Statement::List => (is_name(&self.first), Reason::BadName),
        };
        if !right {
            return Err(reason);
        }
        self.second.clear();
        if statement != Statement::Package {
            self.lexer.argument(&mut self.second)?;
        }
        let named = !self.second.is_empty();
        if statement == Statement::Config && named && !is_name(&self.second) {
            return Err(Reason::BadName);
        }
        self.lexer.argument(&mut self.surplus)?;
        Ok(!self.surplus.is_empty())
    }
}
