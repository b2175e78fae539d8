//! Conditional and range requests (RFC 9110, 13 and 14) for one file: what a
//! request that names an entity tag, a date or a part is to be answered.

use super::date;
use super::fields::{items, number};

/// The file as it is now.
pub struct File<'a> {
    /// Its strong entity tag, quotes included.
    pub etag: &'a [u8],
    /// Seconds since 1970.
    pub modified: i64,
    pub size: u64,
}

/// The fields of a request that decide; None where there is none.
#[derive(Default)]
pub struct Conditions<'a> {
    pub if_match: Option<&'a [u8]>,
    pub if_unmodified_since: Option<&'a [u8]>,
    pub if_none_match: Option<&'a [u8]>,
    pub if_modified_since: Option<&'a [u8]>,
    pub if_range: Option<&'a [u8]>,
    pub range: Option<&'a [u8]>,
}

/// What to answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: all of it.
    Whole,
    /// 206: `count` bytes from `first`.
    Part {
        first: u64,
        count: u64,
    },
    NotModified,
    /// 412
    Failed,
    /// 416
    Unsatisfiable,
}

impl Conditions<'_> {
    /// The answer to a GET or, with `head_only`, a HEAD, in the order of
    /// RFC 9110, 13.2.2. `now` is the time of the answer.
    pub fn decide(&self, file: &File, head_only: bool, now: i64) -> Answer {
        let since = |field: Option<&[u8]>| field.and_then(|text| date::parse(text, now));
        let failed = match self.if_match {
            Some(list) => !names(list, file.etag, false),
            None => since(self.if_unmodified_since).is_some_and(|date| file.modified > date),
        };
        if failed {
            return Answer::Failed;
        }
        let known = match self.if_none_match {
            Some(list) => names(list, file.etag, true),
            None => since(self.if_modified_since).is_some_and(|date| file.modified <= date),
        };
        if known {
            return Answer::NotModified;
        }
        match self.range {
            Some(range) if !head_only && self.same_file(file, now) => part(range, file.size),
            _ => Answer::Whole,
        }
    }

    /// Whether the part asked for is one of the file as it is now.
    fn same_file(&self, file: &File, now: i64) -> bool {
        match self.if_range {
            None => true,
            Some(tag) if tag.starts_with(b"\"") => tag == file.etag,
            // A date says nothing about a file that changes within its second.
            Some(text) => date::parse(text, now) == Some(file.modified) && file.modified < now,
        }
    }
}

/// Whether a list of entity tags names this one, or any. Weak tags only count
/// where `weak` ones are as good.
fn names(list: &[u8], etag: &[u8], weak: bool) -> bool {
    if list.trim_ascii() == b"*" {
        return true;
    }
    let mut rest = list;
    loop {
        rest = rest.trim_ascii_start();
        if let Some(tail) = rest.strip_prefix(b",") {
            rest = tail;
            continue;
        }
        let strong = rest.strip_prefix(b"W/");
        let tag = strong.unwrap_or(rest);
        // Commas may stand inside the quotes.
        let Some(length) = tag
            .strip_prefix(b"\"")
            .and_then(|inner| inner.iter().position(|&byte| byte == b'"'))
        else {
            return false;
        };
        let Some((tag, tail)) = tag.split_at_checked(length + 2) else {
            return false;
        };
        if tag == etag && (weak || strong.is_none()) {
            return true;
        }
        rest = tail;
    }
}

/// The one range of bytes; what is no such thing is ignored.
fn part(range: &[u8], size: u64) -> Answer {
    let single = || {
        let (unit, ranges) = range.split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes=") {
            return None;
        }
        let mut ranges = items(ranges);
        let (range, None) = (ranges.next()?, ranges.next()) else {
            return None;
        };
        let dash = range.iter().position(|&byte| byte == b'-')?;
        let (first, last) = (range.get(..dash)?, range.get(dash + 1..)?);
        if first.is_empty() {
            let count = number(last)?.min(size);
            // The end of an empty file is all of it.
            return match (count, size) {
                (0, 0) if last.iter().any(|&digit| digit != b'0') => None,
                (0, _) => Some((size, 0)),
                _ => Some((size - count, count)),
            };
        }
        let first = number(first)?;
        let last = match last {
            b"" => u64::MAX,
            last => number(last)?,
        };
        if last < first {
            return None;
        }
        let count = last.saturating_sub(first).saturating_add(1);
        Some((first, count.min(size.saturating_sub(first))))
    };
    match single() {
        None => Answer::Whole,
        Some((first, _)) if first >= size => Answer::Unsatisfiable,
        Some((first, count)) => Answer::Part { first, count },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODIFIED: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &[u8] = b"Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &[u8] = b"Sun, 06 Nov 1994 08:49:38 GMT";
    const FILE: File = File {
        etag: b"\"a,b\"",
        modified: 784_111_777,
        size: 10,
    };
    const NOW: i64 = 1_700_000_000;

    fn decide(conditions: Conditions) -> Answer {
        conditions.decide(&FILE, false, NOW)
    }

    fn ranged(range: &str, size: u64) -> Answer {
        part(range.as_bytes(), size)
    }

    #[test]
    fn tags_are_compared_strongly_or_weakly() {
        for (list, strong, weak) in [
            ("\"a,b\"", true, true),
            ("*", true, true),
            (" * ", true, true),
            ("W/\"a,b\"", false, true),
            ("\"x\", \"a,b\"", true, true),
            (",, \"x\" ,W/\"a,b\" , \"y\"", false, true),
            ("\"a\"", false, false),
            ("a,b", false, false),
            ("\"a,b", false, false),
            ("", false, false),
        ] {
            let list = list.as_bytes();
            assert_eq!(names(list, FILE.etag, false), strong, "{list:?}");
            assert_eq!(names(list, FILE.etag, true), weak, "{list:?}");
            for end in 0..list.len() {
                names(&list[..end], FILE.etag, true);
            }
        }
    }

    #[test]
    fn preconditions_come_in_order() {
        let all = || Conditions {
            if_match: Some(FILE.etag),
            if_unmodified_since: Some(BEFORE),
            if_none_match: Some(b"\"x\""),
            if_modified_since: Some(AFTER),
            if_range: Some(FILE.etag),
            range: Some(b"bytes=1-2"),
        };
        // A tag makes the date beside it void.
        assert_eq!(decide(all()), Answer::Part { first: 1, count: 2 });
        let none = Conditions::default;
        for (conditions, answer) in [
            (
                Conditions {
                    if_match: Some(b"\"x\""),
                    ..all()
                },
                Answer::Failed,
            ),
            (
                Conditions {
                    if_match: None,
                    ..all()
                },
                Answer::Failed,
            ),
            (
                Conditions {
                    if_unmodified_since: Some(MODIFIED),
                    ..none()
                },
                Answer::Whole,
            ),
            (
                Conditions {
                    if_unmodified_since: Some(b"never"),
                    ..none()
                },
                Answer::Whole,
            ),
            (
                Conditions {
                    if_none_match: Some(FILE.etag),
                    ..all()
                },
                Answer::NotModified,
            ),
            (
                Conditions {
                    if_none_match: Some(b"W/\"a,b\""),
                    ..none()
                },
                Answer::NotModified,
            ),
            (
                Conditions {
                    if_modified_since: Some(MODIFIED),
                    ..none()
                },
                Answer::NotModified,
            ),
            (
                Conditions {
                    if_modified_since: Some(BEFORE),
                    ..none()
                },
                Answer::Whole,
            ),
            (
                Conditions {
                    if_modified_since: Some(b"x"),
                    ..none()
                },
                Answer::Whole,
            ),
        ] {
            assert_eq!(decide(conditions), answer);
        }
    }

    #[test]
    fn parts_are_of_the_file_as_it_is() {
        let asked = |if_range| {
            let range = Some(&b"bytes=0-0"[..]);
            decide(Conditions {
                range,
                if_range,
                ..Conditions::default()
            })
        };
        let part = Answer::Part { first: 0, count: 1 };
        assert_eq!(asked(None), part);
        assert_eq!(asked(Some(FILE.etag)), part);
        assert_eq!(asked(Some(MODIFIED)), part);
        for other in [&b"\"x\""[..], b"W/\"a,b\"", BEFORE, AFTER, b"", b"x"] {
            assert_eq!(asked(Some(other)), Answer::Whole, "{other:?}");
        }
        // Changed in this very second: it may change again.
        let conditions = Conditions {
            range: Some(b"bytes=0-0"),
            if_range: Some(MODIFIED),
            ..Conditions::default()
        };
        assert_eq!(
            conditions.decide(&FILE, false, FILE.modified),
            Answer::Whole
        );
        assert_eq!(conditions.decide(&FILE, true, NOW), Answer::Whole);
    }

    #[test]
    fn ranges() {
        let part = |first, count| Answer::Part { first, count };
        for (range, answer) in [
            ("bytes=0-", part(0, 10)),
            ("Bytes=2-4", part(2, 3)),
            ("bytes= 2-4 ", part(2, 3)),
            ("bytes=9-99999999999", part(9, 1)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-30", part(0, 10)),
            ("bytes=-0", Answer::Unsatisfiable),
            ("bytes=10-", Answer::Unsatisfiable),
            ("bytes=9223372036854775807-", Answer::Unsatisfiable),
            ("bytes=4-2", Answer::Whole),
            ("bytes=0-1,3-4", Answer::Whole),
            ("bytes=", Answer::Whole),
            ("bytes=-", Answer::Whole),
            ("bytes=a-b", Answer::Whole),
            ("bytes=1", Answer::Whole),
            ("bytes=1-2-3", Answer::Whole),
            ("bytes=99999999999999999999-", Answer::Whole),
            ("lines=0-1", Answer::Whole),
            ("byte", Answer::Whole),
        ] {
            assert_eq!(ranged(range, 10), answer, "{range}");
        }
        assert_eq!(ranged("bytes=-5", 0), Answer::Whole);
        assert_eq!(ranged("bytes=-0", 0), Answer::Unsatisfiable);
        assert_eq!(ranged("bytes=0-", 0), Answer::Unsatisfiable);
    }
}
