//! What tests share: bytes written as people read them.

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
