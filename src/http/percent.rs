//! Percent-encoding as `eco.http.url` defines it: only letters, digits and `_`
//! stay; a malformed `%` sequence is text, never an error.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Value of one hex digit of either case.
pub fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

/// Append `input` with every other byte as `%xx`; returns how many were replaced.
pub fn escape(input: &[u8], out: &mut Vec<u8>) -> usize {
    let mut count = 0;
    for &byte in input {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            out.push(byte);
        } else {
            put_byte(byte, out);
            count += 1;
        }
    }
    count
}

/// Append one byte as `%xx`.
pub fn put_byte(byte: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[
        b'%',
        HEX[usize::from(byte >> 4)],
        HEX[usize::from(byte & 15)],
    ]);
}

/// Append `input` with `%XX` turned into bytes; returns how many were replaced.
pub fn unescape(input: &[u8], out: &mut Vec<u8>) -> usize {
    let mut count = 0;
    let mut rest = input;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            if let [high, low, after @ ..] = tail {
                if let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) {
                    out.push(high << 4 | low);
                    rest = after;
                    count += 1;
                    continue;
                }
            }
        }
        out.push(byte);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(input: &[u8]) -> (Vec<u8>, usize) {
        let mut out = Vec::new();
        let count = escape(input, &mut out);
        (out, count)
    }

    fn unescaped(input: &[u8]) -> (Vec<u8>, usize) {
        let mut out = Vec::new();
        let count = unescape(input, &mut out);
        (out, count)
    }

    #[test]
    fn escapes_all_but_word_characters() {
        assert_eq!(escaped(b"aZ09_"), (b"aZ09_".to_vec(), 0));
        assert_eq!(escaped(b"-.~/ \xff"), (b"%2d%2e%7e%2f%20%ff".to_vec(), 6));
    }

    #[test]
    fn malformed_sequences_stay() {
        assert_eq!(unescaped(b"%41%4a%4A+"), (b"AJJ+".to_vec(), 3));
        assert_eq!(unescaped(b"%"), (b"%".to_vec(), 0));
        assert_eq!(unescaped(b"%4"), (b"%4".to_vec(), 0));
        assert_eq!(unescaped(b"%zz%%41"), (b"%zz%A".to_vec(), 1));
    }

    #[test]
    fn every_byte_survives_the_round_trip() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescaped(&escaped(&all).0).0, all);
    }
}
