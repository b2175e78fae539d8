//! The library's own client against the daemon.

use super::bus::{Bus, Owner, SOON};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use ubus::blobmsg::{Builder, Table, TableBuf, Type, Value};
use ubus::client::{Client, ClientError, Object};
use ubus::signature::Signature;
use ubus::Status;

fn table(name: &str, value: i64) -> TableBuf {
    let mut builder = Builder::new();
    builder.int(name, value);
    builder.finish().unwrap()
}

fn owner(bus: &Bus) -> Owner {
    Owner::new(bus, |client| {
        client.add_object(demo(), SOON).unwrap();
    })
}

fn demo() -> Object {
    let deferred = Arc::new(Mutex::new(Vec::new()));
    let later = deferred.clone();
    Object::new("demo")
        .method("echo", &[("k", Type::Int32)], |client, call| {
            assert_eq!(call.user.as_deref(), Some(&b"root"[..]));
            assert_eq!(call.group.as_deref(), Some(&b"root"[..]));
            client.reply(call, call.data.as_table()).unwrap();
            Status::OK
        })
        .method("fail", &[("status", Type::Int32)], |_, call| {
            let status = call.data.get("status").and_then(Value::as_int);
            Status(status.unwrap_or_default() as i32)
        })
        .method("later", &[], move |_, call| {
            later.lock().unwrap().extend(call.defer());
            Status::OK
        })
        .method("now", &[], move |client, _| {
            for token in deferred.lock().unwrap().drain(..) {
                client
                    .reply_to(&token, table("late", 1).as_table())
                    .unwrap();
                client.finish(token, Status::OK).unwrap();
            }
            Status::OK
        })
        .method("write", &[], |_, call| match call.fd.take() {
            Some(fd) => {
                std::fs::File::from(fd).write_all(b"written").unwrap();
                Status::OK
            }
            None => Status::INVALID_ARGUMENT,
        })
}

#[test]
fn the_example_runs() {
    super::own_bus::main().unwrap();
}

#[test]
fn calls_are_answered() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    let mut client = bus.client();
    let five = table("k", 5);
    for _ in 0..100 {
        let data = client.call("demo", "echo", five.as_table(), SOON).unwrap();
        assert_eq!(data, std::slice::from_ref(&five));
    }
    for number in [1, 3, 77, -5] {
        let status = table("status", number);
        let error = client.call("demo", "fail", status.as_table(), SOON);
        let error = error.unwrap_err();
        assert!(matches!(error, ClientError::Status(Status(found)) if i64::from(found) == number));
    }
    for (path, method, status) in [
        ("nobody", "echo", Status::NOT_FOUND),
        ("demo", "nothing", Status::METHOD_NOT_FOUND),
    ] {
        let error = client
            .call(path, method, Table::default(), SOON)
            .unwrap_err();
        assert!(matches!(error, ClientError::Status(found) if found == status));
    }
}

#[test]
fn many_calls_are_in_flight_and_some_are_put_off() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    let mut client = bus.client();
    let id = client.lookup(Some("demo"), SOON).unwrap()[0].id;
    let late = client.start_call(id, "later", Table::default()).unwrap();
    let calls: Vec<_> = (0..500)
        .map(|number| {
            client
                .start_call(id, "echo", table("k", number).as_table())
                .unwrap()
        })
        .collect();
    for (number, call) in calls.into_iter().enumerate().rev() {
        let data = client.finish_call(call, SOON).unwrap();
        assert_eq!(data, [table("k", number as i64)]);
    }
    client.call_id(id, "now", Table::default(), SOON).unwrap();
    assert_eq!(client.finish_call(late, SOON).unwrap(), [table("late", 1)]);
}

#[test]
fn objects_are_listed_with_their_methods() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    let mut client = bus.client();
    let objects = client.lookup(None, SOON).unwrap();
    assert_eq!(objects.len(), 1);
    assert_eq!(objects[0].path, b"demo");
    let signature = Signature::new(objects[0].signature.as_table());
    let names: Vec<_> = signature
        .methods()
        .map(|method| method.name.to_vec())
        .collect();
    assert_eq!(names, [&b"echo"[..], b"fail", b"later", b"now", b"write"]);
    assert_eq!(client.lookup(Some("d*"), SOON).unwrap(), objects);
    let error = client.lookup(Some("e*"), SOON).unwrap_err();
    assert!(matches!(error, ClientError::Status(Status::NOT_FOUND)));
}

#[test]
fn descriptors_are_handed_over() {
    let bus = Bus::new();
    let _owner = owner(&bus);
    let mut client = bus.client();
    let id = client.lookup(Some("demo"), SOON).unwrap()[0].id;
    let (mut reader, writer) = std::io::pipe().unwrap();
    let fd = OwnedFd::from(writer);
    let (data, back) = client
        .call_with_fd(id, "write", Table::default(), fd, SOON)
        .unwrap();
    assert!(data.is_empty() && back.is_none());
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "written");
}

#[test]
fn events_reach_listeners() {
    let bus = Bus::new();
    let (mut sender, mut listener) = (bus.client(), bus.client());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = heard.clone();
    listener
        .listen("test.*", SOON, move |client, event| {
            log.lock()
                .unwrap()
                .push(format!("{} {:?}", event.name.escape_ascii(), event.data));
            if event.name == b"test.last" {
                client.stop();
            }
        })
        .unwrap();
    for name in ["test.a", "other", "test.last"] {
        sender
            .send_event(name, table("n", 1).as_table(), SOON)
            .unwrap();
    }
    listener.serve(SOON).unwrap();
    let expected = [
        "test.a { \"n\": Int32(1) }",
        "test.last { \"n\": Int32(1) }",
    ];
    assert_eq!(*heard.lock().unwrap(), expected);
    let error = sender
        .send_event("ubus.mine", Table::default(), SOON)
        .unwrap_err();
    assert!(matches!(
        error,
        ClientError::Status(Status::PERMISSION_DENIED)
    ));
}

#[test]
fn notifications_reach_subscribers_and_are_answered() {
    let bus = Bus::new();
    let mut owner = bus.client();
    let handle = owner.add_object(Object::new("source"), SOON).unwrap();
    let path = bus.path();
    let (ready, is_ready) = mpsc::channel();
    let subscriber = thread::spawn(move || {
        let mut client = Client::connect(path, SOON).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        client
            .subscribe("source", false, SOON, move |client, notice| {
                log.lock().unwrap().push(notice.name.clone());
                if notice.name == b"last" {
                    client.stop();
                }
                Status(42)
            })
            .unwrap();
        ready.send(()).unwrap();
        client.serve(SOON).unwrap();
        let heard = std::mem::take(&mut *heard.lock().unwrap());
        heard
    });
    is_ready.recv().unwrap();
    owner.notify(handle, "first", Table::default()).unwrap();
    let answers = owner
        .notify_and_wait(handle, "last", table("n", 1).as_table(), SOON)
        .unwrap();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].1, Status(42));
    assert_eq!(
        subscriber.join().unwrap(),
        [b"first".to_vec(), b"last".to_vec()]
    );
}

#[test]
fn everything_is_there_again_after_the_daemon_was_started_anew() {
    let mut bus = Bus::new();
    let mut client = bus.client();
    client.add_object(demo(), SOON).unwrap();
    let heard = Arc::new(Mutex::new(0));
    let count = heard.clone();
    client
        .listen("again", SOON, move |_, _| *count.lock().unwrap() += 1)
        .unwrap();
    client
        .subscribe("demo2", true, SOON, |_, _| Status::OK)
        .unwrap();
    bus.stop();
    let error = client
        .call("demo", "echo", Table::default(), SOON)
        .unwrap_err();
    // Whichever is noticed first: the end of the stream, or that nobody reads any more.
    assert!(
        matches!(error, ClientError::Lost | ClientError::Io(_)),
        "{error}"
    );
    assert!(!client.is_connected());
    assert!(client.reconnect(SOON).is_err());
    bus.start();
    client.reconnect(SOON).unwrap();
    let five = table("k", 5);
    assert_eq!(
        client.call("demo", "echo", five.as_table(), SOON).unwrap(),
        [five]
    );
    let mut other = bus.client();
    other.send_event("again", Table::default(), SOON).unwrap();
    while *heard.lock().unwrap() == 0 {
        client.call("demo", "now", Table::default(), SOON).unwrap();
    }
}

#[test]
fn a_client_may_move_to_another_thread() {
    fn check(_: &(impl Send + 'static)) {}
    let bus = Bus::new();
    let _owner = owner(&bus);
    let mut client = bus.client();
    check(&client);
    let count = Arc::new(Mutex::new(0));
    let heard = count.clone();
    client
        .listen("moved", SOON, move |client, _| {
            *heard.lock().unwrap() += 1;
            client.stop();
        })
        .unwrap();
    let thread = std::thread::spawn(move || client.serve(SOON).unwrap());
    bus.client()
        .send_event("moved", Table::default(), SOON)
        .unwrap();
    thread.join().unwrap();
    assert_eq!(*count.lock().unwrap(), 1);
}

#[test]
fn parts_of_a_result_come_before_its_end_whatever_that_is() {
    let bus = Bus::new();
    let _owner = Owner::new(&bus, |client| {
        let object = Object::new("parts").method("three", &[], |client, call| {
            for number in 1..=3 {
                client
                    .reply(call, table("part", number).as_table())
                    .unwrap();
            }
            Status::NO_DATA
        });
        client.add_object(object, SOON).unwrap();
    });
    let mut client = bus.client();
    let request = client.connection().lookup(Some(b"p*")).unwrap();
    let objects = client.finish_lookup(request, SOON).unwrap();
    assert_eq!(objects.len(), 1);
    let request = client.start_call(objects[0].id, b"three", Table::default());
    let mut parts = Vec::new();
    let error = client.finish_call_with(request.unwrap(), SOON, |part| parts.push(part));
    assert!(matches!(error, Err(ClientError::Status(Status::NO_DATA))));
    assert_eq!(parts, [1, 2, 3].map(|number| table("part", number)));
}

#[test]
fn serving_ends_when_its_control_has_something() {
    let bus = Bus::new();
    let mut client = bus.client();
    let (control, mut stop) = std::io::pipe().unwrap();
    client
        .serve_until(&control, std::time::Duration::from_millis(1))
        .unwrap();
    let start = std::time::Instant::now();
    stop.write_all(b"x").unwrap();
    client.serve_until(&control, SOON).unwrap();
    drop(stop);
    client.serve_until(&control, SOON).unwrap();
    assert!(start.elapsed() < SOON);
    // The connection goes on.
    client.lookup(None, SOON).unwrap();
}
