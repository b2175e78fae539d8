//! Running other programs, reading our own arguments, and telling how far we are.

use lexopt::ValueExt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{channel, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Every job ends in one of these; the text is shown to the user as it is.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// An error with this text.
pub fn fail<T>(text: impl Into<String>) -> Result<T> {
    Err(text.into().into())
}

/// Says which step begins.
pub fn step(text: &str) {
    println!("==> {text}");
}

/// Runs a command, shows its output, and fails when it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .map_err(|error| format!("cannot start {}: {error}", name(command)))?;
    if !status.success() {
        return fail(format!("{} failed: {status}", line(command)));
    }
    Ok(())
}

/// How often a long step says that it goes on.
const PATIENCE: Duration = Duration::from_secs(30);

/// Says that a step goes on, until it is dropped.
pub struct Sign(Option<(Sender<()>, JoinHandle<()>)>);

impl Sign {
    /// Of a step that begins now.
    pub fn new() -> Sign {
        let (end, ended) = channel();
        let start = Instant::now();
        let thread = std::thread::spawn(move || {
            while ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                println!("    at it for {:.0} s", start.elapsed().as_secs_f32());
            }
        });
        Sign(Some((end, thread)))
    }
}

impl Drop for Sign {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.0.take() {
            drop(end);
            let _ = thread.join();
        }
    }
}

/// Runs a command as a named step and tells how long it took.
pub fn timed(text: &str, command: &mut Command) -> Result<()> {
    step(text);
    let start = Instant::now();
    let sign = Sign::new();
    run(command)?;
    drop(sign);
    println!("    done in {:.1} s", start.elapsed().as_secs_f32());
    Ok(())
}

/// The same for a command whose output is shown and looked at, line by line.
pub fn timed_output(text: &str, command: &mut Command, look: &mut dyn FnMut(&str)) -> Result<()> {
    step(text);
    let start = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", name(command)))?;
    for line in BufReader::new(child.stdout.take().expect("it is piped")).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        look(&line);
    }
    let status = child.wait()?;
    if !status.success() {
        return fail(format!("{} failed: {status}", line(command)));
    }
    println!("    done in {:.1} s", start.elapsed().as_secs_f32());
    Ok(())
}

/// The standard output of a command that must succeed.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("cannot start {}: {error}", name(command)))?;
    if !output.status.success() {
        return fail(format!(
            "{} failed: {}\n{}",
            line(command),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a program is found on PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Creates a folder, its parents included, anew and empty.
pub fn fresh_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .map_err(|error| format!("cannot empty {}: {error}", folder.display()))?;
    }
    folder_for(folder)
}

/// Creates a folder where it does not exist.
pub fn folder_for(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot create {}: {error}", folder.display()).into())
}

/// Reads a file, naming it when that fails.
pub fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()).into())
}

/// Reads a text file, naming it when that fails.
pub fn read_text(file: &Path) -> Result<String> {
    std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read {}: {error}", file.display()).into())
}

/// Writes a file and the folders above it, naming it when that fails.
pub fn write(file: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    if let Some(parent) = file.parent() {
        folder_for(parent)?;
    }
    std::fs::write(file, bytes)
        .map_err(|error| format!("cannot write {}: {error}", file.display()).into())
}

/// Copies a file with its permissions, creating the folders above it.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        folder_for(parent)?;
    }
    // A running program cannot be overwritten, but its name can be given to another file.
    let _ = std::fs::remove_file(to);
    std::fs::copy(from, to).map_err(|error| {
        format!(
            "cannot copy {} to {}: {error}",
            from.display(),
            to.display()
        )
    })?;
    Ok(())
}

/// The options (`--name value`) and the other words of a subcommand.
pub struct Arguments {
    options: Vec<(String, String)>,
    /// What is not an option, in order.
    pub words: Vec<String>,
}

impl Arguments {
    /// Splits the arguments; an option that is not in `known` is an error.
    pub fn parse(arguments: &[String], known: &[&str]) -> Result<Arguments> {
        let mut parsed = Arguments {
            options: Vec::new(),
            words: Vec::new(),
        };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                lexopt::Arg::Long(name) if known.contains(&name) => {
                    let name = name.to_string();
                    parsed.options.push((name, parser.value()?.string()?));
                }
                lexopt::Arg::Value(word) => parsed.words.push(word.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(parsed)
    }

    /// The last value given for an option.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .rev()
            .find(|(option, _)| option == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of an option that must be given.
    pub fn required(&self, name: &str) -> Result<&str> {
        match self.option(name) {
            Some(value) => Ok(value),
            None => fail(format!("option '--{name}' is needed")),
        }
    }
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn line(command: &Command) -> String {
    let mut line = name(command);
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments> {
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        Arguments::parse(&words, &["arch", "root"])
    }

    #[test]
    fn options_and_words_are_told_apart() {
        let parsed = parse(&["one", "--arch", "a", "--root=b", "--arch=c", "--", "--two"]).unwrap();
        assert_eq!(parsed.words, ["one", "--two"]);
        assert_eq!(parsed.required("arch").unwrap(), "c");
        assert_eq!(parsed.option("root"), Some("b"));
        assert!(parse(&[]).unwrap().required("arch").is_err());
    }

    #[test]
    fn unknown_options_and_missing_values_are_errors() {
        for words in [
            &["--other", "x"][..],
            &["-a"],
            &["--arch"],
            &["--archive=x"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
