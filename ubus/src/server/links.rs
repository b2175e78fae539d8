//! Sockets of clients, and what is written to them.
//!
//! A socket is watched for what can be done with it: it is not read while its client gets a long answer, and asked whether it takes more
//! only while something is left.

use crate::broker::Broker;
use crate::connection::IdMap;
use crate::receive::ReceiveBuffer;
use crate::socket::Socket;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::io;
use std::os::fd::OwnedFd;

#[derive(Debug)]
pub(super) struct Links {
    pub epoll: Epoll,
    pub peers: IdMap<Peer>,
    /// Clients of whom whole messages wait for the next turn.
    pub behind: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct Peer {
    pub socket: Socket,
    /// What was read and not handed over: the beginning of a message, and more if it is behind or busy.
    pub partial: Option<ReceiveBuffer>,
    /// Whether it has closed: what it said before is still heard.
    pub is_deaf: bool,
    /// Whether whole messages of it wait for the next turn.
    pub is_behind: bool,
    interest: EpollFlags,
}

impl Links {
    pub fn new(epoll: Epoll) -> Links {
        Links {
            epoll,
            peers: IdMap::default(),
            behind: Vec::new(),
        }
    }

    pub fn add(&mut self, id: u32, fd: OwnedFd) -> io::Result<()> {
        let interest = EpollFlags::EPOLLIN;
        self.epoll.add(&fd, EpollEvent::new(interest, id.into()))?;
        let peer = Peer {
            socket: Socket::new(fd),
            partial: None,
            is_deaf: false,
            is_behind: false,
            interest,
        };
        self.peers.insert(id, peer);
        Ok(())
    }

    /// Keeps what a client said and nobody has heard yet.
    pub fn keep(&mut self, id: u32, rest: ReceiveBuffer, is_behind: bool) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.partial = Some(rest);
            peer.is_behind = is_behind;
            if is_behind {
                self.behind.push(id);
            }
        }
    }

    /// Sends to all who have something new to get.
    pub fn send(&mut self, broker: &mut Broker) {
        while let Some(id) = broker.next_unsent() {
            self.send_to(broker, id);
        }
    }

    /// Sends to a client what its socket takes.
    pub fn send_to(&mut self, broker: &mut Broker, id: u32) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let was_busy = broker.is_busy(id);
        let is_left = loop {
            let Some(output) = broker.output(id) else {
                return;
            };
            if peer.is_deaf || peer.socket.send(output).is_err() {
                peer.is_deaf = true;
                output.clear();
            }
            let is_left = output.len() > 0;
            if is_left || !broker.is_busy(id) {
                break is_left;
            }
            broker.resume(id);
        };
        let is_busy = broker.is_busy(id);
        if was_busy && !is_busy && peer.partial.is_some() && !peer.is_behind {
            // What it said meanwhile is heard in the next turn.
            peer.is_behind = true;
            self.behind.push(id);
        }
        let mut interest = EpollFlags::empty();
        interest.set(EpollFlags::EPOLLIN, !is_busy);
        interest.set(EpollFlags::EPOLLOUT, is_left);
        if interest != peer.interest {
            peer.interest = interest;
            let mut event = EpollEvent::new(interest, id.into());
            // The socket was added when the peer was.
            let _ = self.epoll.modify(&peer.socket, &mut event);
        }
    }
}
