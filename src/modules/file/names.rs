//! `dirname` and `basename` as POSIX has them.

/// Without slashes at the end; a path of slashes only becomes one slash.
fn trim(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte != b'/') {
        Some(last) => path.get(..=last).unwrap_or(path),
        None => path.get(..1).unwrap_or_default(),
    }
}

/// The path before the last component.
pub fn dirname(path: &[u8]) -> &[u8] {
    let path = trim(path);
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => trim(path.get(..=slash).unwrap_or(path)),
        None => b".",
    }
}

/// The last component.
pub fn basename(path: &[u8]) -> &[u8] {
    match trim(path) {
        b"" => b".",
        b"/" => b"/",
        path => path.rsplit(|&byte| byte == b'/').next().unwrap_or(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_posix_has_it() {
        for (path, folder, name) in [
            ("", ".", "."),
            (".", ".", "."),
            ("..", ".", ".."),
            ("/", "/", "/"),
            ("//", "/", "/"),
            ("a", ".", "a"),
            ("a/", ".", "a"),
            ("/a", "/", "a"),
            ("//a", "/", "a"),
            ("/a/b/", "/a", "b"),
            ("a//b", "a", "b"),
            ("a/b//", "a", "b"),
        ] {
            assert_eq!(dirname(path.as_bytes()), folder.as_bytes(), "{path}");
            assert_eq!(basename(path.as_bytes()), name.as_bytes(), "{path}");
        }
    }
}
