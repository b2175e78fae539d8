//! Bytes on their way out.
//!
//! A stream that would block wants the same bytes at the same place the next
//! time: meanwhile what is added waits in a second buffer.

/// Buffers up to this size are kept when they are empty.
const KEPT: usize = 512;

#[derive(Default)]
pub struct Outbox {
    /// What is written now, from `done` on.
    front: Vec<u8>,
    done: usize,
    /// What comes behind it, while `locked`.
    back: Vec<u8>,
    locked: bool,
}

impl Outbox {
    /// Where packets are added.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.locked {
            &mut self.back
        } else {
            &mut self.front
        }
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.front.len() - self.done + self.back.len()
    }

    /// The next bytes to write; empty when there are none.
    pub fn front(&self) -> &[u8] {
        self.front.get(self.done..).unwrap_or_default()
    }

    /// The stream would block: these bytes stay where they are.
    pub fn block(&mut self) {
        self.locked = true;
    }

    /// That many of them were written.
    pub fn advance(&mut self, count: usize) {
        self.locked = false;
        self.done = self.front.len().min(self.done.saturating_add(count));
        if self.done == self.front.len() {
            self.done = 0;
            self.front.clear();
            if self.front.capacity() > KEPT {
                self.front = Vec::new();
            }
            std::mem::swap(&mut self.front, &mut self.back);
        } else if !self.back.is_empty() {
            // The rest of the front goes first, where it is.
            self.locked = true;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Outbox::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_blocked_bytes_stay() {
        let mut outbox = Outbox::default();
        outbox.buffer().extend_from_slice(b"abcdef");
        outbox.block();
        let place = outbox.front().as_ptr();
        for _ in 0..100 {
            outbox.buffer().extend_from_slice(b"ghi");
        }
        assert_eq!(
            (outbox.front(), outbox.front().as_ptr()),
            (&b"abcdef"[..], place)
        );
        assert_eq!(outbox.len(), 306);
        outbox.advance(2);
        outbox.buffer().extend_from_slice(b"xyz");
        assert_eq!(outbox.front(), b"cdef");
        outbox.advance(4);
        assert!(outbox.front().starts_with(b"ghighi") && outbox.front().ends_with(b"ghixyz"));
        outbox.buffer().extend_from_slice(b"!");
        assert!(outbox.front().ends_with(b"xyz!"));
        outbox.advance(usize::MAX);
        assert_eq!(outbox.len(), 0);
        assert!(outbox.front().is_empty());
    }
}
