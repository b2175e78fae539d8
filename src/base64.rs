//! Base64 (RFC 4648, section 4): pure functions from one slice to another.

/// What a character that is none of the alphabet counts: more than any other.
const NONE: u8 = 0x80;

static SYMBOLS: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of every character.
static VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < 64 {
        values[SYMBOLS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// Length of the text of `length` bytes.
pub fn encoded_length(length: usize) -> Option<usize> {
    length.div_ceil(3).checked_mul(4)
}

/// How many characters are made, or read, at once: they stay in the cache.
pub const BLOCK: usize = 4096;

/// Whether eight bytes make a word: more code that does more at once.
const WIDE: bool = cfg!(target_pointer_width = "64");

/// The text of `data`, with padding; `out` is as long as it. To be called for
/// blocks, of which only the last one has padding.
pub fn encode(data: &[u8], out: &mut [u8]) {
    let mut groups = 0;
    if WIDE {
        // Two bytes more than are coded are read.
        let windows = data.windows(26).step_by(24);
        groups = windows.len();
        for (window, place) in windows.zip(out.as_chunks_mut::<32>().0) {
            for part in 0..4 {
                let bytes = window[6 * part..6 * part + 8].try_into();
                let bits = u64::from_be_bytes(bytes.unwrap_or_default());
                for index in 0..8 {
                    place[8 * part + index] = SYMBOLS[(bits >> (58 - 6 * index)) as usize & 63];
                }
            }
        }
    }
    let rest = data.get(24 * groups..).unwrap_or_default().chunks(3);
    let places = out.get_mut(32 * groups..).unwrap_or_default();
    for (group, place) in rest.zip(places.as_chunks_mut::<4>().0) {
        let byte = |index| u32::from(group.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (index, place) in place.iter_mut().enumerate() {
            *place = SYMBOLS[(bits >> (18 - 6 * index)) as usize & 63];
            if index > group.len() {
                *place = b'=';
            }
        }
    }
}

/// Length of what `text` stands for; None where its length or padding is wrong.
pub fn decoded_length(text: &[u8]) -> Option<usize> {
    let padding = text.iter().rev().take(2).take_while(|&&byte| byte == b'=');
    text.len()
        .is_multiple_of(4)
        .then(|| text.len() / 4 * 3 - padding.count())
}

/// The bytes of a text, `out` being as long as [`decoded_length`] says; false
/// if it has other characters. Bits that no byte needs may be set. To be called
/// for blocks, of which only the last one has padding.
pub fn decode(text: &[u8], out: &mut [u8]) -> bool {
    let mut seen = 0;
    let mut value = |byte: u8| {
        let value = VALUES[usize::from(byte)];
        seen |= value;
        value
    };
    let text = text.get(..(out.len() * 4).div_ceil(3)).unwrap_or_default();
    let mut groups = 0;
    if WIDE {
        for group in text.as_chunks::<8>().0 {
            // Two bytes more than are decoded are written.
            let Some(place) = out.get_mut(6 * groups..6 * groups + 8) else {
                break;
            };
            let add = |bits: u64, byte: &u8| bits << 6 | u64::from(value(*byte));
            place.copy_from_slice(&(group.iter().fold(0, add) << 16).to_be_bytes());
            groups += 1;
        }
    }
    let rest = text.get(8 * groups..).unwrap_or_default();
    let places = out.get_mut(6 * groups..).unwrap_or_default();
    for (group, place) in rest.chunks(4).zip(places.chunks_mut(3)) {
        let mut bits = 0;
        for index in 0..4 {
            bits = bits << 6 | u32::from(group.get(index).map_or(0, |byte| value(*byte)));
        }
        for (place, byte) in place.iter_mut().zip(&bits.to_be_bytes()[1..]) {
            *place = *byte;
        }
    }
    seen < NONE
}

#[cfg(test)]
mod tests {
    use super::{decode, decoded_length, encode, encoded_length};

    fn text(data: &[u8]) -> String {
        let mut out = vec![0; encoded_length(data.len()).unwrap()];
        encode(data, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn bytes(text: &[u8]) -> Option<Vec<u8>> {
        let mut out = vec![0; decoded_length(text)?];
        decode(text, &mut out).then_some(out)
    }

    #[test]
    fn examples_of_the_rfc() {
        for (data, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(text(data.as_bytes()), coded);
            assert_eq!(bytes(coded.as_bytes()).unwrap(), data.as_bytes());
        }
        assert_eq!(encoded_length(usize::MAX), None);
    }

    #[test]
    fn every_byte_at_every_place_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        for start in 0..25 {
            for end in start..256 {
                let data = &all[start..end];
                assert_eq!(bytes(text(data).as_bytes()).unwrap(), data);
            }
        }
    }

    #[test]
    fn only_the_alphabet_is_taken_and_padding_at_the_end() {
        for byte in 0..=u8::MAX {
            let is_known = byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
            for place in 0..8 {
                let mut coded = *b"AAAAAAAA";
                coded[place] = byte;
                let is_padding = byte == b'=' && place == 7;
                assert_eq!(
                    bytes(&coded).is_some(),
                    is_known || is_padding,
                    "{byte} at {place}"
                );
            }
        }
        for bad in [
            "A", "AA", "AAA", "=", "====", "A===", "AA=A", "AA==AAAA", "AAAA=", "AA\n=", "AAAA\n",
        ] {
            assert_eq!(bytes(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(bytes(b"Zh==").unwrap(), b"f", "bits that no byte needs");
    }
}
