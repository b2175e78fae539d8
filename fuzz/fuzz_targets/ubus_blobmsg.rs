//! Tables: no input panics, and a copy of what was read holds the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ubus::blobmsg::{Builder, Table, Value, Visit};
use ubus::signature::{Signature, SignatureBuilder};

fuzz_target!(|input: &[u8]| {
    let table = Table::new(input);
    let _ = format!("{table:?}");
    let mut copy = Builder::with_limit(usize::MAX);
    let mut fine = true;
    for visit in table.walk() {
        match visit {
            Err(_) => {
                fine = false;
                break;
            }
            Ok(Visit::End) => {
                copy.close();
            }
            Ok(Visit::Entry(entry)) => {
                // The builder takes no NUL in a name; a reader that counts bytes does.
                fine &= !entry.name.contains(&0);
                match entry.value {
                    Value::Table(_) => copy.open_table(entry.name),
                    Value::Array(_) => copy.open_array(entry.name),
                    value => copy.value(entry.name, value),
                };
            }
        }
    }
    if fine {
        let copy = copy.finish().unwrap();
        let same = table == copy.as_table();
        // A number that is none differs from itself.
        assert!(same || table != table, "{table:?} {copy:?}");
    }
    for entry in table {
        assert!(table.get(entry.name).is_some());
        let _ = (entry.name_str(), entry.value.as_str(), entry.value.as_int());
    }

    let mut builder = SignatureBuilder::new();
    for method in Signature::new(table).methods() {
        builder.method(method.name);
        for (name, number) in method.arguments() {
            builder.argument(name, number);
        }
    }
    let _ = builder.finish();
});
