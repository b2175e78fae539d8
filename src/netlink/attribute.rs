//! Attributes: a length, a type and a payload, each at an aligned place
//! (`struct nlattr`, `struct rtattr`).

use super::{align, part};

/// Bytes of `struct nlattr`.
pub const HEADER: usize = 4;
/// Marks an attribute whose payload is attributes.
pub const NESTED: u16 = 0x8000;
/// What of the type field is the type: the rest are marks.
const TYPE_MASK: u16 = 0x3fff;

/// An attribute: header and payload, without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    pub kind: u16,
    pub whole: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The attribute at the front; None when there is no whole one.
    pub fn first(bytes: &'a [u8]) -> Option<Attribute<'a>> {
        let length = u16::from_ne_bytes(part(bytes, 0)?);
        let kind = u16::from_ne_bytes(part(bytes, 2)?) & TYPE_MASK;
        let whole = bytes.get(..usize::from(length))?;
        (whole.len() >= HEADER).then_some(Attribute { kind, whole })
    }

    pub fn payload(self) -> &'a [u8] {
        self.whole.get(HEADER..).unwrap_or_default()
    }
}

/// The attributes in some bytes, in turn.
#[derive(Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    pub fn new(bytes: &'a [u8]) -> Attributes<'a> {
        Attributes { rest: bytes }
    }

    /// Whether all bytes were attributes: asked at the end. The last one may
    /// lack its padding.
    pub fn is_whole(&self) -> bool {
        self.rest.is_empty()
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let found = Attribute::first(self.rest)?;
        self.rest = self.rest.get(align(found.whole.len())..).unwrap_or(&[]);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u16 + 4).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(payload);
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    #[test]
    fn every_truncation_is_noticed() {
        let mut bytes = attribute(3, b"eth0\0");
        let first = bytes.len();
        bytes.extend(attribute(NESTED | 18, &attribute(1, b"veth")));
        for length in 0..bytes.len() {
            let mut all = Attributes::new(&bytes[..length]);
            let found = all.by_ref().count();
            let whole = length == 0 || length == first || (9..first).contains(&length);
            assert_eq!(all.is_whole(), whole, "{length}");
            assert_eq!(found, usize::from(length >= 9));
        }
        let kinds: Vec<u16> = Attributes::new(&bytes).map(|found| found.kind).collect();
        assert_eq!(kinds, [3, 18]);
    }

    #[test]
    fn lengths_that_lie_end_the_walk() {
        for length in [0_u16, 3, 9, u16::MAX] {
            let mut bytes = attribute(1, b"abcd");
            bytes[..2].copy_from_slice(&length.to_ne_bytes());
            let mut all = Attributes::new(&bytes);
            assert_eq!(all.next(), None);
            assert!(!all.is_whole());
        }
    }

    #[test]
    fn the_payload_of_a_bare_header_is_empty() {
        let bytes = attribute(5, b"");
        assert_eq!(Attribute::first(&bytes).unwrap().payload(), b"");
    }
}
