//! Subscriptions and notifications.
//!
//! Both ends of a subscription know the other: neither is left with one that has gone.

use super::object::Object;
use super::{object_of, Broker};
use crate::message::{Attributes, Header, Kind, FIRST_ID};
use crate::status::Status;

impl Broker {
    pub(super) fn subscribe(
        &mut self,
        from: u32,
        attributes: &Attributes<'_>,
    ) -> Result<(), Status> {
        let (id, target_id) = self.ends(from, attributes)?;
        if target_id < FIRST_ID {
            return Err(Status::NOT_FOUND);
        }
        let is_privileged = self.is_privileged(from);
        let target = self.objects.get_mut(&target_id).ok_or(Status::NOT_FOUND)?;
        if target.owner == from {
            return Err(Status::INVALID_ARGUMENT);
        }
        // What has no path is for those of the same user or group, whoever they are.
        let is_open = match target.path {
            Some(_) => is_privileged,
            None => {
                let (one, other) = (self.clients.get(&from), self.clients.get(&target.owner));
                one.zip(other)
                    .is_some_and(|(one, other)| one.is_akin(other))
            }
        };
        if !is_open {
            return Err(Status::NOT_FOUND);
        }
        let is_first = target.subscribers.is_empty();
        self.serial += 1;
        let serial = self.serial;
        target.subscribers.insert(serial, id);
        if let Some(object) = self.objects.get_mut(&id) {
            object.targets.insert((target_id, serial));
        }
        if is_first {
            self.tell_active(target_id, true);
        }
        Ok(())
    }

    pub(super) fn unsubscribe(
        &mut self,
        from: u32,
        attributes: &Attributes<'_>,
    ) -> Result<(), Status> {
        let (id, target) = self.ends(from, attributes)?;
        let object = self.objects.get_mut(&id).ok_or(Status::NOT_FOUND)?;
        let all = (target, 0)..=(target, u64::MAX);
        // Of several it is the last that ends.
        let found = object.targets.range(all).next_back().copied();
        let (_, serial) = found.ok_or(Status::NOT_FOUND)?;
        object.targets.remove(&(target, serial));
        self.remove_subscriber(target, serial);
        Ok(())
    }

    /// Sends a notification to all subscribers; gives a status if it cannot, for else there is a longer answer or none.
    pub(super) fn notify(
        &mut self,
        from: u32,
        request: Header,
        attributes: &Attributes<'_>,
    ) -> Option<Status> {
        self.try_notify(from, request, attributes).err()
    }

    fn try_notify(
        &mut self,
        from: u32,
        request: Header,
        attributes: &Attributes<'_>,
    ) -> Result<(), Status> {
        let id = object_of(attributes)?;
        let method = attributes.method.ok_or(Status::INVALID_ARGUMENT)?;
        let object = self.owned(from, id, Status::PERMISSION_DENIED)?;
        let subscribers: Vec<u32> = object.subscribers.values().rev().copied().collect();
        let no_reply = attributes.is_no_reply();
        if !no_reply {
            let header = Header::new(Kind::STATUS, request.seq, request.peer);
            self.send(from, header, |message| {
                message.object(id).subscribers(subscribers.iter().copied());
                message.status(Status::OK);
            });
        }
        let caller = self.clients.get(&from).ok_or(Status::NOT_FOUND)?;
        let identity = caller.identity.clone();
        let header = Header::new(Kind::INVOKE, request.seq, from);
        for subscriber in subscribers {
            let Some(owner) = self.objects.get(&subscriber).map(|object| object.owner) else {
                continue;
            };
            self.send(owner, header, |message| {
                if no_reply {
                    message.no_reply();
                }
                message
                    .object(subscriber)
                    .method(method)
                    .attributes(&identity);
                if let Some(data) = attributes.data {
                    message.data(data);
                }
            });
        }
        Ok(())
    }

    /// Ends all subscriptions of and to an object that was removed.
    pub(super) fn end_subscriptions(&mut self, id: u32, removed: &Object) {
        let mut targets: Vec<(u64, u32)> = removed
            .targets
            .iter()
            .map(|(target, serial)| (*serial, *target))
            .collect();
        targets.sort_unstable();
        for (serial, target) in targets.into_iter().rev() {
            self.remove_subscriber(target, serial);
        }
        for (serial, subscriber) in removed.subscribers.iter().rev() {
            let Some(object) = self.objects.get_mut(subscriber) else {
                continue;
            };
            object.targets.remove(&(id, *serial));
            object.seq = object.seq.wrapping_add(1);
            let (owner, header) = (object.owner, Header::new(Kind::UNSUBSCRIBE, object.seq, 0));
            self.send(owner, header, |message| {
                message.object(*subscriber).target(id);
            });
        }
        if !removed.subscribers.is_empty() {
            self.send_active(id, removed.owner, removed.seq.wrapping_add(1), false);
        }
    }

    /// The subscriber and the target a request names; the first must be the client's own.
    fn ends(&mut self, from: u32, attributes: &Attributes<'_>) -> Result<(u32, u32), Status> {
        let id = object_of(attributes)?;
        let target = attributes.target.ok_or(Status::INVALID_ARGUMENT)?;
        self.owned(from, id, Status::INVALID_ARGUMENT)?;
        Ok((id, target))
    }

    fn remove_subscriber(&mut self, target: u32, serial: u64) {
        let Some(object) = self.objects.get_mut(&target) else {
            return;
        };
        object.subscribers.remove(&serial);
        if object.subscribers.is_empty() {
            self.tell_active(target, false);
        }
    }

    /// Tells an owner that its object has got its first subscriber, or lost its last.
    fn tell_active(&mut self, target: u32, active: bool) {
        if let Some(object) = self.objects.get_mut(&target) {
            object.seq = object.seq.wrapping_add(1);
            let (owner, seq) = (object.owner, object.seq);
            self.send_active(target, owner, seq, active);
        }
    }

    fn send_active(&mut self, target: u32, owner: u32, seq: u16, active: bool) {
        self.send(owner, Header::new(Kind::NOTIFY, seq, 0), |message| {
            message.object(target).active(active);
        });
    }
}
