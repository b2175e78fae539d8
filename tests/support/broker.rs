//! A daemon of the message bus inside the test process, for scripts that stop and start it.

use std::io::{BufRead, BufReader, PipeWriter, Write};
use std::ops::ControlFlow;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use ubus::server::Server;

/// Starts a thread that takes commands of a script at `FOLDER/control`, one a connection: `start`, `stop`, `quit`. The daemon
/// listens at `FOLDER/ubus`.
pub fn control(folder: &Path) -> JoinHandle<()> {
    let listener = UnixListener::bind(folder.join("control")).expect("a control socket");
    let path = folder.join("ubus");
    std::thread::spawn(move || {
        let mut daemon = None;
        for stream in listener.incoming() {
            let stream = stream.expect("a command");
            let mut word = String::new();
            let mut reader = BufReader::new(&stream);
            reader.read_line(&mut word).expect("a word");
            match word.trim() {
                "start" => daemon = Some(Daemon::start(&path)),
                "stop" => daemon = None,
                _ => return,
            }
            done(&stream);
        }
        drop(daemon);
    })
}

/// Gives the thread a command, as scripts do, and waits until it is done. It ends by `quit`, whatever became of the script.
pub fn tell(folder: &Path, command: &str) {
    let mut stream = UnixStream::connect(folder.join("control")).expect("the thread listens");
    writeln!(stream, "{command}").expect("a command");
    let mut answer = String::new();
    BufReader::new(&stream)
        .read_line(&mut answer)
        .expect("an answer");
}

fn done(mut stream: &UnixStream) {
    // The script may have gone.
    let _ = stream.write_all(b"done\n");
}

/// A daemon that runs until it is dropped.
struct Daemon(Option<(PipeWriter, JoinHandle<()>)>);

impl Daemon {
    fn start(path: &PathBuf) -> Daemon {
        let mut server = Server::bind(path).expect("a daemon");
        let (control, stop) = std::io::pipe().expect("a pipe");
        let thread = std::thread::spawn(move || {
            let run = server.run(&control, |_| ControlFlow::Break(()));
            run.expect("the daemon runs");
        });
        Daemon(Some((stop, thread)))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            thread.join().expect("the daemon ends");
        }
    }
}
