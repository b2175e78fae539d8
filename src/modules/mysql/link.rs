//! A link: packets of the server to what a script is told, requests to the server.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};

use super::values::{self, Kind};
use crate::abi::attempt;
use crate::abi::Core;
use crate::functions;
use crate::lua::ffi::{LUA_MULTRET, LUA_NOREF};
use crate::lua::{method, Functions, Lua, Outcome, Returns, UserData};
use crate::modules::database::batch::{self, Batch};
use crate::modules::database::exchange::{Exchange, Look, ROW};
use crate::mysql::packet::{
    end_of_part, front, join, Bytes, Column, Done, Front, Greeting, Malformed, Prepared, Problem,
    CURSOR, HEADER, MORE_RESULTS,
};
use crate::mysql::write::{self, Refused};

/// Places in the table of what a script will be told.
const ROWS: i64 = 1;
const NAMES: i64 = 2;

/// Columns that a statement may have.
const MOST_COLUMNS: u64 = 4096;

/// What the server says next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing.
    Idle,
    Greeting,
    /// Whether it believes who we are.
    Login,
    /// What came of a statement.
    Answer,
    /// Columns of rows that follow, so many.
    Columns(u16),
    ColumnsEnd,
    Rows,
    /// What came of preparing a statement.
    Prepared,
    /// Columns that are passed over, and then as many of the others.
    Passed(u16, u16),
    PassedEnd(u16),
}

#[repr(C)]
pub struct Link {
    exchange: Exchange,
    /// Anchor of the table of what a script will be told.
    told: Cell<c_int>,
    phase: Cell<Phase>,
    /// Number of the packet that is due.
    number: Cell<u8>,
    kinds: RefCell<Vec<Kind>>,
    /// Rows in the table.
    rows: Cell<i64>,
    /// Rows are of the binary form.
    binary: Cell<bool>,
    discard: Cell<bool>,
    prepared: Cell<Prepared>,
    largest: usize,
}

crate::exchange!(Link, take);

const MALFORMED: Look = Look::Fatal("malformed packet of the server");

impl From<Malformed> for Look {
    fn from(_: Malformed) -> Look {
        MALFORMED
    }
}

/// `link(largest)` -> link.
pub fn new(lua: Lua) -> Outcome {
    let largest = lua.within(1, 1024, 1 << 30)? as usize;
    let core = Core::of(lua);
    let slot = lua.reserve::<Link>(2, core.pointer());
    let link = slot.fill(Link {
        exchange: Exchange::new::<Link>(core),
        told: Cell::new(LUA_NOREF),
        phase: Cell::new(Phase::Greeting),
        number: Cell::new(0),
        kinds: RefCell::default(),
        rows: Cell::new(0),
        binary: Cell::new(false),
        discard: Cell::new(false),
        prepared: Cell::new(Prepared {
            id: 0,
            columns: 0,
            parameters: 0,
        }),
        largest,
    });
    lua.push_table(2, 0);
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
        let Ok(Front::Packet { body, total, .. }) = front(rest, link.largest, link.number.get())
        else {
            break;
        };
        if is_end(body) {
            break;
        }
        if values::push_row(lua, 3, batch.kinds, body, link.binary.get()).is_err() {
            return batch.malformed.set(true);
        }
        link.rows.set(link.rows.get() + 1);
        lua.raw_set_index(2, link.rows.get());
        link.number.set(link.number.get().wrapping_add(1));
        batch.taken.set(batch.taken.get() + total);
    }
}

/// Adds the one row of a packet that was put together; body of a protected call.
fn push_whole(lua: Lua, batch: &Batch<Link, Kind>) {
    let link = batch.link;
    lua.push_reference(link.told.get());
    lua.raw_get_index(1, ROWS);
    lua.raw_get_index(1, NAMES);
    let pushed = values::push_row(lua, 3, batch.kinds, batch.received, link.binary.get());
    if pushed.is_err() {
        return batch.malformed.set(true);
    }
    link.rows.set(link.rows.get() + 1);
    lua.raw_set_index(2, link.rows.get());
}

/// Whether a packet is the end of rows, or what went wrong in their place.
fn is_end(body: &[u8]) -> bool {
    match body.first() {
        Some(0xfe) => body.len() < 9,
        Some(0xff) => true,
        _ => false,
    }
}

/// What a script is told.
enum Told<'a> {
    Greeting(Greeting<'a>),
    /// More is asked for, with this data: `switch` to another way, or its next step.
    Ask(bool, &'a [u8]),
    Done(Done),
    /// Rows have come to an end, or a part of them.
    Rows(u16),
    Prepared(Prepared),
    Problem(Problem<'a>),
    /// A place for rows, and the name of the first column.
    Column(u16, &'a [u8]),
}

/// Pushes it, or puts it into the table; body of a protected call.
fn push_told(lua: Lua, (link, told): &(&Link, Told)) {
    lua.push_reference(link.told.get());
    match *told {
        Told::Greeting(greeting) => {
            lua.push_str("greeting");
            lua.push_integer(greeting.capabilities.into());
            lua.push_bytes(&greeting.salt);
            lua.push_bytes(greeting.plugin);
            lua.push_bytes(greeting.version);
            lua.push_integer(greeting.id.into());
        }
        Told::Ask(switch, data) => {
            lua.push_str(if switch { "switch" } else { "more" });
            lua.push_bytes(data);
        }
        Told::Done(done) => {
            lua.push_str("done");
            lua.push_integer(done.state.into());
            lua.push_nil();
            lua.push_integer(done.affected as i64);
            lua.push_integer(done.id as i64);
        }
        Told::Rows(state) => {
            lua.push_str("rows");
            lua.push_integer(state.into());
            lua.raw_get_index(1, ROWS);
            lua.push_table(0, 0);
            lua.raw_set_index(1, ROWS);
            link.rows.set(0);
        }
        Told::Prepared(prepared) => {
            lua.push_str("prepared");
            lua.push_integer(prepared.id.into());
            lua.push_integer(prepared.parameters.into());
        }
        Told::Problem(problem) => {
            lua.push_str("problem");
            lua.push_table(0, 3);
            lua.set_integer(-1, c"number", problem.number.into());
            lua.set_bytes(-1, c"code", problem.state);
            lua.set_bytes(-1, c"message", problem.message);
        }
        Told::Column(place, name) => {
            if place == 0 {
                lua.push_table(0, 0);
                lua.raw_set_index(1, NAMES);
                lua.push_table(0, 0);
                lua.raw_set_index(1, ROWS);
                link.rows.set(0);
            }
            lua.raw_get_index(1, NAMES);
            lua.push_bytes(name);
            lua.raw_set_index(2, i64::from(place) + 1);
            lua.set_top(1);
        }
    }
    lua.remove(1);
}

impl Link {
    /// Takes packets from the front of what was received.
    fn take(&self, lua: Lua, received: &[u8]) -> Look {
        let mut taken = 0;
        for _ in 0..ROW {
            let rest = received.get(taken..).unwrap_or_default();
            let found = match front(rest, self.largest, self.number.get()) {
                Ok(found) => found,
                Err(malformed) => return malformed.into(),
            };
            let look = match found {
                Front::Missing(missing) if taken == 0 => return Look::Missing(missing),
                Front::Missing(_) => break,
                Front::TooLarge => return Look::Fatal("packet of the server too large"),
                Front::Parts { number, total } => {
                    self.take_parts(lua, rest.get(..total).unwrap_or_default(), number)
                }
                Front::Packet {
                    body,
                    number,
                    total,
                } => {
                    if self.phase.get() == Phase::Rows && !is_end(body) && !self.discard.get() {
                        self.take_rows(lua, rest, push_rows)
                    } else {
                        self.number.set(number.wrapping_add(1));
                        self.take_packet(lua, body, total)
                    }
                }
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
    fn take_rows(&self, lua: Lua, received: &[u8], push: fn(Lua, &Batch<Link, Kind>)) -> Look {
        batch::take(lua, self, &self.kinds, received, MALFORMED, push)
    }

    /// Takes a packet of several parts, which only a row can be.
    fn take_parts(&self, lua: Lua, parts: &[u8], number: u8) -> Look {
        if self.phase.get() != Phase::Rows {
            return MALFORMED;
        }
        self.number.set(number.wrapping_add(1));
        let took = Look::Took(parts.len());
        if self.discard.get() {
            return took;
        }
        let mut whole = Vec::new();
        let look = if join(parts, &mut whole) {
            self.take_rows(lua, &whole, push_whole)
        } else {
            Look::Fatal("not enough memory")
        };
        match look {
            Look::Took(_) => took,
            look => look,
        }
    }

    /// Takes any other packet.
    fn take_packet(&self, lua: Lua, body: &[u8], total: usize) -> Look {
        debug_assert!(total >= HEADER + body.len());
        match self.told(body) {
            Err(malformed) => malformed.into(),
            Ok(None) => Look::Took(total),
            Ok(Some(told)) => {
                let before = lua.top();
                match lua.protect(LUA_MULTRET, &(self, told), push_told) {
                    Err(error) => error.into(),
                    Ok(()) => match lua.top() - before {
                        0 => Look::Took(total),
                        results => Look::Told(total, results),
                    },
                }
            }
        }
    }

    /// What a packet means in the phase there is, and which comes next.
    fn told<'a>(&self, body: &'a [u8]) -> Result<Option<Told<'a>>, Malformed> {
        let phase = self.phase.get();
        let mut next = Phase::Idle;
        let first = *body.first().ok_or(Malformed)?;
        let may_fail = !matches!(phase, Phase::Columns(_) | Phase::Passed(..) | Phase::Idle);
        if first == 0xff && may_fail {
            self.phase.set(Phase::Idle);
            return Problem::read(body).map(|problem| Some(Told::Problem(problem)));
        }
        let told = match (phase, first) {
            (Phase::Greeting, _) => {
                next = Phase::Login;
                Some(Told::Greeting(Greeting::read(body)?))
            }
            (Phase::Login | Phase::Answer, 0) => Some(Told::Done(Done::read(body)?)),
            (Phase::Login, 0xfe | 1) => {
                next = Phase::Login;
                Some(Told::Ask(first == 0xfe, body.get(1..).unwrap_or_default()))
            }
            // 0xfb would be the server's wish for a file of ours.
            (Phase::Answer, _) => {
                let mut rest = Bytes(body);
                let count = rest.number()?;
                rest.end()?;
                if count > MOST_COLUMNS {
                    return Err(Malformed);
                }
                next = Phase::Columns(count as u16);
                self.kinds.borrow_mut().clear();
                None
            }
            (Phase::Columns(left), _) => {
                let column = Column::read(body)?;
                let mut kinds = self.kinds.borrow_mut();
                let place = kinds.len() as u16;
                if kinds.try_reserve(1).is_err() {
                    return Err(Malformed);
                }
                kinds.push(Kind::of(&column));
                next = match left {
                    0 | 1 => Phase::ColumnsEnd,
                    left => Phase::Columns(left - 1),
                };
                Some(Told::Column(place, column.name))
            }
            (Phase::ColumnsEnd, _) => {
                let state = end_of_part(body).ok_or(Malformed)??;
                if state & CURSOR != 0 {
                    Some(Told::Rows(state))
                } else {
                    next = Phase::Rows;
                    None
                }
            }
            (Phase::Rows, 0xfe) if body.len() < 9 => {
                Some(Told::Rows(end_of_part(body).ok_or(Malformed)??))
            }
            // Rows that nobody wants.
            (Phase::Rows, _) => {
                next = Phase::Rows;
                None
            }
            (Phase::Prepared, 0) => {
                let prepared = Prepared::read(body)?;
                self.prepared.set(prepared);
                return Ok(self.pass_over(prepared.parameters, prepared.columns));
            }
            (Phase::Passed(left, then), _) => {
                Column::read(body)?;
                next = match left {
                    0 | 1 => Phase::PassedEnd(then),
                    left => Phase::Passed(left - 1, then),
                };
                None
            }
            (Phase::PassedEnd(then), _) => {
                end_of_part(body).ok_or(Malformed)??;
                return Ok(self.pass_over(then, 0));
            }
            _ => return Err(Malformed),
        };
        if let Some(Told::Done(Done { state, .. }) | Told::Rows(state)) = told {
            if state & MORE_RESULTS != 0 {
                next = Phase::Answer;
            }
        }
        self.phase.set(next);
        Ok(told)
    }

    /// Columns that are not needed follow, or the statement is prepared.
    fn pass_over<'a>(&self, first: u16, then: u16) -> Option<Told<'a>> {
        let (left, then) = if first > 0 { (first, then) } else { (then, 0) };
        if left > 0 {
            self.phase.set(Phase::Passed(left, then));
            return None;
        }
        self.phase.set(Phase::Idle);
        Some(Told::Prepared(self.prepared.get()))
    }

    // ---- methods -------------------------------------------------------------------

    fn attach(lua: Lua, link: &Link) -> Outcome {
        link.exchange.attach(lua)?;
        Ok(Returns(0))
    }

    /// `link:put(body)`: a packet behind the one that came last.
    fn put(lua: Lua, link: &Link) -> Outcome {
        let body = lua.string(2)?;
        let number = link.number.get();
        let written = write::packet(&mut link.exchange.out.borrow_mut(), number, |out| {
            out.bytes(body)
        });
        link.end(lua, written, link.phase.get())
    }

    /// `link:command(number, text)` -> true, or nil and a message: text of a
    /// statement, or what is to be prepared.
    fn command(lua: Lua, link: &Link) -> Outcome {
        let command = lua.within(2, 0, 255)? as u8;
        let text = lua.string(3)?;
        link.binary.set(false);
        let phase = match command {
            write::QUERY => Phase::Answer,
            write::PREPARE => Phase::Prepared,
            write::FETCH => {
                link.binary.set(true);
                Phase::Rows
            }
            // Nothing is said to these.
            write::CLOSE | write::QUIT => link.phase.get(),
            _ => return Err("unknown command".into()),
        };
        let number = link.number.get();
        let written = write::command(&mut link.exchange.out.borrow_mut(), command, text);
        let outcome = link.end(lua, written, phase);
        if matches!(command, write::CLOSE | write::QUIT) {
            link.number.set(number);
        }
        outcome
    }

    /// `link:execute(id, cursor, …)` -> true, or nil and a message.
    fn execute(lua: Lua, link: &Link) -> Outcome {
        const FIRST: c_int = 4;
        let id = lua.within(2, 0, u32::MAX.into())? as u32;
        let cursor = lua.to_bool(3);
        values::normalise(lua, FIRST);
        let count = (lua.top() - FIRST + 1).max(0) as usize;
        link.binary.set(true);
        let written = write::execute(
            &mut link.exchange.out.borrow_mut(),
            id,
            cursor,
            count,
            &|place| values::parameter(&lua, FIRST + place as c_int),
        );
        link.end(lua, written, Phase::Answer)
    }

    /// Ends a call that wrote a request, to which the server will say that.
    fn end(&self, lua: Lua, written: Result<u8, Refused>, phase: Phase) -> Outcome {
        match written {
            Ok(number) => {
                self.number.set(number);
                self.phase.set(phase);
                lua.push_bool(true);
                Ok(Returns(1))
            }
            Err(Refused::Memory) => Err(lua.out_of_memory()),
            Err(Refused::TooLarge) => lua.fail("statement or parameter too long"),
        }
    }

    /// `link:run(limit, discard)` -> what came, behind its kind; or nil and a
    /// message.
    fn run(lua: Lua, link: &Link) -> Outcome {
        link.exchange.limit(lua, 2)?;
        link.discard.set(lua.to_bool(3));
        attempt::start(link, lua, link.exchange.left())
    }

    /// `link:count(number)`: the next packet of either side has it.
    fn count(lua: Lua, link: &Link) -> Outcome {
        link.number.set(lua.within(2, 0, 255)? as u8);
        Ok(Returns(0))
    }

    /// `link:is_writing()` -> whether a request is not written to its end.
    fn is_writing(lua: Lua, link: &Link) -> Outcome {
        lua.push_bool(!link.exchange.out.borrow().is_empty());
        Ok(Returns(1))
    }

    fn cancel(_: Lua, link: &Link) -> Outcome {
        link.exchange.cancel();
        Ok(Returns(0))
    }
}

impl UserData for Link {
    const NAME: &'static CStr = c"eco.mysql.link";
    const METHODS: Functions = functions! {
        attach: method(Link::attach),
        put: method(Link::put),
        command: method(Link::command),
        execute: method(Link::execute),
        run: method(Link::run),
        count: method(Link::count),
        is_writing: method(Link::is_writing),
        cancel: method(Link::cancel),
    };

    fn finalise(&self, lua: Lua) {
        self.exchange.core.forget(&self.exchange.waiting.parked);
        lua.unreference(self.told.get());
    }
}
