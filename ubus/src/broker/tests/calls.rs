//! Calls, their answers, and descriptors on both ways.

use super::*;
use std::io::{PipeReader, Read};

/// Method `echo`, arguments `text = "hi"`, `n = 7`.
const ECHO: &str = "04000009 6563686f 00 000000";
const ARGUMENTS: &str =
    "07000020 8300000f 0004 74657874 0000 6869 00 00 8500000c 0001 6e 00 00000007";

#[test]
fn a_call_goes_to_the_owner_and_its_answer_back() {
    let mut bus = Bus::with_demo();
    bus.says(
        CALLER,
        INVOKE,
        2,
        DEMO,
        &format!("{OBJECT} {ECHO} {ARGUMENTS}"),
    );
    bus.hears(CALLER, &[]);
    let call = "00 05 00 02 db858420 00000050 03000008 409eb227 04000009 6563686f 00 000000
                0c000009 726f6f74 00 000000 0d000009 726f6f74 00 000000";
    bus.hears(OWNER, &[hex(&format!("{call} {ARGUMENTS}"))]);

    bus.says(OWNER, 2, 2, CALLER, &format!("{OBJECT} {ARGUMENTS}"));
    bus.says(OWNER, 1, 2, CALLER, &format!("{OK} {OBJECT}"));
    bus.hears(OWNER, &[]);
    let data = hex(&format!(
        "00 02 00 02 409eb227 0000002c {OBJECT} {ARGUMENTS}"
    ));
    let status = hex(&format!("00 01 00 02 409eb227 00000014 {OK} {OBJECT}"));
    bus.hears(CALLER, &[data, status]);
}

#[test]
fn only_the_object_attribute_says_who_is_called() {
    let mut bus = Bus::with_demo();
    bus.says(CALLER, INVOKE, 2, 99, &format!("{ECHO} {OBJECT}"));
    // Arguments that were not sent are not made up.
    bus.hears(
        OWNER,
        &[message(
            INVOKE,
            2,
            CALLER,
            &format!("{OBJECT} {ECHO} {ROOT}"),
        )],
    );
}

#[test]
fn a_client_may_call_itself() {
    let mut bus = Bus::with_demo();
    bus.says(OWNER, INVOKE, 3, DEMO, &format!("{OBJECT} {ECHO} 07000004"));
    let call = format!("{OBJECT} {ECHO} {ROOT} 07000004");
    bus.hears(OWNER, &[message(INVOKE, 3, OWNER, &call)]);
    bus.says(OWNER, 1, 3, OWNER, &format!("{OK} {OBJECT}"));
    bus.hears(OWNER, &[message(1, 3, DEMO, &format!("{OK} {OBJECT}"))]);
}

#[test]
fn a_call_that_cannot_be_forwarded_is_refused() {
    let mut bus = Bus::with_demo();
    bus.asks(
        CALLER,
        INVOKE,
        9,
        &format!("03000008 00001234 {ECHO} {FIVE}"),
        NOT_FOUND,
    );
    bus.asks(CALLER, INVOKE, DEMO, &format!("{OBJECT} {FIVE}"), INVALID);
    bus.asks(CALLER, INVOKE, DEMO, &format!("{ECHO} {FIVE}"), INVALID);
    // A method without its NUL is none.
    bus.asks(
        CALLER,
        INVOKE,
        DEMO,
        &format!("{OBJECT} 04000008 6563686f {FIVE}"),
        INVALID,
    );
    bus.hears(OWNER, &[]);
}

#[test]
fn answers_that_make_no_sense_go_nowhere() {
    let mut bus = Bus::with_sink();
    for (kind, peer, attributes) in [
        // An object of somebody else, no object, an unknown one.
        (1, CALLER, format!("{OK} {SINK_OBJECT}")),
        (2, CALLER, format!("{FIVE} {SINK_OBJECT}")),
        (1, CALLER, OK.to_string()),
        (1, CALLER, format!("{OK} 03000008 00001234")),
        // Nobody to hear it.
        (1, 0, format!("{OK} {OBJECT}")),
        (1, 1234, format!("{OK} {OBJECT}")),
        // Neither a status nor data.
        (1, CALLER, OBJECT.to_string()),
        (1, CALLER, format!("{FIVE} {OBJECT}")),
        (2, CALLER, format!("{OK} {OBJECT}")),
    ] {
        bus.says(OWNER, kind, 5, peer, &attributes);
        bus.hears(CALLER, &[]);
        bus.hears(OWNER, &[]);
    }
}

#[test]
fn nobody_answers_for_an_owner_that_is_gone() {
    let mut bus = Bus::with_demo();
    bus.says(CALLER, INVOKE, 2, DEMO, &format!("{OBJECT} {ECHO} {FIVE}"));
    bus.broker.disconnect(OWNER);
    bus.hears(CALLER, &[]);
    bus.asks(
        CALLER,
        INVOKE,
        DEMO,
        &format!("{OBJECT} {ECHO} {FIVE}"),
        NOT_FOUND,
    );
}

#[test]
fn a_message_of_the_full_length_is_forwarded() {
    let mut bus = Bus::with_demo();
    let head = format!("{OBJECT} {ECHO}");
    let length = MAX_MESSAGE - 4 - 8 - 12;
    let data = format!("07{length:06x}{}", "00".repeat(length - 4));
    bus.says(CALLER, INVOKE, 2, DEMO, &format!("{head} {data}"));
    let call = message(INVOKE, 2, CALLER, &format!("{head} {ROOT} {data}"));
    assert_eq!(call.len(), 8 + MAX_MESSAGE + 24);
    assert!(bus.hear(OWNER) == call);
}

fn pipe() -> (PipeReader, OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader, writer.into())
}

/// Whether no writing end is open any more; else it would wait, so this is asked only where the end must have come.
fn is_closed(reader: &mut PipeReader) -> bool {
    reader.read(&mut [0]).unwrap() == 0
}

#[test]
fn descriptors_go_with_calls_and_with_their_ends() {
    let mut bus = Bus::with_demo();
    let (mut reader, fd) = pipe();
    let call = message(INVOKE, 2, DEMO, &format!("{OBJECT} {ECHO} {FIVE}"));
    bus.says_bytes(CALLER, &call, Some(fd));
    let piece = bus.broker.output(OWNER).unwrap().piece().unwrap();
    assert!(piece.fd.is_some());
    bus.hear(OWNER);
    assert!(is_closed(&mut reader));

    let (mut reader, fd) = pipe();
    let status = message(1, 2, CALLER, &format!("{OK} {OBJECT}"));
    bus.says_bytes(OWNER, &status, Some(fd));
    assert!(bus
        .broker
        .output(CALLER)
        .unwrap()
        .piece()
        .unwrap()
        .fd
        .is_some());
    bus.broker.disconnect(CALLER);
    assert!(is_closed(&mut reader));
}

#[test]
fn descriptors_with_anything_else_are_closed() {
    let mut bus = Bus::subscribed();
    let register = "03000008 00000001 0400000d 7265676973746572 00 000000";
    for (from, kind, peer, attributes) in [
        (OWNER, 2, CALLER, format!("{OBJECT} {FIVE}")),
        (OWNER, NOTIFY, DEMO, format!("{OBJECT} {ECHO} {FIVE}")),
        (OWNER, 3, 0, String::new()),
        (OWNER, 4, 0, String::new()),
        (OWNER, 200, 0, String::new()),
        (CALLER, INVOKE, 1, register.to_string()),
        (CALLER, INVOKE, 9, format!("03000008 00001234 {ECHO}")),
        (OWNER, 1, 4321, format!("{OK} {OBJECT}")),
    ] {
        let (mut reader, fd) = pipe();
        bus.says_bytes(from, &message(kind, 3, peer, &attributes), Some(fd));
        assert!(is_closed(&mut reader), "{kind}");
    }
}
