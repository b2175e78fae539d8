//! The one place that moves bytes between a connection's stream and its buffers:
//! works towards a goal until it is reached or would block. Knows no Lua.

use std::cell::{Cell, RefCell, RefMut};
use std::os::fd::AsRawFd;
use std::rc::Rc;

use super::exchange::{drop_front, Exchange, Failure, Part};
use super::settings::Settings;
use crate::abi::{monotonic, Interest, Nanoseconds, Reader, Transfer, Writer};
use crate::http::head::{Scan, Scanner};
use crate::http::multipart::{decode_filename, Event as Found, PIECE};
use crate::http::text::put;

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
    /// What is buffered and `Exchange::file` behind it out.
    File,
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

/// How far a goal was reached.
#[derive(Clone, Copy)]
pub enum Event {
    Wait(Phase),
    /// There is more to do at once, but it is the others' turn.
    Again(Phase),
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
/// Body bytes that every request may hold without being counted.
const SMALL: usize = 4096;
/// What one wait has to move for the next to have its full time again.
const PROGRESS: usize = 1024;

/// The I/O state of a connection; while it is idle, this is all there is of it.
pub struct Pump {
    pub reader: Reader,
    pub writer: Writer,
    pub settings: Rc<Settings>,
    exchange: RefCell<Option<Box<Exchange>>>,
    scanner: Cell<Scanner>,
    pub goal: Cell<Goal>,
    /// What it waits for, or last did.
    pub phase: Cell<Phase>,
    /// The direction it waits for.
    pub direction: Cell<Interest>,
    /// When that has taken too long, but for idle waits.
    deadline: Cell<Nanoseconds>,
    /// Limit that the caller gave for the body; 0: ours.
    timeout: Cell<Nanoseconds>,
    /// Bytes moved since the deadline was set.
    moved: Cell<usize>,
    /// This go has had its system call.
    called: Cell<bool>,
    /// Bytes that may still be read away at the end, and when that ends.
    linger: Cell<i64>,
    linger_end: Cell<Nanoseconds>,
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
            direction: Cell::new(Interest::READ),
            deadline: Cell::new(0),
            timeout: Cell::new(0),
            moved: Cell::new(0),
            called: Cell::new(false),
            linger: Cell::new(0),
            linger_end: Cell::new(0),
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
        self.called.set(false);
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

    /// A call begins.
    pub fn begin(&self, goal: Goal, timeout: Nanoseconds) {
        self.goal.set(goal);
        self.timeout.set(timeout);
        self.deadline.set(0);
    }

    /// Enter a phase. True when its time begins: it is another one than before,
    /// or enough was moved in it.
    pub fn enter(&self, phase: Phase) -> bool {
        let changed = self.phase.replace(phase) != phase || self.deadline.get() == 0;
        let enough = match phase {
            Phase::Body if self.timeout.get() > 0 => 1,
            Phase::Body | Phase::Write | Phase::Linger => PROGRESS,
            // All of these must be over in time, however much they move.
            Phase::Idle | Phase::Head | Phase::Drain => usize::MAX,
        };
        let begins = changed || self.moved.get() >= enough;
        if begins && phase != Phase::Idle {
            let settings = &self.settings;
            let limit = match phase {
                Phase::Write => settings.send_timeout,
                Phase::Body if self.timeout.get() > 0 => self.timeout.get(),
                Phase::Body => settings.body_timeout,
                Phase::Linger => settings.linger_timeout,
                Phase::Idle | Phase::Head | Phase::Drain => settings.head_timeout,
            };
            self.moved.set(0);
            self.deadline.set(match limit {
                0 => Nanoseconds::MAX,
                limit => monotonic().saturating_add(limit),
            });
        }
        begins
    }

    /// How long to wait at most.
    pub fn limit(&self) -> Nanoseconds {
        let deadline = match self.phase.get() {
            Phase::Idle => return self.settings.idle,
            Phase::Linger => self.deadline.get().min(self.linger_end.get()),
            _ => self.deadline.get(),
        };
        match deadline {
            Nanoseconds::MAX => 0,
            deadline => (deadline - monotonic()).max(1),
        }
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
            Phase::Body => {
                if let Some(mut exchange) = self.exchange() {
                    exchange.complaint = Some(Failure::Timeout);
                }
                Event::Failed(Failure::Timeout)
            }
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
            let over = exchange.close || exchange.response.close;
            if over && exchange.body.finished() && self.reader.buffered() == 0 {
                return Ok(Event::Ended);
            }
            if over || (!exchange.body.finished() && !self.drain(exchange)?) {
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
            let mut scanner = self.scanner.get();
            let scan = self
                .reader
                .peek(|buffer| scanner.scan(buffer, &self.settings.limits));
            self.scanner.set(scanner);
            match scan {
                Scan::Refused(status) => return Ok(self.refuse(status)),
                Scan::Complete { start, end } => {
                    let mut exchange = self.settings.take();
                    self.reader.peek(|buffer| {
                        put(
                            &mut exchange.received,
                            buffer.get(start..end).unwrap_or(b""),
                        );
                    });
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
            Goal::File => self.send_file(exchange),
            Goal::Discard => loop {
                exchange.received.clear();
                if !self.pull(exchange, BODY, Phase::Body)? {
                    exchange.complaint = None;
                    return Ok(Event::Done);
                }
            },
            Goal::Form => loop {
                if next_part(exchange) {
                    return Ok(Event::Form);
                }
                if !self.pull(exchange, PIECE, Phase::Body)? {
                    exchange.complaint = Some(Failure::BadForm);
                    return Ok(Event::Failed(Failure::BadForm));
                }
            },
            Goal::Body => loop {
                let missing = exchange.ready.saturating_sub(exchange.received.len());
                if missing == 0 || !self.pull(exchange, missing, Phase::Body)? {
                    exchange.ready = exchange.ready.min(exchange.received.len());
                    exchange.complaint = None;
                    return Ok(Event::Body);
                }
                self.hold(exchange)?;
            },
            Goal::Request | Goal::Last => Ok(Event::Ended),
        }
    }

    /// Count what is held of a body; it is refused when all requests together
    /// hold too much.
    fn hold(&self, exchange: &mut Exchange) -> Result<(), Event> {
        let held = exchange.received.len().saturating_sub(SMALL);
        if held > exchange.held {
            let all = &self.settings.held;
            let sum = all.get().saturating_add(held - exchange.held);
            if sum as u64 > self.settings.max_buffered as u64 {
                exchange.received = Vec::new();
                return Err(Event::Failed(exchange.fail(Failure::Busy)));
            }
            all.set(sum);
            exchange.held = held;
        }
        Ok(())
    }

    /// Write what is buffered, then the file.
    fn send_file(&self, exchange: &mut Exchange) -> Result<Event, Event> {
        exchange.streamed = true;
        self.write(exchange)?;
        while let Some(file) = exchange.file.as_mut().filter(|file| file.left > 0) {
            self.turn(Phase::Write)?;
            let length = usize::try_from(file.left).unwrap_or(usize::MAX);
            let fd = file.fd.as_raw_fd();
            match self.writer.send_file(fd, &mut file.offset, length) {
                Transfer::Blocked(direction) => return Err(self.blocked(direction, Phase::Write)),
                Transfer::Moved(count) if count > 0 => {
                    file.left = file.left.saturating_sub(count as u64);
                    self.moved(count);
                }
                outcome => {
                    exchange.broken = true;
                    self.phase.set(Phase::Write);
                    return Err(Event::Failed(match outcome {
                        Transfer::Failed => Failure::Writer,
                        _ => Failure::Shrunk,
                    }));
                }
            }
        }
        if exchange.file.take().is_some() {
            exchange.response.end_piece(&mut exchange.out);
        }
        Ok(Event::Done)
    }

    fn moved(&self, count: usize) {
        self.moved.set(self.moved.get().saturating_add(count));
    }

    /// Take the system call of this go; the rest is for another one, so that
    /// others get their turn.
    fn turn(&self, phase: Phase) -> Result<(), Event> {
        match self.called.replace(true) {
            true => Err(Event::Again(phase)),
            false => Ok(()),
        }
    }

    /// Write what is buffered.
    fn write(&self, exchange: &mut Exchange) -> Result<(), Event> {
        while let Some(rest @ [_, ..]) = exchange.out.get(exchange.sent..) {
            match self.writer.send(rest) {
                Transfer::Moved(count) => {
                    exchange.sent += count;
                    self.moved(count);
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
        self.turn(phase)?;
        match self.reader.fill(want) {
            Transfer::Moved(count) => {
                self.moved(count);
                Ok(count)
            }
            Transfer::Blocked(direction) => Err(self.blocked(direction, phase)),
            Transfer::Failed => Err(Event::Failed(Failure::Reader)),
        }
    }

    /// Move up to `want` payload bytes to the received ones; false at the end of the body.
    fn pull(&self, exchange: &mut Exchange, want: usize, phase: Phase) -> Result<bool, Event> {
        if let Some(failure) = exchange.failure {
            return Err(Event::Failed(failure));
        }
        loop {
            let step = self.reader.peek(|buffer| exchange.body.step(buffer));
            let Ok((skip, length)) = step else {
                return Err(Event::Failed(exchange.fail(Failure::BadChunk)));
            };
            let length = length.min(want);
            let taken = exchange.body.taken().saturating_add(length as u64);
            if taken > self.settings.max_body as u64 {
                return Err(Event::Failed(exchange.fail(Failure::TooLarge)));
            }
            if exchange.received.try_reserve(length).is_err() {
                exchange.received = Vec::new();
                return Err(Event::Failed(exchange.fail(Failure::Memory)));
            }
            self.reader.peek(|buffer| {
                let payload = buffer.get(skip..).and_then(|rest| rest.get(..length));
                put(&mut exchange.received, payload.unwrap_or(b""));
            });
            exchange.body.take(length);
            self.reader.consume(skip + length);
            if length > 0 {
                return Ok(true);
            }
            if exchange.body.finished() {
                return Ok(false);
            }
            if std::mem::take(&mut exchange.expects_continue) && !exchange.response.built {
                put(&mut exchange.out, b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            if !exchange.response.built {
                self.write(exchange)?;
            }
            match self.fill(want.clamp(1, BODY), phase) {
                Ok(0) => return Err(Event::Failed(exchange.fail(Failure::Closed))),
                Ok(_) => {}
                Err(Event::Failed(failure)) => {
                    return Err(Event::Failed(exchange.fail(failure)));
                }
                Err(event) => return Err(event),
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
            match self.pull(exchange, BODY, Phase::Drain) {
                Ok(true) => {}
                Ok(false) => return Ok(true),
                // The answer is out: there is nobody to tell.
                Err(Event::Failed(_)) => return Ok(false),
                Err(event) => return Err(event),
            }
        }
    }

    /// Write what is left, say that nothing more comes, and wait for the peer to
    /// close: closing with unread input would destroy an answer still on its way.
    /// Bounded in time, in silence and in bytes.
    fn last(&self) -> Result<Event, Event> {
        self.goal.set(Goal::Last);
        {
            let mut slot = self.exchange.borrow_mut();
            if let Some(exchange) = slot.as_deref_mut() {
                self.write(exchange).map_err(ended)?;
                self.linger_end
                    .set(monotonic().saturating_add(self.settings.linger_time));
                self.linger.set(self.settings.max_linger);
            }
            if let Some(exchange) = slot.take() {
                self.settings.give_back(exchange);
                if self.settings.plain != 0 && shutdown(self.reader.fd()).is_err() {
                    return Ok(Event::Ended);
                }
            }
        }
        loop {
            let gone = self.reader.buffered();
            self.reader.consume(gone);
            self.linger.set(self.linger.get() - gone as i64);
            if self.linger.get() < 0
                || monotonic() >= self.linger_end.get()
                || self.fill(BODY, Phase::Linger).map_err(ended)? == 0
            {
                return Ok(Event::Ended);
            }
        }
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
    exchange.made = 0;
    exchange.part = match found {
        Found::More => {
            drop_front(received, used);
            return false;
        }
        Found::Header(name, value) => {
            let (name, value) = (range(name), range(value));
            tidy_header(exchange, name, value)
        }
        Found::Body(data, done) => Part::Body(range(data), done),
        Found::End => Part::End,
        Found::Failed(why) => {
            exchange.complaint = Some(Failure::BadForm);
            Part::Failed(why)
        }
    };
    true
}

/// Names are looked up in lower case, folded values are one line, and encoded
/// file names are plain ones.
fn tidy_header(exchange: &mut Exchange, name: (usize, usize), value: (usize, usize)) -> Part {
    let Exchange { received, made, .. } = exchange;
    if let Some(name) = received.get_mut(name.0..name.1) {
        name.make_ascii_lowercase();
    }
    for byte in received.get_mut(value.0..value.1).unwrap_or_default() {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    let mut decoded = Vec::new();
    if received.get(name.0..name.1) == Some(b"content-disposition")
        && received
            .get(value.0..value.1)
            .is_some_and(|value| decode_filename(value, &mut decoded))
    {
        *made = decoded.len();
        let start = received.len();
        put(received, &decoded);
        return Part::Header(name, (start, start + decoded.len()));
    }
    Part::Header(name, value)
}

/// No more is written; the peer sees the end of the stream.
fn shutdown(fd: std::ffi::c_int) -> nix::Result<()> {
    nix::sys::socket::shutdown(fd, nix::sys::socket::Shutdown::Write)
}
