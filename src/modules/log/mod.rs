//! `eco.log`: records with a level to a file, the terminal or the system log.
//!
//! The state belongs to one Lua state: a userdata in the registry. Lua values
//! are looked at before it is borrowed: nothing that may raise runs while it
//! is. Nothing waits, either: what there is no room for is tried again before
//! the next record and, for a while, by an alarm.

mod record;
mod target;

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};

use crate::abi::{log_hook, monotonic, Alarm, Clock, Core};
use crate::lua::{
    ffi, function, CFunction, Constants, Error, Functions, Lua, Named, Nanoseconds, Outcome,
    Returns, UserData,
};
use crate::system::date::{self, Seconds, Stamp, RECORD_DATE, SYSLOG_DATE};
use crate::system::process;
use crate::{constants, functions};
use record::{lines, push_clean, until_nul, LONGEST_IDENT, LONGEST_MESSAGE};
use target::{Rolling, Sent, Target};

/// Registry field that holds the log.
const REGISTRY_KEY: &CStr = c"eco.logger";

const FLAG_LF: i32 = 1;
const FLAG_FILE: i32 = 2;
const FLAG_PATH: i32 = 4;

const ERR: i32 = 3;
const WARNING: i32 = 4;
const NOTICE: i32 = 5;
const INFO: i32 = 6;
const DEBUG: i32 = 7;

const DEFAULT_ROLL_SIZE: i64 = 102_400;
const DEFAULT_ROLL_COUNT: usize = 10;

/// What else is in a record at most: date, level, name, process, line number,
/// parentheses.
const LONGEST_PREFIX: usize = 4 * LONGEST_IDENT + 96;
/// Bytes of records that wait for room, at most.
const MOST_WAITING: usize = 64 * 1024;
/// Pause between two tries, and how long there is no progress before they end.
const PAUSE: Nanoseconds = target::PAUSE_MS as Nanoseconds * 1_000_000;
const PATIENCE: Nanoseconds = 1_000_000_000;

/// The log of one Lua state.
#[repr(C)]
struct Logger {
    alarm: Alarm,
    core: Core,
    level: Cell<i32>,
    flags: Cell<i32>,
    /// When something was last written that had to wait.
    progress: Cell<Nanoseconds>,
    sink: RefCell<Sink>,
}

crate::alarm!(Logger);

/// What writing a record needs.
struct Sink {
    target: Target,
    rolling: Rolling,
    ident: [u8; LONGEST_IDENT],
    ident_length: usize,
    /// When `stamp` was made, and whether for the system log.
    stamped: (Seconds, bool),
    stamp: Stamp,
    /// Records that wait, each with its length in front.
    waiting: Vec<u8>,
    /// Bytes of the first that are written.
    sent: usize,
    /// Whose records wait: a forked child leaves them to its parent.
    process: u32,
}

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    if lua.get_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY) == ffi::LUA_TNIL {
        lua.pop(1);
        let core = Core::open(lua, "eco.log")?;
        let logger = lua.reserve::<Logger>(0, core.pointer()).fill(Logger {
            alarm: Alarm::new(),
            core,
            level: Cell::new(INFO),
            flags: Cell::new(FLAG_LF),
            progress: Cell::new(0),
            sink: RefCell::new(Sink::new()),
        });
        logger
            .sink
            .borrow_mut()
            .set_ident(until_nul(&process::name()));
        lua.push_value(-1);
        lua.set_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
        log_hook::show(lua, INFO);
    }
    lua.push_table(
        0,
        (FUNCTIONS.values.len() + CONSTANTS.values.len()) as c_int,
    );
    for (name, (function, choice)) in FUNCTIONS.each() {
        lua.push_bytes(name);
        lua.push_value(-3);
        lua.push_integer(i64::from(choice));
        lua.push_closure(function, 2);
        lua.raw_set(-3);
    }
    lua.set_constants(CONSTANTS);
    Ok(Returns(1))
}

/// Functions alike share their code; upvalue 2 tells which one was called.
const FUNCTIONS: Named<(CFunction, i32)> = functions! {
    debug: (function(write), DEBUG),
    info: (function(write), INFO),
    notice: (function(write), NOTICE),
    warn: (function(write), WARNING),
    err: (function(write), ERR),
    log: (function(write), LEVEL_ARGUMENT),
    set_level: (function(set_number), LEVEL),
    set_flags: (function(set_number), FLAGS),
    set_roll_size: (function(set_number), ROLL_SIZE),
    set_roll_count: (function(set_number), ROLL_COUNT),
    set_ident: (function(set_text), IDENT),
    set_path: (function(set_text), PATH),
};

/// `log(priority, ...)` instead of a level of the function's own.
const LEVEL_ARGUMENT: i32 = -1;
// What a setter sets.
const LEVEL: i32 = 0;
const FLAGS: i32 = 1;
const ROLL_SIZE: i32 = 2;
const ROLL_COUNT: i32 = 3;
const IDENT: i32 = 4;
const PATH: i32 = 5;

/// Which function of a row was called.
fn choice(lua: Lua) -> i32 {
    lua.to_integer(Lua::upvalue(2)).unwrap_or(0) as i32
}

const CONSTANTS: Constants = constants! {
    EMERG = 0; ALERT = 1; CRIT = 2; ERR = ERR; WARNING = 4; NOTICE = 5; INFO = INFO; DEBUG = DEBUG;
    FLAG_LF = FLAG_LF; FLAG_FILE = FLAG_FILE; FLAG_PATH = FLAG_PATH;
};

/// `set_level(n)`, `set_flags(mask)`, `set_roll_size(bytes)`, `set_roll_count(n)`.
fn set_number(lua: Lua) -> Outcome {
    let value = match choice(lua) {
        LEVEL | FLAGS => lua.int(1)?.into(),
        _ => lua.integer(1)?,
    };
    let Some(logger) = Logger::of(&lua) else {
        return Ok(Returns(0));
    };
    if choice(lua) == LEVEL {
        logger.level.set(value as i32);
        log_hook::show(lua, value as i32);
        return Ok(Returns(0));
    }
    let rolling = &mut logger.sink.borrow_mut().rolling;
    match choice(lua) {
        FLAGS => logger.flags.set(value as i32),
        ROLL_SIZE if value < 0 => return Err(Error::argument(1, "size must be >= 0")),
        ROLL_SIZE => rolling.size = value,
        _ => {
            let count = usize::try_from(value).unwrap_or(0);
            rolling.count = if count > 0 { count } else { DEFAULT_ROLL_COUNT };
        }
    }
    Ok(Returns(0))
}

/// `set_ident(name)`, `set_path(path)`; a refused path silences a log that had
/// one.
fn set_text(lua: Lua) -> Outcome {
    let text = lua.string(1)?;
    let Some(logger) = Logger::of(&lua) else {
        return Ok(Returns(0));
    };
    let sink = &mut *logger.sink.borrow_mut();
    if choice(lua) == IDENT {
        sink.set_ident(until_nul(text));
        return Ok(Returns(0));
    }
    sink.flush(date::now());
    (sink.waiting, sink.sent) = (Vec::new(), 0);
    if text.is_empty() {
        sink.target = Target::standard();
    } else if let Some(target) = Target::file(text) {
        sink.target = target;
    } else if let Target::File(_) = sink.target {
        sink.target = Target::Nowhere;
    }
    Ok(Returns(0))
}

/// `debug(...)`, `info(...)`, `err(...)`, `log(priority, ...)`.
fn write(lua: Lua) -> Outcome {
    let mut level = choice(lua);
    let mut first = 1;
    if level == LEVEL_ARGUMENT {
        level = lua.integer(1)? as i32 & 7;
        first = 2;
    }
    let Some(logger) = Logger::of(&lua) else {
        return Ok(Returns(0));
    };
    if level > logger.level.get() {
        return Ok(Returns(0));
    }
    let end = lua.top() + 1;
    for index in first..end {
        if lua.type_of(index) == ffi::LUA_TNUMBER {
            lua.to_bytes(index);
        }
    }
    let flags = logger.flags.get();
    let mut position = &[][..];
    if flags & (FLAG_FILE | FLAG_PATH) != 0 {
        lua.push_where(1);
        position = lua.to_bytes(-1);
    }
    // Nothing raises from here on.
    let mut message = Vec::new();
    if message.try_reserve_exact(LONGEST_MESSAGE).is_err() {
        return Ok(Returns(0));
    }
    let mut is_first = true;
    for index in first..end {
        let argument = match lua.type_of(index) {
            ffi::LUA_TSTRING => lua.to_bytes(index),
            ffi::LUA_TBOOLEAN if lua.to_bool(index) => b"true",
            ffi::LUA_TBOOLEAN => b"false",
            ffi::LUA_TNIL => b"nil",
            _ => continue,
        };
        let blank: &[u8] = if is_first { b"" } else { b" " };
        is_first = false;
        for part in [blank, argument] {
            let room = LONGEST_MESSAGE - message.len();
            message.extend_from_slice(part.get(..room).unwrap_or(part));
        }
    }
    logger
        .sink
        .borrow_mut()
        .emit(until_nul(&message), level as usize, flags, position);
    logger.try_again_later();
    Ok(Returns(0))
}

impl Logger {
    /// The log the running function belongs to; None for a finaliser that runs
    /// after the log's own.
    fn of(lua: &Lua) -> Option<&Logger> {
        lua.userdata(Lua::upvalue(1))
    }
}

impl Logger {
    /// Sets the alarm if records wait.
    fn try_again_later(&self) {
        if self.alarm.0.is_set() || self.sink.borrow().waiting.is_empty() {
            return;
        }
        let now = monotonic();
        self.progress.set(now);
        // Without a loop they wait for the next record.
        let _ = self.core.set_alarm(self, Clock::Monotonic, now + PAUSE);
    }

    fn fire(&self, _lua: Lua) {
        let mut sink = self.sink.borrow_mut();
        let before = (sink.waiting.len(), sink.sent);
        sink.flush(date::now());
        let now = monotonic();
        if before != (sink.waiting.len(), sink.sent) {
            self.progress.set(now);
        }
        if !sink.waiting.is_empty() && now - self.progress.get() < PATIENCE {
            let _ = self.core.set_alarm(self, Clock::Monotonic, now + PAUSE);
        }
    }
}

impl UserData for Logger {
    const NAME: &'static CStr = c"struct eco_log *";
    const METHODS: Functions = Functions::NONE;

    /// The state closes: other modules stop reading the level, and the last
    /// records get a last chance.
    fn finalise(&self, lua: Lua) {
        self.core.clear_alarm(&self.alarm);
        self.sink.borrow_mut().finish();
        lua.push_nil();
        lua.set_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
        log_hook::hide(lua);
    }
}

impl Sink {
    fn new() -> Sink {
        Sink {
            target: Target::standard(),
            rolling: Rolling {
                size: DEFAULT_ROLL_SIZE,
                count: DEFAULT_ROLL_COUNT,
            },
            ident: [0; LONGEST_IDENT],
            ident_length: 0,
            stamped: (0, false),
            stamp: Stamp::new(0, RECORD_DATE),
            waiting: Vec::new(),
            sent: 0,
            process: 0,
        }
    }

    fn set_ident(&mut self, ident: &[u8]) {
        let length = ident.len().min(LONGEST_IDENT);
        self.ident[..length].copy_from_slice(&ident[..length]);
        self.ident_length = length;
    }

    /// Writes the message, one record for every line of it.
    fn emit(&mut self, message: &[u8], level: usize, flags: i32, position: &[u8]) {
        let is_system_log = matches!(self.target, Target::SystemLog(_));
        let now = date::now();
        if self.stamped != (now, is_system_log) {
            self.stamped = (now, is_system_log);
            self.stamp = Stamp::new(
                now,
                if is_system_log {
                    SYSLOG_DATE
                } else {
                    RECORD_DATE
                },
            );
        }
        let ident = self.ident.get(..self.ident_length).unwrap_or_default();
        let mut text = Vec::new();
        // Each byte may become four.
        let most = 4 * (message.len() + position.len()) + LONGEST_PREFIX;
        if text.try_reserve_exact(most).is_err() {
            return;
        }
        record::push_prefix(
            &mut text,
            is_system_log,
            self.stamp.bytes(),
            level,
            ident,
            std::process::id(),
        );
        if flags & (FLAG_FILE | FLAG_PATH) != 0 {
            record::push_location(&mut text, position, flags & FLAG_PATH != 0);
        }
        let prefix = text.len();
        for line in lines(message) {
            text.truncate(prefix);
            push_clean(&mut text, line);
            if flags & FLAG_LF != 0 && !is_system_log {
                text.push(b'\n');
            }
            self.put(&text, now);
        }
    }

    /// Sends a record, after those that wait; it waits if there is no room.
    fn put(&mut self, record: &[u8], now: Seconds) {
        self.flush(now);
        if self.waiting.is_empty() {
            match self.target.send(record, 0, &self.rolling, now) {
                Sent::Done => return,
                Sent::Part(count) => self.sent = count,
            }
        }
        let needed = size_of::<u32>() + record.len();
        if self.waiting.len() + needed <= MOST_WAITING && self.waiting.try_reserve(needed).is_ok() {
            self.waiting
                .extend_from_slice(&(record.len() as u32).to_ne_bytes());
            self.waiting.extend_from_slice(record);
            self.process = std::process::id();
        } else if self.waiting.is_empty() {
            self.sent = 0;
        }
    }

    /// Sends what waits; whoever reads it has a second to make room.
    fn finish(&mut self) {
        for _ in 0..PATIENCE / PAUSE {
            self.flush(date::now());
            if self.waiting.is_empty() || matches!(self.target, Target::File(_)) {
                break;
            }
            target::pause();
        }
    }

    /// Sends what waits, as much as there is room for.
    fn flush(&mut self, now: Seconds) {
        if self.waiting.is_empty() {
            return;
        }
        if self.process != std::process::id() {
            (self.waiting, self.sent) = (Vec::new(), 0);
        }
        let mut rest = &self.waiting[..];
        while let Some((length, after)) = rest.split_first_chunk() {
            let Some((record, after)) =
                after.split_at_checked(u32::from_ne_bytes(*length) as usize)
            else {
                break;
            };
            let sent = self.target.send(record, self.sent, &self.rolling, now);
            if let Sent::Part(count) = sent {
                self.sent = count;
                break;
            }
            self.sent = 0;
            rest = after;
        }
        let left = rest.len();
        self.waiting.drain(..self.waiting.len() - left);
        if left == 0 {
            self.waiting = Vec::new();
        }
    }
}
