//! The text of log records, and the names of rolled files: pure functions over
//! bytes. Nothing here knows where a record goes.

/// Longest message; longer ones are cut.
pub const LONGEST_MESSAGE: usize = 8191;
/// Longest identification; longer ones are cut.
pub const LONGEST_IDENT: usize = 31;
/// Paths this long or longer are refused.
const PATH_LIMIT: usize = 4096;

const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";

/// A local date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    pub year: u32,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
}

/// Appends `value` in decimal, at least `width` columns filled with `pad`.
pub fn push_number(text: &mut Vec<u8>, value: u32, width: usize, pad: u8) {
    let mut digits = [pad; 10];
    let mut at = digits.len();
    let mut rest = value;
    while rest > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text.extend_from_slice(&digits[at.min(digits.len() - width.min(digits.len()))..]);
}

/// Appends two digits and one byte after them.
fn push_pair(text: &mut Vec<u8>, value: u32, after: u8) {
    push_number(text, value, 2, b'0');
    text.push(after);
}

/// Appends `HH:MM:SS` and a space.
fn push_clock(text: &mut Vec<u8>, moment: &Moment) {
    push_pair(text, moment.hour, b':');
    push_pair(text, moment.minute, b':');
    push_pair(text, moment.second, b' ');
}

/// Appends `IDENT[PID]: `.
fn push_process(text: &mut Vec<u8>, ident: &[u8], process: u32) {
    text.extend_from_slice(ident);
    text.push(b'[');
    push_number(text, process, 1, b' ');
    text.extend_from_slice(b"]: ");
}

/// Appends what stands before the message in a file or on a terminal.
pub fn push_prefix(text: &mut Vec<u8>, moment: &Moment, level: usize, ident: &[u8], process: u32) {
    push_number(text, moment.year, 4, b'0');
    text.push(b'/');
    push_pair(text, moment.month, b'/');
    push_pair(text, moment.day, b' ');
    push_clock(text, moment);
    let name = LEVELS.get(level).copied().unwrap_or_default();
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(&b"      "[name.len().min(5)..]);
    push_process(text, ident, process);
}

/// Appends what stands before the message in a datagram for the system log
/// (RFC 3164): facility daemon, local time.
pub fn push_syslog_prefix(text: &mut Vec<u8>, moment: &Moment, level: usize, ident: &[u8], process: u32) {
    const DAEMON: u32 = 3 << 3;
    text.push(b'<');
    push_number(text, DAEMON | level as u32, 1, b' ');
    text.push(b'>');
    let month = (moment.month as usize).saturating_sub(1) * 3;
    text.extend_from_slice(MONTHS.get(month..month + 3).unwrap_or(b"Jan"));
    text.push(b' ');
    push_number(text, moment.day, 2, b' ');
    text.push(b' ');
    push_clock(text, moment);
    push_process(text, ident, process);
}

/// Appends `(SOURCE:LINE) ` from Lua's `SOURCE:LINE: `, which is empty for a
/// caller that is no Lua function. Without `whole` the folders are left out.
pub fn push_location(text: &mut Vec<u8>, position: &[u8], whole: bool) {
    let position = position.strip_suffix(b": ").unwrap_or(position);
    let mut parts = position.rsplitn(2, |&byte| byte == b':');
    let line = parts.next().unwrap_or_default();
    let (source, line) = match parts.next() {
        Some(source) => (source, line),
        None => (&b"[C]"[..], &b"-1"[..]),
    };
    let name = match source.iter().rposition(|&byte| byte == b'/') {
        Some(slash) if !whole => &source[slash + 1..],
        _ => source,
    };
    text.push(b'(');
    text.extend_from_slice(name);
    text.push(b':');
    text.extend_from_slice(&b"   "[line.len().min(3)..]);
    text.extend_from_slice(line);
    text.extend_from_slice(b") ");
}

/// The bytes before the first NUL.
pub fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The records of a message: its lines, each without a CR at its end.
pub fn lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    message.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Splits a path into its folder and its name.
pub fn split_path(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) => (b"/", &path[1..]),
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b".", path),
    }
}

/// False for paths that are refused whatever the file system holds.
pub fn is_plain_path(path: &[u8]) -> bool {
    const REFUSED: [&[u8; 2]; 4] = [b"..", b"./", b"/.", b"//"];
    path.len() < PATH_LIMIT
        && path.last().is_some_and(|&byte| byte != b'/')
        && !path.contains(&0)
        && !path.windows(2).any(|pair| REFUSED.iter().any(|refused| pair == *refused))
}

/// Appends `.SEQUENCE.YYYYmmdd-HHMMSS`, what a rolled file is called after the
/// live one.
pub fn push_roll_suffix(text: &mut Vec<u8>, sequence: u32, moment: &Moment) {
    text.push(b'.');
    push_number(text, sequence, 4, b'0');
    text.push(b'.');
    push_number(text, moment.year, 4, b'0');
    push_number(text, moment.month, 2, b'0');
    push_pair(text, moment.day, b'-');
    push_number(text, moment.hour, 2, b'0');
    push_number(text, moment.minute, 2, b'0');
    push_number(text, moment.second, 2, b'0');
}

/// The sequence number of `file` if it is a rolled file of the log `name`.
pub fn roll_sequence(file: &[u8], name: &[u8]) -> Option<u32> {
    let rest = file.strip_prefix(name)?.strip_prefix(b".")?;
    let dot = rest.iter().position(|&byte| byte == b'.')?;
    let (number, date) = (&rest[..dot], &rest[dot + 1..]);
    let is_date = date.len() == 15
        && date.iter().enumerate().all(|(at, byte)| if at == 8 { *byte == b'-' } else { byte.is_ascii_digit() });
    if number.len() < 4 || !is_date {
        return None;
    }
    number.iter().try_fold(0_u32, |value, &digit| {
        let digit = char::from(digit).to_digit(10)?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Moment = Moment {
        year: 2026,
        month: 3,
        day: 4,
        hour: 5,
        minute: 6,
        second: 59,
    };

    fn text(build: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut text = Vec::new();
        build(&mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn numbers() {
        let number = |value, width, pad| text(|text| push_number(text, value, width, pad));
        assert_eq!(number(0, 1, b' '), "0");
        assert_eq!(number(0, 4, b'0'), "0000");
        assert_eq!(number(7, 3, b' '), "  7");
        assert_eq!(number(12345, 3, b' '), "12345");
        assert_eq!(number(u32::MAX, 4, b'0'), "4294967295");
    }

    #[test]
    fn prefixes() {
        let prefix = |level| text(|text| push_prefix(text, &MOMENT, level, b"eco", 12));
        assert_eq!(prefix(6), "2026/03/04 05:06:59 info  eco[12]: ");
        assert_eq!(prefix(3), "2026/03/04 05:06:59 err   eco[12]: ");
        assert_eq!(prefix(5), "2026/03/04 05:06:59 notice eco[12]: ");
        let syslog = text(|text| push_syslog_prefix(text, &MOMENT, 3, b"eco", 12));
        assert_eq!(syslog, "<27>Mar  4 05:06:59 eco[12]: ");
    }

    #[test]
    fn locations() {
        let location = |position: &[u8], whole| text(|text| push_location(text, position, whole));
        assert_eq!(location(b"/tmp/a.lua:7: ", false), "(a.lua:  7) ");
        assert_eq!(location(b"/tmp/a.lua:7: ", true), "(/tmp/a.lua:  7) ");
        assert_eq!(location(b"c:/x:1234: ", false), "(x:1234) ");
        assert_eq!(location(b"[string \"a:b\"]:12: ", true), "([string \"a:b\"]: 12) ");
        assert_eq!(location(b"", false), "([C]: -1) ");
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
        for refused in ["a/../b", "./a", "/tmp/.a", "/tmp//a", "/tmp/", "..", "a..b", "a\0b", ""] {
            assert!(!is_plain_path(refused.as_bytes()), "{refused}");
        }
        for accepted in ["a", "/a", "/tmp/a.log", "logs/a"] {
            assert!(is_plain_path(accepted.as_bytes()), "{accepted}");
        }
        assert!(is_plain_path(&[b'x'; 4095]));
        assert!(!is_plain_path(&[b'x'; 4096]));
        assert_eq!(split_path(b"log"), (&b"."[..], &b"log"[..]));
        assert_eq!(split_path(b"/log"), (&b"/"[..], &b"log"[..]));
        assert_eq!(split_path(b"/tmp/log"), (&b"/tmp"[..], &b"log"[..]));
    }

    #[test]
    fn rolled_names_are_known_again() {
        let name = text(|text| {
            text.extend_from_slice(b"log");
            push_roll_suffix(text, 12, &MOMENT);
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
            "log.99999999999.20260304-050659",
        ] {
            assert_eq!(roll_sequence(other.as_bytes(), b"log"), None, "{other}");
        }
        assert_eq!(roll_sequence(b"log.12345.20260304-050659", b"log"), Some(12345));
    }
}
