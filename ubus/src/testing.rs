//! What unit tests and integration tests share: bytes written as people read them.

/// Bytes of hexadecimal digits; blanks and `|` are for the eye.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|sign| !sign.is_whitespace() && *sign != '|')
        .map(|sign| sign.to_digit(16).expect("a hexadecimal digit") as u8)
        .collect();
    assert_eq!(digits.len() % 2, 0, "half a byte");
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// A message with the attributes given.
pub fn message(kind: u8, seq: u16, peer: u32, attributes: &str) -> Vec<u8> {
    let attributes = hex(attributes);
    let mut bytes = vec![0, kind];
    bytes.extend(seq.to_be_bytes());
    bytes.extend(peer.to_be_bytes());
    bytes.extend((attributes.len() as u32 + 4).to_be_bytes());
    bytes.extend(attributes);
    bytes
}
