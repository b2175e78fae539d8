//! Who waits for something in another thread: tokens, first come, first served.

use std::collections::VecDeque;

use crate::abi::Token;

/// Tokens in the order of their coming. Whoever takes one out wakes its wait by
/// dropping it, best when no lock is held.
#[derive(Default)]
pub struct Waiters {
    /// Numbers go up.
    entries: VecDeque<(u64, Token)>,
    last: u64,
}

impl Waiters {
    /// Adds one and gives its number, which is never 0; the token comes back
    /// when there is no memory.
    pub fn add(&mut self, token: Token) -> Result<u64, Token> {
        if self.entries.try_reserve(1).is_err() {
            return Err(token);
        }
        self.last += 1;
        self.entries.push_back((self.last, token));
        Ok(self.last)
    }

    /// Whether that one still waits: otherwise it was chosen.
    pub fn has(&self, number: u64) -> bool {
        self.place(number).is_ok()
    }

    /// Takes one out that waits no longer; None when it was chosen before.
    pub fn remove(&mut self, number: u64) -> Option<Token> {
        let place = self.place(number).ok()?;
        self.entries.remove(place).map(|(_, token)| token)
    }

    /// Chooses the first.
    pub fn choose(&mut self) -> Option<Token> {
        self.entries.pop_front().map(|(_, token)| token)
    }

    /// Chooses all.
    pub fn choose_all(&mut self) -> Waiters {
        Waiters {
            entries: std::mem::take(&mut self.entries),
            last: 0,
        }
    }

    fn place(&self, number: u64) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&number, |entry| entry.0)
    }
}
