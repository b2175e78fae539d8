//! MQTT: no bytes of a server panic, and a session stays in order whatever is
//! acknowledged, sent twice, or connected in between.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::mqtt::outbox::Outbox;
use lua_eco::mqtt::packet::{parse, Header, Packet};
use lua_eco::mqtt::session::{Arrival, Limits, Session};
use lua_eco::mqtt::topic::{is_filter, is_name};
use lua_eco::mqtt::write::Message;
use lua_eco::mqtt::{Version, PUBREL};

/// Every packet of the input, by one version.
fn packets(version: Version, input: &[u8], mut each: impl FnMut(Packet)) {
    let mut rest = input;
    while let Ok(Some(header)) = Header::read(rest) {
        let Some(body) = rest.get(header.size..header.total()) else {
            break;
        };
        if let Ok(packet) = parse(version, header, body) {
            if let Packet::Publish(publish) = &packet {
                assert!(publish.topic.is_empty() || is_name(publish.topic));
                assert!(publish.properties.count() <= body.len());
            }
            each(packet);
        }
        rest = &rest[header.total()..];
    }
}

/// How many of the server's messages are not released.
fn unreleased(session: &Session) -> usize {
    let next = |&id: &u16| session.unreleased(id);
    std::iter::successors(session.unreleased(0), next).count()
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, input)) = input.split_first() else {
        return;
    };
    let version = if choice & 1 == 0 {
        Version::V4
    } else {
        Version::V5
    };
    let limits = Limits {
        window: 3,
        kept: 6,
        bytes: 4000,
        incoming: 5,
    };
    let (mut session, mut outbox) = (Session::new(version, limits), Outbox::default());
    let mut step = 0_usize;
    packets(version, input, |packet| {
        step += 1;
        let out = outbox.buffer();
        match packet {
            Packet::Connack {
                session_present,
                code,
                ..
            } => {
                session.disconnected();
                session.largest = 20 + usize::from(code);
                session.resume(out, session_present, code.into()).unwrap();
            }
            Packet::Publish(publish) => {
                let message = Message {
                    topic: publish.topic,
                    payload: publish.payload,
                    qos: publish.qos,
                    retain: publish.retain,
                    properties: &[],
                };
                let _ = session.publish(out, &message, publish.dup);
                if publish.qos == 2 {
                    let before = unreleased(&session);
                    let arrival = session.arrived(publish.id).unwrap();
                    let after = unreleased(&session);
                    assert_eq!(after - before, usize::from(arrival == Arrival::New));
                }
            }
            Packet::Ack { kind: PUBREL, id, .. } => {
                session.released(id);
                assert_ne!(session.unreleased(id - 1), Some(id));
            }
            Packet::Ack { kind, id, code, .. } => {
                let before = session.kept();
                session.acknowledged(out, kind, id, code).unwrap();
                assert!(session.kept() <= before);
            }
            Packet::Granted { id, .. } => {
                let _ = session.request();
                session.answered(id);
            }
            _ => {
                session.next_end();
            }
        }
        assert!(session.kept() <= limits.kept);
        assert!(unreleased(&session) <= usize::from(limits.incoming));
        if step % 3 == 0 {
            outbox.block();
        }
        let length = outbox.len();
        let some = outbox.front().len() / 2;
        outbox.advance(some);
        assert_eq!(outbox.len(), length - some);
    });
    is_filter(input);
});
