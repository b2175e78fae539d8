//! Subscriptions from their beginning to their end, and notifications.

use super::*;

const TARGET: &str = "08000008 409eb227";
/// Method `tick`.
const TICK: &str = "04000009 7469636b 00 000000";
const NO_REPLY: &str = "0a000005 01 000000";

fn active(seq: u16, byte: &str) -> Vec<u8> {
    message(NOTIFY, seq, 0, &format!("{OBJECT} 09000005 {byte} 000000"))
}

#[test]
fn the_first_and_the_last_subscriber_are_told() {
    let mut bus = Bus::with_sink();
    let both = format!("{SINK_OBJECT} {TARGET}");
    bus.says_bytes(
        CALLER,
        &hex("00 08 00 0c 00000000 00000014 03000008 2d84af07 08000008 409eb227"),
        None,
    );
    bus.hears(CALLER, &[message(1, 12, 0, OK)]);
    bus.hears(
        OWNER,
        &[hex(
            "00 0a 00 01 00000000 00000014 03000008 409eb227 09000005 01 000000",
        )],
    );
    // Once more: a second subscription, of which the owner need not know.
    bus.asks(CALLER, 8, 0, &both, OK);
    bus.asks(CALLER, 9, 0, &both, OK);
    bus.hears(OWNER, &[]);
    bus.asks(CALLER, 9, 0, &both, OK);
    bus.hears(OWNER, &[active(2, "00")]);
    bus.asks(CALLER, 9, 0, &both, NOT_FOUND);
    // The object goes, and its subscription with it.
    bus.asks(CALLER, 8, 0, &both, OK);
    bus.says(CALLER, 7, 1, 0, SINK_OBJECT);
    bus.hears(OWNER, &[active(3, "01"), active(4, "00")]);
}

#[test]
fn a_subscription_needs_two_objects_of_two_clients() {
    let mut bus = Bus::with_sink();
    for kind in [8, 9] {
        // Somebody else's object, an unknown one, and missing ones.
        bus.asks(OWNER, kind, 0, &format!("{SINK_OBJECT} {TARGET}"), INVALID);
        bus.asks(
            CALLER,
            kind,
            0,
            &format!("03000008 00001234 {TARGET}"),
            NOT_FOUND,
        );
        bus.asks(CALLER, kind, 0, SINK_OBJECT, INVALID);
        bus.asks(CALLER, kind, 0, TARGET, INVALID);
        // Unknown targets, and the daemon's own.
        for target in ["00001234", "00000001", "00000002", "00000003"] {
            bus.asks(
                CALLER,
                kind,
                0,
                &format!("{SINK_OBJECT} 08000008 {target}"),
                NOT_FOUND,
            );
        }
    }
    bus.asks(
        CALLER,
        8,
        0,
        &format!("{SINK_OBJECT} 08000008 2d84af07"),
        INVALID,
    );
    bus.hears(OWNER, &[]);
}

#[test]
fn a_notification_reaches_every_subscriber() {
    let mut bus = Bus::subscribed();
    bus.says_bytes(
        OWNER,
        &hex(
            "00 0a 00 04 409eb227 00000030 03000008 409eb227 04000009 7469636b 00 000000
              07000010 8500000c 0001 6b 00 00000005 0a000005 01 000000",
        ),
        None,
    );
    bus.hears(OWNER, &[]);
    let delivered = hex(&format!(
        "00 05 00 04 06b51fa1 00000048 0a000005 01 000000 03000008 2d84af07 {TICK} {ROOT} {FIVE}"
    ));
    bus.hears(CALLER, &[delivered]);
}

#[test]
fn a_notification_is_answered_by_every_subscriber() {
    let mut bus = Bus::subscribed();
    // A second subscription: everything comes twice.
    bus.asks(CALLER, 8, 0, &format!("{SINK_OBJECT} {TARGET}"), OK);
    bus.says(OWNER, NOTIFY, 5, DEMO, &format!("{OBJECT} {TICK} {FIVE}"));
    let list = "0b000014 00000008 2d84af07 00000008 2d84af07";
    bus.hears(
        OWNER,
        &[message(1, 5, DEMO, &format!("{OBJECT} {list} {OK}"))],
    );
    let call = message(
        INVOKE,
        5,
        OWNER,
        &format!("{SINK_OBJECT} {TICK} {ROOT} {FIVE}"),
    );
    bus.hears(CALLER, &[call.clone(), call]);
    let status = format!("{INVALID} {SINK_OBJECT}");
    bus.says(CALLER, 1, 5, OWNER, &status);
    bus.hears(OWNER, &[message(1, 5, SINK, &status)]);
}

#[test]
fn the_last_subscriber_is_the_first_to_be_told() {
    let mut bus = Bus::subscribed();
    // Another object of the same client: 5000.
    bus.says(CALLER, 6, 1, 0, "");
    bus.hear(CALLER);
    bus.asks(CALLER, 8, 0, &format!("03000008 00001388 {TARGET}"), OK);
    bus.says(OWNER, NOTIFY, 5, DEMO, &format!("{OBJECT} {TICK} {FIVE}"));
    let list = "0b000014 00000008 00001388 00000008 2d84af07";
    bus.hears(
        OWNER,
        &[message(1, 5, DEMO, &format!("{OBJECT} {list} {OK}"))],
    );
    let told = ["03000008 00001388", SINK_OBJECT].map(|object| {
        let call = format!("{object} {TICK} {ROOT} {FIVE}");
        message(INVOKE, 5, OWNER, &call)
    });
    bus.hears(CALLER, &told);
    bus.says(OWNER, 7, 2, 0, OBJECT);
    let gone = ["03000008 00001388", SINK_OBJECT]
        .map(|object| message(9, 1, 0, &format!("{object} {TARGET}")));
    bus.hears(CALLER, &gone);
}

#[test]
fn a_notification_without_subscribers_is_taken() {
    let mut bus = Bus::with_demo();
    bus.says(OWNER, NOTIFY, 5, DEMO, &format!("{OBJECT} {TICK} {FIVE}"));
    bus.hears(
        OWNER,
        &[message(1, 5, DEMO, &format!("{OBJECT} 0b000004 {OK}"))],
    );
}

#[test]
fn a_notification_that_cannot_be_sent_is_refused_even_without_reply() {
    let mut bus = Bus::with_sink();
    for flag in ["", NO_REPLY] {
        bus.asks(OWNER, NOTIFY, 0, &format!("{TICK} {FIVE} {flag}"), INVALID);
        bus.asks(
            OWNER,
            NOTIFY,
            0,
            &format!("{OBJECT} {FIVE} {flag}"),
            INVALID,
        );
        bus.asks(
            OWNER,
            NOTIFY,
            0,
            &format!("03000008 00001234 {TICK} {flag}"),
            NOT_FOUND,
        );
        bus.asks(
            OWNER,
            NOTIFY,
            0,
            &format!("{SINK_OBJECT} {TICK} {flag}"),
            DENIED,
        );
    }
}

#[test]
fn subscribers_learn_that_their_target_is_gone() {
    let gone = |seq| message(9, seq, 0, &format!("{SINK_OBJECT} {TARGET}"));
    let mut bus = Bus::subscribed();
    bus.asks(CALLER, 8, 0, &format!("{SINK_OBJECT} {TARGET}"), OK);
    bus.says(OWNER, 7, 2, 0, OBJECT);
    bus.hears(CALLER, &[gone(1), gone(2)]);
    // Its owner learns that it has no subscribers any more.
    let removed = format!("{OBJECT} 05000008 dd3fb1a1");
    let removed = message(2, 2, 0, &removed);
    bus.hears(OWNER, &[removed, active(2, "00"), message(1, 2, 0, OK)]);
    bus.asks(CALLER, 9, 0, &format!("{SINK_OBJECT} {TARGET}"), NOT_FOUND);

    let mut bus = Bus::subscribed();
    bus.broker.disconnect(OWNER);
    bus.hears(CALLER, &[gone(1)]);
}
