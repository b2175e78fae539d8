//! 802.11 frames behind a radiotap header.

use super::{byte, part, Mac};

/// Kinds of frames.
const MANAGEMENT: u8 = 0;
const CONTROL: u8 = 1;
const DATA: u8 = 2;

/// Management frames whose bodies are taken apart.
const PROBE_REQUEST: u8 = 4;
const PROBE_RESPONSE: u8 = 5;
const BEACON: u8 = 8;

/// Names of the flags, from the lowest bit of their byte up.
pub const FLAGS: &str = "to_ds from_ds more_frag retry pwr_mgmt more_data protected plus_htc ";
const BOTH_DS: u8 = 3;
const PLUS_HTC: u8 = 0x80;

/// A frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub version: u8,
    pub kind: u8,
    pub subtype: u8,
    /// See [`FLAGS`].
    pub flags: u8,
    pub duration: u16,
    /// The first four, as far as there are so many.
    pub addresses: [Option<&'a Mac>; 4],
    pub beacon: Option<Beacon>,
    pub ssid: Option<&'a [u8]>,
}

/// What beacons and answers to probes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon {
    pub timestamp: u64,
    pub interval: u16,
    pub capability: u16,
}

impl<'a> Frame<'a> {
    /// The frame behind the radiotap header.
    pub fn parse(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let skipped = usize::from(le16(bytes, 2)?);
        if skipped < 8 {
            return None;
        }
        Frame::parse_bare(bytes.get(skipped..)?)
    }

    fn parse_bare(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let (control, flags) = (byte(bytes, 0), byte(bytes, 1));
        let mut frame = Frame {
            version: control & 3,
            kind: control >> 2 & 3,
            subtype: control >> 4,
            flags,
            duration: le16(bytes, 2)?,
            addresses: [Some(part(bytes, 4)?), None, None, None],
            beacon: None,
            ssid: None,
        };
        let has_fourth = frame.kind == DATA && flags & BOTH_DS == BOTH_DS;
        let needed = match frame.kind {
            MANAGEMENT | DATA => {
                24 + if has_fourth { 6 } else { 0 } + if flags & PLUS_HTC != 0 { 4 } else { 0 }
            }
            CONTROL if matches!(frame.subtype, 8..=11 | 14 | 15) => 16,
            _ => 10,
        };
        let body = bytes.get(needed..)?;
        if frame.kind == MANAGEMENT || frame.kind == DATA {
            frame.addresses[1] = part(bytes, 10);
            frame.addresses[2] = part(bytes, 16);
        }
        if has_fourth {
            // Behind the sequence control.
            frame.addresses[3] = part(bytes, 24);
        }
        if frame.kind == MANAGEMENT {
            match frame.subtype {
                BEACON | PROBE_RESPONSE => {
                    let elements = body.get(12..)?;
                    frame.beacon = Some(Beacon {
                        timestamp: u64::from_le_bytes(*part(body, 0)?),
                        interval: le16(body, 8)?,
                        capability: le16(body, 10)?,
                    });
                    frame.ssid = ssid(elements);
                }
                PROBE_REQUEST => frame.ssid = ssid(body),
                _ => {}
            }
        }
        Some(frame)
    }

    pub fn is_management(&self) -> bool {
        self.kind == MANAGEMENT
    }
}

/// The last element that names a network, before one that is cut short.
fn ssid(mut elements: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    while let [id, length, rest @ ..] = elements {
        let Some((body, next)) = rest.split_at_checked(usize::from(*length)) else {
            break;
        };
        if *id == 0 {
            found = Some(body);
        }
        elements = next;
    }
    found
}

fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    part(bytes, at).map(|part| u16::from_le_bytes(*part))
}

/// What frames of a kind and subtype are called, and what stands for each:
/// blanks belong to names, commas part them, an empty one is unknown.
const NAMES: [&str; 3] = [
    "ASSOC_REQ,ASSOC_RESP  ,REASSOC_REQ ,REASSOC_RESP,PROBE_REQ,PROBE_RESP,,,BEACON,ATIM,DISASSOC,AUTH,DEAUTH,ACTION,,",
    ",,TRIGGER,,,,CTL_EXT,,BACK_REQ,BACK,PSPOLL,RTS,CTS,ACK,CFEND,CFENDACK",
    "DATA,DATA_CFACK,DATA_CFPOLL,DATA_CFACKPOLL,NULLFUNC,CFACK,CFPOLL,CFACKPOLL,\
     QOS_DATA,QOS_DATA_CFACK,QOS_DATA_CFPOLL,QOS_DATA_CFACKPOLL,QOS_NULLFUNC,QOS_CFACK,QOS_CFPOLL,QOS_CFACKPOLL",
];

/// What frames of that kind are called; None for those without a name.
pub fn name(kind: i64, subtype: i64) -> Option<&'static [u8]> {
    let names = NAMES.get(usize::try_from(kind).ok()?)?.as_bytes();
    let mut each = names.split(|&byte| byte == b',');
    each.nth(usize::try_from(subtype).ok()?)
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RADIOTAP: [u8; 9] = [0, 0, 9, 0, 0xff, 0xff, 0xff, 0, 0xee];

    fn framed(bare: &[u8]) -> Vec<u8> {
        [&RADIOTAP, bare].concat()
    }

    /// A header whose bytes count up from 0, behind the control bytes.
    fn header(kind: u8, subtype: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..length).collect();
        bytes[0] = subtype << 4 | kind << 2;
        bytes[1] = flags;
        bytes
    }

    fn shortest(kind: u8, subtype: u8, flags: u8) -> usize {
        let whole = framed(&header(kind, subtype, flags, 60));
        let first = (0..whole.len()).find(|&length| Frame::parse(&whole[..length]).is_some());
        first.unwrap() - RADIOTAP.len()
    }

    #[test]
    fn every_kind_has_its_length() {
        for subtype in 0..16 {
            let control = if matches!(subtype, 8 | 9 | 10 | 11 | 14 | 15) {
                16
            } else {
                10
            };
            assert_eq!(shortest(CONTROL, subtype, 0x80), control);
            assert_eq!(shortest(3, subtype, 0xff), 10);
            for (flags, length) in [
                (0, 24),
                (1, 24),
                (2, 24),
                (3, 30),
                (0x80, 28),
                (0x83, 34),
                (0xff, 34),
            ] {
                assert_eq!(shortest(DATA, subtype, flags), length);
            }
            let body = if matches!(subtype, 5 | 8) { 12 } else { 0 };
            for (flags, length) in [(0, 24), (3, 24), (0x80, 28)] {
                assert_eq!(shortest(MANAGEMENT, subtype, flags), length + body);
            }
        }
    }

    #[test]
    fn addresses() {
        let bytes = framed(&header(DATA, 8, 3, 40));
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!(
            (frame.version, frame.kind, frame.subtype, frame.flags),
            (0, 2, 8, 3)
        );
        assert_eq!(frame.duration, 0x302);
        let expected: [Option<&Mac>; 4] = [
            Some(&[4, 5, 6, 7, 8, 9]),
            Some(&[10, 11, 12, 13, 14, 15]),
            Some(&[16, 17, 18, 19, 20, 21]),
            Some(&[24, 25, 26, 27, 28, 29]),
        ];
        assert_eq!(frame.addresses, expected);
        let bytes = framed(&header(CONTROL, 13, 0, 40));
        assert_eq!(Frame::parse(&bytes).unwrap().addresses[1..], [None; 3]);
    }

    #[test]
    fn beacons() {
        let mut bare = header(MANAGEMENT, BEACON, 0, 24);
        bare.extend([1, 2, 3, 4, 5, 6, 7, 8, 100, 0, 0x11, 4]);
        bare.extend(b"\x00\x03abc\x01\x02xx\x00\x02de\x00\x09cut");
        let bytes = framed(&bare);
        let frame = Frame::parse(&bytes).unwrap();
        let beacon = Beacon {
            timestamp: 0x0807_0605_0403_0201,
            interval: 100,
            capability: 0x411,
        };
        assert_eq!((frame.beacon, frame.ssid), (Some(beacon), Some(&b"de"[..])));
        for length in 0..bytes.len() {
            assert_eq!(Frame::parse(&bytes[..length]).is_some(), length >= 9 + 36);
        }
        // Of a probe, elements come at once.
        let mut probe = header(MANAGEMENT, PROBE_REQUEST, 0, 24);
        probe.extend(b"\x00\x00");
        let probe = framed(&probe);
        let frame = Frame::parse(&probe).unwrap();
        assert_eq!((frame.beacon, frame.ssid), (None, Some(&b""[..])));
    }

    #[test]
    fn radiotap_headers_are_skipped() {
        let bare = header(CONTROL, 13, 0, 10);
        for length in 0..=255_usize {
            let mut bytes = vec![0; length.max(4)];
            bytes[2] = length as u8;
            bytes.extend(&bare);
            assert_eq!(Frame::parse(&bytes).is_some(), length >= 8);
            bytes[2] = length.wrapping_add(1) as u8;
            bytes[3] = 1;
            assert!(Frame::parse(&bytes).is_none());
        }
    }

    #[test]
    fn names() {
        for names in NAMES {
            assert_eq!(names.split(',').count(), 16);
        }
        assert_eq!(name(0, 8), Some(&b"BEACON"[..]));
        assert_eq!(name(0, 1), Some(&b"ASSOC_RESP  "[..]));
        assert_eq!(name(1, 15), Some(&b"CFENDACK"[..]));
        assert_eq!(name(2, 8), Some(&b"QOS_DATA"[..]));
        for (kind, subtype) in [
            (0, 6),
            (1, 0),
            (3, 0),
            (0, 16),
            (-1, 0),
            (0, -1),
            (i64::MAX, 0),
        ] {
            assert_eq!(name(kind, subtype), None);
        }
    }
}
