//! Requests of several steps: what makes an object, a listener or a subscription, first and after every reconnect.
//!
//! | what | steps |
//! | --- | --- |
//! | object | add |
//! | listener, watcher | add, register |
//! | subscription | find, add, subscribe |
//! | automatic or returning subscription | add, park until the watcher is registered, find, subscribe |
//!
//! All steps of a request use one sequence number, so the request can be cancelled at any of them.

use super::event::{Event, Request, RequestError};
use super::map::Handle;
use super::{Connection, Local, Role, Stage};
use crate::blob::BuildError;
use crate::blobmsg::Builder;
use crate::message::{Attributes, Kind, EVENT_OBJECT};
use crate::status::Status;

/// The event that tells of a new object.
pub(super) const OBJECT_ADDED: &[u8] = b"ubus.object.add";

/// A request that waits for an answer.
#[derive(Debug)]
pub(super) struct Pending {
    /// The owner's request; 0 if the connection asked for itself.
    pub serial: u32,
    /// The peer of its answers.
    pub peer: u32,
    /// Whether it offers something again.
    pub restores: bool,
    pub step: Step,
}

#[derive(Debug)]
pub(super) enum Step {
    /// Answers go to the owner.
    Plain,
    /// Waits for the list of subscribers, then for the answer of each.
    Notify { missing: Option<Vec<u32>> },
    /// ADD_OBJECT.
    Add { handle: Handle },
    /// Waits for the watcher.
    Parked { handle: Handle },
    /// INVOKE of `register`.
    Register { handle: Handle },
    /// LOOKUP of the target.
    Find { handle: Handle, found: Option<u32> },
    /// SUBSCRIBE.
    Subscribe { handle: Handle, target: u32 },
}

impl Step {
    /// What is being made.
    pub fn handle(&self) -> Option<Handle> {
        match *self {
            Step::Plain | Step::Notify { .. } => None,
            Step::Add { handle }
            | Step::Parked { handle }
            | Step::Register { handle }
            | Step::Find { handle, .. }
            | Step::Subscribe { handle, .. } => Some(handle),
        }
    }
}

impl Connection {
    /// Makes something for the owner.
    pub(super) fn create(&mut self, role: Role) -> Result<(Handle, Request), RequestError> {
        self.check_open()?;
        let finds = matches!(role, Role::Subscription { auto: false, .. });
        let handle = self.locals.insert(Local {
            id: None,
            stage: Stage::Making,
            role,
        });
        let step = match finds {
            true => Step::Find {
                handle,
                found: None,
            },
            false => Step::Add { handle },
        };
        let serial = self.next_serial();
        match self.start(serial, false, step) {
            Ok(seq) => Ok((handle, Request { serial, seq })),
            Err(error) => {
                self.locals.remove(handle);
                Err(error)
            }
        }
    }

    pub(super) fn start(
        &mut self,
        serial: u32,
        restores: bool,
        step: Step,
    ) -> Result<u16, RequestError> {
        let seq = self.next_seq()?;
        let peer = self.send_step(seq, &step)?;
        let pending = Pending {
            serial,
            peer,
            restores,
            step,
        };
        self.pending.insert(seq.into(), pending);
        Ok(seq)
    }

    /// Writes the message of a step and tells the peer of its answer.
    fn send_step(&mut self, seq: u16, step: &Step) -> Result<u32, BuildError> {
        let local = step.handle().and_then(|handle| self.locals.get(handle));
        let Some(local) = local else { return Ok(0) };
        let output = &mut self.output;
        match (step, &local.role) {
            (
                Step::Add { .. },
                Role::Object {
                    path, signature, ..
                },
            ) => {
                output.write(Kind::ADD_OBJECT, seq, 0, |message| {
                    if let Some(path) = path {
                        message.path(path).signature(signature.as_table());
                    }
                })?;
            }
            (Step::Add { .. }, _) => {
                output.write(Kind::ADD_OBJECT, seq, 0, |_| {})?;
            }
            (Step::Register { .. }, role) => {
                let pattern = match role {
                    Role::Listener { pattern } => pattern,
                    _ => OBJECT_ADDED,
                };
                let mut builder = Builder::new();
                builder.id("object", local.id.unwrap_or_default());
                builder.string("pattern", pattern);
                let arguments = builder.finish()?;
                output.write(Kind::INVOKE, seq, EVENT_OBJECT, |message| {
                    message.object(EVENT_OBJECT).method(b"register");
                    message.data(arguments.as_table());
                })?;
                return Ok(EVENT_OBJECT);
            }
            (Step::Find { .. }, Role::Subscription { path, .. }) => {
                output.write(Kind::LOOKUP, seq, 0, |message| {
                    message.path(path);
                })?;
            }
            (Step::Subscribe { target, .. }, _) => {
                let id = local.id.unwrap_or_default();
                output.write(Kind::SUBSCRIBE, seq, 0, |message| {
                    message.object(id).target(*target);
                })?;
            }
            _ => {}
        }
        Ok(0)
    }

    /// A part of the answer to a step.
    pub(super) fn step_data(&mut self, seq: u16, attributes: &Attributes<'_>) {
        let Some(pending) = self.pending.get_mut(&u32::from(seq)) else {
            return;
        };
        match &mut pending.step {
            Step::Add { handle } => {
                let Some(id) = attributes.object else { return };
                let handle = *handle;
                match self.locals.get_mut(handle) {
                    Some(local) => {
                        local.id = Some(id);
                        self.ids.insert(id, handle);
                    }
                    None => self.remove_object(id),
                }
            }
            Step::Find { handle, found } => {
                let path = match self.locals.get(*handle).map(|local| &local.role) {
                    Some(Role::Subscription { path, .. }) => path,
                    _ => return,
                };
                // A path that ends in `*` finds others as well.
                if attributes.path == Some(path) && attributes.object.is_some() {
                    *found = attributes.object;
                }
            }
            _ => {}
        }
    }

    /// The end of a step: takes the next one, or concludes.
    pub(super) fn step_done<'a>(&mut self, seq: u16, status: Status) -> Option<Event<'a>> {
        let pending = self.pending.remove(&u32::from(seq))?;
        let handle = pending.step.handle()?;
        let Some(local) = self.locals.get_mut(handle) else {
            // Removed meanwhile.
            let status = if status.is_ok() {
                Status::NOT_FOUND
            } else {
                status
            };
            return self.conclude(seq, pending, handle, status);
        };
        let next = match (&pending.step, &mut local.role) {
            (
                Step::Find { found, .. },
                Role::Subscription {
                    auto,
                    revives,
                    target,
                    ..
                },
            ) => {
                let waits = *auto || *revives;
                // The watcher may have seen it first, and subscribed.
                let found = found.filter(|_| target.is_none());
                *target = target.or(found);
                match found {
                    Some(target) if local.id.is_some() => Some(Step::Subscribe { handle, target }),
                    Some(_) => Some(Step::Add { handle }),
                    None => {
                        let status = match status {
                            _ if waits => Status::OK,
                            Status::OK => Status::NOT_FOUND,
                            status => status,
                        };
                        return self.conclude(seq, pending, handle, status);
                    }
                }
            }
            (
                Step::Subscribe { target: asked, .. },
                Role::Subscription {
                    auto,
                    revives,
                    target,
                    ..
                },
            ) => {
                let waits = *auto || *revives;
                if status.is_ok() {
                    *revives = false;
                } else if *target == Some(*asked) {
                    // Gone before the subscription got there, or not for us.
                    *target = None;
                }
                let status = if waits { Status::OK } else { status };
                return self.conclude(seq, pending, handle, status);
            }
            _ if !status.is_ok() => None,
            (Step::Add { .. }, _) if local.id.is_none() => {
                return self.conclude(seq, pending, handle, Status::UNKNOWN_ERROR)
            }
            (Step::Add { .. }, Role::Listener { .. } | Role::Watcher) => {
                Some(Step::Register { handle })
            }
            (Step::Add { .. }, Role::Subscription { target, .. }) => Some(match *target {
                Some(target) => Step::Subscribe { handle, target },
                None if self.watching => Step::Find {
                    handle,
                    found: None,
                },
                None => Step::Parked { handle },
            }),
            _ => None,
        };
        match next {
            Some(step) => {
                let event = self.take_step(seq, pending, handle, step);
                if event.is_none() {
                    self.watch_for_parked(seq);
                }
                event
            }
            None => self.conclude(seq, pending, handle, status),
        }
    }

    fn take_step<'a>(
        &mut self,
        seq: u16,
        mut pending: Pending,
        handle: Handle,
        step: Step,
    ) -> Option<Event<'a>> {
        match self.send_step(seq, &step) {
            Ok(peer) => {
                pending.peer = peer;
                pending.step = step;
                self.pending.insert(seq.into(), pending);
                None
            }
            // A pattern or path too long for a message.
            Err(_) => self.conclude(seq, pending, handle, Status::INVALID_ARGUMENT),
        }
    }

    /// The end of the last step.
    fn conclude<'a>(
        &mut self,
        seq: u16,
        pending: Pending,
        handle: Handle,
        status: Status,
    ) -> Option<Event<'a>> {
        if self.watcher == Some(handle) {
            return self.watcher_done(status);
        }
        if pending.serial != 0 {
            match self.locals.get_mut(handle) {
                Some(local) if status.is_ok() => local.stage = Stage::Lasting,
                _ => self.take_back(handle),
            }
            let serial = pending.serial;
            return Some(Event::Done {
                request: Request { serial, seq },
                status,
                fd: None,
            });
        }
        if pending.restores {
            if !status.is_ok() {
                // Not half there: it can be offered anew.
                let id = self
                    .locals
                    .get_mut(handle)
                    .and_then(|local| local.id.take());
                if let Some(id) = id {
                    self.ids.remove(&id);
                    self.remove_object(id);
                }
            }
            self.restored();
            return Some(Event::Restored { handle, status });
        }
        None
    }

    /// Forgets something, and has the daemon forget it.
    pub(super) fn take_back(&mut self, handle: Handle) {
        if let Some(id) = self.locals.remove(handle).and_then(|local| local.id) {
            self.ids.remove(&id);
            self.remove_object(id);
        }
    }

    /// Removes an object of ours from the bus without waiting for the answer.
    fn remove_object(&mut self, id: u32) {
        if let Ok(seq) = self.next_seq() {
            let fill = |message: &mut crate::message::Writer<'_>| {
                message.object(id);
            };
            // Two attributes always fit.
            let _ = self.output.write(Kind::REMOVE_OBJECT, seq, 0, fill);
        }
    }

    /// Has somebody listen for new objects if a request was just parked.
    fn watch_for_parked(&mut self, seq: u16) {
        let pending = self.pending.get(&u32::from(seq));
        if pending.is_some_and(|pending| matches!(pending.step, Step::Parked { .. })) {
            // Only sequence numbers can run out; then the request waits until it is cancelled.
            let _ = self.ensure_watcher();
        }
    }

    /// Has somebody listen for new objects.
    fn ensure_watcher(&mut self) -> Result<(), RequestError> {
        if self.watcher.is_some() {
            return Ok(());
        }
        let handle = self.locals.insert(Local {
            id: None,
            stage: Stage::Making,
            role: Role::Watcher,
        });
        self.watcher = Some(handle);
        let started = self.start(0, false, Step::Add { handle });
        if started.is_err() {
            self.locals.remove(handle);
            self.watcher = None;
        }
        started.map(|_| ())
    }

    /// The watcher is registered, or is not to be.
    fn watcher_done<'a>(&mut self, status: Status) -> Option<Event<'a>> {
        let parked = self.pending.iter().filter_map(|(key, pending)| {
            let parked = matches!(pending.step, Step::Parked { .. });
            parked.then_some((pending.serial, *key as u16))
        });
        let mut parked: Vec<(u32, u16)> = parked.collect();
        parked.sort_unstable();
        self.watching = status.is_ok();
        if self.watching {
            for (_, seq) in parked {
                let Some(pending) = self.pending.remove(&u32::from(seq)) else {
                    continue;
                };
                match pending.step.handle() {
                    Some(handle) if self.locals.get(handle).is_some() => {
                        let found = None;
                        // Paths were checked before, so nothing ends here.
                        self.take_step(seq, pending, handle, Step::Find { handle, found });
                    }
                    // Removed while it was to be offered again.
                    _ => self.restored(),
                }
            }
            return None;
        }
        if let Some(watcher) = self.watcher.take() {
            self.take_back(watcher);
        }
        // One subscription fails with it; the next one tries again.
        let (_, seq) = *parked.first()?;
        if parked.len() > 1 {
            let _ = self.ensure_watcher();
        }
        let pending = self.pending.remove(&u32::from(seq))?;
        let handle = pending.step.handle()?;
        self.conclude(seq, pending, handle, status)
    }

    /// A new object has appeared: subscribes what waits for it.
    pub(super) fn object_added(&mut self, id: u32, added: &[u8]) {
        let mut place = 0;
        while let Some((index, handle)) = self.locals.at_or_behind(place) {
            place = index + 1;
            let Some(local) = self.locals.get_mut(handle) else {
                continue;
            };
            if let Role::Subscription {
                path,
                auto,
                revives,
                target,
            } = &mut local.role
            {
                let waits = *auto || *revives;
                if waits && local.id.is_some() && *target != Some(id) && path == added {
                    *target = Some(id);
                    let step = Step::Subscribe { handle, target: id };
                    if self.start(0, false, step).is_err() {
                        self.forget_target(handle);
                    }
                }
            }
        }
    }

    /// All sequence numbers are in use: the next announcement may find one.
    fn forget_target(&mut self, handle: Handle) {
        let role = self.locals.get_mut(handle).map(|local| &mut local.role);
        if let Some(Role::Subscription { target, .. }) = role {
            *target = None;
        }
    }
}
