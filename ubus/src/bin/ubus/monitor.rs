//! `ubus monitor`: a line for each message that the daemon receives or sends.

use super::arguments::Arguments;
use super::commands::unreachable;
use super::{print, signals, Failure};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::time::Instant;
use ubus::blob::{Attr, Attrs};
use ubus::blobmsg::{Builder, Table, TableBuf};
use ubus::client::ClientError;
use ubus::message::{id, MAX_RECEIVED, MONITOR_OBJECT};
use ubus::socket::{deadline, Socket};
use ubus::{Connection, Event, Monitored, ReceiveBuffer};

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let connected = Socket::connect(&arguments.socket, deadline(arguments.patience()));
    let mut socket = connected.map_err(|_| unreachable())?;
    match watch(&mut socket, arguments, deadline(arguments.listen_time())) {
        // That the daemon has gone is an end like others.
        Err(Stop::Lost) | Ok(()) => Ok(()),
        Err(Stop::Failure(failure)) => Err(failure),
    }
}

/// Why nothing more is printed before the time is over.
enum Stop {
    Lost,
    Failure(Failure),
}

impl<F: Into<Failure>> From<F> for Stop {
    fn from(failure: F) -> Stop {
        Stop::Failure(failure.into())
    }
}

fn watch(socket: &mut Socket, arguments: &Arguments, end: Option<Instant>) -> Result<(), Stop> {
    let signals = signals::catch()?;
    let mut connection = Connection::new();
    let mut received = ReceiveBuffer::new(MAX_RECEIVED);
    loop {
        socket.send(connection.output()).map_err(|_| Stop::Lost)?;
        let writes = connection.output().len() > 0;
        if !socket.wait_unless(Some(signals.as_fd()), writes, end)? {
            return Ok(());
        }
        match socket.receive(&mut received) {
            Ok(0) => return Err(Stop::Lost),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Err(Stop::Lost),
        }
        while let Some(message) = received.next().map_err(ClientError::from)? {
            match connection.handle(message).map_err(ClientError::from)? {
                Some(Event::Ready { .. }) => {
                    let request = connection.invoke(MONITOR_OBJECT, b"add", Table::default());
                    request.map_err(ClientError::from)?;
                }
                Some(Event::Done { status, .. }) if !status.is_ok() => {
                    return Err(Failure::Status(status).into());
                }
                Some(Event::Monitor(attrs)) => match Monitored::read(attrs) {
                    Some(copy) => print(arguments, &copy)?,
                    None => print::line_of(&[b"Invalid monitor msg"])?,
                },
                _ => {}
            }
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(());
        }
    }
}

fn print(arguments: &Arguments, copy: &Monitored<'_>) -> Result<(), Failure> {
    // A type that cannot be asked for is always wanted.
    let is_wanted =
        arguments.kinds.is_empty() || copy.kind.0 >= 32 || arguments.kinds.contains(&copy.kind);
    if !is_wanted || arguments.sent.is_some_and(|sent| sent != copy.sent) {
        return Ok(());
    }
    let direction = if copy.sent { "->" } else { "<-" };
    let number = copy.kind.0.to_string();
    let kind = print::KINDS
        .get(usize::from(copy.kind.0))
        .unwrap_or(&number.as_str())
        .to_string();
    let head = format!(
        "{direction} {:08x} #{:08x} {kind:>14}: ",
        copy.client, copy.peer
    );
    let json = print::compact(attributes(copy.body)?.as_table())?;
    Ok(print::line_of(&[head.as_bytes(), &json])?)
}

/// What is printed of a message, in this order.
const FIELDS: [(u8, &str, Add); 11] = [
    (id::STATUS, "status", number),
    (id::PATH, "objpath", text),
    (id::OBJECT, "objid", number),
    (id::METHOD, "method", text),
    (id::TYPE, "objtype", number),
    (id::SIGNATURE, "signature", nested),
    (id::DATA, "data", nested),
    (id::ACTIVE, "active", flag),
    (id::NO_REPLY, "no_reply", flag),
    (id::USER, "user", text),
    (id::GROUP, "group", text),
];

/// Adds an attribute under a name, unless it is of the wrong form.
type Add = fn(&mut Builder, &str, Attr<'_>) -> Option<()>;

/// The attributes of a message as a table.
fn attributes(attrs: Attrs<'_>) -> Result<TableBuf, Failure> {
    let mut builder = Builder::new();
    for (id, name, add) in FIELDS {
        let all: Vec<_> = attrs.filter(|attr| attr.id() == id).collect();
        // The last one that can be read counts.
        let _ = all
            .into_iter()
            .rev()
            .find_map(|attr| add(&mut builder, name, attr));
    }
    Ok(builder.finish()?)
}

fn number(builder: &mut Builder, name: &str, attr: Attr<'_>) -> Option<()> {
    builder.id(name, attr.as_u32()?);
    Some(())
}

fn text(builder: &mut Builder, name: &str, attr: Attr<'_>) -> Option<()> {
    builder.string(name, attr.as_text()?);
    Some(())
}

fn flag(builder: &mut Builder, name: &str, attr: Attr<'_>) -> Option<()> {
    builder.bool(name, attr.as_u8()? != 0);
    Some(())
}

fn nested(builder: &mut Builder, name: &str, attr: Attr<'_>) -> Option<()> {
    builder.table(name, Table::new(attr.payload()));
    Some(())
}
