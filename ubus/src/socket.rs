//! A Unix socket that carries messages and descriptors, never waiting longer than told.
//!
//! # Safety
//!
//! The unsafe acts here are one call of recvmsg, whose answer `nix` keeps back when more descriptors came than there was room for,
//! and to own the descriptors that the kernel has just made for this process.
#![allow(unsafe_code)]

use crate::receive::ReceiveBuffer;
use crate::send::SendBuffer;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{
    connect, sendmsg, socket, AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr,
};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// A connected socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

/// When a wait of this length ends; `None` is never.
pub fn deadline(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

impl Socket {
    /// Takes a connected stream socket; it need not be non-blocking.
    pub fn new(fd: OwnedFd) -> Socket {
        Socket { fd }
    }

    /// Connects to a path.
    ///
    /// A listener whose queue is full is asked again until the time is over: [`io::ErrorKind::TimedOut`].
    pub fn connect(path: &Path, deadline: Option<Instant>) -> io::Result<Socket> {
        let address = UnixAddr::new(path)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        loop {
            match connect(fd.as_raw_fd(), &address) {
                Ok(()) => return Ok(Socket::new(fd)),
                Err(Errno::EINTR) => {}
                // The kernel tells no moment at which the queue has room.
                Err(Errno::EAGAIN) if deadline.is_none_or(|end| Instant::now() < end) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads once, without waiting: gives the number of bytes, 0 at the end of the stream.
    ///
    /// [`io::ErrorKind::WouldBlock`] when nothing has come, [`io::ErrorKind::Interrupted`] when a signal did.
    pub fn receive(&mut self, buffer: &mut ReceiveBuffer) -> io::Result<usize> {
        let (count, fd) = receive(self.fd.as_fd(), buffer.space())?;
        buffer.filled(count, fd);
        Ok(count)
    }

    /// Sends until nothing is left or the socket takes no more, without waiting.
    pub fn send(&mut self, buffer: &mut SendBuffer) -> io::Result<()> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        while let Some(piece) = buffer.piece() {
            let fds = piece.fd.map(|fd| [fd.as_raw_fd()]);
            let rights = fds.as_ref().map(|fds| [ControlMessage::ScmRights(fds)]);
            let control = rights.as_ref().map_or(&[][..], |rights| &rights[..]);
            let bytes = [IoSlice::new(piece.bytes)];
            match sendmsg::<UnixAddr>(self.fd.as_raw_fd(), &bytes, control, flags, None) {
                Ok(count) => buffer.sent(count),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                // Too many descriptors that nobody has taken are under way: the message goes without.
                Err(Errno::ETOOMANYREFS) if fds.is_some() => buffer.detach(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits until something has come, or with `writes` until the socket takes more. False when the time is over.
    pub fn wait(&self, writes: bool, deadline: Option<Instant>) -> io::Result<bool> {
        self.wait_unless(None, writes, deadline)
    }

    /// Like [`Socket::wait`], and ends with false, too, when something can be read from `control` or that has ended.
    pub fn wait_unless(
        &self,
        control: Option<BorrowedFd<'_>>,
        writes: bool,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        let mut events = PollFlags::POLLIN;
        if writes {
            events |= PollFlags::POLLOUT;
        }
        let socket = self.fd.as_fd();
        let mut fds = [
            PollFd::new(socket, events),
            PollFd::new(control.unwrap_or(socket), PollFlags::POLLIN),
        ];
        let fds = &mut fds[..1 + usize::from(control.is_some())];
        loop {
            let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
            let timeout = match left {
                // Rounded up, so as not to wake before the time and ask again and again.
                Some(left) => PollTimeout::try_from(left + Duration::from_micros(999))
                    .unwrap_or(PollTimeout::MAX),
                None => PollTimeout::NONE,
            };
            match poll(fds, timeout) {
                Ok(0) if deadline.is_some_and(|end| Instant::now() >= end) => return Ok(false),
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(!fds[1..].iter().any(|fd| fd.any().unwrap_or(true))),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Room, in words, for as many descriptors as one message may bring (`SCM_MAX_FD` of the kernel: 253), so that none is cut off, and
/// for their header of at most 16 bytes.
const CONTROL: usize = (16 + 4 * 254) / std::mem::size_of::<usize>();

/// Reads once, without waiting. Of several descriptors the first counts and the others are closed.
fn receive(socket: BorrowedFd<'_>, space: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut control = [MaybeUninit::<usize>::uninit(); CONTROL];
    let mut part = libc::iovec {
        iov_base: space.as_mut_ptr().cast(),
        iov_len: space.len(),
    };
    // SAFETY: a structure of numbers and pointers, for which zeros are valid; some C libraries have padding in it.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = std::mem::size_of_val(&control) as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the message points to buffers of the lengths it tells, which outlive the call.
    let count = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, flags) };
    let count = Errno::result(count)? as usize;

    let mut first = None;
    // SAFETY: the kernel has filled the control buffer up to the length it wrote into the message, and the buffer is aligned. What
    // lies behind is not read.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(&message).as_ref() };
    while let Some(header) = next {
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: plain arithmetic.
            let bytes = header.cmsg_len as usize - unsafe { libc::CMSG_LEN(0) } as usize;
            // SAFETY: the data of this header, of which the kernel tells the length.
            let data = unsafe { libc::CMSG_DATA(header) }.cast::<RawFd>();
            for index in 0..bytes / std::mem::size_of::<RawFd>() {
                // SAFETY: one of the descriptors in the data; the kernel made it for us, and nobody else knows of it.
                let fd = unsafe { OwnedFd::from_raw_fd(data.add(index).read_unaligned()) };
                first.get_or_insert(fd);
            }
        }
        // SAFETY: as for the first header.
        next = unsafe { libc::CMSG_NXTHDR(&message, header).as_ref() };
    }
    Ok((count, first))
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Kind, MAX_RECEIVED};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn pair() -> (Socket, Socket) {
        let (one, other) = UnixStream::pair().unwrap();
        (Socket::new(one.into()), Socket::new(other.into()))
    }

    #[test]
    fn messages_arrive_with_their_descriptors() {
        let (mut one, mut other) = pair();
        let mut output = SendBuffer::new();
        let mut pipes = Vec::new();
        for seq in 0..6 {
            let length = output.write(Kind::PING, seq, 0, |_| {}).unwrap();
            if [1, 4, 5].contains(&seq) {
                let (reader, writer) = std::io::pipe().unwrap();
                output.attach(length, writer.into());
                pipes.push((seq, reader));
            }
        }
        one.send(&mut output).unwrap();
        assert_eq!(output.len(), 0);
        let mut received = ReceiveBuffer::new(MAX_RECEIVED);
        let mut seen = Vec::new();
        while seen.len() < 6 {
            assert!(other
                .wait(false, deadline(Duration::from_secs(10)))
                .unwrap());
            assert!(other.receive(&mut received).unwrap() > 0);
            while let Some(message) = received.next().unwrap() {
                let seq = message.header().seq;
                if let Some(fd) = message.fd {
                    let mut writer = std::fs::File::from(fd);
                    writer.write_all(&[seq as u8]).unwrap();
                }
                seen.push(seq);
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
        for (seq, mut reader) in pipes {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, [seq as u8]);
        }
    }

    #[test]
    fn descriptors_beyond_the_first_are_closed() {
        let (mut one, other) = pair();
        for count in [1, 2, 3, 100] {
            let (mut readers, mut writers) = (Vec::new(), Vec::new());
            for _ in 0..count {
                let (reader, writer) = std::io::pipe().unwrap();
                readers.push(reader);
                writers.push(writer);
            }
            let fds: Vec<RawFd> = writers.iter().map(AsRawFd::as_raw_fd).collect();
            let rights = [ControlMessage::ScmRights(&fds)];
            let bytes = [IoSlice::new(&[0; 12])];
            let fd = other.as_fd().as_raw_fd();
            sendmsg::<UnixAddr>(fd, &bytes, &rights, MsgFlags::empty(), None).unwrap();
            drop(writers);
            let (length, fd) = receive(one.as_fd(), &mut [0; 12]).unwrap();
            assert_eq!((length, fd.is_some()), (12, true));
            let mut rest = readers.split_off(1);
            for reader in &mut rest {
                // The end comes once no writing end is open.
                assert_eq!(reader.read(&mut [0]).unwrap(), 0, "{count}");
            }
            drop(fd);
            assert_eq!(readers[0].read(&mut [0]).unwrap(), 0);
        }
        let error = one.receive(&mut ReceiveBuffer::new(MAX_RECEIVED));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn nothing_waits_longer_than_told() {
        let (mut one, mut other) = pair();
        let mut received = ReceiveBuffer::new(MAX_RECEIVED);
        let error = one.receive(&mut received).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        let start = Instant::now();
        assert!(!one
            .wait(false, deadline(Duration::from_millis(20)))
            .unwrap());
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert!(one.wait(true, deadline(Duration::from_secs(10))).unwrap());

        // A peer that does not read: what does not fit stays.
        let mut output = SendBuffer::new();
        let message = vec![0; 1 << 20];
        output.push(&message);
        one.send(&mut output).unwrap();
        assert!(output.len() > 0);
        assert!(other.receive(&mut received).unwrap() > 0);
        drop(one);
        while other.receive(&mut received).unwrap() > 0 {}
    }

    #[test]
    fn a_listener_without_room_is_given_up() {
        let folder = std::env::temp_dir().join(format!("ubus-socket-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("full");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let mut sockets = Vec::new();
        let error = loop {
            match Socket::connect(&path, deadline(Duration::from_millis(20))) {
                Ok(socket) => sockets.push(socket),
                Err(error) => break error,
            }
            assert!(sockets.len() < 10_000);
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(listener);
        std::fs::remove_dir_all(&folder).unwrap();
        let error = Socket::connect(&path, None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
