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
    /// wrong, too.
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
        Reader::new(text, self, &mut |_, _| {}).read(errors)
    }
}

/// Reads a text that holds packages, each behind a `package` line: what [`Package::export`] writes.
///
/// # Errors
/// The first thing in it that is wrong.
pub fn import(text: &[u8]) -> Result<Vec<Package>, ParseError> {
    let mut packages: Vec<Package> = Vec::new();
    let mut current = Package::new("");
    let mut change = |current: &mut Package, name: &str| {
        let known = packages.iter().position(|package| package.name() == name);
        let next = known.map_or_else(|| Package::new(name), |known| packages.remove(known));
        let last = std::mem::replace(current, next);
        if !last.name().is_empty() {
            packages.push(last);
        }
    };
    Reader::new(text, &mut current, &mut change).read(None)?;
    if !current.name().is_empty() {
        packages.push(current);
    }
    Ok(packages)
}

/// The state of reading.
struct Reader<'a> {
    text: &'a [u8],
    lexer: Lexer<'a>,
    package: &'a mut Package,
    /// What a `package` line does.
    change: &'a mut dyn FnMut(&mut Package, &str),
    section: Option<SectionId>,
    /// The arguments of the statement, and one too many.
    first: Vec<u8>,
    second: Vec<u8>,
    surplus: Vec<u8>,
}

fn pass_over(
    error: ParseError,
    errors: &mut Option<&mut Vec<ParseError>>,
) -> Result<(), ParseError> {
    let errors = errors.as_deref_mut().ok_or(error)?;
    errors.push(error);
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Statement {
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

impl<'a> Reader<'a> {
    fn new(
        text: &'a [u8],
        package: &'a mut Package,
        change: &'a mut dyn FnMut(&mut Package, &str),
    ) -> Reader<'a> {
        Reader {
            text,
            lexer: Lexer::new(text),
            package,
            change,
            section: None,
            first: Vec::new(),
            second: Vec::new(),
            surplus: Vec::new(),
        }
    }

    fn read(&mut self, mut errors: Option<&mut Vec<ParseError>>) -> Result<(), ParseError> {
        if let Some(at) = self.text.iter().position(|&byte| byte == 0) {
            // It would cut a value or a line short when it is read by others.
            let error = self.lexer.error_anywhere(Reason::NulByte, at);
            return pass_over(error, &mut errors);
        }
        loop {
            match self.lexer.next() {
                Next::End => return Ok(()),
                Next::Comment => {}
                Next::Statement => {
                    if let Err(error) = self.statement() {
                        pass_over(error, &mut errors)?;
                        self.lexer.skip_line();
                    }
                }
            }
        }
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
        if self.lexer.at_end() {
            return Err(self.lexer.error(unfinished, start));
        }
        let result = self.run(statement);
        let at = self.lexer.at();
        result.map_err(|reason| self.lexer.error(reason, at))
    }

    fn run(&mut self, statement: Statement) -> Result<(), Reason> {
        if statement == Statement::Config {
            // Options below a line with an error belong to nothing.
            self.section = None;
        }
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
        let first = text(&self.first);
        if self.lexer.argument(&mut self.surplus)? {
            return Err(Reason::SurplusArgument);
        }
        match statement {
            Statement::Package => {
                (self.change)(self.package, first);
                return Ok(());
            }
            Statement::Config => return self.config(),
            Statement::Option | Statement::List => {}
        }
        let section = self
            .section
            .and_then(|id| self.package.sections.get_mut(id));
        let section = section.ok_or(Reason::NoSection)?;
        if statement == Statement::List {
            section.value_or_new(first).push(&self.second);
        } else if named {
            *section.value_or_new(first) = Value::Single(self.second.as_slice().into());
        }
        Ok(())
    }

    fn config(&mut self) -> Result<(), Reason> {
        if self.package.name().is_empty() {
            return Err(Reason::NoPackage);
        }
        let (kind, name) = (text(&self.first), text(&self.second));
        let name = (!name.is_empty()).then_some(name);
        let known = name.and_then(|name| self.package.find_given(name));
        let id = known.unwrap_or_else(|| self.package.append(name, kind));
        let section = self.package.sections.get(id);
        if section.is_none_or(|section| section.kind() != kind) {
            return Err(Reason::TypeConflict);
        }
        self.section = Some(id);
        Ok(())
    }
}
