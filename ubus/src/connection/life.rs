//! What happens to a connection as a whole: lost, made again, closed for good.
//!
//! What is lost takes all requests with it, and nothing that was finished: that is offered again after the next hello, a bounded
//! number at a time.

use super::chain::Step;
use super::event::{Request, RequestError};
use super::map::{Handle, Slab};
use super::{Connection, Role, Stage, State};

/// How many things are offered at once after a reconnect: the daemon drops what a client has not read yet beyond 1 MiB.
pub(super) const RESTORE_AT_ONCE: usize = 64;

/// Progress of offering everything again.
#[derive(Debug, Default)]
pub(super) struct Restore {
    /// The next place to look at.
    next: usize,
    /// How many are under way.
    active: usize,
}

impl Connection {
    /// The stream has ended: gives the requests that end with it, in the order they were made.
    ///
    /// Then [`Connection::reconnect`] may follow, with a new stream.
    pub fn lost(&mut self) -> Vec<Request> {
        if self.state == State::Closed {
            return Vec::new();
        }
        self.state = State::Lost;
        self.epoch = self.epoch.wrapping_add(1);
        self.output.clear();
        self.ids.clear();
        self.restore = None;
        self.watching = false;
        if let Some(watcher) = self.watcher.take() {
            self.locals.remove(watcher);
        }
        let mut ended = Vec::new();
        for (key, pending) in self.pending.drain() {
            if pending.serial != 0 {
                ended.push(Request {
                    serial: pending.serial,
                    seq: key as u16,
                });
                // What a request was still making was never there.
                if let Some(handle) = pending.step.handle() {
                    self.locals.remove(handle);
                }
            }
        }
        ended.sort_unstable();
        for local in self.locals.values_mut() {
            local.id = None;
            match &mut local.role {
                Role::Object { active, .. } => *active = false,
                Role::Subscription {
                    revives, target, ..
                } => *revives |= target.take().is_some(),
                Role::Listener { .. } | Role::Watcher => {}
            }
        }
        ended
    }

    /// Waits for the hello of a new stream. Gives what [`Connection::lost`] would if that was not called.
    pub fn reconnect(&mut self) -> Result<Vec<Request>, RequestError> {
        if self.state == State::Closed {
            return Err(RequestError::Closed);
        }
        let ended = match self.state {
            State::Open => self.lost(),
            _ => Vec::new(),
        };
        self.state = State::Greeting;
        Ok(ended)
    }

    /// Ends the connection for good: gives the requests that end with it. The daemon drops everything when the stream is closed.
    pub fn close(&mut self) -> Vec<Request> {
        let ended = self.lost();
        self.locals = Slab::default();
        self.state = State::Closed;
        ended
    }

    /// Offers again what the daemon refused after a reconnect, perhaps because it had not noticed the end of the old connection.
    ///
    /// The outcome comes as [`Event::Restored`](super::Event::Restored).
    pub fn retry(&mut self, handle: Handle) -> Result<(), RequestError> {
        self.check_open()?;
        match self.locals.get(handle) {
            Some(local) if local.stage == Stage::Lasting && local.id.is_none() => {}
            _ => return Err(RequestError::UnknownHandle),
        }
        let mut pending = self.pending.values();
        if pending.any(|one| one.step.handle() == Some(handle)) {
            // The outcome is to come.
            return Ok(());
        }
        if let Some(restore) = &mut self.restore {
            if handle.place() >= restore.next {
                return Ok(());
            }
            restore.active += 1;
        }
        let started = self.restore_one(handle);
        if started.is_err() {
            self.give_up_one();
        }
        started
    }

    /// Starts to offer everything again.
    pub(super) fn restore_all(&mut self) {
        self.restore = Some(Restore::default());
        self.restore_more();
    }

    /// Offers one thing again.
    fn restore_one(&mut self, handle: Handle) -> Result<(), RequestError> {
        self.start(0, true, Step::Add { handle }).map(|_| ())
    }

    /// One thing was offered again.
    pub(super) fn restored(&mut self) {
        self.give_up_one();
        self.restore_more();
    }

    fn give_up_one(&mut self) {
        if let Some(restore) = &mut self.restore {
            restore.active = restore.active.saturating_sub(1);
        }
    }

    fn restore_more(&mut self) {
        while let Some(restore) = &mut self.restore {
            if restore.active >= RESTORE_AT_ONCE {
                return;
            }
            let Some((index, handle)) = self.locals.at_or_behind(restore.next) else {
                if restore.active == 0 {
                    self.restore = None;
                }
                return;
            };
            restore.next = index + 1;
            let local = self.locals.get(handle);
            if !local.is_some_and(|local| local.stage == Stage::Lasting && local.id.is_none()) {
                continue;
            }
            restore.active += 1;
            if self.restore_one(handle).is_err() {
                self.give_up_one();
            }
        }
    }
}
