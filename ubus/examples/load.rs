//! Load for benchmarks, and the yardsticks beside it: see `benches/README.md`, which says what is compared.
//!
//!     load own SOCKET                    an object that answers calls with what they carry
//!     load call SOCKET FLIGHT SECONDS    calls it, FLIGHT at once, and prints calls per second
//!     load answer SOCKET                 a bare socket that answers messages of the same sizes
//!     load answer-all SOCKET             the same, with all answers to one read in one write
//!     load ping SOCKET FLIGHT SECONDS    sends to it, and prints round trips per second
//!     load soak SOCKET PID CALLS         calls, objects and subscriptions that come and go; prints memory by progress

use std::collections::VecDeque;
use std::error::Error;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};
use ubus::blobmsg::{Builder, TableBuf, Type};
use ubus::client::{Client, Object};
use ubus::message::{Kind, Writer};
use ubus::{Handle, Status};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// For what should happen at once.
const SOON: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["own", socket] => own(socket),
        ["call", socket, flight, seconds] => call(socket, flight.parse()?, seconds.parse()?),
        ["answer", socket] => answer(socket, false),
        ["answer-all", socket] => answer(socket, true),
        ["ping", socket, flight, seconds] => ping(socket, flight.parse()?, seconds.parse()?),
        ["soak", socket, pid, calls] => soak(socket, pid, calls.parse()?),
        _ => Err("see the first lines of ubus/examples/load.rs".into()),
    }
}

fn arguments() -> TableBuf {
    let mut builder = Builder::new();
    builder.string("text", "hello").int("number", 7);
    builder.finish().expect("a small table")
}

fn echo(path: &str) -> Object {
    Object::new(path).method(
        "echo",
        &[("text", Type::String)],
        |client, call| match client.reply(call, call.data.as_table()) {
            Ok(()) => Status::OK,
            Err(error) => error.status(),
        },
    )
}

fn own(socket: &str) -> Result<()> {
    let mut client = Client::connect(socket, SOON)?;
    client.add_object(echo("load"), SOON)?;
    println!("ready");
    Ok(client.serve(Duration::MAX)?)
}

fn call(socket: &str, flight: usize, seconds: f64) -> Result<()> {
    let mut client = Client::connect(socket, SOON)?;
    let id = client.lookup(Some("load"), SOON)?[0].id;
    let arguments = arguments();
    let mut requests = VecDeque::new();
    rate(seconds, |_| {
        while requests.len() < flight {
            requests.push_back(client.start_call(id, "echo", arguments.as_table())?);
        }
        if let Some(request) = requests.pop_front() {
            let data = client.finish_call(request, SOON)?;
            if data != [arguments.clone()] {
                return Err("a wrong answer".into());
            }
        }
        Ok(1)
    })
}

/// Repeats until the time is over, and prints how much that was in a second.
fn rate(seconds: f64, mut step: impl FnMut(usize) -> Result<usize>) -> Result<()> {
    let (mut count, mut looked) = (0, 0);
    let start = Instant::now();
    loop {
        count += step(count)?;
        if count - looked >= 64 {
            looked = count;
            let elapsed = start.elapsed().as_secs_f64();
            if elapsed >= seconds {
                println!("{:.0}", count as f64 / elapsed);
                return Ok(());
            }
        }
    }
}

/// Bytes of a call as its caller sends it, and of its answer as the caller gets it.
fn lengths() -> Result<(usize, usize)> {
    let (arguments, mut bytes) = (arguments(), Vec::new());
    let mut writer = Writer::new(&mut bytes, Kind::INVOKE, 1, 1024);
    writer
        .object(1024)
        .method(b"echo")
        .data(arguments.as_table());
    let request = writer.finish()?;
    let mut writer = Writer::new(&mut bytes, Kind::DATA, 1, 1024);
    writer.object(1024).data(arguments.as_table());
    let data = writer.finish()?;
    let mut writer = Writer::new(&mut bytes, Kind::STATUS, 1, 1024);
    writer.status(Status::OK).object(1024);
    Ok((request, data + writer.finish()?))
}

fn answer(socket: &str, at_once: bool) -> Result<()> {
    let (request, response) = lengths()?;
    let listener = UnixListener::bind(socket)?;
    println!("ready");
    loop {
        let mut stream = listener.accept()?.0;
        let (mut bytes, mut waiting) = (vec![0; 64 * 1024], 0);
        let answers = vec![1; response * (bytes.len() / request + 1)];
        // Whoever asks leaves in the middle.
        'one: while let Ok(count @ 1..) = stream.read(&mut bytes) {
            waiting += count;
            let whole = waiting / request;
            waiting %= request;
            let (part, times) = if at_once { (whole, 1) } else { (1, whole) };
            for _ in 0..times {
                if stream.write_all(&answers[..response * part]).is_err() {
                    break 'one;
                }
            }
        }
    }
}

fn ping(socket: &str, flight: usize, seconds: f64) -> Result<()> {
    let (request, response) = lengths()?;
    let mut stream = UnixStream::connect(socket)?;
    let (mut bytes, mut waiting) = (vec![0; 64 * 1024], 0);
    let requests = vec![1; request * flight];
    stream.write_all(&requests)?;
    rate(seconds, |_| {
        waiting += stream.read(&mut bytes)?;
        let whole = waiting / response;
        waiting %= response;
        stream.write_all(&requests[..request * whole])?;
        Ok(whole)
    })
}

/// Resident memory of a process, in KB.
fn resident(pid: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmRSS")?.parse()?)
}

/// A thousand objects; some go and come with each step, as do their subscribers, and clients.
fn soak(socket: &str, daemon: &str, calls: usize) -> Result<()> {
    const OBJECTS: usize = 1000;
    /// Calls between two changes, all in flight at once.
    const FLIGHT: usize = 50;
    const STEPS: usize = 20;
    let mut owner = Client::connect(socket, SOON)?;
    let mut objects: VecDeque<Handle> = VecDeque::new();
    for number in 0..OBJECTS {
        objects.push_back(owner.add_object(echo(&format!("soak.{number}")), SOON)?);
    }
    let arguments = arguments();
    let (mut next, mut notified) = (OBJECTS, 0);
    println!(
        "calls\tobjects come and gone\tsubscriptions come and gone\tnotified\tdaemon KB\tclient KB"
    );
    for step in 0..=STEPS {
        let (from, to) = match step {
            0 => (0, 0),
            _ => (calls * (step - 1) / STEPS, calls * step / STEPS),
        };
        for round in 0..(to - from) / FLIGHT {
            // An object goes, its subscriber is told; another comes.
            let mut subscriber = Client::connect(socket, SOON)?;
            let path = format!("soak.{}", next - OBJECTS);
            subscriber.subscribe(&path, false, SOON, |_, _| Status::OK)?;
            if let Some(handle) = objects.pop_front() {
                owner.notify(handle, "tick", arguments.as_table())?;
                notified += 1;
                owner.remove(handle, SOON)?;
            }
            objects.push_back(owner.add_object(echo(&format!("soak.{next}")), SOON)?);
            next += 1;
            let handle = objects[round % OBJECTS];
            let id = owner
                .connection()
                .id(handle)
                .ok_or("an object without id")?;
            let mut requests = Vec::new();
            for _ in 0..FLIGHT {
                requests.push(owner.start_call(id, "echo", arguments.as_table())?);
            }
            for request in requests {
                owner.finish_call(request, SOON)?;
            }
        }
        let gone = next - OBJECTS;
        let (daemon, client) = (resident(daemon)?, resident("self")?);
        println!("{to}\t{gone}\t{gone}\t{notified}\t{daemon}\t{client}");
    }
    Ok(())
}
