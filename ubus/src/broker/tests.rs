//! Exchanges with clients, byte for byte.

mod calls;
mod events;
mod limits;
mod objects;
mod rights;
mod subscriptions;

use super::{Broker, Credentials};
use crate::message::MAX_MESSAGE;
use crate::receive::ReceiveBuffer;
use crate::testing::{hex, message};
use std::os::fd::OwnedFd;

/// Ids of clients, as seen on a router.
const OWNER: u32 = 0x06b5_1fa1;
const CALLER: u32 = 0xdb85_8420;
/// An object and its type.
const TYPE: u32 = 0xdd3f_b1a1;
const DEMO: u32 = 0x409e_b227;
/// An object without a path.
const SINK: u32 = 0x2d84_af07;

const OK: &str = "01000008 00000000";
/// Status 2, 4, 6.
const INVALID: &str = "01000008 00000002";
const NOT_FOUND: &str = "01000008 00000004";
const DENIED: &str = "01000008 00000006";
/// Path `demo`.
const PATH: &str = "02000009 64656d6f 00 000000";
/// Methods `echo(text, n)` and `fail()`.
const SIGNATURE: &str = "06000038 82000028 0004 6563686f 0000 85000010 0004 74657874 0000 00000003
                         8500000c 0001 6e 00 00000005 8200000c 0004 6661696c 0000";
/// Object `demo`, and `SINK`.
const OBJECT: &str = "03000008 409eb227";
const SINK_OBJECT: &str = "03000008 2d84af07";
/// User and group of the clients.
const ROOT: &str = "0c000009 726f6f74 00 000000 0d000009 726f6f74 00 000000";
/// Data `k = 5`.
const FIVE: &str = "07000010 8500000c 0001 6b 00 00000005";

const INVOKE: u8 = 5;
const NOTIFY: u8 = 10;

fn root() -> Credentials {
    user(0, 0)
}

fn user(uid: u32, gid: u32) -> Credentials {
    Credentials {
        uid,
        gid,
        user: b"root".to_vec(),
        group: b"root".to_vec(),
    }
}

/// A broker whose clients are the test.
struct Bus {
    broker: Broker,
}

impl Bus {
    /// Gives these ids, and then those from 5000 on.
    fn new(ids: &'static [u32]) -> Bus {
        let mut ids = ids.iter().copied().chain(5000..);
        let next = move || ids.next().unwrap();
        Bus {
            broker: Broker::with_ids(0, next),
        }
    }

    /// With two clients and the object `demo` of the first.
    fn with_demo() -> Bus {
        let mut bus = Bus::new(&[OWNER, CALLER, TYPE, DEMO, SINK]);
        bus.connect();
        bus.connect();
        bus.says(OWNER, 6, 1, 0, &format!("{PATH} {SIGNATURE}"));
        bus.hear(OWNER);
        bus
    }

    /// With an object of the second client, too, that has no path.
    fn with_sink() -> Bus {
        let mut bus = Bus::with_demo();
        bus.says(CALLER, 6, 1, 0, "");
        let added = [message(2, 1, 0, SINK_OBJECT), message(1, 1, 0, OK)];
        bus.hears(CALLER, &added);
        bus
    }

    /// With a subscription of that object.
    fn subscribed() -> Bus {
        let mut bus = Bus::with_sink();
        bus.says(
            CALLER,
            8,
            12,
            0,
            &format!("{SINK_OBJECT} 08000008 409eb227"),
        );
        bus.hears(CALLER, &[message(1, 12, 0, OK)]);
        bus.hears(
            OWNER,
            &[message(
                NOTIFY,
                1,
                0,
                &format!("{OBJECT} 09000005 01 000000"),
            )],
        );
        bus
    }

    fn connect(&mut self) -> u32 {
        self.connect_as(&root())
    }

    /// A client that has read its hello.
    fn connect_as(&mut self, credentials: &Credentials) -> u32 {
        let id = self.broker.connect(credentials);
        self.hears(id, &[message(0, 0, id, "")]);
        id
    }

    fn says(&mut self, from: u32, kind: u8, seq: u16, peer: u32, attributes: &str) {
        self.says_bytes(from, &message(kind, seq, peer, attributes), None);
    }

    fn says_bytes(&mut self, from: u32, bytes: &[u8], fd: Option<OwnedFd>) {
        let mut received = ReceiveBuffer::new(MAX_MESSAGE);
        received.push(bytes, fd);
        while let Some(message) = received.next().unwrap() {
            self.broker.receive(from, message);
        }
        assert_eq!(received.len(), 0);
    }

    /// What has come for a client.
    fn hear(&mut self, client: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let output = self.broker.output(client).unwrap();
        while let Some(piece) = output.piece() {
            bytes.extend_from_slice(piece.bytes);
            let count = piece.bytes.len();
            output.sent(count);
        }
        bytes
    }

    fn hears(&mut self, client: u32, messages: &[Vec<u8>]) {
        assert_eq!(show(&self.hear(client)), show(&messages.concat()));
    }

    /// Says something and is answered by one status.
    fn asks(&mut self, from: u32, kind: u8, peer: u32, attributes: &str, status: &str) {
        self.says(from, kind, 7, peer, attributes);
        self.hears(from, &[message(1, 7, peer, status)]);
    }
}

/// Bytes as people read them, so that a difference can be seen.
fn show(bytes: &[u8]) -> String {
    let words = bytes.chunks(4).map(|word| {
        let digits = word.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}

/// An event of the daemon's own about an object.
fn announcement(seq: u16, event: &str, id: u32) -> Vec<u8> {
    let method = match event {
        "add" => "04000014 7562 7573 2e6f 626a 6563 742e 6164 6400",
        _ => "04000017 7562 7573 2e6f 626a 6563 742e 7265 6d6f 7665 00 00",
    };
    let data = format!(
        "07000028 85000010 0002 6964 00 000000 {id:08x} 83000011 0004 70617468 00 00 64656d6f 00 000000"
    );
    message(INVOKE, seq, 0, &format!("{SINK_OBJECT} {method} {data}"))
}

#[test]
fn clients_are_greeted_with_their_id() {
    let mut bus = Bus::new(&[OWNER]);
    let client = bus.broker.connect(&root());
    assert_eq!(client, OWNER);
    let hello = hex("00 00 0000 06b51fa1 00000004");
    bus.hears(client, &[hello]);
}

#[test]
fn reserved_and_taken_ids_are_passed_over() {
    let mut bus = Bus::new(&[0, 1, 1023, 1024, 1024, 1025]);
    assert_eq!((bus.connect(), bus.connect()), (1024, 1025));
}

#[test]
fn a_ping_comes_back() {
    let mut bus = Bus::with_demo();
    let attributes = format!("{PATH} {FIVE} 7f000005 01 000000");
    bus.says(CALLER, 3, 9, 77, &attributes);
    bus.hears(
        CALLER,
        &[message(2, 9, 77, &attributes), message(1, 9, 77, OK)],
    );
}

#[test]
fn what_is_no_request_is_refused() {
    let mut bus = Bus::with_demo();
    for kind in [0, 11, 12, 255] {
        bus.asks(CALLER, kind, 3, PATH, "01000008 00000001");
    }
}

#[test]
fn the_version_is_ignored() {
    let mut bus = Bus::with_demo();
    bus.says_bytes(CALLER, &hex("09 03 0001 00000000 00000004"), None);
    bus.hears(CALLER, &[message(2, 1, 0, ""), message(1, 1, 0, OK)]);
}

#[test]
fn nothing_outlives_its_client() {
    let mut bus = Bus::subscribed();
    let pattern = "0700002c 85000014 0006 6f626a656374 00 000000 2d84af07
                   83000014 0007 7061747465726e 00 0000 65762a 00";
    let register = format!("03000008 00000001 0400000d 7265676973746572 00 000000 {pattern}");
    bus.asks(CALLER, INVOKE, 1, &register, OK);
    let watch = "03000008 00000003 04000008 61646400 07000004";
    bus.says(CALLER, INVOKE, 1, 3, watch);
    assert_eq!((bus.broker.clients(), bus.broker.objects()), (2, 2));
    bus.broker.disconnect(CALLER);
    bus.hears(
        OWNER,
        &[message(
            NOTIFY,
            2,
            0,
            &format!("{OBJECT} 09000005 00 000000"),
        )],
    );
    bus.broker.disconnect(OWNER);
    assert!(bus.broker.is_empty());
    // Whoever is gone neither speaks nor hears.
    bus.says(OWNER, 3, 1, 0, "");
    bus.broker.disconnect(OWNER);
    assert!(bus.broker.output(OWNER).is_none());
    assert_eq!(bus.broker.next_unsent(), None);
}

#[test]
fn each_client_with_something_new_is_named_once() {
    let mut bus = Bus::with_demo();
    while bus.broker.next_unsent().is_some() {}
    bus.says(CALLER, 3, 1, 0, "");
    bus.says(CALLER, 3, 2, 0, "");
    assert_eq!(bus.broker.unsent_bytes(), 2 * (12 + 20));
    assert_eq!(bus.broker.next_unsent(), Some(CALLER));
    assert_eq!(
        (bus.broker.next_unsent(), bus.broker.unsent_bytes()),
        (None, 0)
    );
}
