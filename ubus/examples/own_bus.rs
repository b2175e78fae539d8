//! A bus of one's own: starts a daemon in this process, offers an object on it and calls it.
//!
//!     cargo run -p ubus --features broker --example own_bus
//!
//! Prints `hello, router`, and leaves nothing behind.

use std::error::Error;
use std::io::pipe;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use ubus::blobmsg::{Builder, Table, Type, Value};
use ubus::client::{Client, Object};
use ubus::server::Server;
use ubus::Status;

const SOON: Duration = Duration::from_secs(5);

pub fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("own-bus-{}", std::process::id()));
    let path = folder.join("ubus.sock");

    // The daemon listens as soon as it is bound, and runs until the other end of the pipe is closed.
    let mut server = Server::bind(&path)?;
    let (control, stop) = pipe()?;
    let daemon = thread::spawn(move || server.run(&control, |_| ControlFlow::Break(())));
    let owner = thread::spawn({
        let path = path.clone();
        move || offer(path).expect("an object is offered")
    });

    let mut client = Client::connect(&path, SOON)?;
    wait_for(&mut client, "greeter")?;
    let mut builder = Builder::new();
    builder.string("name", "router");
    let parts = client.call("greeter", "greet", builder.finish()?.as_table(), SOON)?;
    let text = parts.first().and_then(|part| part.get("text"));
    println!("{}", text.and_then(Value::as_str).unwrap_or("no answer"));

    client.call("greeter", "quit", Table::default(), SOON)?;
    owner.join().expect("the owner ends");
    drop(stop);
    daemon.join().expect("the daemon ends")?;
    std::fs::remove_dir(folder)?;
    Ok(())
}

fn offer(path: PathBuf) -> Result<(), Box<dyn Error>> {
    let mut client = Client::connect(path, SOON)?;
    let object = Object::new("greeter")
        .method("greet", &[("name", Type::String)], |client, call| {
            let name = call.data.get("name").and_then(Value::as_str);
            let mut builder = Builder::new();
            builder.string("text", format!("hello, {}", name.unwrap_or("you")));
            let text = builder.finish().map_err(Into::into);
            match text.and_then(|text| client.reply(call, text.as_table())) {
                Ok(()) => Status::OK,
                Err(error) => error.status(),
            }
        })
        .method("quit", &[], |client, _| {
            client.stop();
            Status::OK
        });
    client.add_object(object, SOON)?;
    Ok(client.serve(Duration::MAX)?)
}

/// Waits until somebody offers an object.
fn wait_for(client: &mut Client, path: &'static str) -> Result<(), Box<dyn Error>> {
    client.listen("ubus.object.add", SOON, move |client, event| {
        if event.data.get("path").and_then(Value::as_str) == Some(path) {
            client.stop();
        }
    })?;
    if client.lookup(Some(path), SOON).is_err() {
        client.serve(SOON)?;
    }
    Ok(())
}
