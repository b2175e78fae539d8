//! The one place that moves bytes between a connection's stream and its buffers:
//! works towards a goal until it is reached or would block. Knows no Lua.

use super::body::Broken;
use super::connection::Connection;
use super::exchange::Exchange;
use super::head::{Scan, Scanner};
use super::multipart::{Event as Found, PIECE};
use crate::core::abi::Attempt;

/// What a call wants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The last response out, what is left of its request gone, the next head in.
    Request,
    /// The buffered response out.
    Flush,
    /// That many bytes of the body, or all there are.
    Body(u64),
    /// The whole body gone.
    Discard,
    /// The next event of the form in the body.
    Form,
    /// The buffered response and the file out.
    File,
    /// The buffered response out, then the end.
    Last,
}

/// What a wait is for: decides direction and limit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Write,
    Body,
    /// The first byte of a request.
    Idle,
    /// The rest of a head.
    Head,
    /// The rest of a body nobody wants.
    Drain,
    /// The peer's close, so that it reads our answer before it learns of ours.
    Linger,
    /// Other coroutines' turn.
    Turn,
}

/// Why a call failed.
#[derive(Clone, Copy)]
pub enum Failure {
    /// The reader or writer has the text.
    Reader,
    Writer,
    Text(&'static str),
}

/// Part of a form; ranges of the received bytes, of which `used` are used up.
#[derive(Clone, Copy)]
pub struct Part {
    pub used: usize,
    pub kind: Kind,
}

#[derive(Clone, Copy)]
pub enum Kind {
    /// Name and value.
    Header((usize, usize), (usize, usize)),
    /// Content, and whether it is the last of its part.
    Body((usize, usize), bool),
    End,
    Failed(&'static str),
}

/// How far a goal was reached.
pub enum Event {
    Wait(Phase),
    Done,
    /// A head of that many bytes lies in the exchange's received bytes.
    Request(usize),
    /// That many received bytes are the answer.
    Body(usize),
    Form(Part),
    /// The connection is over.
    Ended,
    Failed(Failure),
}

/// Bytes asked of the stream at once, for heads and for bodies.
const HEAD: usize = 2048;
const BODY: usize = 8192;

impl Connection {
    /// Go on until the goal is reached or the stream would block.
    pub fn pump(&self) -> Event {
        self.progress.set(false);
        let outcome = match self.goal.get() {
            Goal::Request => self.next_request(),
            Goal::Last => self.last(),
            goal => match self.exchange.borrow_mut().as_deref_mut() {
                Some(exchange) => self.serve(exchange, goal),
                None => Ok(Event::Ended),
            },
        };
        outcome.unwrap_or_else(|event| event)
    }

    /// What happens when a wait has taken too long.
    pub fn timed_out(&self) -> Event {
        match (self.goal.get(), self.phase.get()) {
            (_, Phase::Idle | Phase::Drain | Phase::Linger | Phase::Turn) => Event::Ended,
            (_, Phase::Head) => self.refuse(408),
            (_, Phase::Write) => {
                if let Some(exchange) = self.exchange.borrow_mut().as_deref_mut() {
                    exchange.broken = true;
                }
                Event::Failed(Failure::Text("timeout"))
            }
            (_, Phase::Body) => Event::Failed(Failure::Text("timeout")),
        }
    }

    /// Answer a request that cannot be served, and end the connection.
    pub fn refuse(&self, status: u16) -> Event {
        self.refused.set(status);
        {
            let mut slot = self.exchange.borrow_mut();
            let exchange = slot.get_or_insert_with(|| self.settings.take());
            exchange.answer(status);
            exchange.build(&self.settings);
        }
        self.goal.set(Goal::Last);
        self.last().unwrap_or_else(|event| event)
    }

    fn next_request(&self) -> Result<Event, Event> {
        let mut slot = self.exchange.borrow_mut();
        if let Some(exchange) = slot.as_deref_mut() {
            self.write(exchange)?;
            if exchange.close || exchange.response.close || exchange.broken {
                if exchange.body.finished() || exchange.broken {
                    return Ok(Event::Ended);
                }
                drop(slot);
                return self.last();
            }
            if !exchange.body.finished() && !self.drain(exchange)? {
                drop(slot);
                return self.last();
            }
        }
        if let Some(exchange) = slot.take() {
            self.settings.give_back(exchange);
            self.scanner.set(Scanner::default());
        }
        drop(slot);
        self.read_head()
    }

    /// Take the next head from the stream.
    fn read_head(&self) -> Result<Event, Event> {
        loop {
            let buffer = self.reader.buffered();
            let mut scanner = self.scanner.get();
            let scan = scanner.scan(buffer, &self.settings.limits);
            self.scanner.set(scanner);
            match scan {
                Scan::Refused(status) => return Ok(self.refuse(status)),
                Scan::Complete { start, end } => {
                    let mut exchange = self.settings.take();
                    let head = buffer.get(start..end).unwrap_or(b"");
                    exchange.received.extend_from_slice(head);
                    self.reader.consume(end);
                    *self.exchange.borrow_mut() = Some(exchange);
                    return Ok(Event::Request(end - start));
                }
                Scan::Partial => {}
            }
            let started = scanner.started();
            let phase = if started { Phase::Head } else { Phase::Idle };
            match self.fill(HEAD, phase) {
                Ok(0) if started => return Ok(Event::Failed(Failure::Text("closed"))),
                Ok(0) => return Ok(Event::Ended),
                Ok(_) => {}
                Err(Event::Wait(Phase::Idle)) => {
                    // Gives the empty buffer back.
                    self.reader.fill(0);
                    return Ok(Event::Wait(Phase::Idle));
                }
                // A reset between requests is nothing to talk about.
                Err(Event::Failed(_)) if !started => return Ok(Event::Ended),
                Err(event) => return Err(event),
            }
        }
    }

    fn serve(&self, exchange: &mut Exchange, goal: Goal) -> Result<Event, Event> {
        if exchange.broken {
            return Ok(Event::Failed(Failure::Text("closed")));
        }
        match goal {
            Goal::Flush => {
                exchange.streamed = true;
                self.write(exchange)?;
                Ok(Event::Done)
            }
            Goal::File => {
                exchange.streamed = true;
                self.write(exchange)?;
                self.send_file(exchange)?;
                Ok(Event::Done)
            }
            Goal::Discard => loop {
                exchange.received.clear();
                if !self.pull(exchange, BODY, Phase::Body)? {
                    return Ok(Event::Done);
                }
            },
            Goal::Form => loop {
                if let Some(part) = next_part(exchange) {
                    return Ok(Event::Form(part));
                }
                if !self.pull(exchange, PIECE, Phase::Body)? {
                    return Ok(Event::Failed(Failure::Text("bad request")));
                }
            },
            Goal::Body(want) => loop {
                let have = exchange.received.len() as u64;
                let missing = usize::try_from(want.saturating_sub(have)).unwrap_or(usize::MAX);
                if missing == 0 || !self.pull(exchange, missing, Phase::Body)? {
                    let count = exchange.received.len() as u64;
                    return Ok(Event::Body(count.min(want) as usize));
                }
            },
            Goal::Request | Goal::Last => Ok(Event::Ended),
        }
    }

    /// Write what is buffered.
    fn write(&self, exchange: &mut Exchange) -> Result<(), Event> {
        while let Some(rest @ [_, ..]) = exchange.out.get(exchange.sent..) {
            match self.writer.send(rest) {
                Attempt::Moved(count) => {
                    exchange.sent += count;
                    self.progress.set(true);
                }
                Attempt::WouldBlock => return Err(Event::Wait(Phase::Write)),
                Attempt::Failed => {
                    exchange.broken = true;
                    self.phase.set(Phase::Write);
                    return Err(Event::Failed(Failure::Writer));
                }
            }
        }
        exchange.out.clear();
        exchange.sent = 0;
        Ok(())
    }

    fn send_file(&self, exchange: &mut Exchange) -> Result<(), Event> {
        use std::os::fd::AsRawFd;
        let Some(sending) = &mut exchange.file else {
            return Ok(());
        };
        while sending.left > 0 {
            // Keeps one file from holding up everybody else.
            let length = sending.left.min(1 << 20) as usize;
            match self
                .writer
                .send_file(sending.file.as_raw_fd(), &mut sending.offset, length)
            {
                Attempt::Moved(0) => {
                    // Shorter than it was: what the head promised cannot be kept.
                    exchange.broken = true;
                    exchange.file = None;
                    return Err(Event::Failed(Failure::Text("closed")));
                }
                Attempt::Moved(count) => {
                    sending.left = sending.left.saturating_sub(count as u64);
                    self.progress.set(true);
                }
                Attempt::WouldBlock => return Err(Event::Wait(Phase::Write)),
                Attempt::Failed => {
                    exchange.broken = true;
                    exchange.file = None;
                    return Err(Event::Failed(Failure::Writer));
                }
            }
        }
        exchange.file = None;
        exchange.response.end_piece(&mut exchange.out);
        Ok(())
    }

    /// Read once into the reader's buffer; 0 is the end of the stream.
    fn fill(&self, want: usize, phase: Phase) -> Result<usize, Event> {
        match self.reader.fill(want) {
            Attempt::Moved(count) => {
                self.progress.set(true);
                Ok(count)
            }
            Attempt::WouldBlock => Err(Event::Wait(phase)),
            Attempt::Failed => Err(Event::Failed(Failure::Reader)),
        }
    }

    /// Move up to `want` payload bytes to the received ones; false at the end of the body.
    fn pull(&self, exchange: &mut Exchange, want: usize, phase: Phase) -> Result<bool, Event> {
        loop {
            let buffer = self.reader.buffered();
            let (skip, length) = exchange.body.step(buffer).map_err(|Broken| {
                exchange.broken = !exchange.response.built;
                exchange.close = true;
                Event::Failed(Failure::Text("not a vaild http chunked body"))
            })?;
            let length = length.min(want);
            let payload = buffer
                .get(skip..)
                .and_then(|rest| rest.get(..length))
                .unwrap_or(b"");
            exchange.received.extend_from_slice(payload);
            exchange.body.take(length);
            self.reader.consume(skip + length);
            if exchange.body.taken() > self.settings.max_body {
                exchange.close = true;
                return Err(Event::Failed(Failure::Text("request body too large")));
            }
            if length > 0 {
                return Ok(true);
            }
            if exchange.body.finished() {
                return Ok(false);
            }
            if std::mem::take(&mut exchange.expects_continue) && !exchange.response.built {
                exchange
                    .out
                    .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            if !exchange.response.built {
                self.write(exchange)?;
            }
            if self.fill(want.clamp(1, BODY), phase)? == 0 {
                exchange.broken = true;
                return Err(Event::Failed(Failure::Text("closed")));
            }
        }
    }

    /// Read away what the handler left of the body; false when that is too much.
    fn drain(&self, exchange: &mut Exchange) -> Result<bool, Event> {
        loop {
            let left = self.settings.max_drain.saturating_sub(exchange.drained);
            exchange.drained += exchange.received.len() as u64;
            exchange.received.clear();
            if left == 0 {
                return Ok(false);
            }
            if !self.pull(exchange, BODY, Phase::Drain)? {
                return Ok(true);
            }
        }
    }

    /// Write what is left, say that nothing more comes, and wait for the peer to
    /// close: closing with unread input would destroy an answer still on its way.
    fn last(&self) -> Result<Event, Event> {
        self.goal.set(Goal::Last);
        {
            let mut slot = self.exchange.borrow_mut();
            if let Some(exchange) = slot.as_deref_mut() {
                self.write(exchange).map_err(ended)?;
            }
            if let Some(exchange) = slot.take() {
                self.settings.give_back(exchange);
                if !self.settings.plain || shutdown(self.reader.fd()).is_err() {
                    return Ok(Event::Ended);
                }
            }
        }
        for _ in 0..16 {
            self.reader.consume(self.reader.buffered().len());
            if self.fill(BODY, Phase::Linger).map_err(ended)? == 0 {
                break;
            }
        }
        Ok(Event::Ended)
    }
}

/// A failure nobody is left to hear about is just the end.
fn ended(event: Event) -> Event {
    match event {
        Event::Failed(_) => Event::Ended,
        event => event,
    }
}

/// The next part of the form, when the received bytes tell.
fn next_part(exchange: &mut Exchange) -> Option<Part> {
    let Exchange { form, received, .. } = exchange;
    let (used, found) = form.as_mut()?.next(received);
    let range = |part: &[u8]| {
        let start = (part.as_ptr() as usize).wrapping_sub(received.as_ptr() as usize);
        (start, start.wrapping_add(part.len()))
    };
    let kind = match found {
        Found::More => {
            received.drain(..used.min(received.len()));
            return None;
        }
        Found::Header(name, value) => Kind::Header(range(name), range(value)),
        Found::Body(data, done) => Kind::Body(range(data), done),
        Found::End => Kind::End,
        Found::Failed(why) => Kind::Failed(why),
    };
    Some(Part { used, kind })
}

/// No more is written; the peer sees the end of the stream.
fn shutdown(fd: std::ffi::c_int) -> nix::Result<()> {
    nix::sys::socket::shutdown(fd, nix::sys::socket::Shutdown::Write)
}
