//! Packets put together.

use super::{Version, LONGEST, PUBACK, PUBLISH, PUBREL};

/// Why one could not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is larger than can be stated, or than the peer takes.
    TooLarge,
    Memory,
    /// There are as many messages under way as may be.
    Full,
}

/// Bytes that a length takes up.
pub const fn length_size(length: usize) -> usize {
    match length {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Adds a length, which is no larger than [`LONGEST`]; there is room for it.
pub fn put_length(out: &mut Vec<u8>, length: usize) {
    let mut rest = length;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Adds a packet: its first byte, its length, and its parts.
pub fn packet(out: &mut Vec<u8>, first: u8, parts: &[&[u8]]) -> Result<(), Refused> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length > LONGEST {
        return Err(Refused::TooLarge);
    }
    out.try_reserve(5 + length).map_err(|_| Refused::Memory)?;
    out.push(first);
    put_length(out, length);
    for part in parts {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// A message to publish.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    pub topic: &'a [u8],
    pub payload: &'a [u8],
    pub qos: u8,
    pub retain: bool,
    /// The bytes of its properties.
    pub properties: &'a [u8],
}

impl Message<'_> {
    /// How large its packet is.
    pub fn size(&self, version: Version) -> usize {
        let mut length = 2 + self.topic.len() + self.payload.len();
        if self.qos > 0 {
            length += 2;
        }
        if version == Version::V5 {
            length += length_size(self.properties.len()) + self.properties.len();
        }
        1 + length_size(length) + length
    }

    /// Adds its packet; `id` counts when it has a quality of service.
    pub fn put(&self, out: &mut Vec<u8>, version: Version, id: u16) -> Result<(), Refused> {
        let id = id.to_be_bytes();
        // The length of properties, in a buffer of the frame.
        let mut length = [0; 4];
        let mut rest = self.properties.len();
        if rest > LONGEST {
            return Err(Refused::TooLarge);
        }
        let count = length_size(rest);
        for (place, byte) in length.iter_mut().enumerate() {
            let more = if place + 1 < count { 0x80 } else { 0 };
            *byte = rest as u8 & 0x7f | more;
            rest >>= 7;
        }
        packet(
            out,
            PUBLISH << 4 | (self.qos & 3) << 1 | u8::from(self.retain),
            &[
                &(self.topic.len() as u16).to_be_bytes(),
                self.topic,
                if self.qos > 0 { &id } else { &[] },
                match version {
                    Version::V4 => &[],
                    Version::V5 => length.get(..count).unwrap_or_default(),
                },
                match version {
                    Version::V4 => &[],
                    Version::V5 => self.properties,
                },
                self.payload,
            ],
        )
    }
}

/// Adds an acknowledgement: PUBACK, PUBREC, PUBREL or PUBCOMP.
pub fn ack(out: &mut Vec<u8>, kind: u8, id: u16, code: u8) -> Result<(), Refused> {
    debug_assert!((PUBACK..PUBACK + 4).contains(&kind));
    let flags = if kind == PUBREL { 2 } else { 0 };
    let code = [code];
    let code = if code == [0] { &[][..] } else { &code };
    packet(out, kind << 4 | flags, &[&id.to_be_bytes(), code])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        for length in [0, 127, 128, 16383, 16384, 2_097_151, 2_097_152, LONGEST] {
            let mut out = Vec::new();
            put_length(&mut out, length);
            assert_eq!(out.len(), length_size(length));
            let mut bytes = crate::mqtt::properties::Bytes(&out);
            assert_eq!(bytes.variable(), Some(length as u32));
        }
    }

    #[test]
    fn messages() {
        let mut message = Message {
            topic: b"a/b",
            payload: b"hello",
            qos: 0,
            retain: false,
            properties: &[],
        };
        let mut out = Vec::new();
        message.put(&mut out, Version::V4, 7).unwrap();
        assert_eq!(out, b"\x30\x0a\0\x03a/bhello");
        assert_eq!(out.len(), message.size(Version::V4));
        message.qos = 2;
        message.retain = true;
        out.clear();
        message.put(&mut out, Version::V4, 0x102).unwrap();
        assert_eq!(out, b"\x35\x0c\0\x03a/b\x01\x02hello");
        let properties = vec![b'x'; 300];
        message.properties = &properties;
        out.clear();
        message.put(&mut out, Version::V5, 1).unwrap();
        assert_eq!(out.len(), message.size(Version::V5));
        assert!(out.starts_with(b"\x35\xba\x02\0\x03a/b\0\x01\xac\x02xxx"));
        message.properties = &[];
        out.clear();
        message.put(&mut out, Version::V5, 1).unwrap();
        assert_eq!(out, b"\x35\x0d\0\x03a/b\0\x01\0hello");
    }

    #[test]
    fn acknowledgements() {
        let mut out = Vec::new();
        ack(&mut out, PUBACK, 0x102, 0).unwrap();
        ack(&mut out, PUBREL, 3, 0x92).unwrap();
        assert_eq!(out, b"\x40\x02\x01\x02\x62\x03\0\x03\x92");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        // One part many times: no memory of that size is needed.
        let part = vec![0; 1 << 20];
        let parts = [&part[..]; 256];
        assert_eq!(packet(&mut Vec::new(), 0, &parts), Err(Refused::TooLarge));
    }
}
