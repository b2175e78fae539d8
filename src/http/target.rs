//! Request targets: path and query apart, and the pairs of a query.

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
}
