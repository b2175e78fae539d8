//! The text of log records, and the names of rolled files: pure functions over
//! bytes. Nothing here knows where a record goes.

/// Longest message; longer ones are cut.
pub const LONGEST_MESSAGE: usize = 8191;
/// Longest identification; longer ones are cut.
pub const LONGEST_IDENT: usize = 31;
/// Paths this long or longer are refused.
const PATH_LIMIT: usize = 4096;

/// Names of the levels, six columns each.
const LEVELS: &[u8; 48] = b"emerg alert crit  err   warn  noticeinfo  debug ";
/// Bits of the facility "daemon" in a system log priority.
const DAEMON: u32 = 3 << 3;

/// Appends `value` in decimal, at least `width` digits.
pub fn push_number(text: &mut Vec<u8>, value: u32, width: usize) {
    let mut digits = [b'0'; 10];
    let mut at = digits.len();
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        if rest == 0 {
            break;
        }
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        at -= 1;
    }
    let start = at.min(digits.len().saturating_sub(width));
    text.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Appends what stands before the message: in a file or on a terminal the date
/// and the level; in a datagram for the system log (RFC 3164) the priority and
/// the date; then the process.
pub fn push_prefix(
    text: &mut Vec<u8>,
    syslog: bool,
    stamp: &[u8],
    level: usize,
    ident: &[u8],
    process: u32,
) {
    if syslog {
        text.push(b'<');
        push_number(text, DAEMON | level as u32, 1);
        text.push(b'>');
    }
    text.extend_from_slice(stamp);
    if !syslog {
        let name = LEVELS.get(level * 6..level * 6 + 6).unwrap_or_default();
        text.extend_from_slice(name);
        if !name.ends_with(b" ") {
            text.push(b' ');
        }
    }
    push_clean(text, ident);
    text.push(b'[');
    push_number(text, process, 1);
    text.extend_from_slice(b"]: ");
}

/// Appends text in which control characters cannot play a record: they are
/// written in hexadecimal (`\\x1B`), all but tabs.
pub fn push_clean(text: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in bytes {
        if byte == b'\t' || !byte.is_ascii_control() {
            text.push(byte);
        } else {
            text.extend_from_slice(b"\\x");
            text.push(DIGITS[usize::from(byte >> 4)]);
            text.push(DIGITS[usize::from(byte & 15)]);
        }
    }
}

/// The last `separator` in `text`: what is before and after it.
fn split_last(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|&byte| byte == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Appends `(SOURCE:LINE) ` from Lua's `SOURCE:LINE: `, which is empty for a
/// caller that is no Lua function. Without `whole` the folders are left out.
pub fn push_location(text: &mut Vec<u8>, position: &[u8], whole: bool) {
    let position = position.strip_suffix(b": ").unwrap_or(position);
    let (source, line) = split_last(position, b':').unwrap_or((b"[C]", b"-1"));
    let name = match split_last(source, b'/') {
        Some((_, name)) if !whole => name,
        _ => source,
    };
    text.push(b'(');
    push_clean(text, name);
    text.push(b':');
    text.extend_from_slice(b"   ".get(line.len()..).unwrap_or_default());
    text.extend_from_slice(line);
    text.extend_from_slice(b") ");
}

/// The bytes before the first NUL.
pub fn until_nul(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&byte| byte == 0);
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// The records of a message: its lines, each without a CR at its end.
pub fn lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    message
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Splits a path into its folder, the slash included, and its name.
pub fn split_path(path: &[u8]) -> (&[u8], &[u8]) {
    match split_last(path, b'/') {
        Some((folder, name)) => (path.get(..=folder.len()).unwrap_or_default(), name),
        None => (b".", path),
    }
}

/// False for paths that are refused whatever the file system holds.
pub fn is_plain_path(path: &[u8]) -> bool {
    // Refused are `..`, `./`, `/.` and `//`.
    let is_refused = |pair: &[u8]| pair.iter().all(|byte| matches!(byte, b'.' | b'/'));
    path.len() < PATH_LIMIT
        && path.last().is_some_and(|&byte| byte != b'/')
        && until_nul(path).len() == path.len()
        && !path.windows(2).any(is_refused)
}

/// Appends `.SEQUENCE.STAMP`, what a rolled file is called after the live one.
pub fn push_roll_suffix(text: &mut Vec<u8>, sequence: u32, stamp: &[u8]) {
    text.push(b'.');
    push_number(text, sequence, 4);
    text.push(b'.');
    text.extend_from_slice(stamp);
}

/// The sequence number of `file` if it is a rolled file of the log `name`.
pub fn roll_sequence(file: &[u8], name: &[u8]) -> Option<u32> {
    let rest = file.strip_prefix(name)?.strip_prefix(b".")?;
    let (number, date) = split_last(rest, b'.')?;
    let is_date = |(at, byte): (usize, &u8)| {
        if at == 8 {
            *byte == b'-'
        } else {
            byte.is_ascii_digit()
        }
    };
    if number.len() < 4
        || number.len() > 9
        || date.len() != 15
        || !date.iter().enumerate().all(is_date)
    {
        return None;
    }
    let mut sequence = 0;
    for digit in number {
        if !digit.is_ascii_digit() {
            return None;
        }
        sequence = sequence * 10 + u32::from(digit - b'0');
    }
    Some(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(build: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut text = Vec::new();
        build(&mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn numbers() {
        let number = |value, width| text(|text| push_number(text, value, width));
        assert_eq!(number(0, 1), "0");
        assert_eq!(number(0, 4), "0000");
        assert_eq!(number(27, 4), "0027");
        assert_eq!(number(12345, 4), "12345");
        assert_eq!(number(u32::MAX, 4), "4294967295");
    }

    #[test]
    fn prefixes() {
        let stamp = b"2026/03/04 05:06:59 ";
        let prefix = |level| text(|text| push_prefix(text, false, stamp, level, b"eco", 12));
        assert_eq!(prefix(6), "2026/03/04 05:06:59 info  eco[12]: ");
        assert_eq!(prefix(3), "2026/03/04 05:06:59 err   eco[12]: ");
        assert_eq!(prefix(5), "2026/03/04 05:06:59 notice eco[12]: ");
        let syslog = text(|text| push_prefix(text, true, b"Mar  4 05:06:59 ", 3, b"eco", 12));
        assert_eq!(syslog, "<27>Mar  4 05:06:59 eco[12]: ");
    }

    #[test]
    fn locations() {
        let location = |position: &[u8], whole| text(|text| push_location(text, position, whole));
        assert_eq!(location(b"/tmp/a.lua:7: ", false), "(a.lua:  7) ");
        assert_eq!(location(b"/tmp/a.lua:7: ", true), "(/tmp/a.lua:  7) ");
        assert_eq!(location(b"c:/x:1234: ", false), "(x:1234) ");
        assert_eq!(
            location(b"[string \"a:b\"]:12: ", true),
            "([string \"a:b\"]: 12) "
        );
        assert_eq!(location(b"", false), "([C]: -1) ");
    }

    #[test]
    fn control_characters_are_written_out() {
        let clean = |bytes: &[u8]| text(|text| push_clean(text, bytes));
        assert_eq!(clean(b"a\tb \xC3\xA9"), "a\tb \u{e9}");
        assert_eq!(
            clean(b"a\rb\x1B[2K\n\x7F\x00"),
            r"a\x0Db\x1B[2K\x0A\x7F\x00"
        );
        assert_eq!(
            text(|text| push_location(text, b"x\ny:1: ", false)),
            r"(x\x0Ay:  1) "
        );
    }

    #[test]
    fn messages_are_split_at_line_ends() {
        let split = |message| lines(message).map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(split(b""), [b""]);
        assert_eq!(split(b"one\r\ntwo\r\r\n"), [&b"one"[..], b"two\r", b""]);
        assert_eq!(until_nul(b"a\0b"), b"a");
    }

    #[test]
    fn paths() {
        for refused in [
            "a/../b", "./a", "/tmp/.a", "/tmp//a", "/tmp/", "..", "a..b", "a\0b", "",
        ] {
            assert!(!is_plain_path(refused.as_bytes()), "{refused}");
        }
        for accepted in ["a", "/a", "/tmp/a.log", "logs/a"] {
            assert!(is_plain_path(accepted.as_bytes()), "{accepted}");
        }
        assert!(is_plain_path(&[b'x'; 4095]));
        assert!(!is_plain_path(&[b'x'; 4096]));
        assert_eq!(split_path(b"log"), (&b"."[..], &b"log"[..]));
        assert_eq!(split_path(b"/log"), (&b"/"[..], &b"log"[..]));
        assert_eq!(split_path(b"/tmp/log"), (&b"/tmp/"[..], &b"log"[..]));
    }

    #[test]
    fn rolled_names_are_known_again() {
        let name = text(|text| {
            text.extend_from_slice(b"log");
            push_roll_suffix(text, 12, b"20260304-050659");
        });
        assert_eq!(name, "log.0012.20260304-050659");
        assert_eq!(roll_sequence(name.as_bytes(), b"log"), Some(12));
        for length in 0..name.len() {
            assert_eq!(roll_sequence(&name.as_bytes()[..length], b"log"), None);
        }
        for other in [
            "logs.0012.20260304-050659",
            "log.012.20260304-050659",
            "log.0x12.20260304-050659",
            "log.0012.20260304-050659x",
            "log.0012.20260304_050659",
            "log.9999999999.20260304-050659",
        ] {
            assert_eq!(roll_sequence(other.as_bytes(), b"log"), None, "{other}");
        }
        assert_eq!(
            roll_sequence(b"log.12345.20260304-050659", b"log"),
            Some(12345)
        );
    }
}
