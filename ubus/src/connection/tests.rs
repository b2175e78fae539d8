//! Whole exchanges with the daemon, byte for byte and event by event.

use super::life::RESTORE_AT_ONCE;
use super::*;
use crate::blobmsg::{Type, Value};
use crate::message::{Message, MAX_MESSAGE, MAX_RECEIVED};
use crate::receive::ReceiveBuffer;
use crate::signature::SignatureBuilder;
use crate::testing::{hex, message};

const HELLO: &str = "00 00 0000 06b51fa1 00000004";
const OK: &str = "01000008 00000000";
/// Arguments `k = 5`.
const DATA: &str = "07000010 8500000c 0001 6b 00 00000005";

/// A connection whose daemon is the test.
struct Wire {
    connection: Connection,
    received: ReceiveBuffer,
    log: Vec<String>,
    tokens: Vec<CallToken>,
}

impl Wire {
    fn new() -> Wire {
        Wire {
            connection: Connection::new(),
            received: ReceiveBuffer::new(MAX_RECEIVED),
            log: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// After the hello.
    fn open() -> Wire {
        let mut wire = Wire::new();
        wire.feed(HELLO);
        assert_eq!(wire.log(), ["ready 06b51fa1"]);
        wire
    }

    fn feed(&mut self, text: &str) {
        self.feed_bytes(&hex(text));
    }

    fn feed_bytes(&mut self, bytes: &[u8]) {
        self.received.push(bytes, None);
        while let Some(received) = self.received.next().unwrap() {
            let event = self.connection.handle(received).unwrap();
            self.log
                .extend(event.map(|event| describe(event, &mut self.tokens)));
        }
    }

    /// A message of `kind` with the attributes given.
    fn answer(&mut self, kind: u8, seq: u16, peer: u32, attributes: &str) {
        self.feed_bytes(&message(kind, seq, peer, attributes));
    }

    /// The answers to an ADD_OBJECT.
    fn added(&mut self, seq: u16, id: u32) {
        self.answer(2, seq, 0, &format!("03000008 {id:08x}"));
        self.answer(1, seq, 0, OK);
    }

    /// What happened since the last look.
    fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Forgets what happened and what was sent.
    fn quiet(&mut self) {
        self.log();
        self.sent();
    }

    /// What was sent since the last look.
    fn sent(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.connection.output().piece() {
            bytes.extend_from_slice(piece.bytes);
            let count = piece.bytes.len();
            self.connection.output().sent(count);
        }
        bytes
    }

    /// What was sent since the last look, in words.
    fn said(&mut self) -> Vec<String> {
        let bytes = self.sent();
        let (mut rest, mut words) = (&bytes[..], Vec::new());
        while let Some((message, used)) = Message::read(rest, MAX_MESSAGE).unwrap() {
            let all = message.attributes();
            let text = |name: &str, text: Option<&[u8]>| {
                text.map_or(String::new(), |text| {
                    format!(" {name} {}", text.escape_ascii())
                })
            };
            let number = |name: &str, number: Option<u32>| {
                number.map_or(String::new(), |number| format!(" {name} {number:x}"))
            };
            let header = message.header;
            words.push(format!(
                "{} #{} to {:x}{}{}{}{}",
                header.kind.0,
                header.seq,
                header.peer,
                number("object", all.object),
                text("path", all.path),
                text("method", all.method),
                number("target", all.target),
            ));
            rest = &rest[used..];
        }
        words
    }
}

fn describe(event: Event<'_>, tokens: &mut Vec<CallToken>) -> String {
    let show = |text: &[u8]| text.escape_ascii().to_string();
    match event {
        Event::Ready { client } => format!("ready {client:08x}"),
        Event::Data {
            request,
            attributes,
        } => format!(
            "data #{} {} {:?}",
            request.seq,
            show(attributes.path.unwrap_or_default()),
            attributes.data.unwrap_or_default()
        ),
        Event::Done {
            request,
            status,
            fd,
        } => {
            assert!(fd.is_none());
            format!("done #{} {}", request.seq, status.0)
        }
        Event::Call {
            index,
            method,
            data,
            caller,
            token,
            ..
        } => {
            let caller = show(caller.user.unwrap_or_default());
            let words = format!("call {index} {} {data:?} by {caller}", show(method));
            tokens.push(token);
            words
        }
        Event::Event { name, data, .. } => format!("event {} {data:?}", show(name)),
        Event::Notification {
            method,
            data,
            token,
            ..
        } => {
            let words = format!(
                "notification {} {data:?} {}",
                show(method),
                token.wants_reply()
            );
            tokens.push(token);
            words
        }
        Event::Notified {
            request,
            subscribers,
        } => {
            format!(
                "notified #{} {:x?}",
                request.seq,
                subscribers.collect::<Vec<_>>()
            )
        }
        Event::Answered {
            request,
            subscriber,
            status,
            last,
        } => {
            format!(
                "answered #{} {subscriber:x} {} {last}",
                request.seq, status.0
            )
        }
        Event::Subscribers { active, .. } => format!("subscribers {active}"),
        Event::TargetGone { .. } => "target gone".to_string(),
        Event::Restored { status, .. } => format!("restored {}", status.0),
        Event::Monitor(attrs) => format!("monitor {}", attrs.count()),
    }
}

fn echo() -> TableBuf {
    let mut builder = SignatureBuilder::new();
    builder.method("echo").argument("text", 3).argument("n", 5);
    builder.method("fail");
    builder.finish().unwrap()
}

#[test]
fn only_a_hello_opens_the_connection() {
    for (text, error) in [
        ("00 01 0000 06b51fa1 00000004", ProtocolError::Hello),
        ("00 00 0000 00000001 00000004", ProtocolError::Hello),
        ("00 00 0000 00000000 00000004", ProtocolError::Hello),
        (
            "01 00 0000 06b51fa1 00000004",
            ProtocolError::Version { version: 1 },
        ),
    ] {
        let mut wire = Wire::new();
        assert_eq!(
            wire.connection.lookup(None),
            Err(RequestError::NotConnected)
        );
        wire.received.push(&hex(text), None);
        let received = wire.received.next().unwrap().unwrap();
        assert_eq!(
            wire.connection.handle(received).err(),
            Some(error),
            "{text}"
        );
        assert!(!wire.connection.is_open());
    }
    let mut wire = Wire::open();
    assert_eq!(wire.connection.client(), Some(0x06b51fa1));
    wire.received
        .push(&hex("02 01 0001 00000000 00000004"), None);
    let received = wire.received.next().unwrap().unwrap();
    let error = wire.connection.handle(received).unwrap_err();
    assert_eq!(error, ProtocolError::Version { version: 2 });
}

#[test]
fn a_call_is_looked_up_and_made() {
    let mut wire = Wire::open();
    wire.connection.lookup(Some(b"demo")).unwrap();
    assert_eq!(
        wire.sent(),
        hex("00 04 00 01 00000000 00000010 | 02000009 64656d6f 00 000000")
    );
    wire.answer(
        2,
        1,
        0,
        "02000009 64656d6f 00000000 | 03000008 409eb227 | 05000008 dd3fb1a1 | 06000004",
    );
    wire.answer(1, 1, 0, OK);
    assert_eq!(wire.log(), ["data #1 demo { }", "done #1 0"]);

    let mut builder = Builder::new();
    builder.string("text", "hi").int("n", 7);
    let arguments = builder.finish().unwrap();
    wire.connection
        .invoke(0x409eb227, b"echo", arguments.as_table())
        .unwrap();
    assert_eq!(
        wire.sent(),
        hex(
            "00 05 00 02 409eb227 00000038 03000008 409eb227 | 04000009 6563686f 00 000000
             07000020 8300000f 0004 74657874 0000 6869 00 00 8500000c 0001 6e 00 00000007"
        )
    );
    wire.answer(2, 2, 0x409eb227, &format!("03000008 409eb227 {DATA}"));
    wire.answer(2, 2, 0x409eb227, &format!("03000008 409eb227 {DATA}"));
    wire.answer(1, 2, 0x409eb227, &format!("{OK} 03000008 409eb227"));
    assert_eq!(
        wire.log(),
        [
            "data #2  { \"k\": Int32(5) }",
            "data #2  { \"k\": Int32(5) }",
            "done #2 0"
        ]
    );
    // After the end, nothing.
    wire.answer(2, 2, 0x409eb227, DATA);
    wire.answer(1, 2, 0x409eb227, OK);
    assert!(wire.log().is_empty());
}

#[test]
fn answers_are_matched_by_sequence_and_peer() {
    let mut wire = Wire::open();
    let calls: Vec<_> = (0..3)
        .map(|_| {
            wire.connection
                .invoke(0x500, b"m", Table::default())
                .unwrap()
        })
        .collect();
    wire.answer(1, 2, 0x501, OK);
    wire.answer(1, 4, 0x500, OK);
    wire.answer(2, 2, 0, DATA);
    assert!(wire.log().is_empty());
    wire.answer(1, 3, 0x500, "01000008 fffffff9");
    wire.answer(1, 1, 0x500, "01000008 00000063");
    wire.answer(1, 2, 0x500, "");
    assert_eq!(wire.log(), ["done #3 -7", "done #1 99", "done #2 9"]);
    assert!(!wire.connection.cancel(calls[0]));
    assert_eq!(wire.connection.waiting(), 0);
}

#[test]
fn anything_may_come_between_the_parts_of_an_answer() {
    let mut wire = Wire::open();
    wire.connection.listen(b"e").unwrap();
    wire.added(1, 0x600);
    wire.answer(1, 1, 1, OK);
    wire.connection.lookup(None).unwrap();
    wire.connection
        .invoke(0x500, b"m", Table::default())
        .unwrap();
    wire.log();
    wire.answer(2, 2, 0, "02000006 6100 0000 03000008 00000700");
    wire.answer(
        5,
        2,
        0,
        &format!("03000008 00000600 04000006 6500 0000 {DATA}"),
    );
    wire.answer(1, 3, 0x500, "01000008 00000005");
    wire.answer(2, 2, 0, "02000006 6200 0000 03000008 00000701");
    wire.answer(1, 2, 0, OK);
    assert_eq!(
        wire.log(),
        [
            "data #2 a { }",
            "event e { \"k\": Int32(5) }",
            "done #3 5",
            "data #2 b { }",
            "done #2 0"
        ]
    );
}

#[test]
fn messages_without_a_meaning_for_clients_are_ignored() {
    let mut wire = Wire::open();
    wire.connection.add(Some(b"demo"), echo()).unwrap();
    wire.added(1, 0x409eb227);
    wire.quiet();
    let object = format!("03000008 409eb227 04000009 6563686f 00 000000 {DATA}");
    for kind in [0, 3, 4, 6, 7, 8, 12, 255] {
        wire.answer(kind, 1, 0x777, &object);
    }
    for kind in [1, 2, 5, 9, 10] {
        wire.answer(kind, 1, 0x777, "");
    }
    assert!(wire.log().is_empty() && wire.said().is_empty());
}

#[test]
fn an_object_answers_calls_in_one_write() {
    let mut wire = Wire::open();
    wire.connection.lookup(None).unwrap();
    wire.sent();
    let (object, _) = wire.connection.add(Some(b"demo"), echo()).unwrap();
    assert_eq!(
        wire.sent(),
        hex(
            "00 06 00 02 00000000 00000048 02000009 64656d6f 00 000000 06000038
             82000028 0004 6563686f 0000 85000010 0004 74657874 0000 00000003
             8500000c 0001 6e 00 00000005 8200000c 0004 6661696c 0000"
        )
    );
    wire.feed("00 02 00 02 00000000 00000014 | 03000008 409eb227 | 05000008 dd3fb1a1");
    // Calls may come as soon as the daemon has given the id.
    let call = "00 05 00 02 db858420 00000050 03000008 409eb227 | 04000009 6563686f 00 000000
        0c000009 726f6f74 00 000000 | 0d000009 726f6f74 00 000000
        07000020 8300000f 0004 74657874 0000 6869 00 00 8500000c 0001 6e 00 00000007";
    wire.feed(call);
    wire.feed("00 01 00 02 00000000 0000000c | 01000008 00000000");
    assert_eq!(
        wire.log(),
        [
            "call 0 echo { \"text\": \"hi\" \"n\": Int32(7) } by root",
            "done #2 0"
        ]
    );
    assert_eq!(wire.connection.id(object), Some(0x409eb227));

    let token = wire.tokens.pop().unwrap();
    assert_eq!((token.caller(), token.wants_reply()), (0xdb858420, true));
    let mut builder = Builder::new();
    builder.int("k", 5);
    let data = builder.finish().unwrap();
    wire.connection.reply(&token, data.as_table()).unwrap();
    wire.connection.finish(token, Status::OK).unwrap();
    let expected = hex(
        "00 02 00 02 db858420 0000001c | 03000008 409eb227 | 07000010 8500000c 0001 6b 00 00000005
         00 01 00 02 db858420 00000014 | 01000008 00000000 | 03000008 409eb227",
    );
    assert_eq!(wire.connection.output().piece().unwrap().bytes, expected);
}

#[test]
fn calls_that_do_not_fit_are_refused() {
    let mut wire = Wire::open();
    wire.connection.add(Some(b"demo"), echo()).unwrap();
    wire.added(1, 0x409eb227);
    wire.quiet();
    let echo = "04000009 6563686f 00 000000";
    let refusals = [
        (format!("04000006 6e6f 0000 {DATA}"), 3, "unknown method"),
        (DATA.to_string(), 3, "no method"),
        (echo.to_string(), 2, "no data"),
        (
            format!("{echo} 07000010 8300000a 0001 6e 00 3700 0000"),
            2,
            "text for a number",
        ),
    ];
    for (attributes, status, what) in refusals {
        wire.answer(5, 9, 0x777, &format!("03000008 409eb227 {attributes}"));
        let expected =
            format!("00 01 0009 00000777 00000014 01000008 {status:08x} 03000008 409eb227");
        assert_eq!(wire.sent(), hex(&expected), "{what}");
    }
    // Who wants no answer gets none, and objects of nobody do not answer.
    wire.answer(
        5,
        9,
        0x777,
        &format!("0a000005 01000000 03000008 409eb227 04000006 6e6f 0000 {DATA}"),
    );
    wire.answer(5, 9, 0x777, &format!("03000008 409eb228 {echo} {DATA}"));
    wire.answer(5, 9, 0x777, &format!("{echo} {DATA}"));
    assert!(wire.sent().is_empty() && wire.log().is_empty());
    // What a method does not name is let through.
    wire.answer(5, 9, 0x777, &format!("03000008 409eb227 {echo} {DATA}"));
    assert_eq!(wire.log(), ["call 0 echo { \"k\": Int32(5) } by "]);
}

#[test]
fn a_listener_registers_and_hears() {
    let mut wire = Wire::open();
    let (listener, _) = wire.connection.listen(b"ev*").unwrap();
    assert_eq!(wire.sent(), hex("00 06 00 01 00000000 00000004"));
    wire.added(1, 0x28c9672c);
    // The same sequence number for every step of a request.
    assert_eq!(
        wire.sent(),
        hex("00 05 00 01 00000001 00000048 | 03000008 00000001 | 0400000d 7265676973746572 00 000000
             0700002c 85000014 0006 6f626a656374 00 000000 28c9672c
             83000014 0007 7061747465726e 00 0000 65762a 00")
    );
    wire.answer(1, 1, 1, OK);
    assert_eq!(wire.log(), ["done #1 0"]);
    wire.feed("00 05 00 01 00000000 00000028 | 03000008 28c9672c | 04000009 65762e78 00 000000 | 07000010 8500000c 0001 61 00 00000001");
    assert_eq!(wire.log(), ["event ev.x { \"a\": Int32(1) }"]);
    // Only the daemon brings events.
    wire.answer(
        5,
        4,
        0x777,
        &format!("03000008 28c9672c 04000009 65762e78 00 000000 {DATA}"),
    );
    assert_eq!(wire.said(), ["1 #4 to 777 object 28c9672c"]);
    assert!(wire.log().is_empty());

    wire.connection.remove(listener).unwrap().unwrap();
    assert_eq!(wire.said(), ["7 #2 to 0 object 28c9672c"]);
    wire.feed("00 05 00 02 00000000 00000028 | 03000008 28c9672c | 04000009 65762e78 00 000000 | 07000010 8500000c 0001 61 00 00000001");
    wire.answer(1, 2, 0, OK);
    assert_eq!(wire.log(), ["done #2 0"]);
    assert_eq!(
        wire.connection.remove(listener),
        Err(RequestError::UnknownHandle)
    );
}

#[test]
fn a_listener_that_is_refused_is_taken_back() {
    let mut wire = Wire::open();
    let (listener, _) = wire.connection.listen(b"").unwrap();
    wire.added(1, 0x500);
    wire.sent();
    wire.answer(1, 1, 1, "01000008 00000006");
    assert_eq!(wire.log(), ["done #1 6"]);
    assert_eq!(wire.said(), ["7 #2 to 0 object 500"]);
    assert_eq!(wire.connection.id(listener), None);
}

#[test]
fn events_are_sent() {
    let mut wire = Wire::open();
    let mut builder = Builder::new();
    builder.int("a", 1);
    let data = builder.finish().unwrap();
    wire.connection
        .send_event(b"ev.x", data.as_table())
        .unwrap();
    assert_eq!(
        wire.sent(),
        hex(
            "00 05 00 01 00000001 00000048 | 03000008 00000001 | 04000009 73656e64 00 000000
             07000030 83000011 0002 6964 00 000000 65762e78 00 000000
             82000018 0004 64617461 00 00 8500000c 0001 61 00 00000001"
        )
    );
    wire.answer(1, 1, 1, "01000008 00000006");
    assert_eq!(wire.log(), ["done #1 6"]);
}

/// A plain subscription of `demo` (0x409eb227) by object 0x2d84af07.
fn subscribed(wire: &mut Wire) -> Handle {
    let (subscription, _) = wire.connection.subscribe(b"demo", false).unwrap();
    assert_eq!(wire.said(), ["4 #1 to 0 path demo"]);
    wire.answer(2, 1, 0, "02000009 64656d6f 00000000 | 03000008 409eb227");
    wire.answer(1, 1, 0, OK);
    assert_eq!(wire.said(), ["6 #1 to 0"]);
    wire.added(1, 0x2d84af07);
    assert_eq!(wire.said(), ["8 #1 to 0 object 2d84af07 target 409eb227"]);
    wire.answer(1, 1, 0, OK);
    assert_eq!(wire.log(), ["done #1 0"]);
    subscription
}

#[test]
fn a_subscription_hears_notifications_until_its_target_goes() {
    let mut wire = Wire::open();
    let subscription = subscribed(&mut wire);
    let tick = "03000008 2d84af07 04000009 7469636b 00000000 0c000009 726f6f74 00000000 0d000009 726f6f74 00000000";
    wire.answer(
        5,
        4,
        0x06b51fa1,
        &format!("0a000005 01 000000 {tick} {DATA}"),
    );
    wire.answer(5, 5, 0x06b51fa1, &format!("{tick} {DATA}"));
    assert_eq!(
        wire.log(),
        [
            "notification tick { \"k\": Int32(5) } false",
            "notification tick { \"k\": Int32(5) } true"
        ]
    );
    for token in std::mem::take(&mut wire.tokens) {
        wire.connection.finish(token, Status::OK).unwrap();
    }
    assert_eq!(wire.said(), ["1 #5 to 6b51fa1 object 2d84af07"]);
    assert_eq!(wire.connection.target(subscription), Some(0x409eb227));
    // The end of another target is not its own.
    wire.answer(9, 1, 0, "03000008 2d84af07 08000008 42a384f3");
    assert!(wire.log().is_empty());
    wire.answer(9, 1, 0, "03000008 2d84af07 08000008 409eb227");
    assert_eq!(wire.log(), ["target gone"]);
    assert_eq!(wire.connection.target(subscription), None);
    wire.connection.remove(subscription).unwrap().unwrap();
    assert_eq!(wire.said(), ["7 #2 to 0 object 2d84af07"]);
}

#[test]
fn a_subscription_without_its_target_fails() {
    let cases: [(&str, &str, i32); 4] = [
        ("", "01000008 00000004", 4),
        ("", OK, 4),                                              // hidden
        ("0200000a 64656d6f 7300 0000 03000008 00000500", OK, 4), // found by a pattern
        ("", "01000008 00000002", 2),
    ];
    for (found, status, expected) in cases {
        let mut wire = Wire::open();
        wire.connection.subscribe(b"demo", false).unwrap();
        wire.answer(2, 1, 0, found);
        wire.answer(1, 1, 0, status);
        assert_eq!(wire.log(), [format!("done #1 {expected}")]);
    }
    // Found, but gone or on this very connection when it comes to subscribing.
    let mut wire = Wire::open();
    wire.connection.subscribe(b"demo", false).unwrap();
    wire.answer(2, 1, 0, "02000009 64656d6f 00000000 | 03000008 409eb227");
    wire.answer(1, 1, 0, OK);
    wire.added(1, 0x500);
    wire.sent();
    wire.answer(1, 1, 0, "01000008 00000002");
    assert_eq!(wire.log(), ["done #1 2"]);
    assert_eq!(wire.said(), ["7 #2 to 0 object 500"]);
}

/// The event that tells of a new object, to the watcher 0x900.
fn announce(wire: &mut Wire, id: u32, path: &str) {
    let mut builder = Builder::new();
    builder.id("id", id).string("path", path);
    let data = builder.finish().unwrap();
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, Kind::INVOKE, 77, 0);
    writer
        .object(0x900)
        .method(b"ubus.object.add")
        .data(data.as_table());
    writer.finish().unwrap();
    wire.feed_bytes(&bytes);
}

/// An automatic subscription of `demo` by object 0x800 that found nothing, with its watcher 0x900.
fn waiting(wire: &mut Wire) -> Handle {
    let (subscription, _) = wire.connection.subscribe(b"demo", true).unwrap();
    assert_eq!(wire.said(), ["6 #1 to 0"]);
    wire.added(1, 0x800);
    assert_eq!(wire.said(), ["6 #2 to 0"]);
    wire.added(2, 0x900);
    assert_eq!(wire.said(), ["5 #2 to 1 object 1 method register"]);
    wire.answer(1, 2, 1, OK);
    assert_eq!(wire.said(), ["4 #1 to 0 path demo"]);
    wire.answer(1, 1, 0, "01000008 00000004");
    assert_eq!(wire.log(), ["done #1 0"]);
    subscription
}

#[test]
fn an_automatic_subscription_follows_its_target() {
    let mut wire = Wire::open();
    waiting(&mut wire);
    announce(&mut wire, 0x555, "demonstration");
    assert!(wire.said().is_empty());
    announce(&mut wire, 0x8000_0001, "demo");
    assert_eq!(wire.said(), ["8 #3 to 0 object 800 target 80000001"]);
    // Told twice, subscribed once.
    announce(&mut wire, 0x8000_0001, "demo");
    wire.answer(1, 3, 0, OK);
    assert!(wire.said().is_empty() && wire.log().is_empty());
    wire.answer(9, 1, 0, "03000008 00000800 08000008 80000001");
    assert_eq!(wire.log(), ["target gone"]);
    announce(&mut wire, 0x556, "demo");
    assert_eq!(wire.said(), ["8 #4 to 0 object 800 target 556"]);
    // Gone before the daemon read it, and there again.
    announce(&mut wire, 0x557, "demo");
    assert_eq!(wire.said(), ["8 #5 to 0 object 800 target 557"]);
    wire.answer(1, 4, 0, "01000008 00000004");
    wire.answer(1, 5, 0, OK);
    wire.answer(9, 1, 0, "03000008 00000800 08000008 00000557");
    assert_eq!(wire.log(), ["target gone"]);
}

#[test]
fn one_watcher_serves_all_subscriptions() {
    let mut wire = Wire::open();
    waiting(&mut wire);
    wire.connection.subscribe(b"demo", true).unwrap();
    wire.added(3, 0x801);
    assert_eq!(wire.said(), ["6 #3 to 0", "4 #3 to 0 path demo"]);
    wire.answer(2, 3, 0, "02000009 64656d6f 00000000 | 03000008 409eb227");
    wire.answer(1, 3, 0, OK);
    assert_eq!(wire.said(), ["8 #3 to 0 object 801 target 409eb227"]);
    wire.answer(1, 3, 0, OK);
    assert_eq!(wire.log(), ["done #3 0"]);
}

#[test]
fn subscriptions_fail_one_by_one_without_a_watcher() {
    let mut wire = Wire::open();
    wire.connection.subscribe(b"a", true).unwrap();
    wire.connection.subscribe(b"b", true).unwrap();
    wire.added(1, 0x801);
    wire.added(2, 0x802);
    wire.added(3, 0x900);
    wire.sent();
    wire.answer(1, 3, 1, "01000008 00000006");
    assert_eq!(wire.log(), ["done #1 6"]);
    assert_eq!(
        wire.said(),
        ["7 #4 to 0 object 900", "6 #5 to 0", "7 #6 to 0 object 801"]
    );
    wire.answer(1, 5, 0, "01000008 00000006");
    assert_eq!(wire.log(), ["done #2 6"]);
    assert_eq!(wire.connection.waiting(), 0);
}

#[test]
fn notifications_go_out_with_and_without_an_answer() {
    let mut wire = Wire::open();
    let (object, _) = wire.connection.add(Some(b"demo"), echo()).unwrap();
    assert_eq!(
        wire.connection.notify(object, b"tick", Table::default()),
        Err(RequestError::NotConnected)
    );
    wire.added(1, 0x409eb227);
    wire.feed("00 0a 00 01 00000000 00000014 | 03000008 409eb227 | 09000005 01 000000");
    assert_eq!(wire.log(), ["done #1 0", "subscribers true"]);
    assert!(wire.connection.has_subscribers(object));
    wire.connection.lookup(None).unwrap();
    wire.connection.lookup(None).unwrap();
    wire.sent();
    let mut builder = Builder::new();
    builder.int("k", 5);
    let data = builder.finish().unwrap();
    wire.connection
        .notify(object, b"tick", data.as_table())
        .unwrap();
    assert_eq!(
        wire.sent(),
        hex(
            "00 0a 00 04 409eb227 00000030 | 03000008 409eb227 | 04000009 7469636b 00 000000
             07000010 8500000c 0001 6b 00 00000005 | 0a000005 01 000000"
        )
    );
    wire.connection
        .notify_and_wait(object, b"tick", data.as_table())
        .unwrap();
    wire.answer(
        1,
        5,
        0x409eb227,
        &format!("03000008 409eb227 0b000014 00000008 00000500 00000008 00000501 {OK}"),
    );
    wire.answer(1, 5, 0x501, "01000008 00000003 03000008 409eb227");
    wire.answer(1, 5, 0x501, "01000008 00000003 03000008 409eb227");
    wire.answer(1, 5, 0x500, "01000008 00000000 03000008 409eb227");
    wire.answer(1, 5, 0x500, "01000008 00000000 03000008 409eb227");
    assert_eq!(
        wire.log(),
        [
            "notified #5 [500, 501]",
            "answered #5 501 3 false",
            "answered #5 500 0 true"
        ]
    );
    wire.connection
        .notify_and_wait(object, b"tick", data.as_table())
        .unwrap();
    wire.answer(
        1,
        6,
        0x409eb227,
        &format!("03000008 409eb227 0b000004 {OK}"),
    );
    assert_eq!(wire.log(), ["done #6 0"]);
    // Listeners notify nobody.
    let (listener, _) = wire.connection.listen(b"x").unwrap();
    wire.added(7, 0x600);
    wire.answer(1, 7, 1, OK);
    let refused = wire.connection.notify(listener, b"tick", Table::default());
    assert_eq!(refused, Err(RequestError::UnknownHandle));
    wire.connection.lost();
    assert!(!wire.connection.has_subscribers(object));
    for (handle, error) in [
        (object, RequestError::NotConnected),
        (listener, RequestError::UnknownHandle),
    ] {
        let refused = wire.connection.notify(handle, b"tick", Table::default());
        assert_eq!(refused, Err(error));
    }
}

#[test]
fn cancelled_requests_leave_nothing() {
    let mut wire = Wire::open();
    let call = wire
        .connection
        .invoke(0x500, b"m", Table::default())
        .unwrap();
    assert!(wire.connection.cancel(call));
    assert!(!wire.connection.cancel(call));
    wire.answer(1, 1, 0x500, OK);
    // An object whose id is still to come is removed when it comes.
    let (object, added) = wire.connection.add(Some(b"demo"), echo()).unwrap();
    assert!(wire.connection.cancel(added));
    wire.sent();
    wire.added(2, 0x501);
    assert_eq!(wire.said(), ["7 #3 to 0 object 501"]);
    assert_eq!(wire.connection.id(object), None);
    // A listener in the middle.
    let (_, added) = wire.connection.listen(b"x").unwrap();
    wire.added(4, 0x502);
    wire.sent();
    assert!(wire.connection.cancel(added));
    assert_eq!(wire.said(), ["7 #5 to 0 object 502"]);
    wire.answer(1, 4, 1, OK);
    assert!(wire.log().is_empty());
    assert_eq!(wire.connection.waiting(), 0);
}

#[test]
fn what_is_being_made_is_cancelled_not_removed() {
    let mut wire = Wire::open();
    let (object, added) = wire.connection.add(Some(b"demo"), echo()).unwrap();
    let refused = wire.connection.remove(object);
    assert_eq!(refused, Err(RequestError::UnknownHandle));
    // A subscription that waits for its watcher.
    let (_, subscribed) = wire.connection.subscribe(b"demo", true).unwrap();
    wire.added(2, 0x801);
    wire.sent();
    assert!(wire.connection.cancel(added) && wire.connection.cancel(subscribed));
    assert_eq!(wire.said(), ["7 #4 to 0 object 801"]);
    wire.added(3, 0x900);
    wire.answer(1, 3, 1, OK);
    wire.added(1, 0x501);
    assert!(wire.log().is_empty());
    assert_eq!(wire.connection.waiting(), 0);
}

#[test]
fn what_is_removed_while_it_is_offered_again_holds_nothing_up() {
    let mut wire = Wire::open();
    let subscription = waiting(&mut wire);
    wire.connection.lost();
    wire.connection.reconnect().unwrap();
    wire.feed(HELLO);
    wire.added(1, 0x801);
    // Parked now, until the watcher is registered.
    wire.connection.remove(subscription).unwrap().unwrap();
    wire.added(2, 0x900);
    assert!(wire.connection.is_restoring());
    wire.answer(1, 2, 1, OK);
    assert!(!wire.connection.is_restoring());
    wire.answer(1, 3, 0, OK);
    assert_eq!(wire.connection.waiting(), 0);
}

#[test]
fn a_removed_subscription_does_not_come_back() {
    let mut wire = Wire::open();
    let kept = waiting(&mut wire);
    announce(&mut wire, 0x555, "demo");
    wire.quiet();
    wire.connection.remove(kept).unwrap().unwrap();
    announce(&mut wire, 0x556, "demo");
    assert_eq!(wire.said(), ["7 #4 to 0 object 800"]);
}

#[test]
fn sequence_numbers_in_use_are_left_out() {
    let mut wire = Wire::open();
    let stuck = wire
        .connection
        .invoke(0x500, b"m", Table::default())
        .unwrap();
    for _ in 0..70_000 {
        let request = wire.connection.ping().unwrap();
        assert_ne!(request.seq, stuck.seq);
        assert!(wire.connection.cancel(request));
    }
    assert!(wire.connection.cancel(stuck));
    let requests: Vec<_> = (0..65536)
        .map(|_| wire.connection.ping().unwrap())
        .collect();
    assert_eq!(wire.connection.ping(), Err(RequestError::TooManyRequests));
    wire.connection.cancel(requests[40_000]);
    assert_eq!(wire.connection.ping().unwrap().seq, requests[40_000].seq);
}

#[test]
fn what_does_not_fit_is_not_sent() {
    let mut wire = Wire::open();
    let mut builder = Builder::new();
    builder.string("s", "x".repeat(crate::blobmsg::MAX_PAYLOAD - 9));
    let long = builder.finish().unwrap();
    let too_long = Err(RequestError::Build(BuildError::TooLong {
        limit: MAX_MESSAGE,
    }));
    assert_eq!(
        wire.connection.invoke(0x500, b"m", long.as_table()),
        too_long
    );
    let failed = wire.connection.listen(&[b'x'; 2]);
    assert!(failed.is_ok());
    assert_eq!(wire.said(), ["6 #2 to 0"]);
    let bad = wire.connection.subscribe(b"a\0b", false).map(|_| ());
    assert_eq!(bad, Err(RequestError::Build(BuildError::Nul)));
    let long = wire.connection.subscribe(&vec![b'x'; MAX_MESSAGE], true);
    let too_long = BuildError::TooLong { limit: MAX_MESSAGE };
    assert_eq!(long.err(), Some(RequestError::Build(too_long)));
    // A pattern is too long only when its turn comes.
    wire.connection.listen(&vec![b'x'; MAX_MESSAGE]).unwrap();
    wire.sent();
    wire.added(3, 0x500);
    assert_eq!(wire.log(), ["done #3 2"]);
    assert_eq!(wire.said(), ["7 #4 to 0 object 500"]);
}

#[test]
fn a_lost_connection_ends_what_waits() {
    let mut wire = Wire::open();
    wire.connection.add(Some(b"demo"), echo()).unwrap();
    wire.added(1, 0x409eb227);
    wire.answer(
        5,
        9,
        0x777,
        &format!("03000008 409eb227 04000009 6661696c 00 000000 {DATA}"),
    );
    let calls = [
        wire.connection
            .invoke(0x500, b"m", Table::default())
            .unwrap(),
        wire.connection.lookup(None).unwrap(),
        wire.connection.listen(b"x").unwrap().1,
    ];
    assert_eq!(wire.connection.lost(), calls);
    assert!(wire.sent().is_empty());
    assert_eq!(
        wire.connection.lookup(None),
        Err(RequestError::NotConnected)
    );
    let listen = wire.connection.listen(b"x").map(|_| ());
    assert_eq!(listen, Err(RequestError::NotConnected));
    let token = wire.tokens.pop().unwrap();
    assert_eq!(
        wire.connection.reply(&token, Table::default()),
        Err(RequestError::NotConnected)
    );
    // Also when there is a connection again, since the caller is another's.
    wire.connection.reconnect().unwrap();
    wire.feed(HELLO);
    wire.sent();
    assert_eq!(
        wire.connection.finish(token, Status::OK),
        Err(RequestError::NotConnected)
    );
    assert!(wire.sent().is_empty());
}

#[test]
fn everything_is_offered_again() {
    let mut wire = Wire::open();
    let kept = subscribed(&mut wire);
    let (object, _) = wire.connection.add(Some(b"mine"), echo()).unwrap();
    wire.added(2, 0x600);
    let (listener, _) = wire.connection.listen(b"ev*").unwrap();
    wire.added(3, 0x601);
    wire.answer(1, 3, 1, OK);
    let (gone, _) = wire.connection.listen(b"gone").unwrap();
    wire.added(4, 0x602);
    wire.answer(1, 4, 1, OK);
    wire.connection.remove(gone).unwrap();
    wire.quiet();

    wire.connection.lost();
    assert_eq!(
        [kept, object, listener].map(|handle| wire.connection.id(handle)),
        [None; 3]
    );
    wire.received.clear();
    wire.connection.reconnect().unwrap();
    wire.feed("00 00 0000 00000700 00000004");
    assert_eq!(wire.log(), ["ready 00000700"]);
    assert!(wire.connection.is_restoring());
    assert_eq!(
        wire.said(),
        ["6 #1 to 0", "6 #2 to 0 path mine", "6 #3 to 0"]
    );
    wire.added(1, 0x700);
    assert_eq!(wire.said(), ["6 #4 to 0"], "to watch for the target");
    wire.added(2, 0x701);
    wire.added(3, 0x702);
    wire.added(4, 0x900);
    wire.answer(1, 3, 1, OK);
    wire.answer(1, 4, 1, OK);
    assert_eq!(
        wire.said(),
        [
            "5 #3 to 1 object 1 method register",
            "5 #4 to 1 object 1 method register",
            "4 #1 to 0 path demo"
        ]
    );
    assert!(wire.connection.is_restoring());
    wire.answer(1, 1, 0, "01000008 00000004");
    assert_eq!(wire.log(), ["restored 0", "restored 0", "restored 0"]);
    assert!(!wire.connection.is_restoring());
    assert_eq!(wire.connection.id(object), Some(0x701));

    // The target comes back later than we did.
    announce(&mut wire, 0x555, "demo");
    assert_eq!(wire.said(), ["8 #5 to 0 object 700 target 555"]);
    wire.answer(1, 5, 0, OK);
    // And from now on its end is final again.
    wire.answer(9, 1, 0, "03000008 00000700 08000008 00000555");
    announce(&mut wire, 0x556, "demo");
    assert!(wire.said().is_empty());
    assert_eq!(wire.log(), ["target gone"]);
    wire.connection.lost();
    wire.connection.reconnect().unwrap();
    wire.feed(HELLO);
    assert_eq!(wire.said(), ["6 #1 to 0 path mine", "6 #2 to 0"]);
}

#[test]
fn what_is_refused_after_a_reconnect_can_be_offered_again() {
    let mut wire = Wire::open();
    let (object, _) = wire.connection.add(Some(b"mine"), echo()).unwrap();
    wire.added(1, 0x600);
    assert_eq!(
        wire.connection.retry(object),
        Err(RequestError::UnknownHandle)
    );
    wire.connection.lost();
    assert_eq!(
        wire.connection.retry(object),
        Err(RequestError::NotConnected)
    );
    wire.connection.reconnect().unwrap();
    wire.feed(HELLO);
    wire.answer(1, 1, 0, "01000008 00000002");
    wire.quiet();
    wire.connection.retry(object).unwrap();
    wire.connection.retry(object).unwrap();
    assert_eq!(wire.said(), ["6 #2 to 0 path mine"]);
    wire.added(2, 0x601);
    assert_eq!(wire.log(), ["restored 0"]);
    assert_eq!(wire.connection.id(object), Some(0x601));
}

#[test]
fn offering_one_again_does_not_disturb_the_others() {
    let mut wire = Wire::open();
    let (first, _) = wire.connection.add(Some(b"a"), echo()).unwrap();
    let (second, _) = wire.connection.add(Some(b"b"), echo()).unwrap();
    wire.added(1, 0x600);
    wire.added(2, 0x601);
    let call = wire
        .connection
        .invoke(0x500, b"m", Table::default())
        .unwrap();
    assert_eq!(wire.connection.reconnect(), Ok(vec![call]));
    wire.feed(HELLO);
    wire.answer(1, 1, 0, "01000008 00000002");
    wire.quiet();
    wire.connection.retry(first).unwrap();
    wire.connection.retry(second).unwrap();
    assert_eq!(wire.said(), ["6 #3 to 0 path a"]);
    wire.added(2, 0x701);
    assert!(wire.connection.is_restoring());
    wire.added(3, 0x700);
    assert!(!wire.connection.is_restoring());
    assert_eq!(wire.log(), ["restored 0", "restored 0"]);
    assert_eq!(
        [first, second].map(|one| wire.connection.id(one)),
        [Some(0x700), Some(0x701)]
    );
}

#[test]
fn thousands_are_offered_again_in_bounded_numbers() {
    let mut wire = Wire::open();
    for number in 0..1000_u32 {
        let path = format!("object{number}");
        wire.connection.add(Some(path.as_bytes()), echo()).unwrap();
        wire.added(number as u16 + 1, 0x1000 + number);
    }
    wire.connection.lost();
    wire.connection.reconnect().unwrap();
    wire.feed(HELLO);
    wire.log();
    for number in 0..1000_u32 {
        assert!(wire.connection.waiting() <= RESTORE_AT_ONCE);
        assert!(wire.connection.is_restoring());
        wire.added(number as u16 + 1, 0x9000 + number);
    }
    assert!(!wire.connection.is_restoring());
    assert_eq!(wire.log(), vec!["restored 0"; 1000]);
    wire.answer(
        5,
        1,
        0x777,
        &format!(
            "03000008 {:08x} 04000009 6661696c 00 000000 {DATA}",
            0x9000 + 999
        ),
    );
    assert_eq!(wire.log().len(), 1);
}

#[test]
fn closing_is_for_good() {
    let mut wire = Wire::open();
    let (object, _) = wire.connection.add(Some(b"mine"), echo()).unwrap();
    wire.added(1, 0x600);
    let call = wire
        .connection
        .invoke(0x500, b"m", Table::default())
        .unwrap();
    assert_eq!(wire.connection.close(), [call]);
    assert!(wire.connection.close().is_empty() && wire.connection.lost().is_empty());
    assert_eq!(wire.connection.reconnect(), Err(RequestError::Closed));
    assert_eq!(wire.connection.lookup(None), Err(RequestError::Closed));
    assert_eq!(wire.connection.remove(object), Err(RequestError::Closed));
    wire.log();
    wire.answer(1, 2, 0x500, OK);
    assert!(wire.log().is_empty());
}

#[test]
fn a_call_may_carry_a_descriptor_and_so_may_its_answer() {
    let mut wire = Wire::open();
    let fd = || OwnedFd::from(std::io::pipe().unwrap().1);
    wire.connection.lookup(None).unwrap();
    wire.connection
        .invoke_with_fd(0x500, b"m", Table::default(), fd())
        .unwrap();
    assert!(wire.connection.output().piece().unwrap().fd.is_none());
    let length = wire.connection.output().piece().unwrap().bytes.len();
    wire.connection.output().sent(length);
    assert!(wire.connection.output().piece().unwrap().fd.is_some());
    wire.sent();
    wire.received.push(
        &hex("00 01 0002 00000500 0000000c 01000008 00000000"),
        Some(fd()),
    );
    let received = wire.received.next().unwrap().unwrap();
    let event = wire.connection.handle(received).unwrap();
    assert!(matches!(event, Some(Event::Done { fd: Some(_), .. })));

    wire.connection.add(Some(b"demo"), echo()).unwrap();
    wire.added(3, 0x409eb227);
    let call = "00 05 0009 00000777 00000018 03000008 409eb227 04000009 6661696c 00 000000";
    let call = format!("{} {DATA}", call.replace("00000018", "00000028"));
    wire.received.push(&hex(&call), Some(fd()));
    let received = wire.received.next().unwrap().unwrap();
    let event = wire.connection.handle(received).unwrap();
    let Some(Event::Call {
        token, fd: Some(_), ..
    }) = event
    else {
        panic!("{event:?}");
    };
    wire.sent();
    wire.connection
        .finish_with_fd(token, Status::OK, fd())
        .unwrap();
    assert!(wire.connection.output().piece().unwrap().fd.is_some());
}

#[test]
fn copies_of_messages_are_handed_on() {
    let mut wire = Wire::open();
    wire.answer(11, 5, 0, "00000008 00000777 01000008 00000000 02000005 01 000000 03000008 00000001 04000008 00000004 05000004");
    assert_eq!(wire.log(), ["monitor 6"]);
}

#[test]
fn type_numbers_without_meaning_are_published_and_ask_for_nothing() {
    let mut builder = SignatureBuilder::new();
    builder
        .method("m")
        .argument("odd", 77)
        .argument("k", Type::Int64.number());
    let mut wire = Wire::open();
    wire.connection
        .add(Some(b"demo"), builder.finish().unwrap())
        .unwrap();
    let sent = wire.sent();
    let (message, _) = Message::read(&sent, MAX_MESSAGE).unwrap().unwrap();
    let signature = message.attributes().signature.unwrap();
    let method = signature.get("m").and_then(Value::as_table).unwrap();
    assert_eq!(method.get("odd"), Some(Value::Int32(77)));
    wire.added(1, 0x409eb227);
    wire.answer(
        5,
        1,
        0x777,
        &format!("03000008 409eb227 04000006 6d00 0000 {DATA}"),
    );
    assert_eq!(wire.log().len(), 2);
}
