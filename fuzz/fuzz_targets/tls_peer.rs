//! What a peer says before it has proven anything, to a server and to a client: no bytes do more than fail.
#![no_main]

use std::cell::Cell;
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use lua_eco::tls::{start, Chain, Config, Connection, Moved, Progress, Settings, Transport};

const CERTIFICATE: &[u8] = include_bytes!("../../tests/tls/server.pem");
const KEY: &[u8] = include_bytes!("../../tests/tls/server.key");

struct Peer<'a>(Cell<&'a [u8]>);

impl Transport for Peer<'_> {
    fn receive(&self, into: &mut [u8]) -> Moved {
        let (now, later) = self.0.get().split_at(self.0.get().len().min(into.len()));
        into[..now.len()].copy_from_slice(now);
        self.0.set(later);
        Moved::Bytes(now.len())
    }

    fn send(&self, data: &[u8]) -> Moved {
        Moved::Bytes(data.len())
    }
}

fuzz_target!(|input: &[u8]| {
    assert!(start());
    let (kind, bytes) = input.split_first().unwrap_or((&0, &[]));
    let mut settings = Settings::new(kind & 1 == 0);
    let mut chain = Chain::new().unwrap();
    chain.add(CERTIFICATE).unwrap();
    if settings.is_server {
        settings.identity = chain.with_key(KEY).ok().map(Rc::new);
    } else {
        settings.authorities = Some(Rc::new(chain));
    }
    if kind & 2 != 0 {
        settings.highest = 2;
    }
    let config = Rc::new(Config::new(&settings).unwrap());
    let connection = Connection::new(config, Peer(Cell::new(bytes))).unwrap();
    if !settings.is_server {
        connection.set_name(Some(c"localhost"));
    }
    while let Progress::Wait(_) = connection.handshake() {}
    assert!(!connection.is_established());
    connection.read(&mut [0; 100]);
    connection.write(b"x");
    connection.end();
    connection.failure();
});
