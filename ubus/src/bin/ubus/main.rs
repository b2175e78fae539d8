//! The command `ubus`: what people and scripts ask of the bus.
//!
//! A request that fails gives its status as exit status and, but for `-S`, its text on standard error. 255 is for what never reached
//! the daemon, 1 for arguments that make no sense.

mod arguments;
mod commands;
mod monitor;
mod print;

use arguments::{Arguments, Command, USAGE};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use ubus::blob::BuildError;
use ubus::blobmsg::{JsonError, TooDeep};
use ubus::client::ClientError;
use ubus::Status;

fn main() -> ExitCode {
    let arguments = match Arguments::from_environment() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("ubus: {error}\n{USAGE}");
            return ExitCode::from(1);
        }
    };
    match arguments.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !(arguments.is_simple && matches!(failure, Failure::Status(_))) {
                eprintln!("{failure}");
            }
            failure.exit_code()
        }
    }
}

impl Arguments {
    fn run(&self) -> Result<(), Failure> {
        match &self.command {
            Command::Help => Ok(print::line(format_args!("{USAGE}"))?),
            Command::List { path } => commands::list(self, path.as_deref()),
            Command::Call {
                path,
                method,
                message,
            } => commands::call(self, path, method, message.as_deref()),
            Command::Send { event, message } => commands::send(self, event, message.as_deref()),
            Command::Listen { patterns } => commands::listen(self, patterns),
            Command::Subscribe { paths } => commands::subscribe(self, paths),
            Command::WaitFor { paths } => commands::wait_for(self, paths),
            Command::Monitor => monitor::run(self),
        }
    }
}

/// Why a command has not done what it was asked.
#[derive(Debug)]
enum Failure {
    /// Whoever was asked refused, or did not answer.
    Status(Status),
    /// There is no daemon.
    Connect { path: PathBuf, error: ClientError },
    /// The message is not a JSON object.
    Message(JsonError),
    /// What came cannot be printed, or what was given cannot be sent.
    Other(String),
    /// Nobody reads what is printed.
    Output(io::Error),
}

impl Failure {
    fn exit_code(&self) -> ExitCode {
        match self {
            // 0 would say that all is well.
            Failure::Status(status) => ExitCode::from((status.0 as u8).max(1)),
            _ => ExitCode::from(255),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Status(status) => write!(f, "Command failed: {status}"),
            Failure::Connect { path, error } => {
                write!(
                    f,
                    "Failed to connect to ubus at {}: {error}",
                    path.display()
                )
            }
            Failure::Message(error) => write!(f, "Failed to parse message data: {error}"),
            Failure::Other(reason) => f.write_str(reason),
            Failure::Output(error) => error.fmt(f),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        match error {
            ClientError::Request(_) => Failure::Other(error.to_string()),
            error => Failure::Status(error.status()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
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
