//! Packets of a server, taken apart where they lie.

use super::properties::{Bytes, Properties};
use super::topic::is_text;
use super::{
    Version, AUTH, CONNACK, DISCONNECT, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREL, SUBACK,
    UNSUBACK,
};

/// What a packet begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub first: u8,
    /// Bytes of the header.
    pub size: usize,
    /// Bytes behind it.
    pub length: usize,
}

/// A length of more than four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLength;

impl Header {
    /// The header at the front of received bytes; None while some are missing.
    pub fn read(received: &[u8]) -> Result<Option<Header>, BadLength> {
        let Some((&first, rest)) = received.split_first() else {
            return Ok(None);
        };
        let mut bytes = Bytes(rest);
        match bytes.variable() {
            Some(length) => Ok(Some(Header {
                first,
                size: received.len() - bytes.0.len(),
                length: length as usize,
            })),
            None if rest.len() < 4 => Ok(None),
            None => Err(BadLength),
        }
    }

    pub fn kind(self) -> u8 {
        self.first >> 4
    }

    /// The packet from its first byte to its last.
    pub fn total(self) -> usize {
        self.size + self.length
    }
}

/// What is wrong with a packet of a known type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Flags(u8),
    /// It is not that long.
    Length(u8),
    /// It is shorter than that.
    AtLeast(u8),
    Text(&'static str),
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// Empty when an alias stands for it (version 5).
    pub topic: &'a [u8],
    pub payload: &'a [u8],
    pub qos: u8,
    pub dup: bool,
    pub retain: bool,
    /// Zero without a quality of service.
    pub id: u16,
    pub properties: Properties<'a>,
}

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    Connack {
        session_present: bool,
        code: u8,
        properties: Properties<'a>,
    },
    Publish(Publish<'a>),
    /// PUBACK, PUBREC, PUBREL, PUBCOMP.
    Ack {
        kind: u8,
        id: u16,
        code: u8,
        properties: Properties<'a>,
    },
    /// SUBACK, UNSUBACK; the codes are empty in version 4 for the latter.
    Granted {
        kind: u8,
        id: u16,
        codes: &'a [u8],
        properties: Properties<'a>,
    },
    Pong,
    /// DISCONNECT, AUTH.
    Notice {
        kind: u8,
        code: u8,
        properties: Properties<'a>,
    },
    /// No server sends that type.
    Unknown(u8),
}

/// Names of the types, as messages about malformed packets show them.
pub fn name(kind: u8) -> &'static str {
    let names = "CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK PINGREQ PINGRESP DISCONNECT AUTH";
    names
        .split(' ')
        .nth(usize::from(kind).wrapping_sub(2))
        .unwrap_or_default()
}

const CUT: Why = Why::Text("truncated packet");
const BAD_PROPERTIES: Why = Why::Text("invalid properties");

/// Takes the body of a packet apart.
pub fn parse(version: Version, header: Header, body: &[u8]) -> Result<Packet<'_>, Why> {
    let kind = header.kind();
    let flags = header.first & 15;
    let known = match version {
        Version::V4 => !matches!(kind, 0 | 1 | 8 | 10 | 12 | DISCONNECT | AUTH),
        Version::V5 => !matches!(kind, 0 | 1 | 8 | 10 | 12),
    };
    if !known {
        return Ok(Packet::Unknown(kind));
    }
    if kind == PUBLISH {
        return publish(version, flags, body).map(Packet::Publish);
    }
    if flags != if kind == PUBREL { 2 } else { 0 } {
        return Err(Why::Flags(flags));
    }
    let mut bytes = Bytes(body);
    if version == Version::V4 {
        let exact = match kind {
            SUBACK if body.len() < 3 => return Err(Why::AtLeast(3)),
            SUBACK => body.len(),
            PINGRESP => 0,
            _ => 2,
        };
        if body.len() != exact {
            return Err(Why::Length(exact as u8));
        }
    }
    let packet = match kind {
        CONNACK => {
            let (Some(present), Some(code)) = (bytes.byte(), bytes.byte()) else {
                return Err(CUT);
            };
            Packet::Connack {
                session_present: present & 1 != 0,
                code,
                properties: properties(version, &mut bytes, kind)?,
            }
        }
        PUBACK..=PUBCOMP => {
            let id = identifier(&mut bytes)?;
            // Both may be left out (version 5).
            let code = bytes.byte().unwrap_or_default();
            Packet::Ack {
                kind,
                id,
                code,
                properties: optional(&mut bytes, kind)?,
            }
        }
        SUBACK | UNSUBACK => {
            let id = identifier(&mut bytes)?;
            let properties = properties(version, &mut bytes, kind)?;
            if version == Version::V5 && bytes.0.is_empty() {
                return Err(CUT);
            }
            Packet::Granted {
                kind,
                id,
                codes: std::mem::take(&mut bytes.0),
                properties,
            }
        }
        PINGRESP => Packet::Pong,
        _ => Packet::Notice {
            kind,
            code: bytes.byte().unwrap_or_default(),
            properties: optional(&mut bytes, kind)?,
        },
    };
    if bytes.0.is_empty() {
        Ok(packet)
    } else {
        Err(Why::Text("data behind its end"))
    }
}

fn publish(version: Version, flags: u8, body: &[u8]) -> Result<Publish<'_>, Why> {
    let qos = flags >> 1 & 3;
    if qos == 3 {
        return Err(Why::Text("invalid qos"));
    }
    let mut bytes = Bytes(body);
    let length = bytes.short().ok_or(Why::Text("missing topic length"))?;
    if length == 0 && version == Version::V4 {
        return Err(Why::Text("empty topic name"));
    }
    let topic = bytes
        .take(length.into())
        .ok_or(Why::Text("truncated topic name"))?;
    if topic.iter().any(|byte| matches!(byte, b'+' | b'#')) || !is_text(topic) {
        return Err(Why::Text("invalid topic name"));
    }
    let id = match qos {
        0 => 0,
        _ => identifier(&mut bytes)?,
    };
    let properties = properties(version, &mut bytes, PUBLISH)?;
    Ok(Publish {
        topic,
        payload: bytes.0,
        qos,
        dup: flags & 8 != 0,
        retain: flags & 1 != 0,
        id,
        properties,
    })
}

fn identifier(bytes: &mut Bytes) -> Result<u16, Why> {
    match bytes.short() {
        None => Err(Why::Text("missing packet id")),
        Some(0) => Err(Why::Text("invalid packet id")),
        Some(id) => Ok(id),
    }
}

/// Properties, which are there in version 5.
fn properties<'a>(
    version: Version,
    bytes: &mut Bytes<'a>,
    place: u8,
) -> Result<Properties<'a>, Why> {
    match version {
        Version::V4 => Ok(Properties::NONE),
        Version::V5 => bytes.properties(place).ok_or(BAD_PROPERTIES),
    }
}

/// Properties that may be left out.
fn optional<'a>(bytes: &mut Bytes<'a>, place: u8) -> Result<Properties<'a>, Why> {
    if bytes.0.is_empty() {
        return Ok(Properties::NONE);
    }
    properties(Version::V5, bytes, place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::{LONGEST, PUBREC};

    fn whole(version: Version, bytes: &[u8]) -> Result<Packet<'_>, Why> {
        let header = Header::read(bytes).unwrap().unwrap();
        assert_eq!(header.total(), bytes.len(), "{bytes:?}");
        parse(version, header, &bytes[header.size..])
    }

    const NONE: Properties<'static> = Properties::NONE;

    fn valid() -> Vec<(Version, Vec<u8>, Packet<'static>)> {
        let message = Publish {
            topic: b"a/b",
            payload: b"hi",
            qos: 0,
            dup: false,
            retain: false,
            id: 0,
            properties: NONE,
        };
        let ack = |kind, id, code| Packet::Ack {
            kind,
            id,
            code,
            properties: NONE,
        };
        use Version::{V4, V5};
        vec![
            (
                V4,
                b"\x20\x02\x01\x00".to_vec(),
                Packet::Connack {
                    session_present: true,
                    code: 0,
                    properties: NONE,
                },
            ),
            (
                V5,
                b"\x20\x03\x00\x87\x00".to_vec(),
                Packet::Connack {
                    session_present: false,
                    code: 0x87,
                    properties: NONE,
                },
            ),
            (
                V4,
                b"\x30\x07\0\x03a/bhi".to_vec(),
                Packet::Publish(message),
            ),
            (
                V4,
                b"\x3d\x09\0\x03a/b\x01\x02hi".to_vec(),
                Packet::Publish(Publish {
                    qos: 2,
                    dup: true,
                    retain: true,
                    id: 0x102,
                    ..message
                }),
            ),
            (
                V5,
                b"\x32\x0a\0\x03a/b\0\x09\0hi".to_vec(),
                Packet::Publish(Publish {
                    qos: 1,
                    id: 9,
                    ..message
                }),
            ),
            (V4, b"\x40\x02\0\x01".to_vec(), ack(PUBACK, 1, 0)),
            (V5, b"\x50\x03\0\x01\x10".to_vec(), ack(PUBREC, 1, 0x10)),
            (V5, b"\x62\x03\0\x01\x92".to_vec(), ack(PUBREL, 1, 0x92)),
            (V4, b"\x70\x02\xff\xff".to_vec(), ack(PUBCOMP, 0xffff, 0)),
            (
                V4,
                b"\x90\x04\0\x05\x01\x80".to_vec(),
                Packet::Granted {
                    kind: SUBACK,
                    id: 5,
                    codes: b"\x01\x80",
                    properties: NONE,
                },
            ),
            (
                V5,
                b"\xb0\x04\0\x05\0\x11".to_vec(),
                Packet::Granted {
                    kind: UNSUBACK,
                    id: 5,
                    codes: b"\x11",
                    properties: NONE,
                },
            ),
            (
                V4,
                b"\xb0\x02\0\x05".to_vec(),
                Packet::Granted {
                    kind: UNSUBACK,
                    id: 5,
                    codes: b"",
                    properties: NONE,
                },
            ),
            (V4, b"\xd0\x00".to_vec(), Packet::Pong),
            (
                V5,
                b"\xe0\x00".to_vec(),
                Packet::Notice {
                    kind: DISCONNECT,
                    code: 0,
                    properties: NONE,
                },
            ),
            (
                V5,
                b"\xf0\x01\x18".to_vec(),
                Packet::Notice {
                    kind: AUTH,
                    code: 0x18,
                    properties: NONE,
                },
            ),
        ]
    }

    #[test]
    fn valid_packets_and_every_truncation() {
        for (version, bytes, expected) in valid() {
            assert_eq!(whole(version, &bytes), Ok(expected));
            for end in 0..bytes.len() {
                // Not all there yet.
                let header = Header::read(&bytes[..end]).unwrap();
                assert!(header.is_none_or(|header| header.total() > end));
                // All there, and shorter: never what it was, and no panic.
                if end >= 2 {
                    let mut cut = bytes[..end].to_vec();
                    cut[1] = end as u8 - 2;
                    assert_ne!(whole(version, &cut), Ok(expected));
                }
            }
            for (place, bit) in
                (0..bytes.len()).flat_map(|place| (0..8).map(move |bit| (place, bit)))
            {
                let mut bent = bytes.clone();
                bent[place] ^= 1 << bit;
                if let Ok(Some(header)) = Header::read(&bent) {
                    let body = &bent[header.size.min(bent.len())..];
                    let _ = parse(Version::V4, header, body);
                    let _ = parse(Version::V5, header, body);
                }
            }
        }
    }

    #[test]
    fn what_is_wrong() {
        use Version::{V4, V5};
        for (version, bytes, why) in [
            (V4, &b"\x21\x02\0\0"[..], Why::Flags(1)),
            (V4, b"\x60\x02\0\x01", Why::Flags(0)),
            (V4, b"\x4f\x00", Why::Flags(15)),
            (V4, b"\x20\x03\0\0\0", Why::Length(2)),
            (V4, b"\x40\x04\0\x01\0\0", Why::Length(2)),
            (V4, b"\xd0\x01\0", Why::Length(0)),
            (V4, b"\x90\x02\0\x01", Why::AtLeast(3)),
            (V4, b"\x36\x00", Why::Text("invalid qos")),
            (V4, b"\x30\x01\0", Why::Text("missing topic length")),
            (V4, b"\x30\x02\0\0", Why::Text("empty topic name")),
            (V4, b"\x30\x03\0\x02a", Why::Text("truncated topic name")),
            (V4, b"\x30\x03\0\x01#", Why::Text("invalid topic name")),
            (V4, b"\x30\x03\0\x01\xff", Why::Text("invalid topic name")),
            (V4, b"\x32\x04\0\x01a\x01", Why::Text("missing packet id")),
            (V4, b"\x32\x05\0\x01a\0\0", Why::Text("invalid packet id")),
            (V5, b"\x20\x02\0\0", BAD_PROPERTIES),
            (V5, b"\x30\x03\0\x01a", BAD_PROPERTIES),
            (V5, b"\x40\x04\0\x01\0\x01", BAD_PROPERTIES),
            (V5, b"\x90\x03\0\x01\0", CUT),
            (V5, b"\x20\x01\0", CUT),
            (
                V5,
                b"\x40\x05\0\x01\0\0\0",
                Why::Text("data behind its end"),
            ),
        ] {
            assert_eq!(whole(version, bytes), Err(why), "{bytes:?}");
        }
        for kind in 0..16 {
            let bytes = [kind << 4, 0];
            let packet = whole(V4, &bytes);
            let unknown = matches!(kind, 0 | 1 | 8 | 10 | 12 | 14 | 15);
            assert_eq!(packet == Ok(Packet::Unknown(kind)), unknown, "{kind}");
        }
    }

    #[test]
    fn lengths_of_up_to_four_bytes() {
        let header = Header::read(&[0x30, 0xff, 0xff, 0xff, 0x7f])
            .unwrap()
            .unwrap();
        assert_eq!((header.size, header.length), (5, LONGEST));
        assert_eq!(
            Header::read(&[0x30, 0xff, 0xff, 0xff, 0xff]),
            Err(BadLength)
        );
        assert_eq!(Header::read(&[0x30, 0xff, 0xff, 0xff]), Ok(None));
        assert_eq!(Header::read(&[0x30]), Ok(None));
        assert_eq!(Header::read(&[]), Ok(None));
    }

    #[test]
    fn names_of_types() {
        assert_eq!(name(CONNACK), "CONNACK");
        assert_eq!(name(PUBCOMP), "PUBCOMP");
        assert_eq!(name(AUTH), "AUTH");
        assert_eq!(name(0), "");
    }
}
