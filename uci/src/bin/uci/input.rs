//! What the tool reads beside its arguments: standard input or a file, line by line as they come, or whole.

use std::fs::File;
use std::io::{ErrorKind, Read, Result};
use std::path::{Path, PathBuf};
use uci::LineEnd;

/// How much is read at once, if there is so much.
const STEP: usize = 1 << 16;

/// The input.
#[derive(Default)]
pub struct Input {
    /// Its name, and the file itself; without it standard input.
    file: Option<(PathBuf, File)>,
    /// What has been read; what stands before `at` has been used.
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Input {
    /// The input from a file.
    pub fn open(path: PathBuf) -> std::result::Result<Input, uci::Error> {
        match File::open(&path) {
            Ok(file) => Ok(Input {
                file: Some((path, file)),
                ..Input::default()
            }),
            Err(error) => Err(uci::Error::Io { path, error }),
        }
    }

    /// The name of the file; empty for standard input.
    pub fn path(&self) -> &Path {
        self.file
            .as_ref()
            .map_or(Path::new(""), |(path, _)| path.as_path())
    }

    /// Whether it is a file that has been named.
    pub fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// The next logical line, its end included; nothing at the end of the input.
    pub fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let (mut end, mut seen) = (LineEnd::default(), 0);
        loop {
            if let Some(length) = end.find(&self.buffer[self.at + seen..]) {
                return Ok(Some(self.take(self.at + seen + length)));
            }
            seen = self.buffer.len() - self.at;
            if self.ended {
                let last = self.take(self.buffer.len());
                return Ok((!last.is_empty()).then_some(last));
            }
            self.more()?;
        }
    }

    /// All that is left.
    pub fn rest(&mut self) -> Result<Vec<u8>> {
        while !self.ended {
            self.more()?;
        }
        Ok(self.take(self.buffer.len()))
    }

    fn take(&mut self, end: usize) -> Vec<u8> {
        let taken = self.buffer[self.at..end].to_vec();
        self.at = end;
        taken
    }

    /// Waits for more input, and reads what is there.
    fn more(&mut self) -> Result<()> {
        self.buffer.drain(..std::mem::take(&mut self.at));
        let filled = self.buffer.len();
        self.buffer.resize(filled + STEP, 0);
        let room = &mut self.buffer[filled..];
        let result = match &mut self.file {
            Some((_, file)) => file.read(room),
            None => std::io::stdin().lock().read(room),
        };
        let count = result.as_ref().map_or(0, |count| *count);
        self.buffer.truncate(filled + count);
        match result {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            Ok(0) => self.ended = true,
            _ => {}
        }
        Ok(())
    }
}
