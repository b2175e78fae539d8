//! A daemon of one's own for each test, in a folder of its own, gone afterwards.

use std::io::{PipeWriter, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use ubus::blobmsg::Table;
use ubus::client::Notice;
use ubus::message::{Message, MAX_RECEIVED};
use ubus::server::Server;
use ubus::Client;

/// How long a test waits for what must come.
pub const SOON: Duration = Duration::from_secs(20);

/// The event that ends every [`Owner`] of a bus.
const OWNERS_END: &str = "owner.end";

/// An empty folder, gone afterwards.
pub struct Folder {
    pub path: PathBuf,
}

impl Folder {
    pub fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("ubusd-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Folder { path }
    }

    pub fn socket(&self) -> PathBuf {
        self.path.join("ubus.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// A daemon in a thread, which ends with the test.
pub struct Bus {
    folder: Folder,
    running: Option<(PipeWriter, JoinHandle<()>)>,
}

impl Bus {
    pub fn new() -> Bus {
        let mut bus = Bus {
            folder: Folder::new(),
            running: None,
        };
        bus.start();
        bus
    }

    pub fn start(&mut self) {
        let mut server = Server::bind(self.path()).unwrap();
        let (control, stop) = std::io::pipe().unwrap();
        let run = move || server.run(&control, |_| ControlFlow::Break(())).unwrap();
        self.running = Some((stop, thread::spawn(run)));
    }

    pub fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            let result = thread.join();
            if !thread::panicking() {
                result.unwrap();
            }
        }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.socket()
    }

    pub fn client(&self) -> Client {
        Client::connect(self.path(), SOON).unwrap()
    }

    /// A client that speaks in bytes, after its hello.
    pub fn raw(&self) -> Raw {
        let stream = UnixStream::connect(self.path()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut raw = Raw { stream, id: 0 };
        let hello = raw.hear();
        assert_eq!((hello.len(), hello[1]), (12, 0));
        raw.id = u32::from_be_bytes(hello[4..8].try_into().unwrap());
        raw
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A client that speaks in bytes.
pub struct Raw {
    pub stream: UnixStream,
    pub id: u32,
}

impl Raw {
    pub fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next message.
    pub fn hear(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; 12];
        self.stream.read_exact(&mut bytes).unwrap();
        let length =
            usize::from(bytes[9]) << 16 | usize::from(bytes[10]) << 8 | usize::from(bytes[11]);
        bytes.resize(8 + length, 0);
        self.stream.read_exact(&mut bytes[12..]).unwrap();
        assert!(Message::read(&bytes, MAX_RECEIVED).unwrap().is_some());
        bytes
    }

    /// Asks for a sign of life, and gets it.
    pub fn ping(&mut self) {
        self.say(&[0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4]);
        assert_eq!((self.hear()[1], self.hear()[1]), (2, 1));
    }

    /// Whether the daemon has hung up; what it said before is skipped.
    pub fn is_hung_up(&mut self) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }
}

/// A client in a thread that serves what it was given, until it goes.
pub struct Owner {
    path: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Owner {
    pub fn new(bus: &Bus, give: impl FnOnce(&mut Client) + Send + 'static) -> Owner {
        let path = bus.path();
        let (ready, is_ready) = mpsc::channel();
        let socket = path.clone();
        let thread = thread::spawn(move || {
            let mut client = Client::connect(socket, SOON).unwrap();
            give(&mut client);
            let stop = |client: &mut Client, _: &Notice| client.stop();
            client.listen(OWNERS_END, SOON, stop).unwrap();
            ready.send(()).unwrap();
            client.serve(SOON).unwrap();
        });
        is_ready.recv().unwrap();
        Owner {
            path,
            thread: Some(thread),
        }
    }
}

impl Owner {
    /// Forgets one that has lost its bus.
    pub fn abandon(mut self) {
        self.thread = None;
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if self.thread.is_none() {
            return;
        }
        let mut client = Client::connect(&self.path, SOON).unwrap();
        client
            .send_event(OWNERS_END, Table::default(), SOON)
            .unwrap();
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            assert!(thread::panicking() || result.is_ok());
        }
    }
}

/// Sends something again and again until it has been noticed, which is what the caller waits for meanwhile.
pub fn repeat<T>(bus: &Bus, act: impl Fn(&mut Client) + Sync, wait: impl FnOnce() -> T) -> T {
    let is_noticed = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = bus.client();
            while !is_noticed.load(Ordering::Relaxed) {
                act(&mut client);
                thread::sleep(Duration::from_millis(5));
            }
        });
        // Also when waiting fails: the scope ends when the other thread does.
        let _noticed = Noticed(&is_noticed);
        wait()
    })
}

struct Noticed<'a>(&'a AtomicBool);

impl Drop for Noticed<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < SOON, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A program of this crate, under the emulator if there is one.
pub fn program(path: &str) -> Command {
    let runner = std::env::var("ECO_RUNNER").unwrap_or_default();
    let mut words = runner.split_whitespace();
    match words.next() {
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.args(words).arg(path);
            command
        }
        None => Command::new(path),
    }
}
