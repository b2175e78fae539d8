//! The exchanges of the bus byte for byte.

use super::*;
use crate::blob::BuildError;
use crate::blobmsg::Builder;
use crate::signature::SignatureBuilder;
use crate::testing::hex;

type Fill = fn(&mut Writer<'_>);

fn written(kind: Kind, seq: u16, peer: u32, fill: Fill) -> Vec<u8> {
    let mut bytes = b"before".to_vec();
    let mut writer = Writer::new(&mut bytes, kind, seq, peer);
    fill(&mut writer);
    let length = writer.finish().unwrap();
    assert_eq!(length + 6, bytes.len());
    bytes.split_off(6)
}

fn arguments(writer: &mut Writer<'_>) {
    let mut builder = Builder::new();
    builder.string("text", "hi").int("n", 7);
    writer.data(builder.finish().unwrap().as_table());
}

fn event(writer: &mut Writer<'_>) {
    let mut builder = Builder::new();
    builder.int("k", 5);
    writer.data(builder.finish().unwrap().as_table());
}

/// Messages as they were seen to travel, and how they are written.
fn known() -> Vec<(&'static str, Kind, u16, u32, Fill)> {
    vec![
        ("00 00 0000 06b51fa1 00000004", Kind::HELLO, 0, 0x06b51fa1, |_| {}),
        (
            "00 04 00 01 00000000 00000010 | 02000009 64656d6f 00 000000",
            Kind::LOOKUP,
            1,
            0,
            |w| {
                w.path(b"demo");
            },
        ),
        ("00 01 00 01 00000000 0000000c | 01000008 00000004", Kind::STATUS, 1, 0, |w| {
            w.status(Status::NOT_FOUND);
        }),
        (
            "00 06 00 02 00000000 00000048 02000009 64656d6f 00 000000 06000038
             82000028 0004 6563686f 0000 85000010 0004 74657874 0000 00000003
             8500000c 0001 6e 00 00000005 8200000c 0004 6661696c 0000",
            Kind::ADD_OBJECT,
            2,
            0,
            |w| {
                let mut builder = SignatureBuilder::new();
                builder.method("echo").argument("text", 3).argument("n", 5);
                builder.method("fail");
                w.path(b"demo").signature(builder.finish().unwrap().as_table());
            },
        ),
        (
            "00 02 00 02 00000000 00000014 | 03000008 409eb227 | 05000008 dd3fb1a1",
            Kind::DATA,
            2,
            0,
            |w| {
                w.object(0x409eb227).object_type(0xdd3fb1a1);
            },
        ),
        (
            "00 05 00 02 409eb227 00000038 03000008 409eb227 | 04000009 6563686f 00 000000
             07000020 8300000f 0004 74657874 0000 6869 00 00 8500000c 0001 6e 00 00000007",
            Kind::INVOKE,
            2,
            0x409eb227,
            |w| arguments(w.object(0x409eb227).method(b"echo")),
        ),
        (
            "00 05 00 02 db858420 00000050 03000008 409eb227 | 04000009 6563686f 00 000000
             0c000009 726f6f74 00 000000 | 0d000009 726f6f74 00 000000
             07000020 8300000f 0004 74657874 0000 6869 00 00 8500000c 0001 6e 00 00000007",
            Kind::INVOKE,
            2,
            0xdb858420,
            |w| arguments(w.object(0x409eb227).method(b"echo").user(b"root").group(b"root")),
        ),
        (
            "00 01 00 02 db858420 00000014 | 01000008 00000000 | 03000008 409eb227",
            Kind::STATUS,
            2,
            0xdb858420,
            |w| {
                w.status(Status::OK).object(0x409eb227);
            },
        ),
        (
            "00 08 00 0c 00000000 00000014 | 03000008 2d84af07 | 08000008 409eb227",
            Kind::SUBSCRIBE,
            12,
            0,
            |w| {
                w.object(0x2d84af07).target(0x409eb227);
            },
        ),
        (
            "00 0a 00 01 00000000 00000014 | 03000008 409eb227 | 09000005 01 000000",
            Kind::NOTIFY,
            1,
            0,
            |w| {
                w.object(0x409eb227).active(true);
            },
        ),
        (
            "00 0a 00 04 409eb227 00000030 | 03000008 409eb227 | 04000009 7469636b 00 000000
             07000010 8500000c 0001 6b 00 00000005 | 0a000005 01 000000",
            Kind::NOTIFY,
            4,
            0x409eb227,
            |w| {
                event(w.object(0x409eb227).method(b"tick"));
                w.no_reply();
            },
        ),
        (
            "00 05 00 04 06b51fa1 00000048 | 0a000005 01 000000 | 03000008 2d84af07
             04000009 7469636b 00000000 | 0c000009 726f6f74 00000000 | 0d000009 726f6f74 00000000
             07000010 8500000c 0001 6b 00 00000005",
            Kind::INVOKE,
            4,
            0x06b51fa1,
            |w| event(w.no_reply().object(0x2d84af07).method(b"tick").user(b"root").group(b"root")),
        ),
        (
            "00 09 00 01 00000000 00000014 | 03000008 e464579b | 08000008 42a384f3",
            Kind::UNSUBSCRIBE,
            1,
            0,
            |w| {
                w.object(0xe464579b).target(0x42a384f3);
            },
        ),
        (
            "00 01 00 04 409eb227 00000028 | 03000008 409eb227 | 0b000014 00000008 2d84af07 00000008 e464579b
             01000008 00000000",
            Kind::STATUS,
            4,
            0x409eb227,
            |w| {
                w.object(0x409eb227).subscribers([0x2d84af07, 0xe464579b]).status(Status::OK);
            },
        ),
    ]
}

#[test]
fn messages_are_written_byte_for_byte() {
    for (bytes, kind, seq, peer, fill) in known() {
        assert_eq!(written(kind, seq, peer, fill), hex(bytes), "{bytes}");
    }
}

#[test]
fn messages_are_read_back() {
    for (bytes, kind, seq, peer, _) in known() {
        let bytes = hex(bytes);
        let (message, used) = Message::read(&bytes, MAX_MESSAGE).unwrap().unwrap();
        assert_eq!(used, bytes.len());
        assert_eq!(message.header, Header::new(kind, seq, peer));
    }
}

#[test]
fn every_truncation_waits_for_more() {
    for (bytes, ..) in known() {
        let bytes = hex(bytes);
        for length in 0..bytes.len() {
            let read = Message::read(&bytes[..length], MAX_MESSAGE).unwrap();
            assert!(read.is_none(), "{length}");
        }
    }
}

#[test]
fn attributes_are_read_by_name() {
    let bytes = hex(
        "00 05 0004 06b51fa1 00000054 | 0a000005 01 000000 | 03000008 2d84af07
         04000009 7469636b 00000000 | 0c000009 726f6f74 00000000 | 0d00000a 77686565 6c00 0000
         07000010 8500000c 0001 6b 00 00000005 | 0b00000c 00000008 2d84af07",
    );
    let (message, _) = Message::read(&bytes, MAX_MESSAGE).unwrap().unwrap();
    let all = message.attributes();
    assert!(all.is_no_reply());
    assert_eq!(
        (all.object, all.method),
        (Some(0x2d84af07), Some(&b"tick"[..]))
    );
    assert_eq!(
        (all.user, all.group),
        (Some(&b"root"[..]), Some(&b"wheel"[..]))
    );
    assert_eq!(
        all.data.unwrap().get("k"),
        Some(crate::blobmsg::Value::Int32(5))
    );
    assert!(all.subscribers.unwrap().eq([0x2d84af07]));
    assert_eq!((all.status, all.path, all.target), (None, None, None));
}

#[test]
fn broken_attributes_are_left_out() {
    let good = "01000008 00000004 | 03000008 00000009 | 04000006 6d00 0000 | 09000005 01 000000";
    let bytes = hex(good);
    let expected = Attributes::read(Attrs::new(&bytes));
    assert_eq!(
        (expected.status, expected.active),
        (Some(Status(4)), Some(true))
    );
    for broken in [
        "0e000008 00000001",         // unknown
        "01000005 01 000000",        // a short status
        "0300000c 0000000000000001", // a long id
        "04000006 6d6d 0000",        // text without end
        "04000004",                  // no text
        "09000008 00000000",         // a long flag
    ] {
        let bytes = hex(&format!("{good} {broken}"));
        assert_eq!(Attributes::read(Attrs::new(&bytes)), expected, "{broken}");
    }
    // The last of several counts.
    let bytes = hex("01000008 00000004 01000008 fffffff9");
    assert_eq!(
        Attributes::read(Attrs::new(&bytes)).status,
        Some(Status(-7))
    );
}

#[test]
fn a_message_fits_or_leaves_no_trace() {
    let with_path = |length| {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, Kind::LOOKUP, 1, 0);
        writer.path(&vec![b'x'; length]).object(1);
        let result = writer.finish();
        assert_eq!(result.unwrap_or(0), bytes.len());
        result
    };
    // Outer header, path header and NUL, object.
    let most = MAX_MESSAGE - 4 - 5 - 8;
    assert_eq!(with_path(most), Ok(HEADER + MAX_MESSAGE));
    assert_eq!(
        with_path(most + 1),
        Err(BuildError::TooLong { limit: MAX_MESSAGE })
    );

    let mut bytes = Vec::new();
    drop(Writer::new(&mut bytes, Kind::LOOKUP, 1, 0));
    let mut writer = Writer::new(&mut bytes, Kind::LOOKUP, 1, 0);
    writer.path(b"a\0b").object(1);
    assert_eq!(writer.finish(), Err(BuildError::Nul));
    assert!(bytes.is_empty());
}

#[test]
fn the_longest_message_is_read() {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, Kind::INVOKE, 1, 2);
    writer.bytes(id::DATA, &vec![0; MAX_MESSAGE - 8]);
    writer.finish().unwrap();
    assert!(Message::read(&bytes, MAX_MESSAGE).unwrap().is_some());
    let length = MAX_MESSAGE - 1;
    let error = Message::read(&bytes, length - 3).unwrap_err();
    assert_eq!(
        error,
        FrameError::Length {
            length: MAX_MESSAGE
        }
    );
}

#[test]
fn a_receiver_tolerates_what_the_daemon_adds() {
    let mut bytes = Vec::new();
    let limit = MAX_MESSAGE + 24;
    let mut writer = Writer::with_limit(&mut bytes, Kind::INVOKE, 1, 2, limit);
    writer.bytes(id::DATA, &vec![0; MAX_MESSAGE - 8]);
    writer.user(b"root").group(b"root");
    writer.finish().unwrap();
    assert!(Message::read(&bytes, MAX_MESSAGE).is_err());
    let (message, used) = Message::read(&bytes, MAX_RECEIVED).unwrap().unwrap();
    assert_eq!(used, HEADER + limit);
    assert_eq!(message.attributes().group, Some(&b"root"[..]));
}
