//! The one place that moves bytes between a connection's stream and its buffers:
//! works towards a goal until it is reached or would block. Knows no Lua.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;

use super::exchange::{drop_front, Exchange, Part};
use super::settings::Settings;
use crate::abi::{Interest, Reader, Transfer, Writer};
use crate::http::body::Broken;
use crate::http::head::{Scan, Scanner};
use crate::http::multipart::{Event as Found, PIECE};
use crate::http::text::put;

/// Pieces of a body in a row, until others may have their turn.
const ROW: u32 = 16;

/// What a call wants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The last response out, what is left of its request gone, the next head in.
    Request,
    /// The buffered response out, then the end.
    Last,
    /// The buffered response out.
    Flush,
    /// The bytes of the body that `Exchange::ready` asks for, or all there are.
    Body,
    /// The whole body gone.
    Discard,
    /// The next part of the form in the body.
    Form,
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
}

/// Why a call failed.
#[derive(Clone, Copy)]
pub enum Failure {
    /// The reader or writer has the text.
    Reader,
    Writer,
    Closed,
    Timeout,
    Canceled,
    BadForm,
    BadChunk,
    TooLarge,
}

/// How far a goal was reached.
#[derive(Clone, Copy)]
pub enum Event {
    Wait(Phase),
    /// Pieces of a body were moved, and there is more: others may be waiting.
    Moved,
    Done,
    /// A head lies in the received bytes.
    Request,
    /// The first `Exchange::ready` received bytes are the answer.
    Body,
    /// `Exchange::part` is the answer; it uses up `Exchange::ready` received bytes.
    Form,
    /// The connection is over.
    Ended,
    Failed(Failure),
}

/// Bytes asked of the stream at once, for heads and for bodies.
const HEAD: usize = 1024;
const BODY: usize = 8192;

/// The I/O state of a connection; while it is idle, this is all there is of it.
pub struct Pump {
    pub reader: Reader,
    pub writer: Writer,
    pub settings: Rc<Settings>,
    exchange: RefCell<Option<Box<Exchange>>>,
    scanner: Cell<Scanner>,
    pub goal: Cell<Goal>,
    /// What it waits for, and whether bytes moved since it last waited.
    pub phase: Cell<Phase>,
    pub progress: Cell<bool>,
    /// The direction it waits for.
    pub direction: Cell<Interest>,
    /// Pieces of a body taken in one go.
    pieces: Cell<u32>,
    /// Status the last request was refused with.
    pub refused: Cell<u16>,
}

impl Pump {
    /// A pump between requests.
    pub fn new(reader: Reader, writer: Writer, settings: Rc<Settings>) -> Pump {
        Pump {
            reader,
            writer,
            settings,
            exchange: RefCell::default(),
            scanner: Cell::default(),
            goal: Cell::new(Goal::Request),
            phase: Cell::new(Phase::Idle),
            progress: Cell::new(false),
            direction: Cell::new(Interest::READ),
            pieces: Cell::new(0),
            refused: Cell::new(0),
        }
    }

    /// The request being served. Nothing of Lua that may raise is called while
    /// this is held.
    pub fn exchange(&self) -> Option<RefMut<'_, Box<Exchange>>> {
        RefMut::filter_map(self.exchange.borrow_mut(), Option::as_mut).ok()
    }

    /// No request is being served any more.
    pub fn end_exchange(&self) {
        if let Some(exchange) = self.exchange.take() {
            self.settings.give_back(exchange);
        }
    }

    /// Go on until the goal is reached or the stream would block.
    pub fn run(&self) -> Event {
        self.progress.set(false);
        let outcome = match self.goal.get() {
            Goal::Request => self.next_request(),
            Goal::Last => self.last(),
            goal => match self.exchange() {
                Some(mut exchange) => self.serve(&mut exchange, goal),
                None => Ok(Event::Ended),
            },
        };
        outcome.unwrap_or_else(|event| event)
    }

    /// What happens when a wait has taken too long.
    pub fn timed_out(&self) -> Event {
        match self.phase.get() {
            Phase::Idle | Phase::Drain | Phase::Linger => Event::Ended,
            Phase::Head => self.refuse(408),
            Phase::Write => {
                if let Some(mut exchange) = self.exchange() {
                    exchange.broken = true;
                }
                Event::Failed(Failure::Timeout)
            }
            Phase::Body => Event::Failed(Failure::Timeout),
        }
    }

    /// Answer a request that cannot be served, and end the connection.
    pub fn refuse(&self, status: u16) -> Event {
        self.refused.set(status);
        {
            let mut slot = self.exchange.borrow_mut();
            let exchange = slot.get_or_insert_with(|| self.settings.take());
            exchange.answer(status, &self.settings);
        }
        self.goal.set(Goal::Last);
        self.last().unwrap_or_else(|event| event)
    }

    fn next_request(&self) -> Result<Event, Event> {
        let mut slot = self.exchange.borrow_mut();
        if let Some(exchange) = slot.as_deref_mut() {
            if exchange.broken {
                return Ok(Event::Ended);
            }
            self.write(exchange)?;
            if exchange.close || exchange.response.close {
                if exchange.body.finished() {
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
                    put(&mut exchange.received, head);
                    self.reader.consume(end);
                    *self.exchange.borrow_mut() = Some(exchange);
                    return Ok(Event::Request);
                }
                Scan::Partial => {}
            }
            let started = scanner.started();
            let phase = if started { Phase::Head } else { Phase::Idle };
            match self.fill(HEAD, phase) {
                Ok(0) if started => return Ok(Event::Failed(Failure::Closed)),
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
            return Ok(Event::Failed(Failure::Closed));
        }
        match goal {
            Goal::Flush => {
                exchange.streamed = true;
                self.write(exchange)?;
                Ok(Event::Done)
            }
            Goal::Discard => loop {
                exchange.received.clear();
                if !self.pull(exchange, BODY, Phase::Body)? {
                    return Ok(Event::Done);
                }
            },
            Goal::Form => loop {
                if next_part(exchange) {
                    return Ok(Event::Form);
                }
                if !self.pull(exchange, PIECE, Phase::Body)? {
                    return Ok(Event::Failed(Failure::BadForm));
                }
            },
            Goal::Body => loop {
                let missing = exchange.ready.saturating_sub(exchange.received.len());
                if missing == 0 || !self.pull(exchange, missing, Phase::Body)? {
                    exchange.ready = exchange.ready.min(exchange.received.len());
                    return Ok(Event::Body);
                }
            },
            Goal::Request | Goal::Last => Ok(Event::Ended),
        }
    }

    /// Write what is buffered.
    fn write(&self, exchange: &mut Exchange) -> Result<(), Event> {
        while let Some(rest @ [_, ..]) = exchange.out.get(exchange.sent..) {
            match self.writer.send(rest) {
                Transfer::Moved(count) => {
                    exchange.sent += count;
                    self.progress.set(true);
                }
                Transfer::Blocked(direction) => return Err(self.blocked(direction, Phase::Write)),
                Transfer::Failed => {
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

    /// What a transfer that would block waits for.
    fn blocked(&self, direction: Interest, phase: Phase) -> Event {
        self.direction.set(direction);
        Event::Wait(phase)
    }

    /// Read once into the reader's buffer; 0 is the end of the stream.
    fn fill(&self, want: usize, phase: Phase) -> Result<usize, Event> {
        match self.reader.fill(want) {
            Transfer::Moved(count) => {
                self.progress.set(true);
                let pieces = self.pieces.get();
                let row = count > 0 && phase == Phase::Body && pieces >= ROW;
                self.pieces
                    .set(if row { 0 } else { pieces.wrapping_add(1) });
                if row {
                    return Err(Event::Moved);
                }
                Ok(count)
            }
            Transfer::Blocked(direction) => Err(self.blocked(direction, phase)),
            Transfer::Failed => Err(Event::Failed(Failure::Reader)),
        }
    }

    /// Move up to `want` payload bytes to the received ones; false at the end of the body.
    fn pull(&self, exchange: &mut Exchange, want: usize, phase: Phase) -> Result<bool, Event> {
        loop {
            let buffer = self.reader.buffered();
            let (skip, length) = exchange.body.step(buffer).map_err(|Broken| {
                exchange.broken = !exchange.response.built;
                exchange.close = true;
                Event::Failed(Failure::BadChunk)
            })?;
            let length = length.min(want);
            let payload = buffer
                .get(skip..)
                .and_then(|rest| rest.get(..length))
                .unwrap_or(b"");
            put(&mut exchange.received, payload);
            exchange.body.take(length);
            self.reader.consume(skip + length);
            if exchange.body.taken() > self.settings.max_body as u64 {
                exchange.close = true;
                return Err(Event::Failed(Failure::TooLarge));
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
                return Err(Event::Failed(Failure::Closed));
            }
        }
    }

    /// Read away what the handler left of the body; false when that is too much.
    fn drain(&self, exchange: &mut Exchange) -> Result<bool, Event> {
        loop {
            let left = (self.settings.max_drain as u64).saturating_sub(exchange.drained);
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
                if self.settings.plain == 0 || shutdown(self.reader.fd()).is_err() {
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

/// Look for the next part of the form; false when more bytes are needed.
fn next_part(exchange: &mut Exchange) -> bool {
    let Exchange { form, received, .. } = exchange;
    let Some(form) = form else {
        return false;
    };
    let (used, found) = form.next(received);
    let range = |part: &[u8]| {
        let start = (part.as_ptr() as usize).wrapping_sub(received.as_ptr() as usize);
        (start, start.wrapping_add(part.len()))
    };
    exchange.ready = used;
    exchange.part = match found {
        Found::More => {
            drop_front(received, used);
            return false;
        }
        Found::Header(name, value) => Part::Header(range(name), range(value)),
        Found::Body(data, done) => Part::Body(range(data), done),
        Found::End => Part::End,
        Found::Failed(why) => Part::Failed(why),
    };
    if let Part::Header((start, end), _) = exchange.part {
        // Names are looked up in lower case.
        if let Some(name) = exchange.received.get_mut(start..end) {
            name.make_ascii_lowercase();
        }
    }
    true
}

/// No more is written; the peer sees the end of the stream.
fn shutdown(fd: std::ffi::c_int) -> nix::Result<()> {
    nix::sys::socket::shutdown(fd, nix::sys::socket::Shutdown::Write)
}
