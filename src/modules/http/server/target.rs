//! Request targets: path and query apart, query pairs, and paths that cannot
//! leave the document root.

/// Path and query of a target, split at the first `?`.
pub fn split(target: &[u8]) -> (&[u8], &[u8]) {
    match target.iter().position(|&byte| byte == b'?') {
        Some(at) => (
            target.get(..at).unwrap_or(b""),
            target.get(at + 1..).unwrap_or(b""),
        ),
        None => (target, b""),
    }
}

/// Undecoded names and values of a query; pairs without `=` or name are no pairs.
pub fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&byte| byte == b'&').filter_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (pair.get(..at)?, pair.get(at + 1..)?);
        (!name.is_empty()).then_some((name, value))
    })
}

/// Append `/part/part` without `.`, `..` and empty parts. `false` when the path is
/// empty, climbs above its root, or holds a NUL (which would cut the file name).
pub fn normalise(path: &[u8], out: &mut Vec<u8>) -> bool {
    let root = out.len();
    if path.is_empty() || path.contains(&0) {
        return false;
    }
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                let Some(parent) = out.iter().skip(root).rposition(|&byte| byte == b'/') else {
                    return false;
                };
                out.truncate(root + parent);
            }
            _ => {
                out.push(b'/');
                out.extend_from_slice(part);
            }
        }
    }
    if out.len() == root {
        out.push(b'/');
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_at_the_first_question_mark() {
        assert_eq!(split(b"/a?b?c"), (&b"/a"[..], &b"b?c"[..]));
        assert_eq!(split(b"/a"), (&b"/a"[..], &b""[..]));
        assert_eq!(split(b"?"), (&b""[..], &b""[..]));
    }

    #[test]
    fn query_pairs() {
        let found: Vec<_> = pairs(b"a=b=c&&x&=y&e=&%20=%21").collect();
        assert_eq!(
            found,
            [(&b"a"[..], &b"b=c"[..]), (b"e", b""), (b"%20", b"%21")]
        );
    }

    #[test]
    fn paths_stay_inside() {
        for (path, expected) in [
            ("/", Some("/")),
            ("x", Some("/x")),
            ("//a/./b//", Some("/a/b")),
            ("/a/../b", Some("/b")),
            ("/a/b/../..", Some("/")),
            ("/..", None),
            ("/a/../../a", None),
            ("", None),
            ("/a\0.html", None),
            ("/...", Some("/...")),
        ] {
            let mut out = b"www".to_vec();
            let kept = normalise(path.as_bytes(), &mut out);
            assert_eq!(
                kept.then(|| String::from_utf8(out[3..].to_vec()).unwrap())
                    .as_deref(),
                expected,
                "{path}"
            );
            assert!(out.starts_with(b"www"));
        }
    }
}
