//! What others than user 0 may do, and who may watch.

use super::*;

const TICK: &str = "04000009 7469636b 00 000000";
const WATCH: &str = "03000008 00000003 04000008 61646400 07000004";
const UNWATCH: &str = "03000008 00000003 0400000b 72656d6f7665 00 00 07000004";

/// An ordinary user beside the owner of `demo`.
fn with_guest() -> (Bus, u32) {
    let mut bus = Bus::with_sink();
    let guest = bus.connect_as(&user(1000, 1000));
    (bus, guest)
}

#[test]
fn others_see_and_call_nothing_that_has_a_path() {
    let (mut bus, guest) = with_guest();
    bus.asks(guest, 4, 0, PATH, OK);
    bus.asks(guest, 4, 0, "", OK);
    bus.asks(
        guest,
        INVOKE,
        DEMO,
        &format!("{OBJECT} {TICK} {FIVE}"),
        DENIED,
    );
    bus.asks(guest, 6, 0, "02000006 6200 0000 06000004", INVALID);
    bus.hears(OWNER, &[]);
}

#[test]
fn others_see_what_has_no_methods() {
    let (mut bus, guest) = with_guest();
    let path = "02000006 6200 0000";
    bus.says(OWNER, 6, 1, 0, &format!("{path} 06000004"));
    let ids = show(&bus.hear(OWNER)[12..28]);
    let found = format!("{path} {ids} 06000004");
    for what in [path, ""] {
        bus.says(guest, 4, 2, 0, what);
        bus.hears(guest, &[message(2, 2, 0, &found), message(1, 2, 0, OK)]);
    }
}

#[test]
fn what_has_no_path_is_subscribed_by_the_same_user_or_group() {
    let (mut bus, _) = with_guest();
    let subscribes = |bus: &mut Bus, user: &[u8], group: &[u8], status: &str| {
        let client = bus.connect_as(&Credentials {
            uid: 0,
            gid: 0,
            user: user.to_vec(),
            group: group.to_vec(),
        });
        bus.says(client, 6, 1, 0, "");
        let own = show(&bus.hear(client)[12..20]);
        bus.asks(client, 8, 0, &format!("{own} 08000008 2d84af07"), status);
    };
    subscribes(&mut bus, b"root", b"wheel", OK);
    subscribes(&mut bus, b"toor", b"root", OK);
    subscribes(&mut bus, b"toor", b"wheel", NOT_FOUND);
}

#[test]
fn others_may_hear_everything_but_no_part_of_it() {
    let (mut bus, guest) = with_guest();
    bus.says(guest, 6, 1, 0, "");
    let id = show(&bus.hear(guest)[16..20]);
    for (pattern, status) in [
        ("83000012 0007 7061747465726e 00 0000 2a00 0000", OK),
        ("83000013 0007 7061747465726e 00 0000 612a 00 00", DENIED),
        ("83000012 0007 7061747465726e 00 0000 6100 0000", DENIED),
    ] {
        let data = format!("85000014 0006 6f626a656374 00 000000 {id} {pattern}");
        let length = 4 + hex(&data).len();
        let register = "03000008 00000001 0400000d 7265676973746572 00 000000";
        bus.asks(
            guest,
            INVOKE,
            1,
            &format!("{register} 07{length:06x} {data}"),
            status,
        );
    }
}

#[test]
fn what_has_no_path_needs_no_rule() {
    let (mut bus, guest) = with_guest();
    bus.says(
        guest,
        INVOKE,
        2,
        SINK,
        &format!("{SINK_OBJECT} {TICK} {FIVE}"),
    );
    let call = format!("{SINK_OBJECT} {TICK} {ROOT} {FIVE}");
    bus.hears(CALLER, &[message(INVOKE, 2, guest, &call)]);
    bus.says(guest, 6, 3, 0, "");
    let own = "03000008 00001389";
    bus.hears(guest, &[message(2, 3, 0, own), message(1, 3, 0, OK)]);
    bus.asks(guest, 8, 0, &format!("{own} 08000008 2d84af07"), OK);
    bus.asks(guest, 8, 0, &format!("{own} 08000008 409eb227"), NOT_FOUND);
    // Events need a right.
    let event = "07000030 83000011 0002 6964 00 000000 65762e78 00 000000
                 82000018 0004 64617461 00 00 8500000c 0001 61 00 00000001";
    bus.asks(
        guest,
        INVOKE,
        1,
        &format!("03000008 00000001 04000009 73656e64 00 000000 {event}"),
        DENIED,
    );
    let pattern = "0700002c 85000014 0006 6f626a656374 00 000000 00001389
                   83000014 0007 7061747465726e 00 0000 65762a 00";
    let register = format!("03000008 00000001 0400000d 7265676973746572 00 000000 {pattern}");
    bus.asks(guest, INVOKE, 1, &register, DENIED);
}

#[test]
fn the_user_of_the_daemon_may_do_everything() {
    let mut broker = Broker::with_ids(1000, {
        let mut ids = 2000..;
        move || ids.next().unwrap()
    });
    let own = broker.connect(&user(1000, 1000));
    let mut bus = Bus { broker };
    bus.hear(own);
    bus.says(own, 6, 1, 0, &format!("{PATH} {SIGNATURE}"));
    assert_eq!(bus.hear(own).len(), 12 + 16 + 20);
    bus.says(own, INVOKE, 2, 3, WATCH);
    assert_eq!(show(&bus.hear(own)[..20]), show(&message(1, 2, 3, OK)));
}

#[test]
fn rules_can_be_asked_for() {
    let (mut bus, guest) = with_guest();
    for client in [OWNER, guest] {
        bus.says(
            client,
            INVOKE,
            2,
            2,
            "03000008 00000002 0400000a 7175657279 00 0000 07000004",
        );
        let rules = "03000008 00000002 07000020 85000010 0003 736571 00 0000 00000000 8100000c 0003 61636c 00 0000";
        bus.hears(client, &[message(2, 2, 2, rules), message(1, 2, 2, OK)]);
    }
    bus.asks(
        OWNER,
        INVOKE,
        2,
        "03000008 00000002 04000006 7800 0000",
        "01000008 00000001",
    );
}

#[test]
fn only_root_may_watch() {
    let (mut bus, guest) = with_guest();
    let other_group = bus.connect_as(&user(0, 5));
    for client in [guest, other_group] {
        bus.asks(client, INVOKE, 3, WATCH, DENIED);
        bus.asks(client, INVOKE, 3, UNWATCH, DENIED);
    }
    let unknown = "03000008 00000003 04000006 7800 0000 07000004";
    bus.asks(OWNER, INVOKE, 3, unknown, "01000008 00000003");
}

/// A copy of a message, as number `seq` to a monitor.
fn copy(seq: u16, client: u32, sent: u8, original: &[u8]) -> Vec<u8> {
    let peer = show(&original[4..8]);
    let body = &original[12..];
    let attributes = format!(
        "00000008 {client:08x} 01000008 {peer} 03000008 0000{} 04000008 000000{:02x} 02000005 {sent:02x} 000000 05{:06x} {}",
        show(&original[2..4]),
        original[1],
        body.len() + 4,
        show(body),
    );
    message(11, seq, 0, &attributes)
}

#[test]
fn all_traffic_is_copied_to_those_who_watch() {
    let mut bus = Bus::with_demo();
    let monitor = bus.connect();
    bus.says(monitor, INVOKE, 1, 3, WATCH);
    let end = message(1, 1, 3, OK);
    // The end of its own request is the first it sees.
    bus.hears(monitor, &[end.clone(), copy(1, monitor, 1, &end)]);

    let call = message(INVOKE, 2, DEMO, &format!("{OBJECT} {TICK} {FIVE}"));
    bus.says_bytes(CALLER, &call, None);
    let forwarded = message(INVOKE, 2, CALLER, &format!("{OBJECT} {TICK} {ROOT} {FIVE}"));
    bus.hears(
        monitor,
        &[copy(2, CALLER, 0, &call), copy(3, OWNER, 1, &forwarded)],
    );
    bus.hears(OWNER, &[forwarded]);

    // A second one sees what the first gets, but no copies.
    let second = bus.broker.connect(&root());
    let hello = message(0, 0, second, "");
    bus.hears(second, std::slice::from_ref(&hello));
    bus.says(second, INVOKE, 1, 3, WATCH);
    let ask = message(INVOKE, 1, 3, WATCH);
    let first = [
        copy(4, second, 1, &hello),
        copy(5, second, 0, &ask),
        copy(6, second, 1, &end),
    ];
    bus.hears(monitor, &first);
    bus.hears(second, &[end.clone(), copy(1, second, 1, &end)]);

    // Once more is a new beginning.
    bus.says(second, INVOKE, 2, 3, WATCH);
    bus.hear(monitor);
    let end = message(1, 2, 3, OK);
    let heard = bus.hear(second);
    assert!(heard.ends_with(&copy(1, second, 1, &end)));

    // The request to stop is the last it sees.
    let stop = message(INVOKE, 9, 3, UNWATCH);
    bus.says_bytes(monitor, &stop, None);
    bus.hears(monitor, &[copy(9, monitor, 0, &stop), message(1, 9, 3, OK)]);
    bus.says(CALLER, 3, 1, 0, "");
    bus.hears(monitor, &[]);
}
