//! The daemon of the bus as a program: `ubusd [-s PATH]`.
//!
//! It ends with status 0 on SIGTERM and SIGINT and leaves no socket behind, with 1 if it does not understand its arguments, and with 255 if
//! it cannot listen.

use nix::sys::resource::{getrlimit, setrlimit, Resource};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::ffi::OsString;
use std::fmt;
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use ubus::broker::Broker;
use ubus::message::DEFAULT_PATH;
use ubus::server::Server;

const USAGE: &str = "Usage: ubusd [-s PATH]

The daemon of OpenWrt's message bus, for development machines and tests.

  -s PATH   the socket to listen at (default: /var/run/ubus/ubus.sock)
  -A PATH   accepted and ignored: access rules are not read, user 0 and the
            user ubusd runs as may do everything
  -h        this text";

fn main() -> ExitCode {
    let path = match arguments() {
        Ok(Some(path)) => path,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("ubusd: {error}\n{USAGE}");
            return ExitCode::from(1);
        }
    };
    match serve(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ubusd: {}: {}", path.display(), Reason(&error));
            ExitCode::from(255)
        }
    }
}

/// The socket to listen at, or nothing if only help is wanted.
fn arguments() -> Result<Option<PathBuf>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut path = OsString::from(DEFAULT_PATH);
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('s') => path = parser.value()?,
            Short('A') => {
                parser.value()?;
                eprintln!("ubusd: access rules are not read, -A is ignored");
            }
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(path.into()))
}

fn serve(path: &Path) -> io::Result<()> {
    // As many clients as the system lets us have.
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
    let mut all = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        all.add(signal);
    }
    all.thread_block()?;
    let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    Server::bind(path)?.run(&signals, |broker| obey(&signals, broker))
}

fn obey(signals: &SignalFd, broker: &mut Broker) -> ControlFlow<()> {
    while let Ok(Some(signal)) = signals.read_signal() {
        if signal.ssi_signo as i32 != Signal::SIGHUP as i32 {
            return ControlFlow::Break(());
        }
        broker.access_changed();
    }
    ControlFlow::Continue(())
}

/// Why it cannot listen, in words.
struct Reason<'a>(&'a io::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            ErrorKind::AddrInUse => f.write_str("another daemon listens there"),
            ErrorKind::AlreadyExists => f.write_str("there is something that is not a socket"),
            _ => self.0.fmt(f),
        }
    }
}
