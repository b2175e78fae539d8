//! PostgreSQL: no bytes of a server panic, and what is taken is as long as it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::postgres::message::{decode_hex, integer, parse, Frame, Front, Message};
use lua_eco::postgres::password::Challenge;

const LARGEST: usize = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    while let Ok(Front::Message(frame)) = Frame::read(rest, LARGEST) {
        match parse(frame) {
            Ok(Message::Columns(columns)) => {
                let count = columns.count();
                assert_eq!(Iterator::count(columns), count);
            }
            Ok(Message::Row(row)) => {
                let count = row.count();
                let length: usize = row.map(|value| value.map_or(4, |text| text.len() + 4)).sum();
                assert_eq!(length + 2, frame.body.len());
                assert_eq!(Iterator::count(row), count);
            }
            Ok(Message::Error(fields)) => {
                for (letter, _) in fields {
                    assert!(letter != 0 && fields.find(letter).is_some());
                }
            }
            _ => {}
        }
        rest = &rest[frame.total()..];
    }
    if let Some(value) = integer(input) {
        assert_eq!(std::str::from_utf8(input).unwrap().parse(), Ok(value));
    }
    let mut bytes = 0;
    if let Some(length) = decode_hex(input, |_| bytes += 1) {
        assert_eq!(length, bytes);
    }
    if let Ok(challenge) = Challenge::read(input, b"r") {
        assert!(challenge.nonce.len() > 1 && challenge.iterations > 0);
        let _ = challenge.first_round(b"password");
    }
});
