//! Hostile clients of one daemon: no input panics, all that is sent is well formed, queues stay within bounds, and nothing outlives
//! those who made it.
//!
//! The input is a row of operations. Of the first byte of each, three bits choose a client and two what happens: it connects, it goes
//! or reads, it sends bytes, it sends a message whose header is made here. A byte with the length of what it sends follows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ubus::broker::{Broker, Credentials, MAX_QUEUE};
use ubus::message::{Message, FIRST_ID, MAX_MESSAGE, MAX_RECEIVED};
use ubus::ReceiveBuffer;

const SLOTS: usize = 8;

struct Peer {
    id: u32,
    received: ReceiveBuffer,
}

/// The users of the slots: two who may do everything, one of whom may not watch, and one who may do little.
fn credentials(slot: usize) -> Credentials {
    let (uid, gid) = [(0, 0), (0, 1), (1, 1), (0, 0)][slot % 4];
    Credentials {
        uid,
        gid,
        user: b"user".to_vec(),
        group: b"group".to_vec(),
    }
}

fn read(broker: &mut Broker, id: u32) {
    loop {
        let is_busy = broker.is_busy(id);
        let output = broker.output(id).unwrap();
        assert!(output.len() <= MAX_QUEUE);
        let mut rest = match output.piece() {
            Some(piece) => piece.bytes,
            None if is_busy => {
                broker.resume(id);
                continue;
            }
            None => return,
        };
        let length = rest.len();
        while let Some((message, used)) = Message::read(rest, MAX_RECEIVED).unwrap() {
            assert_eq!(message.header.version, 0);
            assert!(message.header.kind.0 <= 11);
            message.attributes();
            rest = &rest[used..];
        }
        assert!(rest.is_empty());
        output.sent(length);
    }
}

fn hear(broker: &mut Broker, peer: &mut Peer) -> bool {
    loop {
        if broker.is_busy(peer.id) {
            read(broker, peer.id);
        }
        match peer.received.next() {
            Ok(Some(message)) => broker.receive(peer.id, message),
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut next = FIRST_ID - 1;
    let mut broker = Broker::with_ids(0, move || {
        next += 1;
        next
    });
    let mut peers: [Option<Peer>; SLOTS] = Default::default();
    let mut rest = input;
    while let [operation, tail @ ..] = rest {
        rest = tail;
        let slot = usize::from(operation >> 2) % SLOTS;
        let Some(peer) = &mut peers[slot] else {
            let id = broker.connect(&credentials(slot));
            let received = ReceiveBuffer::new(MAX_MESSAGE);
            peers[slot] = Some(Peer { id, received });
            continue;
        };
        let is_alive = match operation & 3 {
            0 => operation & 0x80 == 0,
            1 => {
                read(&mut broker, peer.id);
                true
            }
            what => {
                let [length, tail @ ..] = rest else { break };
                let (bytes, tail) = tail.split_at(tail.len().min(usize::from(*length)));
                rest = tail;
                match (what, bytes) {
                    (3, [kind, seq, peer_id, body @ ..]) => {
                        let peer_id = FIRST_ID + u32::from(*peer_id);
                        peer.received.push(&[0, *kind, 0, *seq], None);
                        peer.received.push(&peer_id.to_be_bytes(), None);
                        let length = body.len() as u32 + 4;
                        peer.received.push(&length.to_be_bytes(), None);
                        peer.received.push(body, None);
                    }
                    _ => peer.received.push(bytes, None),
                }
                hear(&mut broker, peer)
            }
        };
        if !is_alive {
            broker.disconnect(peer.id);
            peers[slot] = None;
        }
        // The server asks for those who have something to get; here nobody is served at once.
        while broker.next_unsent().is_some() {}
    }
    assert_eq!(broker.clients(), peers.iter().flatten().count());
    for peer in peers.iter().flatten() {
        read(&mut broker, peer.id);
    }
    for peer in peers.into_iter().flatten() {
        broker.disconnect(peer.id);
    }
    assert!(broker.is_empty());
    assert_eq!(broker.next_unsent(), None);
});
