//! A hostile daemon: no input panics, where the stream is cut makes no difference, and all that is sent is well formed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ubus::blobmsg::{Table, TableBuf, Type};
use ubus::message::{Message, MAX_MESSAGE, MAX_RECEIVED};
use ubus::signature::SignatureBuilder;
use ubus::{Connection, Event, ReceiveBuffer, Request, Status};

const HELLO: [u8; 12] = [0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 4];

fn signature() -> TableBuf {
    let mut builder = SignatureBuilder::new();
    builder.method("m").argument("a", Type::Int16.number());
    builder.finish().unwrap()
}

/// One of each, so that every kind of answer has somebody waiting for it.
fn ask(connection: &mut Connection) -> Vec<Request> {
    let (object, added) = connection.add(Some(b"o"), signature()).unwrap();
    let mut requests = vec![
        added,
        connection.listen(b"e*").unwrap().1,
        connection.subscribe(b"p", false).unwrap().1,
        connection.subscribe(b"q", true).unwrap().1,
        connection.lookup(None).unwrap(),
        connection.invoke(1024, b"m", Table::default()).unwrap(),
    ];
    // Without an id there is nothing to notify from.
    requests.extend(connection.notify_and_wait(object, b"n", Table::default()));
    requests
}

fn run(input: &[u8], piece: usize) -> Vec<String> {
    let mut connection = Connection::new();
    let mut buffer = ReceiveBuffer::new(MAX_RECEIVED);
    let (mut log, mut sent, mut ended) = (Vec::new(), Vec::new(), 0);
    buffer.push(&HELLO, None);
    'stream: for part in input.chunks(piece.max(1)) {
        buffer.push(part, None);
        loop {
            let received = match buffer.next() {
                Ok(None) => break,
                Ok(Some(received)) => received,
                Err(error) => {
                    log.push(format!("{error}"));
                    break 'stream;
                }
            };
            let event = match connection.handle(received) {
                Ok(None) => continue,
                Ok(Some(event)) => event,
                Err(error) => {
                    log.push(format!("{error}"));
                    break 'stream;
                }
            };
            log.push(format!("{event:?}"));
            match event {
                Event::Ready { .. } => drop(ask(&mut connection)),
                Event::Call {
                    data,
                    token,
                    handle,
                    ..
                } => {
                    let _ = connection.reply(&token, data);
                    let _ = connection.finish(token, Status::OK);
                    let _ = connection.notify_and_wait(handle, b"n", data);
                }
                Event::Notification { token, .. } => {
                    let _ = connection.finish(token, Status(7));
                }
                Event::Event { handle, .. } => {
                    let _ = connection.remove(handle);
                }
                Event::Data { request, .. } if log.len() % 8 == 7 => {
                    assert!(connection.cancel(request));
                    assert!(!connection.cancel(request));
                }
                Event::Done { request, .. }
                | Event::Answered {
                    request,
                    last: true,
                    ..
                } => {
                    assert!(!connection.cancel(request));
                    ended += 1;
                }
                _ => {}
            }
            while let Some(output) = connection.output().piece() {
                let count = output.bytes.len();
                sent.extend_from_slice(output.bytes);
                connection.output().sent(count);
            }
        }
    }
    let mut rest = &sent[..];
    while let Some((message, used)) = Message::read(rest, MAX_MESSAGE).unwrap() {
        log.push(format!("{:?} {:?}", message.header, message.attributes()));
        rest = &rest[used..];
    }
    assert!(rest.is_empty());

    log.push(format!("{ended} {:?}", connection.lost()));
    assert_eq!(connection.waiting(), 0);
    // Everything that lasts is offered again.
    buffer.clear();
    connection.reconnect().unwrap();
    buffer.push(&HELLO, None);
    let hello = buffer.next().unwrap().unwrap();
    assert!(matches!(
        connection.handle(hello),
        Ok(Some(Event::Ready { client: 1024 }))
    ));
    connection.close();
    assert_eq!(connection.waiting(), 0);
    log
}

fuzz_target!(|input: &[u8]| {
    let at_once = run(input, input.len());
    assert_eq!(at_once, run(input, 1));
    assert_eq!(at_once, run(input, 7));
});
