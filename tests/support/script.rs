//! A script, the host it runs in, and the expectations on its end.

use super::native::build_module;
use super::outcome::{Expected, Outcome};
use super::target::{
    emulated, folder_of_tests, interpreter, module_path, modules_folder, sanitized, skip, slowness,
};
use super::Scratch;
use nix::sys::signal::{kill, killpg, Signal};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// How a script reaches the interpreter.
#[derive(Clone)]
enum Source {
    /// Nothing is written; the arguments say it all.
    None,
    /// As it stands.
    Raw(String),
    /// Behind the prelude, with its leak checks.
    Checked(String),
}

/// One run to be made. Unless stated otherwise it must end with status 0 and print nothing.
#[derive(Clone)]
pub struct Script {
    source: Source,
    name: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    files: Vec<(String, String)>,
    modules: Vec<String>,
    input: Vec<u8>,
    limit: Duration,
    interrupt: Option<Duration>,
    descriptors: Option<u32>,
    memory: Option<u32>,
    alone: bool,
    expected: Expected,
}

/// An inline script behind the prelude.
pub fn lua(source: &str) -> Script {
    Script::new(Source::Checked(source.to_owned()), "script.lua")
}

/// A script of `tests/lua/` behind the prelude.
pub fn lua_file(name: &str) -> Script {
    let path = folder_of_tests().join("lua").join(name);
    let source = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Script::new(Source::Checked(source), name)
}

/// An inline script without prelude and checks.
pub fn raw(source: &str) -> Script {
    Script::new(Source::Raw(source.to_owned()), "script.lua")
}

/// The bare interpreter with these arguments.
pub fn command(arguments: &[&str]) -> Script {
    Script::new(Source::None, "").args(arguments)
}

impl Script {
    fn new(source: Source, name: &str) -> Script {
        Script {
            source,
            name: name.replace('/', "-"),
            arguments: Vec::new(),
            environment: Vec::new(),
            files: Vec::new(),
            modules: Vec::new(),
            input: Vec::new(),
            limit: Duration::from_secs(30),
            interrupt: None,
            descriptors: None,
            memory: None,
            alone: false,
            expected: Expected::default(),
        }
    }

    /// Words after the script's name.
    pub fn args(mut self, arguments: &[&str]) -> Script {
        self.arguments
            .extend(arguments.iter().map(|word| (*word).to_owned()));
        self
    }

    /// One more variable in the environment.
    pub fn env(mut self, name: &str, value: &str) -> Script {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more file in the scratch folder, which is the working directory.
    pub fn file(mut self, name: &str, content: &str) -> Script {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    /// A Lua module of `tests/c/`, for the script to require. There is none for emulated machines: the test is skipped.
    pub fn module(mut self, name: &str) -> Script {
        self.modules.push(name.to_owned());
        self
    }

    /// What the script finds on standard input.
    pub fn stdin(mut self, input: &str) -> Script {
        self.input = input.as_bytes().to_vec();
        self
    }

    /// The seconds after which the run is killed (on the host; ten times as much under an emulator).
    pub fn limit(mut self, seconds: u64) -> Script {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// After so many milliseconds (ten times as many under an emulator) a run that goes on gets SIGINT.
    pub fn interrupt(mut self, milliseconds: u64) -> Script {
        self.interrupt = Some(Duration::from_millis(milliseconds));
        self
    }

    /// How many descriptors the process may have open.
    pub fn descriptors(mut self, count: u32) -> Script {
        self.descriptors = Some(count);
        self
    }

    /// Runs it in a network of its own, with nothing but `lo` in it. Where that is not permitted, or the kernel is
    /// spoken to through an emulator, it does not run at all.
    pub fn alone(mut self) -> Script {
        self.alone = true;
        self
    }

    /// How many kilobytes of address space the process may have.
    pub fn memory(mut self, kilobytes: u32) -> Script {
        self.memory = Some(kilobytes);
        self
    }

    /// The whole of standard output.
    pub fn stdout(mut self, text: &str) -> Script {
        self.expected.stdout.equal(text);
        self
    }

    /// A part of standard output.
    pub fn stdout_has(mut self, text: &str) -> Script {
        self.expected.stdout.contain(text);
        self
    }

    /// A part of standard error.
    pub fn stderr_has(mut self, text: &str) -> Script {
        self.expected.stderr.contain(text);
        self
    }

    /// The exit status.
    pub fn status(mut self, status: i32) -> Script {
        self.expected.status = status;
        self
    }

    /// Death by this signal.
    pub fn killed_by(self, signal: i32) -> Script {
        self.status(128 + signal)
    }

    /// Runs in the interpreter and checks.
    pub fn eco(self) {
        self.run(&interpreter(), "eco");
    }

    /// Runs in the distribution's `lua5.4` and checks.
    pub fn lua54(self) {
        if emulated() {
            skip(
                &self.name,
                "the stock lua5.4 is not of the emulated machine",
            );
            return;
        }
        // Another interpreter is tested: nothing of this one is new to the stock one.
        if std::env::var_os("ECO_BIN").is_some() {
            return;
        }
        if !modules_folder().exists() {
            skip(&self.name, "`make host` has not built the modules");
            return;
        }
        self.run(&["lua5.4".to_owned()], "lua5.4");
    }

    /// Runs in both hosts and checks.
    pub fn both(self) {
        self.clone().eco();
        self.lua54();
    }

    fn run(mut self, program: &[String], host: &str) {
        if emulated() && !self.modules.is_empty() {
            skip(
                &self.name,
                "its C module is not built for the emulated machine",
            );
            return;
        }
        let limited = match &self.source {
            Source::Raw(text) | Source::Checked(text) => text.contains("ulimit -v"),
            Source::None => false,
        };
        if sanitized() && (limited || self.memory.is_some()) {
            skip(&self.name, "watching memory takes more than the limit");
            return;
        }
        if self.alone && (emulated() || !networks_permitted()) {
            let reason = "network namespaces are not permitted, or the machine is emulated";
            skip(&self.name, reason);
            return;
        }
        let scratch = Scratch::new();
        for name in &self.modules {
            build_module(name, &scratch.0);
        }
        let mut words = Vec::new();
        for (option, limit) in [('n', self.descriptors), ('v', self.memory)] {
            if let Some(limit) = limit {
                let limiter = format!("ulimit -{option} {limit}; exec \"$@\"");
                words.extend(["sh".to_owned(), "-c".to_owned(), limiter, "sh".to_owned()]);
            }
        }
        if self.alone {
            words.extend(["unshare", "--net"].map(str::to_owned));
        }
        words.extend_from_slice(program);
        if let Some(script) = self.write(&scratch.0) {
            words.push(script);
        }
        words.append(&mut self.arguments);
        let factor = slowness();
        self.interrupt = self.interrupt.map(|pause| pause * factor);
        let outcome = self.execute(&words, &scratch.0, self.limit * factor);
        let title = format!(
            "{} in {host}",
            if self.name.is_empty() {
                words.join(" ")
            } else {
                self.name.clone()
            }
        );
        self.expected.check(&title, &outcome);
        if matches!(self.source, Source::Checked(_)) {
            Self::check_end(&title, &scratch.0, &outcome, factor);
        }
    }

    /// The prelude leaves a mark when the script has run to its end; the process must end soon after, because
    /// whatever keeps it alive is a forgotten timer, listener or coroutine.
    fn check_end(title: &str, folder: &Path, outcome: &Outcome, factor: u32) {
        let mark = folder.join("finished");
        let reached = std::fs::metadata(mark).and_then(|metadata| metadata.modified());
        let reached =
            reached.unwrap_or_else(|_| panic!("{title}: never reached its end\n{outcome}"));
        let lingered = outcome.ended.duration_since(reached).unwrap_or_default();
        assert!(
            lingered < Duration::from_secs(2) * factor,
            "{title}: something kept the process alive for {lingered:?} after the script's end\n{outcome}"
        );
    }

    fn write(&self, folder: &Path) -> Option<String> {
        for (name, content) in &self.files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }
        let text = match &self.source {
            Source::None => return None,
            Source::Raw(text) => text.clone(),
            // On one line with the script's first, so that line numbers in messages hold.
            Source::Checked(text) => format!(
                "local T = dofile {:?} local case = T.case T.main(function() {text}\nend)",
                folder_of_tests()
                    .join("support/prelude.lua")
                    .display()
                    .to_string()
            ),
        };
        let path = folder.join(&self.name);
        std::fs::write(&path, text).expect("the script");
        Some(self.name.clone())
    }

    fn execute(&self, words: &[String], folder: &Path, limit: Duration) -> Outcome {
        // What the tests were started to ignore is not ignored by what they start.
        let mut command = Command::new("env");
        command
            .arg("--default-signal=INT,QUIT")
            .args(words)
            .current_dir(folder)
            .env("LUA_CPATH", format!("{};./?.so", module_path()))
            .env("LUA_PATH", folder_of_tests().join("lua/?.lua"))
            .env("TEST_SCRATCH", folder)
            .env("TEST_INTERPRETER", interpreter().join("\n"))
            .env("TEST_EMULATED", if emulated() { "1" } else { "" })
            .env("TEST_SANITIZED", if sanitized() { "1" } else { "" })
            .env("TEST_SLOW", if slowness() > 1 { "1" } else { "" })
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", words[0]));
        let group = i32::try_from(child.id()).expect("a process id");
        let mut stdin = child.stdin.take().expect("a pipe");
        let stdout = drain(child.stdout.take().expect("a pipe"));
        let stderr = drain(child.stderr.take().expect("a pipe"));
        // A script that does not read its input may be gone already.
        let _ = stdin.write_all(&self.input);
        drop(stdin);
        let mut status = None;
        if let Some(pause) = self.interrupt {
            status = wait(&mut child, pause);
            if status.is_none() {
                let _ = kill(Pid::from_raw(group), Signal::SIGINT);
            }
        }
        let status = status.or_else(|| wait(&mut child, limit));
        let _ = child.kill();
        let _ = child.wait();
        let ended = SystemTime::now();
        // Whatever the script started and left behind goes with it, also so that the pipes reach their end.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        Outcome {
            status,
            ended,
            stdout: stdout.join().expect("a reader"),
            stderr: without_doubts(stderr.join().expect("a reader")),
        }
    }
}

/// In a forked child the threads of its parent are missing, which the search for leaks notes.
fn without_doubts(mut text: String) -> String {
    if sanitized() {
        let doubt = |line: &&str| !line.contains("False leaks are possible");
        text = text.split_inclusive('\n').filter(doubt).collect();
    }
    text
}

fn networks_permitted() -> bool {
    let probe = Command::new("unshare").args(["--net", "true"]).output();
    probe.is_ok_and(|output| output.status.success())
}

fn drain(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The exit status, 128 + N for death by signal N, or none when the limit passed.
fn wait(child: &mut Child, limit: Duration) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt;
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status
                .code()
                .or_else(|| status.signal().map(|signal| 128 + signal));
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
