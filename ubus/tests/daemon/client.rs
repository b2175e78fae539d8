//! The library's own client against the daemon.

use super::bus::{Bus, Owner, SOON};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::mpsc;
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
    let deferred = Rc::new(RefCell::new(Vec::new()));
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
            later.borrow_mut().extend(call.defer());
            Status::OK
        })
        .method("now", &[], move |client, _| {
            for token in deferred.borrow_mut().drain(..) {
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
    let heard = Rc::new(RefCell::new(Vec::new()));
    let log = heard.clone();
    listener
        .listen("test.*", SOON, move |client, event| {
            log.borrow_mut()
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
    assert_eq!(*heard.borrow(), expected);
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
        let heard = Rc::new(RefCell::new(Vec::new()));
        let log = heard.clone();
        client
            .subscribe("source", false, SOON, move |client, notice| {
                log.borrow_mut().push(notice.name.clone());
                if notice.name == b"last" {
                    client.stop();
                }
                Status(42)
            })
            .unwrap();
        ready.send(()).unwrap();
        client.serve(SOON).unwrap();
        heard.take()
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
    let heard = Rc::new(RefCell::new(0));
    let count = heard.clone();
    client
        .listen("again", SOON, move |_, _| *count.borrow_mut() += 1)
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
    while *heard.borrow() == 0 {
        client.call("demo", "now", Table::default(), SOON).unwrap();
    }
}
