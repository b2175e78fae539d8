//! Splitting a URL into its parts (RFC 3986 shapes, contract names): nothing is
//! decoded, nothing lower-cased, and an `@` counts inside the authority only. Blanks
//! and control characters stand in no URL.

/// The parts of a URL; every slice points into the text that was parsed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Url<'a> {
    pub scheme: &'a [u8],
    pub user: Option<&'a [u8]>,
    pub password: Option<&'a [u8]>,
    /// Without brackets when it was `[...]`.
    pub host: &'a [u8],
    pub port: Option<i64>,
    /// Path, parameters, query and fragment; may lack its leading `/`.
    pub rest: &'a [u8],
    /// Empty stands for `/`.
    pub path: &'a [u8],
    pub params: Option<&'a [u8]>,
    pub query: Option<&'a [u8]>,
    pub fragment: Option<&'a [u8]>,
}

/// Split at the first of `stops`; the second half keeps that byte.
#[inline(never)]
fn split<'a>(text: &'a [u8], stops: &[u8]) -> (&'a [u8], &'a [u8]) {
    let at = text
        .iter()
        .position(|byte| stops.contains(byte))
        .unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, b""))
}

/// What follows the first `mark`, up to the next `;` or `?`.
fn after<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let (_, tail) = split(text, mark).1.split_first()?;
    Some(split(tail, b";?").0)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0i64, |number, byte| {
        byte.is_ascii_digit().then_some(())?;
        number.checked_mul(10)?.checked_add(i64::from(byte - b'0'))
    })
}

/// `None` means the text is not a URL.
pub fn parse(text: &[u8]) -> Option<Url<'_>> {
    if text.iter().any(|&byte| byte <= b' ' || byte == 0x7f) {
        return None;
    }
    let mut url = Url::default();
    let (scheme, tail) = split(text, b":");
    if !scheme.first()?.is_ascii_alphabetic() || !scheme.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    url.scheme = scheme;
    let tail = tail.strip_prefix(b"://")?;

    let (authority, rest) = split(tail, b"/?#");
    url.rest = rest;

    // The last '@' ends the user information, as in browsers.
    let mut address = authority;
    if let Some(at) = authority.iter().rposition(|&byte| byte == b'@') {
        let user = authority.get(..at)?;
        address = authority.get(at + 1..)?;
        url.user = Some(user);
        if !user.contains(&b'@') {
            let (name, secret) = split(user, b":");
            if let Some((_, secret)) = secret.split_first() {
                if !secret.contains(&b':') {
                    url.user = Some(name);
                    url.password = Some(secret);
                }
            }
        }
    }

    let port;
    if let Some(inside) = address.strip_prefix(b"[") {
        (url.host, port) = split(inside, b"]");
        address = port.strip_prefix(b"]")?;
    } else {
        (url.host, address) = split(address, b":");
    }
    if url.host.is_empty() {
        return None;
    }
    match address {
        // "h:" means the default port (RFC 3986, 3.2.3).
        b"" | b":" => {}
        [b':', port @ ..] => url.port = Some(digits(port)?),
        _ => return None,
    }

    let (before, fragment) = split(rest, b"#");
    url.fragment = fragment.strip_prefix(b"#");
    if before.first() == Some(&b'/') {
        url.path = split(before, b";?").0;
    }
    url.params = after(before, b";");
    url.query = after(before, b"?");
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Url<'_> {
        parse(text.as_bytes()).expect(text)
    }

    #[test]
    fn all_parts() {
        let url = parsed("http://u:p@h:1/p;x=1?q=2#f");
        assert_eq!((url.user, url.password), (Some(&b"u"[..]), Some(&b"p"[..])));
        assert_eq!((url.host, url.port), (&b"h"[..], Some(1)));
        assert_eq!(url.rest, b"/p;x=1?q=2#f");
        assert_eq!(url.path, b"/p");
        assert_eq!(
            (url.params, url.query, url.fragment),
            (Some(&b"x=1"[..]), Some(&b"q=2"[..]), Some(&b"f"[..]))
        );
    }

    #[test]
    fn short_forms() {
        assert_eq!(
            parsed("http://a"),
            Url {
                scheme: b"http",
                host: b"a",
                ..Url::default()
            }
        );
        let url = parsed("HTTP://h?x=1");
        assert_eq!(
            (url.scheme, url.path, url.rest, url.query),
            (&b"HTTP"[..], &b""[..], &b"?x=1"[..], Some(&b"x=1"[..]))
        );
        let url = parsed("http://[::1]:8/x");
        assert_eq!(
            (url.host, url.port, url.path),
            (&b"::1"[..], Some(8), &b"/x"[..])
        );
        assert_eq!(parsed("http://h/#a?b;c").fragment, Some(&b"a?b;c"[..]));
    }

    #[test]
    fn at_sign_outside_the_authority_is_text() {
        let url = parsed("http://h/a@b?c@d#e@f");
        assert_eq!(
            (url.user, url.host, url.path),
            (None, &b"h"[..], &b"/a@b"[..])
        );
        assert_eq!(parsed("http://a:b:c@h").user, Some(&b"a:b:c"[..]));
        assert_eq!(parsed("http://a@b@h").user, Some(&b"a@b"[..]));
        assert_eq!(parsed("http://a@b@h").host, b"h");
    }

    #[test]
    fn blanks_and_control_characters_are_refused() {
        for byte in (0..=32).chain([127]) {
            for at in 0..=12 {
                let mut text = b"http://h/a?b".to_vec();
                text.insert(at, byte);
                assert_eq!(parse(&text), None, "{byte} at {at}");
            }
        }
        assert_eq!(parsed("http://h/\u{e9}").path, "/\u{e9}".as_bytes());
    }

    #[test]
    fn ipv6_hosts() {
        for (text, host, port) in [
            ("http://[::1]", "::1", None),
            ("http://[::1]:", "::1", None),
            ("http://[::1]:0/", "::1", Some(0)),
            (
                "http://u:p@[fe80::1%25eth0]:8080/x",
                "fe80::1%25eth0",
                Some(8080),
            ),
        ] {
            let url = parsed(text);
            assert_eq!((url.host, url.port), (host.as_bytes(), port), "{text}");
        }
        for bad in [
            "http://[::1",
            "http://[]:80",
            "http://[::1]80",
            "http://[::1]:x",
            "http://::1/",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn ports() {
        assert_eq!(
            (parsed("http://h:/x").port, parsed("http://h:/x").path),
            (None, &b"/x"[..])
        );
        assert_eq!(parsed("http://h:99999").port, Some(99999));
        for bad in [
            "http://h:x",
            "http://h:80x/",
            "http://h:-1",
            "http://h:99999999999999999999",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn not_urls() {
        for bad in [
            "",
            "h/",
            "http://",
            "http:///x",
            "1http://x",
            "ht-tp://x",
            "http:/x",
            "://x",
            "http://[::1",
            "http://[]",
            "http://[::1]x",
            "http://u@",
            "http://:80",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn every_truncation_is_harmless() {
        let text = b"http://u:p@[fe80::1]:80/p;x=1?q=2#f";
        for end in 0..text.len() {
            let _ = parse(&text[..end]);
            let _ = parse(&text[end..]);
        }
    }
}
