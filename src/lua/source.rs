//! Lua source inside the binary, without what only its readers need: comment
//! lines and indentation go at compile time, line numbers stay.

/// Walks over the text and copies what is kept, if there is somewhere to copy it.
const fn copy(source: &[u8], mut out: Option<&mut [u8]>) -> usize {
    let (mut at, mut length) = (0, 0);
    while at < source.len() {
        while at < source.len() && source[at] == b' ' {
            at += 1;
        }
        let comment = at + 1 < source.len() && source[at] == b'-' && source[at + 1] == b'-';
        while at < source.len() {
            let byte = source[at];
            if !comment || byte == b'\n' {
                if let Some(out) = &mut out {
                    out[length] = byte;
                }
                length += 1;
            }
            at += 1;
            if byte == b'\n' {
                break;
            }
        }
    }
    length
}

/// How many bytes of the text are kept.
pub const fn kept(source: &str) -> usize {
    copy(source.as_bytes(), None)
}

/// The bytes that are kept.
pub const fn keep<const LENGTH: usize>(source: &str) -> [u8; LENGTH] {
    let mut out = [0; LENGTH];
    copy(source.as_bytes(), Some(&mut out));
    out
}

/// The Lua source file of that name, for [`Lua::push_chunk`](super::Lua::push_chunk).
/// Its strings must not go over line ends.
#[macro_export]
macro_rules! lua_source {
    ($file:literal) => {{
        const SOURCE: &str = include_str!($file);
        const KEPT: &[u8; $crate::lua::source::kept(SOURCE)] = &$crate::lua::source::keep(SOURCE);
        const TEXT: &str = match std::str::from_utf8(KEPT) {
            Ok(text) => text,
            Err(_) => panic!("the source is not UTF-8"),
        };
        TEXT
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_indentation_go() {
        const SOURCE: &str = "-- one\n  x = 1 -- two\n\n    --three\n  return x";
        const KEPT: [u8; kept(SOURCE)] = keep(SOURCE);
        assert_eq!(&KEPT, b"\nx = 1 -- two\n\n\nreturn x");
    }
}
