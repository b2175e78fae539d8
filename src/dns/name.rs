//! Domain names: text to bytes of a message and back.

/// The most bytes of a name in a message.
pub const LONGEST: usize = 255;

/// The most pointers of a name: each should stand for a label at least.
const POINTERS: u32 = 127;

/// The most characters of its text: four for each byte that is no label's length.
const TEXT: usize = 4 * LONGEST;

/// A name as text, without the dot at its end.
pub struct Name {
    text: [u8; TEXT],
    length: usize,
}

impl Name {
    pub const fn new() -> Name {
        Name {
            text: [0; TEXT],
            length: 0,
        }
    }

    pub fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// Adds a byte of a label. What would pass for something else (a dot, a
    /// blank, a control character) is escaped as in master files.
    fn push_label(&mut self, byte: u8) {
        match byte {
            b'.' | b'\\' => {
                self.push(b'\\');
                self.push(byte);
            }
            0..=b' ' | 0x7f => {
                self.push(b'\\');
                self.push(b'0' + byte / 100);
                self.push(b'0' + byte / 10 % 10);
                self.push(b'0' + byte % 10);
            }
            _ => self.push(byte),
        }
    }

    /// Reads the name at `at` of a message; gives what follows it. Pointers
    /// lead backwards only, which no loop survives, and are not many.
    pub fn read(&mut self, message: &[u8], at: usize) -> Option<usize> {
        self.length = 0;
        walk(message, at, &mut |label| {
            if self.length > 0 {
                self.push(b'.');
            }
            for &byte in label {
                self.push_label(byte);
            }
        })
    }
}

impl Default for Name {
    fn default() -> Name {
        Name::new()
    }
}

/// Gives each label of the name at `at` to `take`, then what follows the name.
fn walk(message: &[u8], at: usize, take: &mut dyn FnMut(&[u8])) -> Option<usize> {
    let (mut at, mut begin, mut end) = (at, at, None);
    let (mut length, mut pointers) = (1, 0);
    loop {
        let first = usize::from(*message.get(at)?);
        match first >> 6 {
            0 if first == 0 => return Some(end.unwrap_or(at + 1)),
            0 => {
                length += first + 1;
                if length > LONGEST {
                    return None;
                }
                take(message.get(at + 1..at + 1 + first)?);
                at += 1 + first;
            }
            3 => {
                let target = (first & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                pointers += 1;
                if target >= begin || pointers > POINTERS {
                    return None;
                }
                end = end.or(Some(at + 2));
                (at, begin) = (target, target);
            }
            _ => return None,
        }
    }
}

/// What follows the name at `at`.
pub fn skip(message: &[u8], at: usize) -> Option<usize> {
    walk(message, at, &mut |_| {})
}

/// Writes a name given as text, with or without a dot at its end; gives its
/// length, or None for what is no name.
pub fn write(text: &[u8], room: &mut [u8]) -> Option<usize> {
    let text = text.strip_suffix(b".").unwrap_or(text);
    let mut at = 0;
    if !text.is_empty() {
        for label in text.split(|&byte| byte == b'.') {
            if label.is_empty() || label.len() > 63 || at + label.len() + 2 > LONGEST {
                return None;
            }
            *room.get_mut(at)? = label.len() as u8;
            room.get_mut(at + 1..at + 1 + label.len())?
                .copy_from_slice(label);
            at += 1 + label.len();
        }
    }
    *room.get_mut(at)? = 0;
    let is_clean = !text.contains(&0);
    is_clean.then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &[u8], at: usize) -> Option<(String, usize)> {
        let mut name = Name::new();
        let next = name.read(message, at)?;
        assert_eq!(skip(message, at), Some(next));
        Some((String::from_utf8_lossy(name.text()).into(), next))
    }

    #[test]
    fn names_are_written_and_read() {
        for text in [
            "",
            "a",
            "example.com",
            "_sip._tcp.example.com",
            "b\u{fc}cher.de",
        ] {
            let mut room = [0; LONGEST];
            let length = write(text.as_bytes(), &mut room).unwrap();
            assert_eq!(read(&room[..length], 0), Some((text.into(), length)));
            for cut in 0..length {
                assert_eq!(read(&room[..cut], 0), None);
                assert_eq!(write(text.as_bytes(), &mut room[..cut]), None);
            }
        }
        let mut room = [0; LONGEST];
        assert_eq!(write(b"a.", &mut room), Some(3));
        assert_eq!(write(b".", &mut room), Some(1));
        for bad in [".a", "a..b", "a..", "..", "a\0b"] {
            assert_eq!(write(bad.as_bytes(), &mut room), None, "{bad}");
        }
    }

    #[test]
    fn lengths_have_limits() {
        let mut room = [0; LONGEST];
        assert_eq!(write(&[b'a'; 63], &mut room), Some(65));
        assert_eq!(write(&[b'a'; 64], &mut room), None);
        let mut longest = "a.".repeat(127);
        assert_eq!(write(longest.as_bytes(), &mut room), Some(255));
        assert_eq!(read(&room, 0).unwrap().1, 255);
        longest.push('a');
        assert_eq!(write(longest.as_bytes(), &mut room), None);
        // The same length by way of a pointer.
        let mut message = room.to_vec();
        message.extend([1, b'b', 0xc0, 0]);
        assert_eq!(read(&message, 255), None);
        message.splice(255.., [0xc0, 0]);
        assert_eq!(read(&message, 255).unwrap().1, 257);
    }

    #[test]
    fn pointers_lead_backwards() {
        let message = b"\x01a\x00\x01b\xc0\x00\xc0\x03";
        assert_eq!(read(message, 3), Some(("b.a".into(), 7)));
        assert_eq!(read(message, 7), Some(("b.a".into(), 9)));
        for bad in [
            &b"\xc0\x00"[..],
            b"\xc0\x02\xc0\x00",
            b"\x01a\xc0\x00",
            b"\xc0",
            b"\x40a",
            b"\x80a",
            b"\xc0\x02\x00",
        ] {
            assert_eq!(read(bad, 0), None, "{bad:?}");
        }
        assert_eq!(read(b"\x01a\xc0\x00", 2), None, "into itself by a label");
    }

    #[test]
    fn odd_bytes_are_escaped() {
        assert_eq!(
            read(b"\x06a.b\\ \n\x00", 0),
            Some(("a\\.b\\\\\\032\\010".into(), 8))
        );
        let mut worst = Vec::new();
        for _ in 0..3 {
            worst.push(63);
            worst.extend([0; 63]);
        }
        worst.push(61);
        worst.extend([0; 61]);
        worst.push(0);
        assert_eq!(worst.len(), LONGEST);
        assert_eq!(read(&worst, 0).unwrap().0.len(), 250 * 4 + 3);
    }
}
