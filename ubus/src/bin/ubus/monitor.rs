//! `ubus monitor`: a line for each message that the daemon receives or sends.

use super::arguments::Arguments;
use super::{print, Failure};
use std::io::ErrorKind;
use std::time::Instant;
use ubus::blob::{Attr, Attrs};
use ubus::blobmsg::{Builder, Table, Type};
use ubus::client::ClientError;
use ubus::message::{id, MAX_RECEIVED, MONITOR_OBJECT};
use ubus::socket::{deadline, Socket};
use ubus::{Connection, Event, Monitored, ReceiveBuffer, Status};

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let connected = Socket::connect(&arguments.socket, deadline(arguments.patience()));
    let mut socket = connected.map_err(|error| Failure::Connect {
        path: arguments.socket.clone(),
        error: error.into(),
    })?;
    watch(&mut socket, arguments, deadline(arguments.duration()))
}

fn watch(socket: &mut Socket, arguments: &Arguments, end: Option<Instant>) -> Result<(), Failure> {
    let lost = || Failure::Status(Status::CONNECTION_FAILED);
    let mut connection = Connection::new();
    let mut received = ReceiveBuffer::new(MAX_RECEIVED);
    loop {
        socket.send(connection.output()).map_err(|_| lost())?;
        if !socket
            .wait(connection.output().len() > 0, end)
            .map_err(|_| lost())?
        {
            return Ok(());
        }
        match socket.receive(&mut received) {
            Ok(0) => return Err(lost()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Err(lost()),
        }
        while let Some(message) = received.next().map_err(ClientError::from)? {
            match connection.handle(message).map_err(ClientError::from)? {
                Some(Event::Ready { .. }) => {
                    let request = connection.invoke(MONITOR_OBJECT, b"add", Table::default());
                    request.map_err(ClientError::from)?;
                }
                Some(Event::Done { status, .. }) if !status.is_ok() => {
                    return Err(Failure::Status(status));
                }
                Some(Event::Monitor(attrs)) => {
                    if let Some(copy) = Monitored::read(attrs) {
                        print(arguments, &copy)?;
                    }
                }
                _ => {}
            }
        }
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(());
        }
    }
}

fn print(arguments: &Arguments, copy: &Monitored<'_>) -> Result<(), Failure> {
    let is_wanted = arguments.kinds.is_empty() || arguments.kinds.contains(&copy.kind);
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

/// The attributes of a message as a table; those nobody knows are left out.
fn attributes(attrs: Attrs<'_>) -> Result<ubus::blobmsg::TableBuf, Failure> {
    let mut builder = Builder::new();
    for attr in attrs {
        add(&mut builder, attr);
    }
    Ok(builder.finish()?)
}

fn add(builder: &mut Builder, attr: Attr<'_>) {
    let Some((name, kind)) = name_of(attr.id()) else {
        return;
    };
    match kind {
        Type::Int32 => {
            if let Some(number) = attr.as_u32() {
                builder.id(name, number);
            }
        }
        Type::String => {
            if let Some(text) = attr.as_text() {
                builder.string(name, text);
            }
        }
        Type::Int8 => {
            if let Some(flag) = attr.as_u8() {
                builder.bool(name, flag != 0);
            }
        }
        Type::Array => {
            builder.open_array(name);
            for number in attr.children().filter_map(Attr::as_u32) {
                builder.id("", number);
            }
            builder.close();
        }
        _ => {
            builder.table(name, Table::new(attr.payload()));
        }
    }
}

fn name_of(number: u8) -> Option<(&'static str, Type)> {
    Some(match number {
        id::STATUS => ("status", Type::Int32),
        id::PATH => ("objpath", Type::String),
        id::OBJECT => ("objid", Type::Int32),
        id::METHOD => ("method", Type::String),
        id::TYPE => ("objtype", Type::Int32),
        id::SIGNATURE => ("signature", Type::Table),
        id::DATA => ("data", Type::Table),
        id::TARGET => ("target", Type::Int32),
        id::ACTIVE => ("active", Type::Int8),
        id::NO_REPLY => ("no_reply", Type::Int8),
        id::SUBSCRIBERS => ("subscribers", Type::Array),
        id::USER => ("user", Type::String),
        id::GROUP => ("group", Type::String),
        _ => return None,
    })
}
