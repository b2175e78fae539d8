//! What is read and what is built, at every edge.

use super::*;

#[test]
fn reading_ends_where_no_attribute_can_be() {
    let good = [1, 0, 0, 8, 0, 0, 0, 4, 2, 0, 0, 6, b'a', 0, 0, 0];
    assert_eq!(Attrs::new(&good).count(), 2);
    for length in 0..good.len() {
        let expected = if length < 8 { 0 } else { 1 };
        assert_eq!(Attrs::new(&good[..length]).count(), expected, "{length}");
    }
    for length in 0..4 {
        assert_eq!(Attrs::new(&[1, 0, 0, length]).count(), 0);
    }
    assert_eq!(Attrs::new(&[0xff; 64]).count(), 0);
}

#[test]
fn numbers_have_exactly_their_size() {
    let mut builder = Builder::new();
    builder.u8(9, 1).u32(3, 0x8000_0001).bytes(4, b"ab");
    let bytes = builder.finish().unwrap();
    let attrs: Vec<_> = Attrs::new(&bytes).collect();
    assert_eq!((attrs[0].as_u8(), attrs[0].as_u32()), (Some(1), None));
    assert_eq!(
        (attrs[1].as_u8(), attrs[1].as_u32()),
        (None, Some(0x8000_0001))
    );
    assert_eq!((attrs[2].as_u8(), attrs[2].as_u32()), (None, None));
    assert_eq!(attrs[2].as_text(), None);
}

#[test]
fn text_ends_at_its_first_nul() {
    assert_eq!(text(b""), None);
    assert_eq!(text(b"\0"), Some(&b""[..]));
    assert_eq!(text(b"ab\0"), Some(&b"ab"[..]));
    assert_eq!(text(b"a\0b\0"), Some(&b"a"[..]));
    assert_eq!(text(b"a\0b"), None);
}

#[test]
fn nested_containers_tell_their_length() {
    let mut builder = Builder::new();
    builder
        .open(1)
        .open(2)
        .u8(3, 7)
        .close()
        .u8(4, 8)
        .close()
        .u8(5, 9);
    let bytes = builder.finish().unwrap();
    let outer = Attrs::new(&bytes).next().unwrap();
    let inner = outer.children().next().unwrap();
    assert_eq!((outer.id(), inner.id()), (1, 2));
    assert_eq!(inner.children().next().unwrap().as_u8(), Some(7));
    assert_eq!(outer.children().nth(1).unwrap().as_u8(), Some(8));
    assert_eq!(Attrs::new(&bytes).nth(1).unwrap().as_u8(), Some(9));
}

#[test]
fn the_first_error_is_reported() {
    fn finish(build: fn(&mut Builder) -> &mut Builder) -> Result<Vec<u8>, BuildError> {
        let mut builder = Builder::with_limit(64);
        build(&mut builder);
        builder.finish()
    }
    let too_long = Err(BuildError::TooLong { limit: 64 });
    assert!(finish(|b| b.bytes(1, &[0; 60])).is_ok());
    assert_eq!(finish(|b| b.bytes(1, &[0; 61])), too_long);
    assert_eq!(finish(|b| b.text(1, &[b'a'; 60])), too_long);
    assert_eq!(finish(|b| b.bytes(1, &[0; 61]).close()), too_long);
    assert_eq!(finish(|b| b.text(1, b"a\0b")), Err(BuildError::Nul));
    assert_eq!(finish(|b| b.close()), Err(BuildError::Unbalanced));
    assert_eq!(finish(|b| b.open(1)), Err(BuildError::Unbalanced));
    let mut builder = Builder::new();
    builder.named(1, &vec![b'n'; 65536], &[], false);
    let error = BuildError::NameTooLong { length: 65536 };
    assert_eq!(builder.finish(), Err(error));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        let mut builder = Builder::new();
        (0..depth).for_each(|_| {
            builder.open(1);
        });
        (0..depth).for_each(|_| {
            builder.close();
        });
        builder.finish()
    };
    assert_eq!(nested(MAX_DEPTH).unwrap().len(), 4 * MAX_DEPTH);
    assert_eq!(nested(MAX_DEPTH + 1), Err(BuildError::TooDeep));
}

#[test]
fn nothing_is_longer_than_a_length_can_tell() {
    let mut builder = Builder::with_limit(usize::MAX);
    builder.open(1).bytes(2, &vec![0; MAX_LENGTH]).close();
    assert_eq!(
        builder.finish(),
        Err(BuildError::TooLong { limit: MAX_LENGTH })
    );
}
