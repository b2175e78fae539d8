//! `eco.sqlite3`, `lunet.sqlite3` and `lunet.sqlite3_tx`: SQLite on the threads of the pool.
//!
//! Native are connections, and what waits for them: `sqlite3.lua` and the files of `modules/sql` make of it what
//! scripts see. A call that waits may give [`AGAIN`] and a value instead of its results; then `resume` goes on.
#![allow(unsafe_code)]

mod connection;
mod work;

use std::cell::Cell;
use std::ffi::{c_int, CStr};
use std::sync::Arc;

use crate::abi::{Cause, Core, Host, Interest, Nanoseconds, Parked, Step};
use crate::lua::{function, method, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::modules::sql::{faces, parameters, value, Reading};
use crate::system::sqlite::Failure;
use crate::{functions, lua_source};
use connection::{release, serve, Job, Queued, Shared};
use work::{Answer, Request, Source, Want};

/// Stands in the place of results when the call has to go on.
const AGAIN: &CStr = c"eco.sqlite3 again";

/// What scripts hold of a connection.
struct Connection(Arc<Shared>);

impl UserData for Connection {
    const NAME: &'static CStr = c"eco_sqlite3_connection";
    const METHODS: Functions = functions! {
        query: method::<Connection, _>(|lua, this| run(lua, this, Want::Rows)),
        exec: method::<Connection, _>(|lua, this| run(lua, this, Want::Changes)),
        cursor: method::<Connection, _>(|lua, this| run(lua, this, Want::Page)),
        fetch: method::<Connection, _>(|lua, this| on_kept(lua, this, Request::Fetch)),
        drop: method::<Connection, _>(|lua, this| on_kept(lua, this, Request::Drop)),
        prepare: method::<Connection, _>(|lua, this| on_text(lua, this, Request::Prepare)),
        begin: method::<Connection, _>(begin),
        finish: method::<Connection, _>(|lua, this| on_text(lua, this, Request::Finish)),
        tidy: method::<Connection, _>(|lua, this| start(lua, &this.0, || Ok(Request::Tidy))),
        close: method::<Connection, _>(close),
        resume: method::<Connection, _>(resume),
    };
}

/// A statement that a connection keeps.
struct Kept {
    shared: Arc<Shared>,
    number: u32,
}

impl UserData for Kept {
    const NAME: &'static CStr = c"eco_sqlite3_statement";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _lua: Lua) {
        self.shared.drop_later(self.number);
    }
}

/// A transaction that holds a connection.
struct Held {
    shared: Arc<Shared>,
    number: u32,
}

impl UserData for Held {
    const NAME: &'static CStr = c"eco_sqlite3_transaction";
    const METHODS: Functions = functions! {
        leave: method::<Held, _>(|_, this| {
            this.shared.leave(this.number);
            Ok(Returns(0))
        }),
    };

    fn finalise(&self, _lua: Lua) {
        self.shared.leave(self.number);
    }
}

/// A job that has its turn, and for which a thread is to be sent.
struct Turn {
    shared: Arc<Shared>,
    job: Arc<Job>,
    taken: Cell<bool>,
}

impl UserData for Turn {
    const NAME: &'static CStr = c"eco_sqlite3_turn";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, _lua: Lua) {
        if !self.taken.get() {
            self.shared.abandon(&self.job);
        }
    }
}

/// A coroutine that waits for a job.
#[repr(C)]
struct Wait {
    parked: Parked,
    core: Core,
    shared: Arc<Shared>,
    job: Arc<Job>,
    reading: Reading,
    /// Another wait has the job now.
    passed_on: Cell<bool>,
}

crate::operation!(Wait);

impl Wait {
    fn poll(&self, lua: Lua, cause: Cause) -> Step {
        if let Some(worked) = self.job.result() {
            return match worked {
                Ok(answer) => self.finish(lua, answer),
                Err(Failure::Said(text)) => nil_and(lua, text),
                Err(Failure::Known(text)) => nil_and(lua, text.as_bytes()),
            };
        }
        if cause.has(Cause::CANCEL) {
            self.abandon();
            return nil_and(lua, b"canceled");
        }
        if cause.has(Cause::TIMEOUT) {
            self.abandon();
            return nil_and(lua, b"timeout");
        }
        if self.shared.is_on_turn(&self.job) {
            return self.again(lua);
        }
        if self.job.is_unarmed() && !self.arm() {
            self.abandon();
            return nil_and(lua, b"not enough memory");
        }
        Step::Pending
    }

    fn abandon(&self) {
        if !self.passed_on.get() {
            self.shared.abandon(&self.job);
        }
    }

    /// Asks for a token that wakes it; false when there is no memory for it.
    fn arm(&self) -> bool {
        let token = self.core.token(&self.parked);
        token.map(|token| self.shared.arm(&self.job, token)).is_ok()
    }

    /// Pushes the results. May raise: all of it stays with the job.
    fn finish(&self, lua: Lua, answer: &Answer) -> Step {
        let count = match answer {
            Answer::Done => {
                lua.push_bool(true);
                1
            }
            Answer::Opened => {
                let slot = lua.reserve::<Connection>(0, self.core.pointer());
                slot.fill(Connection(self.shared.clone()));
                1
            }
            Answer::Changes(rows, id) => {
                lua.push_table(0, 2);
                lua.set_integer(-1, c"affected_rows", *rows);
                lua.set_integer(-1, c"last_insert_id", *id);
                1
            }
            Answer::Rows(rows) | Answer::Page(rows, _) => {
                if !self.reading.push(lua, rows) {
                    self.core.wake(&self.parked, Cause::TURN);
                    return Step::Pending;
                }
                match answer {
                    Answer::Page(_, 1..) if self.job.continues() => {
                        // What it was given stays the only one that drops the statement when it is collected.
                        lua.push_bool(true);
                        2
                    }
                    Answer::Page(_, number @ 1..) => 1 + self.push_kept(lua, *number),
                    _ => 1,
                }
            }
            Answer::Kept(number) => self.push_kept(lua, *number),
            Answer::Begun(number) => {
                let slot = lua.reserve::<Held>(0, self.core.pointer());
                slot.fill(Held {
                    shared: self.shared.clone(),
                    number: *number,
                });
                1
            }
        };
        self.shared.deliver(&self.job);
        Step::Done(count)
    }

    /// Ends the call for the moment: only a coroutine that runs can send for a thread. May raise.
    fn again(&self, lua: Lua) -> Step {
        lua.push_pointer(AGAIN.as_ptr().cast());
        let slot = lua.reserve::<Turn>(0, self.core.pointer());
        slot.fill(Turn {
            shared: self.shared.clone(),
            job: self.job.clone(),
            taken: Cell::new(false),
        });
        self.passed_on.set(true);
        Step::Done(2)
    }

    fn push_kept(&self, lua: Lua, number: u32) -> c_int {
        let slot = lua.reserve::<Kept>(0, self.core.pointer());
        slot.fill(Kept {
            shared: self.shared.clone(),
            number,
        });
        1
    }
}

impl UserData for Wait {
    const NAME: &'static CStr = c"eco_sqlite3_wait";
    const METHODS: Functions = Functions::NONE;

    fn finalise(&self, lua: Lua) {
        self.core.forget(&self.parked);
        self.abandon();
        self.reading.forget(lua);
    }
}

fn nil_and(lua: Lua, text: &[u8]) -> Step {
    lua.push_nil();
    lua.push_bytes(text);
    Step::Done(2)
}

/// Queues what `make` gives and waits for it: argument 2 is the time there is for it, 3 the transaction it belongs
/// to. May raise.
fn start(lua: Lua, shared: &Arc<Shared>, make: impl FnOnce() -> Result<Request, Error>) -> Outcome {
    let transaction = match lua.userdata::<Held>(3) {
        Some(held) if Arc::ptr_eq(&held.shared, shared) => held.number,
        _ => 0,
    };
    let core = Core::of(lua);
    let timeout = core.timeout(lua, 2);
    // The block first: nothing of the call is alive when Lua has no memory for it.
    let slot = lua.reserve::<Wait>(0, core.pointer());
    let (job, send) = match shared.queue(make()?, transaction) {
        Queued::Send(job) => (job, true),
        Queued::Wait(job) => (job, false),
        Queued::Refused(message) => {
            let failed = lua.fail(message)?;
            return core.settle(lua, failed);
        }
    };
    let wait = slot.fill(Wait {
        parked: Parked::new::<Wait>(),
        core,
        shared: shared.clone(),
        job,
        reading: Reading::begin(),
        passed_on: Cell::new(false),
    });
    park(lua, wait, send, timeout)
}

/// Parks the coroutine, and sends a thread if there is to be one. May raise.
fn park(lua: Lua, wait: &Wait, send: bool, timeout: Nanoseconds) -> Outcome {
    let core = wait.core;
    let parked = if send {
        // SAFETY: a connection is made for other threads, and its reference holds it until it is released.
        unsafe { core.offload(lua, wait, serve, release, wait.shared.share()) }
    } else {
        core.park(lua, wait, -1, Interest::NONE, timeout)
    };
    match parked {
        Ok(Returns::YIELD) => {}
        refused => {
            if send {
                wait.shared.unserve();
            }
            wait.abandon();
            return refused;
        }
    }
    if send && timeout != 0 {
        core.restart_timeout(&wait.parked, timeout);
    }
    if !wait.arm() {
        core.forget(&wait.parked);
        wait.abandon();
        return Err(lua.out_of_memory());
    }
    Ok(Returns::YIELD)
}

/// `resume(timeout, nil, turn)`: goes on with a call that gave [`AGAIN`].
fn resume(lua: Lua, _: &Connection) -> Outcome {
    let core = Core::of(lua);
    let timeout = core.timeout(lua, 2);
    let turn = lua.expect_userdata::<Turn>(4)?;
    let slot = lua.reserve::<Wait>(0, core.pointer());
    let wait = slot.fill(Wait {
        parked: Parked::new::<Wait>(),
        core,
        shared: turn.shared.clone(),
        job: turn.job.clone(),
        reading: Reading::begin(),
        passed_on: Cell::new(turn.taken.replace(true)),
    });
    let send = wait.shared.claim();
    park(lua, wait, send, timeout)
}

fn copy(lua: Lua, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    value::copy(bytes).ok_or_else(|| lua.out_of_memory())
}

/// `query`, `exec`, `cursor(timeout, transaction, source, …)`: the source is SQL, or a statement that was prepared.
fn run(lua: Lua, this: &Connection, want: Want) -> Outcome {
    let last = lua.top();
    let number = match lua.userdata::<Kept>(4) {
        Some(kept) if Arc::ptr_eq(&kept.shared, &this.0) => Some(kept.number),
        _ => {
            // A number is a string from now on.
            lua.string(4)?;
            None
        }
    };
    start(lua, &this.0, || {
        let parameters = parameters(lua, 5, last)?;
        let source = match number {
            Some(number) => Some(Source::Kept(number)),
            None => value::copy(lua.bytes(4).unwrap_or_default()).map(Source::Text),
        };
        match source {
            Some(source) => Ok(Request::Run(source, parameters, want)),
            None => {
                drop(parameters);
                Err(lua.out_of_memory())
            }
        }
    })
}

/// `fetch`, `drop(timeout, transaction, statement)`.
fn on_kept(lua: Lua, this: &Connection, make: fn(u32) -> Request) -> Outcome {
    let number = match lua.expect_userdata::<Kept>(4)? {
        kept if Arc::ptr_eq(&kept.shared, &this.0) => kept.number,
        _ => 0,
    };
    start(lua, &this.0, || Ok(make(number)))
}

/// `prepare`, `finish(timeout, transaction, sql)`.
fn on_text(lua: Lua, this: &Connection, make: fn(Vec<u8>) -> Request) -> Outcome {
    start(lua, &this.0, || Ok(make(copy(lua, lua.string(4)?)?)))
}

/// `begin(timeout, nil, sql)` -> transaction.
fn begin(lua: Lua, this: &Connection) -> Outcome {
    let number = this.0.new_transaction();
    start(lua, &this.0, || {
        Ok(Request::Begin(copy(lua, lua.string(4)?)?, number))
    })
}

/// `close(nil, nil, at_once)`: waits for the calls before it, or ends them.
fn close(lua: Lua, this: &Connection) -> Outcome {
    if lua.to_bool(4) {
        this.0.end_calls();
    }
    start(lua, &this.0, || Ok(Request::Close))
}

/// `open(timeout, nil, path, read_only, patience, limit)` -> connection. Patience is in milliseconds.
fn open_file(lua: Lua) -> Outcome {
    // As methods have it, whose argument 1 is the connection.
    lua.push_nil();
    lua.insert(1);
    lua.c_string(4)?;
    let read_only = lua.to_bool(5);
    let patience = lua.within(6, 0, c_int::MAX.into())? as u32;
    let limit = usize::try_from(lua.within(7, 0, i64::MAX)?).unwrap_or(usize::MAX);
    let slot = lua.reserve::<Connection>(0, Core::of(lua).pointer());
    let connection = slot.fill(Connection(Shared::new(patience, limit)));
    start(lua, &connection.0, || {
        let path = copy(lua, lua.c_string(4)?.to_bytes_with_nul())?;
        Ok(Request::Open { path, read_only })
    })
}

const FUNCTIONS: Functions = functions! { open: function(open_file) };

/// Opens `eco.sqlite3`. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.sqlite3")?;
    lua.push_chunk(c"=eco.sqlite3", lua_source!("sqlite3.lua"));
    lua.push_module(FUNCTIONS, core.pointer());
    lua.push_pointer(AGAIN.as_ptr().cast());
    lua.set_field(-2, c"again");
    lua.push_chunk(c"=eco.sqlite3", lua_source!("sql.lua"));
    lua.call(2, 1);
    Ok(Returns(1))
}

/// Opens `lunet.sqlite3`. May raise.
pub fn open_lunet(lua: Lua) -> Outcome {
    let source = lua_source!("sqlite3_lunet.lua");
    faces::open_lunet(lua, c"=lunet.sqlite3", source, c"eco.sqlite3", None)
}

/// Opens `lunet.sqlite3_tx`. May raise.
pub fn open_lunet_tx(lua: Lua) -> Outcome {
    let source = lua_source!("sqlite3_tx.lua");
    faces::open_transactions(lua, c"=lunet.sqlite3_tx", source, c"lunet.sqlite3")
}
