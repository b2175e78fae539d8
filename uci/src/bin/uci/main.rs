//! The command-line tool `uci`: this file only turns a result into messages and an exit status.

mod commands;
mod options;
mod output;

use options::Options;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use uci::Error;

/// How a command ends that did not do what was asked.
enum Failure {
    /// It was called in a way that makes no sense.
    Usage,
    /// The library refused.
    Uci(Error),
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
        let message = match self {
            // Whoever read the output, such as `head`, has had enough.
            Failure::Io(error) if error.kind() == ErrorKind::BrokenPipe => return 1,
            Failure::Usage => {
                let _ = std::io::stderr().write_all(options::USAGE.as_bytes());
                return 255;
            }
            Failure::Io(error) => format!("I/O error: {error}"),
            Failure::Uci(Error::Parse { error, .. }) => error.to_string(),
            Failure::Uci(error @ Error::Io { .. }) => error.to_string(),
            Failure::Uci(error) => error.kind().to_string(),
        };
        if !quiet {
            // Standard error may be closed; there is nobody left to tell then.
            let _ = writeln!(std::io::stderr(), "uci: {message}");
        }
        1
    }
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
