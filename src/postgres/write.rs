//! Requests of a client. Memory is asked for fallibly.

/// Why a request was not written; the buffer is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Memory,
    /// Longer than a message can be.
    TooLarge,
    /// More parameters than a message can hold.
    Parameters,
    /// A NUL byte in a text that would end with it.
    Nul,
}

fn push(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Refused> {
    out.try_reserve(bytes.len()).map_err(|_| Refused::Memory)?;
    out.extend_from_slice(bytes);
    Ok(())
}

fn text(out: &mut Vec<u8>, text: &[u8]) -> Result<(), Refused> {
    if text.contains(&0) {
        return Err(Refused::Nul);
    }
    push(out, text)?;
    push(out, &[0])
}

/// A message with its length, or nothing at all.
fn message(
    out: &mut Vec<u8>,
    kind: u8,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let start = out.len();
    let result = push(out, &[kind, 0, 0, 0, 0]).and_then(|()| body(out));
    let length = i32::try_from(out.len() - start - usize::from(result.is_ok()));
    match (result, length, out.get_mut(start + 1..start + 5)) {
        (Ok(()), Ok(length), Some(place)) => {
            place.copy_from_slice(&length.to_be_bytes());
            Ok(())
        }
        (result, ..) => {
            out.truncate(start);
            Err(result.err().unwrap_or(Refused::TooLarge))
        }
    }
}

/// Statements, run as they are.
pub fn query(out: &mut Vec<u8>, sql: &[u8]) -> Result<(), Refused> {
    message(out, b'Q', |out| text(out, sql))
}

/// Prepares a statement under a name; the server finds the types of parameters.
pub fn parse(out: &mut Vec<u8>, name: &[u8], sql: &[u8]) -> Result<(), Refused> {
    message(out, b'P', |out| {
        text(out, name)?;
        text(out, sql)?;
        push(out, &[0, 0])
    })
}

/// Describes the statement of that name.
pub fn describe(out: &mut Vec<u8>, name: &[u8]) -> Result<(), Refused> {
    message(out, b'D', |out| {
        push(out, b"S")?;
        text(out, name)
    })
}

/// Takes a value, or None for NULL.
pub type Put<'a> = dyn FnMut(Option<&[u8]>) -> Result<(), Refused> + 'a;

/// Binds `count` values, as texts, to the statement of that name, and asks what
/// columns it gives.
pub fn bind(
    out: &mut Vec<u8>,
    name: &[u8],
    count: usize,
    values: &mut dyn FnMut(usize, &mut Put) -> Result<(), Refused>,
) -> Result<(), Refused> {
    let start = out.len();
    let count = u16::try_from(count).map_err(|_| Refused::Parameters)?;
    let bound = message(out, b'B', |out| {
        text(out, b"")?;
        text(out, name)?;
        push(out, &[0, 0])?;
        push(out, &count.to_be_bytes())?;
        for place in 0..usize::from(count) {
            values(place, &mut |value| {
                let Some(value) = value else {
                    return push(out, &[0xff; 4]);
                };
                let length = i32::try_from(value.len()).map_err(|_| Refused::TooLarge)?;
                push(out, &length.to_be_bytes())?;
                push(out, value)
            })?;
        }
        push(out, &[0, 0])
    });
    let described = bound.and_then(|()| message(out, b'D', |out| push(out, b"P\0")));
    if described.is_err() {
        out.truncate(start);
    }
    described
}

/// Asks for `most` rows of what was bound, 0 for all.
pub fn execute(out: &mut Vec<u8>, most: u32) -> Result<(), Refused> {
    message(out, b'E', |out| {
        push(out, &[0])?;
        push(out, &most.to_be_bytes())
    })
}

/// A message without a body: sync, flush.
pub fn plain(out: &mut Vec<u8>, kind: u8) -> Result<(), Refused> {
    message(out, kind, |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_their_length() {
        let mut out = Vec::new();
        query(&mut out, b"SELECT 1").unwrap();
        assert_eq!(out, b"Q\0\0\0\x0dSELECT 1\0");
        out.clear();
        parse(&mut out, b"n", b"q").unwrap();
        let values = [Some(&b"ab"[..]), None, Some(b"")];
        bind(&mut out, b"n", 3, &mut |place, put| put(values[place])).unwrap();
        execute(&mut out, 258).unwrap();
        plain(&mut out, b'S').unwrap();
        assert_eq!(
            out,
            b"P\0\0\0\x0an\0q\0\0\0\
              B\0\0\0\x1b\0n\0\0\0\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0\0\0\
              D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\x01\x02S\0\0\0\x04"
        );
    }

    #[test]
    fn what_is_refused_leaves_nothing() {
        let mut out = b"before".to_vec();
        assert_eq!(query(&mut out, b"a\0b"), Err(Refused::Nul));
        assert_eq!(parse(&mut out, b"", b"\0"), Err(Refused::Nul));
        let none = &mut |_, put: &mut Put| put(None);
        assert_eq!(bind(&mut out, b"", 65536, none), Err(Refused::Parameters));
        assert_eq!(bind(&mut out, b"\0", 1, none), Err(Refused::Nul));
        assert_eq!(out, b"before");
    }
}
