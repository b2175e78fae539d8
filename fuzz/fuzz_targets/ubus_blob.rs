//! Attributes: no input panics, and what was read is built again byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ubus::blob::{Attrs, Builder};
use ubus::message::Attributes;

fuzz_target!(|input: &[u8]| {
    let mut builder = Builder::new();
    let mut attrs = Attrs::new(input);
    let mut read = 0;
    while let Some(attr) = attrs.next() {
        let _ = (
            attr.as_u8(),
            attr.as_u32(),
            attr.as_text(),
            attr.children().count(),
        );
        builder.bytes(attr.id(), attr.payload());
        read = input.len() - attrs.rest().len();
    }
    let built = builder.finish().unwrap();
    assert_eq!(built.len(), read);
    // All but the extended flag and what the padding holds.
    let (mut built, mut input_attrs) = (Attrs::new(&built), Attrs::new(input));
    while let Some(attr) = built.next() {
        let other = input_attrs.next().unwrap();
        assert_eq!((attr.id(), attr.payload()), (other.id(), other.payload()));
    }
    let all = Attributes::read(Attrs::new(input));
    let _ = all.subscribers.into_iter().flatten().count();

    // The input as a row of orders: whatever they are, what is finished nests well.
    let mut builder = Builder::with_limit(4096);
    for order in input.chunks(2) {
        match order {
            [0..64, id] => builder.open(*id & 0x7f),
            [64..128, _] => builder.close(),
            [128..192, id] => builder.text(*id & 0x7f, order),
            [_, id] => builder.bytes(*id & 0x7f, &input[..input.len().min(usize::from(*id))]),
            _ => break,
        };
    }
    if let Ok(bytes) = builder.finish() {
        assert!(bytes.len() <= 4096);
        let padded: usize = Attrs::new(&bytes)
            .map(|attr| 4 + attr.payload().len().next_multiple_of(4))
            .sum();
        assert_eq!(padded, bytes.len());
    }
});
