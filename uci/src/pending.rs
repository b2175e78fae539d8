//! Files of pending changes: which of their lines still count, and how lines are added and taken away.
//!
//! A commit puts the new configuration in place before it empties this file. What if it is killed in between? Before it
//! starts, it adds a comment that tells the length and a hash of the new configuration. Where a configuration with such
//! a comment is found, the lines above the comment are part of it already and do not count any more. Every other reader
//! of the format passes over comments. Whoever writes to the file next removes such lines first.

use crate::change::{Aliases, Change};
use crate::lexer::{Lexer, Next};
use crate::name::push_hex;
use crate::package::Package;

const MARKER: &[u8] = b"#committed ";

/// The comment that tells which configuration holds the lines above it.
pub(crate) fn marker(configuration: &[u8]) -> Vec<u8> {
    // FNV-1a.
    let hash = configuration
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    let mut marker = MARKER.to_vec();
    push_hex(&mut marker, configuration.len() as u32, 1);
    marker.push(b'-');
    push_hex(&mut marker, (hash >> 32) as u32, 8);
    push_hex(&mut marker, hash as u32, 8);
    marker.push(b'\n');
    marker
}

/// One line of a file of pending changes.
struct Line {
    start: usize,
    end: usize,
    content: Content,
}

/// What a line is.
enum Content {
    Change(Change),
    Comment,
    /// Something that is no change of this package.
    Unreadable,
    /// The last line, if the file ends inside quotes: whoever wrote it was killed meanwhile.
    Torn,
}

/// The lines of one file that count.
pub(crate) struct Pending {
    lines: Vec<Line>,
    /// Whether lines were left out because the configuration holds them.
    done: bool,
}

impl Pending {
    /// Reads the file of a package beside the text of its configuration.
    pub fn read(package: &str, file: &[u8], configuration: &[u8]) -> Pending {
        let mut pending = Pending {
            lines: Vec::new(),
            done: false,
        };
        let marker = marker(configuration);
        let mut lexer = Lexer::new(file);
        let mut argument = Vec::new();
        loop {
            let before = lexer.at();
            let next = lexer.next();
            let mut start = lexer.at();
            let content = match next {
                Next::End => return pending,
                Next::Comment => {
                    start = before;
                    Content::Comment
                }
                Next::Statement => {
                    let result = lexer.argument(&mut argument);
                    let clean = lexer.ended_cleanly();
                    lexer.skip_line();
                    match result {
                        Err(_) => Content::Torn,
                        Ok(true) if clean => Change::parse(package, &argument)
                            .map_or(Content::Unreadable, Content::Change),
                        Ok(_) => Content::Unreadable,
                    }
                }
            };
            let end = lexer.at();
            if matches!(content, Content::Comment) && file[start..end].ends_with(&marker) {
                pending.lines.clear();
                pending.done = true;
                continue;
            }
            pending.lines.push(Line {
                start,
                end,
                content,
            });
        }
    }

    /// Whether there are lines that are part of the configuration already.
    pub fn has_done(&self) -> bool {
        self.done
    }

    /// Whether nothing has to be done before lines are added behind the last one.
    pub fn is_plain(&self, file: &[u8]) -> bool {
        let ends = file.last().is_none_or(|&byte| byte == b'\n');
        !self.done && ends && self.end(file) == file.len()
    }

    /// The changes that count.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.lines.iter().filter_map(|line| match &line.content {
            Content::Change(change) => Some(change),
            _ => None,
        })
    }

    /// Makes the changes, and counts those that were made and the lines that were not.
    pub fn apply(&self, package: &mut Package) -> Count {
        let mut count = Count::default();
        let mut aliases = Aliases::default();
        for line in &self.lines {
            match &line.content {
                Content::Comment => {}
                Content::Change(change) if change.apply(package, &mut aliases) => count.made += 1,
                _ => count.ignored += 1,
            }
        }
        count
    }

    /// The text of the file without what does not count and without the changes that `drop` chooses.
    pub fn without(&self, file: &[u8], drop: impl Fn(&Change) -> bool) -> Vec<u8> {
        let mut kept = Vec::new();
        for line in &self.lines {
            let dropped = matches!(&line.content, Content::Change(change) if drop(change));
            if !dropped {
                kept.extend_from_slice(&file[line.start..line.end]);
            }
        }
        kept
    }

    /// Where in the file text can be added: behind its last line, but in place of the remains of a writer that was
    /// killed, for they would swallow what follows.
    pub fn end(&self, file: &[u8]) -> usize {
        match self.lines.last() {
            Some(line) if matches!(line.content, Content::Torn) => line.start,
            _ => file.len(),
        }
    }
}

/// Reads the changes in a file of pending changes of a package; other lines are left out.
pub fn changes(package: &str, file: &[u8]) -> Vec<Change> {
    Pending::read(package, file, b"")
        .changes()
        .cloned()
        .collect()
}

/// Makes the changes in a file of pending changes.
///
/// ```
/// let mut package = uci::Package::parse("network", b"config interface 'lan'\n")?;
/// let count = uci::replay(&mut package, b"network.lan.proto='static'\n-network.wan\n");
/// assert_eq!((count.made, count.ignored), (1, 1));
/// assert_eq!(package.to_text(), b"\nconfig interface 'lan'\n\toption proto 'static'\n\n");
/// # Ok::<(), uci::ParseError>(())
/// ```
pub fn replay(package: &mut Package, file: &[u8]) -> Count {
    let pending = Pending::read(package.name(), file, b"");
    pending.apply(package)
}

/// What became of pending changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Changes that were made.
    pub made: usize,
    /// Lines that were no change of the package, and changes that did not apply, for instance because their section is
    /// gone.
    pub ignored: usize,
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.made += other.made;
        self.ignored += other.ignored;
    }
}
