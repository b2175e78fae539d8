//! The commands that need a client, each from its request to what it prints.

use super::arguments::Arguments;
use super::{print, Failure};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Instant;
use ubus::blobmsg::{from_json, TableBuf, Value};
use ubus::client::{Client, ClientError, Notice};
use ubus::Status;

pub fn list(arguments: &Arguments, path: Option<&str>) -> Result<(), Failure> {
    let objects = connect(arguments)?.lookup(path, arguments.patience())?;
    let is_verbose = arguments.is_verbose && !arguments.is_simple;
    objects
        .iter()
        .try_for_each(|object| print::object(object, is_verbose))
}

pub fn call(
    arguments: &Arguments,
    path: &str,
    method: &str,
    message: Option<&str>,
) -> Result<(), Failure> {
    let data = table(message)?;
    let mut client = connect(arguments)?;
    let parts = client.call(path, method, data.as_table(), arguments.patience())?;
    parts
        .iter()
        .try_for_each(|part| print::result(part.as_table(), arguments.is_simple))
}

pub fn send(arguments: &Arguments, event: &str, message: Option<&str>) -> Result<(), Failure> {
    let data = table(message)?;
    connect(arguments)?.send_event(event, data.as_table(), arguments.patience())?;
    Ok(())
}

pub fn listen(arguments: &Arguments, patterns: &[String]) -> Result<(), Failure> {
    let mut client = connect(arguments)?;
    let everything = ["*".to_string()];
    let patterns = if patterns.is_empty() {
        &everything
    } else {
        patterns
    };
    let printer = Printer::default();
    for pattern in patterns {
        let printer = printer.clone();
        client.listen(pattern, arguments.patience(), move |client, event| {
            printer.print(client, event);
        })?;
    }
    printer.serve(&mut client, arguments)
}

pub fn subscribe(arguments: &Arguments, paths: &[String]) -> Result<(), Failure> {
    let mut client = connect(arguments)?;
    let printer = Printer::default();
    for path in paths {
        let printer = printer.clone();
        client.subscribe(path, false, arguments.patience(), move |client, notice| {
            printer.print(client, notice);
            Status::OK
        })?;
    }
    printer.serve(&mut client, arguments)
}

pub fn wait_for(arguments: &Arguments, paths: &[String]) -> Result<(), Failure> {
    let start = Instant::now();
    let mut client = connect(arguments)?;
    let missing: BTreeSet<Vec<u8>> = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
    let missing = Rc::new(RefCell::new(missing));
    let found = {
        let missing = missing.clone();
        move |client: &mut Client, path: &[u8]| {
            let mut missing = missing.borrow_mut();
            missing.remove(path);
            if missing.is_empty() {
                client.stop();
            }
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
    for path in paths {
        match client.lookup(Some(path), arguments.patience()) {
            Ok(_) => found(&mut client, path.as_bytes()),
            Err(ClientError::Status(Status::NOT_FOUND)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if !missing.borrow().is_empty() {
        client.serve(arguments.patience().saturating_sub(start.elapsed()))?;
    }
    let is_done = missing.borrow().is_empty();
    is_done
        .then_some(())
        .ok_or(Failure::Status(Status::TIMEOUT))
}

fn connect(arguments: &Arguments) -> Result<Client, Failure> {
    let path = &arguments.socket;
    Client::connect(path, arguments.patience()).map_err(|error| Failure::Connect {
        path: path.clone(),
        error,
    })
}

fn table(message: Option<&str>) -> Result<TableBuf, Failure> {
    match message {
        Some(text) => from_json(text.as_bytes()).map_err(Failure::Message),
        None => Ok(TableBuf::new()),
    }
}

/// Prints what comes, until it cannot.
#[derive(Clone, Default)]
struct Printer {
    failure: Rc<RefCell<Option<Failure>>>,
}

impl Printer {
    fn print(&self, client: &mut Client, notice: &Notice) {
        if let Err(failure) = print::notice(&notice.name, notice.data.as_table()) {
            self.failure.borrow_mut().get_or_insert(failure);
            client.stop();
        }
    }

    fn serve(&self, client: &mut Client, arguments: &Arguments) -> Result<(), Failure> {
        client.serve(arguments.duration())?;
        match self.failure.borrow_mut().take() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}
