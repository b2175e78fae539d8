//! Module `eco.websocket`: both ends of RFC 6455. The protocol is in
//! [`crate::websocket`]; `socket` receives, `sending` sends, `websocket.lua` opens
//! and closes.

mod sending;
mod socket;

use std::ffi::{c_int, CStr};

use sending::Frame;
use socket::{Goal, Settings, Socket, READER, WRITER};

use crate::abi::{fair, monotonic, Core, Host, Nanoseconds};
use crate::base64;
use crate::functions;
use crate::lua::{ffi, field_method, function, Error, Functions, Lua, Outcome, Returns};
use crate::lua_source;
use crate::system::random;
use crate::websocket::close::is_valid;
use crate::websocket::frame::{is_control, BINARY, CLOSE, CONTROL, PACKED, PING, PONG, TEXT};
use crate::websocket::handshake;
use crate::websocket::utf8::is_utf8;

/// The field of a WebSocket's table that holds the native part.
const FIELD: &CStr = c"io";

/// What the Lua side is built on, besides the methods.
const NATIVE: Functions = functions! {
    new: function(new),
    base64: function(base64),
    now: function(now),
    key: function(fair(key)),
    accept: function(accept),
};

const METHODS: Functions = functions! {
    recv_frame: field_method(recv_frame),
    recv: field_method(recv),
    shut: field_method(shut),
    send_frame: field_method(send_frame),
    send_text: field_method(send_text),
    send_binary: field_method(send_binary),
    send_packed: field_method(send_packed),
    send_ping: field_method(send_ping),
    send_pong: field_method(send_pong),
    send_close: field_method(send_close),
};

/// Pushes the module's table.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.websocket")?;
    lua.push_chunk(c"=eco.websocket", lua_source!("websocket.lua"));
    lua.push_module(NATIVE, core.pointer());
    lua.push_field_methods::<Socket>(FIELD, METHODS, core.pointer());
    lua.call(2, 1);
    Ok(Returns(1))
}

/// `new(reader, writer, client, packs, frame, message, frame_timeout, send_timeout,
/// ping_interval, ping_timeout)`: sizes in bytes, times in nanoseconds.
fn new(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    let (Some(reader), Some(writer)) = (core.reader_at(lua, 1), core.writer_at(lua, 2)) else {
        return Err("not a stream".into());
    };
    let number = |index| lua.within(index, 0, i64::MAX);
    let settings = Settings {
        client: lua.to_bool(3),
        packs: lua.to_bool(4),
        frame: number(5)? as u64,
        message: number(6)? as u64,
        frame_timeout: number(7)?,
        send_timeout: number(8)?,
        ping_interval: number(9)?,
        ping_timeout: number(10)?,
    };
    lua.set_top(2);
    let slot = lua.reserve::<Socket>(2, core.pointer());
    slot.fill(Socket::new(core, reader, writer, settings));
    lua.insert(1);
    lua.set_user_value(1, WRITER);
    lua.set_user_value(1, READER);
    Ok(Returns(1))
}

/// `now()` -> nanoseconds of a clock that nobody sets.
fn now(lua: Lua) -> Outcome {
    lua.push_integer(monotonic());
    Ok(Returns(1))
}

/// `key()` -> a random one.
fn key(lua: Lua) -> Outcome {
    let mut bytes = [0; 16];
    random::fill(&mut bytes);
    lua.push_bytes(&handshake::key(&bytes));
    Ok(Returns(1))
}

/// `base64(text)`
fn base64(lua: Lua) -> Outcome {
    let text = lua.string(1)?;
    let length = base64::encoded_length(text.len()).ok_or("string too long")?;
    lua.push_filled(length, &mut |out| base64::encode(text, out));
    Ok(Returns(1))
}

/// `accept(key)` -> the answer; nothing for what is no key.
fn accept(lua: Lua) -> Outcome {
    let Some(answer) = handshake::accept(lua.string(1)?) else {
        return Ok(Returns(0));
    };
    lua.push_bytes(&answer);
    Ok(Returns(1))
}

/// `ws:recv_frame([timeout])`
fn recv_frame(lua: Lua, socket: &Socket) -> Outcome {
    let timeout = socket.core().timeout(lua, 2);
    socket.receive(lua, Goal::Frame, timeout)
}

/// `ws:recv([timeout])`
fn recv(lua: Lua, socket: &Socket) -> Outcome {
    let timeout = socket.core().timeout(lua, 2);
    socket.receive(lua, Goal::Message, timeout)
}

/// Ends a send that was not tried with `nil, message`, fair to others.
#[cold]
fn refuse(lua: Lua, socket: &Socket, why: &str) -> Outcome {
    lua.push_nil();
    lua.push_str(why);
    Ok(Host::settle(socket.core(), lua, 2))
}

/// The payload argument: nil and false are none, other values become text. It
/// stays in its slot.
fn payload(lua: &Lua, index: c_int) -> &[u8] {
    if lua.top() < index {
        lua.set_top(index);
    }
    if !lua.to_bool(index) {
        lua.push_str("");
        lua.replace(index);
    } else if lua.type_of(index) != ffi::LUA_TSTRING {
        lua.to_text(index);
    }
    lua.to_bytes(index)
}

/// Sends a frame with the payload at `index`, as the tail of a method. May raise.
fn send(lua: Lua, socket: &Socket, fin: bool, opcode: u8, index: c_int) -> Outcome {
    let payload = payload(&lua, index);
    if payload.len() as u64 > socket.settings.frame && opcode != CLOSE {
        return refuse(lua, socket, "payload too big");
    }
    if is_control(opcode) && payload.len() > CONTROL {
        return refuse(lua, socket, "too much payload for control frame");
    }
    if is_control(opcode) && !fin {
        return refuse(lua, socket, "fragmented control frame");
    }
    sending::send(
        lua,
        socket,
        Frame {
            fin,
            opcode,
            payload,
        },
    )
}

/// `ws:send_frame(fin, opcode [, payload])`
fn send_frame(lua: Lua, socket: &Socket) -> Outcome {
    let (fin, opcode) = (lua.to_bool(2), lua.within(3, 0, 15)? as u8);
    send(lua, socket, fin, opcode, 4)
}

/// `ws:send_text([data])`
fn send_text(lua: Lua, socket: &Socket) -> Outcome {
    if !is_utf8(payload(&lua, 2)) {
        return refuse(lua, socket, "text is not UTF-8");
    }
    send(lua, socket, true, TEXT, 2)
}

/// `ws:send_binary([data])`
fn send_binary(lua: Lua, socket: &Socket) -> Outcome {
    send(lua, socket, true, BINARY, 2)
}

/// `ws:send_packed(opcode, data)`: a message that was packed.
fn send_packed(lua: Lua, socket: &Socket) -> Outcome {
    let opcode = lua.within(2, TEXT.into(), BINARY.into())? as u8;
    let payload = payload(&lua, 3);
    sending::send(
        lua,
        socket,
        Frame {
            fin: true,
            opcode: opcode | PACKED,
            payload,
        },
    )
}

/// `ws:send_ping([data])`
fn send_ping(lua: Lua, socket: &Socket) -> Outcome {
    send(lua, socket, true, PING, 2)
}

/// `ws:send_pong([data])`
fn send_pong(lua: Lua, socket: &Socket) -> Outcome {
    send(lua, socket, true, PONG, 2)
}

/// Makes the payload of a close frame of arguments 2 and 3, code and reason: its
/// length in `room`, or why there is none.
fn closing(lua: Lua, room: &mut [u8; CONTROL]) -> Result<Result<usize, &'static str>, Error> {
    if lua.is_none_or_nil(2) {
        return Ok(Ok(0));
    }
    if lua.type_of(2) != ffi::LUA_TNUMBER {
        return Ok(Err("bad status code"));
    }
    let code = lua.integer(2)?;
    let reason = payload(&lua, 3);
    let Some(code) = u16::try_from(code).ok().filter(|code| is_valid(*code)) else {
        return Ok(Err("bad status code"));
    };
    let [high, low, place @ ..] = room;
    [*high, *low] = code.to_be_bytes();
    let Some(place) = place.get_mut(..reason.len()) else {
        return Ok(Err("too much payload for control frame"));
    };
    if !is_utf8(reason) {
        return Ok(Err("text is not UTF-8"));
    }
    place.copy_from_slice(reason);
    Ok(Ok(2 + reason.len()))
}

/// `ws:send_close([code [, reason]])`
fn send_close(lua: Lua, socket: &Socket) -> Outcome {
    let mut room = [0; CONTROL];
    match closing(lua, &mut room)? {
        Err(why) => refuse(lua, socket, why),
        Ok(length) => {
            lua.set_top(1);
            lua.push_bytes(room.get(..length).unwrap_or_default());
            send(lua, socket, true, CLOSE, 2)
        }
    }
}

/// `shut(ws, code, reason, timeout)`: sends a close frame, unless there was one, and
/// waits for the peer's. True, and true again when another coroutine waits for
/// that; or nil and a message. The timeout is in nanoseconds.
fn shut(lua: Lua, socket: &Socket) -> Outcome {
    let mut room = [0; CONTROL];
    let timeout: Nanoseconds = lua.integer(4)?;
    match closing(lua, &mut room)? {
        Err(why) => return refuse(lua, socket, why),
        Ok(length) => {
            let payload = room.get(..length).unwrap_or_default();
            socket.outbox.borrow_mut().close(payload);
        }
    }
    if socket.hurry(timeout) {
        lua.push_bool(true);
        lua.push_bool(true);
        return Ok(Host::settle(socket.core(), lua, 2));
    }
    socket.receive(lua, Goal::Close, timeout)
}
