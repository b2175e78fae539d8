//! Base64: no input panics, and bytes come back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::base64::{decode, decoded_length, encode, encoded_length};

fn encoded(data: &[u8]) -> Vec<u8> {
    let mut text = vec![0; encoded_length(data.len()).unwrap()];
    encode(data, &mut text);
    text
}

fuzz_target!(|input: &[u8]| {
    let text = encoded(input);
    assert_eq!(decoded_length(&text), Some(input.len()));
    let mut back = vec![0; input.len()];
    assert!(decode(&text, &mut back));
    assert_eq!(back, input);
    if let Some(length) = decoded_length(input) {
        let mut data = vec![0; length];
        if decode(input, &mut data) {
            // All but bits that no byte needs.
            assert_eq!(encoded(&data).len(), input.len());
        }
    }
});
