//! Both ends over memory: handshakes, data, and everything a peer may do wrong.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::*;
use crate::abi::Interest;

const CERTIFICATE: &[u8] = include_bytes!("../../tests/tls/server.pem");
const KEY: &[u8] = include_bytes!("../../tests/tls/server.key");
const OTHER_KEY: &[u8] = include_bytes!("../../tests/tls/www.key");
const AUTHORITY: &[u8] = include_bytes!("../../tests/tls/ca.pem");

/// Bytes on their way.
#[derive(Default)]
struct Pipe {
    bytes: RefCell<Vec<u8>>,
    /// All that ever went through.
    total: RefCell<Vec<u8>>,
    /// No more than so many; then it ends.
    cut: Cell<Option<usize>>,
    /// This one is changed.
    spoil: Cell<Option<usize>>,
    /// How many fit in at a time; 0 blocks.
    room: Cell<usize>,
    ended: Cell<bool>,
}

struct End {
    incoming: Rc<Pipe>,
    outgoing: Rc<Pipe>,
}

impl Transport for End {
    fn receive(&self, into: &mut [u8]) -> Moved {
        let mut bytes = self.incoming.bytes.borrow_mut();
        let count = bytes.len().min(into.len());
        if count == 0 {
            return match self.incoming.ended.get() {
                true => Moved::Bytes(0),
                false => Moved::Blocked(Interest::READ),
            };
        }
        into[..count].copy_from_slice(&bytes[..count]);
        bytes.drain(..count);
        Moved::Bytes(count)
    }

    fn send(&self, data: &[u8]) -> Moved {
        let pipe = &self.outgoing;
        let count = data.len().min(pipe.room.get());
        if count == 0 {
            return Moved::Blocked(Interest::WRITE);
        }
        for &byte in &data[..count] {
            let at = pipe.total.borrow().len();
            pipe.total.borrow_mut().push(byte);
            if pipe.cut.get().is_some_and(|cut| at >= cut) {
                pipe.ended.set(true);
                continue;
            }
            let changed = pipe.spoil.get() == Some(at);
            pipe.bytes
                .borrow_mut()
                .push(if changed { byte ^ 0x15 } else { byte });
        }
        Moved::Bytes(count)
    }
}

fn chain(text: &[u8]) -> Chain {
    let mut chain = Chain::new().unwrap();
    assert_eq!(chain.add(text), Some(0));
    chain
}

fn server_settings() -> Settings {
    let mut settings = Settings::new(true);
    let identity = chain(CERTIFICATE).with_key(KEY).ok().unwrap();
    settings.identity = Some(Rc::new(identity));
    settings
}

fn client_settings() -> Settings {
    let mut settings = Settings::new(false);
    settings.authorities = Some(Rc::new(chain(AUTHORITY)));
    settings
}

struct Pair {
    client: Connection<End>,
    server: Connection<End>,
    up: Rc<Pipe>,
    down: Rc<Pipe>,
}

fn pair(client: &Rc<Config>, server: &Rc<Config>) -> Pair {
    let pipe = || {
        let pipe = Pipe::default();
        pipe.room.set(usize::MAX);
        Rc::new(pipe)
    };
    let (up, down) = (pipe(), pipe());
    let end = |incoming: &Rc<Pipe>, outgoing: &Rc<Pipe>| End {
        incoming: incoming.clone(),
        outgoing: outgoing.clone(),
    };
    let client = Connection::new(client.clone(), end(&down, &up)).unwrap();
    assert!(client.set_name(Some(c"localhost")));
    Pair {
        client,
        server: Connection::new(server.clone(), end(&up, &down)).unwrap(),
        up,
        down,
    }
}

impl Pair {
    /// Until both are done or stuck.
    fn shake_hands(&self) -> (Progress, Progress) {
        let mut results = (
            Progress::Wait(Interest::READ),
            Progress::Wait(Interest::READ),
        );
        for _ in 0..30 {
            if let Progress::Wait(_) = results.0 {
                results.0 = self.client.handshake();
            }
            if let Progress::Wait(_) = results.1 {
                results.1 = self.server.handshake();
            }
            // Whoever has failed sends no more.
            for (result, pipe) in [(results.0, &self.up), (results.1, &self.down)] {
                if !matches!(result, Progress::Wait(_) | Progress::Done(_)) {
                    pipe.ended.set(true);
                }
            }
        }
        results
    }
}

fn configs(version: u8) -> (Rc<Config>, Rc<Config>) {
    assert!(start());
    let (mut client, server) = (client_settings(), server_settings());
    (client.lowest, client.highest) = (version, version);
    (
        Rc::new(Config::new(&client).unwrap()),
        Rc::new(Config::new(&server).unwrap()),
    )
}

fn versions() -> impl Iterator<Item = u8> {
    2..=(2 + u8::from(has_tls13()))
}

#[test]
fn bytes_arrive() {
    for version in versions() {
        let (client, server) = configs(version);
        let pair = pair(&client, &server);
        assert_eq!(pair.shake_hands(), (Progress::Done(0), Progress::Done(0)));
        let data: Vec<u8> = (0..50_000_u32).map(|n| n as u8).collect();
        let (mut sent, mut got) = (0, Vec::new());
        let mut room = [0; 1000];
        while got.len() < data.len() {
            if sent < data.len() {
                match pair.client.write(&data[sent..]) {
                    Progress::Done(count) => sent += count,
                    other => panic!("{other:?}"),
                }
            }
            while let Progress::Done(count) = pair.server.read(&mut room) {
                got.extend_from_slice(&room[..count]);
            }
        }
        assert!(got == data);
        pair.client.end();
        assert_eq!(pair.server.read(&mut room), Progress::End);
        assert_eq!(pair.server.read(&mut room), Progress::End);
    }
}

#[test]
fn writes_that_block_go_on_with_the_same_bytes() {
    for version in versions() {
        let (client, server) = configs(version);
        let pair = pair(&client, &server);
        pair.shake_hands();
        let blocked = Progress::Wait(Interest::WRITE);
        pair.up.room.set(0);
        assert_eq!(pair.client.write(b"first"), blocked);
        pair.up.room.set(3);
        assert_eq!(pair.client.write(b"first"), Progress::Done(5));
        pair.up.room.set(0);
        assert_eq!(pair.client.write(b"second"), blocked);
        // Given up: the record goes out before other bytes.
        assert_eq!(pair.client.write(b"third, which is longer"), blocked);
        pair.up.room.set(usize::MAX);
        assert_eq!(
            pair.client.write(b"third, which is longer"),
            Progress::Done(22)
        );
        let mut got = Vec::new();
        let mut room = [0; 100];
        while let Progress::Done(count) = pair.server.read(&mut room) {
            got.extend_from_slice(&room[..count]);
        }
        assert_eq!(got, b"firstsecondthird, which is longer");
    }
}

#[test]
fn what_is_cut_is_not_established() {
    for version in versions() {
        let (client, server) = configs(version);
        let whole = pair(&client, &server);
        whole.shake_hands();
        let (up, down) = (
            whole.up.total.borrow().len(),
            whole.down.total.borrow().len(),
        );
        let step = if cfg!(target_arch = "x86_64") { 1 } else { 37 };
        for cut in (0..up.max(down)).step_by(step) {
            let pair = pair(&client, &server);
            // Each direction at another place: one handshake tests two cuts.
            if cut < up {
                pair.up.cut.set(Some(cut));
            } else {
                pair.down.cut.set(Some(cut));
            }
            let (_, at_server) = pair.shake_hands();
            assert!(
                cut >= up || !matches!(at_server, Progress::Done(_)),
                "{version} {cut}"
            );
        }
    }
}

#[test]
fn what_is_spoilt_is_refused() {
    for version in versions() {
        let (client, server) = configs(version);
        let whole = pair(&client, &server);
        whole.shake_hands();
        let down = whole.down.total.borrow().len();
        for spoil in (0..down).step_by(if cfg!(target_arch = "x86_64") {
            11
        } else {
            211
        }) {
            let pair = pair(&client, &server);
            pair.down.spoil.set(Some(spoil));
            let (at_client, at_server) = pair.shake_hands();
            assert!(
                !matches!((at_client, at_server), (Progress::Done(_), Progress::Done(_)))
                    // A ticket, the last of what a server sends, proves nothing.
                    || spoil > down / 2,
                "{version} {spoil}"
            );
        }
    }
}

#[test]
fn certificates_that_are_cut_are_refused() {
    for end in 0..CERTIFICATE.len() - 2 {
        let mut chain = Chain::new().unwrap();
        let _ = chain.add(&CERTIFICATE[..end]);
        assert!(chain.is_vacant(), "{end}");
    }
    for end in 0..KEY.len() - 2 {
        assert!(chain(CERTIFICATE).with_key(&KEY[..end]).is_err(), "{end}");
    }
    assert!(chain(CERTIFICATE).with_key(OTHER_KEY).is_err());
}

#[test]
fn names_choose() {
    let identity = Rc::new(chain(CERTIFICATE).with_key(KEY).ok().unwrap());
    let names: Vec<Named> = [&b"a.example"[..], b"*.example", b"*.b.example", b"*"]
        .iter()
        .map(|name| Named {
            name: (*name).into(),
            identity: identity.clone(),
        })
        .collect();
    let chosen = |name: &[u8]| find(&names, name).map(|named| &*named.name);
    assert_eq!(chosen(b"a.example"), Some(&b"a.example"[..]));
    assert_eq!(chosen(b"A.EXAMPLE."), Some(&b"a.example"[..]));
    assert_eq!(chosen(b"b.example"), Some(&b"*.example"[..]));
    assert_eq!(chosen(b"c.b.example"), Some(&b"*.b.example"[..]));
    for none in [&b"example"[..], b".example", b"", b".", b"x.y.b.example"] {
        assert_eq!(chosen(none), None);
    }
}

#[test]
fn texts_are_cut_and_end() {
    let mut text = Text::new();
    text.push(&[b'x'; 500]);
    assert_eq!(text.bytes().len(), 159);
    text.clear();
    text.push_number(0x7a00, 16);
    text.push_number(0, 10);
    assert_eq!(text.bytes(), b"7a000");
}
