//! Elements of 802.11 management frames, as scans hand them on: IEEE 802.11-2020,
//! 9.4.2. What stations nearby send is trusted in nothing: whatever is cut or
//! does not add up is left out.

pub mod security;

/// Element ids.
pub const SSID: u8 = 0;
pub const COUNTRY: u8 = 7;
pub const BSS_LOAD: u8 = 11;
pub const HT_CAPABILITIES: u8 = 45;
pub const RSN: u8 = 48;
pub const HT_OPERATION: u8 = 61;
pub const MESH_ID: u8 = 114;
pub const VHT_CAPABILITIES: u8 = 191;
pub const VHT_OPERATION: u8 = 192;
pub const VENDOR_SPECIFIC: u8 = 221;
/// Elements whose id is the first byte of their payload.
pub const EXTENSION: u8 = 255;
pub const HE_CAPABILITIES: u8 = 35;
pub const HE_OPERATION: u8 = 36;
pub const EHT_OPERATION: u8 = 106;

/// The elements in some bytes, in turn; ends at the first that is cut.
#[derive(Clone)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    pub fn new(bytes: &'a [u8]) -> Elements<'a> {
        Elements { rest: bytes }
    }
}

/// An element: its id and payload.
impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[id, length], rest) = self.rest.split_first_chunk()?;
        let payload = rest.get(..length.into())?;
        self.rest = rest.get(length.into()..)?;
        Some((id, payload))
    }
}

/// The most spatial streams that a map of two bits each names (VHT, HE).
pub fn streams(map: u16) -> u8 {
    let used = |stream: &u8| map >> (stream * 2 - 2) & 3 != 3;
    (1..=8).rev().find(used).unwrap_or(0)
}

/// Who an organisation's number belongs to, of those routers meet.
pub fn vendor(oui: [u8; 3]) -> Option<&'static str> {
    Some(match oui {
        [0x00, 0x50, 0xf2] => "Microsoft",
        [0x50, 0x6f, 0x9a] => "Wi-Fi Alliance",
        [0x00, 0x0f, 0xac] => "IEEE 802.11",
        [0x00, 0x10, 0x18] => "Broadcom",
        [0x00, 0x90, 0x4c] => "Epigram",
        [0x00, 0x03, 0x7f] => "Atheros",
        [0x8c, 0xfd, 0xf0] => "Qualcomm",
        [0x00, 0x0c, 0x43] => "Ralink",
        [0x00, 0x0c, 0xe7] => "MediaTek",
        [0x00, 0xe0, 0x4c] => "Realtek",
        [0x00, 0x17, 0x35] => "Intel",
        [0x00, 0x17, 0xf2] => "Apple",
        [0x00, 0x40, 0x96] => "Cisco",
        [0x00, 0x0b, 0x86] => "Aruba",
        [0x00, 0x15, 0x6d] => "Ubiquiti",
        [0x00, 0x0c, 0x42] => "MikroTik",
        _ => return None,
    })
}

/// The attributes of a Wi-Fi Protected Setup element: numbers and lengths of two
/// bytes, high byte first.
pub struct Setup<'a>(pub &'a [u8]);

impl<'a> Iterator for Setup<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let (head, rest) = self.0.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = rest.get(..length)?;
        self.0 = rest.get(length..)?;
        Some((u16::from_be_bytes([head[0], head[1]]), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_end_at_the_first_that_is_cut() {
        let bytes = b"\x00\x03lan\x07\x00\x2d\x02ab";
        let all: Vec<_> = Elements::new(bytes).collect();
        assert_eq!(all, [(0, &b"lan"[..]), (7, b""), (45, b"ab")]);
        for length in 0..bytes.len() {
            let whole = [5, 7].iter().filter(|&&end| end <= length).count();
            assert_eq!(Elements::new(&bytes[..length]).count(), whole);
        }
    }

    #[test]
    fn streams_are_counted_to_the_highest_in_use() {
        assert_eq!(streams(0xffff), 0);
        assert_eq!(streams(0xfffc), 1);
        assert_eq!(streams(0xfff0), 2);
        assert_eq!(streams(0xffcf), 3);
        assert_eq!(streams(0), 8);
    }

    #[test]
    fn setup_attributes_end_where_they_are_cut() {
        let bytes = b"\x10\x11\x00\x02ab\x10\x21\x00\x01c";
        let all: Vec<_> = Setup(bytes).collect();
        assert_eq!(all, [(0x1011, &b"ab"[..]), (0x1021, b"c")]);
        for length in 0..bytes.len() {
            assert_eq!(Setup(&bytes[..length]).count(), usize::from(length >= 6));
        }
    }
}
