//! The command `ubus`: what people and scripts ask of the bus, answered as they know it from OpenWrt's own, byte for byte.
//!
//! | exit status | when |
//! | --- | --- |
//! | 0 | all is well, or a command that goes on was ended by a signal, its time or the end of the daemon |
//! | the status of the request | it failed: `Command failed: Not found` |
//! | 256 less the status | a call failed, and standard error is no terminal: `Command failed: ubus call PATH METHOD (Not found)` |
//! | 255 | no daemon, a registration that failed, or nobody who reads what is printed |
//! | 254 | no such command, or too few or too many words for it |
//! | 1 | options that make no sense, or no command |
//!
//! With `-S` failures say nothing, and calls fail with their status.

mod arguments;
mod commands;
mod monitor;
mod print;
mod signals;

use arguments::{Arguments, USAGE};
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use ubus::blob::BuildError;
use ubus::blobmsg::TooDeep;
use ubus::client::ClientError;
use ubus::Status;

fn main() -> ExitCode {
    let arguments = match Arguments::from_environment() {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprint!("ubus: {error}\n{USAGE}");
            return ExitCode::from(1);
        }
    };
    match commands::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&arguments),
    }
}

/// Why a command has not done what it was asked.
#[derive(Debug)]
enum Failure {
    /// There is no such command, or it takes more or fewer words.
    Usage,
    /// Whoever was asked refused, or did not answer.
    Status(Status),
    /// A call failed that could be made, or could not for its message.
    Call(Status),
    /// The reason as people know it.
    Known(Vec<u8>),
    /// What OpenWrt's own command has no words for.
    Other(String),
}

impl Failure {
    fn report(&self, arguments: &Arguments) -> ExitCode {
        let is_silent = arguments.is_simple;
        let (text, code) = match self {
            Failure::Usage => (USAGE.trim_end().into(), -2),
            Failure::Call(status) if !is_silent && !io::stderr().is_terminal() => {
                let mut text = b"Command failed: ubus ".to_vec();
                for word in &arguments.words {
                    text.extend_from_slice(word);
                    text.push(b' ');
                }
                text.extend_from_slice(format!("({status})").as_bytes());
                (text, status.0.wrapping_neg())
            }
            Failure::Call(status) | Failure::Status(status) => {
                (format!("Command failed: {status}").into(), status.0)
            }
            Failure::Known(text) => (text.clone(), -1),
            Failure::Other(reason) => (reason.clone().into(), -1),
        };
        if !is_silent || matches!(self, Failure::Usage | Failure::Other(_)) {
            // Where this cannot be said, nothing can.
            let _ = io::stderr().write_all(&[&text[..], b"\n"].concat());
        }
        // 0 would say that all is well.
        ExitCode::from((code as u8).max(1))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        Failure::Status(error.status())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Other(error.to_string())
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Failure {
        Failure::Other(error.to_string())
    }
}

impl From<TooDeep> for Failure {
    fn from(error: TooDeep) -> Failure {
        Failure::Other(error.to_string())
    }
}
