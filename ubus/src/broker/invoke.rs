//! Calls on their way to owners, answers on their way back, and calls of the daemon's own objects.

use super::{object_of, Broker};
use crate::blobmsg::Builder;
use crate::message::{Attributes, Header, Kind, ACL_OBJECT, EVENT_OBJECT, MONITOR_OBJECT};
use crate::status::Status;
use std::os::fd::OwnedFd;

impl Broker {
    /// Forwards a call; gives a status unless its owner has to answer.
    pub(super) fn invoke(
        &mut self,
        from: u32,
        header: Header,
        attributes: &Attributes<'_>,
        fd: Option<OwnedFd>,
    ) -> Option<Status> {
        match self.try_invoke(from, header, attributes, fd) {
            Ok(true) => None,
            Ok(false) => Some(Status::OK),
            Err(status) => Some(status),
        }
    }

    fn try_invoke(
        &mut self,
        from: u32,
        header: Header,
        attributes: &Attributes<'_>,
        fd: Option<OwnedFd>,
    ) -> Result<bool, Status> {
        let id = object_of(attributes)?;
        let method = attributes.method.ok_or(Status::INVALID_ARGUMENT)?;
        let done = match id {
            EVENT_OBJECT => self.invoke_events(from, method, attributes.data),
            ACL_OBJECT => self.invoke_access(from, header, method),
            MONITOR_OBJECT => self.invoke_monitor(from, method),
            _ => {
                let object = self.objects.get(&id).ok_or(Status::NOT_FOUND)?;
                let caller = self.clients.get(&from).ok_or(Status::NOT_FOUND)?;
                if !caller.is_privileged && object.path.is_some() {
                    return Err(Status::PERMISSION_DENIED);
                }
                let (owner, identity) = (object.owner, caller.identity.clone());
                let header = Header::new(Kind::INVOKE, header.seq, from);
                self.send_with_fd(owner, header, fd, |message| {
                    message.object(id).method(method).attributes(&identity);
                    if let Some(data) = attributes.data {
                        message.data(data);
                    }
                });
                return Ok(true);
            }
        };
        done.map(|()| false)
    }

    /// Passes an answer on as it is. One without a receiver, or about an object of somebody else, goes nowhere.
    pub(super) fn answer(
        &mut self,
        from: u32,
        header: Header,
        attributes: &Attributes<'_>,
        body: &[u8],
        fd: Option<OwnedFd>,
    ) {
        let (is_complete, fd) = match header.kind {
            Kind::STATUS => (attributes.status.is_some(), fd),
            _ => (attributes.data.is_some(), None),
        };
        let Some(id) = attributes.object.filter(|_| is_complete) else {
            return;
        };
        if self
            .objects
            .get(&id)
            .is_some_and(|object| object.owner == from)
        {
            let to = header.peer;
            let header = Header::new(header.kind, header.seq, id);
            self.send_with_fd(to, header, fd, |message| {
                message.attributes(body);
            });
        }
    }

    /// Tells the access rules for the caller's objects, of which there are none.
    fn invoke_access(&mut self, from: u32, header: Header, method: &[u8]) -> Result<(), Status> {
        if method != b"query" {
            return Err(Status::INVALID_COMMAND);
        }
        let mut builder = Builder::new();
        builder
            .int32("seq", self.access_sequence)
            .open_array("acl")
            .close();
        let table = builder.finish().map_err(|_| Status::UNKNOWN_ERROR)?;
        let header = Header::new(Kind::DATA, header.seq, header.peer);
        self.send(from, header, |message| {
            message.object(ACL_OBJECT).data(table.as_table());
        });
        Ok(())
    }

    pub(super) fn is_privileged(&self, client: u32) -> bool {
        self.clients
            .get(&client)
            .is_some_and(|client| client.is_privileged)
    }
}
