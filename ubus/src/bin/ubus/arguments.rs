//! What the command line says.

use lexopt::prelude::*;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use ubus::message::{Kind, DEFAULT_PATH};

pub const USAGE: &str = "Usage: ubus [OPTIONS] COMMAND

Options:
  -s SOCKET    the daemon's socket (default: /var/run/ubus/ubus.sock)
  -t SECONDS   how long to wait for answers (default: 30), or how long to
               listen, subscribe or monitor (default: without end)
  -S           simplified output, for scripts
  -v           methods and their arguments, too
  -m TYPE      monitor: messages of this type only; may be repeated
  -M r|t       monitor: only what the daemon receives, or only what it transmits
  -h           this text

Commands:
  list [PATH]                  objects; PATH may end in *
  call PATH METHOD [MESSAGE]   call a method; MESSAGE is a JSON object
  send EVENT [MESSAGE]         send an event
  listen [PATTERN...]          print events; PATTERN may end in *
  subscribe PATH...            print notifications of objects
  wait_for PATH...             wait until objects are there
  monitor                      print all messages";

/// How long to wait for an answer unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to do, and how.
#[derive(Debug)]
pub struct Arguments {
    pub socket: PathBuf,
    timeout: Option<Duration>,
    pub is_simple: bool,
    pub is_verbose: bool,
    /// Types of messages to print; all if there is none.
    pub kinds: Vec<Kind>,
    /// Whether to print what the daemon sends, or what it receives; both if neither is said.
    pub sent: Option<bool>,
    pub command: Command,
}

#[derive(Debug)]
pub enum Command {
    Help,
    List {
        path: Option<String>,
    },
    Call {
        path: String,
        method: String,
        message: Option<String>,
    },
    Send {
        event: String,
        message: Option<String>,
    },
    Listen {
        patterns: Vec<String>,
    },
    Subscribe {
        paths: Vec<String>,
    },
    WaitFor {
        paths: Vec<String>,
    },
    Monitor,
}

impl Arguments {
    pub fn from_environment() -> Result<Arguments, lexopt::Error> {
        Arguments::read(lexopt::Parser::from_env())
    }

    /// How long to wait for an answer; 0 says without end.
    pub fn patience(&self) -> Duration {
        match self.timeout {
            None => PATIENCE,
            Some(Duration::ZERO) => Duration::MAX,
            Some(timeout) => timeout,
        }
    }

    /// How long to do what has no end of its own.
    pub fn duration(&self) -> Duration {
        match self.timeout {
            None | Some(Duration::ZERO) => Duration::MAX,
            Some(timeout) => timeout,
        }
    }

    fn read(mut parser: lexopt::Parser) -> Result<Arguments, lexopt::Error> {
        let mut arguments = Arguments {
            socket: DEFAULT_PATH.into(),
            timeout: None,
            is_simple: false,
            is_verbose: false,
            kinds: Vec::new(),
            sent: None,
            command: Command::Help,
        };
        let mut words = Vec::new();
        while let Some(argument) = parser.next()? {
            match argument {
                Short('s') => arguments.socket = parser.value()?.into(),
                Short('t') => arguments.timeout = Some(seconds(parser.value()?)?),
                Short('S') => arguments.is_simple = true,
                Short('v') => arguments.is_verbose = true,
                Short('m') => arguments.kinds.push(kind(parser.value()?)?),
                Short('M') => arguments.sent = Some(direction(parser.value()?)?),
                Short('h') | Long("help") => return Ok(arguments),
                Value(word) => words.push(word.string()?),
                other => return Err(other.unexpected()),
            }
        }
        arguments.command = command(words)?;
        Ok(arguments)
    }
}

fn command(words: Vec<String>) -> Result<Command, lexopt::Error> {
    let mut words = words.into_iter();
    let name = words.next().ok_or("a command is missing")?;
    let mut required = |what: &str| {
        let missing = || lexopt::Error::from(format!("{name}: {what} is missing"));
        words.next().ok_or_else(missing)
    };
    let command = match name.as_str() {
        "list" => Command::List { path: words.next() },
        "call" => Command::Call {
            path: required("PATH")?,
            method: required("METHOD")?,
            message: words.next(),
        },
        "send" => Command::Send {
            event: required("EVENT")?,
            message: words.next(),
        },
        "listen" => Command::Listen {
            patterns: words.by_ref().collect(),
        },
        "subscribe" => Command::Subscribe {
            paths: some(required("PATH")?, &mut words),
        },
        "wait_for" => Command::WaitFor {
            paths: some(required("PATH")?, &mut words),
        },
        "monitor" => Command::Monitor,
        _ => return Err(format!("no such command: {name}").into()),
    };
    match words.next() {
        None => Ok(command),
        Some(word) => Err(format!("{name}: '{word}' is one too many").into()),
    }
}

fn some(first: String, others: &mut impl Iterator<Item = String>) -> Vec<String> {
    std::iter::once(first).chain(others).collect()
}

fn seconds(value: OsString) -> Result<Duration, lexopt::Error> {
    let text = value.string()?;
    let number = text.parse().ok();
    let duration = number.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| format!("-t: '{text}' is no number of seconds").into())
}

fn kind(value: OsString) -> Result<Kind, lexopt::Error> {
    let text = value.string()?;
    let found = super::print::KINDS.iter().position(|name| *name == text);
    match found {
        Some(number) => Ok(Kind(number as u8)),
        None => Err(format!("-m: '{text}' is no type of message").into()),
    }
}

fn direction(value: OsString) -> Result<bool, lexopt::Error> {
    match value.to_str() {
        Some("r") => Ok(false),
        Some("t") => Ok(true),
        _ => Err("-M: r or t is expected".into()),
    }
}
