//! Objects and their types: how they come, and what goes with them.

use super::{object_of, Broker};
use crate::blob::Attrs;
use crate::blobmsg::Table;
use crate::message::{Attributes, Header, Kind, EVENT_OBJECT, MONITOR_OBJECT};
use crate::status::Status;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Object {
    pub owner: u32,
    /// Its place among the objects of its owner.
    pub serial: u64,
    pub path: Option<Arc<[u8]>>,
    pub object_type: Option<u32>,
    /// The events it waits for, each with its place among the listeners.
    pub patterns: BTreeMap<Vec<u8>, u64>,
    /// Objects subscribed to it, in the order of their coming.
    pub subscribers: BTreeMap<u64, u32>,
    /// Objects it is subscribed to, each with its place among the subscribers there.
    pub targets: BTreeSet<(u32, u64)>,
    /// Counts what the daemon tells its owner about it.
    pub seq: u16,
}

/// The methods that objects share.
#[derive(Debug)]
pub(super) struct ObjectType {
    pub signature: Arc<[u8]>,
    /// How many objects have it; it goes with the last.
    objects: usize,
}

impl Broker {
    pub(super) fn add_object(
        &mut self,
        from: u32,
        request: Header,
        attributes: &Attributes<'_>,
    ) -> Result<(), Status> {
        let path: Option<Arc<[u8]>> = attributes.path.map(Arc::from);
        if let Some(path) = &path {
            if self.paths.contains_key(path) || !self.is_privileged(from) {
                return Err(Status::INVALID_ARGUMENT);
            }
        }
        let object_type = match (attributes.object_type, attributes.signature) {
            (Some(known), _) => {
                let found = self.types.get_mut(&known).ok_or(Status::INVALID_ARGUMENT)?;
                found.objects += 1;
                Some(known)
            }
            (None, Some(signature)) => self.new_type(signature),
            (None, None) => None,
        };
        let id = self.new_id();
        let serial = self.next_serial();
        if let Some(client) = self.clients.get_mut(&from) {
            client.objects.insert(serial, id);
        }
        if let Some(path) = &path {
            self.paths.insert(path.clone(), id);
        }
        let object = Object {
            owner: from,
            serial,
            path: path.clone(),
            object_type,
            patterns: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            targets: BTreeSet::new(),
            seq: 0,
        };
        self.objects.insert(id, object);
        if let Some(path) = path {
            self.announce(b"ubus.object.add", id, &path);
        }
        // Whoever named a type knows it.
        let told = object_type.filter(|_| attributes.signature.is_some());
        self.tell_object(from, request, id, told);
        Ok(())
    }

    /// An object of a client's own; `otherwise` if it belongs to somebody else, as the daemon's own do.
    pub(super) fn owned(
        &mut self,
        from: u32,
        id: u32,
        otherwise: Status,
    ) -> Result<&mut Object, Status> {
        match self.objects.get_mut(&id) {
            Some(object) if object.owner == from => Ok(object),
            Some(_) => Err(otherwise),
            None if (EVENT_OBJECT..=MONITOR_OBJECT).contains(&id) => Err(otherwise),
            None => Err(Status::NOT_FOUND),
        }
    }

    pub(super) fn remove_own_object(
        &mut self,
        from: u32,
        request: Header,
        attributes: &Attributes<'_>,
    ) -> Result<(), Status> {
        let id = object_of(attributes)?;
        let object = self.owned(from, id, Status::PERMISSION_DENIED)?;
        let (serial, object_type) = (object.serial, object.object_type);
        if let Some(client) = self.clients.get_mut(&from) {
            client.objects.remove(&serial);
        }
        // The type that goes with it.
        let is_last = |kind: &u32| self.types.get(kind).is_some_and(|kind| kind.objects == 1);
        let dead_type = object_type.filter(is_last);
        self.tell_object(from, request, id, dead_type);
        self.remove_object(id);
        Ok(())
    }

    /// Forgets an object that its owner has forgotten.
    pub(super) fn remove_object(&mut self, id: u32) {
        let Some(object) = self.objects.remove(&id) else {
            return;
        };
        self.end_subscriptions(id, &object);
        for (pattern, serial) in &object.patterns {
            self.listeners.remove(pattern, *serial);
        }
        if let Some(path) = &object.path {
            self.paths.remove(path);
            self.announce(b"ubus.object.remove", id, path);
        }
        let Some(object_type) = object.object_type else {
            return;
        };
        if let Some(left) = self.types.get_mut(&object_type) {
            left.objects -= 1;
            if left.objects == 0 {
                self.types.remove(&object_type);
            }
        }
    }

    fn announce(&mut self, event: &[u8], id: u32, path: &[u8]) {
        self.emit(event, |builder| {
            builder.id("id", id).string("path", path);
        });
    }

    fn tell_object(&mut self, to: u32, request: Header, id: u32, object_type: Option<u32>) {
        let header = Header::new(Kind::DATA, request.seq, request.peer);
        self.send(to, header, |message| {
            message.object(id);
            if let Some(object_type) = object_type {
                message.object_type(object_type);
            }
        });
    }

    /// A type for methods, unless one of them is malformed.
    fn new_type(&mut self, signature: Table<'_>) -> Option<u32> {
        if !is_signature(signature) {
            return None;
        }
        let id = self.new_id();
        let signature = signature.as_bytes().into();
        self.types.insert(
            id,
            ObjectType {
                signature,
                objects: 1,
            },
        );
        Some(id)
    }
}

/// Whether every attribute is an entry that is valid and has a name.
fn is_signature(table: Table<'_>) -> bool {
    let all = Attrs::new(table.as_bytes());
    let named = table.iter().filter(|entry| !entry.name.is_empty());
    named.count() == all.count()
}
