//! Copies of all traffic for clients that watch it.

use super::Broker;
use crate::message::{Header, Kind, Message, MAX_RECEIVED};
use crate::monitor::id;
use crate::status::Status;

impl Broker {
    /// A call of the object that copies traffic.
    pub(super) fn invoke_monitor(&mut self, from: u32, method: &[u8]) -> Result<(), Status> {
        if !self
            .clients
            .get(&from)
            .is_some_and(|client| client.may_monitor)
        {
            return Err(Status::PERMISSION_DENIED);
        }
        match method {
            b"add" => {
                // Once more begins anew.
                self.monitors.insert(from, 0);
                Ok(())
            }
            b"remove" => {
                self.monitors.remove(&from);
                Ok(())
            }
            _ => Err(Status::METHOD_NOT_FOUND),
        }
    }

    /// Copies the message of `length` bytes that was queued last for a client.
    pub(super) fn copy_last_to_monitors(&mut self, to: u32, header: Header, length: usize) {
        // The queue of a monitor changes by the copy, so the message is taken out of it first.
        let output = self
            .clients
            .get(&to)
            .map(|client| client.output.last(length).to_vec());
        let bytes = output.unwrap_or_default();
        if let Ok(Some((message, _))) = Message::read(&bytes, MAX_RECEIVED) {
            self.copy_to_monitors(to, true, header, message.body.rest());
        }
    }

    /// Copies a message that came from or goes to `client`.
    pub(super) fn copy_to_monitors(
        &mut self,
        client: u32,
        sent: bool,
        header: Header,
        body: &[u8],
    ) {
        let mut monitors = std::mem::take(&mut self.monitors);
        for (&monitor, seq) in &mut monitors {
            *seq = seq.wrapping_add(1);
            self.queue(
                monitor,
                Header::new(Kind::MONITOR, *seq, 0),
                None,
                |message| {
                    message
                        .u32(id::CLIENT, client)
                        .u32(id::PEER, header.peer)
                        .u32(id::SEQ, header.seq.into())
                        .u32(id::KIND, header.kind.0.into())
                        .bytes(id::SEND, &[sent.into()])
                        .bytes(id::DATA, body);
                },
            );
        }
        self.monitors = monitors;
    }
}
