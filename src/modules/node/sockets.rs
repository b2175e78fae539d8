//! Sockets as scripts have them, and what the Lua part does with them.

use std::cell::RefCell;
use std::ffi::{c_int, CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::sync::Arc;

use nix::errno::Errno;

use super::buffer::Buffer;
use super::engine::Engine;
use super::here::here;
use crate::functions;
use crate::lua::{ffi, function, Error, Functions, Lua, Outcome, Returns, UserData};
use crate::node::event::{Event, Id, Post};
use crate::node::framing::Head;
use crate::node::socket::{Attempt, Data, Kind, Socket};
use crate::node::{bytes::Bytes, errors};
use crate::system::address::{Parts, SocketAddress};
use crate::system::{fd, resolve, socket};

/// A socket, with its methods as a user value.
pub struct Sock {
    socket: Arc<Socket>,
    engine: Arc<Engine>,
    /// What came, until there is a value of Lua's for it.
    accepted: RefCell<Option<OwnedFd>>,
    received: RefCell<Option<Bytes>>,
}

impl UserData for Sock {
    const NAME: &'static CStr = c"node-lua socket";
    const METHODS: Functions = functions! { __index: function(index) };

    fn finalise(&self, _lua: Lua) {
        self.engine.net.close(&self.socket, &*self.engine);
    }
}

/// Functions of the Lua part.
pub const FUNCTIONS: Functions = functions! {
    methods: function(methods),
    listen: function(listen),
    accept: function(accept),
    connect: function(connect),
    read: function(read),
    open: function(open),
    receive: function(receive),
    write: function(write),
    heads: function(heads),
    set_heads: function(set_heads),
    set_nodelay: function(set_nodelay),
    set_shared: function(set_shared),
    address: function(address),
    close: function(close),
    is_closed: function(is_closed),
    kind: function(kind),
    fd: function(number),
};

/// Registry field: methods by [`Kind`].
const METHODS: &CStr = c"node-lua.methods";
/// User value of a socket: its methods.
const OWN_METHODS: c_int = 1;

/// `socket.name`.
fn index(lua: Lua) -> Outcome {
    lua.set_top(2);
    if lua.get_user_value(1, OWN_METHODS) != ffi::LUA_TTABLE {
        return Ok(Returns(0));
    }
    lua.push_value(2);
    lua.raw_get(-2);
    Ok(Returns(1))
}

/// `methods(kind, table)`: what sockets of that kind can do.
fn methods(lua: Lua) -> Outcome {
    lua.set_top(2);
    let kind = lua.integer(1)?;
    if lua.get_field(ffi::LUA_REGISTRYINDEX, METHODS) != ffi::LUA_TTABLE {
        lua.pop(1);
        lua.push_table(3, 0);
        lua.push_value(-1);
        lua.set_field(ffi::LUA_REGISTRYINDEX, METHODS);
    }
    lua.push_value(2);
    lua.raw_set_index(-2, kind);
    Ok(Returns(0))
}

fn kind_number(kind: Kind) -> i64 {
    match kind {
        Kind::Stream => 1,
        Kind::Listener => 2,
        Kind::Datagram => 3,
    }
}

/// Pushes a new socket of the running context. May raise.
fn push_sock(lua: &Lua, kind: Kind, is_unix: bool) -> Result<&Sock, Error> {
    let context = here(lua);
    let owner = context.handle();
    let free = context.engine.net.free_number(owner, context.next_socket());
    let Some(number) = free else {
        return Err("too many sockets".into());
    };
    if !context.engine.ensure_network() {
        return Err("no thread for the network".into());
    }
    let sock = lua.reserve::<Sock>(1, ptr::null()).fill(Sock {
        socket: Arc::new(Socket::new(number, owner, kind, is_unix)),
        engine: Arc::clone(&context.engine),
        accepted: RefCell::default(),
        received: RefCell::default(),
    });
    if lua.get_field(ffi::LUA_REGISTRYINDEX, METHODS) == ffi::LUA_TTABLE {
        lua.raw_get_index(-1, kind_number(kind));
        lua.set_user_value(-3, OWN_METHODS);
    }
    lua.pop(1);
    sock.engine.net.add(&sock.socket);
    Ok(sock)
}

fn sock(lua: &Lua) -> Result<&Sock, Error> {
    lua.expect_userdata::<Sock>(1)
}

impl Sock {
    /// Takes the descriptor over and watches it.
    fn adopt(&self, fd: OwnedFd) -> Result<(), Errno> {
        if !self.socket.adopt(fd) {
            return Err(Errno::EBADF);
        }
        self.engine.net.watch(&self.socket)
    }
}

/// Ends a call that has pushed a socket, with it or with `nil, number`.
fn give(lua: Lua, done: Result<(), i32>) -> Outcome {
    match done {
        Ok(()) => Ok(Returns(1)),
        Err(number) => {
            if let Some(sock) = lua.userdata::<Sock>(-1) {
                sock.engine.net.close(&sock.socket, &*sock.engine);
            }
            lua.push_nil();
            lua.push_integer(number.into());
            Ok(Returns(2))
        }
    }
}

/// Ends a call with `false, number`.
fn refuse(lua: Lua, number: i32) -> Outcome {
    lua.push_bool(false);
    lua.push_integer(number.into());
    Ok(Returns(2))
}

/// The family that a script means by 4 or 6; 0 is a path.
fn family(lua: Lua, index: c_int) -> Result<c_int, Error> {
    Ok(match lua.integer(index)? {
        6 => libc::AF_INET6,
        4 => libc::AF_INET,
        _ => libc::AF_UNIX,
    })
}

/// The address that text and port stand for; None when the text is no literal.
fn literal(family: c_int, text: &[u8], port: u16) -> Option<SocketAddress> {
    let mut address = SocketAddress::empty();
    if family == libc::AF_UNIX {
        address.set_unix(text).ok()?;
        return Some(address);
    }
    let mut ip = [0; 16];
    if !socket::parse_ip(family, text, &mut ip) {
        return None;
    }
    address.set_inet(family, &ip, port);
    Some(address)
}

fn port(lua: Lua, index: c_int) -> Result<u16, Error> {
    if lua.is_none_or_nil(index) {
        return Ok(0);
    }
    lua.within(index, 0, 65535).map(|port| port as u16)
}

fn set(fd: &OwnedFd, level: c_int, option: c_int, value: bool) -> Result<(), Errno> {
    socket::set_option(
        fd.as_raw_fd(),
        level,
        option,
        &c_int::from(value).to_ne_bytes(),
    )
}

fn create(family: c_int, kind: c_int) -> Result<OwnedFd, Errno> {
    fd::own(socket::socket(family, kind, 0)?)
}

/// `listen(family, address, port, reuse, backlog)` -> socket; or nil, number.
fn listen(lua: Lua) -> Outcome {
    let family = family(lua, 1)?;
    let text = lua.string(2)?;
    let port = port(lua, 3)?;
    let reuse = lua.to_bool(4);
    let backlog = lua.int_or(5, c_int::MAX)?;
    let sock = push_sock(&lua, Kind::Listener, family == libc::AF_UNIX)?;
    let make = || {
        let address = literal(family, text, port).ok_or(Errno::EINVAL)?;
        let fd = create(family, libc::SOCK_STREAM)?;
        if family == libc::AF_UNIX {
            socket::unlink(text);
        } else {
            set(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, true)?;
            set(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, reuse)?;
        }
        socket::bind(fd.as_raw_fd(), &address)?;
        socket::listen(fd.as_raw_fd(), backlog)?;
        sock.adopt(fd)?;
        if family == libc::AF_UNIX {
            sock.socket.own_file(text);
        }
        Ok(())
    };
    let done = make().map_err(errors::number);
    give(lua, done)
}

/// `accept(listener)` -> true, socket; false, number; or nothing.
fn accept(lua: Lua) -> Outcome {
    let listener = sock(&lua)?;
    if listener.accepted.borrow().is_none() {
        match listener.socket.accept() {
            Attempt::Nothing => return Ok(Returns(0)),
            Attempt::Failed(number) => return refuse(lua, number),
            Attempt::Got(fd) => listener.accepted.replace(Some(fd)),
        };
    }
    // Memory may run out before there is a socket for it: then it stays there.
    lua.push_bool(true);
    let made = push_sock(&lua, Kind::Stream, listener.socket.is_unix)?;
    let Some(fd) = listener.accepted.take() else {
        return Ok(Returns(0));
    };
    match made.adopt(fd) {
        Ok(()) => Ok(Returns(2)),
        Err(errno) => {
            made.engine.net.close(&made.socket, &*made.engine);
            refuse(lua, errors::number(errno))
        }
    }
}

/// `connect(id, family, host, port)` -> socket, whose connection `id` is told of;
/// or nil, number.
fn connect(lua: Lua) -> Outcome {
    let id = lua.integer(1)?;
    let family = family(lua, 2)?;
    let host = lua.string(3)?;
    let port = port(lua, 4)?;
    let sock = push_sock(&lua, Kind::Stream, family == libc::AF_UNIX)?;
    if family == libc::AF_UNIX || literal(family, host, port).is_some() {
        let done = match literal(family, host, port) {
            Some(address) => begin(&sock.engine, &sock.socket, family, &address, id),
            None => Err(errors::ENOENT),
        };
        return give(lua, done);
    }
    let Ok(host) = CString::new(host) else {
        return give(lua, Err(errors::ENOENT));
    };
    let socket = Arc::clone(&sock.socket);
    let is_begun = sock.engine.offload(Box::new(move |engine: &Engine| {
        let done = match resolve::resolve(&host, family, port) {
            Some(address) => begin(engine, &socket, family, &address, id),
            None => Err(errors::ENOENT),
        };
        if let Err(error) = done {
            engine.post(socket.owner, Event::Done { id, error });
        }
    }));
    give(
        lua,
        if is_begun {
            Ok(())
        } else {
            Err(errors::ENOMEM)
        },
    )
}

/// Begins to connect.
fn begin(
    engine: &Engine,
    socket: &Socket,
    family: c_int,
    address: &SocketAddress,
    id: Id,
) -> Result<(), i32> {
    let fd = create(family, libc::SOCK_STREAM).map_err(errors::number)?;
    socket.connect(fd, address, id)?;
    engine.net.watch(socket).map_err(errors::number)
}

/// Ends a call with what a socket holds for it. May raise: then it holds it still.
fn give_bytes(lua: Lua, sock: &Sock) -> Outcome {
    lua.push_bool(true);
    Buffer::push_from(lua, &sock.received);
    Ok(Returns(2))
}

/// `read(socket)` -> true, buffer; false, number; or nothing.
fn read(lua: Lua) -> Outcome {
    let sock = sock(&lua)?;
    if sock.received.borrow().is_none() {
        match sock.socket.read() {
            Attempt::Nothing => return Ok(Returns(0)),
            Attempt::Failed(number) => return refuse(lua, number),
            Attempt::Got(bytes) => sock.received.replace(Some(bytes)),
        };
    }
    give_bytes(lua, sock)
}

/// `open(family, address, port)` -> datagram socket; or nil, number.
fn open(lua: Lua) -> Outcome {
    let family = family(lua, 1)?;
    let text = lua.string(2)?;
    let port = port(lua, 3)?;
    let sock = push_sock(&lua, Kind::Datagram, false)?;
    let make = || {
        let address = literal(family, text, port).ok_or(Errno::EINVAL)?;
        let fd = create(family, libc::SOCK_DGRAM)?;
        set(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, true)?;
        socket::bind(fd.as_raw_fd(), &address)?;
        sock.adopt(fd)
    };
    let done = make().map_err(errors::number);
    give(lua, done)
}

/// `receive(socket)` -> true, buffer, address, port, is_ipv6; false, number; or
/// nothing.
fn receive(lua: Lua) -> Outcome {
    let sock = sock(&lua)?;
    let mut from = SocketAddress::empty();
    match sock.socket.receive(&mut from) {
        Attempt::Nothing => return Ok(Returns(0)),
        Attempt::Failed(number) => return refuse(lua, number),
        Attempt::Got(bytes) => sock.received.replace(Some(bytes)),
    };
    give_bytes(lua, sock)?;
    push_address(lua, &from);
    lua.push_bool(i32::from(from.family()) == libc::AF_INET6);
    Ok(Returns(5))
}

/// Pushes the text of an address and its port, or what stands for none. May raise.
fn push_address(lua: Lua, address: &SocketAddress) {
    let (family, ip, port) = match address.parts() {
        Parts::Inet { ip, port } => (libc::AF_INET, ip, port),
        Parts::Inet6 { ip, port } => (libc::AF_INET6, ip, port),
        _ => {
            lua.push_str("unknown address");
            return lua.push_integer(-1);
        }
    };
    socket::format_ip(family, ip, |text| lua.push_bytes(text));
    lua.push_integer(port.into());
}

/// `write(socket | number, data, id, kind [, family, address, port])` -> the number of
/// an error, 0 for none; nothing when `id` will be told. An `id` of 0 is nobody.
fn write(lua: Lua) -> Outcome {
    let context = here(&lua);
    let buffer = lua.userdata::<Buffer>(2);
    if buffer.is_none() {
        lua.string(2)?;
    }
    let id = lua.integer(3)?;
    let sender = (id != 0).then(|| (context.handle(), id));
    let kind = lua.integer(4)?;
    let to = if kind == kind_number(Kind::Datagram) {
        let (family, text, port) = (family(lua, 5)?, lua.string(6)?, port(lua, 7)?);
        match literal(family, text, port) {
            Some(to) => Some(to),
            None => return write_ends(lua, Err(errors::number(Errno::EINVAL))),
        }
    } else {
        None
    };
    let done = {
        let bytes = buffer.map(|buffer| buffer.share().unwrap_or_default());
        let data = match &bytes {
            Some(bytes) => Data::Shared(bytes),
            None => Data::Copied(lua.to_bytes(2)),
        };
        match lua.userdata::<Sock>(1) {
            Some(sock) if kind_number(sock.socket.kind) == kind => {
                sock.socket.write(data, to.as_ref(), sender)
            }
            Some(_) => Err(errors::TCP_CLOSED),
            None => {
                let number = lua.to_integer(1).unwrap_or_default();
                let found = u64::try_from(number).ok();
                let found = found.and_then(|number| context.engine.net.find(number));
                match found {
                    Some(socket) if socket.is_shared() && kind_number(socket.kind) == kind => {
                        socket.write(data, to.as_ref(), sender)
                    }
                    _ if kind == kind_number(Kind::Stream) => Err(errors::TCP_NOT_SHARED),
                    _ => Err(errors::UDP_NOT_SHARED),
                }
            }
        }
    };
    write_ends(lua, done)
}

fn write_ends(lua: Lua, done: Result<bool, i32>) -> Outcome {
    match done {
        Ok(true) => return Ok(Returns(0)),
        Ok(false) => lua.push_integer(0),
        Err(number) => lua.push_integer(number.into()),
    }
    Ok(Returns(1))
}

/// `heads(socket)` -> is_big, width, most, frozen for reading, and for writing.
fn heads(lua: Lua) -> Outcome {
    let sock = sock(&lua)?;
    let ((read, write), (read_frozen, write_frozen)) = (sock.socket.heads(), sock.socket.frozen());
    for (head, is_frozen) in [(read, read_frozen), (write, write_frozen)] {
        lua.push_bool(head.is_big);
        lua.push_integer(head.width as i64);
        lua.push_integer(head.most as i64);
        lua.push_bool(is_frozen);
    }
    Ok(Returns(8))
}

/// `set_heads(socket, is_big, width, most, is_big, width, most)` -> nothing, or 1 or 2
/// when the first or second width and limit do not match.
fn set_heads(lua: Lua) -> Outcome {
    let sock = sock(&lua)?;
    let head = |first| {
        let (width, most) = (
            lua.within(first + 1, 0, 4)?,
            lua.within(first + 2, 0, i64::MAX)?,
        );
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Ok::<_, Error>(Head::new(lua.to_bool(first), width as usize, most))
    };
    match (head(2)?, head(5)?) {
        (Ok(read), Ok(write)) => {
            sock.socket.set_heads(read, write);
            return Ok(Returns(0));
        }
        (Err(_), _) => lua.push_integer(1),
        (_, Err(_)) => lua.push_integer(2),
    }
    Ok(Returns(1))
}

/// `set_nodelay(socket, enable)`.
fn set_nodelay(lua: Lua) -> Outcome {
    let sock = sock(&lua)?;
    let value = c_int::from(lua.to_bool(2)).to_ne_bytes();
    if !sock.socket.is_unix {
        let set = |fd| socket::set_option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, &value);
        // A connection that is gone has nothing to delay.
        let _ = sock.socket.with_fd(set);
    }
    Ok(Returns(0))
}

/// `set_shared(socket, enable)`.
fn set_shared(lua: Lua) -> Outcome {
    sock(&lua)?.socket.set_shared(lua.to_bool(2));
    Ok(Returns(0))
}

/// `address(socket, is_peer)` -> text, port, is_ipv6.
fn address(lua: Lua) -> Outcome {
    let sock = sock(&lua)?;
    let end = if lua.to_bool(2) {
        socket::End::Peer
    } else {
        socket::End::Local
    };
    let found = sock.socket.with_fd(|fd| socket::name(fd, end));
    let address = found.and_then(Result::ok).unwrap_or(SocketAddress::empty());
    push_address(lua, &address);
    lua.push_bool(i32::from(address.family()) == libc::AF_INET6);
    Ok(Returns(3))
}

/// `close(socket)` -> whether it was open.
fn close(lua: Lua) -> Outcome {
    let sock = sock(&lua)?;
    lua.push_bool(sock.engine.net.close(&sock.socket, &*sock.engine));
    Ok(Returns(1))
}

/// `is_closed(value)`; nothing that is no socket is closed.
fn is_closed(lua: Lua) -> Outcome {
    let sock = lua.userdata::<Sock>(1);
    lua.push_bool(sock.is_some_and(|sock| sock.socket.is_closed()));
    Ok(Returns(1))
}

/// `kind(value)` -> 1 stream, 2 listener, 3 datagrams, and whether it is a path's;
/// nothing for what is no socket.
fn kind(lua: Lua) -> Outcome {
    let Some(sock) = lua.userdata::<Sock>(1) else {
        return Ok(Returns(0));
    };
    lua.push_integer(kind_number(sock.socket.kind));
    lua.push_bool(sock.socket.is_unix);
    Ok(Returns(2))
}

/// `fd(socket)` -> its number.
fn number(lua: Lua) -> Outcome {
    lua.push_integer(sock(&lua)?.socket.number as i64);
    Ok(Returns(1))
}
