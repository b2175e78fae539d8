//! `eco.log`: records with a level to a file, the terminal or the system log.
//!
//! The state belongs to one Lua state: a userdata in the registry, which
//! starts with the [`LogHook`] other modules read. Lua values are looked at
//! before the state is borrowed: nothing that may raise runs while it is.

mod record;
mod system;
mod target;

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};

use crate::core::log_hook::{LogHook, REGISTRY_KEY};
use crate::core::wall_clock;
use crate::lua::{ffi, function, Error, Functions, Lua, Outcome, Returns, UserData};
use record::{lines, until_nul, Moment, LONGEST_IDENT, LONGEST_MESSAGE};
use target::{Rolling, Target};

const FLAG_LF: i64 = 1;
const FLAG_FILE: i64 = 2;
const FLAG_PATH: i64 = 4;

const ERR: i32 = 3;
const INFO: i32 = 6;
const DEBUG: i32 = 7;

const DEFAULT_ROLL_SIZE: i64 = 102_400;
const DEFAULT_ROLL_COUNT: usize = 10;
/// Room kept between records; more is given back.
const KEPT_ROOM: usize = 1024;

/// The log of one Lua state.
#[repr(C)]
struct Logger {
    hook: LogHook,
    flags: Cell<i64>,
    sink: RefCell<Sink>,
}

/// What writing a record needs.
struct Sink {
    target: Target,
    rolling: Rolling,
    ident: [u8; LONGEST_IDENT],
    ident_length: usize,
    /// Second of `moment`, -1 at first.
    second: i64,
    moment: Moment,
    /// The message and the record being put together.
    message: Vec<u8>,
    record: Vec<u8>,
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
        logger.sink.borrow_mut().set_ident(until_nul(&system::process_name()));
        lua.push_value(-1);
        lua.set_field(ffi::LUA_REGISTRYINDEX, REGISTRY_KEY);
    }
    lua.push_table(0, (FUNCTIONS.len() + CONSTANTS.len()) as c_int);
    for (name, function) in FUNCTIONS {
        lua.push_value(-2);
        lua.push_closure(*function, 1);
        lua.set_field(-2, name);
    }
    lua.set_constants(-1, CONSTANTS);
    Ok(Returns(1))
}

const FUNCTIONS: Functions = &[
    (c"debug", function(debug)),
    (c"info", function(info)),
    (c"err", function(err)),
    (c"log", function(log)),
    (c"set_level", function(set_level)),
    (c"set_flags", function(set_flags)),
    (c"set_ident", function(set_ident)),
    (c"set_path", function(set_path)),
    (c"set_roll_size", function(set_roll_size)),
    (c"set_roll_count", function(set_roll_count)),
];

const CONSTANTS: &[(&CStr, i64)] = &[
    (c"EMERG", 0),
    (c"ALERT", 1),
    (c"CRIT", 2),
    (c"ERR", ERR as i64),
    (c"WARNING", 4),
    (c"NOTICE", 5),
    (c"INFO", INFO as i64),
    (c"DEBUG", DEBUG as i64),
    (c"FLAG_LF", FLAG_LF),
    (c"FLAG_FILE", FLAG_FILE),
    (c"FLAG_PATH", FLAG_PATH),
];

/// `debug(...)`.
fn debug(lua: Lua) -> Outcome {
    write(lua, DEBUG, 1)
}

/// `info(...)`.
fn info(lua: Lua) -> Outcome {
    write(lua, INFO, 1)
}

/// `err(...)`.
fn err(lua: Lua) -> Outcome {
    write(lua, ERR, 1)
}

/// `log(priority, ...)`.
fn log(lua: Lua) -> Outcome {
    let level = lua.integer(1)? & 7;
    write(lua, level as i32, 2)
}

/// `set_level(n)`.
fn set_level(lua: Lua) -> Outcome {
    let level = lua.integer(1)?.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    Logger::of(lua)?.hook.level.set(level as i32);
    Ok(Returns(0))
}

/// `set_flags(mask)`.
fn set_flags(lua: Lua) -> Outcome {
    Logger::of(lua)?.flags.set(lua.integer(1)?);
    Ok(Returns(0))
}

/// `set_ident(name)`.
fn set_ident(lua: Lua) -> Outcome {
    let ident = lua.string(1)?;
    Logger::of(lua)?.sink.borrow_mut().set_ident(until_nul(ident));
    Ok(Returns(0))
}

/// `set_path(path)`; a refused path silences a log that had one.
fn set_path(lua: Lua) -> Outcome {
    let path = lua.string(1)?;
    let sink = &mut *Logger::of(lua)?.sink.borrow_mut();
    if path.is_empty() {
        sink.target = Target::standard();
    } else if let Some(target) = Target::file(path) {
        sink.target = target;
    } else if let Target::File(_) = sink.target {
        sink.target = Target::Nowhere;
    }
    Ok(Returns(0))
}

/// `set_roll_size(bytes)`.
fn set_roll_size(lua: Lua) -> Outcome {
    let size = lua.integer(1)?;
    if size < 0 {
        return Err(Error::argument(1, "size must be >= 0"));
    }
    Logger::of(lua)?.sink.borrow_mut().rolling.size = size;
    Ok(Returns(0))
}

/// `set_roll_count(n)`.
fn set_roll_count(lua: Lua) -> Outcome {
    let count = match usize::try_from(lua.integer(1)?) {
        Ok(count) if count > 0 => count,
        _ => DEFAULT_ROLL_COUNT,
    };
    Logger::of(lua)?.sink.borrow_mut().rolling.count = count;
    Ok(Returns(0))
}

/// Logs the arguments from `first` on.
fn write(lua: Lua, level: i32, first: c_int) -> Outcome {
    let logger = Logger::of(lua)?;
    if level > logger.hook.level.get() {
        return Ok(Returns(0));
    }
    let last = lua.top();
    for index in first..=last {
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
    let sink = &mut *logger.sink.borrow_mut();
    sink.message.clear();
    for index in first..=last {
        if index > first {
            sink.message.push(b' ');
        }
        sink.message.extend_from_slice(match lua.type_of(index) {
            ffi::LUA_TSTRING => lua.to_bytes(index),
            ffi::LUA_TBOOLEAN if lua.to_bool(index) => b"true",
            ffi::LUA_TBOOLEAN => b"false",
            ffi::LUA_TNIL => b"nil",
            _ => b"",
        });
        // What is cut away need not be collected.
        if sink.message.len() > LONGEST_MESSAGE {
            break;
        }
    }
    sink.message.truncate(LONGEST_MESSAGE);
    sink.emit(level as usize, flags, position);
    Ok(Returns(0))
}

impl Logger {
    /// The log the running function belongs to.
    fn of<'a>(lua: Lua) -> Result<&'a Logger, Error> {
        lua.userdata(Lua::upvalue(1)).ok_or_else(|| "the log is closed".into())
    }
}

impl UserData for Logger {
    const NAME: &'static CStr = c"struct eco_log *";
    const METHODS: Functions = &[];

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
            second: -1,
            moment: system::local_time(0),
            message: Vec::new(),
            record: Vec::new(),
        }
    }

    fn set_ident(&mut self, ident: &[u8]) {
        let length = ident.len().min(LONGEST_IDENT);
        self.ident[..length].copy_from_slice(&ident[..length]);
        self.ident_length = length;
    }

    /// Writes the message, one record for every line of it.
    fn emit(&mut self, level: usize, flags: i64, position: &[u8]) {
        let second = wall_clock().div_euclid(1_000_000_000);
        if second != self.second {
            self.second = second;
            self.moment = system::local_time(second);
        }
        let (record, moment) = (&mut self.record, &self.moment);
        let ident = &self.ident[..self.ident_length];
        let process = std::process::id();
        record.clear();
        let is_system_log = matches!(self.target, Target::SystemLog(_));
        if is_system_log {
            record::push_syslog_prefix(record, moment, level, ident, process);
        } else {
            record::push_prefix(record, moment, level, ident, process);
        }
        if flags & (FLAG_FILE | FLAG_PATH) != 0 {
            record::push_location(record, position, flags & FLAG_PATH != 0);
        }
        let prefix = record.len();
        for line in lines(until_nul(&self.message)) {
            record.truncate(prefix);
            record.extend_from_slice(line);
            if flags & FLAG_LF != 0 && !is_system_log {
                record.push(b'\n');
            }
            match &mut self.target {
                Target::File(file) => file.append(record, &self.rolling, moment),
                Target::Output => target::write_all(system::standard_output(), record),
                Target::SystemLog(connection) => target::send_to_system_log(connection, record),
                Target::Nowhere => {}
            }
        }
        for buffer in [&mut self.message, &mut self.record] {
            if buffer.capacity() > KEPT_ROOM {
                *buffer = Vec::new();
            }
        }
    }
}
