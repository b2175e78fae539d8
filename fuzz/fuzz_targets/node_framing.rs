//! Frames of node-lua's sockets: whatever the pieces, the same messages come out, within their limits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::node::framing::{Broken, Head, Reader};

/// Messages of a stream that comes in such pieces, and whether it broke.
fn read(head: Head, stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, bool) {
    let mut reader = Reader::default();
    let mut found = Vec::new();
    for bytes in stream.chunks(piece) {
        reader.push(bytes).expect("memory");
        loop {
            match reader.next(head) {
                Ok(Some(message)) => {
                    assert!(message.len() <= head.most);
                    found.push(message.as_slice().to_vec());
                }
                Ok(None) => break,
                Err(Broken::TooLong) => return (found, true),
                Err(Broken::Memory) => panic!("memory"),
            }
        }
    }
    (found, false)
}

fuzz_target!(|input: (bool, u8, u16, u8, Vec<u8>)| {
    let (is_big, width, most, piece, stream) = input;
    let width = [1, 2, 4][usize::from(width) % 3];
    let Ok(head) = Head::new(is_big, width, usize::from(most)) else {
        return;
    };
    let whole = read(head, &stream, stream.len().max(1));
    let parts = read(head, &stream, usize::from(piece).max(1));
    assert_eq!(whole, parts);
    let mut back = Vec::new();
    for message in &whole.0 {
        let (bytes, count) = head.write(message.len());
        back.extend_from_slice(&bytes[..count]);
        back.extend_from_slice(message);
    }
    assert!(stream.starts_with(&back));
});
