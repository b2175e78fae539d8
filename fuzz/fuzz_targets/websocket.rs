//! Frames and messages: no input panics, what comes out does not depend on how the
//! bytes were cut, texts are UTF-8, and what was sent is what is received.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::websocket::close::{is_valid, Violation, NO_CODE};
use lua_eco::websocket::frame::{CONTROL, PING, TEXT};
use lua_eco::websocket::handshake;
use lua_eco::websocket::outbox::Outbox;
use lua_eco::websocket::receiver::{Receiver, Step};

const LIMIT: u64 = 1000;

type Told = Vec<(Step, Vec<u8>)>;

/// All that is told, and what went wrong at last.
fn feed(input: &[u8], size: usize, masked: bool, whole: bool) -> (Told, Option<Violation>) {
    let mut receiver = Receiver::new(masked, false);
    let (mut told, mut start, mut end) = (Vec::new(), 0, 0);
    while receiver.closed.is_none() {
        let (used, step) = receiver.step(&input[start..end], LIMIT);
        start += used;
        assert!(start <= end && receiver.data.len() as u64 <= LIMIT && receiver.control.len() <= CONTROL);
        match step {
            Err(violation) => {
                assert_eq!(receiver.step(b"", LIMIT), (0, Err(violation)));
                return (told, Some(violation));
            }
            Ok(Step::Need(count)) => {
                assert!(count > 0);
                if end == input.len() {
                    break;
                }
                end = (end + size).min(input.len());
            }
            Ok(Step::Fragment(_)) if whole => {}
            Ok(step @ (Step::Fragment(_) | Step::Message(..))) => {
                let data = std::mem::take(&mut receiver.data);
                if let (Step::Message(_, TEXT), true) = (step, whole) {
                    assert!(std::str::from_utf8(&data).is_ok());
                }
                told.push((step, data));
            }
            Ok(step) => {
                if let Step::Close(code) = step {
                    assert!(code == NO_CODE || is_valid(code));
                }
                told.push((step, receiver.control.clone()));
            }
        }
    }
    (told, None)
}

/// Sends what was received once more, and receives that.
fn again(told: &Told, size: usize, key: Option<[u8; 4]>) {
    let mut outbox = Outbox::default();
    let mut sent = Vec::new();
    let mut flush = |outbox: &mut Outbox| loop {
        if outbox.is_empty() {
            outbox.put_waiting(key).unwrap();
        }
        let count = outbox.rest().len().min(size);
        if count == 0 {
            break;
        }
        sent.extend_from_slice(&outbox.rest()[..count]);
        outbox.advance(count);
    };
    for (step, data) in told {
        match step {
            Step::Message(_, opcode) => {
                outbox.put(true, *opcode, data, key).unwrap();
            }
            Step::Ping => {
                outbox.put(true, PING, data, key).unwrap();
            }
            Step::Pong => outbox.pong(data),
            Step::Close(_) => outbox.close(data),
            Step::Fragment(_) | Step::Need(_) => {}
        }
        flush(&mut outbox);
    }
    let (heard, violation) = feed(&sent, size, key.is_some(), true);
    assert_eq!(violation, None);
    assert_eq!(heard.len(), told.len());
    for ((step, data), (before, same)) in heard.iter().zip(told) {
        assert_eq!(data, same);
        if let (Step::Message(_, one), Step::Message(_, two)) = (step, before) {
            assert_eq!(one, two);
        } else {
            assert_eq!(step, before);
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, input)) = input.split_first() else {
        return;
    };
    let (masked, size) = (first & 1 != 0, usize::from(first >> 1).max(1));
    for whole in [false, true] {
        let expected = feed(input, input.len().max(1), masked, whole);
        assert_eq!(feed(input, 1, masked, whole), expected);
        assert_eq!(feed(input, size, masked, whole), expected);
        if whole {
            again(&expected.0, size, None);
            again(&expected.0, size, Some([first, 1, 2, 3]));
        }
    }
    if let Some(answer) = handshake::accept(input) {
        assert!(answer.iter().all(u8::is_ascii) && answer.ends_with(b"="));
    }
});
