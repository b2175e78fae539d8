//! A link: messages from the server to what a script is told, requests to the
//! server.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};

use super::values::{self, Kind};
use crate::abi::attempt;
use crate::abi::Core;
use crate::functions;
use crate::lua::ffi::LUA_MULTRET;
use crate::lua::{method, Functions, Lua, Outcome, Returns, UserData};
use crate::modules::database::batch::{self, Batch};
use crate::modules::database::exchange::{Exchange, Look, ROW};
use crate::postgres::message::{parse, Columns, Fields, Frame, Front, Malformed, Message, Row};
use crate::postgres::write::{self, Refused};

/// Places in the table of what a script will be told.
const ROWS: i64 = 1;
const NAMES: i64 = 2;
const TAG: i64 = 3;
const PROBLEM: i64 = 4;
const PARAMETERS: i64 = 5;

/// Settings of the server that are kept.
const MOST_PARAMETERS: u32 = 64;

/// How the rows that come are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// With the end of the exchange.
    Whole,
    /// Not at all.
    Discard,
    /// Each part, as soon as it is whole.
    Parts,
}

#[repr(C)]
pub struct Link {
    exchange: Exchange,
    /// Anchor of the table of what a script will be told.
    told: Cell<c_int>,
    kinds: RefCell<Vec<Kind>>,
    /// Rows in the table.
    rows: Cell<i64>,
    mode: Cell<Mode>,
    /// Columns came, and their statement is not complete.
    described: Cell<bool>,
    /// The server has greeted.
    ready: Cell<bool>,
    /// Several statements as they are: their end ends the exchange.
    simple: Cell<bool>,
    /// Values of `bytea` are bytes.
    decode: bool,
    largest: usize,
    parameters: Cell<u32>,
    key: Cell<(u32, u32)>,
}

crate::exchange!(Link, take);

const MALFORMED: &str = "malformed message of the server";

impl From<Malformed> for Look {
    fn from(_: Malformed) -> Look {
        Look::Fatal(MALFORMED)
    }
}

/// `link(largest, decode)` -> link.
pub fn new(lua: Lua) -> Outcome {
    let largest = lua.within(1, 1024, 1 << 30)? as usize;
    let decode = lua.to_bool(2);
    let core = Core::of(lua);
    let slot = lua.reserve::<Link>(2, core.pointer());
    let link = slot.fill(Link {
        exchange: Exchange::new::<Link>(core),
        told: Cell::new(crate::lua::ffi::LUA_NOREF),
        kinds: RefCell::default(),
        rows: Cell::new(0),
        mode: Cell::new(Mode::Whole),
        described: Cell::new(false),
        ready: Cell::new(false),
        simple: Cell::new(false),
        decode,
        largest,
        parameters: Cell::new(0),
        key: Cell::new((0, 0)),
    });
    lua.push_table(5, 0);
    lua.push_table(0, 16);
    lua.raw_set_index(-2, PARAMETERS);
    link.told.set(lua.reference());
    Ok(Returns(1))
}

/// Adds rows to the table; body of a protected call.
fn push_rows(lua: Lua, batch: &Batch<Link, Kind>) {
    let link = batch.link;
    lua.push_reference(link.told.get());
    lua.raw_get_index(1, ROWS);
    lua.raw_get_index(1, NAMES);
    for _ in 0..ROW {
        let rest = batch.received.get(batch.taken.get()..).unwrap_or_default();
        let Ok(Front::Message(frame @ Frame { kind: b'D', .. })) = Frame::read(rest, link.largest)
        else {
            break;
        };
        let row = match Row::read(frame.body) {
            Ok(row) if row.count() == batch.kinds.len() => row,
            _ => return batch.malformed.set(true),
        };
        lua.push_table(0, row.count() as c_int);
        for (place, (value, &kind)) in row.zip(batch.kinds).enumerate() {
            lua.raw_get_index(3, place as i64 + 1);
            match value {
                Some(text) => values::push(lua, kind, text, link.decode),
                None => lua.push_nil(),
            }
            lua.raw_set(4);
        }
        link.rows.set(link.rows.get() + 1);
        lua.raw_set_index(2, link.rows.get());
        batch.taken.set(batch.taken.get() + frame.total());
    }
}

/// What a script is told, or will be.
enum Told<'a> {
    Authentication(u32, &'a [u8]),
    Parameter(&'a [u8], &'a [u8]),
    Ready(u8),
    Columns(Columns<'a>),
    Complete(&'a [u8]),
    /// A part of the rows, behind the type of the message that ends it.
    Part(&'static str),
    Problem(Fields<'a>),
    /// The same, at once.
    Ends(Fields<'a>),
}

/// Pushes it, or puts it into the table; body of a protected call.
fn push_told(lua: Lua, (link, told): &(&Link, Told)) {
    lua.push_reference(link.told.get());
    match *told {
        Told::Authentication(kind, data) => {
            lua.push_str("R");
            lua.push_integer(kind.into());
            lua.push_bytes(data);
        }
        Told::Parameter(name, value) => {
            lua.raw_get_index(1, PARAMETERS);
            lua.push_bytes(name);
            lua.push_bytes(value);
            lua.raw_set(2);
            lua.set_top(1);
        }
        Told::Ready(status) => {
            lua.push_str("Z");
            lua.push_bytes(&[status]);
            link.push_part(lua);
            for place in [PROBLEM, TAG] {
                lua.raw_get_index(1, place);
                lua.push_nil();
                lua.raw_set_index(1, place);
            }
        }
        Told::Columns(columns) => {
            lua.push_table(columns.count() as c_int, 0);
            for (place, column) in columns.enumerate() {
                lua.push_bytes(column.name);
                lua.raw_set_index(2, place as i64 + 1);
            }
            lua.raw_set_index(1, NAMES);
            link.new_rows(lua);
        }
        Told::Complete(tag) => {
            if !link.described.get() {
                link.new_rows(lua);
            }
            lua.push_bytes(tag);
            lua.raw_set_index(1, TAG);
        }
        Told::Part(kind) => {
            lua.push_str(kind);
            link.push_part(lua);
            link.new_rows(lua);
        }
        Told::Problem(fields) => {
            push_problem(lua, fields);
            lua.raw_set_index(1, PROBLEM);
        }
        Told::Ends(fields) => {
            lua.push_str("E");
            push_problem(lua, fields);
        }
    }
    lua.remove(1);
}

const FIELDS: [(u8, &CStr); 16] = [
    (b'M', c"message"),
    (b'C', c"code"),
    (b'S', c"severity"),
    (b'V', c"severity"),
    (b'D', c"detail"),
    (b'H', c"hint"),
    (b'P', c"position"),
    (b'p', c"internal_position"),
    (b'q', c"internal_query"),
    (b'W', c"where"),
    (b's', c"schema"),
    (b't', c"table"),
    (b'c', c"column"),
    (b'd', c"datatype"),
    (b'n', c"constraint"),
    (b'R', c"routine"),
];

/// Pushes the table of an error. May raise.
fn push_problem(lua: Lua, fields: Fields) {
    lua.push_table(0, 8);
    for (letter, name) in FIELDS {
        if let Some(text) = fields.find(letter) {
            lua.set_bytes(-1, name, text);
        }
    }
}

/// Whether the server ends the connection with it.
fn is_last(fields: Fields) -> bool {
    let severity = fields.find(b'V').or(fields.find(b'S'));
    matches!(severity, Some(b"FATAL" | b"PANIC"))
}

impl Link {
    /// An empty table for rows, at its place in that at 1. May raise.
    fn new_rows(&self, lua: Lua) {
        lua.push_table(0, 0);
        lua.raw_set_index(1, ROWS);
        self.rows.set(0);
    }

    /// Pushes the rows there are. May raise.
    fn push_part(&self, lua: Lua) {
        lua.raw_get_index(1, ROWS);
        lua.push_nil();
        lua.raw_set_index(1, ROWS);
        self.rows.set(0);
    }

    /// Takes messages from the front of what was received.
    fn take(&self, lua: Lua, received: &[u8]) -> Look {
        let mut taken = 0;
        for _ in 0..ROW {
            let rest = received.get(taken..).unwrap_or_default();
            let frame = match Frame::read(rest, self.largest) {
                Ok(Front::Message(frame)) => frame,
                Ok(Front::Missing(missing)) if taken == 0 => return Look::Missing(missing),
                Ok(Front::Missing(_)) => break,
                Ok(Front::TooLarge) => return Look::Fatal("message of the server too large"),
                Err(malformed) => return malformed.into(),
            };
            let look = if frame.kind == b'D' && self.mode.get() != Mode::Discard {
                self.take_rows(lua, rest)
            } else {
                self.take_message(lua, frame)
            };
            match look {
                Look::Took(count) => taken += count,
                Look::Told(count, results) => return Look::Told(taken + count, results),
                look => return look,
            }
        }
        Look::Took(taken)
    }

    /// Takes rows, one at least.
    fn take_rows(&self, lua: Lua, received: &[u8]) -> Look {
        if !self.described.get() {
            return Look::Fatal(MALFORMED);
        }
        let malformed = Look::Fatal(MALFORMED);
        batch::take(lua, self, &self.kinds, received, malformed, push_rows)
    }

    fn take_message(&self, lua: Lua, frame: Frame) -> Look {
        let message = match parse(frame) {
            Ok(message) => message,
            Err(malformed) => return malformed.into(),
        };
        let took = Look::Took(frame.total());
        let parts = self.mode.get() == Mode::Parts;
        let told = match message {
            Message::Nothing | Message::Row(_) | Message::Authentication(0, _) => return took,
            Message::Authentication(kind, data) => Told::Authentication(kind, data),
            Message::Key(process, secret) => {
                self.key.set((process, secret));
                return took;
            }
            Message::Parameter(name, value) => {
                self.parameters.set(self.parameters.get().saturating_add(1));
                if self.ready.get() || self.parameters.get() > MOST_PARAMETERS {
                    return took;
                }
                Told::Parameter(name, value)
            }
            Message::Ready(status) => {
                self.ready.set(true);
                self.described.set(false);
                Told::Ready(status)
            }
            Message::Columns(columns) => {
                let mut kinds = self.kinds.borrow_mut();
                kinds.clear();
                if kinds.try_reserve(columns.count()).is_err() {
                    return Look::Fatal("not enough memory");
                }
                kinds.extend(columns.map(|column| Kind::of(column.oid)));
                self.described.set(true);
                Told::Columns(columns)
            }
            Message::Complete(_) if parts => {
                self.described.set(false);
                Told::Part("C")
            }
            Message::Suspended => Told::Part("s"),
            Message::Complete(tag) => Told::Complete(tag),
            Message::Error(fields) if !self.ready.get() || parts || is_last(fields) => {
                Told::Ends(fields)
            }
            Message::Error(fields) => Told::Problem(fields),
            Message::CopyIn => return self.refuse_copy(took),
        };
        let completes = matches!(told, Told::Complete(_));
        let before = lua.top();
        match lua.protect(LUA_MULTRET, &(self, told), push_told) {
            Err(error) => return error.into(),
            Ok(()) if completes => self.described.set(false),
            Ok(()) => {}
        }
        match lua.top() - before {
            0 => took,
            results => Look::Told(frame.total(), results),
        }
    }

    /// We have no rows to copy.
    fn refuse_copy(&self, took: Look) -> Look {
        let mut out = self.exchange.out.borrow_mut();
        // While it copies, the server skips what would end the exchange.
        let end: &[u8] = if self.simple.get() {
            b""
        } else {
            b"S\0\0\0\x04"
        };
        let parts = [&b"f\0\0\0\x1aCOPY is not supported\0"[..], end];
        if out.try_reserve(64).is_err() {
            return Look::Fatal("not enough memory");
        }
        out.extend(parts.into_iter().flatten());
        took
    }

    // ---- methods -------------------------------------------------------------------

    fn attach(lua: Lua, link: &Link) -> Outcome {
        link.exchange.attach(lua)?;
        Ok(Returns(0))
    }

    /// `link:put(bytes)`: a message as it is.
    fn put(lua: Lua, link: &Link) -> Outcome {
        let bytes = lua.string(2)?;
        let reserved = {
            let mut out = link.exchange.out.borrow_mut();
            let reserved = out.try_reserve(bytes.len());
            if reserved.is_ok() {
                out.extend_from_slice(bytes);
            }
            reserved.is_ok()
        };
        if !reserved {
            return Err(lua.out_of_memory());
        }
        Ok(Returns(0))
    }

    /// `link:query(sql)` -> true, or nil and a message.
    fn query(lua: Lua, link: &Link) -> Outcome {
        let sql = lua.string(2)?;
        link.simple.set(true);
        let written = write::query(&mut link.exchange.out.borrow_mut(), sql);
        end(lua, written)
    }

    /// `link:prepare(name, sql)` -> true, or nil and a message.
    fn prepare(lua: Lua, link: &Link) -> Outcome {
        let (name, sql) = (lua.string(2)?, lua.string(3)?);
        link.simple.set(false);
        let written = link.write(|out| {
            write::parse(out, name, sql)?;
            write::describe(out, name)?;
            write::plain(out, b'S')
        });
        end(lua, written)
    }

    /// `link:execute(name, sql, most, ...)` -> true, or nil and a message: with
    /// text, prepares it first; `most` rows, or, if that is 0, all.
    fn execute(lua: Lua, link: &Link) -> Outcome {
        const FIRST: c_int = 5;
        let most = lua.within(4, 0, 1 << 30)? as u32;
        values::to_texts(lua, FIRST);
        let name = lua.string(2)?;
        let count = (lua.top() - FIRST + 1).max(0) as usize;
        link.simple.set(false);
        let written = link.write(|out| {
            if let Some(sql) = lua.bytes(3) {
                write::parse(out, name, sql)?;
            }
            write::bind(out, name, count, &mut |place, put| {
                put(lua.bytes(FIRST + place as c_int))
            })?;
            write::execute(out, most)?;
            write::plain(out, if most == 0 { b'S' } else { b'H' })
        });
        end(lua, written)
    }

    /// `link:more(most)`: rows of what was executed.
    fn more(lua: Lua, link: &Link) -> Outcome {
        let most = lua.within(2, 1, 1 << 30)? as u32;
        let written = link.write(|out| {
            write::execute(out, most)?;
            write::plain(out, b'H')
        });
        end(lua, written)
    }

    /// Writes all of it, or nothing.
    fn write(&self, body: impl FnOnce(&mut Vec<u8>) -> Result<(), Refused>) -> Result<(), Refused> {
        let mut out = self.exchange.out.borrow_mut();
        let length = out.len();
        let written = body(&mut out);
        if written.is_err() {
            out.truncate(length);
        }
        written
    }

    /// `link:run(limit, mode)` -> what came, behind the type of the message that
    /// ended the wait; or nil and a message. Mode 0 tells rows at the end, 1 not
    /// at all, 2 in parts.
    fn run(lua: Lua, link: &Link) -> Outcome {
        link.exchange.limit(lua, 2)?;
        link.mode.set(match lua.within(3, 0, 2)? {
            0 => Mode::Whole,
            1 => Mode::Discard,
            _ => Mode::Parts,
        });
        attempt::start(link, lua, link.exchange.left())
    }

    fn cancel(_: Lua, link: &Link) -> Outcome {
        link.exchange.cancel();
        Ok(Returns(0))
    }

    /// `link:is_writing()` -> whether a request is not written to its end.
    fn is_writing(lua: Lua, link: &Link) -> Outcome {
        lua.push_bool(!link.exchange.out.borrow().is_empty());
        Ok(Returns(1))
    }

    /// `link:key()` -> what a cancel request names: process, secret.
    fn key(lua: Lua, link: &Link) -> Outcome {
        let (process, secret) = link.key.get();
        lua.push_integer(process.into());
        lua.push_integer(secret.into());
        Ok(Returns(2))
    }

    /// `link:parameters()` -> settings that the server told at the start.
    fn server_parameters(lua: Lua, link: &Link) -> Outcome {
        lua.push_reference(link.told.get());
        lua.raw_get_index(-1, PARAMETERS);
        Ok(Returns(1))
    }
}

/// Ends a call that wrote a request.
fn end(lua: Lua, written: Result<(), Refused>) -> Outcome {
    match written {
        Ok(()) => {
            lua.push_bool(true);
            Ok(Returns(1))
        }
        Err(Refused::Memory) => Err(lua.out_of_memory()),
        Err(Refused::TooLarge) => lua.fail("statement or parameter too long"),
        Err(Refused::Parameters) => lua.fail("too many parameters"),
        Err(Refused::Nul) => lua.fail("NUL byte in a statement"),
    }
}

impl UserData for Link {
    const NAME: &'static CStr = c"eco.postgres.link";
    const METHODS: Functions = functions! {
        attach: method(Link::attach),
        put: method(Link::put),
        query: method(Link::query),
        prepare: method(Link::prepare),
        execute: method(Link::execute),
        more: method(Link::more),
        run: method(Link::run),
        cancel: method(Link::cancel),
        is_writing: method(Link::is_writing),
        key: method(Link::key),
        parameters: method(Link::server_parameters),
    };

    fn finalise(&self, lua: Lua) {
        self.exchange.core.forget(&self.exchange.waiting.parked);
        lua.unreference(self.told.get());
    }
}
