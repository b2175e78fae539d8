//! Many texts in one buffer, each behind its length: what has to be computed
//! before Lua is asked for anything, and owned while it is.

/// Begin a text whose end is not known yet.
pub fn begin_text(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    start
}

/// End the text begun at `start`.
pub fn end_text(start: usize, out: &mut [u8]) {
    let length = out.len().saturating_sub(start + 4) as u32;
    if let Some(slot) = out.get_mut(start..start + 4) {
        slot.copy_from_slice(&length.to_ne_bytes());
    }
}

/// Take the first text.
pub fn take_text<'a>(texts: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = texts.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u32::from_ne_bytes(*length) as usize)?;
    *texts = rest;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_and_out() {
        let mut buffer = Vec::new();
        for text in [&b"one"[..], b""] {
            let start = begin_text(&mut buffer);
            buffer.extend_from_slice(text);
            end_text(start, &mut buffer);
        }
        let mut rest = &buffer[..];
        assert_eq!(take_text(&mut rest), Some(&b"one"[..]));
        assert_eq!(take_text(&mut rest), Some(&b""[..]));
        assert_eq!(take_text(&mut rest), None);
        for end in 0..buffer.len() {
            let mut rest = &buffer[..end];
            while take_text(&mut rest).is_some() {}
        }
    }
}
