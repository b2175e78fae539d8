//! Clients that break the rules: they harm themselves alone.

use super::bus::{until, Bus, Raw};
use nix::sys::socket::{sendmsg, ControlMessage, MsgFlags, UnixAddr};
use std::io::{ErrorKind, IoSlice, PipeReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use ubus::blobmsg::Table;
use ubus::message::{Kind, Writer, MAX_MESSAGE};

/// A client whom the others must not harm.
struct Witness {
    raw: Raw,
}

impl Witness {
    fn new(bus: &Bus) -> Witness {
        Witness { raw: bus.raw() }
    }

    fn is_served(&mut self) {
        self.raw.ping();
    }
}

fn frame(kind: Kind, peer: u32, fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, kind, 1, peer);
    fill(&mut writer);
    writer.finish().unwrap();
    bytes
}

/// Adds an object, by default one without a path, and gives its id.
fn add(raw: &mut Raw, path: Option<&[u8]>) -> u32 {
    raw.say(&frame(Kind::ADD_OBJECT, 0, |message| {
        if let Some(path) = path {
            message.path(path).signature(Table::default());
        }
    }));
    let data = raw.hear();
    raw.hear();
    u32::from_be_bytes(data[16..20].try_into().unwrap())
}

fn send_with_fds(raw: &Raw, bytes: &[u8], count: usize) -> Vec<PipeReader> {
    let (readers, writers): (Vec<_>, Vec<_>) = (0..count).map(|_| std::io::pipe().unwrap()).unzip();
    let fds: Vec<_> = writers.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    let part = [IoSlice::new(bytes)];
    let socket = raw.stream.as_raw_fd();
    let sent = sendmsg::<UnixAddr>(socket, &part, &rights, MsgFlags::MSG_NOSIGNAL, None);
    assert_eq!(sent, Ok(bytes.len()));
    readers
}

/// The ends of these pipes come when no writing end is open any more.
fn all_closed(readers: Vec<PipeReader>) {
    for mut reader in readers {
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn lengths_that_make_no_sense_end_the_connection() {
    let bus = Bus::new();
    let mut witness = Witness::new(&bus);
    for length in [0u32, 3, MAX_MESSAGE as u32 + 1, 0xff_ffff, 0xffff_ffff] {
        let mut raw = bus.raw();
        let mut bytes = vec![0, 3, 0, 1, 0, 0, 0, 0];
        bytes.extend(length.to_be_bytes());
        raw.say(&bytes);
        assert!(raw.is_hung_up(), "{length}");
        witness.is_served();
    }
}

#[test]
fn random_bytes_harm_nobody() {
    let bus = Bus::new();
    let mut witness = Witness::new(&bus);
    let mut state = 1u64;
    for _ in 0..200 {
        let mut raw = bus.raw();
        let bytes: Vec<u8> = (0..200)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        // It may be hung up on before all is written.
        let _ = raw.stream.write_all(&bytes);
    }
    witness.is_served();
}

#[test]
fn attributes_that_make_no_sense_are_answered() {
    let bus = Bus::new();
    let mut raw = bus.raw();
    for body in [
        &[0xff; 40][..],
        &[3, 0, 0, 3],
        &[3, 0xff, 0xff, 0xff, 1, 2, 3, 4],
        &[1, 2],
        &[],
    ] {
        for kind in 4..=10 {
            let mut bytes = vec![0, kind, 0, 1, 0, 0, 0, 0];
            bytes.extend((body.len() as u32 + 4).to_be_bytes());
            bytes.extend(body);
            raw.say(&bytes);
            // Two of them are complete without attributes.
            while raw.hear()[1] != 1 {}
        }
    }
}

#[test]
fn a_message_in_single_bytes_is_one_message() {
    let bus = Bus::new();
    let mut raw = bus.raw();
    let ping = frame(Kind::PING, 0, |message| {
        message.path(b"some bytes");
    });
    for byte in &ping {
        raw.say(&[*byte]);
    }
    let data = raw.hear();
    assert_eq!(data[8..], ping[8..]);
    assert_eq!(raw.hear()[1], 1);
}

#[test]
fn half_a_message_waits_and_then_goes() {
    let bus = Bus::new();
    let mut witness = Witness::new(&bus);
    let mut halves: Vec<_> = (0..20).map(|_| bus.raw()).collect();
    let long = frame(Kind::PING, 0, |message| {
        message.bytes(7, &vec![7; MAX_MESSAGE - 8]);
    });
    for raw in &mut halves {
        raw.say(&long[..long.len() / 2]);
        witness.is_served();
    }
    let mut last = halves.pop().unwrap();
    drop(halves);
    witness.is_served();
    last.say(&long[long.len() / 2..]);
    assert_eq!(last.hear().len(), long.len());
    assert_eq!(last.hear()[1], 1);
}

#[test]
fn who_does_not_read_stalls_nobody() {
    let bus = Bus::new();
    let mut witness = Witness::new(&bus);
    let slow = bus.raw();
    slow.stream.set_nonblocking(true).unwrap();
    let ping = frame(Kind::PING, 0, |message| {
        message.bytes(7, &[7; 60_000]);
    });
    // More than sockets and queue hold together.
    let mut sent = 0;
    let mut stream = &slow.stream;
    until("the daemon reads", || {
        match stream.write(&ping) {
            Ok(count) => sent += count,
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        // Others are answered all the time.
        witness.is_served();
        sent > 8 << 20
    });
}

#[test]
fn what_was_said_before_the_end_is_heard() {
    let bus = Bus::new();
    let mut listener = bus.client();
    let heard = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = heard.clone();
    listener
        .listen("bye.*", super::bus::SOON, move |client, _| {
            if count.fetch_add(1, Ordering::Relaxed) == 99 {
                client.stop();
            }
        })
        .unwrap();
    for _ in 0..100 {
        // It neither reads its hello nor waits for an answer.
        let mut stream = std::os::unix::net::UnixStream::connect(bus.path()).unwrap();
        let mut builder = ubus::blobmsg::Builder::new();
        builder.string("id", "bye.now").open_table("data").close();
        let data = builder.finish().unwrap();
        let event = frame(Kind::INVOKE, 1, |message| {
            message.object(1).method(b"send").data(data.as_table());
        });
        stream.write_all(&event).unwrap();
    }
    listener.serve(super::bus::SOON).unwrap();
    assert_eq!(heard.load(Ordering::Relaxed), 100);
}

#[test]
fn an_owner_that_vanishes_during_a_call_harms_nobody() {
    let bus = Bus::new();
    let (mut owner, mut caller) = (bus.raw(), bus.raw());
    let id = add(&mut owner, Some(b"brief"));
    let call = frame(Kind::INVOKE, id, |message| {
        message.object(id).method(b"m").data(Table::default());
    });
    caller.say(&call);
    assert_eq!(owner.hear()[1], 5);
    drop(owner);
    // The call is never answered; the next one finds nobody.
    until("the object goes", || {
        caller.say(&call);
        caller.say(&frame(Kind::PING, 0, |_| {}));
        let status = caller.hear();
        if status[1] == 1 {
            assert_eq!(status[19], 4);
            caller.hear();
        }
        caller.hear();
        status[1] == 1
    });
}

#[test]
fn a_caller_that_vanishes_during_its_call_harms_nobody() {
    let bus = Bus::new();
    let (mut owner, mut caller) = (bus.raw(), bus.raw());
    let id = add(&mut owner, Some(b"lasting"));
    caller.say(&frame(Kind::INVOKE, id, |message| {
        message.object(id).method(b"m").data(Table::default());
    }));
    assert_eq!(owner.hear()[1], 5);
    let gone = caller.id;
    drop(caller);
    for kind in [Kind::DATA, Kind::STATUS] {
        owner.say(&frame(kind, gone, |message| {
            message
                .object(id)
                .status(ubus::Status::OK)
                .data(Table::default());
        }));
    }
    owner.ping();
}

#[test]
fn who_stops_writing_is_let_go() {
    let bus = Bus::new();
    let mut raw = bus.raw();
    raw.stream.shutdown(Shutdown::Write).unwrap();
    assert!(raw.is_hung_up());
}

#[test]
fn floods_of_descriptors_are_closed() {
    let bus = Bus::new();
    let mut witness = Witness::new(&bus);
    let mut raw = bus.raw();
    let ping = frame(Kind::PING, 0, |message| {
        message.bytes(7, &[0; 400]);
    });
    // Many with one message, and one with each byte of another.
    let mut readers = send_with_fds(&raw, &ping, 200);
    for byte in &ping[..300] {
        readers.extend(send_with_fds(&raw, &[*byte], 1));
    }
    raw.say(&ping[300..]);
    for _ in 0..4 {
        raw.hear();
    }
    all_closed(readers);
    witness.is_served();
    // Half a message holds one until its sender goes.
    let mut readers = Vec::new();
    for byte in &ping[..300] {
        readers.extend(send_with_fds(&raw, &[*byte], 2));
    }
    let first = readers.remove(0);
    all_closed(readers);
    drop(raw);
    all_closed(vec![first]);
}

#[test]
fn descriptors_for_an_owner_that_does_not_read_are_closed_in_the_end() {
    let bus = Bus::new();
    let mut witness = Witness::new(&bus);
    let (mut owner, caller) = (bus.raw(), bus.raw());
    let id = add(&mut owner, Some(b"deaf"));
    let call = frame(Kind::INVOKE, id, |message| {
        message.object(id).method(b"m").data(Table::new(&[0; 4000]));
    });
    let mut readers = Vec::new();
    for _ in 0..300 {
        readers.extend(send_with_fds(&caller, &call, 1));
        witness.is_served();
    }
    drop(owner);
    all_closed(readers);
}

#[test]
fn objects_clients_and_events_beyond_count_come_and_go() {
    let bus = Bus::new();
    let mut raw = bus.raw();
    let ids: Vec<u32> = (0..1000)
        .map(|n| add(&mut raw, Some(format!("o.{n}").as_bytes())))
        .collect();
    // All of them in one answer that is longer than a socket holds; and a ping behind it, which is answered after it.
    raw.say(&frame(Kind::LOOKUP, 0, |_| {}).repeat(10));
    raw.say(&frame(Kind::PING, 0, |_| {}));
    let mut found = 0;
    let mut ends = 0;
    while ends < 11 {
        match raw.hear()[1] {
            2 => found += 1,
            kind => {
                assert_eq!(kind, 1);
                ends += 1;
            }
        }
    }
    assert_eq!(found, 10_000 + 1);
    for id in ids {
        raw.say(&frame(Kind::REMOVE_OBJECT, 0, |message| {
            message.object(id);
        }));
        assert_eq!((raw.hear()[1], raw.hear()[19]), (2, 0));
    }
    for _ in 0..200 {
        bus.raw();
    }
    raw.ping();
}
