//! Answers to those who look for objects, in parts that a client's queue has room for.

use super::Broker;
use crate::blobmsg::Table;
use crate::message::{Attributes, Header, Kind};
use crate::status::Status;
use std::ops::Bound;
use std::sync::Arc;

/// With so many bytes queued for a client the rest of its answer waits.
const PART: usize = 64 * 1024;

/// A question with several answers, of which some may have been given.
#[derive(Debug)]
pub(super) struct Lookup {
    request: Header,
    /// `None` asks for everything, where nothing found is no mistake.
    prefix: Option<Vec<u8>>,
    /// The path of the last object told.
    after: Option<Arc<[u8]>>,
}

impl Broker {
    /// Gives a status unless the answer ends by itself.
    pub(super) fn lookup(
        &mut self,
        from: u32,
        request: Header,
        attributes: &Attributes<'_>,
    ) -> Option<Status> {
        let prefix = match attributes.path {
            None => None,
            Some([]) => return Some(Status::INVALID_ARGUMENT),
            Some([prefix @ .., b'*']) => Some(prefix.to_vec()),
            Some(path) => {
                let Some(id) = self.paths.get(path).copied() else {
                    return Some(Status::NOT_FOUND);
                };
                self.tell_found(from, request, id);
                return Some(Status::OK);
            }
        };
        // Whoever hands over messages of a busy client gives up the earlier answer.
        self.end_lookup(from, Status::UNKNOWN_ERROR);
        let client = self.clients.get_mut(&from)?;
        client.lookup = Some(Lookup {
            request,
            prefix,
            after: None,
        });
        self.go_on_with_lookup(from);
        None
    }

    pub(super) fn go_on_with_lookup(&mut self, from: u32) {
        loop {
            let Some(client) = self.clients.get_mut(&from) else {
                return;
            };
            let Some(lookup) = &mut client.lookup else {
                return;
            };
            if client.output.len() >= PART {
                return;
            }
            let prefix = lookup.prefix.as_deref().unwrap_or_default();
            let start = match &lookup.after {
                Some(path) => Bound::Excluded(&path[..]),
                None => Bound::Included(prefix),
            };
            let next = self
                .paths
                .range::<[u8], _>((start, Bound::Unbounded))
                .next();
            let Some((path, &id)) = next.filter(|(path, _)| path.starts_with(prefix)) else {
                let nothing = lookup.after.is_none() && lookup.prefix.is_some();
                let status = if nothing {
                    Status::NOT_FOUND
                } else {
                    Status::OK
                };
                return self.end_lookup(from, status);
            };
            lookup.after = Some(path.clone());
            let request = lookup.request;
            self.tell_found(from, request, id);
        }
    }

    fn end_lookup(&mut self, from: u32, status: Status) {
        let client = self.clients.get_mut(&from);
        if let Some(lookup) = client.and_then(|client| client.lookup.take()) {
            self.send_status(from, lookup.request, status);
        }
    }

    /// Tells of an object, unless it has no type or is hidden from the client.
    fn tell_found(&mut self, to: u32, request: Header, id: u32) {
        let Some(object) = self.objects.get(&id) else {
            return;
        };
        let (Some(path), Some(object_type)) = (object.path.clone(), object.object_type) else {
            return;
        };
        let Some(found) = self.types.get(&object_type) else {
            return;
        };
        let signature = found.signature.clone();
        // Whoever may call none of its methods does not see it; where there are none, there is nothing to hide.
        if !signature.is_empty() && !self.is_privileged(to) {
            return;
        }
        let header = Header::new(Kind::DATA, request.seq, request.peer);
        self.send(to, header, |message| {
            message.path(&path).object(id).object_type(object_type);
            message.signature(Table::new(&signature));
        });
    }
}
