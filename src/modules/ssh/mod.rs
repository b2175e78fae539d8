//! `eco.ssh`: sessions of libssh2 whose calls suspend one coroutine. What a call
//! of a script's is made of is in `ssh.lua`; each wait is one request of a handle.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, CStr};

use crate::abi::attempt::{self, Attempt, End, Try, Waiting};
use crate::abi::{monotonic, Cause, Core, Host, Interest, Nanoseconds};
use crate::lua::{function, method, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::system::ssh::{self as system, Known, Session, AGAIN, READS, WRITES};
use crate::{functions, lua_source};

/// Opens the module. May raise.
pub fn open(lua: Lua) -> Outcome {
    let core = Core::open(lua, "eco.ssh")?;
    if !system::is_there() {
        return Err("eco.ssh needs the library libssh2 (package libssh2)".into());
    }
    lua.push_chunk(c"=eco.ssh", lua_source!("ssh.lua"));
    lua.push_function(function(new), core.pointer());
    lua.call(1, 1);
    Ok(Returns(1))
}

/// What is asked for; `ssh.lua` has the same list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Request {
    Handshake,
    Methods,
    Password,
    PublicKey,
    Open,
    Execute,
    /// Everything from both streams.
    Drain,
    Read,
    Write,
    SendFile,
    ReceiveFile,
    SendEnd,
    WaitEnd,
    Close,
    Free,
    Signal,
    Disconnect,
}

const REQUESTS: [Request; 17] = [
    Request::Handshake,
    Request::Methods,
    Request::Password,
    Request::PublicKey,
    Request::Open,
    Request::Execute,
    Request::Drain,
    Request::Read,
    Request::Write,
    Request::SendFile,
    Request::ReceiveFile,
    Request::SendEnd,
    Request::WaitEnd,
    Request::Close,
    Request::Free,
    Request::Signal,
    Request::Disconnect,
];

/// Texts of a request, each with its final NUL; empty for none.
type Texts = [Vec<u8>; 4];

/// How much is read at once.
const PIECE: usize = 32768;

/// A session and whoever waits for it.
#[repr(C)]
struct Handle {
    waiting: Waiting,
    /// A copy of the socket's descriptor, so that it stays what it is; -1 once
    /// freed.
    fd: Cell<c_int>,
    session: Session,
    request: Cell<Request>,
    texts: RefCell<Texts>,
    numbers: Cell<[i64; 2]>,
    /// What was received: from standard output, from standard error.
    received: [RefCell<Vec<u8>>; 2],
    /// How long nothing may happen, and when all must be done; 0 for ever.
    idle: Cell<Nanoseconds>,
    deadline: Cell<Nanoseconds>,
}

crate::attempt!(Handle);

impl UserData for Handle {
    const NAME: &'static CStr = c"struct eco_ssh *";
    const METHODS: Functions = functions! {
        run: method(run),
        status: method(status),
        known: method(known),
        key: method(key),
        freed: method(freed),
        free: method(free),
    };

    fn finalise(&self, _: Lua) {
        self.free_now();
        self.waiting.host.forget(&self.waiting.parked);
    }
}

/// What a step came to.
enum Answer {
    Yes,
    /// There is more to do.
    Moved,
    Size(i64),
    /// So many bytes were received from standard output.
    Received(usize),
    /// All of both streams.
    Drained,
    TooMuch,
    NoMemory,
}

impl Handle {
    fn free_now(&self) {
        let fd = self.fd.replace(-1);
        if fd < 0 {
            return;
        }
        self.waiting.host.wake(&self.waiting.parked, Cause::CANCEL);
        system::hang_up(fd);
        self.session.free();
        self.drop_request();
        crate::system::socket::close(fd);
        self.waiting.host.fd_reset(fd);
    }

    fn step(&self) -> Result<Answer, c_int> {
        let (session, [first, second]) = (&self.session, self.numbers.get());
        let texts = self.texts.borrow();
        let text = |index: usize| {
            let text = texts.get(index)?;
            CStr::from_bytes_with_nul(text).ok()
        };
        let needed = |index| text(index).unwrap_or_default();
        match self.request.get() {
            Request::Handshake => session.handshake(self.fd.get())?,
            Request::Methods => {
                let mut list = self.received[0].borrow_mut();
                list.clear();
                let taken = session.methods(needed(0), |names| {
                    let names = names.to_bytes();
                    list.try_reserve(names.len())
                        .map(|()| list.extend_from_slice(names))
                })?;
                return Ok(match taken {
                    Ok(()) => Answer::Received(list.len()),
                    Err(_) => Answer::NoMemory,
                });
            }
            Request::Password => session.password(needed(0), needed(1))?,
            Request::PublicKey => session.public_key(needed(0), text(1), needed(2), text(3))?,
            Request::Open => session.open_channel()?,
            Request::Execute => session.execute(needed(0))?,
            Request::Drain => return self.drain(first),
            Request::Read => return self.read(first),
            Request::Write => return self.write(&texts[0]),
            Request::SendFile => session.send_file(needed(0), first as c_int, second)?,
            Request::ReceiveFile => return session.receive_file(needed(0)).map(Answer::Size),
            Request::SendEnd => session.send_end()?,
            Request::WaitEnd => session.wait_end()?,
            Request::Close => session.close_channel()?,
            Request::Free => session.free_channel()?,
            Request::Signal => session.signal(needed(0))?,
            Request::Disconnect => session.disconnect(first as c_int, needed(0))?,
        }
        Ok(Answer::Yes)
    }

    /// Reads from whichever stream has something, at most `most` bytes in all.
    fn drain(&self, most: i64) -> Result<Answer, c_int> {
        for (stream, received) in (0..).zip(&self.received) {
            match receive(&self.session, stream, received, PIECE) {
                Ok(Some(0)) | Err(AGAIN) => {}
                Ok(Some(_)) => {
                    let total: usize = self.received.iter().map(|part| part.borrow().len()).sum();
                    return Ok(if total as i64 > most {
                        Answer::TooMuch
                    } else {
                        Answer::Moved
                    });
                }
                Ok(None) => return Ok(Answer::NoMemory),
                Err(code) => return Err(code),
            }
        }
        if self.session.is_at_end() {
            return Ok(Answer::Drained);
        }
        // Reading one stream may have brought bytes of the other.
        if self.session.has_more() {
            Ok(Answer::Moved)
        } else {
            Err(AGAIN)
        }
    }

    /// Reads up to `most` bytes of standard output; 0 at the end.
    fn read(&self, most: i64) -> Result<Answer, c_int> {
        self.received[0].borrow_mut().clear();
        let most = usize::try_from(most).unwrap_or(0).clamp(1, PIECE);
        match receive(&self.session, 0, &self.received[0], most)? {
            Some(count) => Ok(Answer::Received(count)),
            None => Ok(Answer::NoMemory),
        }
    }

    /// Writes all of a text but its NUL.
    fn write(&self, text: &[u8]) -> Result<Answer, c_int> {
        let [done, _] = self.numbers.get();
        let data = text.split_last().map_or(&[][..], |(_, data)| data);
        let rest = data.get(done as usize..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(Answer::Yes);
        }
        let count = self.session.write(rest)?;
        self.numbers.set([done + count as i64, 0]);
        Ok(Answer::Moved)
    }

    /// Pushes what a step came to. May raise.
    fn push(&self, lua: Lua, answer: Result<Answer, c_int>) -> Try {
        match answer {
            Ok(Answer::Moved) => return Try::Moved,
            Ok(Answer::Yes) => lua.push_bool(true),
            Ok(Answer::Size(size)) => lua.push_integer(size),
            Ok(Answer::Received(count)) => lua.push_part(&self.received[0], 0..count),
            Ok(Answer::Drained) => {
                for part in &self.received {
                    let length = part.borrow().len();
                    lua.push_part(part, 0..length);
                }
                self.drop_request();
                return Try::Done(2);
            }
            Ok(Answer::TooMuch) => return self.failed(lua, "too much output"),
            Ok(Answer::NoMemory) => return self.failed(lua, "not enough memory"),
            Err(AGAIN) => {
                // Something came, or could be sent: no standstill.
                self.waiting.refresh();
                let bits = self.session.directions();
                return Try::Again(match (bits & READS != 0, bits & WRITES != 0) {
                    (true, true) => Interest::BOTH,
                    (false, true) => Interest::WRITE,
                    _ => Interest::READ,
                });
            }
            Err(code) => {
                self.drop_request();
                lua.push_nil();
                if !self.session.error(|text| {
                    lua.push_bytes(text.to_bytes());
                    !text.is_empty()
                }) {
                    lua.pop(1);
                    lua.push_str("libssh2 error ");
                    lua.push_integer(code.into());
                    lua.concat(2);
                }
                return Try::Done(2);
            }
        }
        self.drop_request();
        Try::Done(1)
    }

    fn failed(&self, lua: Lua, text: &str) -> Try {
        self.drop_request();
        lua.push_nil();
        lua.push_str(text);
        Try::Done(2)
    }
}

/// Appends what a stream has, at most `most` bytes: how many; None if there is no
/// memory for them.
fn receive(
    session: &Session,
    stream: c_int,
    received: &RefCell<Vec<u8>>,
    most: usize,
) -> Result<Option<usize>, c_int> {
    let mut received = received.borrow_mut();
    if received.try_reserve(most).is_err() {
        return Ok(None);
    }
    let length = received.len();
    received.resize(length + most, 0);
    let result = session.read(stream, &mut received[length..]);
    received.truncate(length + result.unwrap_or(0));
    result.map(Some)
}

impl Attempt for Handle {
    type Host = Core;

    fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    fn fd(&self) -> c_int {
        self.fd.get()
    }

    fn direction(&self) -> Interest {
        Interest::READ
    }

    fn attempt(&self, lua: Lua) -> Try {
        let deadline = self.deadline.get();
        if deadline > 0 && monotonic() >= deadline {
            return self.end(lua, End::Timeout);
        }
        let answer = self.step();
        self.push(lua, answer)
    }

    fn limit(&self) -> Nanoseconds {
        let idle = self.idle.get();
        match self.deadline.get() {
            0 => idle,
            deadline => {
                let left = (deadline - monotonic()).max(1);
                if idle > 0 {
                    idle.min(left)
                } else {
                    left
                }
            }
        }
    }

    fn drop_request(&self) {
        for text in self.texts.borrow_mut().iter_mut() {
            *text = Vec::new();
        }
        for part in &self.received {
            part.replace(Vec::new());
        }
    }
}

/// `new(fd)` -> handle, or nil and a message.
fn new(lua: Lua) -> Outcome {
    let core = Core::of(lua);
    let fd = lua.int(1)?;
    let slot = lua.reserve::<Handle>(0, core.pointer());
    let made = match system::duplicate(fd) {
        Ok(fd) => match Session::new() {
            Some(session) => Ok((fd, session)),
            None => {
                crate::system::socket::close(fd);
                Err(nix::errno::Errno::ENOMEM)
            }
        },
        Err(errno) => Err(errno),
    };
    match made {
        Ok((fd, session)) => {
            core.fd_reset(fd);
            slot.fill(Handle {
                waiting: Waiting::new::<Handle>(core),
                fd: Cell::new(fd),
                session,
                request: Cell::new(Request::Handshake),
                texts: RefCell::default(),
                numbers: Cell::new([0; 2]),
                received: Default::default(),
                idle: Cell::new(0),
                deadline: Cell::new(0),
            });
            Ok(Returns(1))
        }
        Err(errno) => lua.fail_errno(errno),
    }
}

/// `run(request, idle, total, number, number, text…)`
fn run(lua: Lua, this: &Handle) -> Outcome {
    if this.fd.get() < 0 {
        return Err("session freed".into());
    }
    let core = this.waiting.host;
    core.check_idle(&this.waiting.parked, this.fd.get(), Interest::NONE)?;
    let request = lua.within(2, 1, REQUESTS.len() as i64)? as usize;
    let total = core.timeout(lua, 4);
    let numbers = [lua.integer_or(5, 0)?, lua.integer_or(6, 0)?];
    for index in 7..11 {
        if !lua.is_none_or_nil(index) {
            lua.string(index)?;
        }
    }
    this.drop_request();
    let is_data = REQUESTS[request - 1] == Request::Write;
    let mut problem = None;
    for (index, text) in (7..).zip(this.texts.borrow_mut().iter_mut()) {
        if lua.is_none_or_nil(index) {
            continue;
        }
        let bytes = lua.to_bytes(index);
        // A NUL would cut a name short; data may have any.
        if !is_data && bytes.contains(&0) {
            problem = Some(Error::failure(nix::errno::Errno::EINVAL));
        } else if text.try_reserve_exact(bytes.len() + 1).is_ok() {
            text.extend_from_slice(bytes);
            text.push(0);
        } else {
            problem = Some(Error::failure(nix::errno::Errno::ENOMEM));
        }
    }
    if let Some(problem) = problem {
        return Err(problem);
    }
    this.request.set(REQUESTS[request - 1]);
    this.numbers.set(numbers);
    this.idle.set(core.timeout(lua, 3));
    let deadline = if total > 0 {
        monotonic().saturating_add(total)
    } else {
        0
    };
    this.deadline.set(deadline);
    attempt::start(this, lua, 0)
}

/// `status()` -> exit status, name of a signal or nil.
fn status(lua: Lua, this: &Handle) -> Outcome {
    lua.push_integer(this.session.exit_status().into());
    this.session.exit_signal(|name| match name {
        // On the stack of this call: nothing is lost if Lua raises.
        Some(name) => lua.push_bytes(name),
        None => lua.push_nil(),
    });
    Ok(Returns(2))
}

/// `known(lines, host, port)` -> true when the server has the key that the lines
/// of a file of known hosts say, false when it has another one, nil when they do
/// not say.
fn known(lua: Lua, this: &Handle) -> Outcome {
    let (lines, host, port) = (lua.string(2)?, lua.c_string(3)?, lua.int(4)?);
    match this.session.known(lines, host, port) {
        Some(Known::Match) => lua.push_bool(true),
        Some(Known::Mismatch) => lua.push_bool(false),
        _ => lua.push_nil(),
    }
    Ok(Returns(1))
}

/// `key()` -> the server's key, its SHA-256.
fn key(lua: Lua, this: &Handle) -> Outcome {
    lua.push_bytes(this.session.host_key().unwrap_or_default());
    match this.session.fingerprint() {
        Some(hash) => lua.push_bytes(hash),
        None => lua.push_nil(),
    }
    Ok(Returns(2))
}

/// `freed()`
fn freed(lua: Lua, this: &Handle) -> Outcome {
    lua.push_bool(this.fd.get() < 0);
    Ok(Returns(1))
}

/// `free([polite])`: never waits. A polite one says goodbye, if that goes out at
/// once.
fn free(lua: Lua, this: &Handle) -> Outcome {
    const BY_APPLICATION: c_int = 11;
    let is_idle = !this.waiting.host.is_parked(&this.waiting.parked);
    if this.fd.get() >= 0 && is_idle && lua.to_bool(2) {
        let _ = this.session.disconnect(BY_APPLICATION, c"Normal Shutdown");
    }
    this.free_now();
    Ok(Returns(0))
}
