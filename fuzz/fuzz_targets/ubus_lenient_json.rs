//! Lenient JSON: no input panics, all that is JSON and fits is read alike by both readers, and what was read is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use ubus::blobmsg::{from_json, from_lenient_json, to_json, JsonStyle, LenientJsonError, Table, Visit};

/// Whether a name comes twice in one table.
fn has_twins(table: Table<'_>) -> bool {
    let mut open = vec![Some(BTreeSet::new())];
    for visit in table.walk() {
        match visit {
            Ok(Visit::End) => drop(open.pop()),
            Ok(Visit::Entry(entry)) => {
                if let Some(Some(names)) = open.last_mut() {
                    if !names.insert(entry.name.to_vec()) {
                        return true;
                    }
                }
                match entry.value.kind() {
                    ubus::blobmsg::Type::Table => open.push(Some(BTreeSet::new())),
                    ubus::blobmsg::Type::Array => open.push(None),
                    _ => {}
                }
            }
            Err(_) => return false,
        }
    }
    false
}

fuzz_target!(|input: &[u8]| {
    let lenient = from_lenient_json(input);
    if let Ok(table) = &lenient {
        assert!(!has_twins(table.as_table()));
        let text = to_json(table.as_table(), JsonStyle::default()).unwrap();
        // "Not a number" and the infinite have become null.
        let again = from_lenient_json(&text).unwrap();
        let printed = to_json(again.as_table(), JsonStyle::default()).unwrap();
        assert_eq!(printed, text);
    }
    if let Ok(strict) = from_json(input) {
        match lenient {
            Ok(table) => {
                // The strict reader keeps twins, and has doubles for integers of more than 64 bits.
                let (one, other) = (
                    to_json(strict.as_table(), JsonStyle::default()).unwrap(),
                    to_json(table.as_table(), JsonStyle::default()).unwrap(),
                );
                let is_long = input.split(|byte| !byte.is_ascii_digit()).any(|run| run.len() > 18);
                assert!(one == other || has_twins(strict.as_table()) || is_long || has_zero(input));
            }
            Err(LenientJsonError::TooDeep { .. } | LenientJsonError::Build(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
});

/// The strict reader has a double for an integer that is -0.
fn has_zero(input: &[u8]) -> bool {
    input.windows(2).any(|pair| pair == b"-0")
}
