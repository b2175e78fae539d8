//! Events, those of the daemon included.

use super::*;

const REGISTER: &str = "03000008 00000001 0400000d 7265676973746572 00 000000";
const SEND: &str = "03000008 00000001 04000009 73656e64 00 000000";
/// Data `a = 1`, and the arguments of `send` with it.
const ONE: &str = "8500000c 0001 61 00 00000001";
const EVENT: &str = "07000030 83000011 0002 6964 00 000000 65762e78 00 000000
                     82000018 0004 64617461 00 00 8500000c 0001 61 00 00000001";

/// Registers `SINK` for events that start with `ev`, or for those of objects.
fn register(bus: &mut Bus, pattern: &str) {
    let text = match pattern {
        "ev*" => "83000014 0007 7061747465726e 00 0000 65762a 00",
        _ => "8300001e 0007 7061747465726e 00 0000 756275732e6f626a6563742e2a 00 0000",
    };
    let data = format!("85000014 0006 6f626a656374 00 000000 2d84af07 {text}");
    let length = 4 + hex(&data).len();
    let register = format!("{REGISTER} 07{length:06x} {data}");
    bus.asks(CALLER, INVOKE, 1, &register, OK);
}

#[test]
fn an_event_reaches_those_who_wait_for_it() {
    let mut bus = Bus::with_sink();
    bus.says_bytes(
        CALLER,
        &hex("00 05 00 09 00000001 00000048 03000008 00000001 0400000d 7265676973746572 00 000000
              0700002c 85000014 0006 6f626a656374 00 000000 2d84af07 83000014 0007 7061747465726e 00 0000 65762a 00"),
        None,
    );
    bus.hears(CALLER, &[message(1, 9, 1, OK)]);
    // Once more is not twice.
    register(&mut bus, "ev*");
    bus.says_bytes(
        OWNER,
        &hex(&format!("00 05 00 03 00000001 00000048 {SEND} {EVENT}")),
        None,
    );
    bus.hears(OWNER, &[message(1, 3, 1, OK)]);
    let delivered = hex(&format!(
        "00 05 00 01 00000000 00000028 03000008 2d84af07 04000009 65762e78 00 000000 07000010 {ONE}"
    ));
    bus.hears(CALLER, &[delivered]);
    // What a listener answers is for nobody.
    bus.says(CALLER, 1, 1, 0, &format!("{OK} {SINK_OBJECT}"));
    bus.hears(OWNER, &[]);
}

#[test]
fn a_sender_does_not_hear_itself() {
    let mut bus = Bus::with_sink();
    register(&mut bus, "ev*");
    bus.asks(CALLER, INVOKE, 1, &format!("{SEND} {EVENT}"), OK);
}

#[test]
fn an_event_nobody_waits_for_is_taken() {
    let mut bus = Bus::with_sink();
    bus.asks(OWNER, INVOKE, 1, &format!("{SEND} {EVENT}"), OK);
    bus.hears(CALLER, &[]);
    register(&mut bus, "ev*");
    // The object is gone, and what it waited for with it.
    bus.says(CALLER, 7, 1, 0, SINK_OBJECT);
    bus.hear(CALLER);
    bus.asks(OWNER, INVOKE, 1, &format!("{SEND} {EVENT}"), OK);
    bus.hears(CALLER, &[]);
}

#[test]
fn events_that_make_no_sense_are_refused() {
    let mut bus = Bus::with_sink();
    // No data at all, no name, no table, a table that is a number.
    for data in [
        "",
        "07000004",
        "0700001c 82000018 0004 64617461 00 00 8500000c 0001 61 00 00000001",
        "07000018 83000011 0002 6964 00 000000 65762e78 00 000000",
        "07000028 83000011 0002 6964 00 000000 65762e78 00 000000 85000010 0004 64617461 00 00 00000001",
    ] {
        bus.asks(CALLER, INVOKE, 1, &format!("{SEND} {data}"), INVALID);
    }
    // The daemon's own names: `ubus.x`.
    let own =
        "07000024 83000013 0002 6964 00 000000 756275732e78 00 00 8200000c 0004 64617461 00 00";
    bus.asks(CALLER, INVOKE, 1, &format!("{SEND} {own}"), DENIED);
    // Another method.
    bus.asks(
        CALLER,
        INVOKE,
        1,
        "03000008 00000001 04000006 7800 0000",
        "01000008 00000001",
    );
}

#[test]
fn listeners_that_make_no_sense_are_refused() {
    let mut bus = Bus::with_sink();
    let object = |id: &str| format!("85000014 0006 6f626a656374 00 000000 {id}");
    let pattern = "83000014 0007 7061747465726e 00 0000 65762a 00";
    for (data, status) in [
        (String::new(), INVALID),
        (object("2d84af07"), INVALID),
        (pattern.to_string(), INVALID),
        (
            format!(
                "{} 83000011 0007 7061747465726e 00 0000 00 000000",
                object("2d84af07")
            ),
            DENIED,
        ),
        (format!("{} {pattern}", object("409eb227")), DENIED),
        (format!("{} {pattern}", object("00000001")), DENIED),
        (format!("{} {pattern}", object("00001234")), NOT_FOUND),
        (
            format!(
                "{} 83000011 0007 7061747465726e 00 0000 00 000000",
                object("00001234")
            ),
            NOT_FOUND,
        ),
    ] {
        let length = 4 + hex(&data).len();
        let register = format!("{REGISTER} 07{length:06x} {data}");
        bus.asks(CALLER, INVOKE, 1, &register, status);
    }
}

#[test]
fn objects_are_announced_when_they_come_and_go() {
    let mut bus = Bus::with_sink();
    register(&mut bus, "ubus.object.*");
    bus.says(OWNER, 7, 2, 0, OBJECT);
    bus.hears(CALLER, &[announcement(1, "remove", DEMO)]);
    // Those without a path are nobody's business.
    bus.says(OWNER, 6, 3, 0, "");
    bus.hears(CALLER, &[]);
    bus.says(OWNER, 6, 4, 0, &format!("{PATH} {SIGNATURE}"));
    bus.hears(CALLER, &[announcement(2, "add", 5002)]);
    // The listener's own objects are announced to it, too.
    bus.broker.disconnect(OWNER);
    bus.hears(CALLER, &[announcement(3, "remove", 5002)]);
    bus.says(CALLER, 6, 4, 0, PATH);
    let added = [message(2, 4, 0, "03000008 0000138b"), message(1, 4, 0, OK)].concat();
    bus.hears(CALLER, &[announcement(4, "add", 5003), added]);
    // It hears of the end of one between the two parts of the answer.
    let removed = message(2, 5, 0, "03000008 0000138b");
    bus.says(CALLER, 7, 5, 0, "03000008 0000138b");
    let event = announcement(5, "remove", 5003);
    bus.hears(CALLER, &[removed, event, message(1, 5, 0, OK)]);
}

#[test]
fn the_objects_of_a_client_go_the_last_one_first() {
    let mut bus = Bus::with_sink();
    register(&mut bus, "ubus.object.*");
    let paths = [
        "02000006 6200 0000",
        "02000006 6100 0000",
        "02000006 6300 0000",
    ];
    for path in paths {
        bus.says(OWNER, 6, 1, 0, path);
    }
    bus.hear(CALLER);
    bus.broker.disconnect(OWNER);
    let heard = bus.hear(CALLER);
    let names: Vec<u8> = heard
        .windows(6)
        .filter(|window| window.starts_with(b"ath\0\0"))
        .map(|window| window[5])
        .collect();
    assert_eq!(String::from_utf8_lossy(&names), "cabd");
}

#[test]
fn every_delivery_has_a_number_and_its_place() {
    let mut bus = Bus::with_sink();
    // Objects 5000, 5001 and 5002, for `ev.x`, `ev*` and `*`.
    for text in [
        "83000015 0007 7061747465726e 00 0000 65762e78 00 000000",
        "83000014 0007 7061747465726e 00 0000 65762a 00",
        "83000012 0007 7061747465726e 00 0000 2a00 0000",
    ] {
        bus.says(CALLER, 6, 1, 0, "");
        let id = show(&bus.hear(CALLER)[16..20]);
        let data = format!("85000014 0006 6f626a656374 00 000000 {id} {text}");
        let length = 4 + hex(&data).len();
        bus.asks(
            CALLER,
            INVOKE,
            1,
            &format!("{REGISTER} 07{length:06x} {data}"),
            OK,
        );
    }
    bus.asks(OWNER, INVOKE, 1, &format!("{SEND} {EVENT}"), OK);
    let delivered = |seq: u16, id: u32| {
        let event = format!("03000008 {id:08x} 04000009 65762e78 00 000000 07000010 {ONE}");
        message(INVOKE, seq, 0, &event)
    };
    let all = [delivered(1, 5002), delivered(2, 5001), delivered(3, 5000)];
    bus.hears(CALLER, &all);
}

#[test]
fn of_a_name_that_comes_twice_the_first_of_the_right_type_counts() {
    let mut bus = Bus::with_sink();
    register(&mut bus, "ev*");
    let twice = "07000060 85000010 0002 6964 00 000000 00000001
                 83000011 0002 6964 00 000000 65762e78 00 000000
                 83000011 0002 6964 00 000000 6f742e78 00 000000
                 82000018 0004 64617461 00 00 8500000c 0001 61 00 00000001
                 8200000c 0004 64617461 00 00";
    bus.asks(OWNER, INVOKE, 1, &format!("{SEND} {twice}"), OK);
    let event = format!("{SINK_OBJECT} 04000009 65762e78 00 000000 07000010 {ONE}");
    bus.hears(CALLER, &[message(INVOKE, 1, 0, &event)]);
}

#[test]
fn new_access_rules_are_announced() {
    let mut bus = Bus::with_sink();
    let text = "83000017 0007 7061747465726e 00 0000 756275732e2a 00 00";
    let data = format!("85000014 0006 6f626a656374 00 000000 2d84af07 {text}");
    let length = 4 + hex(&data).len();
    bus.asks(
        CALLER,
        INVOKE,
        1,
        &format!("{REGISTER} 07{length:06x} {data}"),
        OK,
    );
    bus.broker.access_changed();
    let method = "04000016 756275732e61636c2e73657175656e6365 00 0000";
    let data = "07000018 85000014 0008 73657175656e6365 00 00 00000001";
    let event = format!("{SINK_OBJECT} {method} {data}");
    bus.hears(CALLER, &[message(INVOKE, 1, 0, &event)]);
}
