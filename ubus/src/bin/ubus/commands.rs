//! The commands that need a client, each from its request to what it prints.

use super::arguments::Arguments;
use super::{monitor, print, signals, Failure};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ubus::blobmsg::{from_lenient_json, Builder, TableBuf, Value};
use ubus::client::{Client, ClientError, Notice, ObjectInfo};
use ubus::message::EVENT_OBJECT;
use ubus::Status;

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut words = arguments.words.iter().map(Vec::as_slice);
    let command = words.next().unwrap_or_default();
    let words: Vec<&[u8]> = words.collect();
    if command == b"monitor" {
        return monitor::run(arguments);
    }
    let connected = Client::connect(&arguments.socket, arguments.patience());
    let mut client = connected.map_err(|_| unreachable())?;
    let client = &mut client;
    match (command, &words[..]) {
        (b"list", []) => list(client, arguments, None),
        (b"list", &[path]) => list(client, arguments, Some(path)),
        (b"call", &[path, method]) => call(client, arguments, path, method, None),
        (b"call", &[path, method, message]) => call(client, arguments, path, method, Some(message)),
        (b"send", &[event]) => send(client, arguments, event, None),
        (b"send", &[event, message]) => send(client, arguments, event, Some(message)),
        (b"listen", []) => listen(client, arguments, b"*", &[]),
        (b"listen", [first, others @ ..]) => listen(client, arguments, first, others),
        (b"subscribe", paths) => subscribe(client, arguments, paths),
        (b"wait_for", paths @ [_, ..]) => wait_for(client, arguments, paths),
        _ => Err(Failure::Usage),
    }
}

pub fn unreachable() -> Failure {
    Failure::Known(b"Failed to connect to ubus".to_vec())
}

fn list(client: &mut Client, arguments: &Arguments, path: Option<&[u8]>) -> Result<(), Failure> {
    let is_verbose = arguments.is_verbose && !arguments.is_simple;
    find(client, arguments, path)?
        .iter()
        .try_for_each(|object| print::object(object, is_verbose))
}

fn call(
    client: &mut Client,
    arguments: &Arguments,
    path: &[u8],
    method: &[u8],
    message: Option<&[u8]>,
) -> Result<(), Failure> {
    let data = table(message).map_err(Failure::Call)?;
    let object = find_last(client, arguments, path)?;
    let failed = |error: ClientError| Failure::Call(error.status());
    let request = client.start_call(object.id, method, data.as_table());
    let mut printed = Ok(());
    let is_simple = arguments.is_simple;
    let ended = client.finish_call_with(request.map_err(failed)?, arguments.call_time(), |part| {
        if printed.is_ok() {
            printed = print::result(part.as_table(), is_simple);
        }
    });
    printed?;
    ended.map_err(failed)
}

fn send(
    client: &mut Client,
    arguments: &Arguments,
    event: &[u8],
    message: Option<&[u8]>,
) -> Result<(), Failure> {
    let data = table(message).map_err(Failure::Status)?;
    Ok(client.send_event(event, data.as_table(), arguments.patience())?)
}

fn listen(
    client: &mut Client,
    arguments: &Arguments,
    first: &[u8],
    others: &[&[u8]],
) -> Result<(), Failure> {
    let printer = Printer::default();
    let print = {
        let printer = printer.clone();
        move |client: &mut Client, event: &Notice| printer.print(client, event)
    };
    let handle = client.listen(first, arguments.patience(), print);
    let handle = handle.map_err(|error| unregistered(first, &error))?;
    // One object hears them all, so that an event of several patterns comes once.
    let object = client.connection().id(handle).unwrap_or_default();
    for pattern in others {
        let mut builder = Builder::new();
        builder.id("object", object).string("pattern", pattern);
        let data = builder.finish()?;
        client
            .call_id(
                EVENT_OBJECT,
                "register",
                data.as_table(),
                arguments.patience(),
            )
            .map_err(|error| unregistered(pattern, &error))?;
    }
    printer.serve(client, arguments)
}

fn subscribe(client: &mut Client, arguments: &Arguments, paths: &[&[u8]]) -> Result<(), Failure> {
    let Some(first) = paths.first() else {
        let text = b"You need to specify an object to subscribe to";
        return Err(Failure::Known(text.to_vec()));
    };
    let printer = Printer::default();
    for path in paths {
        let printer = printer.clone();
        let print = move |client: &mut Client, notice: &Notice| {
            printer.print(client, notice);
            Status::OK
        };
        // The first is named, whichever it is.
        let failed = |error: ClientError| unregistered(first, &error);
        let object = find_last(client, arguments, path).map_err(failed)?;
        client
            .subscribe(object.path, false, arguments.patience(), print)
            .map_err(failed)?;
    }
    printer.serve(client, arguments)
}

fn wait_for(client: &mut Client, arguments: &Arguments, paths: &[&[u8]]) -> Result<(), Failure> {
    let missing: BTreeSet<Vec<u8>> = paths.iter().map(|path| path.to_vec()).collect();
    let missing = Arc::new(Mutex::new(missing));
    let found = {
        let missing = missing.clone();
        move |client: &mut Client, path: &[u8]| {
            let mut missing = missing.lock().unwrap_or_else(PoisonError::into_inner);
            missing.remove(path);
            if missing.is_empty() {
                client.stop();
            }
            missing.is_empty()
        }
    };
    // Those that come from now on are heard of, those that are there already are found.
    let heard = found.clone();
    client.listen(
        "ubus.object.add",
        arguments.patience(),
        move |client, event| {
            if let Some(path) = event.data.get("path").and_then(Value::as_bytes) {
                heard(client, path);
            }
        },
    )?;
    for object in find(client, arguments, None)? {
        if found(client, &object.path) {
            return Ok(());
        }
    }
    serve(client, arguments.wait_time())?;
    let is_done = missing
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .is_empty();
    match is_done {
        true => Ok(()),
        false => Err(Failure::Status(Status::TIMEOUT)),
    }
}

/// The objects of a path, or of all paths that start with what stands before a final `*`.
fn find(
    client: &mut Client,
    arguments: &Arguments,
    path: Option<&[u8]>,
) -> Result<Vec<ObjectInfo>, ClientError> {
    let request = client.connection().lookup(path)?;
    client.finish_lookup(request, arguments.patience())
}

/// Of several objects it is the last that counts.
fn find_last(
    client: &mut Client,
    arguments: &Arguments,
    path: &[u8],
) -> Result<ObjectInfo, ClientError> {
    let last = find(client, arguments, Some(path))?.pop();
    last.ok_or(ClientError::Status(Status::NOT_FOUND))
}

fn unregistered(name: &[u8], error: &ClientError) -> Failure {
    let mut text = b"Error while registering for event '".to_vec();
    text.extend_from_slice(name);
    text.extend_from_slice(format!("': {}", error.status()).as_bytes());
    Failure::Known(text)
}

fn table(message: Option<&[u8]>) -> Result<TableBuf, Status> {
    match message {
        Some(text) => from_lenient_json(text).map_err(|_| Status::PARSE_ERROR),
        None => Ok(TableBuf::new()),
    }
}

/// Serves until the time is over, a handler stops it, a signal comes, or the daemon goes.
fn serve(client: &mut Client, time: Duration) -> Result<(), Failure> {
    let signals = signals::catch()?;
    // That the daemon has gone is an end like others.
    let _ = client.serve_until(&signals, time);
    Ok(())
}

/// Prints what comes, until it cannot.
#[derive(Clone, Default)]
struct Printer {
    failure: Arc<Mutex<Option<Failure>>>,
}

impl Printer {
    fn print(&self, client: &mut Client, notice: &Notice) {
        if let Err(failure) = print::notice(&notice.name, notice.data.as_table()) {
            let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(failure);
            client.stop();
        }
    }

    fn serve(&self, client: &mut Client, arguments: &Arguments) -> Result<(), Failure> {
        serve(client, arguments.listen_time())?;
        let mut first = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        first.take().map_or(Ok(()), Err)
    }
}
