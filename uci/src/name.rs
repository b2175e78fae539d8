//! Which names are allowed, and the names that sections without one get.
//!
//! Only names that pass these checks enter a package, so whatever is written can be read back.

/// Whether sections and options may be called so: letters, digits and underscores.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| is_word_byte(byte))
}

/// Whether a section may be of this type: printable ASCII without blanks.
pub fn is_type(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

/// Whether a `package` statement may give this name: letters, digits, underscores and dashes.
pub fn is_statement_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| is_word_byte(byte) || byte == b'-')
}

/// Whether a package may be loaded under this name: printable ASCII without blanks, and no way up (`..`) in its path.
pub fn is_package_name(name: &[u8]) -> bool {
    is_type(name) && name.split(|&byte| byte == b'/').all(|part| part != b"..")
}

/// Whether changes of a package of this name can be written to a file of pending changes and read back.
pub(crate) fn is_recordable(name: &str) -> bool {
    name.bytes()
        .all(|byte| is_word_byte(byte) || b"-/,:%!$&()*<>?[]`{}+@^|~".contains(&byte))
        && !name.starts_with(['+', '-', '@', '^', '|', '~'])
}

/// Whether a value may be set: no control characters but tab, line feed and carriage return.
pub fn is_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|&byte| byte >= b' ' || matches!(byte, b'\t' | b'\n' | b'\r'))
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The name of a section that has none: its number among all sections ever created in the package, from 1, and a hash
/// of its type.
pub fn generated(number: u32, kind: &str) -> String {
    let hash = kind.bytes().fold(5381u32, |hash, byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(byte))
    }) & 0xffff;
    let mut name = b"cfg".to_vec();
    push_hex(&mut name, number, 2);
    push_hex(&mut name, hash, 4);
    text(&name).to_owned()
}

/// Whether a name could be a generated one. A given name must not be: readers would take the section for the one without
/// a name that gets this name, and refuse the file if that is of another type.
pub(crate) fn looks_generated(name: &[u8]) -> bool {
    name.strip_prefix(b"cfg").is_some_and(|digits| {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        digits.len() >= 6 && digits.iter().all(is_digit)
    })
}

/// Appends a number in lower-case hexadecimal, with at least `digits` digits.
pub(crate) fn push_hex(text: &mut Vec<u8>, number: u32, digits: u32) {
    let mut left = digits.max((u32::BITS - number.leading_zeros()).div_ceil(4));
    while left > 0 {
        left -= 1;
        let digit = (number >> (4 * left)) as u8 & 15;
        text.push(b"0123456789abcdef"[usize::from(digit)]);
    }
}

/// Bytes that one of the checks above has found to be ASCII, as text.
pub(crate) fn text(name: &[u8]) -> &str {
    std::str::from_utf8(name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_types() {
        for (kind, hash) in [
            ("t", "b619"),
            ("x", "b61d"),
            ("demo", "a18a"),
            ("longtype", "6f37"),
            ("interface", "6d96"),
            ("rule", "92bd"),
            ("wifi-iface", "3579"),
            ("switch", "3777"),
            ("zone", "dc81"),
            ("system", "e48a"),
            ("dnsmasq", "411c"),
            ("", "1505"),
        ] {
            assert_eq!(generated(1, kind), format!("cfg01{hash}"), "{kind}");
        }
    }

    #[test]
    fn numbers_have_two_digits_or_more() {
        assert_eq!(generated(2, "demo"), "cfg02a18a");
        assert_eq!(generated(270, "rule"), "cfg10e92bd");
        assert_eq!(generated(255, "t"), "cfgffb619");
        assert_eq!(generated(u32::MAX, "t"), "cfgffffffffb619");
        let mut text = Vec::new();
        push_hex(&mut text, 0, 1);
        push_hex(&mut text, u32::MAX, 0);
        assert_eq!(text, b"0ffffffff");
    }

    #[test]
    fn checks_byte_by_byte() {
        for byte in 0..=255u8 {
            let word = byte.is_ascii_alphanumeric() || byte == b'_';
            let graphic = (33..=126).contains(&byte);
            assert_eq!(is_name(&[byte]), word);
            assert_eq!(is_statement_name(&[byte]), word || byte == b'-');
            assert_eq!(is_type(&[byte]), graphic);
            assert_eq!(is_package_name(&[byte]), graphic);
            assert_eq!(is_value(&[byte]), byte >= 32 || [9, 10, 13].contains(&byte));
        }
        for check in [is_name, is_type, is_statement_name, is_package_name] {
            assert!(!check(b""));
        }
        assert!(is_value(b""));
    }

    #[test]
    fn a_package_name_does_not_lead_out_of_its_folder() {
        assert!(is_package_name(b"sub/p") && is_package_name(b"a..b"));
        for name in ["..", "../p", "a/../p", "a/.."] {
            assert!(!is_package_name(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn names_that_would_not_survive_in_pending_changes() {
        assert!(is_recordable("network") && is_recordable("sub/p-1"));
        for name in [
            "a.b", "a=b", "a'b", "a\"b", "a\\b", "a#b", "a;b", "-a", "+a", "~a",
        ] {
            assert!(!is_recordable(name), "{name}");
        }
    }
}
