//! The command-line tool `uci`: this file only turns a result into messages and an exit status.

mod commands;
mod input;
mod options;
mod output;

use options::Options;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use uci::{Error, Kind};

/// How a command ends that did not do what was asked.
enum Failure {
    /// It was called in a way that makes no sense.
    Usage,
    /// It was called to tell how it is called.
    Help,
    /// There is no such option.
    Option(char),
    /// The last option needs an argument.
    Argument,
    /// Words of their own.
    Text(&'static str),
    /// The library refused.
    Uci(Error),
    /// The same, for a command whose exit status tells why.
    Numbered(Error),
    /// Input or output failed.
    Io(std::io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Uci(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Io(error)
    }
}

impl Failure {
    /// What the user is told, and the exit status.
    fn report(&self, quiet: bool) -> u8 {
        let (message, status) = match self {
            // Whoever read the output, such as `head`, has had enough.
            Failure::Io(error) if error.kind() == ErrorKind::BrokenPipe => return 1,
            Failure::Usage => return usage(255),
            Failure::Help => return usage(0),
            Failure::Option(letter) => {
                tell(&format!("uci: invalid option -- '{letter}'\n"));
                return usage(0);
            }
            Failure::Argument => {
                tell("uci: option requires an argument\n");
                return usage(0);
            }
            Failure::Text(text) => ((*text).to_owned(), 1),
            Failure::Io(error) => (format!("uci: I/O error: {error}"), 1),
            Failure::Uci(error) => (message(error), 1),
            Failure::Numbered(error) => (message(error), number(error.kind())),
        };
        if !quiet {
            tell(&format!("{message}\n"));
        }
        status
    }
}

/// Only what happens in a file needs more words than scripts know.
fn message(error: &Error) -> String {
    match error.kind() {
        Kind::Parse | Kind::Io => format!("uci: {error}"),
        kind => format!("uci: {kind}"),
    }
}

/// The exit status of `add`: the number that libuci gives the error.
fn number(kind: Kind) -> u8 {
    match kind {
        Kind::Invalid => 2,
        Kind::NotFound => 3,
        Kind::Io => 4,
        Kind::Parse => 5,
        Kind::Duplicate => 6,
        _ => 1,
    }
}

fn usage(status: u8) -> u8 {
    tell(options::USAGE);
    status
}

fn tell(text: &str) {
    // Standard error may be closed; there is nobody left to tell then.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(options) => options,
        Err(failure) => return ExitCode::from(failure.report(false)),
    };
    let quiet = options.quiet;
    let mut tool = commands::Tool::new(options);
    let mut status = 0;
    if let Err(failure) = tool.run() {
        status = failure.report(quiet);
    }
    if let Err(failure) = tool.flush() {
        status = failure.report(quiet);
    }
    ExitCode::from(status)
}
