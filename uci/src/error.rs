//! Every way to fail, and the words for it.
//!
//! [`Error`] is what a caller handles, [`Kind`] what scripts know by its text, [`ParseError`] a place in a file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why an operation failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is no such package, section, option or folder.
    NotFound {
        /// What is missing.
        what: &'static str,
    },
    /// An argument that can never work, such as an impossible name.
    Invalid {
        /// What is wrong.
        what: &'static str,
    },
    /// The name is taken.
    Duplicate {
        /// Of what.
        what: &'static str,
    },
    /// An address that is none.
    Syntax,
    /// A file that is no configuration.
    Parse {
        /// The file; empty for a text that is in none.
        file: PathBuf,
        /// Where, and why.
        error: ParseError,
    },
    /// The system refused.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its reason.
        error: io::Error,
    },
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
        move |error| io_error(path, error)
    }

    /// What kind of error it is.
    pub fn kind(&self) -> Kind {
        match self {
            Error::NotFound { .. } => Kind::NotFound,
            Error::Invalid { .. } => Kind::Invalid,
            Error::Duplicate { .. } => Kind::Duplicate,
            Error::Syntax => Kind::Parse,
            Error::Parse { error, .. } => error.kind(),
            Error::Io { .. } => Kind::Io,
        }
    }
}

#[cold]
#[inline(never)]
fn io_error(path: &Path, error: io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        error,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Error::NotFound { what } | Error::Invalid { what } | Error::Duplicate { what } => {
                write!(formatter, "{kind}: {what}")
            }
            Error::Syntax => kind.fmt(formatter),
            Error::Parse { file, error } if file.as_os_str().is_empty() => error.fmt(formatter),
            Error::Parse { file, error } => write!(formatter, "{}: {error}", file.display()),
            Error::Io { path, error } => {
                write!(formatter, "{kind}: {}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Parse { error, .. } => Some(error),
            Error::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// The kinds of errors, by the names that scripts know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `Invalid argument`
    Invalid,
    /// `Entry not found`
    NotFound,
    /// `I/O error`
    Io,
    /// `Parse error`
    Parse,
    /// `Duplicate entry`
    Duplicate,
}

impl Kind {
    /// Its name.
    pub const fn text(self) -> &'static str {
        match self {
            Kind::Invalid => "Invalid argument",
            Kind::NotFound => "Entry not found",
            Kind::Io => "I/O error",
            Kind::Parse => "Parse error",
            Kind::Duplicate => "Duplicate entry",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

/// Where the text of a package is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// In which way.
    pub reason: Reason,
    /// The number of lines, ended by a line feed, read so far: that of the line at fault, from 1, unless it is an
    /// unfinished last line.
    pub line: usize,
    /// The reader's place in that line, in bytes from 0; lines that a value or a backslash joins count as one.
    pub byte: usize,
}

impl ParseError {
    /// What kind of error it is.
    pub fn kind(&self) -> Kind {
        match self.reason {
            Reason::PackageTwice => Kind::Duplicate,
            _ => Kind::Parse,
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} ({}) at line {}, byte {}",
            self.kind(),
            self.reason.text(),
            self.line,
            self.byte
        )
    }
}

impl std::error::Error for ParseError {}

/// In which way the text of a package is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The first word is no command.
    UnknownCommand,
    /// The text ends behind `package`.
    PackageWithoutName,
    /// The text ends behind `config`.
    ConfigWithoutName,
    /// The text ends behind `option` or `list`.
    OptionWithoutName,
    /// A type or a name is missing or empty.
    MissingArgument,
    /// A section, option or package cannot be called so.
    BadName,
    /// A section cannot be of this type.
    BadType,
    /// Something follows the last argument.
    SurplusArgument,
    /// An option without a section.
    NoSection,
    /// A section without a package, in a text that may hold several.
    NoPackage,
    /// A package that the text has named before, in a text that may hold several.
    PackageTwice,
    /// A section of this name exists and is of another type.
    TypeConflict,
    /// The text ends inside `'`.
    OpenSingleQuote,
    /// The text ends inside `"`.
    OpenDoubleQuote,
    /// A NUL byte, which no value can hold.
    NulByte,
    /// A control character, which no file of pending changes can hold.
    BadValue,
}

impl Reason {
    /// Its text.
    pub fn text(self) -> &'static str {
        match self {
            Reason::UnknownCommand => "invalid command",
            Reason::PackageWithoutName => "package without name",
            Reason::ConfigWithoutName => "config without name",
            Reason::OptionWithoutName => "option without name",
            Reason::MissingArgument => "insufficient arguments",
            Reason::BadName => "invalid character in name field",
            Reason::BadType => "invalid character in type field",
            Reason::SurplusArgument => "too many arguments",
            Reason::NoSection => "option/list command found before the first section",
            Reason::NoPackage => "attempting to import a file without a package name",
            Reason::PackageTwice => "package named twice",
            Reason::TypeConflict => {
                "section of different type overwrites prior section with same name"
            }
            Reason::OpenSingleQuote => "EOF with unterminated '",
            Reason::OpenDoubleQuote => "EOF with unterminated \"",
            Reason::NulByte => "NUL byte",
            Reason::BadValue => "invalid character in value",
        }
    }
}
