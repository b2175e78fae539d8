//! The other end of a client's socket: a thread that reads and writes what a daemon would, byte for byte.

use super::testing::{hex, message};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a test waits for what must come.
pub const SOON: Duration = Duration::from_secs(20);

/// A place to listen at, which is gone afterwards.
pub struct Peer {
    folder: PathBuf,
    pub path: PathBuf,
    listener: UnixListener,
}

impl Peer {
    pub fn new(name: &str) -> Peer {
        let folder = std::env::temp_dir().join(format!("ubus-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("ubus.sock");
        let listener = UnixListener::bind(&path).unwrap();
        Peer {
            folder,
            path,
            listener,
        }
    }

    /// Plays the daemon for the clients that connect, one after the other.
    pub fn play(&self, scripts: Vec<fn(&mut Line)>) -> JoinHandle<()> {
        let listener = self.listener.try_clone().unwrap();
        thread::spawn(move || {
            for script in scripts {
                let (stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(SOON)).unwrap();
                script(&mut Line { stream });
            }
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// One connected client.
pub struct Line {
    pub stream: UnixStream,
}

impl Line {
    pub fn hello(&mut self) {
        self.send(&hex("00 00 0000 06b51fa1 00000004"));
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends so that the client reads every byte alone, or nearly so.
    pub fn send_slowly(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.send(&[*byte]);
            thread::yield_now();
        }
    }

    /// Sends an answer.
    pub fn answer(&mut self, kind: u8, seq: u16, peer: u32, attributes: &str) {
        self.send(&message(kind, seq, peer, attributes));
    }

    /// The next bytes of the client.
    pub fn expect(&mut self, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        self.stream.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, expected);
    }

    /// The next message of the client, in hexadecimal attributes.
    pub fn expect_message(&mut self, kind: u8, seq: u16, peer: u32, attributes: &str) {
        self.expect(&message(kind, seq, peer, attributes));
    }

    /// Gives an object its id.
    pub fn add(&mut self, seq: u16, id: u32) {
        self.answer(2, seq, 0, &format!("03000008 {id:08x}"));
        self.answer(1, seq, 0, "01000008 00000000");
    }

    /// The client has hung up and said nothing more.
    pub fn expect_end(&mut self) {
        assert_eq!(self.stream.read(&mut [0]).unwrap(), 0);
    }
}
