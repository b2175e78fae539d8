//! The program `ubusd`.

use super::bus::{program, until, Folder, SOON};
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use ubus::blobmsg::Value;
use ubus::Client;

pub fn ubusd(socket: &Path) -> Command {
    let mut command = program(env!("CARGO_BIN_EXE_ubusd"));
    command.arg("-s").arg(socket);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A daemon as a process, which ends with the test.
struct Daemon {
    child: Child,
    folder: Folder,
}

impl Daemon {
    fn new() -> Daemon {
        let folder = Folder::new();
        let child = ubusd(&folder.socket()).spawn().unwrap();
        let daemon = Daemon { child, folder };
        until("it listens", || {
            UnixStream::connect(daemon.folder.socket()).is_ok()
        });
        daemon
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_ends_cleanly_when_it_is_told_to() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut daemon = Daemon::new();
        let _client = Client::connect(daemon.folder.socket(), SOON).unwrap();
        daemon.signal(signal);
        assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
        assert!(!daemon.folder.socket().exists());
    }
}

#[test]
fn a_second_one_is_refused_and_a_killed_one_replaced() {
    let mut daemon = Daemon::new();
    let output = ubusd(&daemon.folder.socket()).output().unwrap();
    assert_eq!(output.status.code(), Some(255));
    let expected = format!(
        "ubusd: {}: another daemon listens there\n",
        daemon.folder.socket().display()
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    daemon.child.kill().unwrap();
    daemon.child.wait().unwrap();
    assert!(daemon.folder.socket().exists());
    daemon.child = ubusd(&daemon.folder.socket()).spawn().unwrap();
    until("it listens again", || {
        UnixStream::connect(daemon.folder.socket()).is_ok()
    });
}

#[test]
fn a_hangup_announces_new_access_rules() {
    let daemon = Daemon::new();
    let mut client = Client::connect(daemon.folder.socket(), SOON).unwrap();
    let heard = std::sync::Arc::new(std::sync::Mutex::new(None));
    let sequence = heard.clone();
    client
        .listen("ubus.acl.sequence", SOON, move |client, event| {
            *sequence.lock().unwrap() = event.data.get("sequence").and_then(Value::as_int);
            client.stop();
        })
        .unwrap();
    daemon.signal(Signal::SIGHUP);
    client.serve(SOON).unwrap();
    assert_eq!(*heard.lock().unwrap(), Some(1));
    // It lives on.
    assert!(client
        .lookup(None, Duration::from_secs(5))
        .unwrap()
        .is_empty());
}

#[test]
fn without_descriptors_clients_wait_for_others_to_leave() {
    let folder = Folder::new();
    let daemon = ubusd(&folder.socket());
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 24 && exec \"$@\"", "sh"]);
    limited.arg(daemon.get_program()).args(daemon.get_args());
    let child = limited.spawn().unwrap();
    let daemon = Daemon { child, folder };
    let socket = daemon.folder.socket();
    until("it listens", || UnixStream::connect(&socket).is_ok());
    let connect = || {
        let stream = UnixStream::connect(&socket).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        stream
    };
    let is_greeted =
        |stream: &mut UnixStream| stream.read(&mut [0; 12]).is_ok_and(|count| count == 12);
    let mut served = Vec::new();
    let mut waiting = loop {
        let mut stream = connect();
        if !is_greeted(&mut stream) {
            break stream;
        }
        served.push(stream);
        assert!(served.len() < 24);
    };
    // It waits without being asked again and again, and nobody is turned away.
    let mut more: Vec<_> = (0..5).map(|_| connect()).collect();
    served.clear();
    for stream in more.iter_mut().chain([&mut waiting]) {
        stream.set_read_timeout(Some(SOON)).unwrap();
        assert!(is_greeted(stream));
    }
}

#[test]
fn it_says_what_it_does_not_understand() {
    for arguments in [&["-x"][..], &["-s"], &["word"]] {
        let mut command = program(env!("CARGO_BIN_EXE_ubusd"));
        let output = command.args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stderr.starts_with(b"ubusd: "));
        assert!(output.stdout.is_empty());
    }
    let output = program(env!("CARGO_BIN_EXE_ubusd"))
        .arg("-h")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(output.stdout.starts_with(b"Usage: ubusd"));
}

#[test]
fn a_socket_that_cannot_be_made_is_an_error() {
    let folder = Folder::new();
    std::fs::write(folder.socket(), "").unwrap();
    for (path, reason) in [
        (folder.socket(), "there is something that is not a socket"),
        (folder.socket().join("x"), "Not a directory (os error 20)"),
        (folder.path.join("x".repeat(200)), "ENAMETOOLONG"),
    ] {
        let output = ubusd(&path).output().unwrap();
        assert_eq!(output.status.code(), Some(255));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_reason = text.contains(reason)
            || reason == "ENAMETOOLONG" && text.contains("too long")
            || text.contains("shorter than SUN_LEN");
        assert!(is_reason, "{text}");
    }
}
