//! One connection to a server: sends what Lua gives it, reads the answer. Whatever
//! waits is one operation; it also listens while it sends, because a server may
//! answer before it has taken all.

use std::cell::{Cell, RefCell, RefMut};
use std::ffi::{c_int, CStr};
use std::mem::take;
use std::os::fd::{AsRawFd, OwnedFd};

use super::super::push_name;
use crate::abi::attempt::{self, Attempt, End, Try, Waiting};
use crate::abi::{monotonic, Core, Interest, Nanoseconds, Reader, Transfer, Writer};
use crate::functions;
use crate::http::body::{Body, Framing};
use crate::http::reply::{self, Asked, Limits, Scan, Scanner, Wrong};
use crate::http::text::put;
use crate::lua::{method, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::system::file::open_regular;

/// User values: what keeps reader and writer alive.
const READER: c_int = 1;
const WRITER: c_int = 2;

/// Bytes asked of the stream at once.
const FILL: usize = 16384;
/// Buffers above this size are not kept for another request.
const KEPT: usize = 16384;
/// The size of a piece that is the whole body.
const ALL: usize = usize::MAX;
/// A chunk up to this size is handed out in one piece.
const CHUNK: usize = 65536;
/// Interim responses to one request.
const INTERIM: u32 = 32;

/// What a call of [`Link::reply`] wants besides the head.
const WITH_BODY: i64 = 1;
/// But not that of a redirect, or one that is packed.
const NOT_ELSEWHERE: i64 = 2;
const NOT_PACKED: i64 = 4;
/// The go-ahead for the body of the request is enough.
const UNTIL_CONTINUE: i64 = 8;

/// What a call wants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// Everything given out, or an answer.
    Send,
    /// The same, then the head of the answer, and perhaps its body.
    Reply,
    /// A piece of the body.
    Piece,
}

/// How far a goal was reached.
enum Event {
    Wait(Interest),
    Moved,
    Sent,
    /// There is an answer to what was not sent completely.
    Answered,
    /// The peer wants the body of the request.
    Continue,
    Reply,
    Piece,
    /// The body is over.
    Over,
    Failed(Failure),
}

#[derive(Clone, Copy)]
enum Failure {
    /// The reader has the text.
    Reader,
    Words(&'static str),
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Failure {
        Failure::Words(wrong.text())
    }
}

/// A file on its way out.
struct File {
    fd: OwnedFd,
    offset: i64,
    left: u64,
}

/// One request and its answer.
struct State {
    out: Vec<u8>,
    sent: usize,
    file: Option<File>,
    /// The peer takes no more: what it answered tells why.
    refused: bool,
    scanner: Scanner,
    limits: Limits,
    asked: Asked,
    interim: u32,
    /// The head of the answer, until it is handed out, and whether it has come.
    head: Vec<u8>,
    status: u16,
    answered: bool,
    close: bool,
    chunked: bool,
    body: Body,
    max_body: u64,
    received: Vec<u8>,
}

/// A connection.
#[repr(C)]
pub struct Link {
    waiting: Waiting,
    reader: Reader,
    writer: Writer,
    goal: Cell<Goal>,
    direction: Cell<Interest>,
    wants: Cell<i64>,
    /// Size of a piece.
    want: Cell<usize>,
    /// Limit of a wait, and when a head must be there, and all of it.
    timeout: Cell<Nanoseconds>,
    head_end: Cell<Nanoseconds>,
    end: Cell<Nanoseconds>,
    /// When it was last used.
    used: Cell<Nanoseconds>,
    state: RefCell<State>,
}

crate::attempt!(Link);

impl UserData for Link {
    const NAME: &'static CStr = c"struct http_link *";
    const METHODS: Functions = functions! {
        begin: method(Link::begin),
        send: method(Link::send),
        send_file: method(Link::send_file),
        reply: method(Link::reply),
        piece: method(Link::piece),
        reusable: method(Link::reusable),
        fresh: method(Link::fresh),
        left: method(Link::left),
    };

    fn finalise(&self, _: Lua) {
        self.waiting.host.forget(&self.waiting.parked);
    }
}

/// `link(reader, writer)`.
pub fn new(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    let (Some(reader), Some(writer)) = (core.reader_at(lua, 1), core.writer_at(lua, 2)) else {
        return Err("not a stream".into());
    };
    lua.set_top(2);
    let slot = lua.reserve::<Link>(2, core.pointer());
    slot.fill(Link {
        waiting: Waiting::new::<Link>(core),
        reader,
        writer,
        goal: Cell::new(Goal::Send),
        direction: Cell::new(Interest::WRITE),
        wants: Cell::new(0),
        want: Cell::new(0),
        timeout: Cell::new(0),
        head_end: Cell::new(0),
        end: Cell::new(0),
        used: Cell::new(0),
        state: RefCell::new(State {
            out: Vec::new(),
            sent: 0,
            file: None,
            refused: false,
            scanner: Scanner::default(),
            limits: Limits {
                head: 0,
                headers: 0,
            },
            asked: Asked::Other,
            interim: 0,
            head: Vec::new(),
            status: 0,
            answered: false,
            close: true,
            chunked: false,
            body: Body::new(Framing::Length(0)),
            max_body: 0,
            received: Vec::new(),
        }),
    });
    lua.insert(1);
    lua.set_user_value(1, WRITER);
    lua.set_user_value(1, READER);
    Ok(Returns(1))
}

impl Attempt for Link {
    type Host = Core;

    fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    fn fd(&self) -> c_int {
        self.reader.fd()
    }

    fn direction(&self) -> Interest {
        self.direction.get()
    }

    fn attempt(&self, lua: Lua) -> Try {
        let event = {
            let mut state = self.state.borrow_mut();
            self.run(&mut state).unwrap_or_else(|event| event)
        };
        match self.tell(lua, event) {
            Ok(told) => told,
            Err(_) => {
                // The error value is on top: out of memory.
                lua.push_nil();
                lua.insert(-2);
                Try::Done(2)
            }
        }
    }

    fn end(&self, lua: Lua, end: End) -> Try {
        let text = match end {
            End::Timeout => "timeout",
            End::Canceled => "canceled",
        };
        self.fail(lua, Failure::Words(text))
    }

    fn limit(&self) -> Nanoseconds {
        let now = monotonic();
        let mut limit = match self.timeout.get() {
            0 => Nanoseconds::MAX,
            limit => limit,
        };
        for end in [self.head_end.get(), self.end.get()] {
            if end > 0 {
                limit = limit.min((end - now).max(1));
            }
        }
        match limit {
            Nanoseconds::MAX => 0,
            limit => limit,
        }
    }
}

impl Link {
    /// Nothing of Lua that may raise is called while this is held.
    fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// `begin(method, max_head, max_headers, max_body [, max_time])`: forgets the
    /// last request.
    fn begin(lua: Lua, this: &Link) -> Outcome {
        let asked = Asked::by(lua.string(2)?);
        let size = |index| {
            lua.integer(index)
                .map(|size| usize::try_from(size).unwrap_or(0))
        };
        let limits = Limits {
            head: size(3)?,
            headers: size(4)?,
        };
        let max_body = lua.integer(5)?.max(0) as u64;
        let end = this.waiting.host.timeout(lua, 6);
        this.head_end.set(0);
        this.end.set(match end {
            0 => 0,
            end => monotonic().saturating_add(end),
        });
        let mut state = this.state();
        state.reset();
        state.limits = limits;
        state.asked = asked;
        state.max_body = max_body;
        Ok(Returns(0))
    }

    /// Work towards `goal`, as the tail of a method.
    fn start(&self, lua: Lua, goal: Goal, timeout: Nanoseconds) -> Outcome {
        self.goal.set(goal);
        self.head_end.set(0);
        self.direction.set(match goal {
            Goal::Piece => Interest::READ,
            Goal::Send | Goal::Reply => Interest::WRITE,
        });
        self.timeout.set(timeout);
        attempt::start(self, lua, timeout)
    }

    /// Adds the string at `index` to what goes out.
    fn add(&self, lua: Lua, index: c_int) -> Result<(), Error> {
        let data = lua.string(index)?;
        let failed = {
            let out = &mut self.state().out;
            let failed = out.try_reserve(data.len()).is_err();
            if !failed {
                put(out, data);
            }
            failed
        };
        match failed {
            true => Err(lua.out_of_memory()),
            false => Ok(()),
        }
    }

    /// `send(data, timeout)`: true; false when the peer has answered already, or
    /// takes no more.
    fn send(lua: Lua, this: &Link) -> Outcome {
        this.waiting.check_idle()?;
        this.add(lua, 2)?;
        this.start(lua, Goal::Send, this.waiting.host.timeout(lua, 3))
    }

    /// `send_file(path, size, timeout)`: as `send`, of exactly that many bytes.
    fn send_file(lua: Lua, this: &Link) -> Outcome {
        this.waiting.check_idle()?;
        let left = lua.integer(3)?.max(0) as u64;
        let (fd, _) = match open_regular(lua.c_string(2)?) {
            Ok(Some(opened)) => opened,
            Ok(None) => return lua.fail("not a regular file"),
            Err(errno) => return lua.fail_errno(errno),
        };
        this.state().file = Some(File {
            fd,
            offset: 0,
            left,
        });
        this.start(lua, Goal::Send, this.waiting.host.timeout(lua, 4))
    }

    /// `reply(data, wants, timeout)`: sends the last of the request; gives the
    /// response, or true when the peer wants the body.
    fn reply(lua: Lua, this: &Link) -> Outcome {
        this.waiting.check_idle()?;
        this.wants.set(lua.integer(3)?);
        this.want.set(0);
        this.add(lua, 2)?;
        this.start(lua, Goal::Reply, this.waiting.host.timeout(lua, 4))
    }

    /// `piece(size, whole, timeout)`: the next bytes of the body, up to so many,
    /// or a chunk if `whole`; nil at its end.
    fn piece(lua: Lua, this: &Link) -> Outcome {
        this.waiting.check_idle()?;
        let want = usize::try_from(lua.integer(2)?).unwrap_or(0).max(1);
        let whole = lua.to_bool(3) && this.state().chunked;
        this.want.set(if whole { CHUNK } else { want });
        this.start(lua, Goal::Piece, this.waiting.host.timeout(lua, 4))
    }

    /// `reusable()`: nothing of the last answer is left, and more may be asked.
    fn reusable(lua: Lua, this: &Link) -> Outcome {
        this.used.set(monotonic());
        let state = this.state();
        let reusable =
            !state.close && !state.refused && state.body.finished() && this.reader.buffered() == 0;
        drop(state);
        // Gives an empty buffer back.
        this.reader.fill(0);
        lua.push_bool(reusable);
        Ok(Returns(1))
    }

    /// `fresh(limit)`: not idle for longer than that, and the peer neither closed
    /// it nor said anything.
    fn fresh(lua: Lua, this: &Link) -> Outcome {
        let fresh = this.time_left(lua) > 0
            && this.reader.buffered() == 0
            && matches!(this.reader.fill(FILL), Transfer::Blocked(_));
        lua.push_bool(fresh);
        Ok(Returns(1))
    }

    /// `left(limit)`: seconds until it has been idle for so long; not above 0 then.
    fn left(lua: Lua, this: &Link) -> Outcome {
        lua.push_integer(this.time_left(lua));
        lua.push_integer(1_000_000_000);
        lua.divide();
        Ok(Returns(1))
    }

    /// Of the limit at the second place.
    fn time_left(&self, lua: Lua) -> Nanoseconds {
        let limit = self.waiting.host.timeout(lua, 2);
        self.used.get().saturating_add(limit) - monotonic()
    }

    /// Go on until the goal is reached or the stream would block: at most one
    /// system call that moves anything.
    fn run(&self, state: &mut State) -> Result<Event, Event> {
        match self.goal.get() {
            Goal::Piece => return self.read_piece(state),
            goal => {
                if !state.refused {
                    self.write(state)?;
                }
                if goal == Goal::Send {
                    return Ok(match state.refused {
                        true => Event::Answered,
                        false => Event::Sent,
                    });
                }
            }
        }
        if !state.answered {
            if self.head_end.get() == 0 && self.timeout.get() > 0 {
                let end = monotonic().saturating_add(self.timeout.get());
                self.head_end.set(end);
                self.waiting.refresh();
            }
            if !self.read_head(state)? {
                self.fill(state)?;
                return Ok(Event::Moved);
            }
        }
        if self.want.get() != ALL {
            self.head_end.set(0);
            if !self.wants_body(state) {
                return Ok(Event::Reply);
            }
            self.want.set(ALL);
            self.waiting.refresh();
        }
        self.read_piece(state)
    }

    /// Write what is left of the request, and look for an answer meanwhile.
    fn write(&self, state: &mut State) -> Result<(), Event> {
        let moved = match state.out.get(state.sent..) {
            Some(rest @ [_, ..]) => self.writer.send(rest),
            _ => match state.file.as_mut().filter(|file| file.left > 0) {
                None => {
                    state.out.clear();
                    state.sent = 0;
                    state.file = None;
                    return Ok(());
                }
                Some(file) => {
                    let length = usize::try_from(file.left).unwrap_or(usize::MAX);
                    let fd = file.fd.as_raw_fd();
                    match self.writer.send_file(fd, &mut file.offset, length) {
                        // It ended before its size.
                        Transfer::Moved(0) => {
                            return Err(Event::Failed(Failure::Words("closed")));
                        }
                        Transfer::Moved(count) => {
                            file.left = file.left.saturating_sub(count as u64);
                            return Err(Event::Moved);
                        }
                        other => other,
                    }
                }
            },
        };
        match moved {
            Transfer::Moved(count) => {
                state.sent += count;
                if state.sent < state.out.len() || state.file.is_some() {
                    return Err(Event::Moved);
                }
                self.write(state)
            }
            Transfer::Failed => {
                state.refuse();
                Ok(())
            }
            Transfer::Blocked(_) => {
                if self.reader.buffered() == 0
                    && !self
                        .waiting
                        .host
                        .may_be_ready(self.reader.fd(), Interest::READ)
                {
                    return Err(Event::Wait(Interest::BOTH));
                }
                match self.reader.fill(FILL) {
                    Transfer::Blocked(_) => Err(Event::Wait(Interest::BOTH)),
                    Transfer::Moved(count) if count > 0 => {
                        if self.read_head(state)? {
                            state.refuse();
                            return Ok(());
                        }
                        Err(Event::Moved)
                    }
                    _ => {
                        state.refuse();
                        Ok(())
                    }
                }
            }
        }
    }

    /// Take the final head out of the stream; false when more bytes are needed.
    fn read_head(&self, state: &mut State) -> Result<bool, Event> {
        let failed = |why: Wrong| Event::Failed(why.into());
        while !state.answered {
            let State {
                scanner,
                limits,
                head,
                ..
            } = state;
            let scan = self.reader.peek(|buffer| {
                let scan = scanner.scan(buffer, limits);
                if let Scan::Complete(end) = scan {
                    reply::tidy(buffer.get(..end).unwrap_or(b""), head);
                }
                scan
            });
            match scan {
                Scan::Partial => return Ok(false),
                Scan::Wrong(why) => return Err(failed(why)),
                Scan::Complete(end) => self.reader.consume(end),
            }
            state.scanner = Scanner::default();
            let read = reply::parse(&state.head, state.asked).map_err(failed)?;
            let (status, framing, close) = (read.status, read.framing, read.close);
            if status < 200 && status != 101 {
                state.head.clear();
                state.interim += 1;
                if state.interim > INTERIM {
                    return Err(failed(Wrong::TooLarge));
                }
                if status == 100 && self.goal.get() == Goal::Reply && self.wants(UNTIL_CONTINUE) {
                    return Err(Event::Continue);
                }
                continue;
            }
            state.answered = true;
            state.status = status;
            state.close = close || status == 101;
            state.chunked = framing == Framing::Chunked;
            state.body = Body::new(framing);
        }
        Ok(true)
    }

    fn wants(&self, what: i64) -> bool {
        self.wants.get() & what != 0
    }

    /// Whether the body is part of the reply; if so it comes as one piece.
    fn wants_body(&self, state: &State) -> bool {
        let elsewhere = matches!(state.status, 301 | 302 | 303 | 307 | 308);
        let packed = || {
            reply::parse(&state.head, state.asked).is_ok_and(|read| {
                let mut fields = read.fields.flatten();
                fields.any(|(name, _)| name.eq_ignore_ascii_case(b"content-encoding"))
            })
        };
        self.wants(WITH_BODY)
            && state.status != 101
            && !(elsewhere && self.wants(NOT_ELSEWHERE))
            && !(self.wants(NOT_PACKED) && packed())
    }

    /// Collect the bytes that a call wants of the body, or all of a chunk.
    fn read_piece(&self, state: &mut State) -> Result<Event, Event> {
        let failed = |words| Event::Failed(Failure::Words(words));
        let want = self.want.get();
        let done = match self.goal.get() {
            Goal::Piece => Event::Piece,
            _ => Event::Reply,
        };
        loop {
            let State { body, received, .. } = state;
            let Ok((skip, length)) = self.reader.peek(|buffer| body.step(buffer)) else {
                return Err(failed(match body.in_trailer() {
                    true => "invalid http trailer",
                    false => "not a vaild http chunked body",
                }));
            };
            let length = length.min(want - received.len());
            if body.taken().saturating_add(length as u64) > state.max_body
                || body.exact().is_some_and(|left| left > state.max_body)
            {
                return Err(failed("response body too large"));
            }
            if received.try_reserve(length).is_err() {
                *received = Vec::new();
                return Err(failed("not enough memory"));
            }
            self.reader.peek(|buffer| {
                let payload = buffer.get(skip..).and_then(|rest| rest.get(..length));
                put(received, payload.unwrap_or(b""));
            });
            body.take(length);
            self.reader.consume(skip + length);
            let some = !received.is_empty();
            let enough = match want {
                ALL => false,
                CHUNK => body.chunk() == 0,
                _ => true,
            };
            if some && (enough || received.len() >= want) {
                return Ok(done);
            }
            if body.finished() {
                return Ok(match done {
                    Event::Piece if !some => Event::Over,
                    done => done,
                });
            }
            if length == 0 {
                self.fill(state)?;
                if !state.body.finished() {
                    return Ok(Event::Moved);
                }
            }
        }
    }

    /// Read once into the reader's buffer; the end of the stream may be that of
    /// the body.
    fn fill(&self, state: &mut State) -> Result<(), Event> {
        match self.reader.fill(FILL) {
            Transfer::Moved(0) => match state.answered && state.body.end() {
                true => Ok(()),
                false => Err(Event::Failed(Failure::Words("closed"))),
            },
            Transfer::Moved(_) => Ok(()),
            Transfer::Blocked(direction) => Err(Event::Wait(direction)),
            Transfer::Failed => Err(Event::Failed(Failure::Reader)),
        }
    }

    /// What an event means to the engine that waits; results are pushed.
    fn tell(&self, lua: Lua, event: Event) -> Result<Try, Error> {
        match event {
            Event::Wait(direction) => {
                self.direction.set(direction);
                return Ok(Try::Again(direction));
            }
            Event::Moved => return Ok(Try::Moved),
            Event::Failed(failure) => return Ok(self.fail(lua, failure)),
            Event::Sent | Event::Continue => lua.push_bool(true),
            Event::Answered => lua.push_bool(false),
            Event::Over => lua.push_nil(),
            Event::Piece => self.hand_out(
                lua,
                |state| &mut state.received,
                |lua, bytes| {
                    lua.push_bytes(bytes);
                },
            )?,
            Event::Reply => {
                self.hand_out(lua, |state| &mut state.head, push_head)?;
                if self.want.get() == ALL {
                    self.hand_out(
                        lua,
                        |state| &mut state.received,
                        |lua, bytes| {
                            lua.push_bytes(bytes);
                        },
                    )?;
                    lua.set_field(-2, c"body");
                }
            }
        }
        Ok(Try::Done(1))
    }

    /// Push something made of bytes that are then dropped.
    fn hand_out(
        &self,
        lua: Lua,
        which: fn(&mut State) -> &mut Vec<u8>,
        push: fn(Lua, &[u8]),
    ) -> Result<(), Error> {
        let mut bytes = take(which(&mut self.state()));
        let result = lua.protect(1, &(push, &bytes[..]), |lua, &(push, bytes)| {
            push(lua, bytes)
        });
        if bytes.capacity() <= KEPT {
            bytes.clear();
            *which(&mut self.state()) = bytes;
        }
        result
    }

    /// Push `nil, message`, and whether nothing of an answer has come.
    fn fail(&self, lua: Lua, failure: Failure) -> Try {
        let (silent, refused, framed) = {
            let mut state = self.state();
            state.close = true;
            let silent = !state.answered && state.interim == 0 && self.reader.buffered() == 0;
            (
                silent,
                silent && state.refused,
                state.answered && !state.chunked,
            )
        };
        lua.push_nil();
        lua.push_str(if framed { "read body fail: " } else { "" });
        match failure {
            _ if refused => self.writer.push_error(lua),
            Failure::Reader => self.reader.push_error(lua),
            Failure::Words(words) => lua.push_str(words),
        }
        lua.concat(2);
        lua.push_bool(silent);
        Try::Done(3)
    }
}

impl State {
    /// Forget the last request, and memory that few need.
    fn reset(&mut self) {
        for bytes in [&mut self.out, &mut self.head, &mut self.received] {
            bytes.clear();
            bytes.shrink_to(KEPT);
        }
        self.sent = 0;
        self.file = None;
        self.refused = false;
        self.scanner = Scanner::default();
        self.interim = 0;
        self.answered = false;
        self.close = true;
        self.chunked = false;
        self.body = Body::new(Framing::Length(0));
    }

    /// The peer takes no more of the request.
    fn refuse(&mut self) {
        self.refused = true;
        self.file = None;
    }
}

/// Push the response that a head tells of; body of a protected call.
fn push_head(lua: Lua, head: &[u8]) {
    lua.push_table(0, 4);
    let Ok(read) = reply::parse(head, Asked::Other) else {
        return;
    };
    lua.set_integer(-1, c"code", i64::from(read.status));
    lua.set_bytes(-1, c"status", read.reason);
    lua.push_table(0, 8);
    for (name, value) in read.fields.flatten() {
        push_name(lua, name);
        lua.push_bytes(value);
        lua.raw_set(-3);
    }
    lua.set_field(-2, c"headers");
}
