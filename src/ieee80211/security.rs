//! The RSN element (9.4.2.24) and Microsoft's WPA element, which are alike:
//! which ciphers and which ways of authentication a network has.

/// Organisation and type of a suite.
pub type Suite = [u8; 4];

/// What the element says; what it leaves out has a default.
#[derive(Debug, PartialEq, Eq)]
pub struct Security<'a> {
    pub version: u16,
    /// None is the default.
    pub group: Option<Suite>,
    /// None is the default.
    pub pairwise: Option<&'a [Suite]>,
    pub authentication: Authentication<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Authentication<'a> {
    Unknown,
    Default,
    Suites(&'a [Suite]),
}

impl<'a> Security<'a> {
    /// Takes the payload apart, from the version on. None when not even that is whole.
    pub fn parse(bytes: &'a [u8]) -> Option<Security<'a>> {
        let (&version, rest) = bytes.split_first_chunk()?;
        let mut found = Security {
            version: u16::from_le_bytes(version),
            group: None,
            pairwise: None,
            authentication: Authentication::Unknown,
        };
        let Some((&group, rest)) = rest.split_first_chunk() else {
            return Some(found);
        };
        found.group = Some(group);
        let Some((pairwise, rest)) = suites(rest) else {
            return Some(found);
        };
        found.pairwise = Some(pairwise);
        found.authentication = match suites(rest) {
            Some((suites, _)) => Authentication::Suites(suites),
            None => Authentication::Default,
        };
        Some(found)
    }
}

/// A count and as many suites.
fn suites(bytes: &[u8]) -> Option<(&[Suite], &[u8])> {
    let (&count, rest) = bytes.split_first_chunk()?;
    let size = usize::from(u16::from_le_bytes(count)) * 4;
    let (list, rest) = (rest.get(..size)?, rest.get(size..)?);
    Some((list.as_chunks().0, rest))
}

/// A suite's name among ciphers.
pub fn cipher(suite: Suite) -> Option<&'static str> {
    Some(match suite {
        [0x00, 0x0f, 0xac, id] | [0x00, 0x50, 0xf2, id @ 0..=5] => match id {
            0 => "NONE",
            1 => "WEP-40",
            2 => "TKIP",
            4 => "CCMP",
            5 => "WEP-104",
            6 => "AES-128-CMAC",
            7 => "NO-GROUP",
            8 => "GCMP",
            9 => "GCMP-256",
            10 => "CCMP-256",
            _ => return None,
        },
        _ => return None,
    })
}

/// A suite's name among ways of authentication.
pub fn authentication(suite: Suite) -> Option<&'static str> {
    Some(match suite {
        [0x00, 0x0f, 0xac, id] | [0x00, 0x50, 0xf2, id @ 1..=2] => match id {
            1 => "802.1X",
            2 => "PSK",
            3 => "FT/802.1X",
            4 => "FT/PSK",
            5 => "802.1X/SHA-256",
            6 => "PSK/SHA-256",
            7 => "TDLS/TPK",
            8 => "SAE",
            9 => "FT/SAE",
            11 => "802.1X/SUITE-B",
            12 => "802.1X/SUITE-B-192",
            13 => "FT/802.1X/SHA-384",
            14 => "FILS/SHA-256",
            15 => "FILS/SHA-384",
            16 => "FT/FILS/SHA-256",
            17 => "FT/FILS/SHA-384",
            18 => "OWE",
            19 => "FT/PSK/SHA-384",
            20 => "PSK/SHA-384",
            24 => "SAE-EXT-KEY",
            25 => "FT/SAE-EXT-KEY",
            _ => return None,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WPA2: &[u8] = b"\x01\x00\x00\x0f\xac\x04\x02\x00\x00\x0f\xac\x04\x00\x0f\xac\x02\x01\x00\x00\x0f\xac\x02\x00\x00";

    #[test]
    fn every_truncation_has_its_defaults() {
        for length in 0..=WPA2.len() {
            let found = Security::parse(&WPA2[..length]);
            if length < 2 {
                assert_eq!(found, None);
                continue;
            }
            let found = found.unwrap();
            assert_eq!(found.version, 1);
            assert_eq!(found.group.is_some(), length >= 6);
            assert_eq!(found.pairwise.map(<[_]>::len), (length >= 16).then_some(2));
            assert_eq!(
                found.authentication,
                match length {
                    0..16 => Authentication::Unknown,
                    16..22 => Authentication::Default,
                    _ => Authentication::Suites(&[[0x00, 0x0f, 0xac, 2]]),
                }
            );
        }
    }

    #[test]
    fn suites_have_names() {
        let found = Security::parse(WPA2).unwrap();
        assert_eq!(found.group.and_then(cipher), Some("CCMP"));
        assert_eq!(authentication([0x00, 0x0f, 0xac, 8]), Some("SAE"));
        assert_eq!(authentication([0x00, 0x0f, 0xac, 10]), None);
        assert_eq!(authentication([0x00, 0x50, 0xf2, 3]), None);
        assert_eq!(cipher([0x00, 0x50, 0xf2, 2]), Some("TKIP"));
        assert_eq!(cipher([0x00, 0x50, 0xf2, 6]), None);
        assert_eq!(cipher([0x00, 0x0f, 0xac, 3]), None);
        assert_eq!(cipher([1, 2, 3, 4]), None);
    }
}
