//! A socket of a context. Its owner reads, any context writes when it is shared,
//! and the network's thread sends what is left and tells who waits.
//!
//! Invariants, all under the lock of `io`:
//!
//! - Who gets nothing has said that it wants something, so that the next edge
//!   tells it: no edge is lost between the two.
//! - What is queued for sending goes out in its order; nothing is sent around it.

use std::collections::VecDeque;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Mutex;

use nix::errno::Errno;

use super::bytes::Bytes;
use super::errors::{self, number};
use super::event::{Event, Handle, Id, Post};
use super::framing::{Broken, Head, Reader};
use crate::system::address::SocketAddress;
use crate::system::thread::lock;
use crate::system::{fd, socket};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Stream,
    Listener,
    Datagram,
}

/// Who is told that something was sent.
pub type Sender = Option<(Handle, Id)>;

struct Out {
    head: [u8; 4],
    /// Bytes of the head, and of all, that are to be sent and that were.
    width: usize,
    sent: usize,
    data: Bytes,
    sender: Sender,
    to: Option<Box<SocketAddress>>,
}

impl Out {
    fn is_sent(&self) -> bool {
        self.sent >= self.width + self.data.len()
    }

    fn send(&mut self, fd: c_int) -> Result<(), Errno> {
        if let Some(to) = &self.to {
            socket::send_to(fd, self.data.as_slice(), to)?;
            self.sent = self.data.len();
            return Ok(());
        }
        while !self.is_sent() {
            let head = self.head.get(self.sent..self.width).unwrap_or_default();
            let begun = self.sent.saturating_sub(self.width);
            let data = self.data.as_slice().get(begun..).unwrap_or_default();
            self.sent += socket::send_parts(fd, head, data)?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Io {
    fd: Option<OwnedFd>,
    is_closed: bool,
    /// Who is told when the connection is there.
    connecting: Option<Id>,
    wanted: bool,
    reader: Reader,
    read_head: Head,
    write_head: Head,
    read_frozen: bool,
    write_frozen: bool,
    read_error: Option<i32>,
    write_error: Option<i32>,
    out: VecDeque<Out>,
    is_shared: bool,
    /// The file of a listener of ours.
    path: Option<(Vec<u8>, socket::FileId)>,
}

impl Io {
    fn number(&self) -> Option<c_int> {
        self.fd.as_ref().map(AsRawFd::as_raw_fd)
    }
}

/// One of a context.
pub struct Socket {
    /// What scripts know it by: the owner, a million times, and its number there.
    pub number: u64,
    pub owner: Handle,
    pub kind: Kind,
    pub is_unix: bool,
    io: Mutex<Io>,
}

/// What came of an attempt.
#[derive(Debug)]
pub enum Attempt<T> {
    Got(T),
    Failed(i32),
    /// Nothing yet: the owner will be told.
    Nothing,
}

/// What is to be written.
#[derive(Clone, Copy)]
pub enum Data<'a> {
    Copied(&'a [u8]),
    Shared(&'a Bytes),
}

impl Data<'_> {
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Data::Copied(bytes) => bytes,
            Data::Shared(bytes) => bytes.as_slice(),
        }
    }

    fn keep(self) -> Result<Bytes, i32> {
        match self {
            Data::Copied(bytes) => Bytes::new(bytes, 0).map_err(|_| errors::ENOMEM),
            Data::Shared(bytes) => Ok(bytes.clone()),
        }
    }
}

/// Most bytes of one chunk.
const CHUNK: usize = 64 << 10;

fn is_again(errno: Errno) -> bool {
    // Two names of one number here, but not everywhere.
    errno == Errno::EAGAIN
}

impl Socket {
    /// A socket without a descriptor yet.
    pub fn new(number: u64, owner: Handle, kind: Kind, is_unix: bool) -> Socket {
        Socket {
            number,
            owner,
            kind,
            is_unix,
            io: Mutex::default(),
        }
    }

    /// Gives it its descriptor; false when it was closed meanwhile.
    pub fn adopt(&self, fd: OwnedFd) -> bool {
        let mut io = lock(&self.io);
        if io.is_closed {
            return false;
        }
        io.fd = Some(fd);
        true
    }

    /// The file that a listener has made goes with it.
    pub fn own_file(&self, path: &[u8]) {
        if let Some(id) = socket::file_id(path) {
            lock(&self.io).path = Some((path.to_vec(), id));
        }
    }

    pub fn is_closed(&self) -> bool {
        lock(&self.io).is_closed
    }

    /// Calls with the descriptor, if it is open.
    pub fn with_fd<R>(&self, call: impl FnOnce(c_int) -> R) -> Option<R> {
        let io = lock(&self.io);
        io.number().map(call)
    }

    /// Connects; `id` of the owner is told of the end, which comes by an edge
    /// unless this fails. Register it after this.
    pub fn connect(&self, fd: OwnedFd, address: &SocketAddress, id: Id) -> Result<(), i32> {
        let mut io = lock(&self.io);
        if io.is_closed {
            return Err(errors::ECANCELED);
        }
        match socket::connect(fd.as_raw_fd(), address) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(errno) => return Err(number(errno)),
        }
        io.fd = Some(fd);
        io.connecting = Some(id);
        Ok(())
    }

    /// Something happened to the descriptor.
    pub fn happened(&self, can_read: bool, can_write: bool, post: &dyn Post) {
        let mut io = lock(&self.io);
        let Some(fd) = io.number() else { return };
        if can_write {
            if let Some(id) = io.connecting.take() {
                let error = match socket::option(fd, libc::SO_ERROR) {
                    Ok(0) => 0,
                    Ok(error) => number(Errno::from_raw(error)),
                    Err(errno) => number(errno),
                };
                drop(io);
                return post.post(self.owner, Event::Done { id, error });
            }
        }
        let is_told = can_read && std::mem::take(&mut io.wanted);
        let mut ended = Vec::new();
        if can_write && !io.out.is_empty() {
            flush(&mut io, fd, &mut ended);
        }
        drop(io);
        if is_told {
            let socket = self.number;
            post.post(self.owner, Event::Ready { socket });
        }
        tell(ended, post);
    }

    /// The next chunk or message.
    pub fn read(&self) -> Attempt<Bytes> {
        let mut io = lock(&self.io);
        io.read_frozen = true;
        let head = io.read_head;
        loop {
            if head.width > 0 {
                match io.reader.next(head) {
                    Ok(Some(message)) => return Attempt::Got(message),
                    Ok(None) => {}
                    Err(broken) => io.read_error = Some(broken_number(broken)),
                }
            }
            if let Some(error) = io.read_error {
                return Attempt::Failed(error);
            }
            let Some(fd) = io.number() else {
                return Attempt::Failed(errors::TCP_CLOSED);
            };
            let mut room = [MaybeUninit::uninit(); CHUNK];
            match socket::receive_from(fd, &mut room, &mut SocketAddress::empty()) {
                Ok([]) => io.read_error = Some(errors::EOF),
                Ok(bytes) if head.width > 0 => {
                    if let Err(broken) = io.reader.push(bytes) {
                        io.read_error = Some(broken_number(broken));
                    }
                }
                Ok(bytes) => {
                    return match Bytes::new(bytes, 0) {
                        Ok(bytes) => Attempt::Got(bytes),
                        Err(_) => Attempt::Failed(errors::ENOMEM),
                    }
                }
                Err(errno) if is_again(errno) => {
                    io.wanted = true;
                    return Attempt::Nothing;
                }
                Err(errno) => io.read_error = Some(number(errno)),
            }
        }
    }

    /// The next datagram, and who sent it.
    pub fn receive(&self, from: &mut SocketAddress) -> Attempt<Bytes> {
        let mut io = lock(&self.io);
        let Some(fd) = io.number() else {
            return Attempt::Failed(errors::TCP_CLOSED);
        };
        let mut room = [MaybeUninit::uninit(); CHUNK];
        match socket::receive_from(fd, &mut room, from) {
            Ok(bytes) => match Bytes::new(bytes, 0) {
                Ok(bytes) => Attempt::Got(bytes),
                Err(_) => Attempt::Failed(errors::ENOMEM),
            },
            Err(errno) if is_again(errno) => {
                io.wanted = true;
                Attempt::Nothing
            }
            Err(errno) => Attempt::Failed(number(errno)),
        }
    }

    /// The next connection.
    pub fn accept(&self) -> Attempt<OwnedFd> {
        let mut io = lock(&self.io);
        let Some(fd) = io.number() else {
            return Attempt::Failed(errors::TCP_CLOSED);
        };
        match socket::accept(fd, &mut SocketAddress::empty()) {
            Ok(accepted) => match fd::own(accepted) {
                Ok(accepted) => Attempt::Got(accepted),
                Err(errno) => Attempt::Failed(number(errno)),
            },
            Err(errno) if is_again(errno) => {
                io.wanted = true;
                Attempt::Nothing
            }
            Err(errno) => Attempt::Failed(number(errno)),
        }
    }

    /// Sends, or queues what cannot be sent now: then `sender` is told of the end,
    /// and this is true.
    pub fn write(
        &self,
        data: Data<'_>,
        to: Option<&SocketAddress>,
        sender: Sender,
    ) -> Result<bool, i32> {
        let mut io = lock(&self.io);
        io.write_frozen = true;
        if let Some(error) = io.write_error {
            return Err(error);
        }
        let Some(fd) = io.number() else {
            return Err(errors::TCP_CLOSED);
        };
        let length = data.as_slice().len();
        if length == 0 && to.is_none() {
            return Ok(false);
        }
        if io.write_head.width > 0 && length > io.write_head.most {
            return Err(errors::TCP_TOO_LONG);
        }
        let (head, width) = io.write_head.write(length);
        let mut sent = 0;
        if io.out.is_empty() {
            let done = match to {
                Some(to) => socket::send_to(fd, data.as_slice(), to),
                None => send_now(fd, head.get(..width).unwrap_or_default(), data.as_slice()),
            };
            match done {
                Ok(_) if to.is_some() => return Ok(false),
                Ok(count) if count == width + length => return Ok(false),
                Ok(count) => sent = count,
                Err(errno) if is_again(errno) => {}
                Err(errno) => {
                    // A datagram that cannot be sent says nothing of the next.
                    if to.is_none() {
                        io.write_error = Some(number(errno));
                    }
                    return Err(number(errno));
                }
            }
        }
        if io.out.try_reserve(1).is_err() {
            return Err(errors::ENOMEM);
        }
        let data = data.keep()?;
        io.out.push_back(Out {
            head,
            width,
            sent,
            data,
            sender,
            to: to.map(|to| Box::new(*to)),
        });
        Ok(true)
    }

    /// Whether other contexts may write.
    pub fn is_shared(&self) -> bool {
        lock(&self.io).is_shared
    }

    pub fn set_shared(&self, is_shared: bool) {
        let mut io = lock(&self.io);
        io.is_shared = is_shared;
        io.write_frozen |= is_shared;
    }

    /// How messages are read and written.
    pub fn heads(&self) -> (Head, Head) {
        let io = lock(&self.io);
        (io.read_head, io.write_head)
    }

    /// Whether reading and writing have begun, so that those do not change.
    pub fn frozen(&self) -> (bool, bool) {
        let io = lock(&self.io);
        (io.read_frozen, io.write_frozen)
    }

    pub fn set_heads(&self, read: Head, write: Head) {
        let mut io = lock(&self.io);
        (io.read_head, io.write_head) = (read, write);
    }

    /// Closes it; false when it was. What was not sent will not be.
    pub fn close(&self, post: &dyn Post) -> bool {
        let mut io = lock(&self.io);
        if io.is_closed {
            return false;
        }
        io.is_closed = true;
        let fd = io.fd.take();
        let path = io.path.take();
        let out = std::mem::take(&mut io.out);
        drop(io);
        if let Some((path, _)) = path.filter(|(path, id)| socket::file_id(path) == Some(*id)) {
            socket::unlink(&path);
        }
        drop(fd);
        let ended = out
            .into_iter()
            .map(|entry| (entry.sender, errors::ECANCELED));
        tell(ended.collect(), post);
        true
    }
}

fn broken_number(broken: Broken) -> i32 {
    match broken {
        Broken::TooLong => errors::EMSGSIZE,
        Broken::Memory => errors::ENOMEM,
    }
}

/// As much as goes at once.
fn send_now(fd: c_int, head: &[u8], data: &[u8]) -> Result<usize, Errno> {
    let mut sent = socket::send_parts(fd, head, data)?;
    while sent < head.len() + data.len() {
        let rest_of_head = head.get(sent..).unwrap_or_default();
        let begun = sent.saturating_sub(head.len());
        let rest = data.get(begun..).unwrap_or_default();
        match socket::send_parts(fd, rest_of_head, rest) {
            Ok(count) => sent += count,
            // What was sent was sent: the rest will tell.
            Err(_) => break,
        }
    }
    Ok(sent)
}

/// Sends what is queued, as far as that goes.
fn flush(io: &mut Io, fd: c_int, ended: &mut Vec<(Sender, i32)>) {
    while let Some(out) = io.out.front_mut() {
        match out.send(fd) {
            Ok(()) => ended.extend(io.out.pop_front().map(|out| (out.sender, 0))),
            Err(errno) if is_again(errno) => return,
            Err(errno) if out.to.is_some() => {
                ended.extend(io.out.pop_front().map(|out| (out.sender, number(errno))));
            }
            Err(errno) => {
                let error = number(errno);
                io.write_error = Some(error);
                ended.extend(io.out.drain(..).map(|out| (out.sender, error)));
            }
        }
    }
}

fn tell(ended: Vec<(Sender, i32)>, post: &dyn Post) {
    for (sender, error) in ended {
        if let Some((handle, id)) = sender {
            post.post(handle, Event::Done { id, error });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    /// Remembers what was posted.
    #[derive(Default)]
    struct Posted(Mutex<Vec<(Handle, Event)>>);

    impl Post for Posted {
        fn post(&self, handle: Handle, event: Event) {
            lock(&self.0).push((handle, event));
        }
    }

    fn pair() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let ours = Socket::new(1_000_001, 1, Kind::Stream, false);
        assert!(ours.adopt(stream.into()));
        (ours, peer)
    }

    fn got(socket: &Socket) -> Bytes {
        for _ in 0..10_000 {
            match socket.read() {
                Attempt::Got(bytes) => return bytes,
                Attempt::Failed(error) => panic!("{error}"),
                Attempt::Nothing => std::thread::sleep(std::time::Duration::from_millis(1)),
            }
        }
        panic!("nothing came")
    }

    #[test]
    fn who_gets_nothing_is_told_of_the_next_edge_once() {
        let (socket, mut peer) = pair();
        let posted = Posted::default();
        socket.happened(true, true, &posted);
        assert!(lock(&posted.0).is_empty(), "nobody wants anything");
        assert!(matches!(socket.read(), Attempt::Nothing));
        socket.happened(false, true, &posted);
        assert!(lock(&posted.0).is_empty());
        peer.write_all(b"x").unwrap();
        socket.happened(true, true, &posted);
        socket.happened(true, true, &posted);
        let posted = std::mem::take(&mut *lock(&posted.0));
        assert!(matches!(
            posted[..],
            [(1, Event::Ready { socket: 1_000_001 })]
        ));
        assert_eq!(got(&socket).as_slice(), b"x");
    }

    #[test]
    fn messages_come_before_the_end() {
        let (socket, mut peer) = pair();
        let head = Head::new(true, 2, 10).unwrap();
        socket.set_heads(head, head);
        peer.write_all(b"\0\x02ab\0\0\0\x01").unwrap();
        drop(peer);
        assert_eq!(got(&socket).as_slice(), b"ab");
        assert_eq!(got(&socket).as_slice(), b"");
        for _ in 0..2 {
            assert!(matches!(socket.read(), Attempt::Failed(errors::EOF)));
        }
        assert_eq!(socket.frozen(), (true, false));
    }

    #[test]
    fn long_messages_stop_the_reading() {
        let (socket, mut peer) = pair();
        let head = Head::new(false, 1, 3).unwrap();
        socket.set_heads(head, Head::default());
        peer.write_all(b"\x03abc\x04abcd").unwrap();
        assert_eq!(got(&socket).as_slice(), b"abc");
        for _ in 0..2 {
            assert!(matches!(socket.read(), Attempt::Failed(errors::EMSGSIZE)));
        }
    }

    #[test]
    fn what_does_not_go_at_once_goes_in_its_order() {
        let (socket, mut peer) = pair();
        let posted = Posted::default();
        let head = Head::new(false, 4, 0).unwrap();
        socket.set_heads(Head::default(), head);
        let large = Bytes::new(&vec![b'x'; 1 << 20], 0).unwrap();
        let mut queued = 0;
        for id in 1..=16 {
            let data = Data::Shared(&large);
            queued += usize::from(socket.write(data, None, Some((9, id))).unwrap());
        }
        assert!(queued > 0 && queued < 16, "{queued}");
        assert_eq!(socket.write(Data::Copied(b"end"), None, None), Ok(true));
        assert_eq!(socket.write(Data::Copied(b""), None, None), Ok(false));
        let total = 16 * (4 + (1 << 20)) + 4 + 3;
        let mut all = Vec::new();
        let mut room = vec![0; 1 << 16];
        while all.len() < total {
            socket.happened(false, true, &posted);
            let count = peer.read(&mut room).unwrap();
            all.extend_from_slice(&room[..count]);
        }
        assert_eq!(all.len(), total);
        assert_eq!(&all[total - 7..], b"\x03\0\0\0end");
        socket.happened(false, true, &posted);
        let posted = lock(&posted.0);
        let ids = posted.iter().map(|(_, event)| match event {
            Event::Done { id, error: 0 } => *id,
            other => panic!("{other:?}"),
        });
        let ids: Vec<_> = ids.collect();
        assert_eq!(ids, ((17 - queued as i64)..=16).collect::<Vec<_>>());
    }

    #[test]
    fn closing_tells_who_has_sent_and_comes_once() {
        let (socket, peer) = pair();
        let posted = Posted::default();
        let large = vec![b'x'; 16 << 20];
        assert_eq!(
            socket.write(Data::Copied(&large), None, Some((3, 4))),
            Ok(true)
        );
        assert!(socket.close(&posted));
        assert!(!socket.close(&posted));
        assert!(socket.is_closed());
        assert!(matches!(
            lock(&posted.0)[..],
            [(
                3,
                Event::Done {
                    id: 4,
                    error: errors::ECANCELED
                }
            )]
        ));
        assert_eq!(
            socket.write(Data::Copied(b"x"), None, None),
            Err(errors::TCP_CLOSED)
        );
        assert!(matches!(socket.read(), Attempt::Failed(errors::TCP_CLOSED)));
        drop(peer);
    }
}
