//! Netlink: no datagram panics, nothing is read beyond it, and what is built is read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lua_eco::netlink::attribute::{Attributes, NESTED};
use lua_eco::netlink::builder::Builder;
use lua_eco::netlink::message;

/// Walks attributes and those inside them, as deep as they say.
fn walk(bytes: &[u8], depth: u32) {
    for attribute in Attributes::new(bytes) {
        assert_eq!(attribute.whole.len(), attribute.payload().len() + 4);
        if depth < 16 {
            walk(attribute.payload(), depth + 1);
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let mut start = 0;
    while let Some((_, payload)) = message::at(input, start) {
        assert!(payload.end <= input.len() && payload.start == start + message::HEADER);
        walk(&input[payload.clone()], 0);
        start = message::next(payload.end);
    }
    let mut builder = Builder::new(16, 0, 0, 4096).unwrap();
    for step in input.chunks(5) {
        let kind = u16::from(step[0] & 0x3f);
        let before = builder.bytes().len();
        let result = match step[0] >> 6 {
            0 => builder.put(step),
            1 => builder.put_attribute(kind | NESTED, b""),
            2 => builder.put_attribute(kind, step),
            _ => {
                builder.end_nest();
                Ok(())
            }
        };
        assert!(result.is_ok() || builder.bytes().len() == before);
    }
    let bytes = builder.bytes();
    let (_, payload) = message::at(bytes, 0).unwrap();
    assert_eq!(payload.end, bytes.len());
});
