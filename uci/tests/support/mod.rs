//! The builder for runs of the tool: its folders, its words, and what must come out.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use uci::Cursor;

/// A configuration folder and a save folder of a test's own; removed when dropped.
pub struct Router {
    pub root: PathBuf,
}

impl Router {
    pub fn new() -> Router {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("uci-test-{}-{number}", std::process::id());
        let root = std::env::temp_dir().join(name);
        std::fs::create_dir_all(root.join("config")).expect("a folder");
        Router { root }
    }

    /// A router with one configuration file.
    pub fn with(name: &str, text: impl AsRef<[u8]>) -> Router {
        let router = Router::new();
        router.write(&format!("config/{name}"), text);
        router
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("room");
    }

    pub fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8(bytes).expect("text")
    }

    /// Everything in a folder but the files that are expected there.
    pub fn litter(&self, folder: &str, expected: &[&str]) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten();
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names
            .filter(|name| !expected.contains(&name.as_str()))
            .collect()
    }

    pub fn cursor(&self) -> Cursor {
        let mut cursor = Cursor::new();
        cursor.set_config_dir(self.path("config"));
        cursor.set_override_dir(self.path("override"));
        cursor.set_save_dir(self.path("save"));
        cursor.clear_change_dirs();
        cursor
    }

    /// A run of the tool with these words behind the options that name the folders. Unless stated otherwise it must
    /// print nothing and end with status 0.
    pub fn uci(&self, words: &[&str]) -> Run {
        let mut run = Run::bare(&[]);
        for (option, folder) in [("-c", "config"), ("-C", "override"), ("-t", "save")] {
            run.words.push(option.into());
            run.words.push(self.path(folder).into());
        }
        run.words.extend(words.iter().map(OsString::from));
        run
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

/// One run of the tool.
#[must_use]
pub struct Run {
    words: Vec<OsString>,
    input: Vec<u8>,
    stdout: Vec<u8>,
    stderr: String,
    status: i32,
}

impl Run {
    pub fn bare(words: &[&str]) -> Run {
        Run {
            words: words.iter().map(OsString::from).collect(),
            input: Vec::new(),
            stdout: Vec::new(),
            stderr: String::new(),
            status: 0,
        }
    }

    pub fn word(mut self, word: &[u8]) -> Run {
        self.words.push(OsString::from_vec(word.to_vec()));
        self
    }

    pub fn stdin(mut self, text: impl AsRef<[u8]>) -> Run {
        self.input = text.as_ref().to_vec();
        self
    }

    pub fn stdout(mut self, text: impl AsRef<[u8]>) -> Run {
        self.stdout = text.as_ref().to_vec();
        self
    }

    pub fn stderr(mut self, text: &str) -> Run {
        self.stderr = text.to_owned();
        self
    }

    pub fn status(mut self, status: i32) -> Run {
        self.status = status;
        self
    }

    /// The usual end of a command that fails.
    pub fn fails(self, message: &str) {
        self.fails_with(1, message);
    }

    /// The end of a command that fails with a status of its own.
    pub fn fails_with(self, status: i32, message: &str) {
        self.stderr(&format!("uci: {message}\n"))
            .status(status)
            .ok();
    }

    /// Starts the tool.
    pub fn start(&self) -> Child {
        program(tool())
            .args(&self.words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool")
    }

    /// Starts the tool, reads nothing of what it prints, and returns the rest.
    pub fn unread(&self) -> Output {
        let mut child = self.start();
        drop(child.stdout.take());
        child.wait_with_output().expect("its output")
    }

    /// Starts the tool and returns what came out.
    pub fn output(&self) -> Output {
        let mut child = self.start();
        let mut stdin = child.stdin.take().expect("its input");
        // A tool that does not read its input is fine.
        let _ = stdin.write_all(&self.input);
        drop(stdin);
        child.wait_with_output().expect("its output")
    }

    /// Starts the tool and checks what comes out.
    pub fn ok(self) {
        let output = self.output();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let told = format!(
            "{:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---",
            self.words
        );
        assert_eq!(output.status.code(), Some(self.status), "status of {told}");
        assert!(
            output.stdout == self.stdout,
            "stdout should be {:?}: {told}",
            String::from_utf8_lossy(&self.stdout)
        );
        assert_eq!(stderr, self.stderr, "stderr of {told}");
    }
}

/// The tool.
pub fn tool() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_uci"))
}

/// A command that starts a program for the machine that the tests are built for.
pub fn program(path: &Path) -> Command {
    match std::env::var_os("ECO_RUNNER") {
        Some(runner) => {
            let mut command = Command::new(runner);
            command.arg(path);
            command
        }
        None => Command::new(path),
    }
}

/// Whether the tests run under emulation.
pub fn emulated() -> bool {
    std::env::var_os("ECO_RUNNER").is_some()
}
