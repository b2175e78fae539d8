//! What received messages mean.

use super::chain::{Step, OBJECT_ADDED};
use super::event::{CallToken, Caller, Event, ProtocolError, Request};
use super::{Connection, Role, Stage, State};
use crate::blobmsg::Value;
use crate::message::{Attributes, Header, Kind};
use crate::policy;
use crate::receive::Received;
use crate::signature::Signature;
use crate::status::Status;
use std::os::fd::OwnedFd;

impl Connection {
    /// Takes one message. After an error the stream is to be closed, and [`Connection::lost`] to be told.
    pub fn handle<'a>(
        &mut self,
        received: Received<'a>,
    ) -> Result<Option<Event<'a>>, ProtocolError> {
        let Received { message, fd } = received;
        let header = message.header;
        if header.version != 0 {
            let version = header.version;
            return Err(ProtocolError::Version { version });
        }
        match self.state {
            State::Greeting => return self.greet(header).map(Some),
            State::Lost | State::Closed => return Ok(None),
            State::Open => {}
        }
        Ok(match header.kind {
            Kind::DATA => self.data(header, message.attributes()),
            Kind::STATUS => self.status(header, message.attributes(), fd),
            Kind::INVOKE => self.invoked(header, message.attributes(), fd),
            Kind::UNSUBSCRIBE => self.target_gone(message.attributes()),
            Kind::NOTIFY => self.subscribers_changed(message.attributes()),
            Kind::MONITOR => Some(Event::Monitor(message.body)),
            _ => None,
        })
    }

    fn greet<'a>(&mut self, header: Header) -> Result<Event<'a>, ProtocolError> {
        // Id 1 marks a channel that is not the daemon's.
        if header.kind != Kind::HELLO || header.peer <= 1 {
            return Err(ProtocolError::Hello);
        }
        self.client = header.peer;
        self.state = State::Open;
        self.seq = 0;
        self.restore_all();
        Ok(Event::Ready {
            client: header.peer,
        })
    }

    fn data<'a>(&mut self, header: Header, attributes: Attributes<'a>) -> Option<Event<'a>> {
        let pending = self.pending.get(&u32::from(header.seq))?;
        if pending.peer != header.peer {
            return None;
        }
        if !matches!(pending.step, Step::Plain) {
            self.step_data(header.seq, &attributes);
            return None;
        }
        let (serial, seq) = (pending.serial, header.seq);
        Some(Event::Data {
            request: Request { serial, seq },
            attributes,
        })
    }

    fn status<'a>(
        &mut self,
        header: Header,
        attributes: Attributes<'a>,
        fd: Option<OwnedFd>,
    ) -> Option<Event<'a>> {
        let key = u32::from(header.seq);
        let pending = self.pending.get(&key)?;
        let (serial, seq) = (pending.serial, header.seq);
        let request = Request { serial, seq };
        // An end without a number is an end all the same.
        let status = attributes.status.unwrap_or(Status::UNKNOWN_ERROR);
        if matches!(pending.step, Step::Notify { .. }) {
            return self.notified(header, attributes, request, status);
        }
        if pending.peer != header.peer || matches!(pending.step, Step::Parked { .. }) {
            return None;
        }
        if !matches!(pending.step, Step::Plain) {
            return self.step_done(header.seq, status);
        }
        self.pending.remove(&key);
        Some(Event::Done {
            request,
            status,
            fd,
        })
    }

    /// First comes the list of subscribers, then the answer of each.
    fn notified<'a>(
        &mut self,
        header: Header,
        attributes: Attributes<'a>,
        request: Request,
        status: Status,
    ) -> Option<Event<'a>> {
        let key = u32::from(header.seq);
        let pending = self.pending.get_mut(&key)?;
        let Step::Notify { missing } = &mut pending.step else {
            return None;
        };
        if let Some(missing) = missing {
            let subscriber = header.peer;
            let place = missing.iter().position(|id| *id == subscriber)?;
            missing.swap_remove(place);
            let last = missing.is_empty();
            if last {
                self.pending.remove(&key);
            }
            return Some(Event::Answered {
                request,
                subscriber,
                status,
                last,
            });
        }
        if header.peer != pending.peer {
            return None;
        }
        let subscribers = attributes.subscribers.unwrap_or_default();
        let ids: Vec<u32> = subscribers.collect();
        if status.is_ok() && !ids.is_empty() {
            *missing = Some(ids);
            return Some(Event::Notified {
                request,
                subscribers,
            });
        }
        self.pending.remove(&key);
        Some(Event::Done {
            request,
            status,
            fd: None,
        })
    }

    fn invoked<'a>(
        &mut self,
        header: Header,
        attributes: Attributes<'a>,
        fd: Option<OwnedFd>,
    ) -> Option<Event<'a>> {
        let object = attributes.object?;
        // The daemon takes answers for objects of ours only, so there is nothing to say for another.
        let handle = *self.ids.get(&object)?;
        let token = CallToken {
            epoch: self.epoch,
            object,
            peer: header.peer,
            seq: header.seq,
            no_reply: attributes.is_no_reply(),
        };
        let name = attributes.method.unwrap_or_default();
        let status = match &self.locals.get(handle)?.role {
            Role::Object { signature, .. } => {
                let mut methods = Signature::new(signature.as_table()).methods().enumerate();
                let found = methods.find(|(_, method)| method.name == name);
                match (found, attributes.data) {
                    (None, _) => Status::METHOD_NOT_FOUND,
                    (Some((index, method)), Some(data)) if policy::accepts(method, data) => {
                        let caller = Caller {
                            user: attributes.user,
                            group: attributes.group,
                        };
                        return Some(Event::Call {
                            handle,
                            index,
                            method: name,
                            data,
                            caller,
                            token,
                            fd,
                        });
                    }
                    (Some(_), _) => Status::INVALID_ARGUMENT,
                }
            }
            Role::Subscription { .. } => {
                return Some(Event::Notification {
                    handle,
                    method: name,
                    data: attributes.data.unwrap_or_default(),
                    token,
                })
            }
            // Events come from no client: anybody else calls an object that has no methods.
            Role::Listener { .. } | Role::Watcher if header.peer != 0 => Status::METHOD_NOT_FOUND,
            Role::Listener { .. } => {
                return Some(Event::Event {
                    handle,
                    name,
                    data: attributes.data.unwrap_or_default(),
                })
            }
            Role::Watcher => {
                let data = attributes.data.unwrap_or_default();
                let id = data.get("id").and_then(Value::as_id)?;
                let path = data.get("path").and_then(Value::as_bytes)?;
                if name == OBJECT_ADDED {
                    self.object_added(id, path);
                }
                return None;
            }
        };
        // An answer of two attributes always fits.
        let _ = self.finish(token, status);
        None
    }

    fn target_gone<'a>(&mut self, attributes: Attributes<'a>) -> Option<Event<'a>> {
        let handle = *self.ids.get(&attributes.object?)?;
        let local = self.locals.get_mut(handle)?;
        match &mut local.role {
            Role::Subscription { target, auto, .. } if *target == attributes.target => {
                *target = None;
                if !*auto && local.stage == Stage::Lasting {
                    local.stage = Stage::Ended;
                }
                Some(Event::TargetGone { handle })
            }
            _ => None,
        }
    }

    fn subscribers_changed<'a>(&mut self, attributes: Attributes<'a>) -> Option<Event<'a>> {
        let handle = *self.ids.get(&attributes.object?)?;
        let active = attributes.active?;
        let role = self.locals.get_mut(handle).map(|local| &mut local.role);
        let Some(Role::Object { active: place, .. }) = role else {
            return None;
        };
        *place = active;
        Some(Event::Subscribers { handle, active })
    }
}
