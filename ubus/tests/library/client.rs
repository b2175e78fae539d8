//! The client that waits, against a scripted daemon.

use super::peer::{Line, Peer, SOON};
use super::testing::{hex, message};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use ubus::blobmsg::{Builder, Table, TableBuf, Type, Value};
use ubus::client::{Client, ClientError, Object};
use ubus::message::MAX_RECEIVED;
use ubus::socket::{deadline, Socket};
use ubus::{ProtocolError, ReceiveBuffer, RequestError, SendBuffer, Status};

const OK: &str = "01000008 00000000";
const OBJECT: &str = "03000008 409eb227";
/// Path `demo`.
const DEMO: &str = "02000009 64656d6f 00 000000";
/// Method `echo`.
const ECHO: &str = "04000009 6563686f 00 000000";
/// Data `k = 5`.
const FIVE: &str = "07000010 8500000c 0001 6b 00 00000005";
const NOTHING: &str = "07000004";

fn five() -> TableBuf {
    let mut builder = Builder::new();
    builder.int("k", 5);
    builder.finish().unwrap()
}

fn connect(peer: &Peer) -> Client {
    Client::connect(&peer.path, SOON).unwrap()
}

#[test]
fn a_call_crosses_the_wire_in_any_pieces() {
    let peer = Peer::new("call");
    let daemon = peer.play(vec![|line| {
        line.send_slowly(&hex("00 00 0000 06b51fa1 00000004"));
        line.expect_message(4, 1, 0, DEMO);
        line.send_slowly(&message(
            2,
            1,
            0,
            &format!("{DEMO} {OBJECT} 05000008 dd3fb1a1 06000004"),
        ));
        line.answer(1, 1, 0, OK);
        line.expect_message(5, 2, 0x409eb227, &format!("{OBJECT} {ECHO} {FIVE}"));
        let data = message(2, 2, 0x409eb227, &format!("{OBJECT} {FIVE}"));
        let mut all = [&data[..], &data[..]].concat();
        all.extend(message(1, 2, 0x409eb227, &format!("{OK} {OBJECT}")));
        line.send_slowly(&all);
        line.expect_end();
    }]);
    let mut client = connect(&peer);
    assert_eq!(client.id(), Some(0x06b51fa1));
    let data = client
        .call("demo", "echo", five().as_table(), SOON)
        .unwrap();
    assert_eq!(data, [five(), five()]);
    drop(client);
    daemon.join().unwrap();
}

#[test]
fn calls_in_flight_go_out_together_and_end_in_any_order() {
    let peer = Peer::new("flight");
    let daemon = peer.play(vec![|line| {
        line.hello();
        for seq in 1..=3 {
            line.expect_message(
                5,
                seq,
                0x500,
                &format!("03000008 00000500 {ECHO} {NOTHING}"),
            );
        }
        for seq in [3, 1, 2] {
            line.answer(
                2,
                seq,
                0x500,
                &format!("07000010 8500000c 0001 6b 00 {seq:08x}"),
            );
            line.answer(
                1,
                seq,
                0x500,
                if seq == 2 { "01000008 00000006" } else { OK },
            );
        }
        line.expect_end();
    }]);
    let mut client = connect(&peer);
    let calls: Vec<_> = (0..3)
        .map(|_| client.start_call(0x500, "echo", Table::default()).unwrap())
        .collect();
    for (number, call) in (1..).zip(calls) {
        let result = client.finish_call(call, SOON);
        match number {
            2 => assert!(matches!(
                result,
                Err(ClientError::Status(Status::PERMISSION_DENIED))
            )),
            _ => assert_eq!(result.unwrap()[0].get("k"), Some(Value::Int32(number))),
        }
    }
    drop(client);
    daemon.join().unwrap();
}

#[test]
fn a_call_that_takes_too_long_is_given_up() {
    let peer = Peer::new("timeout");
    let daemon = peer.play(vec![|line| {
        line.hello();
        line.expect_message(5, 1, 0x500, &format!("03000008 00000500 {ECHO} {NOTHING}"));
        // The second call shows that the first has ended; only then comes its answer.
        line.expect_message(5, 2, 0x500, &format!("03000008 00000500 {ECHO} {NOTHING}"));
        line.answer(2, 1, 0x500, FIVE);
        line.answer(1, 1, 0x500, OK);
        line.answer(1, 2, 0x500, OK);
        line.expect_end();
    }]);
    let mut client = connect(&peer);
    let start = Instant::now();
    let error = client.call_id(0x500, "echo", Table::default(), Duration::from_millis(50));
    assert!(matches!(error, Err(ClientError::Timeout)));
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert_eq!(
        client
            .call_id(0x500, "echo", Table::default(), SOON)
            .unwrap(),
        []
    );
    drop(client);
    daemon.join().unwrap();
}

#[test]
fn a_busy_daemon_does_not_stretch_a_timeout() {
    let peer = Peer::new("busy");
    let daemon = peer.play(vec![|line| {
        line.hello();
        let noise = message(1, 9999, 0, OK).repeat(100);
        while line.stream.write_all(&noise).is_ok() {}
    }]);
    let mut client = connect(&peer);
    let error = client.call_id(0x500, "echo", Table::default(), Duration::from_millis(100));
    assert!(matches!(error, Err(ClientError::Timeout)));
    client.serve(Duration::from_millis(100)).unwrap();
    drop(client);
    daemon.join().unwrap();
}

fn demo(log: &Arc<Mutex<Vec<String>>>) -> Object {
    let log = log.clone();
    Object::new("demo").method("echo", &[("k", Type::Int32)], move |client, call| {
        let user = call.user.as_deref().unwrap_or_default().escape_ascii();
        log.lock().unwrap().push(format!("{user} {:?}", call.data));
        client.reply(call, call.data.as_table()).unwrap();
        Status::OK
    })
}

/// What [`demo`] publishes.
const DEMO_SIGNATURE: &str = "0600001c 82000018 0004 6563686f 0000 8500000c 0001 6b 00 00000005";

/// Adds [`demo`] and has it called once.
fn call_demo(line: &mut Line, seq: u16) {
    line.expect_message(6, seq, 0, &format!("{DEMO} {DEMO_SIGNATURE}"));
    line.add(seq, 0x409eb227);
    line.answer(
        5,
        7,
        0x777,
        &format!("{OBJECT} {ECHO} 0c000009 726f6f74 00 000000 {FIVE}"),
    );
    line.expect_message(2, 7, 0x777, &format!("{OBJECT} {FIVE}"));
    line.expect_message(1, 7, 0x777, &format!("{OK} {OBJECT}"));
}

#[test]
fn an_object_is_served() {
    let peer = Peer::new("object");
    let daemon = peer.play(vec![|line| {
        line.hello();
        call_demo(line, 1);
        line.answer(5, 8, 0x777, &format!("{OBJECT} 04000006 6e6f 0000 {FIVE}"));
        line.expect_message(1, 8, 0x777, &format!("01000008 00000003 {OBJECT}"));
    }]);
    let mut client = connect(&peer);
    let log = Arc::new(Mutex::new(Vec::new()));
    client.add_object(demo(&log), SOON).unwrap();
    let error = client.serve(SOON).unwrap_err();
    assert!(matches!(error, ClientError::Lost));
    assert_eq!(*log.lock().unwrap(), ["root { \"k\": Int32(5) }"]);
    daemon.join().unwrap();
}

#[test]
fn a_call_may_be_put_off() {
    let peer = Peer::new("defer");
    let daemon = peer.play(vec![|line| {
        line.hello();
        line.expect_message(
            6,
            1,
            0,
            &format!("{DEMO} 06000010 8200000c 0004 6563686f 0000"),
        );
        line.add(1, 0x409eb227);
        line.answer(5, 7, 0x777, &format!("{OBJECT} {ECHO} {FIVE}"));
        line.expect_message(2, 7, 0x777, &format!("{OBJECT} {FIVE}"));
        line.expect_message(1, 7, 0x777, &format!("01000008 00000005 {OBJECT}"));
    }]);
    let mut client = connect(&peer);
    let deferred = Arc::new(Mutex::new(None));
    let place = deferred.clone();
    let object = Object::new("demo").method("echo", &[], move |client, call| {
        *place.lock().unwrap() = call.defer();
        client.stop();
        Status::OK
    });
    client.add_object(object, SOON).unwrap();
    client.serve(SOON).unwrap();
    let token = deferred.lock().unwrap().take().unwrap();
    client.reply_to(&token, five().as_table()).unwrap();
    client.finish(token, Status::NO_DATA).unwrap();
    daemon.join().unwrap();
}

#[test]
fn a_client_may_call_itself_and_others_from_a_handler() {
    let peer = Peer::new("itself");
    let daemon = peer.play(vec![|line| {
        line.hello();
        line.expect_message(
            6,
            1,
            0,
            &format!("{DEMO} 06000010 8200000c 0004 6563686f 0000"),
        );
        line.add(1, 0x409eb227);
        line.expect_message(5, 2, 0x409eb227, &format!("{OBJECT} {ECHO} {NOTHING}"));
        line.answer(5, 2, 0x06b51fa1, &format!("{OBJECT} {ECHO} {NOTHING}"));
        // Called twice: the second call has to wait until the first has returned.
        line.answer(5, 1, 0x777, &format!("{OBJECT} {ECHO} {NOTHING}"));
        line.expect_message(5, 3, 0x500, &format!("03000008 00000500 {ECHO} {NOTHING}"));
        line.answer(2, 3, 0x500, FIVE);
        line.answer(1, 3, 0x500, OK);
        line.expect_message(2, 2, 0x06b51fa1, &format!("{OBJECT} {FIVE}"));
        line.expect_message(1, 2, 0x06b51fa1, &format!("{OK} {OBJECT}"));
        line.answer(2, 2, 0x409eb227, &format!("{OBJECT} {FIVE}"));
        line.answer(1, 2, 0x409eb227, OK);
        line.expect_message(5, 4, 0x500, &format!("03000008 00000500 {ECHO} {NOTHING}"));
        line.answer(1, 4, 0x500, "01000008 00000006");
        line.expect_message(1, 1, 0x777, &format!("01000008 00000006 {OBJECT}"));
    }]);
    let mut client = connect(&peer);
    let object = Object::new("demo").method("echo", &[], |client, call| {
        match client.call_id(0x500, "echo", Table::default(), SOON) {
            Ok(parts) => {
                client.reply(call, parts[0].as_table()).unwrap();
                Status::OK
            }
            Err(error) => error.status(),
        }
    });
    client.add_object(object, SOON).unwrap();
    let data = client.call_id(0x409eb227, "echo", Table::default(), SOON);
    assert_eq!(data.unwrap(), [five()]);
    assert!(matches!(client.serve(SOON), Err(ClientError::Lost)));
    daemon.join().unwrap();
}

#[test]
fn events_and_notifications_reach_their_handlers() {
    let peer = Peer::new("events");
    let daemon = peer.play(vec![|line| {
        line.hello();
        line.expect_message(6, 1, 0, "");
        line.add(1, 0x600);
        line.expect_message(5, 1, 1, "03000008 00000001 0400000d 7265676973746572 00 000000 0700002c
            85000014 0006 6f626a656374 00 000000 00000600 83000014 0007 7061747465726e 00 0000 65762a 00");
        line.answer(1, 1, 1, OK);
        line.expect_message(4, 2, 0, DEMO);
        line.answer(2, 2, 0, &format!("{DEMO} {OBJECT}"));
        line.answer(1, 2, 0, OK);
        line.expect_message(6, 2, 0, "");
        line.add(2, 0x601);
        line.expect_message(8, 2, 0, "03000008 00000601 08000008 409eb227");
        line.answer(1, 2, 0, OK);
        line.answer(5, 1, 0, &format!("03000008 00000600 04000009 65762e78 00 000000 {FIVE}"));
        line.answer(5, 4, 0x777, &format!("03000008 00000601 04000009 7469636b 00 000000 {FIVE}"));
        line.expect_message(1, 4, 0x777, "01000008 00000007 03000008 00000601");
        line.expect_message(7, 3, 0, "03000008 00000600");
        line.answer(5, 2, 0, &format!("03000008 00000600 04000009 65762e78 00 000000 {FIVE}"));
        line.answer(1, 3, 0, OK);
        line.expect_message(5, 4, 1, "03000008 00000001 04000009 73656e64 00 000000
            07000020 8300000e 0002 6964 00 000000 6100 0000 8200000c 0004 64617461 00 00");
        line.answer(1, 4, 1, "01000008 00000006");
    }]);
    let mut client = connect(&peer);
    let log = Arc::new(Mutex::new(Vec::new()));
    let (events, ticks) = (log.clone(), log.clone());
    let listener = client
        .listen("ev*", SOON, move |_, notice| {
            events.lock().unwrap().push(format!(
                "{} {:?}",
                notice.name.escape_ascii(),
                notice.data
            ));
        })
        .unwrap();
    client
        .subscribe("demo", false, SOON, move |client, notice| {
            ticks
                .lock()
                .unwrap()
                .push(format!("{} {:?}", notice.name.escape_ascii(), notice.data));
            client.stop();
            Status::TIMEOUT
        })
        .unwrap();
    client.serve(SOON).unwrap();
    client.remove(listener, SOON).unwrap();
    let refused = client.send_event("a", Table::default(), SOON).unwrap_err();
    assert_eq!(refused.status(), Status::PERMISSION_DENIED);
    assert_eq!(
        *log.lock().unwrap(),
        ["ev.x { \"k\": Int32(5) }", "tick { \"k\": Int32(5) }"]
    );
    daemon.join().unwrap();
}

#[test]
fn subscribers_are_notified_and_answer() {
    let peer = Peer::new("notify");
    let daemon = peer.play(vec![|line| {
        line.hello();
        line.expect_message(6, 1, 0, &format!("{DEMO} 06000004"));
        line.add(1, 0x409eb227);
        line.expect_message(
            10,
            2,
            0x409eb227,
            &format!("{OBJECT} {ECHO} {FIVE} 0a000005 01 000000"),
        );
        line.expect_message(10, 3, 0x409eb227, &format!("{OBJECT} {ECHO} {FIVE}"));
        line.answer(
            1,
            3,
            0x409eb227,
            &format!("{OBJECT} 0b000014 00000008 00000500 00000008 00000501 {OK}"),
        );
        line.answer(1, 3, 0x501, &format!("01000008 00000002 {OBJECT}"));
        line.answer(1, 3, 0x500, &format!("{OK} {OBJECT}"));
        line.expect_end();
    }]);
    let mut client = connect(&peer);
    let object = client.add_object(Object::new("demo"), SOON).unwrap();
    client.notify(object, "echo", five().as_table()).unwrap();
    let answers = client
        .notify_and_wait(object, "echo", five().as_table(), SOON)
        .unwrap();
    assert_eq!(
        answers,
        [(0x501, Status::INVALID_ARGUMENT), (0x500, Status::OK)]
    );
    drop(client);
    daemon.join().unwrap();
}

#[test]
fn losing_the_daemon_ends_calls_and_a_reconnect_restores_objects() {
    let peer = Peer::new("reconnect");
    let daemon = peer.play(vec![
        |line| {
            line.hello();
            call_demo(line, 1);
            line.expect_message(5, 2, 0x500, &format!("03000008 00000500 {ECHO} {NOTHING}"));
        },
        |line| {
            line.hello();
            call_demo(line, 1);
        },
    ]);
    let mut client = connect(&peer);
    let log = Arc::new(Mutex::new(Vec::new()));
    client.add_object(demo(&log), SOON).unwrap();
    while log.lock().unwrap().is_empty() {
        client.serve(Duration::from_millis(1)).unwrap();
    }
    let error = client
        .call_id(0x500, "echo", Table::default(), SOON)
        .unwrap_err();
    assert!(matches!(error, ClientError::Lost));
    assert!(!client.is_connected());
    for error in [
        client
            .call("demo", "echo", Table::default(), SOON)
            .unwrap_err(),
        client.serve(SOON).unwrap_err(),
    ] {
        assert!(
            matches!(error, ClientError::Request(RequestError::NotConnected)),
            "{error}"
        );
    }
    client.reconnect(SOON).unwrap();
    assert!(client.is_connected());
    assert!(matches!(client.serve(SOON), Err(ClientError::Lost)));
    assert_eq!(log.lock().unwrap().len(), 2);
    daemon.join().unwrap();
}

#[test]
fn who_is_no_daemon_is_refused() {
    let peer = Peer::new("stranger");
    let daemon = peer.play(vec![
        |line| line.send(&hex("00 00 0000 00000001 00000004")),
        |line| line.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        |_| {},
        |line| line.expect_end(),
    ]);
    let error = Client::connect(&peer.path, SOON).unwrap_err();
    assert!(
        matches!(error, ClientError::Protocol(ProtocolError::Hello)),
        "{error}"
    );
    let error = Client::connect(&peer.path, SOON).unwrap_err();
    assert!(
        matches!(error, ClientError::Frame(_) | ClientError::Protocol(_)),
        "{error}"
    );
    let error = Client::connect(&peer.path, SOON).unwrap_err();
    assert!(matches!(error, ClientError::Lost), "{error}");
    let error = Client::connect(&peer.path, Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, ClientError::Timeout), "{error}");
    daemon.join().unwrap();
    let error = Client::connect(peer.path.with_extension("gone"), SOON).unwrap_err();
    assert!(matches!(error, ClientError::Io(_)), "{error}");
}

#[test]
fn descriptors_cross_both_ways() {
    let peer = Peer::new("fd");
    let daemon = peer.play(vec![|line| {
        line.hello();
        let mut socket = Socket::new(OwnedFd::from(line.stream.try_clone().unwrap()));
        let mut received = ReceiveBuffer::new(MAX_RECEIVED);
        let mut fd = None;
        while fd.is_none() {
            assert!(socket.wait(false, deadline(SOON)).unwrap());
            socket.receive(&mut received).unwrap();
            fd = received.next().unwrap().and_then(|call| call.fd);
        }
        std::fs::File::from(fd.unwrap())
            .write_all(b"from the daemon")
            .unwrap();
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"an answer").unwrap();
        drop(writer);
        let mut output = SendBuffer::new();
        // A descriptor with data reaches nobody and is closed.
        let (mut unread, with_data) = std::io::pipe().unwrap();
        output.push(&message(2, 1, 0x500, FIVE));
        output.attach(message(2, 1, 0x500, FIVE).len(), with_data.into());
        let status = message(1, 1, 0x500, OK);
        output.push(&status);
        output.attach(status.len(), reader.into());
        socket.send(&mut output).unwrap();
        assert_eq!(std::io::Read::read(&mut unread, &mut [0]).unwrap(), 0);
        line.expect_end();
    }]);
    let mut client = connect(&peer);
    let (reader, writer) = std::io::pipe().unwrap();
    let (data, fd) = client
        .call_with_fd(0x500, "echo", Table::default(), writer.into(), SOON)
        .unwrap();
    assert_eq!(data, [five()]);
    assert_eq!(std::io::read_to_string(reader).unwrap(), "from the daemon");
    let answer = std::fs::File::from(fd.unwrap());
    assert_eq!(std::io::read_to_string(answer).unwrap(), "an answer");
    drop(client);
    daemon.join().unwrap();
}

#[test]
fn objects_are_looked_up() {
    let peer = Peer::new("lookup");
    let daemon = peer.play(vec![|line| {
        line.hello();
        line.expect_message(4, 1, 0, "");
        line.answer(
            2,
            1,
            0,
            &format!("{DEMO} {OBJECT} 05000008 dd3fb1a1 {DEMO_SIGNATURE}"),
        );
        line.answer(
            2,
            1,
            0,
            "02000006 7a00 0000 03000008 ffffffff 05000008 00000001 06000004",
        );
        line.answer(1, 1, 0, OK);
        line.expect_message(4, 2, 0, "02000006 7a00 0000");
        line.answer(1, 2, 0, "01000008 00000004");
        line.expect_end();
    }]);
    let mut client = connect(&peer);
    let objects = client.lookup(None, SOON).unwrap();
    let ids: Vec<_> = objects
        .iter()
        .map(|object| (&object.path[..], object.id))
        .collect();
    assert_eq!(ids, [(&b"demo"[..], 0x409eb227), (b"z", 0xffff_ffff)]);
    let error = client.call("z", "m", Table::default(), SOON).unwrap_err();
    assert_eq!(error.status(), Status::NOT_FOUND);
    drop(client);
    daemon.join().unwrap();
}
