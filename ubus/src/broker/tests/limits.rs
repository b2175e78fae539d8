//! Clients that do not read, and those that want too much.

use super::*;
use crate::broker::{MAX_DESCRIPTORS, MAX_QUEUE};
use std::io::Read;

#[test]
fn what_a_client_does_not_read_is_dropped_beyond_the_limit() {
    let mut bus = Bus::with_demo();
    let one = 12 + 20;
    for _ in 0..2 * MAX_QUEUE / one {
        bus.says(CALLER, 3, 1, 0, "");
    }
    let queued = bus.broker.output(CALLER).unwrap().len();
    assert!(queued <= MAX_QUEUE && queued > MAX_QUEUE - one, "{queued}");
    // Only whole messages, and as soon as it has read, all is well.
    let heard = bus.hear(CALLER);
    let pair = [message(2, 1, 0, ""), message(1, 1, 0, OK)].concat();
    assert!(heard
        .chunks(pair.len())
        .all(|chunk| pair.starts_with(chunk)));
    bus.says(CALLER, 3, 1, 0, "");
    bus.hears(CALLER, &[pair]);
}

#[test]
fn a_client_that_does_not_read_holds_few_descriptors() {
    let mut bus = Bus::with_demo();
    let call = message(
        INVOKE,
        2,
        DEMO,
        &format!("{OBJECT} 04000006 7800 0000 07000004"),
    );
    let (mut reader, writer) = std::io::pipe().unwrap();
    for _ in 0..2 * MAX_DESCRIPTORS {
        let fd = writer.try_clone().unwrap().into();
        bus.says_bytes(CALLER, &call, Some(fd));
    }
    drop(writer);
    let output = bus.broker.output(OWNER).unwrap();
    assert_eq!(output.descriptors(), MAX_DESCRIPTORS);
    // Calls without a descriptor still come.
    bus.says_bytes(CALLER, &call, None);
    bus.broker.disconnect(OWNER);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_slow_subscriber_costs_others_nothing() {
    let mut bus = Bus::subscribed();
    let third = bus.connect();
    bus.says(third, 6, 1, 0, "");
    let own = show(&bus.hear(third)[12..20]);
    bus.says(third, 8, 2, 0, &format!("{own} 08000008 409eb227"));
    bus.hear(third);
    let data = format!("07010004 {}", "00".repeat(0x10000));
    let notification = format!("{OBJECT} 04000006 7800 0000 {data} 0a000005 01 000000");
    for _ in 0..100 {
        bus.says(OWNER, NOTIFY, 3, DEMO, &notification);
        assert!(bus.hear(third).len() > 0x10000);
    }
    assert!(bus.broker.output(CALLER).unwrap().len() <= MAX_QUEUE);
}

#[test]
fn the_end_of_an_answer_of_the_full_length_is_kept() {
    let mut bus = Bus::with_demo();
    let length = MAX_MESSAGE - 4;
    let attributes = format!("07{length:06x}{}", "00".repeat(length - 4));
    bus.says(CALLER, 3, 1, 0, &attributes);
    let answer = [message(2, 1, 0, &attributes), message(1, 1, 0, OK)];
    assert!(bus.hear(CALLER) == answer.concat());
}
