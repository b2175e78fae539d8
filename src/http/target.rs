//! Request targets (RFC 9112, 3.2): their forms, and the one normalisation of paths.

use super::fields::Bytes;
use super::percent;
use super::text::position;

/// What the name of a host is made of, but for encoded bytes.
static HOST: Bytes = Bytes::new(b"-._~!$&'()*+,;=");

/// What a target names; every slice points into it, or is a constant.
#[derive(Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Host and port of the absolute form, which then count instead of the
    /// `Host` field.
    pub authority: Option<&'a [u8]>,
    /// Begins with `/`, or is the `*` of OPTIONS. Neither decoded nor normalised.
    pub path: &'a [u8],
    /// Behind the first `?`.
    pub query: &'a [u8],
}

/// Take a target apart; None when it is none a server answers for.
pub fn read<'a>(method: &[u8], target: &'a [u8]) -> Option<Target<'a>> {
    // Fragments are not sent.
    let bad = |&byte: &u8| byte <= b' ' || byte == 0x7f || byte == b'#';
    if target.iter().any(bad) {
        return None;
    }
    let (authority, rest) = match target {
        [b'/', ..] => (None, target),
        b"*" if method == b"OPTIONS" => (None, target),
        _ => {
            let (authority, rest) = absolute(target)?;
            (Some(authority), rest)
        }
    };
    let (path, query) = split(rest);
    let path: &[u8] = match path {
        b"" if method == b"OPTIONS" && query.is_empty() => b"*",
        b"" => b"/",
        path => path,
    };
    Some(Target {
        authority,
        path,
        query,
    })
}

/// Authority and rest of `http://host:port/…`.
fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = target.iter().position(|&byte| byte == b':')?;
    let (scheme, rest) = target.split_at_checked(colon)?;
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return None;
    }
    let rest = rest.strip_prefix(b"://")?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
    let (authority, rest) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    (!authority.is_empty() && authority.first() != Some(&b':') && is_host(authority))
        .then_some((authority, rest))
}

/// Whether a text is a host with or without a port (RFC 3986, 3.2.2): what a
/// `Host` field holds. It may be empty.
pub fn is_host(text: &[u8]) -> bool {
    let mut rest = text;
    if let Some(inside) = text.strip_prefix(b"[") {
        let Some((address, after)) =
            position(inside, b']').and_then(|end| inside.split_at_checked(end))
        else {
            return false;
        };
        let colons = address.iter().filter(|&&byte| byte == b':').count();
        let digits = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        if !(2..=7).contains(&colons) || !address.iter().all(digits) {
            return false;
        }
        rest = after.get(1..).unwrap_or(b"");
        if !matches!(rest, b"" | [b':', ..]) {
            return false;
        }
    }
    loop {
        let plain = rest.iter().take_while(|&&byte| HOST.has(byte)).count();
        rest = match rest.get(plain..).unwrap_or(b"") {
            [] => return true,
            [b':', digits @ ..] => return is_port(digits),
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                tail
            }
            _ => return false,
        };
    }
}

/// Nothing, or a number that a port can have.
fn is_port(digits: &[u8]) -> bool {
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && digits
            .iter()
            .fold(0u32, |port, digit| port * 10 + u32::from(digit - b'0'))
            <= 65535
}

/// Path and query of a target, split at the first `?`.
fn split(target: &[u8]) -> (&[u8], &[u8]) {
    match position(target, b'?') {
        Some(at) => (
            target.get(..at).unwrap_or(b""),
            target.get(at + 1..).unwrap_or(b""),
        ),
        None => (target, b""),
    }
}

/// Whether a path is its own normal form.
pub fn is_normal(path: &[u8]) -> bool {
    !path.contains(&b'%') && !path.windows(2).any(|two| matches!(two, b"//" | b"/."))
}

/// Append the normal form of a path: decoded, no empty parts, no `.` and `..`. A
/// trailing `/` stays one. False when it leaves its root or holds a NUL.
pub fn normalise(path: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    percent::unescape(path, out);
    let end = out.len();
    if out.get(start..).is_some_and(|path| path.contains(&0)) {
        return false;
    }
    // Parts are moved to the front, each with the slash before it.
    let (mut read, mut write) = (start, start);
    while read < end {
        let rest = out.get(read + 1..end).unwrap_or(b"");
        let length = rest.iter().position(|&byte| byte == b'/');
        let part = rest.get(..length.unwrap_or(rest.len())).unwrap_or(b"");
        let next = read + 1 + part.len();
        let keep = match part {
            b"" | b"." => 1,
            b".." => {
                let before = out.get(start..write).unwrap_or(b"");
                let Some(slash) = before.iter().rposition(|&byte| byte == b'/') else {
                    return false;
                };
                write = start + slash;
                1
            }
            part => part.len() + 1,
        };
        // The slash of a part that vanishes is that of the next.
        if keep > 1 || length.is_none() {
            out.copy_within(read..read + keep, write);
            write += keep;
        }
        read = next;
    }
    out.truncate(write);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(slice: &[u8]) -> &str {
        std::str::from_utf8(slice).unwrap()
    }

    fn parts(target: &str) -> Option<(Option<&str>, &str, &str)> {
        let found = read(b"GET", target.as_bytes())?;
        Some((
            found.authority.map(text),
            text(found.path),
            text(found.query),
        ))
    }

    #[test]
    fn forms() {
        assert_eq!(parts("/a?b?c"), Some((None, "/a", "b?c")));
        assert_eq!(parts("/"), Some((None, "/", "")));
        assert_eq!(parts("http://h:80/a?b"), Some((Some("h:80"), "/a", "b")));
        assert_eq!(parts("HTTPS://[::1]?b"), Some((Some("[::1]"), "/", "b")));
        assert_eq!(parts("http://h"), Some((Some("h"), "/", "")));
        for bad in [
            "",
            "*",
            "a",
            "a/b",
            "h:80",
            "?a",
            "http:/h",
            "http://",
            "http:///a",
            "http://:80/",
            "http://u@h/",
            "http://h:x/",
            "ftp://h/",
            "://h/",
            "http://h i/",
            "/a#b",
            "/a\u{7f}",
            "/a\tb",
            "http",
        ] {
            assert_eq!(parts(bad), None, "{bad}");
        }
        assert_eq!(read(b"OPTIONS", b"*").unwrap().path, b"*");
        assert_eq!(read(b"OPTIONS", b"http://h").unwrap().path, b"*");
        assert_eq!(read(b"OPTIONS", b"http://h/").unwrap().path, b"/");
        assert_eq!(read(b"OPTIONS", b"**"), None);
    }

    #[test]
    fn hosts() {
        for good in [
            "",
            "a",
            "A.b-c_d~e",
            "1.2.3.4:80",
            "h:",
            "h:65535",
            "[::1]",
            "[fe80::1:2]:8080",
            "a%20b",
            "a,b;c=d",
        ] {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "a b",
            "a/b",
            "a?b",
            "a@b",
            "h:65536",
            "h:1234567",
            "h:-1",
            "h:x",
            "h:80:80",
            "[::1",
            "[::1]x",
            "[g::1]",
            "[1]",
            "[1:2:3:4:5:6:7:8:9]",
            "::1",
            "a%2",
            "a%zz",
            "a\"b",
            "<a>",
            "\u{e9}",
            "a\\b",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn one_normal_form() {
        for (path, expected) in [
            ("/", Some("/")),
            ("//", Some("/")),
            ("/a", Some("/a")),
            ("/a/", Some("/a/")),
            ("/a//b", Some("/a/b")),
            ("/a/./b/.", Some("/a/b/")),
            ("/a/../b", Some("/b")),
            ("/a/..", Some("/")),
            ("/a/b/../../", Some("/")),
            ("/./", Some("/")),
            ("/.", Some("/")),
            ("/.a/..b/c..", Some("/.a/..b/c..")),
            ("/%61%2fb", Some("/a/b")),
            ("/%2e%2E/a", None),
            ("/a%20b%zz%", Some("/a b%zz%")),
            ("/%252e", Some("/%2e")),
            ("/..", None),
            ("/../", None),
            ("/a/../..", None),
            ("/a%00", None),
        ] {
            let mut out = b"kept".to_vec();
            let found = normalise(path.as_bytes(), &mut out).then(|| text(&out[4..]));
            assert_eq!(found, expected, "{path}");
            if is_normal(path.as_bytes()) {
                assert_eq!(found, Some(path));
            }
            if let Some(found) = expected.filter(|found| !found.contains('%')) {
                let mut again = Vec::new();
                assert!(normalise(found.as_bytes(), &mut again));
                assert_eq!(text(&again), found);
            }
        }
    }
}
