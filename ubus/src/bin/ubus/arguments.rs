//! What the command line says.

use lexopt::prelude::*;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;
use ubus::message::{Kind, DEFAULT_PATH};

pub const USAGE: &str = "Usage: ubus [OPTIONS] COMMAND

Options:
  -s SOCKET    the daemon's socket (default: /var/run/ubus/ubus.sock)
  -t SECONDS   how long to wait for the end of a call and for objects
               (default: 30), or how long to listen, subscribe or monitor
               (default: without end)
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
  monitor                      print all messages
";

/// How long to wait unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to do, and how.
#[derive(Debug)]
pub struct Arguments {
    pub socket: PathBuf,
    /// Seconds, which may be none or less.
    timeout: Option<f64>,
    pub is_simple: bool,
    pub is_verbose: bool,
    /// Types of messages to print; all if there is none.
    pub kinds: Vec<Kind>,
    /// Whether to print what the daemon sends, or what it receives; both if neither is said.
    pub sent: Option<bool>,
    /// The command, and what it is given.
    pub words: Vec<Vec<u8>>,
}

impl Arguments {
    /// Nothing if only help is wanted.
    pub fn from_environment() -> Result<Option<Arguments>, lexopt::Error> {
        Arguments::read(lexopt::Parser::from_env())
    }

    /// How long the end of a call may take: with 0 seconds without end.
    pub fn call_time(&self) -> Duration {
        match self.timeout {
            None => PATIENCE,
            Some(0.0) => Duration::MAX,
            Some(seconds) => duration(seconds),
        }
    }

    /// How long objects may take to come.
    pub fn wait_time(&self) -> Duration {
        self.timeout.map_or(PATIENCE, duration)
    }

    /// How long to do what has no end of its own: with 0 seconds without end.
    pub fn listen_time(&self) -> Duration {
        match self.timeout {
            None | Some(0.0) => Duration::MAX,
            Some(seconds) => duration(seconds),
        }
    }

    /// How long the daemon itself may take for an answer.
    pub fn patience(&self) -> Duration {
        PATIENCE
    }

    fn read(mut parser: lexopt::Parser) -> Result<Option<Arguments>, lexopt::Error> {
        let mut arguments = Arguments {
            socket: DEFAULT_PATH.into(),
            timeout: None,
            is_simple: false,
            is_verbose: false,
            kinds: Vec::new(),
            sent: None,
            words: Vec::new(),
        };
        while let Some(argument) = parser.next()? {
            match argument {
                Short('s') => arguments.socket = parser.value()?.into(),
                Short('t') => arguments.timeout = Some(seconds(&parser.value()?)),
                Short('S') => arguments.is_simple = true,
                Short('v') => arguments.is_verbose = true,
                Short('m') => arguments.kinds.push(kind(&parser.value()?)?),
                Short('M') => arguments.sent = Some(direction(&parser.value()?)?),
                Short('h') | Long("help") => return Ok(None),
                Value(word) => arguments.words.push(word.into_vec()),
                other => return Err(other.unexpected()),
            }
        }
        match arguments.words.is_empty() {
            false => Ok(Some(arguments)),
            true => Err("a command is missing".into()),
        }
    }
}

fn duration(seconds: f64) -> Duration {
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) => duration,
        Err(_) if seconds > 0.0 => Duration::MAX,
        Err(_) => Duration::ZERO,
    }
}

/// The number that a text begins with, 0 if there is none, as C reads it; and its fraction, too.
fn seconds(text: &OsString) -> f64 {
    let text = text.as_bytes().trim_ascii_start();
    let signs = text.iter().take_while(|byte| b"+-".contains(byte)).count();
    let is_part = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
    let mut end = signs + text.iter().skip(signs).take_while(is_part).count();
    // Of two points the second ends the number.
    loop {
        let number = std::str::from_utf8(text.get(..end).unwrap_or_default());
        match number.ok().and_then(|number| number.parse().ok()) {
            Some(number) => return number,
            None if end == 0 => return 0.0,
            None => end -= 1,
        }
    }
}

fn kind(value: &OsString) -> Result<Kind, lexopt::Error> {
    let found = super::print::KINDS.iter().position(|name| name == value);
    match found {
        Some(number) => Ok(Kind(number as u8)),
        None => Err(format!("-m: '{}' is no type of message", value.display()).into()),
    }
}

/// The first letter counts.
fn direction(value: &OsString) -> Result<bool, lexopt::Error> {
    match value.as_bytes().first() {
        Some(b'r') => Ok(false),
        Some(b't') => Ok(true),
        _ => Err("-M: r or t is expected".into()),
    }
}
