//! What the kernel writes to an inotify fd: `struct inotify_event` of
//! `linux/inotify.h`, in the byte order of the machine.

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub struct Event<'a> {
    pub watch: i32,
    pub mask: u32,
    /// Entry of the watched folder; empty when it is the watched path itself.
    pub name: &'a [u8],
}

/// The number at `at`.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    word.try_into().ok().map(u32::from_ne_bytes)
}

/// Takes the first event and gives the bytes after it; None when they do not
/// hold a whole one.
pub fn next_event(bytes: &[u8]) -> Option<(Event<'_>, &[u8])> {
    let (watch, mask, length) = (word(bytes, 0)?, word(bytes, 4)?, word(bytes, 12)?);
    let rest = bytes.get(16..)?;
    let (name, rest) = rest.split_at_checked(length as usize)?;
    let event = Event {
        watch: watch as i32,
        mask,
        name: name.split(|&byte| byte == 0).next().unwrap_or_default(),
    };
    Some((event, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(watch: i32, mask: u32, name: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [watch as u32, mask, 0, name.len() as u32] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes.extend_from_slice(name);
        bytes
    }

    #[test]
    fn events_follow_one_another() {
        let mut bytes = event(1, 256, b"new\0\0\0\0\0");
        bytes.extend(event(-1, 0x4000, b""));
        let (first, rest) = next_event(&bytes).unwrap();
        assert_eq!((first.watch, first.mask, first.name), (1, 256, &b"new"[..]));
        let (second, rest) = next_event(rest).unwrap();
        assert_eq!(
            (second.watch, second.mask, second.name),
            (-1, 0x4000, &b""[..])
        );
        assert!(rest.is_empty());
    }

    #[test]
    fn no_part_of_an_event_is_one() {
        let bytes = event(1, 2, b"name\0\0\0\0");
        for length in 0..bytes.len() {
            assert_eq!(next_event(&bytes[..length]), None, "{length} bytes");
        }
        assert!(next_event(&bytes).is_some());
    }

    #[test]
    fn impossible_lengths_are_refused() {
        let mut bytes = event(1, 2, b"");
        bytes[12..16].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(next_event(&bytes), None);
    }
}
