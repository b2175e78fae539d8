//! A session: one connection, over a reader and a writer of the core's.
//!
//! Reader and writer of the session's own move their bytes through `read` and
//! `write`, whose context is the session's userdata. It stays as long as they
//! do: a table with weak keys says so to the collector.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void, CStr};
use std::rc::Rc;
use std::slice;

use nix::errno::Errno;

use super::refused;
use crate::abi::attempt::{self, Attempt, Try, Waiting};
use crate::abi::{
    Cause, Core, Host, Interest, ReadFunction, Reader, Transfer, WriteFunction, Writer, WANTS_READ,
    WANTS_WRITE,
};
use crate::functions;
use crate::lua::{ffi, method, Functions, Lua, Outcome, Returns, UserData};
use crate::tls::{Config, Connection, Moved, Progress, Text, Transport};

/// What `handshake` gives when it would block, for scripts.
pub const WANT_READ: i64 = -2;
pub const WANT_WRITE: i64 = -3;

/// User values: what the session needs, and its own streams.
const BELOW_READER: c_int = 1;
const BELOW_WRITER: c_int = 2;
const OWNER: c_int = 3;
const READER: c_int = 4;
const WRITER: c_int = 5;
const USER_VALUES: c_int = 5;

/// Registry field of the table of sessions by their streams.
const OWNERS: &CStr = c"eco.ssl.streams";

/// Bytes asked for when a record begins.
const READ_AHEAD: usize = 4096;
/// Room for what resumes a session.
const LARGEST_SESSION: usize = 16384;

/// The streams under a session.
struct Streams {
    reader: Reader,
    writer: Writer,
}

impl Streams {
    /// Takes in what has come and nobody will read, tickets mostly: a socket that is closed over it throws away what it
    /// still has to send.
    fn drain(&self) {
        const ENOUGH: usize = 16;
        for _ in 0..ENOUGH {
            self.reader.consume(self.reader.buffered());
            match self.reader.try_fill(READ_AHEAD) {
                Ok(Transfer::Moved(count)) if count > 0 => {}
                _ => break,
            }
        }
    }
}

impl Transport for Streams {
    fn receive(&self, into: &mut [u8]) -> Moved {
        if self.reader.buffered() == 0 {
            match self.reader.try_fill(into.len().max(READ_AHEAD)) {
                Ok(Transfer::Moved(0)) => return Moved::Bytes(0),
                Ok(Transfer::Blocked(interest)) => {
                    // An idle connection holds no buffer.
                    self.reader.fill(0);
                    return Moved::Blocked(interest);
                }
                Ok(_) => {}
                Err(errno) => return Moved::Failed(errno),
            }
        }
        let count = self.reader.peek(|bytes| {
            let count = bytes.len().min(into.len());
            into[..count].copy_from_slice(&bytes[..count]);
            count
        });
        self.reader.consume(count);
        Moved::Bytes(count)
    }

    fn send(&self, data: &[u8]) -> Moved {
        match self.writer.try_send(data) {
            Ok(Transfer::Moved(count)) => Moved::Bytes(count),
            Ok(Transfer::Blocked(interest)) => Moved::Blocked(interest),
            Ok(Transfer::Failed) => Moved::Failed(Errno::EIO),
            Err(errno) => Moved::Failed(errno),
        }
    }
}

/// The session.
#[repr(C)]
pub struct Session {
    waiting: Waiting,
    /// None once it is freed.
    connection: RefCell<Option<Box<Connection<Streams>>>>,
    below: (Reader, Writer),
    /// Why the last call of `read` or `write` failed.
    failures: [RefCell<Text>; 2],
}

crate::attempt!(Session);

/// Pushes a session over the reader, the writer and the owner that are the topmost values, and lets go of these. May
/// raise.
pub fn push(lua: &Lua, core: Core) -> &Session {
    let top = lua.top();
    let slot = lua.reserve::<Session>(USER_VALUES, core.pointer());
    let (Some(reader), Some(writer)) =
        (core.reader_at(*lua, top - 2), core.writer_at(*lua, top - 1))
    else {
        lua.raise("not a stream".into());
    };
    let session = slot.fill(Session {
        waiting: Waiting::new::<Session>(core),
        connection: RefCell::new(None),
        below: (reader, writer),
        failures: [const { RefCell::new(Text::new()) }; 2],
    });
    for (slot, index) in [
        (BELOW_READER, top - 2),
        (BELOW_WRITER, top - 1),
        (OWNER, top),
    ] {
        lua.push_value(index);
        lua.set_user_value(-2, slot);
    }
    session
}

/// Pushes the table of sessions by their streams. May raise.
pub fn push_owners(lua: Lua) {
    if lua.get_field(ffi::LUA_REGISTRYINDEX, OWNERS) == ffi::LUA_TTABLE {
        return;
    }
    lua.pop(1);
    lua.push_table(0, 4);
    lua.push_table(0, 1);
    lua.set_bytes(-1, c"__mode", b"k");
    lua.set_metatable(-2);
    lua.push_value(-1);
    lua.set_field(ffi::LUA_REGISTRYINDEX, OWNERS);
}

impl Session {
    /// Makes the connection; false without memory.
    pub fn begin(&self, config: Rc<Config>) -> bool {
        let (reader, writer) = self.below;
        let is_client = !config.settings().is_server;
        let Some(connection) = Connection::new(config, Streams { reader, writer }) else {
            return false;
        };
        // Until a name is given, none is looked for.
        let is_ready = !is_client || connection.set_name(None);
        *self.connection.borrow_mut() = Some(Box::new(connection));
        is_ready
    }

    fn core(&self) -> Core {
        self.waiting.host
    }

    /// Uses the connection, if there still is one.
    fn with<R>(&self, use_it: impl FnOnce(&Connection<Streams>) -> R) -> Option<R> {
        self.connection.try_borrow().ok()?.as_deref().map(use_it)
    }

    /// Ends its own streams and frees the connection; nothing happens the second time. `lua` holds it at `index`.
    fn close_now(&self, lua: Lua, index: c_int) {
        let index = lua.absolute(index);
        lua.get_user_value(index, READER);
        lua.get_user_value(index, WRITER);
        if let Some(reader) = self.core().reader_at(lua, -2) {
            reader.close();
        }
        if let Some(writer) = self.core().writer_at(lua, -1) {
            writer.close();
        }
        lua.pop(2);
        if let Ok(mut connection) = self.connection.try_borrow_mut() {
            if let Some(connection) = connection.take() {
                connection.end();
                connection.transport().drain();
            }
        }
    }

    /// Why the connection failed, and how that is told. May raise.
    fn push_failure(&self, lua: Lua, errno: Errno) -> c_int {
        let text = self.with(Connection::failure).unwrap_or_default();
        if text.is_empty() {
            lua.push_nil();
            lua.push_errno(errno);
            2
        } else {
            refused(lua, text.bytes())
        }
    }

    /// `free()`
    fn free(lua: Lua, this: &Session) -> Outcome {
        this.core().wake(&this.waiting.parked, Cause::CANCEL);
        this.close_now(lua, 1);
        Ok(Returns(0))
    }

    /// `pointer()` -> what `read` and `write` want as their context.
    fn pointer(lua: Lua, this: &Session) -> Outcome {
        lua.push_pointer(std::ptr::from_ref(this).cast());
        Ok(Returns(1))
    }

    /// `set_server_name(name)`
    fn set_server_name(lua: Lua, this: &Session) -> Outcome {
        let name = lua.c_string(2)?;
        match this.with(|connection| connection.set_name(Some(name))) {
            None => Err("closed".into()),
            Some(is_good) => {
                lua.push_bool(is_good);
                Ok(Returns(1))
            }
        }
    }

    /// `set_address(bytes)`: of the peer, as in its certificate.
    fn set_address(lua: Lua, this: &Session) -> Outcome {
        let address = lua.string(2)?;
        let is_good = this.with(|connection| connection.set_address(address));
        lua.push_bool(is_good == Some(true));
        Ok(Returns(1))
    }

    /// `load(bytes)` -> whether it is tried to resume a session.
    fn load(lua: Lua, this: &Session) -> Outcome {
        let data = lua.string(2)?;
        let is_good = this.with(|connection| connection.load(data));
        lua.push_bool(is_good == Some(true));
        Ok(Returns(1))
    }

    /// `save()` -> bytes that resume the session, or nil.
    fn save(lua: Lua, this: &Session) -> Outcome {
        let mut room = Vec::new();
        if room.try_reserve_exact(LARGEST_SESSION).is_err() {
            return Ok(Returns(0));
        }
        room.resize(LARGEST_SESSION, 0);
        let length = this.with(|connection| connection.save(&mut room)).flatten();
        let Some(data) = length.and_then(|length| room.get(..length)) else {
            return Ok(Returns(0));
        };
        lua.try_push_bytes(data)?;
        Ok(Returns(1))
    }

    /// `handshake()` -> true, a number that tells what it waits for, or nil and a message. Never waits.
    fn handshake(lua: Lua, this: &Session) -> Outcome {
        let Some(progress) = this.with(Connection::handshake) else {
            return lua.fail("closed");
        };
        let count = match progress {
            Progress::Wait(interest) => {
                lua.push_integer(if interest == Interest::WRITE {
                    WANT_WRITE
                } else {
                    WANT_READ
                });
                1
            }
            progress => this.tell(lua, progress),
        };
        Ok(Returns(count))
    }

    /// `establish(timeout)` -> true, or nil and a message, when the handshake is over.
    fn establish(lua: Lua, this: &Session) -> Outcome {
        let (reader, writer) = this.below;
        reader.check_idle()?;
        writer.check_idle()?;
        let core = this.core();
        core.check_idle(&this.waiting.parked, -1, Interest::NONE)?;
        attempt::start(this, lua, core.timeout(lua, 2))
    }

    /// `streams()` -> the reader and the writer of what goes through the session.
    fn streams(lua: Lua, this: &Session) -> Outcome {
        let core = this.core();
        let context = std::ptr::from_ref(this).cast_mut().cast();
        let fd = this.below.0.fd();
        push_owners(lua);
        // SAFETY: the table below keeps this userdata as long as either stream is there, and the functions
        // take it as freed when its connection is gone.
        unsafe {
            core.new_stream_reader(lua, fd, read, context);
            core.new_stream_writer(lua, fd, write, context);
        }
        for (index, slot) in [(3, READER), (4, WRITER)] {
            lua.push_value(index);
            lua.push_value(1);
            lua.raw_set(2);
            lua.push_value(index);
            lua.set_user_value(1, slot);
        }
        Ok(Returns(2))
    }

    /// `alpn()` -> the protocol agreed on, or nil.
    fn alpn(lua: Lua, this: &Session) -> Outcome {
        this.push_text(lua, |connection| connection.alpn())
    }

    /// `version()` -> for example "TLSv1.3"
    fn version(lua: Lua, this: &Session) -> Outcome {
        this.push_text(lua, |connection| connection.protocol())
    }

    /// `cipher()` -> the name of the suite
    fn cipher(lua: Lua, this: &Session) -> Outcome {
        this.push_text(lua, |connection| connection.cipher())
    }

    fn push_text(&self, lua: Lua, text: impl Fn(&Connection<Streams>) -> Option<&CStr>) -> Outcome {
        let mut copy = Text::new();
        let found = self.with(|connection| text(connection).map(|text| copy.push(text.to_bytes())));
        match found.flatten() {
            Some(()) => lua.push_bytes(copy.bytes()),
            None => lua.push_nil(),
        }
        Ok(Returns(1))
    }

    /// `peer()` -> the peer's certificate in DER and its subject, or nothing.
    fn peer(lua: Lua, this: &Session) -> Outcome {
        let mut room = [0; 512];
        let found = this.with(|connection| {
            let certificate = std::ptr::from_ref(connection.peer());
            let name = connection.peer_name(&mut room).map_or(0, <[u8]>::len);
            (certificate, name)
        });
        let Some((certificate, name)) = found else {
            return Ok(Returns(0));
        };
        // SAFETY: the certificate is the connection's, which only calls of scripts end; pushing copies it before a
        // finaliser can run.
        let certificate = unsafe { &*certificate };
        if certificate.is_empty() {
            return Ok(Returns(0));
        }
        lua.push_bytes(certificate);
        lua.push_bytes(room.get(..name).unwrap_or_default());
        Ok(Returns(2))
    }

    /// Pushes what a step of the handshake came to, unless it waits. May raise.
    fn tell(&self, lua: Lua, progress: Progress) -> c_int {
        match progress {
            Progress::Failed(errno) => self.push_failure(lua, errno),
            Progress::End => refused(lua, b"closed"),
            Progress::Done(_) | Progress::Wait(_) => {
                lua.push_bool(true);
                1
            }
        }
    }
}

impl Attempt for Session {
    type Host = Core;

    fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    fn fd(&self) -> c_int {
        self.below.0.fd()
    }

    fn direction(&self) -> Interest {
        Interest::READ
    }

    fn attempt(&self, lua: Lua) -> Try {
        match self.with(Connection::handshake) {
            None => Try::Done(refused(lua, b"closed")),
            Some(Progress::Wait(interest)) => Try::Again(interest),
            Some(progress) => Try::Done(self.tell(lua, progress)),
        }
    }
}

impl UserData for Session {
    const NAME: &'static CStr = c"struct eco_ssl_session *";
    const METHODS: Functions = functions! {
        free: method(Session::free),
        pointer: method(Session::pointer),
        set_server_name: method(Session::set_server_name),
        set_address: method(Session::set_address),
        handshake: method(Session::handshake),
        establish: method(Session::establish),
        streams: method(Session::streams),
        load: method(Session::load),
        save: method(Session::save),
        alpn: method(Session::alpn),
        version: method(Session::version),
        cipher: method(Session::cipher),
        peer: method(Session::peer),
        __close: method(Session::free),
    };

    /// The streams under it may be gone already: nothing is sent.
    fn finalise(&self, lua: Lua) {
        self.core().forget(&self.waiting.parked);
        if let Ok(mut connection) = self.connection.try_borrow_mut() {
            connection.take();
        }
        self.close_now(lua, 1);
    }
}

/// What a step means to a stream of the core; `error` gets the reason if there is a text.
///
/// # Safety
///
/// `error` may be written to.
unsafe fn answer(
    session: &Session,
    side: usize,
    progress: Option<Progress>,
    error: *mut *const c_char,
) -> c_int {
    let failed = |text: &[u8], errno: Errno| {
        if let Some(Ok(mut kept)) = session.failures.get(side).map(RefCell::try_borrow_mut) {
            kept.clear();
            kept.push(text);
            if !text.is_empty() {
                // SAFETY: by the caller's promise; the text stays where it is.
                unsafe { *error = kept.as_ptr() };
            }
        }
        -(errno as c_int)
    };
    match progress {
        None => failed(b"closed", Errno::EBADF),
        Some(Progress::Done(count)) => c_int::try_from(count).unwrap_or(c_int::MAX),
        Some(Progress::Wait(interest)) if interest == Interest::WRITE => WANTS_WRITE,
        Some(Progress::Wait(_)) => WANTS_READ,
        Some(Progress::End) => 0,
        Some(Progress::Failed(errno)) => {
            let text = session.with(Connection::failure).unwrap_or_default();
            failed(text.bytes(), errno)
        }
    }
}

/// Reads for a reader of the core's.
pub unsafe extern "C" fn read(
    buffer: *mut c_void,
    length: usize,
    context: *mut c_void,
    error: *mut *const c_char,
) -> c_int {
    const _: ReadFunction = read;
    // SAFETY: the context is a session (see `streams`), and the buffer has room for that many bytes.
    unsafe {
        let session = &*context.cast::<Session>();
        let into = slice::from_raw_parts_mut(buffer.cast::<u8>(), length);
        let progress = session.with(|connection| {
            if connection.is_established() {
                connection.read(into)
            } else {
                Progress::Failed(Errno::ENOTCONN)
            }
        });
        answer(session, 0, progress, error)
    }
}

/// Writes for a writer of the core's.
pub unsafe extern "C" fn write(
    buffer: *const c_void,
    length: usize,
    context: *mut c_void,
    error: *mut *const c_char,
) -> c_int {
    const _: WriteFunction = write;
    // SAFETY: as in `read`.
    unsafe {
        let session = &*context.cast::<Session>();
        let data = slice::from_raw_parts(buffer.cast::<u8>(), length);
        let progress = session.with(|connection| {
            if connection.is_established() {
                connection.write(data)
            } else {
                Progress::Failed(Errno::ENOTCONN)
            }
        });
        // The end of what comes in says nothing about what goes out.
        let progress = match progress {
            Some(Progress::End) => Some(Progress::Failed(Errno::EPIPE)),
            progress => progress,
        };
        answer(session, 1, progress, error)
    }
}
