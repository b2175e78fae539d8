//! Splits text into commands and arguments: the rules that configuration files, pending changes and batch input share.
//!
//! It looks at bytes only and never goes back, so every text is read in time proportional to its length.

use crate::error::{ParseError, Reason};

/// What comes next in a text.
#[derive(PartialEq)]
pub(crate) enum Next {
    End,
    /// A comment, which has been read to the end of its line.
    Comment,
    Statement,
}

/// The reader's place in a text.
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// Where the current logical line begins.
    line: usize,
    /// How many bytes of it are line ends that a backslash has taken away.
    joined: usize,
    /// Whether the logical line has been read to its end.
    ended: bool,
    /// What stood behind the last argument; nothing at the end of the text.
    terminator: Option<u8>,
    /// Up to where line feeds have been counted for errors, and how many there were.
    counted: (usize, usize),
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a [u8]) -> Lexer<'a> {
        Lexer {
            text,
            at: 0,
            line: 0,
            joined: 0,
            ended: false,
            terminator: None,
            counted: (0, 0),
        }
    }

    /// How many bytes have been read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Goes over blanks and empty lines to the next statement, or over one comment.
    pub fn next(&mut self) -> Next {
        loop {
            if self.ended {
                self.line = self.at;
                self.joined = 0;
                self.ended = false;
            }
            match self.peek() {
                None => return Next::End,
                Some(b'#') => {
                    self.skip_line();
                    return Next::Comment;
                }
                Some(byte) if is_blank(byte) => {
                    self.at += 1;
                    self.ended = byte == b'\n';
                }
                Some(_) => return Next::Statement,
            }
        }
    }

    /// The command word: everything up to a space or a tab. A line feed belongs to it, so a word that stands alone on
    /// its line is no command.
    pub fn word(&mut self) -> &'a [u8] {
        let start = self.at;
        while let Some(byte) = self.peek() {
            if byte == b' ' || byte == b'\t' {
                break;
            }
            self.at += 1;
            if byte == b'\n' {
                self.ended = true;
                break;
            }
        }
        &self.text[start..self.at]
    }

    /// Whether nothing is left of the text, or of the line.
    pub fn at_end(&self) -> bool {
        self.ended || self.at == self.text.len()
    }

    /// Reads the next argument of the statement, unquoted, and the blank or line feed that ends it. False, and an empty
    /// argument, at the end of the line, at a comment, and at a `;`, which is read: what follows may be another statement.
    pub fn argument(&mut self, argument: &mut Vec<u8>) -> Result<bool, Reason> {
        argument.clear();
        if self.ended {
            return Ok(false);
        }
        while self
            .peek()
            .is_some_and(|byte| byte != b'\n' && is_blank(byte))
        {
            self.at += 1;
        }
        match self.peek() {
            Some(byte @ (b'\n' | b';')) => {
                self.at += 1;
                self.ended = byte == b'\n';
                Ok(false)
            }
            None | Some(b'#') => Ok(false),
            Some(_) => self.unquote(argument).map(|()| true),
        }
    }

    fn unquote(&mut self, argument: &mut Vec<u8>) -> Result<(), Reason> {
        /// Outside of quotes.
        const NONE: u8 = 0;
        let mut quote = NONE;
        loop {
            let Some(byte) = self.peek() else {
                self.terminator = None;
                return match quote {
                    b'\'' => Err(Reason::OpenSingleQuote),
                    b'"' => Err(Reason::OpenDoubleQuote),
                    _ => Ok(()),
                };
            };
            self.terminator = Some(byte);
            match byte {
                b'\\' if quote != b'\'' => {
                    self.at += 1;
                    // The end of a line that goes on in the next, or a byte without its meaning.
                    let end = match &self.text[self.at..] {
                        [b'\n', ..] => 1,
                        [b'\r', b'\n', ..] => 2,
                        rest => {
                            argument.extend(rest.first());
                            self.at += rest.len().min(1);
                            0
                        }
                    };
                    self.at += end;
                    self.joined += end;
                }
                b'\'' | b'"' if quote == NONE || quote == byte => {
                    self.at += 1;
                    quote ^= byte;
                }
                b'#' | b';' if quote == NONE => return Ok(()),
                _ if quote == NONE && is_blank(byte) => {
                    self.at += 1;
                    self.ended = byte == b'\n';
                    return Ok(());
                }
                _ => {
                    argument.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    /// Goes behind the end of the line.
    pub fn skip_line(&mut self) {
        while !self.ended {
            match self.peek() {
                None => return,
                Some(byte) => self.ended = byte == b'\n',
            }
            self.at += 1;
        }
    }

    /// Whether the last argument was ended by nothing but the end of the line or of the text.
    pub fn ended_cleanly(&self) -> bool {
        matches!(self.terminator, None | Some(b'\n'))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// An error at any place that comes after those of earlier errors, in the physical line that it is in.
    pub fn error_anywhere(&mut self, reason: Reason, at: usize) -> ParseError {
        let before = self.text[..at].iter().rposition(|&byte| byte == b'\n');
        self.line = before.map_or(0, |end| end + 1);
        self.joined = 0;
        self.error(reason, at)
    }

    /// An error at a place of the current logical line.
    pub fn error(&mut self, reason: Reason, at: usize) -> ParseError {
        // The last line that has been looked at: that of the last byte read.
        let seen = if at > self.line { at - 1 } else { at };
        let feeds = |text: &[u8]| text.iter().filter(|&&byte| byte == b'\n').count();
        let (from, before) = self.counted;
        let before = before + feeds(&self.text[from..seen]);
        self.counted = (seen, before);
        ParseError {
            reason,
            line: before + usize::from(self.text[seen..].contains(&b'\n')),
            byte: at - self.line - self.joined,
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// Finds where logical lines end, in text that comes in pieces: line feeds in quotes and behind a backslash do not count.
///
/// ```
/// let mut end = uci::LineEnd::default();
/// assert_eq!(end.find(b"set network.lan.text='two"), None);
/// assert_eq!(end.find(b"\nlines' # isn't it\ncommit\n"), Some(19));
/// assert_eq!(end.find(b"commit\n"), Some(7));
/// ```
#[derive(Default)]
pub struct LineEnd {
    state: State,
}

/// Where in a logical line the reader is.
#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Plain,
    Single,
    Double,
    Comment,
    /// Behind a backslash, inside of double quotes or not.
    Escape(bool),
    /// The same, and behind a carriage return.
    EscapedReturn(bool),
}

impl LineEnd {
    /// How many bytes of the next piece belong to the logical line, if it ends there.
    pub fn find(&mut self, piece: &[u8]) -> Option<usize> {
        let end = piece.iter().position(|&byte| self.step(byte))?;
        self.state = State::Plain;
        Some(end + 1)
    }

    fn step(&mut self, byte: u8) -> bool {
        let inside = |double| if double { State::Double } else { State::Plain };
        self.state = match (self.state, byte) {
            (State::Escape(double), b'\r') => State::EscapedReturn(double),
            (State::Escape(double), _) | (State::EscapedReturn(double), b'\n') => inside(double),
            (State::EscapedReturn(double), _) => {
                self.state = inside(double);
                return self.step(byte);
            }
            (State::Plain | State::Comment, b'\n') => return true,
            (State::Plain, b'\'') => State::Single,
            (State::Plain, b'"') => State::Double,
            (State::Plain, b'#') => State::Comment,
            (State::Plain, b'\\') => State::Escape(false),
            (State::Double, b'\\') => State::Escape(true),
            (State::Single, b'\'') | (State::Double, b'"') => State::Plain,
            (state, _) => state,
        };
        false
    }
}

/// Splits text into statements and their words, unquoted, by the rules of configuration files: what `uci batch` reads.
///
/// ```
/// let text = b"set network.lan.proto='static'; commit network # done\n\"get\" network.lan.dns\n";
/// let statements: Result<Vec<_>, _> = uci::Statements::new(text).collect();
/// let words: Vec<usize> = statements?.iter().map(Vec::len).collect();
/// assert_eq!(words, [2, 2, 2]);
/// # Ok::<(), uci::ParseError>(())
/// ```
pub struct Statements<'a>(Lexer<'a>);

impl<'a> Statements<'a> {
    /// The statements of a text.
    pub fn new(text: &'a [u8]) -> Statements<'a> {
        Statements(Lexer::new(text))
    }
}

impl Iterator for Statements<'_> {
    type Item = Result<Vec<Vec<u8>>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.0.next() {
                Next::End => return None,
                Next::Comment => {}
                Next::Statement => break,
            }
        }
        let (mut words, mut word) = (Vec::new(), Vec::new());
        loop {
            match self.0.argument(&mut word) {
                Ok(true) => words.push(std::mem::take(&mut word)),
                Ok(false) => return Some(Ok(words)),
                Err(reason) => {
                    let at = self.0.at();
                    return Some(Err(self.0.error(reason, at)));
                }
            }
        }
    }
}
