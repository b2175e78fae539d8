//! The encoding byte for byte, and what reading makes of broken entries.

use super::*;
use crate::testing::hex;

/// Adds one entry.
type Build = fn(&mut Builder);

/// Every kind of entry as it travels, and how it is built.
fn known() -> Vec<(&'static str, Build)> {
    vec![
        ("87000009 0001 62 00 01 000000", |b| {
            b.bool("b", true);
        }),
        ("8500000c 0001 69 00 fffffff9", |b| {
            b.int("i", -7);
        }),
        ("84000014 0003 626967 00 0000 0000000080000000", |b| {
            b.int("big", 2147483648);
        }),
        ("8600000a 0001 73 00 fffe 0000", |b| {
            b.int16("s", -2);
        }),
        ("88000010 0001 64 00 3ff8000000000000", |b| {
            b.double("d", 1.5);
        }),
        ("8300000b 0001 73 00 686900 00", |b| {
            b.string("s", "hi");
        }),
        (
            "81000028 0001 61 00 8500000c 00000000 00000001 8300000a 00000000 7800 0000 81000008 00000000",
            |b| {
                b.open_array("a").int("", 1).string("", "x");
                b.open_array("").close().close();
            },
        ),
        ("82000014 0001 74 00 8500000c 0001 6b 00 00000001", |b| {
            b.open_table("t").int("k", 1).close();
        }),
        ("80000008 0001 6e 00", |b| {
            b.null("n");
        }),
    ]
}

fn built(build: Build) -> TableBuf {
    let mut builder = Builder::new();
    build(&mut builder);
    builder.finish().unwrap()
}

#[test]
fn entries_are_built_byte_for_byte() {
    for (bytes, build) in known() {
        assert_eq!(built(build).into_bytes(), hex(bytes), "{bytes}");
    }
}

#[test]
fn reading_gives_what_was_built() {
    for (bytes, build) in known() {
        let bytes = hex(bytes);
        let table = Table::new(&bytes);
        assert_eq!(table, built(build).as_table());
        let mut copy = Builder::new();
        for entry in table {
            copy.value(entry.name, entry.value);
        }
        assert_eq!(copy.finish().unwrap().into_bytes(), bytes);
    }
}

#[test]
fn every_truncation_gives_no_entry() {
    for (bytes, _) in known() {
        let bytes = hex(bytes);
        for length in 0..bytes.len() {
            assert!(Table::new(&bytes[..length]).is_empty(), "{length}");
        }
    }
}

#[test]
fn integers_of_any_width_widen() {
    let table = built(|b| {
        b.int8("a", -1).int16("b", -2).int32("c", -3);
        b.int64("d", i64::MIN).int("e", i64::from(i32::MIN) - 1);
    });
    let numbers: Vec<_> = table
        .iter()
        .filter_map(|entry| entry.value.as_int())
        .collect();
    assert_eq!(numbers, [-1, -2, -3, i64::MIN, i64::from(i32::MIN) - 1]);
    assert_eq!(table.get("c").unwrap().as_id(), Some(0xffff_fffd));
    assert_eq!(table.get("d").unwrap().as_id(), None);
}

#[test]
fn invalid_entries_are_left_out_alone() {
    let broken = [
        ("unknown type", "89000008 0001 6e 00"),
        ("no name header", "85000004"),
        ("name longer than the entry", "8500000c 0009 6b 00 00000001"),
        ("name not ended", "8500000c 0001 6b 6b 00000001"),
        ("boolean of two bytes", "8700000a 0001 62 00 0101 0000"),
        ("boolean of no bytes", "87000008 0001 62 00"),
        ("short int16", "86000009 0001 62 00 01 000000"),
        ("long int32", "8500000d 0001 62 00 00000001 01 000000"),
        ("short int64", "8400000c 0001 62 00 00000001"),
        ("short double", "8800000c 0001 64 00 3ff80000"),
        ("text without end", "8300000a 0001 73 00 6869 0000"),
        ("text without bytes", "83000008 0001 73 00"),
    ];
    for (what, entry) in broken {
        let bytes = hex(&format!(
            "8500000c 0001 6b 00 00000001 {entry} 87000009 0001 62 00 01 000000"
        ));
        let values: Vec<_> = Table::new(&bytes).iter().map(|entry| entry.value).collect();
        assert_eq!(values, [Value::Int32(1), Value::Int8(1)], "{what}");
    }
}

#[test]
fn odd_but_valid_entries_are_read() {
    let bytes = hex("8800000c 0001 64 00 3ff80000 88000014 0001 64 00 3ff8000000000000 ffffffff");
    assert_eq!(
        Table::new(&bytes).get("d"),
        Some(Value::Double(1.5)),
        "a double may be longer"
    );
    let bytes = hex("05000008 00000007");
    assert_eq!(
        Table::new(&bytes).get(""),
        Some(Value::Int32(7)),
        "no name header, no name"
    );
    let bytes = hex("8300000d 0001 73 00 61006200 00 000000");
    assert_eq!(
        Table::new(&bytes).get("s"),
        Some(Value::String(b"a")),
        "up to the first NUL"
    );
    let bytes = hex("8500000c 0001 6b 00 00000001 8500000c 0001 6b 00 00000002");
    assert_eq!(
        Table::new(&bytes).get("k"),
        Some(Value::Int32(2)),
        "the last one wins"
    );
}

#[test]
fn text_of_any_encoding_is_kept() {
    let table = built(|b| {
        b.string(b"\xff", b"\xfe");
    });
    let entry = table.iter().next().unwrap();
    assert_eq!((entry.name, entry.name_str()), (&b"\xff"[..], None));
    assert_eq!(
        (entry.value.as_bytes(), entry.value.as_str()),
        (Some(&b"\xfe"[..]), None)
    );
}

#[test]
fn hostile_nesting_is_walked_without_recursion() {
    // A million bytes of arrays inside each other, unnamed and even without a name header.
    let mut bytes = Vec::new();
    for start in (0..1_000_000_u32).step_by(4) {
        bytes.extend_from_slice(&(0x0100_0000 | (1_000_000 - start)).to_be_bytes());
    }
    let table = Table::new(&bytes);
    assert_eq!(table.walk().last(), Some(Err(TooDeep)));
    assert!(table != table);
    assert!(format!("{table:?}").len() < 10_000);
}

#[test]
fn a_walk_balances_at_the_deepest_allowed() {
    let mut builder = Builder::new();
    (0..crate::blob::MAX_DEPTH).for_each(|_| {
        builder.open_table("t");
    });
    builder.int("n", 1);
    (0..crate::blob::MAX_DEPTH).for_each(|_| {
        builder.close();
    });
    let table = builder.finish().unwrap();
    let ends = table
        .as_table()
        .walk()
        .filter(|visit| *visit == Ok(Visit::End))
        .count();
    assert_eq!(ends, crate::blob::MAX_DEPTH);
}

#[test]
fn a_payload_fits_one_message() {
    let with_text = |length| {
        let mut builder = Builder::new();
        builder.string("s", vec![b'a'; length]);
        builder.finish().map(|table| table.into_bytes().len())
    };
    assert_eq!(with_text(MAX_PAYLOAD - 9), Ok(MAX_PAYLOAD));
    let error = crate::blob::BuildError::TooLong { limit: MAX_PAYLOAD };
    assert_eq!(with_text(MAX_PAYLOAD - 8), Err(error));
}

#[test]
fn memory_is_used_again() {
    let mut first = Builder::new();
    first.string("text", "x".repeat(100));
    let memory = first.finish().unwrap().into_bytes();
    let place = memory.as_ptr();
    let mut second = Builder::reusing(memory);
    second.int("n", 7);
    let table = second.finish().unwrap();
    assert_eq!(
        (table.iter().count(), table.get("n").and_then(Value::as_int)),
        (1, Some(7))
    );
    let bytes = table.into_bytes();
    assert_eq!(bytes.as_ptr(), place);
}
