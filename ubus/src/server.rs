//! The daemon's sockets: one thread that waits for all clients at once and for none of them alone.
//!
//! A turn reads once from each client that has something, hands all whole messages to the [`Broker`], and writes once to each client
//! that has something to get. A client that neither reads nor finishes its messages costs memory within bounds and nobody's time. A
//! descriptor that comes is passed on or closed.

mod links;
mod socket_file;

use crate::broker::{Broker, Credentials};
use crate::message::MAX_MESSAGE;
use crate::receive::ReceiveBuffer;
use links::Links;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{geteuid, Gid, Group, Uid, User};
use socket_file::SocketFile;
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// What is not an id of a client: those start at 1024.
const LISTENER: u64 = 0;
const CONTROL: u64 = 1;

/// With so many bytes to send, or to receive at once, they are sent before more is read.
const SOON: usize = 128 * 1024;
const LONG: usize = 16 * 1024;

/// How many events, and how many new clients, one turn takes.
const EVENTS: usize = 256;
const NEW_CLIENTS: usize = 64;

/// After how many idle milliseconds a process without free descriptors looks for one again.
const LATER: u16 = 100;

/// A daemon that listens.
///
/// ```
/// use std::ops::ControlFlow;
/// use std::time::Duration;
/// use ubus::server::Server;
/// use ubus::Client;
///
/// # let folder = std::env::temp_dir().join(format!("ubus-server-doc-{}", std::process::id()));
/// let path = folder.join("ubus.sock");
/// let mut server = Server::bind(&path)?;
/// // It runs until something can be read from the control descriptor.
/// let (control, stop) = std::io::pipe()?;
/// let thread = std::thread::spawn(move || server.run(&control, |_| ControlFlow::Break(())));
///
/// let soon = Duration::from_secs(5);
/// let mut client = Client::connect(&path, soon)?;
/// assert!(client.lookup(None, soon)?.is_empty());
///
/// drop(stop);
/// thread.join().unwrap()?;
/// assert!(!path.exists());
/// # std::fs::remove_dir(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    /// Removed when the server goes.
    _file: SocketFile,
    broker: Broker,
    links: Links,
    /// What clients without half a message share; empty between them.
    spare: ReceiveBuffer,
    /// Whether new clients have to wait for a descriptor.
    is_full: bool,
}

impl Server {
    /// Listens at a path, open to all users. A folder that is missing is made, a socket nobody listens at is replaced.
    ///
    /// [`ErrorKind::AddrInUse`] if somebody listens there, [`ErrorKind::AlreadyExists`] if the path is something else than a socket.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Server> {
        let (listener, file) = SocketFile::bind(path.as_ref())?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(Server {
            listener,
            _file: file,
            broker: Broker::new(geteuid().as_raw()),
            links: Links::new(epoll),
            spare: ReceiveBuffer::new(MAX_MESSAGE),
            is_full: false,
        })
    }

    /// Serves clients. Whenever `control` can be read, or has ended, `decide` is asked whether to go on.
    pub fn run(
        &mut self,
        control: &impl AsFd,
        mut decide: impl FnMut(&mut Broker) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let interest = EpollEvent::new(EpollFlags::EPOLLIN, CONTROL);
        self.links.epoll.add(control, interest)?;
        let mut events = [EpollEvent::empty(); EVENTS];
        let result = loop {
            let timeout = match (self.links.behind.is_empty(), self.is_full) {
                (false, _) => EpollTimeout::ZERO,
                (true, false) => EpollTimeout::NONE,
                (true, true) => EpollTimeout::from(LATER),
            };
            let count = match self.links.epoll.wait(&mut events, timeout) {
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(error) => break Err(error.into()),
            };
            if count == 0 {
                self.accept_again();
            }
            let mut stop = false;
            for event in events.iter().take(count) {
                match event.data() {
                    LISTENER => self.accept(),
                    CONTROL => stop |= decide(&mut self.broker).is_break(),
                    id => self.serve(id as u32, event.events()),
                }
                self.send_if_much();
            }
            for id in std::mem::take(&mut self.links.behind) {
                self.catch_up(id);
                self.send_if_much();
            }
            self.links.send(&mut self.broker);
            if stop {
                break Ok(());
            }
        };
        self.links.epoll.delete(control)?;
        result
    }

    fn accept(&mut self) {
        for _ in 0..NEW_CLIENTS {
            // Holds a place for the files that tell names.
            let place = self.listener.try_clone();
            match place.and_then(|place| Ok((self.listener.accept()?.0, place))) {
                Ok((stream, place)) => {
                    drop(place);
                    // Without a name the client is hung up on.
                    if let Some(credentials) = identify(&stream) {
                        self.welcome(stream.into(), &credentials);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let code = error.raw_os_error().map(Errno::from_raw);
                    if matches!(code, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) {
                        // Others wait until somebody leaves, or for a while; to be told of them again and again would help nobody.
                        self.is_full = true;
                        self.listen_for(EpollFlags::empty());
                    }
                    return;
                }
            }
        }
    }

    fn listen_for(&mut self, interest: EpollFlags) {
        let mut event = EpollEvent::new(interest, LISTENER);
        // The listener was added when the server was made.
        let _ = self.links.epoll.modify(&self.listener, &mut event);
    }

    fn welcome(&mut self, fd: OwnedFd, credentials: &Credentials) {
        let id = self.broker.connect(credentials);
        if self.links.add(id, fd).is_err() {
            self.hang_up(id);
        }
    }

    fn hang_up(&mut self, id: u32) {
        self.links.peers.remove(&id);
        self.broker.disconnect(id);
        self.accept_again();
    }

    /// Tries again whether there is room for new clients.
    fn accept_again(&mut self) {
        if std::mem::take(&mut self.is_full) {
            self.listen_for(EpollFlags::EPOLLIN);
        }
    }

    /// Does what a client's socket is ready for.
    fn serve(&mut self, id: u32, ready: EpollFlags) {
        let gone = EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR;
        if ready.intersects(gone) {
            if let Some(peer) = self.links.peers.get_mut(&id) {
                peer.is_deaf = true;
            }
        }
        if ready.intersects(gone | EpollFlags::EPOLLOUT) {
            self.links.send_to(&mut self.broker, id);
        }
        // An end shows by reading, behind all that was said before.
        if ready.intersects(gone | EpollFlags::EPOLLIN) && !self.receive_from(id) {
            self.hang_up(id);
        }
    }

    /// Reads once and hands over what is whole. False when the stream has ended or makes no sense.
    fn receive_from(&mut self, id: u32) -> bool {
        let Some(peer) = self.links.peers.get_mut(&id) else {
            return true;
        };
        if peer.is_behind || self.broker.is_busy(id) {
            return true;
        }
        let buffer = peer.partial.as_mut().unwrap_or(&mut self.spare);
        match peer.socket.receive(buffer) {
            Ok(0) => false,
            Ok(_) => self.take_messages(id),
            Err(error) => {
                matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
            }
        }
    }

    /// Goes on with the messages of a client that had to wait.
    fn catch_up(&mut self, id: u32) {
        if let Some(peer) = self.links.peers.get_mut(&id) {
            peer.is_behind = false;
            if !self.take_messages(id) {
                self.hang_up(id);
            }
        }
    }

    /// Hands over whole messages until that makes much to send. False if what comes next is no message.
    fn take_messages(&mut self, id: u32) -> bool {
        let peer = self.links.peers.get_mut(&id);
        let mut partial = peer.and_then(|peer| peer.partial.take());
        let buffer = partial.as_mut().unwrap_or(&mut self.spare);
        let mut is_behind = false;
        while !self.broker.is_busy(id) {
            is_behind = self.broker.unsent_bytes() > SOON;
            if is_behind {
                break;
            }
            let is_long = buffer.len() > LONG;
            match buffer.next() {
                Ok(Some(received)) => {
                    if is_long {
                        // What is queued for its receiver must not crowd it out.
                        self.links.send(&mut self.broker);
                    }
                    self.broker.receive(id, received);
                }
                Ok(None) => break,
                Err(_) => {
                    buffer.clear();
                    return false;
                }
            }
        }
        if buffer.len() > 0 {
            let fresh = ReceiveBuffer::new(MAX_MESSAGE);
            let rest = partial.unwrap_or_else(|| std::mem::replace(&mut self.spare, fresh));
            self.links.keep(id, rest, is_behind);
        }
        true
    }

    fn send_if_much(&mut self) {
        if self.broker.unsent_bytes() > SOON {
            self.links.send(&mut self.broker);
        }
    }
}

/// Who is at the other end; nobody if the system has no names for it.
fn identify(stream: &UnixStream) -> Option<Credentials> {
    let peer = getsockopt(stream, PeerCredentials).ok()?;
    let (uid, gid) = (peer.uid(), peer.gid());
    let user = User::from_uid(Uid::from_raw(uid)).ok()??;
    let group = Group::from_gid(Gid::from_raw(gid)).ok()??;
    Some(Credentials {
        uid,
        gid,
        user: user.name.into_bytes(),
        group: group.name.into_bytes(),
    })
}
