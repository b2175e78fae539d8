//! What the daemon knows of a client: who it is, what it owns, what waits to be sent to it.
//!
//! The queue never holds more than [`MAX_QUEUE`] bytes and [`MAX_DESCRIPTORS`] descriptors.

use super::lookup::Lookup;
use crate::blob::{Attrs, Builder};
use crate::message::{id, Header, Writer, HEADER, MAX_RECEIVED};
use crate::send::SendBuffer;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The most bytes kept for a client that does not read; what exceeds them is dropped.
///
/// 1 MiB, and room for what a socket would have taken had it been offered at once.
pub const MAX_QUEUE: usize = (1 << 20) + (64 << 10);

/// The most descriptors kept for a client that does not read.
pub const MAX_DESCRIPTORS: usize = 64;

/// Who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Number of the user.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
    /// Name of the user.
    pub user: Vec<u8>,
    /// Name of the group.
    pub group: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Client {
    /// Its user and group as the attributes that go with its calls.
    pub identity: Arc<[u8]>,
    /// Whether it needs no rule.
    pub is_privileged: bool,
    pub may_monitor: bool,
    /// In the order of their coming.
    pub objects: BTreeMap<u64, u32>,
    pub output: SendBuffer,
    /// Whether it is listed for sending.
    pub is_unsent: bool,
    /// What it asked for and has not all got.
    pub lookup: Option<Lookup>,
}

impl Client {
    pub fn new(credentials: &Credentials, owner: u32) -> Client {
        let Credentials {
            uid,
            gid,
            user,
            group,
        } = credentials;
        let mut builder = Builder::new();
        builder.text(id::USER, user).text(id::GROUP, group);
        Client {
            // A name that cannot be told is left out.
            identity: builder.finish().unwrap_or_default().into(),
            is_privileged: *uid == 0 || *uid == owner,
            // User 0 needs the group, too.
            may_monitor: if *uid == 0 { *gid == 0 } else { *uid == owner },
            objects: BTreeMap::new(),
            output: SendBuffer::new(),
            is_unsent: false,
            lookup: None,
        }
    }

    /// Whether both are of one user, or of one group.
    pub fn is_akin(&self, other: &Client) -> bool {
        let mut both = Attrs::new(&self.identity).zip(Attrs::new(&other.identity));
        both.any(|(one, other)| one == other)
    }

    /// Adds a message and tells its bytes; nothing if there is no room.
    pub fn queue(
        &mut self,
        header: Header,
        fd: Option<OwnedFd>,
        fill: impl FnOnce(&mut Writer<'_>),
    ) -> Option<usize> {
        let room = MAX_QUEUE.checked_sub(self.output.len() + HEADER + 4)? + 4;
        let limit = room.min(MAX_RECEIVED);
        if fd.is_some() && self.output.descriptors() >= MAX_DESCRIPTORS {
            return None;
        }
        let length = self.output.write_within(limit, header, fill).ok()?;
        if let Some(fd) = fd {
            self.output.attach(length, fd);
        }
        Some(length)
    }
}
