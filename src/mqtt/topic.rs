//! Which texts are topics.

/// True for a text of the protocol: UTF-8 without NUL, of no more bytes than a
/// length of two bytes can state.
pub fn is_text(bytes: &[u8]) -> bool {
    bytes.len() <= 0xffff && !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok()
}

/// True for the name of a topic: what is published to.
pub fn is_name(topic: &[u8]) -> bool {
    !topic.is_empty() && !topic.iter().any(|byte| matches!(byte, b'+' | b'#')) && is_text(topic)
}

/// True for a filter: what is subscribed to. Wildcards stand alone in their
/// level, and `#` in the last one; a shared subscription has a name.
pub fn is_filter(filter: &[u8]) -> bool {
    if filter.is_empty() || !is_text(filter) {
        return false;
    }
    let mut rest = filter;
    if let Some(shared) = filter.strip_prefix(b"$share/") {
        let name = shared.iter().position(|&byte| byte == b'/').unwrap_or(0);
        rest = shared.get(name + 1..).unwrap_or_default();
        if name == 0 || rest.is_empty() || !is_name(shared.get(..name).unwrap_or_default()) {
            return false;
        }
    }
    let mut levels = rest.split(|&byte| byte == b'/').peekable();
    while let Some(level) = levels.next() {
        let wild = level.iter().any(|byte| matches!(byte, b'+' | b'#'));
        if wild && (level.len() > 1 || level == b"#" && levels.peek().is_some()) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["a", "/", "a/b", " ", "$SYS/x", "\u{e4}/\u{10ffff}"] {
            assert!(is_name(name.as_bytes()), "{name}");
        }
        for name in [&b""[..], b"a/+", b"#", b"a\0b", b"\xff", b"\xed\xa0\x80"] {
            assert!(!is_name(name), "{name:?}");
        }
        assert!(is_name(&[b'x'; 0xffff]));
        assert!(!is_name(&[b'x'; 0x10000]));
    }

    #[test]
    fn filters() {
        for filter in [
            "a",
            "#",
            "+",
            "/",
            "a/#",
            "+/+/#",
            "a/+/b",
            "$share/g/a/+",
            "$share/g/#",
        ] {
            assert!(is_filter(filter.as_bytes()), "{filter}");
        }
        for filter in [
            "",
            "a#",
            "a/#/b",
            "a+/b",
            "+a",
            "##",
            "$share/",
            "$share/g",
            "$share/g/",
            "$share//a",
            "$share/+/a",
            "a\0",
        ] {
            assert!(!is_filter(filter.as_bytes()), "{filter}");
        }
    }
}
