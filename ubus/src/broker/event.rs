//! Events: who waits for them, who sends them, and what the daemon itself has to tell.

use super::Broker;
use crate::blobmsg::{Builder, Table, Value};
use crate::message::{Header, Kind, FIRST_ID};
use crate::status::Status;

/// Events of these names are the daemon's own.
const RESERVED: &[u8] = b"ubus.";

impl Broker {
    /// A call of the object that takes and sends events.
    pub(super) fn invoke_events(
        &mut self,
        from: u32,
        method: &[u8],
        data: Option<Table<'_>>,
    ) -> Result<(), Status> {
        match method {
            b"register" => self.register(from, data.unwrap_or_default()),
            b"send" => self.send_event(from, data.unwrap_or_default()),
            _ => Err(Status::INVALID_COMMAND),
        }
    }

    fn register(&mut self, from: u32, data: Table<'_>) -> Result<(), Status> {
        let object = first(data, b"object", Value::as_id);
        let pattern = first(data, b"pattern", Value::as_bytes);
        let (Some(id), Some(pattern)) = (object, pattern) else {
            return Err(Status::INVALID_ARGUMENT);
        };
        if id < FIRST_ID {
            return Err(Status::PERMISSION_DENIED);
        }
        let (serial, is_privileged) = (self.next_serial(), self.is_privileged(from));
        let object = self.owned(from, id, Status::PERMISSION_DENIED)?;
        // To hear everything has never needed a right.
        if pattern.is_empty() || !is_privileged && pattern != b"*" {
            return Err(Status::PERMISSION_DENIED);
        }
        if !object.patterns.contains_key(pattern) {
            object.patterns.insert(pattern.to_vec(), serial);
            self.listeners.insert(pattern, serial, id);
        }
        Ok(())
    }

    fn send_event(&mut self, from: u32, data: Table<'_>) -> Result<(), Status> {
        let name = first(data, b"id", Value::as_bytes);
        let table = first(data, b"data", Value::as_table);
        let (Some(name), Some(table)) = (name, table) else {
            return Err(Status::INVALID_ARGUMENT);
        };
        if name.starts_with(RESERVED) || !self.is_privileged(from) {
            return Err(Status::PERMISSION_DENIED);
        }
        self.deliver_event(Some(from), name, table);
        Ok(())
    }

    /// Sends an event of the daemon's own.
    pub(super) fn emit(&mut self, name: &[u8], fill: impl FnOnce(&mut Builder)) {
        let mut builder = Builder::new();
        fill(&mut builder);
        // What does not fit a message cannot be told.
        if let Ok(table) = builder.finish() {
            self.deliver_event(None, name, table.as_table());
        }
    }

    fn deliver_event(&mut self, from: Option<u32>, name: &[u8], data: Table<'_>) {
        for id in self.listeners.matching(name) {
            let owner = self.objects.get(&id).map(|object| object.owner);
            if let Some(owner) = owner.filter(|owner| Some(*owner) != from) {
                self.event_seq = self.event_seq.wrapping_add(1);
                let header = Header::new(Kind::INVOKE, self.event_seq, 0);
                self.send(owner, header, |message| {
                    message.object(id).method(name).data(data);
                });
            }
        }
    }
}

/// The first value of a name that is of the right type.
fn first<'a, T>(data: Table<'a>, name: &[u8], take: fn(Value<'a>) -> Option<T>) -> Option<T> {
    let mut named = data.iter().filter(|entry| entry.name == name);
    named.find_map(|entry| take(entry.value))
}
