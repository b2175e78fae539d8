//! MySQL: no bytes of a server panic, and what is taken is as long as it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::mysql::packet::{
    end_of_part, front, join, Bytes, Column, Done, Front, Greeting, Prepared, Problem,
};
use lua_eco::mysql::value::{binary, text, Nulls, Value};

const LARGEST: usize = 1 << 25;

/// Reads a row whose columns are of the types in `kinds`.
fn row(body: &[u8], kinds: &[u8]) {
    let mut rest = Bytes(body);
    if let Ok(nulls) = Nulls::read(&mut rest, kinds.len()) {
        for (place, &kind) in kinds.iter().enumerate() {
            if nulls.has(place) {
                continue;
            }
            match binary(&mut rest, kind, kind & 1 != 0) {
                Ok(Value::Date(date)) => assert!(date.text(kind, kind).as_bytes().len() >= 10),
                Ok(Value::Time(time)) => assert!(time.text(kind).as_bytes().len() >= 8),
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
    let mut rest = Bytes(body);
    for &kind in kinds {
        if text(&mut rest, kind).is_err() {
            break;
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((kinds, mut rest)) = input.split_first_chunk::<8>() else {
        return;
    };
    loop {
        let number = rest.get(3).copied().unwrap_or_default();
        let total = match front(rest, LARGEST, number) {
            Ok(Front::Packet { body, total, .. }) => {
                assert_eq!(total, body.len() + 4);
                let _ = Greeting::read(body);
                let _ = Done::read(body);
                let _ = Problem::read(body);
                let _ = Prepared::read(body);
                let _ = Column::read(body);
                let _ = end_of_part(body);
                row(body, kinds);
                total
            }
            Ok(Front::Parts { total, .. }) => {
                let mut whole = Vec::new();
                assert!(join(&rest[..total], &mut whole));
                row(&whole, kinds);
                total
            }
            _ => break,
        };
        rest = &rest[total..];
    }
});
