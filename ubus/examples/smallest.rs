//! The least use of the crate: one call without arguments over a plain socket, for a C program to load.
//!
//! `call_once` asks the daemon at a path for an object's id, calls a method, and gives the status of the answer or -1.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_int, CStr, OsStr};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use ubus::blobmsg::Table;
use ubus::message::MAX_RECEIVED;
use ubus::{Connection, Event, ReceiveBuffer, Request, Status};

/// A stream that belongs to a connection.
struct Bus {
    stream: UnixStream,
    connection: Connection,
    received: ReceiveBuffer,
}

impl Bus {
    fn connect(path: &OsStr) -> Option<Bus> {
        let stream = UnixStream::connect(path).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut bus = Bus {
            stream,
            connection: Connection::new(),
            received: ReceiveBuffer::new(MAX_RECEIVED),
        };
        bus.until(|event| matches!(event, Event::Ready { .. }).then_some(()))?;
        Some(bus)
    }

    /// Sends, then takes events until one of them is what is waited for.
    fn until<T>(&mut self, mut wanted: impl FnMut(&Event<'_>) -> Option<T>) -> Option<T> {
        while let Some(piece) = self.connection.output().piece() {
            let count = self.stream.write(piece.bytes).ok()?;
            self.connection.output().sent(count);
        }
        loop {
            while let Some(received) = self.received.next().ok()? {
                let event = self.connection.handle(received).ok()?;
                if let Some(found) = event.as_ref().and_then(&mut wanted) {
                    return Some(found);
                }
            }
            match self.stream.read(self.received.space()) {
                Ok(count @ 1..) => self.received.filled(count, None),
                _ => return None,
            }
        }
    }

    fn end_of(&mut self, request: Request, id: &mut u32) -> Option<Status> {
        self.until(|event| match event {
            Event::Data { attributes, .. } => {
                *id = attributes.object.unwrap_or(*id);
                None
            }
            Event::Done {
                request: done,
                status,
                ..
            } => (*done == request).then_some(*status),
            _ => None,
        })
    }
}

fn call(path: &OsStr, object: &[u8], method: &[u8]) -> Option<Status> {
    let mut bus = Bus::connect(path)?;
    let mut id = 0;
    let request = bus.connection.lookup(Some(object)).ok()?;
    match bus.end_of(request, &mut id)? {
        Status::OK => {}
        refused => return Some(refused),
    }
    let request = bus.connection.invoke(id, method, Table::default()).ok()?;
    bus.end_of(request, &mut id)
}

/// Calls a method without arguments; gives its status, or -1 without a connection.
///
/// # Safety
///
/// The arguments are strings with a final NUL.
#[no_mangle]
pub unsafe extern "C" fn call_once(
    path: *const c_char,
    object: *const c_char,
    method: *const c_char,
) -> c_int {
    // SAFETY: the caller promises strings, and nothing keeps them.
    let [path, object, method] = [path, object, method].map(|text| unsafe { CStr::from_ptr(text) });
    let path = OsStr::from_bytes(path.to_bytes());
    call(path, object.to_bytes(), method.to_bytes()).map_or(-1, |status| status.0)
}
