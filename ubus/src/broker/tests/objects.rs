//! Objects that come, are found and go.

use super::*;

#[test]
fn an_object_is_added_and_found() {
    let mut bus = Bus::new(&[OWNER, CALLER, TYPE, DEMO]);
    bus.connect();
    bus.connect();
    bus.says_bytes(
        CALLER,
        &hex("00 04 00 01 00000000 00000010 02000009 64656d6f 00 000000"),
        None,
    );
    bus.hears(
        CALLER,
        &[hex("00 01 00 01 00000000 0000000c 01000008 00000004")],
    );
    bus.says_bytes(
        OWNER,
        &hex("00 06 00 02 00000000 00000048 02000009 64656d6f 00 000000 06000038 82000028 0004 6563686f 0000
              85000010 0004 74657874 0000 00000003 8500000c 0001 6e 00 00000005 8200000c 0004 6661696c 0000"),
        None,
    );
    let answer = [
        hex("00 02 00 02 00000000 00000014 03000008 409eb227 05000008 dd3fb1a1"),
        hex("00 01 00 02 00000000 0000000c 01000008 00000000"),
    ];
    bus.hears(OWNER, &answer);
    bus.says(CALLER, 4, 2, 0, PATH);
    let found = format!("{PATH} {OBJECT} 05000008 dd3fb1a1 {SIGNATURE}");
    bus.hears(CALLER, &[message(2, 2, 0, &found), message(1, 2, 0, OK)]);
}

#[test]
fn objects_are_found_by_prefix_in_order() {
    let mut bus = Bus::new(&[OWNER]);
    bus.connect();
    // Paths b, a, ab, abc without methods: types 5000, 5002 …, objects 5001, 5003 …
    let paths = [
        "02000006 6200 0000",
        "02000006 6100 0000",
        "02000007 616200 00",
        "02000008 61626300",
    ];
    for path in paths {
        bus.says(OWNER, 6, 1, 0, &format!("{path} 06000004"));
    }
    bus.hear(OWNER);
    let found = |seq: u16, index: u32| {
        let (path, kind, id) = (paths[index as usize], 5000 + 2 * index, 5001 + 2 * index);
        let attributes = format!("{path} 03000008 {id:08x} 05000008 {kind:08x} 06000004");
        message(2, seq, 0, &attributes)
    };
    bus.says(OWNER, 4, 2, 0, "");
    let all = [1, 2, 3, 0].map(|index| found(2, index));
    bus.hears(OWNER, &[&all[..], &[message(1, 2, 0, OK)]].concat());
    bus.says(OWNER, 4, 3, 0, "02000008 61622a00");
    bus.hears(OWNER, &[found(3, 2), found(3, 3), message(1, 3, 0, OK)]);
    bus.says(OWNER, 4, 4, 0, "02000006 2a00 0000");
    assert_eq!(bus.hear(OWNER).len(), all.concat().len() + 20);
    bus.asks(OWNER, 4, 0, "02000007 632a00 00", NOT_FOUND);
    bus.asks(OWNER, 4, 0, "02000008 61627a00", NOT_FOUND);
    bus.asks(OWNER, 4, 0, "02000005 00 000000", INVALID);
}

#[test]
fn a_lookup_of_an_empty_bus_succeeds() {
    let mut bus = Bus::new(&[OWNER]);
    bus.connect();
    bus.asks(OWNER, 4, 0, "", OK);
}

#[test]
fn objects_without_a_type_stay_hidden() {
    let mut bus = Bus::new(&[OWNER]);
    bus.connect();
    // No signature; an entry without a name; an entry that is not valid; an attribute that is no entry.
    for signature in [
        "",
        "06000010 8200000c 0000 0000 00000000",
        "06000010 8500000b 0001 6e 00 000000 00",
        "0600000c 01000008 00000001",
    ] {
        bus.says(OWNER, 6, 1, 0, &format!("{PATH} {signature}"));
        let added = bus.hear(OWNER);
        // Without the type there is the object alone.
        let id = show(&added[12..20]);
        assert_eq!(added.len(), 12 + 8 + 20, "{signature}");
        bus.asks(OWNER, 4, 0, PATH, OK);
        bus.asks(OWNER, 4, 0, "", OK);
        bus.says(OWNER, 7, 2, 0, &id);
        bus.hears(OWNER, &[message(2, 2, 0, &id), message(1, 2, 0, OK)]);
    }
}

#[test]
fn a_path_belongs_to_one_object() {
    let mut bus = Bus::with_demo();
    bus.asks(CALLER, 6, 0, &format!("{PATH} {SIGNATURE}"), INVALID);
    bus.asks(OWNER, 6, 0, PATH, INVALID);
    assert_eq!(bus.broker.objects(), 1);
}

#[test]
fn a_type_lives_as_long_as_one_of_its_objects() {
    let mut bus = Bus::with_demo();
    // Another object of the same type: SINK is its id.
    bus.says(CALLER, 6, 2, 0, "02000006 6200 0000 05000008 dd3fb1a1");
    // It is told the object alone: the type it knows.
    let added = [message(2, 2, 0, SINK_OBJECT), message(1, 2, 0, OK)];
    bus.hears(CALLER, &added);
    bus.says(OWNER, 7, 3, 0, OBJECT);
    bus.hears(OWNER, &[message(2, 3, 0, OBJECT), message(1, 3, 0, OK)]);
    bus.says(OWNER, 4, 4, 0, "02000006 6200 0000");
    let found = format!("02000006 6200 0000 {SINK_OBJECT} 05000008 dd3fb1a1 {SIGNATURE}");
    bus.hears(OWNER, &[message(2, 4, 0, &found), message(1, 4, 0, OK)]);
    bus.says(CALLER, 7, 5, 0, SINK_OBJECT);
    let removed = format!("{SINK_OBJECT} 05000008 dd3fb1a1");
    bus.hears(CALLER, &[message(2, 5, 0, &removed), message(1, 5, 0, OK)]);
    bus.asks(
        CALLER,
        6,
        0,
        "02000006 6200 0000 05000008 dd3fb1a1",
        INVALID,
    );
}

#[test]
fn a_type_counts_more_than_methods() {
    let mut bus = Bus::with_demo();
    let attributes = "02000006 6200 0000 06000004 05000008 dd3fb1a1";
    bus.says(CALLER, 6, 2, 0, attributes);
    let added = format!("{SINK_OBJECT} 05000008 dd3fb1a1");
    bus.hears(CALLER, &[message(2, 2, 0, &added), message(1, 2, 0, OK)]);
    bus.says(OWNER, 4, 4, 0, "02000006 6200 0000");
    let found = format!("02000006 6200 0000 {SINK_OBJECT} 05000008 dd3fb1a1 {SIGNATURE}");
    bus.hears(OWNER, &[message(2, 4, 0, &found), message(1, 4, 0, OK)]);
}

#[test]
fn the_objects_of_the_daemon_belong_to_somebody_else() {
    let mut bus = Bus::with_sink();
    let tick = "04000009 7469636b 00 000000";
    for own in ["00000001", "00000002", "00000003"].map(|id| format!("03000008 {id}")) {
        bus.asks(CALLER, 7, 0, &own, DENIED);
        bus.asks(CALLER, NOTIFY, 0, &format!("{own} {tick}"), DENIED);
        for kind in [8, 9] {
            let ends = format!("{own} 08000008 409eb227");
            bus.asks(CALLER, kind, 0, &ends, INVALID);
        }
    }
    for none in ["00000000", "00000004", "000003ff"].map(|id| format!("03000008 {id}")) {
        bus.asks(CALLER, 7, 0, &none, NOT_FOUND);
        bus.asks(CALLER, INVOKE, 0, &format!("{none} {tick}"), NOT_FOUND);
        bus.asks(CALLER, NOTIFY, 0, &format!("{none} {tick}"), NOT_FOUND);
        bus.asks(
            CALLER,
            8,
            0,
            &format!("{none} 08000008 409eb227"),
            NOT_FOUND,
        );
    }
}

#[test]
fn objects_are_removed_by_their_owner_alone() {
    let mut bus = Bus::with_demo();
    bus.asks(CALLER, 7, 0, OBJECT, DENIED);
    bus.asks(CALLER, 7, 0, "03000008 12345678", NOT_FOUND);
    bus.asks(CALLER, 7, 0, "", INVALID);
    // A number of the wrong size is none.
    bus.asks(CALLER, 7, 0, "03000006 1234 0000", INVALID);
    bus.says(OWNER, 7, 2, 0, OBJECT);
    let removed = format!("{OBJECT} 05000008 dd3fb1a1");
    bus.hears(OWNER, &[message(2, 2, 0, &removed), message(1, 2, 0, OK)]);
    bus.asks(OWNER, 7, 0, OBJECT, NOT_FOUND);
    bus.asks(CALLER, 4, 0, PATH, NOT_FOUND);
}

#[test]
fn a_long_answer_comes_in_parts() {
    let mut bus = Bus::new(&[OWNER, CALLER]);
    bus.connect();
    bus.connect();
    let signature = format!("06001004 82001000 {}", "00".repeat(4092));
    // A name of 77 bytes makes a valid entry of the zeros.
    let signature = signature.replacen("82001000 0000", "82001000 004d", 1);
    for number in 0..100 {
        bus.says(
            OWNER,
            6,
            1,
            0,
            &format!("02000009 {:08x} 00 000000 {signature}", 0x61616161 + number),
        );
        bus.hear(OWNER);
    }
    bus.says(CALLER, 4, 2, 0, "");
    let mut all = Vec::new();
    let mut parts = 0;
    while bus.broker.is_busy(CALLER) {
        let part = bus.hear(CALLER);
        assert!(part.len() < 80 * 1024);
        all.extend(part);
        parts += 1;
        // Others are served, and what they change meanwhile does no harm.
        if parts == 2 {
            bus.broker.disconnect(OWNER);
        }
        bus.broker.resume(CALLER);
    }
    all.extend(bus.hear(CALLER));
    assert!(parts > 1);
    assert!(all.ends_with(&message(1, 2, 0, OK)));
}
