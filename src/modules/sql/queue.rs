//! Whose turn it is on a connection, which serves one call at a time: who came first, but while a transaction holds
//! the connection, its own calls alone. Holds no call itself to anything: whoever serves asks for the next.

use std::collections::VecDeque;

/// A call that waits.
pub trait Call {
    /// The transaction that it is part of, 0 for none.
    fn transaction(&self) -> u32;
}

/// The calls that wait for a connection.
pub struct Queue<T> {
    calls: VecDeque<T>,
    /// The transaction that holds the connection, 0 for none.
    holder: u32,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue {
            calls: VecDeque::new(),
            holder: 0,
        }
    }
}

impl<T: Call> Queue<T> {
    /// Adds a call; gives it back when there is no memory.
    pub fn push(&mut self, call: T) -> Result<(), T> {
        if self.calls.try_reserve(1).is_err() {
            return Err(call);
        }
        self.calls.push_back(call);
        Ok(())
    }

    fn position(&self) -> Option<usize> {
        match self.holder {
            0 => (!self.calls.is_empty()).then_some(0),
            holder => self
                .calls
                .iter()
                .position(|call| call.transaction() == holder),
        }
    }

    /// The next call, without taking it.
    pub fn first(&self) -> Option<&T> {
        self.position().map(|position| &self.calls[position])
    }

    /// Takes the next call.
    pub fn take_next(&mut self) -> Option<T> {
        self.position()
            .and_then(|position| self.calls.remove(position))
    }

    /// Takes a call out of its turn: the first that `matches`.
    pub fn take(&mut self, matches: impl FnMut(&T) -> bool) -> Option<T> {
        let position = self.calls.iter().position(matches)?;
        self.calls.remove(position)
    }

    /// The transaction that holds the connection, 0 for none.
    pub fn holder(&self) -> u32 {
        self.holder
    }

    /// From now on only calls of this transaction have their turn, with 0 all.
    pub fn hold(&mut self, transaction: u32) {
        self.holder = transaction;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Named(char, u32);

    impl Call for Named {
        fn transaction(&self) -> u32 {
            self.1
        }
    }

    #[test]
    fn calls_have_their_turn_in_order_and_a_transaction_alone() {
        let mut queue = Queue::default();
        for call in [Named('a', 0), Named('b', 0), Named('c', 7), Named('d', 0)] {
            queue.push(call).unwrap();
        }
        assert_eq!(queue.take_next(), Some(Named('a', 0)));
        queue.hold(7);
        assert_eq!(queue.first(), Some(&Named('c', 7)));
        assert_eq!(queue.take_next(), Some(Named('c', 7)));
        assert_eq!(queue.take_next(), None);
        queue.push(Named('e', 7)).unwrap();
        assert_eq!(queue.take_next(), Some(Named('e', 7)));
        queue.hold(0);
        assert_eq!(queue.take(|call| call.0 == 'd'), Some(Named('d', 0)));
        assert_eq!(queue.take_next(), Some(Named('b', 0)));
        assert_eq!((queue.take_next(), queue.first()), (None, None));
    }
}
