//! `eco.log`: records with a level to a file, the terminal or the system log.
//!
//! The state belongs to one Lua state: a userdata in the registry, which
//! starts with the [`LogHook`] other modules read. Lua values are looked at
//! before the state is borrowed: nothing that may raise runs while it is.

mod record;
mod target;

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};

use crate::abi::log_hook::{LogHook, REGISTRY_KEY};
use crate::lua::{
    ffi, function, CFunction, Constants, Error, Functions, Lua, Named, Outcome, Returns, UserData,
};
use crate::system::date::{self, Seconds, Stamp, RECORD_DATE, SYSLOG_DATE};
use crate::system::process;
use crate::{constants, functions};
use record::{lines, until_nul, LONGEST_IDENT, LONGEST_MESSAGE};
use target::{Rolling, Target};

const FLAG_LF: i32 = 1;
const FLAG_FILE: i32 = 2;
const FLAG_PATH: i32 = 4;

const ERR: i32 = 3;
const INFO: i32 = 6;
const DEBUG: i32 = 7;

const DEFAULT_ROLL_SIZE: i64 = 102_400;
const DEFAULT_ROLL_COUNT: usize = 10;

/// The log of one Lua state.
#[repr(C)]
struct Logger {
    hook: LogHook,
    flags: Cell<i32>,
    sink: RefCell<Sink>,
}

/// What writing a record needs.
struct Sink {
    target: Target,
    rolling: Rolling,
    ident: [u8; LONGEST_IDENT],
    ident_length: usize,
    /// When `stamp` was made, and whether for the system log.
    stamped: (Seconds, bool),
    stamp: Stamp,
}

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    if lua.get_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY) == ffi::LUA_TNIL {
        lua.pop(1);
        let slot = lua.reserve::<Logger>(0, std::ptr::null());
        let logger = slot.fill(Logger {
            hook: LogHook {
                level: Cell::new(INFO),
            },
            flags: Cell::new(FLAG_LF),
            sink: RefCell::new(Sink::new()),
        });
        logger
            .sink
            .borrow_mut()
            .set_ident(until_nul(&process::name()));
        lua.push_value(-1);
        lua.set_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
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
    let rolling = &mut logger.sink.borrow_mut().rolling;
    match choice(lua) {
        LEVEL => logger.hook.level.set(value as i32),
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
    } else if text.is_empty() {
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
    if level > logger.hook.level.get() {
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
    for index in first..end {
        if index > first {
            message.push(b' ');
        }
        message.extend_from_slice(match lua.type_of(index) {
            ffi::LUA_TSTRING => lua.to_bytes(index),
            ffi::LUA_TBOOLEAN if lua.to_bool(index) => b"true",
            ffi::LUA_TBOOLEAN => b"false",
            ffi::LUA_TNIL => b"nil",
            _ => b"",
        });
        // What is cut away need not be collected.
        if message.len() > LONGEST_MESSAGE {
            break;
        }
    }
    message.truncate(LONGEST_MESSAGE);
    logger
        .sink
        .borrow_mut()
        .emit(until_nul(&message), level as usize, flags, position);
    Ok(Returns(0))
}

impl Logger {
    /// The log the running function belongs to; None for a finaliser that runs
    /// after the log's own.
    fn of(lua: &Lua) -> Option<&Logger> {
        lua.userdata(Lua::upvalue(1))
    }
}

impl UserData for Logger {
    const NAME: &'static CStr = c"struct eco_log *";
    const METHODS: Functions = Functions::NONE;

    /// The state closes: other modules stop reading the level.
    fn finalise(&self, lua: Lua) {
        lua.push_nil();
        lua.set_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
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
            text.extend_from_slice(line);
            if flags & FLAG_LF != 0 && !is_system_log {
                text.push(b'\n');
            }
            match &mut self.target {
                Target::File(file) => file.append(&text, &self.rolling, now),
                Target::Output => target::write_to_output(&text),
                Target::SystemLog(connection) => target::send_to_system_log(connection, &text),
                Target::Nowhere => {}
            }
        }
    }
}
