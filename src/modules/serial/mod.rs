//! `eco.serial`: serial ports. What scripts see is in `serial.lua`, over the parts
//! here; bytes go through the core's streams.

mod drain;

use std::ffi::c_int;

use crate::abi::{fair, Core, Reader};
use crate::lua::{function, Functions, Lua, Outcome, Returns};
use crate::system::fd;
use crate::system::terminal::{self, Line, Refusal, Request};
use crate::{constants, functions, lua_source};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.serial")?;
    lua.push_chunk(c"=eco.serial", lua_source!("serial.lua"));
    lua.push_module(PARTS, core.pointer());
    lua.set_constants(constants! {
        cts = libc::TIOCM_CTS; dsr = libc::TIOCM_DSR; ri = libc::TIOCM_RI; dcd = libc::TIOCM_CD;
        dtr = libc::TIOCM_DTR; rts = libc::TIOCM_RTS;
    });
    lua.call(1, 1);
    Ok(Returns(1))
}

const PARTS: Functions = functions! {
    turn: function(fair(turn)),
    close: function(close),
    claim: function(claim),
    apply: function(fair(apply)),
    settings: function(fair(settings)),
    ask: function(fair(ask)),
    counters: function(fair(counters)),
    flush: function(fair(flush)),
    buffered: function(buffered),
    drain: function(drain::drain),
};

/// `turn()`: lets others run, now and then.
fn turn(_: Lua) -> Outcome {
    Ok(Returns(0))
}

/// `close(fd, reader, writer, claimed, breaking)`: ends what waits on them.
fn close(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    let fd = lua.int(1)?;
    if let Some(reader) = core.reader_at(lua, 2) {
        reader.close();
    }
    if let Some(writer) = core.writer_at(lua, 3) {
        writer.close();
    }
    if lua.to_bool(4) {
        terminal::release(fd);
    }
    if lua.to_bool(5) {
        // Whoever closes does not care whether the device is still there.
        let _ = terminal::ask(fd, Request::ClearBreak, 0);
    }
    let closed = fd::close(fd);
    core.fd_reset(fd);
    lua.done(closed)
}

/// `claim(fd)` -> true.
fn claim(lua: Lua) -> Outcome {
    lua.done(terminal::claim(lua.int(1)?))
}

/// `apply(fd, speed, data bits, parity, stop bits, flow)` -> true.
fn apply(lua: Lua) -> Outcome {
    let byte = |index| lua.within(index, 0, 255).map(|value| value as u8);
    let line = Line {
        speed: lua.within(2, 1, u32::MAX.into())? as u32,
        data_bits: byte(3)?,
        parity: byte(4)?,
        stop_bits: byte(5)?,
        flow: byte(6)?,
    };
    match line.apply(lua.int(1)?) {
        Err(Refusal::Setting(name)) => {
            lua.push_nil();
            lua.push_str("the device does not support this ");
            lua.push_str(name);
            lua.concat(2);
            Ok(Returns(2))
        }
        Err(Refusal::Failed(errno)) => lua.fail_errno(errno),
        Ok(()) => lua.done(Ok(())),
    }
}

/// `settings(fd)` -> speed, data bits, parity, stop bits, flow.
fn settings(lua: Lua) -> Outcome {
    match Line::of(lua.int(1)?) {
        Ok(line) => {
            lua.push_integer(line.speed.into());
            for number in [line.data_bits, line.parity, line.stop_bits, line.flow] {
                lua.push_integer(number.into());
            }
            Ok(Returns(5))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `ask(fd, request, number)` -> number.
fn ask(lua: Lua) -> Outcome {
    let (fd, value) = (lua.int(1)?, lua.int_or(3, 0)?);
    let request = lua.within(2, 1, Request::ALL.len() as i64)? as usize;
    match terminal::ask(fd, Request::ALL[request - 1], value) {
        Ok(value) => {
            lua.push_integer(value.into());
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `counters(fd)` -> numbers.
fn counters(lua: Lua) -> Outcome {
    match terminal::counters(lua.int(1)?) {
        Ok(counters) => {
            for counter in counters {
                // They begin anew after 2^32.
                lua.push_integer((counter as u32).into());
            }
            Ok(Returns(counters.len() as c_int))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `flush(fd, selector, reader)` -> true.
fn flush(lua: Lua) -> Outcome {
    let selector = lua.int(2)?;
    let flushed = terminal::flush(lua.int(1)?, selector);
    if let Some(reader) = Core::of(lua).reader_at(lua, 3) {
        if flushed.is_ok() && selector != libc::TCOFLUSH {
            reader.consume(reader.buffered());
        }
    }
    lua.done(flushed)
}

/// `buffered(reader)` -> how many bytes the reader has taken that nobody has read.
fn buffered(lua: Lua) -> Outcome {
    let reader = Core::of(lua).reader_at(lua, 1);
    let count = reader.map_or(0, Reader::buffered);
    lua.push_integer(count as i64);
    Ok(Returns(1))
}
