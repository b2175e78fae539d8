//! The prompt on a terminal: util-linux's `script` gives it one.

use crate::support::{emulated, interpreter, sanitized, skip, Scratch};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// An `eco` that is typed into.
struct Typist {
    child: Child,
    keys: Option<ChildStdin>,
    shown: Receiver<Vec<u8>>,
    /// What has been shown and not been looked for.
    screen: String,
}

impl Typist {
    /// None where there is no such prompt.
    fn new(home: &Scratch) -> Option<Typist> {
        if emulated() || sanitized() {
            skip("the prompt", "the program is built without it");
            return None;
        }
        let mut command = Command::new("script");
        command
            .args(["--quiet", "--return", "--command"])
            // The shell would die of a ^C of its own after the program.
            .arg(format!("exec {}", interpreter().join(" ")))
            .arg("/dev/null")
            .env("HOME", &home.0)
            .env("TERM", "xterm")
            .env_remove("ECO_HISTORY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Ok(folder) = std::env::var("ECO_LIB") {
            command.env("LUA_CPATH", format!("{folder}/?.so;;"));
        }
        let mut child = command.spawn().expect("script, of util-linux");
        let keys = child.stdin.take();
        let mut output = child.stdout.take().expect("it is piped");
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut piece) {
                if sender.send(piece[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let mut typist = Typist {
            child,
            keys,
            shown,
            screen: String::new(),
        };
        typist.expect("> ");
        Some(typist)
    }

    fn press(&mut self, keys: &str) {
        let input = self.keys.as_mut().expect("it is open");
        input.write_all(keys.as_bytes()).expect("it reads");
        input.flush().expect("it reads");
    }

    /// Waits until a text is shown, and forgets it and what came before.
    fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(at) = self.screen.find(text) {
                self.screen.drain(..at + text.len());
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(piece) = self.shown.recv_timeout(left) else {
                panic!("no {text:?} in {:?}", self.screen);
            };
            self.screen.push_str(&String::from_utf8_lossy(&piece));
        }
    }

    /// Types a line, and waits for what it gives on a line of its own.
    fn line(&mut self, keys: &str, gives: &str) {
        self.press(keys);
        self.press("\r");
        self.expect(&format!("\n{gives}\r\n"));
        self.expect("> ");
    }

    fn end(mut self) {
        self.press("\u{4}");
        let end = loop {
            match self.shown.recv_timeout(Duration::from_secs(30)) {
                Ok(piece) => self.screen.push_str(&String::from_utf8_lossy(&piece)),
                Err(end) => break end,
            }
        };
        assert_eq!(end, RecvTimeoutError::Disconnected, "{:?}", self.screen);
        let status = self.child.wait().expect("a status");
        assert!(status.success(), "{status}: {:?}", self.screen);
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        drop(self.keys.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn lines_are_edited() {
    let home = Scratch::new();
    let Some(mut typist) = Typist::new(&home) else {
        return;
    };
    typist.line("=1+1", "2");
    // Home, an insertion, the end, backspace.
    typist.line("2 + 3\u{1b}[H10 + \u{5}\u{7f}4", "16");
    // Left, delete; a word and a line that are taken back.
    typist.line("12\u{1b}[D\u{1b}[D\u{1b}[3~", "2");
    typist.line("30 + many\u{17}1", "31");
    typist.line("wrong\u{15}'ö' .. 'ä'", "öä");
    // A chunk of several lines, and one that is given up in the middle.
    typist.press("for n = 1, 2 do\r");
    typist.expect(">> ");
    typist.line("print('round', n) end", "round\t1\r\nround\t2");
    typist.press("for n = 1, 2 do\r");
    typist.expect(">> ");
    typist.press("\u{3}");
    typist.expect("^C\r\n");
    typist.press("half a li\u{3}");
    typist.expect("^C\r\n");
    typist.line("'still ' .. 'here'", "still here");
    typist.end();
}

#[test]
fn lines_are_remembered() {
    use std::os::unix::fs::PermissionsExt;
    let home = Scratch::new();
    let Some(mut typist) = Typist::new(&home) else {
        return;
    };
    typist.line("40 + 2", "42");
    typist.line("50 + 5", "55");
    typist.line("\u{10}\u{10}", "42");
    typist.end();
    let file = home.0.join(".eco_history");
    let kept = std::fs::read_to_string(&file).expect("a history");
    assert_eq!(kept, "40 + 2\n50 + 5\n40 + 2\n");
    let mode = file.metadata().expect("its mode").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // In the next session; down again comes to what was typed.
    let mut typist = Typist::new(&home).expect("as before");
    typist.line("7\u{1b}[A\u{1b}[A\u{1b}[B\u{1b}[B * 6", "42");
    typist.line("\u{1b}[A\u{1b}[A\u{1b}[A", "55");
    typist.end();
}

#[test]
fn names_and_fields_are_completed() {
    let home = Scratch::new();
    let Some(mut typist) = Typist::new(&home) else {
        return;
    };
    typist.line("= coro\t.isy\t()", "true");
    typist.line(
        "t = { alpha = 1, alphabet = 2, b = { c = 5 } } print(1)",
        "1",
    );
    typist.line("t.b\t.\t", "5");
    typist.press("t.al\t\t\t");
    typist.expect("alpha  alphabet");
    typist.expect("t.alpha");
    typist.line("bet", "2");
    typist.line("s = 'x' print(1)", "1");
    typist.line("s:rep\t(3)", "xxx");
    typist.line("b = eco.buffer() print(1)", "1");
    typist.line("b:si\t()", "4096");
    typist.end();
}

#[test]
fn values_are_shown_with_what_they_hold() {
    let home = Scratch::new();
    let Some(mut typist) = Typist::new(&home) else {
        return;
    };
    typist.line(
        "={ 1, 'two', { x = 3, ['not a name'] = true } }",
        "{ 1, \"two\", { [\"not a name\"] = true, x = 3 } }",
    );
    typist.line("t = {} t.t = t print(1)", "1");
    typist.line("t, nil, 1", "{ t = <above> }\tnil\t1");
    typist.line(
        "=setmetatable({}, { __tostring = function() return 'mine' end })",
        "mine",
    );
    typist.line("={ { {}, { { {} } } } }", "{ { {}, { { {…} } } } }");
    typist.press("= { ('x'):rep(50), ('y'):rep(50) }\r");
    typist.expect("{\r\n  \"xxx");
    typist.expect("> ");
    typist.end();
}

#[test]
fn a_chunk_is_cancelled() {
    let home = Scratch::new();
    let Some(mut typist) = Typist::new(&home) else {
        return;
    };
    // One that waits: what it holds is let go of.
    typist.press("local guard<close> = setmetatable({}, { __close = function() print('let go') end }) print('sleeps') eco.sleep(1000)\r");
    typist.expect("\nsleeps\r\n");
    typist.press("\u{3}");
    typist.expect("let go");
    typist.expect("interrupted");
    typist.expect("> ");
    // One that is busy, at once and after a wait.
    for begin in ["", "eco.sleep(0.01) "] {
        typist.press(&format!(
            "{begin}print('is ' .. 'busy') while true do end\r"
        ));
        typist.expect("is busy");
        typist.press("\u{3}");
        typist.expect("interrupted!");
        typist.expect("> ");
    }
    // What nothing can wake any more.
    typist.press("coroutine.yield()\r");
    typist.expect("interrupted");
    typist.line("'goes' .. ' on'", "goes on");
    typist.end();
}

#[test]
fn an_error_in_the_background_is_shown() {
    let home = Scratch::new();
    let Some(mut typist) = Typist::new(&home) else {
        return;
    };
    typist.press("eco.run(function() eco.sleep(0.05) error('in the ' .. 'background') end) ; print('sta' .. 'rted')\r");
    typist.expect("started");
    typist.expect("in the background");
    typist.expect("stack traceback");
    typist.line("'goes' .. ' on'", "goes on");
    typist.press("eco.run(error, 'at ' .. 'once')\r");
    typist.expect("at once");
    typist.press("error('its ' .. 'own')\r");
    typist.expect("its own");
    typist.line("'goes' .. ' on'", "goes on");
    typist.end();
}
